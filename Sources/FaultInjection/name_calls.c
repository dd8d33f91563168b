// Calls on names: files that are made, linked, renamed and taken away. See interposed.h.
#define _GNU_SOURCE
#include "interposed.h"

#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

// MARK: Opening

static int makes(int flags) { return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE; }

static const char *opening(int flags) { return makes(flags) ? "create" : "open"; }

/// Whether an open changes something, and is to be recorded.
static int open_begin(int directory, const char *path, int flags, struct record_entry *entry) {
    return (makes(flags) || flags & O_TRUNC) && record_entry_begin(directory, path, entry);
}

static mode_t mode_of(int flags, va_list arguments) { return makes(flags) ? va_arg(arguments, mode_t) : 0; }

#define OPEN_AT(name)                                                                               \
    int name(int directory, const char *path, int flags, ...) {                                     \
        NEXT(name, int, int, const char *, int, ...);                                               \
        va_list arguments;                                                                          \
        va_start(arguments, flags);                                                                 \
        mode_t mode = mode_of(flags, arguments);                                                    \
        va_end(arguments);                                                                          \
        struct record_entry entry;                                                                  \
        int is_recorded = open_begin(directory, path, flags, &entry);                               \
        int fd = WHOLE(fault_at_entry(opening(flags), directory, path), next(directory, path, flags, mode)); \
        RECORDED(is_recorded, record_opened(&entry, fd, flags), fd);                                \
    }

OPEN_AT(openat)
OPEN_AT(openat64)

// As libc does it: an open from the working directory on.
#define OPEN(name, name_at)                                                                         \
    int name(const char *path, int flags, ...) {                                                    \
        va_list arguments;                                                                          \
        va_start(arguments, flags);                                                                 \
        mode_t mode = mode_of(flags, arguments);                                                    \
        va_end(arguments);                                                                          \
        return name_at(AT_FDCWD, path, flags, mode);                                                \
    }

OPEN(open, openat)
OPEN(open64, openat64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/// What a raw call does to files: those that have a function of their own are not made so by anything that is tortured.
static void refuse_raw(long number, long first, long third) {
    switch (number) {
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_pwritev: case SYS_pwritev2: case SYS_ftruncate:
    case SYS_fallocate: case SYS_fsync: case SYS_fdatasync: case SYS_sendfile: case SYS_syncfs:
        record_refuse((int)first, "syscall");
        break;
    case SYS_copy_file_range: case SYS_splice: record_refuse((int)third, "syscall"); break;
    default: break;
    }
}

// openat2 has no function of its own.
long syscall(long number, ...) {
    NEXT(syscall, long, long, ...);
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (recorder_is_active()) refuse_raw(number, a[0], a[2]);
    if (number != SYS_openat2) return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    int flags = (int)((const struct open_how *)a[2])->flags;
    struct record_entry entry;
    int is_recorded = open_begin((int)a[0], (const char *)a[1], flags, &entry);
    long fd = WHOLE(fault_at_entry(opening(flags), (int)a[0], (const char *)a[1]),
                    next(number, a[0], a[1], a[2], a[3], a[4], a[5]));
    RECORDED(is_recorded, record_opened(&entry, (int)fd, flags), fd);
}

// MARK: Names that appear and go

static int make_directory(int (*next)(int, const char *, mode_t), int directory, const char *path, mode_t mode) {
    struct record_entry entry;
    int is_recorded = record_entry_begin(directory, path, &entry);
    int result = WHOLE(fault_at_entry("mkdir", directory, path), next(directory, path, mode));
    RECORDED(is_recorded, record_made_directory(&entry, directory, path, result), result);
}

int mkdirat(int directory, const char *path, mode_t mode) {
    NEXT(mkdirat, int, int, const char *, mode_t);
    return make_directory(next, directory, path, mode);
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdirat, int, int, const char *, mode_t);
    return make_directory(next, AT_FDCWD, path, mode);
}

static int take_away(int (*next)(int, const char *, int), int directory, const char *path, int flags) {
    struct record_entry entry;
    int is_recorded = record_entry_begin(directory, path, &entry);
    int result = WHOLE(fault_at_entry("unlink", directory, path), next(directory, path, flags));
    RECORDED(is_recorded, record_unlinked(&entry, result), result);
}

int unlinkat(int directory, const char *path, int flags) {
    NEXT(unlinkat, int, int, const char *, int);
    return take_away(next, directory, path, flags);
}

int unlink(const char *path) {
    NEXT(unlinkat, int, int, const char *, int);
    return take_away(next, AT_FDCWD, path, 0);
}

int rmdir(const char *path) {
    NEXT(unlinkat, int, int, const char *, int);
    return take_away(next, AT_FDCWD, path, AT_REMOVEDIR);
}

// Renames and links count under the path that appears.
int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    NEXT(renameat2, int, int, const char *, int, const char *, unsigned);
    struct record_entry source, target;
    int is_recorded = record_entries_begin(from_directory, from, &source, to_directory, to, &target);
    int result = WHOLE(fault_at_entry("rename", to_directory, to), next(from_directory, from, to_directory, to, flags));
    RECORDED(is_recorded, record_renamed(&source, &target, flags, result), result);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    NEXT(linkat, int, int, const char *, int, const char *, int);
    struct record_entry entry;
    int is_recorded = record_entry_begin(to_directory, to, &entry);
    int result =
        WHOLE(fault_at_entry("link", to_directory, to), next(from_directory, from, to_directory, to, flags));
    RECORDED(is_recorded, record_linked(from_directory, from, flags, &entry, result), result);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

#define TRUNCATE(name, offset)                                                                      \
    int name(const char *path, offset size) {                                                       \
        NEXT(name, int, const char *, offset);                                                      \
        struct record_entry entry;                                                                  \
        int is_recorded = record_entry_begin(AT_FDCWD, path, &entry);                               \
        int result = next(path, size);                                                              \
        RECORDED(is_recorded, record_truncated(AT_FDCWD, path, result), result);                    \
    }

TRUNCATE(truncate, off_t)
TRUNCATE(truncate64, off64_t)

// MARK: What is not recorded

int symlinkat(const char *target, int directory, const char *path) {
    NEXT(symlinkat, int, const char *, int, const char *);
    record_refuse_path(directory, path, "symlink");
    return next(target, directory, path);
}

int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

#define STREAM(name)                                                                                \
    FILE *name(const char *path, const char *mode) {                                                \
        NEXT(name, FILE *, const char *, const char *);                                             \
        if (mode[0] != 'r' || mode[1] == '+') record_refuse_path(AT_FDCWD, path, #name);            \
        return next(path, mode);                                                                    \
    }

STREAM(fopen)
STREAM(fopen64)
