// The log, and what is known of the files in the root: shared by the parts of the recorder, under its lock.
#ifndef RECORD_LOG_H
#define RECORD_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum record_kind {
    RECORD_OBJECT = 1, RECORD_WRITE, RECORD_PAGE, RECORD_SIZE, RECORD_ZERO, RECORD_SYNC_BEGIN, RECORD_SYNC_END,
    RECORD_LINK, RECORD_UNLINK, RECORD_RENAME, RECORD_DIRSYNC_BEGIN, RECORD_DIRSYNC_END, RECORD_MARK, RECORD_HOOK,
    RECORD_FAILED, RECORD_PROCESS,
};

/// A file or directory in the root.
struct record_object {
    uint64_t number;
    uint64_t device, inode, birth;
    int is_directory;
    /// Nil unless the file is mapped for writing.
    struct record_image *image;
};

/// Calls of libc that come by nowhere.
extern long (*record_system)(long number, ...);

void record_lock(void);
void record_unlock(void);
/// Ends the process.
void record_abort(const char *what, const char *call) __attribute__((noreturn));

void record_event(enum record_kind kind, const uint64_t *fields, int field_count, const struct iovec *pieces, int count);
void record_text(enum record_kind kind, const uint64_t *fields, int field_count, const char *text);

/// Whether it is the file of marks.
int record_is_marks(const struct statx *status);
int record_status(int descriptor, struct statx *status);
/// As fstatat, with the date of birth.
int record_status_at(int directory, const char *path, struct statx *status, int flags);
/// The path of what is open, without links.
void record_path_of(int descriptor, char *path, size_t room);
/// What follows the root in a path, without the slash; nil for a path outside of it.
const char *record_path_in_root(const char *path);

/// Nil when it was never met.
struct record_object *record_find(const struct statx *status);
/// Something that was just made.
struct record_object *record_add_new(const struct statx *status, const char *path);
/// What is open, if it is in the root; else nil.
struct record_object *record_object_of(int descriptor);
/// What has this path, without following a link, if it is in the root and there.
struct record_object *record_object_at(int directory, const char *path, int flags);

// What the files that are mapped for writing should hold, as far as it is in the log.

/// Logs what was stored through mappings since the last time.
void record_scan(void);
void record_image_write(struct record_object *object, uint64_t offset, const struct iovec *pieces, int count, size_t moved);
void record_image_resize(struct record_object *object, uint64_t byte_count);
void record_image_zero(struct record_object *object, uint64_t offset, uint64_t byte_count);

#endif
