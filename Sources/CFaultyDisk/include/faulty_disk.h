// A disk in a file, on which reads, writes and flushes can be made to fail, and which keeps a log of what reached it.
//
// It is a file system of one file, `disk`, for a loop device to stand on. It speaks the protocol of <linux/fuse.h> itself:
// the loop device asks for little of it, and so no library is needed. Mounting needs root.
#ifndef FAULTY_DISK_H
#define FAULTY_DISK_H

#include <stdint.h>

// The most bytes that reach the disk in one write.
#define FAULTY_DISK_WRITE_BYTES (128 << 10)

// What is to fail and what has happened: the first bytes of a file that is shared with whoever controls the disk.
struct faulty_disk_control {
    // Reads that touch a byte of this range fail; an empty range: none.
    uint64_t read_error_start, read_error_end;
    // The write and the flush of this number fail, counted from 1 in the fields below; 0: none.
    uint64_t failing_write, failing_flush;
    // Not 0: and all that come later.
    uint64_t is_sticky;
    // Set back to 0 by whoever likes.
    uint64_t write_count, flush_count, failed_read_count, failed_write_count, failed_flush_count;
};

// The log, if there is one: for each write 16 bytes, the offset and the number of bytes as little-endian numbers, and the
// bytes; for each flush 16 bytes of which the second number is 0. Nothing that failed is in it.

struct faulty_disk_options {
    // An empty directory.
    const char *mount_point;
    // What the disk holds: read and written in place.
    const char *image;
    // At least as large as the structure.
    const char *control;
    // NULL: no log is kept.
    const char *log;
    // The disk goes away when this process is gone.
    int owner;
};

// Mounts the disk and leaves a process behind that serves it until it is unmounted. Called when there is one thread.
// Returns 0, or the error number with what failed in `call`.
int faulty_disk_start(const struct faulty_disk_options *options, const char **call);

// A piece of a file, on the device of its file system.
struct faulty_disk_extent {
    uint64_t file_offset, device_offset, byte_count;
};

// Where the bytes of the file `path` are, which is synced first; returns how many pieces there are, at most `room`, or -1
// and errno.
int faulty_disk_extents(const char *path, struct faulty_disk_extent *extents, int room);

#endif
