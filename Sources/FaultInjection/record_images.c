// Finds what was stored through mappings: by comparing each file that is mapped for writing with what the log says is in
// it. See recorder.h.
#define _GNU_SOURCE
#include "record_log.h"
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE_BYTE_COUNT 4096
#define WINDOW_BYTE_COUNT (64 * PAGE_BYTE_COUNT)

/// What a file holds as far as it is in the log.
struct record_image {
    struct record_object *object;
    /// Opened anew, so that closing it lets go of no lock.
    int descriptor;
    uint8_t *bytes;
    uint64_t byte_count, room;
    int mapping_count;
    struct record_image *next;
};

/// A shared mapping of a file in the root.
struct mapping {
    const char *start, *end;
    uint64_t offset;
    struct record_object *object;
    int is_writable;
    struct mapping *next;
};

static struct record_image *images;
static struct mapping *mappings;

// MARK: Images

static void reserve(struct record_image *image, uint64_t byte_count) {
    if (byte_count <= image->room) return;
    uint64_t room = byte_count + byte_count / 2 + PAGE_BYTE_COUNT;
    image->bytes = realloc(image->bytes, room);
    if (!image->bytes) record_abort("no memory", "malloc");
    memset(image->bytes + image->room, 0, room - image->room);
    image->room = room;
}

static void resize(struct record_image *image, uint64_t byte_count) {
    reserve(image, byte_count);
    if (byte_count < image->byte_count) memset(image->bytes + byte_count, 0, image->byte_count - byte_count);
    image->byte_count = byte_count;
}

static size_t read_fully(int descriptor, uint8_t *bytes, uint64_t offset, size_t byte_count) {
    size_t done = 0;
    while (done < byte_count) {
        long count = record_system(SYS_pread64, descriptor, bytes + done, byte_count - done, offset + done);
        if (count < 0) record_abort("a mapped file cannot be read", "pread");
        if (count == 0) break;
        done += (size_t)count;
    }
    return done;
}

static struct record_image *image_of(struct record_object *object, int descriptor) {
    if (object->image) return object->image;
    struct record_image *image = calloc(1, sizeof *image);
    if (!image) record_abort("no memory", "malloc");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    int opened = (int)record_system(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    struct statx status;
    if (opened < 0 || record_status(opened, &status) != 0) record_abort("a mapped file cannot be opened", "mmap");
    int moved = (int)record_system(SYS_fcntl, opened, F_DUPFD_CLOEXEC, 202);
    if (moved >= 0) {
        record_system(SYS_close, opened);
        opened = moved;
    }
    image->object = object;
    image->descriptor = opened;
    resize(image, status.stx_size);
    read_fully(opened, image->bytes, 0, image->byte_count);
    image->next = images;
    images = image;
    object->image = image;
    return image;
}

static void drop(struct record_image *image) {
    for (struct record_image **at = &images; *at; at = &(*at)->next) {
        if (*at != image) continue;
        *at = image->next;
        break;
    }
    image->object->image = NULL;
    record_system(SYS_close, image->descriptor);
    free(image->bytes);
    free(image);
}

static void compare(struct record_image *image, const uint8_t *found, uint64_t offset, size_t byte_count) {
    uint8_t *known = image->bytes + offset;
    if (memcmp(known, found, byte_count) == 0) return;
    for (size_t start = 0; start < byte_count; start += PAGE_BYTE_COUNT) {
        size_t count = byte_count - start < PAGE_BYTE_COUNT ? byte_count - start : PAGE_BYTE_COUNT;
        if (memcmp(known + start, found + start, count) == 0) continue;
        memcpy(known + start, found + start, count);
        uint64_t fields[] = {image->object->number, (offset + start) / PAGE_BYTE_COUNT};
        struct iovec piece = {known + start, count};
        record_event(RECORD_PAGE, fields, 2, &piece, 1);
    }
}

void record_scan(void) {
    static uint8_t window[WINDOW_BYTE_COUNT];
    for (struct record_image *image = images; image; image = image->next) {
        struct statx status;
        if (record_status(image->descriptor, &status) != 0) record_abort("a mapped file is gone", "fstat");
        if (status.stx_size != image->byte_count) {
            record_abort("the size of a mapped file changed by other means", "fstat");
        }
        for (uint64_t offset = 0; offset < image->byte_count; offset += WINDOW_BYTE_COUNT) {
            uint64_t left = image->byte_count - offset;
            size_t count = left < WINDOW_BYTE_COUNT ? (size_t)left : WINDOW_BYTE_COUNT;
            compare(image, window, offset, read_fully(image->descriptor, window, offset, count));
        }
    }
}

void record_image_write(
    struct record_object *object, uint64_t offset, const struct iovec *pieces, int count, size_t moved
) {
    struct record_image *image = object->image;
    if (!image) return;
    if (offset + moved > image->byte_count) resize(image, offset + moved);
    for (int i = 0; i < count && moved > 0; i++) {
        size_t length = pieces[i].iov_len < moved ? pieces[i].iov_len : moved;
        memcpy(image->bytes + offset, pieces[i].iov_base, length);
        offset += length;
        moved -= length;
    }
}

void record_image_resize(struct record_object *object, uint64_t byte_count) {
    if (object->image) resize(object->image, byte_count);
}

void record_image_zero(struct record_object *object, uint64_t offset, uint64_t byte_count) {
    struct record_image *image = object->image;
    if (!image || offset >= image->byte_count) return;
    uint64_t left = image->byte_count - offset;
    memset(image->bytes + offset, 0, byte_count < left ? byte_count : left);
}

// MARK: Mappings

static int is_passing(const char *path) {
    const char *name = strrchr(path, '/');
    return strcmp(name ? name + 1 : path, "lock.mdb") == 0;
}

void record_mapped(const void *address, size_t byte_count, int protection, int flags, int descriptor, int64_t offset) {
    int is_shared = (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
    if (!recorder_is_active() || descriptor < 0 || !is_shared) return;
    int saved = errno;
    char path[PATH_MAX];
    record_path_of(descriptor, path, sizeof path);
    if (is_passing(path)) return;
    record_lock();
    record_scan();
    struct record_object *object = record_object_of(descriptor);
    if (object) {
        struct mapping *mapping = calloc(1, sizeof *mapping);
        if (!mapping) record_abort("no memory", "malloc");
        int is_writable = (protection & PROT_WRITE) != 0;
        *mapping = (struct mapping){address, (const char *)address + byte_count, (uint64_t)offset, object, is_writable, mappings};
        mappings = mapping;
        if (mapping->is_writable) image_of(object, descriptor)->mapping_count++;
    }
    record_unlock();
    errno = saved;
}

static int overlaps(const struct mapping *mapping, const void *address, size_t byte_count) {
    return (const char *)address < mapping->end && (const char *)address + byte_count > mapping->start;
}

void record_unmapped(const void *address, size_t byte_count) {
    if (!recorder_is_active()) return;
    int saved = errno;
    record_lock();
    struct mapping **at = &mappings;
    while (*at) {
        struct mapping *mapping = *at;
        if (!overlaps(mapping, address, byte_count)) {
            at = &mapping->next;
            continue;
        }
        if ((const char *)address > mapping->start || (const char *)address + byte_count < mapping->end) {
            record_abort("takes away a part of a mapping", "munmap");
        }
        if (mapping->is_writable) {
            record_scan();
            if (--mapping->object->image->mapping_count == 0) drop(mapping->object->image);
        }
        *at = mapping->next;
        free(mapping);
    }
    record_unlock();
    errno = saved;
}

void record_protected(const void *address, size_t byte_count, int protection) {
    if (protection & PROT_WRITE) {
        if (!recorder_is_active()) return;
        record_lock();
        for (struct mapping *mapping = mappings; mapping; mapping = mapping->next) {
            if (!mapping->is_writable && overlaps(mapping, address, byte_count)) {
                record_abort("makes a mapping of a recorded file writable", "mprotect");
            }
        }
        record_unlock();
    }
}

void record_refuse_memory(const void *address, size_t byte_count, const char *call) {
    if (!recorder_is_active()) return;
    record_lock();
    for (struct mapping *mapping = mappings; mapping; mapping = mapping->next) {
        if (overlaps(mapping, address, byte_count)) record_abort("on a mapping of a recorded file", call);
    }
    record_unlock();
}

// MARK: Syncs of memory

static const struct mapping *mapping_at(const void *address) {
    for (const struct mapping *mapping = mappings; mapping; mapping = mapping->next) {
        if ((const char *)address >= mapping->start && (const char *)address < mapping->end) return mapping;
    }
    return NULL;
}

/// With the lock held, if there is something to be logged.
static int log_memory_sync(enum record_kind kind, const void *address, size_t byte_count) {
    const struct mapping *mapping = mapping_at(address);
    if (!mapping) return 0;
    record_scan();
    uint64_t offset = mapping->offset + (uint64_t)((const char *)address - mapping->start);
    uint64_t fields[] = {mapping->object->number, offset, byte_count};
    if (kind == RECORD_FAILED) record_text(kind, fields, 1, "msync");
    else record_event(kind, fields, 3, NULL, 0);
    return 1;
}

int record_memory_sync_begin(const void *address, size_t byte_count, int flags) {
    if (!recorder_is_active() || !(flags & MS_SYNC)) return 0;
    record_lock();
    int is_logged = log_memory_sync(RECORD_SYNC_BEGIN, address, byte_count);
    record_unlock();
    return is_logged;
}

void record_memory_sync_end(const void *address, size_t byte_count, int result) {
    int saved = errno;
    record_lock();
    log_memory_sync(result == 0 ? RECORD_SYNC_END : RECORD_FAILED, address, byte_count);
    record_unlock();
    errno = saved;
}
