// The functions of libc that are taken over: each asks what is to happen to the call, and makes it unless that is an
// error. See fault_injection.h.
#define _GNU_SOURCE
#include "fault_injection.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

// The function that would have been called without this library.
#define NEXT(name, type, ...)                                                                       \
    static type (*next)(__VA_ARGS__);                                                               \
    if (!next) next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

// MARK: Moving bytes

// A call that moves bytes, in the form that takes a count.
#define MOVE(name, kind, parameters, arguments, half_arguments)                                     \
    ssize_t name parameters {                                                                       \
        static ssize_t(*next) parameters;                                                           \
        if (!next) next = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);                           \
        switch (fault_at_descriptor(kind, fd)) {                                                    \
        case FAULT_ERROR: return -1;                                                                \
        case FAULT_SHORT: return next half_arguments;                                               \
        case FAULT_TORN: next half_arguments; fault_kill();                                         \
        case FAULT_NONE: break;                                                                     \
        }                                                                                           \
        return next arguments;                                                                      \
    }

MOVE(read, "read", (int fd, void *bytes, size_t n), (fd, bytes, n), (fd, bytes, fault_half(n)))
MOVE(write, "write", (int fd, const void *bytes, size_t n), (fd, bytes, n), (fd, bytes, fault_half(n)))
MOVE(pread, "pread", (int fd, void *bytes, size_t n, off_t at), (fd, bytes, n, at), (fd, bytes, fault_half(n), at))
MOVE(pread64, "pread", (int fd, void *bytes, size_t n, off64_t at), (fd, bytes, n, at), (fd, bytes, fault_half(n), at))
MOVE(pwrite, "pwrite", (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at),
     (fd, bytes, fault_half(n), at))
MOVE(pwrite64, "pwrite", (int fd, const void *bytes, size_t n, off64_t at), (fd, bytes, n, at),
     (fd, bytes, fault_half(n), at))

// Half of the first piece.
static struct iovec half_piece(const struct iovec *pieces) {
    return (struct iovec){pieces->iov_base, fault_half(pieces->iov_len)};
}

#define MOVE_PIECES(name)                                                                           \
    ssize_t name(int fd, const struct iovec *pieces, int n) {                                       \
        NEXT(name, ssize_t, int, const struct iovec *, int);                                        \
        enum fault_action action = fault_at_descriptor(#name, fd);                                  \
        if (action == FAULT_ERROR) return -1;                                                       \
        if (action == FAULT_NONE || n < 1) return next(fd, pieces, n);                              \
        struct iovec half = half_piece(pieces);                                                     \
        ssize_t moved = next(fd, &half, 1);                                                         \
        if (action == FAULT_TORN) fault_kill();                                                     \
        return moved;                                                                               \
    }

MOVE_PIECES(readv)
MOVE_PIECES(writev)

// MARK: Calls that are made or fail
// Those that cannot be cut short are made whole where they are to be torn, and are the last.

#define WHOLE(ask, call)                                                                            \
    switch (ask) {                                                                                  \
    case FAULT_ERROR: return -1;                                                                    \
    case FAULT_TORN: call; fault_kill();                                                            \
    case FAULT_SHORT:                                                                               \
    case FAULT_NONE: break;                                                                         \
    }                                                                                               \
    return call

int fsync(int fd) {
    NEXT(fsync, int, int);
    WHOLE(fault_at_descriptor("fsync", fd), next(fd));
}

int fdatasync(int fd) {
    NEXT(fdatasync, int, int);
    WHOLE(fault_at_descriptor("fdatasync", fd), next(fd));
}

int ftruncate(int fd, off_t size) {
    NEXT(ftruncate, int, int, off_t);
    WHOLE(fault_at_descriptor("ftruncate", fd), next(fd, size));
}

int ftruncate64(int fd, off64_t size) {
    NEXT(ftruncate64, int, int, off64_t);
    WHOLE(fault_at_descriptor("ftruncate", fd), next(fd, size));
}

off_t lseek(int fd, off_t at, int whence) {
    NEXT(lseek, off_t, int, off_t, int);
    WHOLE(fault_at_descriptor("lseek", fd), next(fd, at, whence));
}

off64_t lseek64(int fd, off64_t at, int whence) {
    NEXT(lseek64, off64_t, int, off64_t, int);
    WHOLE(fault_at_descriptor("lseek", fd), next(fd, at, whence));
}

static const char *allocation(int mode) { return mode & FALLOC_FL_PUNCH_HOLE ? "punch" : "fallocate"; }

int fallocate(int fd, int mode, off_t at, off_t size) {
    NEXT(fallocate, int, int, int, off_t, off_t);
    WHOLE(fault_at_descriptor(allocation(mode), fd), next(fd, mode, at, size));
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    NEXT(fallocate64, int, int, int, off64_t, off64_t);
    WHOLE(fault_at_descriptor(allocation(mode), fd), next(fd, mode, at, size));
}

// These say the error by what they return.
int posix_fallocate(int fd, off_t at, off_t size) {
    NEXT(posix_fallocate, int, int, off_t, off_t);
    if (fault_at_descriptor("fallocate", fd) == FAULT_ERROR) return errno;
    return next(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    NEXT(posix_fallocate64, int, int, off64_t, off64_t);
    if (fault_at_descriptor("fallocate", fd) == FAULT_ERROR) return errno;
    return next(fd, at, size);
}

int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
    NEXT(sync_file_range, int, int, off64_t, off64_t, unsigned);
    WHOLE(fault_at_descriptor("sync_file_range", fd), next(fd, at, size, flags));
}

// The descriptor is gone whether closing it fails or not.
int close(int fd) {
    NEXT(close, int, int);
    enum fault_action action = fault_at_descriptor("close", fd);
    int error = errno;
    int result = next(fd);
    if (action == FAULT_TORN) fault_kill();
    if (action != FAULT_ERROR) return result;
    errno = error;
    return -1;
}

// MARK: Names

static const char *opening(int flags) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? "create" : "open";
}

static mode_t mode_of(int flags, va_list arguments) {
    int has_mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return has_mode ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                  \
    int name(const char *path, int flags, ...) {                                                    \
        NEXT(name, int, const char *, int, ...);                                                    \
        va_list arguments;                                                                          \
        va_start(arguments, flags);                                                                 \
        mode_t mode = mode_of(flags, arguments);                                                    \
        va_end(arguments);                                                                          \
        WHOLE(fault_at_entry(opening(flags), AT_FDCWD, path), next(path, flags, mode));             \
    }
#define OPEN_AT(name)                                                                               \
    int name(int directory, const char *path, int flags, ...) {                                     \
        NEXT(name, int, int, const char *, int, ...);                                               \
        va_list arguments;                                                                          \
        va_start(arguments, flags);                                                                 \
        mode_t mode = mode_of(flags, arguments);                                                    \
        va_end(arguments);                                                                          \
        WHOLE(fault_at_entry(opening(flags), directory, path), next(directory, path, flags, mode)); \
    }

OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)

// openat2 has no function of its own.
long syscall(long number, ...) {
    NEXT(syscall, long, long, ...);
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number != SYS_openat2) return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    const struct open_how *how = (const struct open_how *)a[2];
    WHOLE(fault_at_entry(opening((int)how->flags), (int)a[0], (const char *)a[1]),
          next(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir, int, const char *, mode_t);
    WHOLE(fault_at_entry("mkdir", AT_FDCWD, path), next(path, mode));
}

int mkdirat(int directory, const char *path, mode_t mode) {
    NEXT(mkdirat, int, int, const char *, mode_t);
    WHOLE(fault_at_entry("mkdir", directory, path), next(directory, path, mode));
}

int unlink(const char *path) {
    NEXT(unlink, int, const char *);
    WHOLE(fault_at_entry("unlink", AT_FDCWD, path), next(path));
}

int rmdir(const char *path) {
    NEXT(rmdir, int, const char *);
    WHOLE(fault_at_entry("unlink", AT_FDCWD, path), next(path));
}

int unlinkat(int directory, const char *path, int flags) {
    NEXT(unlinkat, int, int, const char *, int);
    WHOLE(fault_at_entry("unlink", directory, path), next(directory, path, flags));
}

// Renames and links count under the path that appears.
int rename(const char *from, const char *to) {
    NEXT(rename, int, const char *, const char *);
    WHOLE(fault_at_entry("rename", AT_FDCWD, to), next(from, to));
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    NEXT(renameat, int, int, const char *, int, const char *);
    WHOLE(fault_at_entry("rename", to_directory, to), next(from_directory, from, to_directory, to));
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    NEXT(renameat2, int, int, const char *, int, const char *, unsigned);
    WHOLE(fault_at_entry("rename", to_directory, to), next(from_directory, from, to_directory, to, flags));
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    NEXT(linkat, int, int, const char *, int, const char *, int);
    WHOLE(fault_at_entry("link", to_directory, to), next(from_directory, from, to_directory, to, flags));
}

// MARK: Memory

static void *map(void *(*next)(void *, size_t, int, int, int, off_t), void *address, size_t size, int protection,
                 int flags, int fd, off_t at) {
    if (fd >= 0 && fault_at_descriptor("mmap", fd) == FAULT_ERROR) return MAP_FAILED;
    void *mapped = next(address, size, protection, flags, fd, at);
    if (mapped != MAP_FAILED) fault_mapped(mapped, size, fd);
    return mapped;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at) {
    NEXT(mmap, void *, void *, size_t, int, int, int, off_t);
    return map(next, address, size, protection, flags, fd, at);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t at) {
    NEXT(mmap64, void *, void *, size_t, int, int, int, off_t);
    return map(next, address, size, protection, flags, fd, at);
}

int munmap(void *address, size_t size) {
    NEXT(munmap, int, void *, size_t);
    fault_unmapped(address);
    return next(address, size);
}

int msync(void *address, size_t size, int flags) {
    NEXT(msync, int, void *, size_t, int);
    WHOLE(fault_at_address("msync", address), next(address, size, flags));
}

int madvise(void *address, size_t size, int advice) {
    NEXT(madvise, int, void *, size_t, int);
    const char *call = advice == MADV_POPULATE_READ    ? "populate_read"
                       : advice == MADV_POPULATE_WRITE ? "populate_write"
                                                       : "madvise";
    WHOLE(fault_at_address(call, address), next(address, size, advice));
}
