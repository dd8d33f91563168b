// Keeps a log of what a program does to the files in one directory, for tests that ask what a loss of power at any moment
// would leave. What it does stands in the environment:
//
//   RECORD_LOG    the file that events are appended to; without it nothing is recorded
//   RECORD_ROOT   the directory whose files count, with all below it
//   RECORD_MARKS  a file outside of it: each write to it becomes an event
//   RECORD_SEED   makes random numbers and dates the same each time, so that a run can be repeated
//
// Events are in one order, that in which they took effect: changes are made one at a time. Only syncs last, from their
// begin to their end. All numbers are little-endian; an event is its byte count with this header (u32), its kind (u8),
// three zero bytes, fields (u64 each), and bytes to its end:
//
//   1 OBJECT         object, isDirectory, existed, byteCount; path below the root. A file or directory, when it is
//                    first met; numbers are never used again, as those of inodes are. One that existed has the
//                    content that it had when the process came; one without a name, the path of its directory and "/".
//   2 WRITE          object, offset, flags; the bytes. Flag 1: durable when the call returned.
//   3 PAGE           object, page; its bytes. A page of a mapping that was stored to, found before the next event.
//   4 SIZE           object, byteCount
//   5 ZERO           object, offset, byteCount
//   6 SYNC_BEGIN     object, offset, byteCount; all of it and its size where byteCount is 2^64 - 1
//   7 SYNC_END       the same, if it succeeded
//   8 LINK           directory, object; name. An entry appears.
//   9 UNLINK         directory; name
//  10 RENAME         from directory, to directory, flags; from name, a zero byte, to name. Flag 1: an exchange.
//  11 DIRSYNC_BEGIN  directory
//  12 DIRSYNC_END    directory
//  13 MARK           what was written
//  15 FAILED         object; name of the call. A change or a sync that failed.
//  16 PROCESS        the command line; the first event of each process
//
// What is written to `lock.mdb` through its mapping is left out: it means nothing when its processes are gone.
//
// A process that changes the directory in a way that is not recorded is ended at once, with a message and status 98.
#ifndef RECORDER_H
#define RECORDER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

int recorder_is_active(void);

// MARK: Bytes. Each begin that returns 1 holds the lock until its end; errno stays.

/// Whether a change through this descriptor is to be recorded; if so, its end must follow the call.
int record_begin(int descriptor);
/// - offset: -1: where the file stood.
void record_write(int descriptor, const struct iovec *pieces, int count, int64_t offset, ssize_t moved, const char *call);
/// After a call that may have changed the size of a file.
void record_size(int descriptor, int result, const char *call);
void record_allocation(int descriptor, int mode, int64_t offset, int64_t byte_count, int result);
/// These do not hold the lock meanwhile.
int record_sync_begin(int descriptor);
void record_sync_end(int descriptor, int result, const char *call);
/// For a call that cannot be recorded: ends the process if it is one on the root.
void record_refuse(int descriptor, const char *call);
void record_refuse_path(int directory, const char *path, const char *call);

// MARK: Names

struct record_entry {
    uint64_t directory;
    char name[256];
    int exists;
};

/// Whether a change of this entry is to be recorded; if so, its end must follow the call.
int record_entry_begin(int directory, const char *path, struct record_entry *entry);
int record_entries_begin(int from_directory, const char *from_path, struct record_entry *from, int to_directory,
                         const char *to_path, struct record_entry *to);
/// - descriptor: -1 where the call failed.
void record_opened(const struct record_entry *entry, int descriptor, int flags);
void record_made_directory(const struct record_entry *entry, int directory, const char *path, int result);
void record_unlinked(const struct record_entry *entry, int result);
void record_renamed(const struct record_entry *from, const struct record_entry *to, unsigned flags, int result);
/// - flags: as those of linkat.
void record_linked(int directory, const char *path, int flags, const struct record_entry *to, int result);
void record_truncated(int directory, const char *path, int result);

// MARK: Memory

void record_mapped(const void *address, size_t byte_count, int protection, int flags, int descriptor, int64_t offset);
/// Before the call.
void record_unmapped(const void *address, size_t byte_count);
void record_protected(const void *address, size_t byte_count, int protection);
/// For a call on memory that cannot be recorded.
void record_refuse_memory(const void *address, size_t byte_count, const char *call);
/// Whether it is to be recorded, as record_sync_begin.
int record_memory_sync_begin(const void *address, size_t byte_count, int flags);
void record_memory_sync_end(const void *address, size_t byte_count, int result);

#endif
