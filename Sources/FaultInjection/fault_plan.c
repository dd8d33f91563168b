// Reads what is to happen from the environment, counts calls, and decides. See fault_injection.h.
#define _GNU_SOURCE
#include "fault_injection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum repeat { ONCE, STICKY, ALTERNATE };

static struct {
    const char *calls;
    const char *path;
    const char *exempt;
    /// -1: anywhere.
    long long offset;
    long number;
    long stop_number;
    enum fault_action action;
    int signal;
    int error;
    const char *action_name;
    enum repeat repeat;
    int log;
} plan = {.offset = -1, .log = -1};

static atomic_long count;

static const struct { const char *name; int number; } errors[] = {
    {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE},
    {"ENOMEM", ENOMEM}, {"EFAULT", EFAULT}, {"EACCES", EACCES}, {"EPERM", EPERM}, {"EROFS", EROFS}, {"EAGAIN", EAGAIN},
    {"ENOENT", ENOENT}, {"EEXIST", EEXIST}, {"EINVAL", EINVAL}, {"EOPNOTSUPP", EOPNOTSUPP}, {"EFBIG", EFBIG},
};

// The library's own calls go past libc, so that they neither count nor fail.
static void say(int descriptor, const char *text, size_t byte_count) {
    syscall(SYS_write, descriptor, text, byte_count);
}

static void complain(const char *variable) {
    static const char text[] = "fault injection: wrong value of ";
    say(STDERR_FILENO, text, sizeof text - 1);
    say(STDERR_FILENO, variable, strlen(variable));
    say(STDERR_FILENO, "\n", 1);
    _exit(99);
}

static void read_action(const char *action) {
    plan.action_name = action;
    if (strcmp(action, "kill") == 0) {
        plan.signal = SIGKILL;
    } else if (strcmp(action, "stop") == 0) {
        plan.signal = SIGSTOP;
    } else if (strcmp(action, "torn") == 0) {
        plan.action = FAULT_TORN;
    } else if (strcmp(action, "short") == 0) {
        plan.action = FAULT_SHORT;
    } else {
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
            if (strcmp(action, errors[i].name) == 0) plan.error = errors[i].number;
        }
        if (!plan.error) complain("FAULT_ACTION");
        plan.action = FAULT_ERROR;
    }
}

__attribute__((constructor)) static void read_plan(void) {
    plan.calls = getenv("FAULT_CALLS");
    plan.path = getenv("FAULT_PATH");
    plan.exempt = getenv("FAULT_EXEMPT");
    const char *offset = getenv("FAULT_OFFSET");
    if (offset) plan.offset = strtoll(offset, NULL, 10);
    const char *number = getenv("FAULT_NUMBER");
    if (number) plan.number = strtol(number, NULL, 10);
    const char *stop_number = getenv("FAULT_STOP");
    if (stop_number) plan.stop_number = strtol(stop_number, NULL, 10);
    const char *repeat = getenv("FAULT_REPEAT");
    if (repeat && strcmp(repeat, "sticky") == 0) plan.repeat = STICKY;
    else if (repeat && strcmp(repeat, "alternate") == 0) plan.repeat = ALTERNATE;
    else if (repeat && strcmp(repeat, "once") != 0) complain("FAULT_REPEAT");
    const char *action = getenv("FAULT_ACTION");
    if (action) read_action(action);
    if (plan.number > 0 && !action) complain("FAULT_ACTION");
    const char *log = getenv("FAULT_LOG");
    if (log) {
        plan.log = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (plan.log < 0) complain("FAULT_LOG");
        // Out of the way: programs count on the lowest numbers.
        int moved = (int)syscall(SYS_fcntl, plan.log, F_DUPFD_CLOEXEC, 200);
        if (moved >= 0) {
            syscall(SYS_close, plan.log);
            plan.log = moved;
        }
    }
}

static int is_active(void) { return plan.number > 0 || plan.log >= 0; }

static int counts(const char *call) {
    if (!plan.calls) return 1;
    size_t length = strlen(call);
    for (const char *at = plan.calls; (at = strstr(at, call)); at += length) {
        if ((at == plan.calls || at[-1] == ',') && (at[length] == ',' || !at[length])) return 1;
    }
    return 0;
}

static int is_met(long number) {
    if (plan.number <= 0 || number < plan.number) return 0;
    switch (plan.repeat) {
    case ONCE: return number == plan.number;
    case STICKY: return 1;
    case ALTERNATE: return (number - plan.number) % 2 == 0;
    }
    return 0;
}

// To this thread, so that it does not go on while the signal looks for another one.
static void send_signal(int signal) { syscall(SYS_tgkill, (pid_t)syscall(SYS_getpid), (pid_t)syscall(SYS_gettid), signal); }

void fault_kill(void) {
    send_signal(SIGKILL);
    for (;;) pause();
}

size_t fault_half(size_t byte_count) { return byte_count > 1 ? byte_count / 2 : byte_count; }

enum fault_action fault_at(const char *call, const char *path) {
    if (!is_active() || !counts(call) || (plan.path && !strstr(path, plan.path))) return FAULT_NONE;
    if (plan.exempt && strstr(path, plan.exempt)) return FAULT_NONE;
    int saved = errno;
    long number = atomic_fetch_add(&count, 1) + 1;
    int met = is_met(number);
    if (plan.log >= 0) {
        char line[PATH_MAX + 128];
        int length = snprintf(line, sizeof line, "%ld %s %s %s\n", number, call, met ? plan.action_name : "-", path);
        if (length > (int)sizeof line - 1) length = (int)sizeof line - 1;
        say(plan.log, line, (size_t)length);
    }
    if (number == plan.stop_number) send_signal(SIGSTOP);
    if (met && plan.signal) send_signal(plan.signal);
    errno = met && plan.error ? plan.error : saved;
    return met ? plan.action : FAULT_NONE;
}

static void path_of(int descriptor, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, room - 1);
    path[length > 0 ? length : 0] = 0;
}

enum fault_action fault_at_descriptor(const char *call, int descriptor) {
    if (!is_active() || !counts(call)) return FAULT_NONE;
    int saved = errno;
    char path[PATH_MAX];
    path_of(descriptor, path, sizeof path);
    errno = saved;
    return fault_at(call, path);
}

enum fault_action fault_at_bytes(const char *call, int descriptor, size_t byte_count, long long offset) {
    int touches = plan.offset >= offset && plan.offset < offset + (long long)byte_count;
    return plan.offset < 0 || touches ? fault_at_descriptor(call, descriptor) : FAULT_NONE;
}

enum fault_action fault_at_entry(const char *call, int directory, const char *name) {
    if (!is_active() || !counts(call)) return FAULT_NONE;
    if (name[0] == '/') return fault_at(call, name);
    int saved = errno;
    char path[2 * PATH_MAX];
    if (directory == AT_FDCWD) {
        long length = syscall(SYS_getcwd, path, (size_t)PATH_MAX);
        path[length > 0 ? length - 1 : 0] = 0;
    } else {
        path_of(directory, path, PATH_MAX);
    }
    size_t length = strlen(path);
    snprintf(path + length, sizeof path - length, "/%s", name);
    errno = saved;
    return fault_at(call, path);
}

// MARK: Mapped files

#define MAPPING_COUNT 1024
static struct mapping {
    const char *start, *end;
    char path[512];
} mappings[MAPPING_COUNT];
static pthread_mutex_t mappings_lock = PTHREAD_MUTEX_INITIALIZER;

void fault_mapped(const void *address, size_t byte_count, int descriptor) {
    if (!is_active() || descriptor < 0) return;
    int saved = errno;
    pthread_mutex_lock(&mappings_lock);
    for (size_t i = 0; i < MAPPING_COUNT; i++) {
        if (mappings[i].start) continue;
        mappings[i].start = address;
        mappings[i].end = mappings[i].start + byte_count;
        path_of(descriptor, mappings[i].path, sizeof mappings[i].path);
        break;
    }
    pthread_mutex_unlock(&mappings_lock);
    errno = saved;
}

void fault_unmapped(const void *address) {
    if (!is_active()) return;
    pthread_mutex_lock(&mappings_lock);
    for (size_t i = 0; i < MAPPING_COUNT; i++) {
        if (mappings[i].start == address) mappings[i].start = NULL;
    }
    pthread_mutex_unlock(&mappings_lock);
}

enum fault_action fault_at_address(const char *call, const void *address) {
    if (!is_active() || !counts(call)) return FAULT_NONE;
    char path[sizeof mappings[0].path] = "";
    pthread_mutex_lock(&mappings_lock);
    for (size_t i = 0; i < MAPPING_COUNT; i++) {
        const char *at = address;
        if (mappings[i].start && at >= mappings[i].start && at < mappings[i].end) {
            memcpy(path, mappings[i].path, sizeof path);
            break;
        }
    }
    pthread_mutex_unlock(&mappings_lock);
    return fault_at(call, path);
}
