// The log of the recorder, and the files that it has met. See recorder.h.
#define _GNU_SOURCE
#include "record_log.h"
#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    int log;
    char root[PATH_MAX];
    size_t root_length;
    const char *marks;
    struct record_object **objects;
    size_t count, room;
    uint64_t next_number;
} state = {.log = -1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

long (*record_system)(long number, ...);

int recorder_is_active(void) { return state.log >= 0; }

void record_lock(void) { pthread_mutex_lock(&lock); }

void record_unlock(void) { pthread_mutex_unlock(&lock); }

void record_abort(const char *what, const char *call) {
    char line[PATH_MAX + 128];
    int length = snprintf(line, sizeof line, "recorder: %s: %s\n", call, what);
    record_system(SYS_write, STDERR_FILENO, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    _exit(98);
}

// MARK: Events

void record_event(enum record_kind kind, const uint64_t *fields, int field_count, const struct iovec *pieces, int count) {
    struct { uint32_t byte_count; uint8_t kind; uint8_t zeros[3]; uint64_t fields[4]; } head = {.kind = (uint8_t)kind};
    size_t head_count = 8 + 8 * (size_t)field_count;
    size_t byte_count = head_count;
    struct iovec all[count + 1];
    for (int i = 0; i < field_count; i++) head.fields[i] = fields[i];
    for (int i = 0; i < count; i++) {
        all[i + 1] = pieces[i];
        byte_count += pieces[i].iov_len;
    }
    if (byte_count > UINT32_MAX) record_abort("too large for an event", "write");
    head.byte_count = (uint32_t)byte_count;
    all[0] = (struct iovec){&head, head_count};
    if (record_system(SYS_writev, state.log, all, count + 1) != (long)byte_count) record_abort("cannot write", "the log");
}

void record_text(enum record_kind kind, const uint64_t *fields, int field_count, const char *text) {
    struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};
    record_event(kind, fields, field_count, &piece, 1);
}

// MARK: Paths

int record_status(int descriptor, struct statx *status) {
    return record_status_at(descriptor, "", status, AT_EMPTY_PATH);
}

int record_status_at(int directory, const char *path, struct statx *status, int flags) {
    return (int)record_system(SYS_statx, directory, path, flags, STATX_BASIC_STATS | STATX_BTIME, status);
}

static uint64_t device_of(const struct statx *status) {
    return (uint64_t)status->stx_dev_major << 32 | status->stx_dev_minor;
}

/// Zero where the file system does not know.
static uint64_t birth_of(const struct statx *status) {
    if (!(status->stx_mask & STATX_BTIME)) return 0;
    return (uint64_t)status->stx_btime.tv_sec * 1000000000 + status->stx_btime.tv_nsec;
}

void record_path_of(int descriptor, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = record_system(SYS_readlinkat, AT_FDCWD, link, path, room - 1);
    path[length > 0 ? length : 0] = 0;
}

const char *record_path_in_root(const char *path) {
    if (strncmp(path, state.root, state.root_length) != 0) return NULL;
    if (path[state.root_length] == 0) return path + state.root_length;
    return path[state.root_length] == '/' ? path + state.root_length + 1 : NULL;
}

int record_is_marks(const struct statx *status) {
    struct statx marks;
    return state.marks && record_status_at(AT_FDCWD, state.marks, &marks, 0) == 0 && device_of(&marks) == device_of(status) &&
           marks.stx_ino == status->stx_ino;
}

// MARK: Objects

struct record_object *record_find(const struct statx *status) {
    // From the end: what had the number of an inode before is in front of what has it now. What another process made
    // has a date of its own.
    uint64_t device = device_of(status), birth = birth_of(status);
    for (size_t i = state.count; i-- > 0;) {
        struct record_object *object = state.objects[i];
        if (object->inode == status->stx_ino && object->device == device && object->birth == birth) return object;
    }
    return NULL;
}

static struct record_object *add(const struct statx *status, const char *path, int existed) {
    if (state.count == state.room) {
        state.room = state.room ? 2 * state.room : 64;
        state.objects = realloc(state.objects, state.room * sizeof *state.objects);
        if (!state.objects) record_abort("no memory", "malloc");
    }
    struct record_object *object = calloc(1, sizeof *object);
    if (!object) record_abort("no memory", "malloc");
    object->number = state.next_number++;
    object->device = device_of(status);
    object->birth = birth_of(status);
    object->inode = status->stx_ino;
    object->is_directory = S_ISDIR(status->stx_mode);
    state.objects[state.count++] = object;
    uint64_t size = object->is_directory ? 0 : status->stx_size;
    uint64_t fields[] = {object->number, (uint64_t)object->is_directory, (uint64_t)existed, size};
    record_text(RECORD_OBJECT, fields, 4, path);
    return object;
}

struct record_object *record_add_new(const struct statx *status, const char *path) { return add(status, path, 0); }

struct record_object *record_object_of(int descriptor) {
    struct statx status;
    if (record_status(descriptor, &status) != 0) return NULL;
    if (!S_ISREG(status.stx_mode) && !S_ISDIR(status.stx_mode)) return NULL;
    struct record_object *object = record_find(&status);
    if (object) return object;
    char path[PATH_MAX];
    record_path_of(descriptor, path, sizeof path);
    const char *relative = record_path_in_root(path);
    return relative ? add(&status, relative, 1) : NULL;
}

struct record_object *record_object_at(int directory, const char *path, int flags) {
    int open_flags = O_PATH | O_CLOEXEC | (flags & AT_SYMLINK_FOLLOW ? 0 : O_NOFOLLOW);
    int descriptor = (int)record_system(SYS_openat, directory, path, open_flags, 0);
    if (descriptor < 0) return NULL;
    struct record_object *object = record_object_of(descriptor);
    record_system(SYS_close, descriptor);
    return object;
}

// MARK: Beginning and end

static int open_log(const char *path) {
    int log = (int)record_system(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) record_abort("cannot be opened", "RECORD_LOG");
    // Out of the way: programs count on the lowest numbers.
    int moved = (int)record_system(SYS_fcntl, log, F_DUPFD_CLOEXEC, 201);
    if (moved < 0) return log;
    record_system(SYS_close, log);
    return moved;
}

static void log_command_line(void) {
    char line[PATH_MAX];
    int file = (int)record_system(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    long length = file < 0 ? 0 : record_system(SYS_read, file, line, sizeof line - 1);
    if (file >= 0) record_system(SYS_close, file);
    if (length < 0) length = 0;
    for (long i = 0; i < length; i++) {
        if (!line[i]) line[i] = ' ';
    }
    while (length > 0 && line[length - 1] == ' ') length--;
    line[length] = 0;
    record_text(RECORD_PROCESS, NULL, 0, line);
}

__attribute__((constructor)) static void begin(void) {
    record_system = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    const char *log = getenv("RECORD_LOG");
    if (!log) return;
    const char *root = getenv("RECORD_ROOT");
    if (!root) record_abort("is not set", "RECORD_ROOT");
    state.marks = getenv("RECORD_MARKS");
    int descriptor = (int)record_system(SYS_openat, AT_FDCWD, root, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (descriptor < 0) record_abort("is no directory", "RECORD_ROOT");
    record_path_of(descriptor, state.root, sizeof state.root);
    state.root_length = strlen(state.root);
    int opened = open_log(log);
    struct statx status;
    if (record_status(opened, &status) != 0) record_abort("cannot be asked for its size", "RECORD_LOG");
    // Higher than all of the processes before: each of their objects takes more than one byte of the log.
    state.next_number = (uint64_t)status.stx_size + 1;
    state.log = opened;
    log_command_line();
    record_object_of(descriptor);
    record_system(SYS_close, descriptor);
    // Whoever asked for the log is gone without reading it if it ends first.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

__attribute__((destructor)) static void end(void) {
    if (!recorder_is_active()) return;
    record_lock();
    record_scan();
    record_unlock();
}
