// System calls that Swift cannot say: variadic ones, and those without a C library wrapper.
// Each returns what the call returns and leaves errno as it does.
#ifndef PFS_STORAGE_CALLS_H
#define PFS_STORAGE_CALLS_H

#include <stdint.h>
#include <sys/types.h>

// openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS: no component of `path` leaves `directory`.
int pfs_open_beneath(int directory, const char *path, int flags, mode_t mode);

// One byte of an open-file-description lock (fcntl F_OFD_SETLK); `kind` is F_RDLCK, F_WRLCK or F_UNLCK.
int pfs_lock_byte(int descriptor, int64_t offset, int kind);

// 1 if a lock of `kind` on the byte would have to wait, 0 if it would be granted, -1 on error.
int pfs_lock_would_wait(int descriptor, int64_t offset, int kind);

// fallocate(2): reserves, or with punch gives back, `byte_count` bytes at `offset`.
int pfs_allocate(int descriptor, int64_t offset, int64_t byte_count);
int pfs_punch(int descriptor, int64_t offset, int64_t byte_count);

/* How many pieces of the device the file lies in; -1 with errno where the file system does not say. */
int64_t pfs_extent_count(int descriptor);

// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: starts writeback and does not wait.
int pfs_start_writeback(int descriptor, int64_t offset, int64_t byte_count);
// The same, and waits until the pages are written. It does not make them durable, but reports, once, that writing failed.
int pfs_finish_writeback(int descriptor, int64_t offset, int64_t byte_count);

// renameat2(2) inside one directory; with `keep_existing` an existing target is an error.
int pfs_rename(int directory, const char *source, const char *target, int keep_existing);

// The f_type of statfs(2), or -1.
int64_t pfs_file_system_type(const char *path);

// getrandom(2); at most 256 bytes come in one piece.
ssize_t pfs_random(void *bytes, size_t byte_count);

// The text of an errno value, or NULL for one that the system does not know.
const char *pfs_error_text(int error_number);

// The processors this process may run on.
int pfs_processor_count(void);

#endif
