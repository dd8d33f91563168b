// What the calls that were taken over tell the recorder. See recorder.h.
#define _GNU_SOURCE
#include "recorder.h"
#include "record_log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/// All of a file and its size.
#define ALL UINT64_MAX

static void log_failure(const struct record_object *object, const char *call) {
    uint64_t fields[] = {object ? object->number : 0};
    record_text(RECORD_FAILED, fields, 1, call);
}

// MARK: Bytes

/// Whether it is a file of the root or that of the marks: asked before the lock is taken, since a call on a pipe may wait for
/// whom the lock keeps.
static int concerns(int descriptor) {
    struct statx status;
    if (record_status(descriptor, &status) != 0) return 0;
    if (!S_ISREG(status.stx_mode) && !S_ISDIR(status.stx_mode)) return 0;
    char path[PATH_MAX];
    record_path_of(descriptor, path, sizeof path);
    return record_path_in_root(path) || record_is_marks(&status);
}

int record_begin(int descriptor) {
    if (!recorder_is_active()) return 0;
    int saved = errno;
    int is_recorded = concerns(descriptor);
    if (is_recorded) {
        record_lock();
        record_scan();
        // Before the call changes it.
        record_object_of(descriptor);
    }
    errno = saved;
    return is_recorded;
}

/// Where a write that has moved so many bytes began.
static uint64_t write_offset(int descriptor, int64_t given, ssize_t moved, int flags) {
    if (given >= 0 && !(flags & O_APPEND)) return (uint64_t)given;
    if (given >= 0) {
        // Linux appends even where an offset is given.
        struct statx status;
        if (record_status(descriptor, &status) != 0) record_abort("a written file cannot be asked for its size", "write");
        return status.stx_size - (uint64_t)moved;
    }
    long position = record_system(SYS_lseek, descriptor, 0L, SEEK_CUR);
    if (position < moved) record_abort("a written file does not say where it stands", "write");
    return (uint64_t)(position - moved);
}

/// The pieces, cut off behind `moved` bytes.
static int cut(const struct iovec *pieces, int count, size_t moved, struct iovec *out) {
    int used = 0;
    while (used < count && moved > 0) {
        size_t length = pieces[used].iov_len < moved ? pieces[used].iov_len : moved;
        out[used] = (struct iovec){pieces[used].iov_base, length};
        moved -= length;
        used++;
    }
    return used;
}

void record_write(int descriptor, const struct iovec *pieces, int count, int64_t offset, ssize_t moved, const char *call) {
    int saved = errno;
    struct record_object *object = record_object_of(descriptor);
    if (moved < 0) {
        if (object) log_failure(object, call);
    } else if (moved > 0) {
        struct iovec moved_pieces[count];
        int used = cut(pieces, count, (size_t)moved, moved_pieces);
        if (object) {
            int flags = (int)record_system(SYS_fcntl, descriptor, F_GETFL);
            uint64_t start = write_offset(descriptor, offset, moved, flags);
            uint64_t fields[] = {object->number, start, (flags & O_DSYNC) != 0};
            record_event(RECORD_WRITE, fields, 3, moved_pieces, used);
            record_image_write(object, start, moved_pieces, used, (size_t)moved);
        } else {
            record_event(RECORD_MARK, NULL, 0, moved_pieces, used);
        }
    }
    record_unlock();
    errno = saved;
}

static void log_size(struct record_object *object, uint64_t byte_count) {
    uint64_t fields[] = {object->number, byte_count};
    record_event(RECORD_SIZE, fields, 2, NULL, 0);
    record_image_resize(object, byte_count);
}

static uint64_t byte_count_of(int descriptor) {
    struct statx status;
    if (record_status(descriptor, &status) != 0) record_abort("a file cannot be asked for its size", "fstat");
    return status.stx_size;
}

void record_size(int descriptor, int result, const char *call) {
    int saved = errno;
    struct record_object *object = record_object_of(descriptor);
    if (object && result != 0) log_failure(object, call);
    else if (object) log_size(object, byte_count_of(descriptor));
    record_unlock();
    errno = saved;
}

void record_allocation(int descriptor, int mode, int64_t offset, int64_t byte_count, int result) {
    int saved = errno;
    struct record_object *object = record_object_of(descriptor);
    if (object && mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
        record_abort("moves the bytes of a recorded file", "fallocate");
    }
    if (object && result != 0) log_failure(object, "fallocate");
    // What failed may have gone a part of the way.
    if (object && !(mode & FALLOC_FL_KEEP_SIZE)) log_size(object, byte_count_of(descriptor));
    if (object && result == 0 && mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
        uint64_t fields[] = {object->number, (uint64_t)offset, (uint64_t)byte_count};
        record_event(RECORD_ZERO, fields, 3, NULL, 0);
        record_image_zero(object, (uint64_t)offset, (uint64_t)byte_count);
    }
    record_unlock();
    errno = saved;
}

static void log_sync(const struct record_object *object, enum record_kind file_kind, enum record_kind directory_kind) {
    uint64_t fields[] = {object->number, 0, ALL};
    if (object->is_directory) record_event(directory_kind, fields, 1, NULL, 0);
    else record_event(file_kind, fields, 3, NULL, 0);
}

int record_sync_begin(int descriptor) {
    if (!record_begin(descriptor)) return 0;
    int saved = errno;
    struct record_object *object = record_object_of(descriptor);
    if (object) log_sync(object, RECORD_SYNC_BEGIN, RECORD_DIRSYNC_BEGIN);
    record_unlock();
    errno = saved;
    return object != NULL;
}

void record_sync_end(int descriptor, int result, const char *call) {
    int saved = errno;
    record_lock();
    record_scan();
    struct record_object *object = record_object_of(descriptor);
    if (object && result == 0) log_sync(object, RECORD_SYNC_END, RECORD_DIRSYNC_END);
    else if (object) log_failure(object, call);
    record_unlock();
    errno = saved;
}

void record_refuse(int descriptor, const char *call) {
    if (!recorder_is_active()) return;
    int saved = errno;
    if (concerns(descriptor)) record_abort("cannot be recorded", call);
    errno = saved;
}

// MARK: Names

/// The directory of an entry and its name there; whether that is in the root.
static int resolve(int directory, const char *path, struct record_entry *entry) {
    char parent[PATH_MAX];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/') start--;
    if (start >= sizeof parent || length - start >= sizeof entry->name) return 0;
    memcpy(parent, path, start);
    parent[start] = 0;
    memcpy(entry->name, path + start, length - start);
    entry->name[length - start] = 0;
    const char *opened = start ? parent : ".";
    int descriptor = (int)record_system(SYS_openat, directory, opened, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (descriptor < 0) return 0;
    struct record_object *object = record_object_of(descriptor);
    // What is there now gets its number while its path is still that of the time before.
    struct statx status;
    entry->exists = record_status_at(descriptor, entry->name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (object && entry->exists) record_object_at(descriptor, entry->name, 0);
    record_system(SYS_close, descriptor);
    entry->directory = object ? object->number : 0;
    return object != NULL;
}

int record_entry_begin(int directory, const char *path, struct record_entry *entry) {
    if (!recorder_is_active()) return 0;
    int saved = errno;
    record_lock();
    record_scan();
    int is_recorded = resolve(directory, path, entry);
    if (!is_recorded) record_unlock();
    errno = saved;
    return is_recorded;
}

int record_entries_begin(int from_directory, const char *from_path, struct record_entry *from, int to_directory,
                         const char *to_path, struct record_entry *to) {
    if (!recorder_is_active()) return 0;
    int saved = errno;
    record_lock();
    record_scan();
    int is_from = resolve(from_directory, from_path, from);
    int is_to = resolve(to_directory, to_path, to);
    if (is_from != is_to) record_abort("between the recorded directory and another", "rename");
    if (!is_to) record_unlock();
    errno = saved;
    return is_to;
}

static void log_link(uint64_t directory, uint64_t object, const char *name) {
    uint64_t fields[] = {directory, object};
    record_text(RECORD_LINK, fields, 2, name);
}

/// Something that a call has made: it is a new one, whatever had the number of its inode. Without a name it gets the path of
/// its directory and a slash: what the system calls it differs from run to run.
static struct record_object *add_made(int descriptor, int has_name) {
    struct statx status;
    char path[PATH_MAX];
    if (record_status(descriptor, &status) != 0) record_abort("what was made cannot be looked at", "fstat");
    record_path_of(descriptor, path, sizeof path);
    char *end = strrchr(path, '/');
    if (!has_name && end) end[1] = 0;
    const char *relative = record_path_in_root(path);
    return record_add_new(&status, relative ? relative : "");
}

void record_opened(const struct record_entry *entry, int descriptor, int flags) {
    int saved = errno;
    if (descriptor >= 0 && (flags & O_TMPFILE) == O_TMPFILE) {
        add_made(descriptor, 0);
    } else if (descriptor >= 0 && !entry->exists) {
        log_link(entry->directory, add_made(descriptor, 1)->number, entry->name);
    } else if (descriptor >= 0 && flags & O_TRUNC) {
        struct record_object *object = record_object_of(descriptor);
        if (object) log_size(object, 0);
    }
    record_unlock();
    errno = saved;
}

void record_made_directory(const struct record_entry *entry, int directory, const char *path, int result) {
    int saved = errno;
    if (result == 0) {
        int descriptor = (int)record_system(SYS_openat, directory, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (descriptor < 0) record_abort("what was made cannot be opened", "mkdir");
        log_link(entry->directory, add_made(descriptor, 1)->number, entry->name);
        record_system(SYS_close, descriptor);
    }
    record_unlock();
    errno = saved;
}

/// A failed change of names counts for the directory.
static void log_entry_failure(uint64_t directory, const char *call) {
    record_text(RECORD_FAILED, &directory, 1, call);
}

void record_unlinked(const struct record_entry *entry, int result) {
    int saved = errno;
    if (result == 0) record_text(RECORD_UNLINK, &entry->directory, 1, entry->name);
    else log_entry_failure(entry->directory, "unlink");
    record_unlock();
    errno = saved;
}

void record_renamed(const struct record_entry *from, const struct record_entry *to, unsigned flags, int result) {
    int saved = errno;
    if (result == 0) {
        uint64_t fields[] = {from->directory, to->directory, (flags & RENAME_EXCHANGE) != 0};
        struct iovec names[] = {
            {(void *)(uintptr_t)from->name, strlen(from->name) + 1}, {(void *)(uintptr_t)to->name, strlen(to->name)},
        };
        record_event(RECORD_RENAME, fields, 3, names, 2);
    } else {
        log_entry_failure(to->directory, "rename");
    }
    record_unlock();
    errno = saved;
}

void record_linked(int directory, const char *path, int flags, const struct record_entry *to, int result) {
    int saved = errno;
    if (result == 0) {
        struct record_object *object = *path ? record_object_at(directory, path, flags) : record_object_of(directory);
        if (!object) record_abort("of a file from outside of the recorded directory", "link");
        log_link(to->directory, object->number, to->name);
    } else {
        log_entry_failure(to->directory, "link");
    }
    record_unlock();
    errno = saved;
}

void record_truncated(int directory, const char *path, int result) {
    int saved = errno;
    struct record_object *object = record_object_at(directory, path, AT_SYMLINK_FOLLOW);
    struct statx status;
    if (object && result != 0) log_failure(object, "truncate");
    else if (object && record_status_at(directory, path, &status, 0) == 0) log_size(object, status.stx_size);
    record_unlock();
    errno = saved;
}

void record_refuse_path(int directory, const char *path, const char *call) {
    struct record_entry entry;
    if (record_entry_begin(directory, path, &entry)) record_abort("cannot be recorded", call);
}
