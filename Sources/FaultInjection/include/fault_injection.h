// Makes system calls of a program fail, be cut short, or be its last: for tests of what the program then does.
//
// The library is loaded before libc (LD_PRELOAD) and takes the place of its functions, so that the calls of every
// library that is linked dynamically come by here, those of LMDB too. What happens to them stands in the environment:
//
//   FAULT_CALLS   the calls that count, separated by commas; all of those below when it is not set
//   FAULT_PATH    only calls on a path that contains this text count
//   FAULT_EXEMPT  calls on a path that contains this text do not count
//   FAULT_OFFSET  of calls of pread and pwrite, only those that touch the byte at this offset count
//   FAULT_NUMBER  the call that is met: 1 is the first that counts; 0 or not set: none, which is how to count them
//   FAULT_ACTION  what happens to it: the name of an error, such as EIO, with which it fails and does nothing;
//                 "short": it moves half of its bytes; "kill": the process is killed before it;
//                 "torn": it moves half of its bytes, then the process is killed; "stop": the process is stopped
//                 before it, until somebody sends SIGCONT
//   FAULT_REPEAT  "once" (the default), "sticky": every later call that counts is met as well, or "alternate": every
//                 second one, as it is needed for what is to be tried again
//   FAULT_STOP    the number of a call that counts, before which the process is stopped besides
//   FAULT_LOG     a file to which a line is appended for each call that counts: number, call, what happened to it
//                 ("-" for nothing), and the path; written before the call, so that a killed process has named its last
//
// The calls, whatever the function or its 64-bit twin is called:
//
//   open create close read pread readv write pwrite writev lseek ftruncate fallocate punch fsync fdatasync msync
//   sync_file_range rename link unlink mkdir mmap populate_read populate_write madvise
//
// "create" is an open that may make a file, "punch" a fallocate that makes a hole, "rename" one of a file or directory,
// "unlink" takes away either. A call on memory counts under the path of the file that was mapped there.
//
// Calls that a program makes without libc, and those that libc makes for itself, do not come by here.
#ifndef FAULT_INJECTION_H
#define FAULT_INJECTION_H

#include <stddef.h>

enum fault_action {
    FAULT_NONE,
    /// errno is set: return -1.
    FAULT_ERROR,
    /// Move `fault_half` of the bytes.
    FAULT_SHORT,
    /// As FAULT_SHORT, then call `fault_kill`.
    FAULT_TORN,
};

/// Counts a call and says what is to happen to it. Does not return where that is death.
enum fault_action fault_at(const char *call, const char *path);
enum fault_action fault_at_descriptor(const char *call, int descriptor);
/// One that moves `byte_count` bytes at `offset` of the file.
enum fault_action fault_at_bytes(const char *call, int descriptor, size_t byte_count, long long offset);
enum fault_action fault_at_entry(const char *call, int directory, const char *name);
enum fault_action fault_at_address(const char *call, const void *address);

/// Remembers which file is mapped where, and forgets it.
void fault_mapped(const void *address, size_t byte_count, int descriptor);
void fault_unmapped(const void *address);

/// Half of the bytes, one at the least.
size_t fault_half(size_t byte_count);
void fault_kill(void) __attribute__((noreturn));

#endif
