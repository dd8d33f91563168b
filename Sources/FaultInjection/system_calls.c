// Calls that move bytes, change sizes and sync. See interposed.h.
#define _GNU_SOURCE
#include "interposed.h"

#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

// MARK: Moving bytes

// What comes of a call that moves bytes, in the form that takes a count.
#define PART(ask, call, half_call)                                                                  \
    ({                                                                                              \
        enum fault_action action = ask;                                                             \
        ssize_t moved = -1;                                                                         \
        if (action == FAULT_NONE) moved = call;                                                     \
        else if (action != FAULT_ERROR) moved = half_call;                                          \
        if (action == FAULT_TORN) fault_kill();                                                     \
        moved;                                                                                      \
    })

ssize_t read(int fd, void *bytes, size_t n) {
    NEXT(read, ssize_t, int, void *, size_t);
    return PART(fault_at_descriptor("read", fd), next(fd, bytes, n), next(fd, bytes, fault_half(n)));
}

ssize_t pread(int fd, void *bytes, size_t n, off_t at) {
    NEXT(pread, ssize_t, int, void *, size_t, off_t);
    return PART(fault_at_bytes("pread", fd, n, at), next(fd, bytes, n, at), next(fd, bytes, fault_half(n), at));
}

ssize_t pread64(int fd, void *bytes, size_t n, off64_t at) {
    NEXT(pread64, ssize_t, int, void *, size_t, off64_t);
    return PART(fault_at_bytes("pread", fd, n, at), next(fd, bytes, n, at), next(fd, bytes, fault_half(n), at));
}

static struct iovec piece(const void *bytes, size_t n) { return (struct iovec){(void *)(uintptr_t)bytes, n}; }

ssize_t write(int fd, const void *bytes, size_t n) {
    NEXT(write, ssize_t, int, const void *, size_t);
    int is_recorded = record_begin(fd);
    ssize_t moved = PART(fault_at_descriptor("write", fd), next(fd, bytes, n), next(fd, bytes, fault_half(n)));
    struct iovec whole = piece(bytes, n);
    RECORDED(is_recorded, record_write(fd, &whole, 1, -1, moved, "write"), moved);
}

#define PWRITE(name, offset)                                                                        \
    ssize_t name(int fd, const void *bytes, size_t n, offset at) {                                  \
        NEXT(name, ssize_t, int, const void *, size_t, offset);                                     \
        int is_recorded = record_begin(fd);                                                         \
        ssize_t moved = PART(fault_at_bytes("pwrite", fd, n, at), next(fd, bytes, n, at),           \
                             next(fd, bytes, fault_half(n), at));                                   \
        struct iovec whole = piece(bytes, n);                                                       \
        RECORDED(is_recorded, record_write(fd, &whole, 1, at, moved, "pwrite"), moved);             \
    }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

// Half of the first piece, which is at least one where a call is cut short.
static ssize_t move_half(ssize_t (*next)(int, const struct iovec *, int), int fd, const struct iovec *pieces, int n) {
    if (n < 1) return next(fd, pieces, n);
    struct iovec half = {pieces->iov_base, fault_half(pieces->iov_len)};
    return next(fd, &half, 1);
}

ssize_t readv(int fd, const struct iovec *pieces, int n) {
    NEXT(readv, ssize_t, int, const struct iovec *, int);
    return PART(fault_at_descriptor("readv", fd), next(fd, pieces, n), move_half(next, fd, pieces, n));
}

ssize_t writev(int fd, const struct iovec *pieces, int n) {
    NEXT(writev, ssize_t, int, const struct iovec *, int);
    int is_recorded = record_begin(fd);
    ssize_t moved = PART(fault_at_descriptor("writev", fd), next(fd, pieces, n), move_half(next, fd, pieces, n));
    RECORDED(is_recorded, record_write(fd, pieces, n, -1, moved, "writev"), moved);
}

#define PWRITEV(name, offset)                                                                       \
    ssize_t name(int fd, const struct iovec *pieces, int n, offset at) {                            \
        NEXT(name, ssize_t, int, const struct iovec *, int, offset);                                \
        int is_recorded = record_begin(fd);                                                         \
        ssize_t moved = next(fd, pieces, n, at);                                                    \
        RECORDED(is_recorded, record_write(fd, pieces, n, at, moved, "pwritev"), moved);            \
    }

PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

// MARK: Syncs

#define SYNC(name)                                                                                  \
    int name(int fd) {                                                                              \
        NEXT(name, int, int);                                                                       \
        int is_recorded = record_sync_begin(fd);                                                    \
        int result = WHOLE(fault_at_descriptor(#name, fd), next(fd));                               \
        RECORDED(is_recorded, record_sync_end(fd, result, #name), result);                          \
    }

SYNC(fsync)
SYNC(fdatasync)

// Starts the writing, and promises nothing.
int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
    NEXT(sync_file_range, int, int, off64_t, off64_t, unsigned);
    return WHOLE(fault_at_descriptor("sync_file_range", fd), next(fd, at, size, flags));
}

// MARK: Sizes

#define FTRUNCATE(name, offset)                                                                     \
    int name(int fd, offset size) {                                                                 \
        NEXT(name, int, int, offset);                                                               \
        int is_recorded = record_begin(fd);                                                         \
        int result = WHOLE(fault_at_descriptor("ftruncate", fd), next(fd, size));                   \
        RECORDED(is_recorded, record_size(fd, result, "ftruncate"), result);                        \
    }

FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

static const char *allocation(int mode) { return mode & FALLOC_FL_PUNCH_HOLE ? "punch" : "fallocate"; }

#define FALLOCATE(name, offset)                                                                     \
    int name(int fd, int mode, offset at, offset size) {                                            \
        NEXT(name, int, int, int, offset, offset);                                                  \
        int is_recorded = record_begin(fd);                                                         \
        int result = WHOLE(fault_at_descriptor(allocation(mode), fd), next(fd, mode, at, size));    \
        RECORDED(is_recorded, record_allocation(fd, mode, at, size, result), result);               \
    }

FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

// These say the error by what they return.
#define POSIX_FALLOCATE(name, offset)                                                               \
    int name(int fd, offset at, offset size) {                                                      \
        NEXT(name, int, int, offset, offset);                                                       \
        int is_recorded = record_begin(fd);                                                         \
        int is_failed = fault_at_descriptor("fallocate", fd) == FAULT_ERROR;                        \
        int result = is_failed ? errno : next(fd, at, size);                                        \
        RECORDED(is_recorded, record_allocation(fd, 0, at, size, result), result);                  \
    }

POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

// MARK: Where a file stands

off_t lseek(int fd, off_t at, int whence) {
    NEXT(lseek, off_t, int, off_t, int);
    return WHOLE(fault_at_descriptor("lseek", fd), next(fd, at, whence));
}

off64_t lseek64(int fd, off64_t at, int whence) {
    NEXT(lseek64, off64_t, int, off64_t, int);
    return WHOLE(fault_at_descriptor("lseek", fd), next(fd, at, whence));
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

// MARK: What is not recorded
// Nothing that is tortured calls these on its files; if it begins to, the log would be wrong without a word.

#define REFUSED(name, type, fd, parameters, arguments)                                              \
    type name parameters {                                                                          \
        static type(*next) parameters;                                                              \
        if (!next) next = (type(*) parameters)dlsym(RTLD_NEXT, #name);                              \
        record_refuse(fd, #name);                                                                   \
        return next arguments;                                                                      \
    }

REFUSED(pwritev2, ssize_t, fd, (int fd, const struct iovec *pieces, int n, off_t at, int flags), (fd, pieces, n, at, flags))
REFUSED(pwritev64v2, ssize_t, fd, (int fd, const struct iovec *pieces, int n, off64_t at, int flags), (fd, pieces, n, at, flags))
REFUSED(sendfile, ssize_t, out, (int out, int in, off_t *at, size_t n), (out, in, at, n))
REFUSED(sendfile64, ssize_t, out, (int out, int in, off64_t *at, size_t n), (out, in, at, n))
REFUSED(copy_file_range, ssize_t, out, (int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags),
        (in, from, out, to, n, flags))
REFUSED(splice, ssize_t, out, (int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags),
        (in, from, out, to, n, flags))
REFUSED(syncfs, int, fd, (int fd), (fd))
