#define _GNU_SOURCE
#include "storage_calls.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int pfs_open_beneath(int directory, const char *path, int flags, mode_t mode) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(unsigned)flags;
    how.mode = (flags & (O_CREAT | O_TMPFILE)) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

static struct flock one_byte(int64_t offset, int kind) {
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = (short)kind;
    lock.l_whence = SEEK_SET;
    lock.l_start = offset;
    lock.l_len = 1;
    return lock;
}

int pfs_lock_byte(int descriptor, int64_t offset, int kind) {
    struct flock lock = one_byte(offset, kind);
    return fcntl(descriptor, F_OFD_SETLK, &lock);
}

int pfs_lock_would_wait(int descriptor, int64_t offset, int kind) {
    struct flock lock = one_byte(offset, kind);
    if (fcntl(descriptor, F_OFD_GETLK, &lock)) return -1;
    return lock.l_type != F_UNLCK;
}

int pfs_allocate(int descriptor, int64_t offset, int64_t byte_count) {
    return fallocate(descriptor, 0, offset, byte_count);
}

int pfs_punch(int descriptor, int64_t offset, int64_t byte_count) {
    return fallocate(descriptor, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, byte_count);
}

int64_t pfs_extent_count(int descriptor) {
    struct fiemap map = {.fm_length = FIEMAP_MAX_OFFSET};
    return ioctl(descriptor, FS_IOC_FIEMAP, &map) ? -1 : (int64_t)map.fm_mapped_extents;
}

int pfs_start_writeback(int descriptor, int64_t offset, int64_t byte_count) {
    return sync_file_range(descriptor, offset, byte_count, SYNC_FILE_RANGE_WRITE);
}

int pfs_finish_writeback(int descriptor, int64_t offset, int64_t byte_count) {
    return sync_file_range(descriptor, offset, byte_count,
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int pfs_rename(int directory, const char *source, const char *target, int keep_existing) {
    return renameat2(directory, source, directory, target, keep_existing ? RENAME_NOREPLACE : 0);
}

int64_t pfs_file_system_type(const char *path) {
    struct statfs status;
    if (statfs(path, &status)) return -1;
    return (int64_t)(uint32_t)status.f_type;
}

ssize_t pfs_random(void *bytes, size_t byte_count) {
    return getrandom(bytes, byte_count, 0);
}

const char *pfs_error_text(int error_number) {
    return strerrordesc_np(error_number);
}

int pfs_processor_count(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return 1;
    int count = CPU_COUNT(&allowed);
    return count > 0 ? count : 1;
}
