// Calls on memory that files are mapped into, and those that make a run the same each time. See interposed.h.
#define _GNU_SOURCE
#include "interposed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

// MARK: Mapped files

static void *map(void *(*next)(void *, size_t, int, int, int, off_t), void *address, size_t size, int protection,
                 int flags, int fd, off_t at) {
    if (fd >= 0 && fault_at_descriptor("mmap", fd) == FAULT_ERROR) return MAP_FAILED;
    void *mapped = next(address, size, protection, flags, fd, at);
    if (mapped == MAP_FAILED) return mapped;
    fault_mapped(mapped, size, fd);
    record_mapped(mapped, size, protection, flags, fd, at);
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
    record_unmapped(address, size);
    return next(address, size);
}

int mprotect(void *address, size_t size, int protection) {
    NEXT(mprotect, int, void *, size_t, int);
    record_protected(address, size, protection);
    return next(address, size, protection);
}

void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...) {
    NEXT(mremap, void *, void *, size_t, size_t, int, ...);
    va_list arguments;
    va_start(arguments, flags);
    void *wanted = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    record_refuse_memory(address, old_size, "mremap");
    return next(address, old_size, new_size, flags, wanted);
}

int msync(void *address, size_t size, int flags) {
    NEXT(msync, int, void *, size_t, int);
    int is_recorded = record_memory_sync_begin(address, size, flags);
    int result = WHOLE(fault_at_address("msync", address), next(address, size, flags));
    RECORDED(is_recorded, record_memory_sync_end(address, size, result), result);
}

int madvise(void *address, size_t size, int advice) {
    NEXT(madvise, int, void *, size_t, int);
    if (advice == MADV_REMOVE) record_refuse_memory(address, size, "madvise(MADV_REMOVE)");
    const char *call = advice == MADV_POPULATE_READ    ? "populate_read"
                       : advice == MADV_POPULATE_WRITE ? "populate_write"
                                                       : "madvise";
    return WHOLE(fault_at_address(call, address), next(address, size, advice));
}

// MARK: Chance and dates

static pthread_mutex_t seed_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t random_state;
static int64_t now_nanoseconds;
static enum { UNKNOWN, SEEDED, NOT_SEEDED } seeding;

/// Whether chance and dates are to be made from the seed; with the lock held if so.
static int seeded(void) {
    pthread_mutex_lock(&seed_lock);
    if (seeding == UNKNOWN) {
        const char *seed = getenv("RECORD_SEED");
        seeding = seed && recorder_is_active() ? SEEDED : NOT_SEEDED;
        if (seed) random_state = strtoull(seed, NULL, 10);
        // 2023-11-14; a millisecond passes with each look.
        now_nanoseconds = 1700000000000000000;
    }
    if (seeding == SEEDED) return 1;
    pthread_mutex_unlock(&seed_lock);
    return 0;
}

/// SplitMix64.
static uint64_t next_random(void) {
    uint64_t value = random_state += 0x9E3779B97F4A7C15;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    return value ^ (value >> 31);
}

ssize_t getrandom(void *bytes, size_t n, unsigned flags) {
    NEXT(getrandom, ssize_t, void *, size_t, unsigned);
    if (!seeded()) return next(bytes, n, flags);
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word = next_random();
        memcpy((char *)bytes + i, &word, n - i < sizeof word ? n - i : sizeof word);
    }
    pthread_mutex_unlock(&seed_lock);
    return (ssize_t)n;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    NEXT(clock_gettime, int, clockid_t, struct timespec *);
    if (clock != CLOCK_REALTIME || !seeded()) return next(clock, time);
    now_nanoseconds += 1000000;
    time->tv_sec = now_nanoseconds / 1000000000;
    time->tv_nsec = now_nanoseconds % 1000000000;
    pthread_mutex_unlock(&seed_lock);
    return 0;
}
