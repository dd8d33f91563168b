// See faulty_disk.h.
#define _GNU_SOURCE
#include "faulty_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOT_NODE = FUSE_ROOT_ID, DISK_NODE = 2, MAXIMUM_BYTE_COUNT = FAULTY_DISK_WRITE_BYTES, OWNER_POLL_MILLISECONDS = 500 };

static struct {
    int device, image, log, owner;
    uint64_t byte_count;
    struct faulty_disk_control *control;
} disk = {.log = -1};

// MARK: Answers

static void answer(const struct fuse_in_header *request, int error, const void *bytes, size_t byte_count) {
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + (error ? 0 : byte_count)), .error = -error, .unique = request->unique};
    struct iovec pieces[] = {{&header, sizeof header}, {(void *)bytes, byte_count}};
    // A request that was given up meanwhile has nobody who waits for the answer.
    if (writev(disk.device, pieces, error || !byte_count ? 1 : 2) < 0) return;
}

static struct fuse_attr attributes(uint64_t node) {
    struct fuse_attr attributes = {.ino = node, .nlink = 1, .blksize = 4096};
    attributes.mode = node == ROOT_NODE ? S_IFDIR | 0700 : S_IFREG | 0600;
    attributes.size = node == ROOT_NODE ? 0 : disk.byte_count;
    attributes.blocks = attributes.size / 512;
    return attributes;
}

static void look_up(const struct fuse_in_header *request, const char *name) {
    if (strcmp(name, "disk") != 0) return answer(request, ENOENT, NULL, 0);
    struct fuse_entry_out entry = {.nodeid = DISK_NODE, .attr_valid = 3600, .attr = attributes(DISK_NODE)};
    answer(request, 0, &entry, sizeof entry);
}

static void initialize(const struct fuse_in_header *request, const struct fuse_init_in *asked) {
    struct fuse_init_out reply = {
        .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_readahead = asked->max_readahead,
        .flags = asked->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES), .max_background = 16, .congestion_threshold = 12,
        .max_write = MAXIMUM_BYTE_COUNT, .time_gran = 1, .max_pages = MAXIMUM_BYTE_COUNT / 4096};
    answer(request, 0, &reply, sizeof reply);
}

// MARK: Bytes

static int fails(uint64_t number, uint64_t failing) {
    return failing && (number == failing || (disk.control->is_sticky && number > failing));
}

static void keep(uint64_t offset, const void *bytes, uint64_t byte_count) {
    if (disk.log < 0) return;
    uint64_t header[] = {offset, byte_count};
    struct iovec pieces[] = {{header, sizeof header}, {(void *)bytes, byte_count}};
    // Without a whole log nothing that follows means anything.
    if (writev(disk.log, pieces, byte_count ? 2 : 1) != (ssize_t)(sizeof header + byte_count)) _exit(1);
}

static void read_bytes(const struct fuse_in_header *request, const struct fuse_read_in *asked, char *buffer) {
    struct faulty_disk_control *control = disk.control;
    uint64_t end = asked->offset + asked->size;
    if (asked->offset < control->read_error_end && end > control->read_error_start) {
        control->failed_read_count++;
        return answer(request, EIO, NULL, 0);
    }
    size_t wanted = asked->size < MAXIMUM_BYTE_COUNT ? asked->size : MAXIMUM_BYTE_COUNT;
    ssize_t count = pread(disk.image, buffer, wanted, (off_t)asked->offset);
    answer(request, count < 0 ? errno : 0, buffer, count < 0 ? 0 : (size_t)count);
}

static void write_bytes(const struct fuse_in_header *request, const struct fuse_write_in *asked) {
    struct faulty_disk_control *control = disk.control;
    const void *bytes = asked + 1;
    if (fails(++control->write_count, control->failing_write)) {
        control->failed_write_count++;
        return answer(request, EIO, NULL, 0);
    }
    ssize_t count = pwrite(disk.image, bytes, asked->size, (off_t)asked->offset);
    if (count != (ssize_t)asked->size) return answer(request, count < 0 ? errno : ENOSPC, NULL, 0);
    keep(asked->offset, bytes, asked->size);
    struct fuse_write_out reply = {.size = asked->size};
    answer(request, 0, &reply, sizeof reply);
}

static void flush(const struct fuse_in_header *request) {
    struct faulty_disk_control *control = disk.control;
    if (fails(++control->flush_count, control->failing_flush)) {
        control->failed_flush_count++;
        return answer(request, EIO, NULL, 0);
    }
    keep(0, NULL, 0);
    answer(request, 0, NULL, 0);
}

// MARK: Requests

static void serve(const struct fuse_in_header *request, char *buffer) {
    const void *body = request + 1;
    switch (request->opcode) {
    case FUSE_INIT: return initialize(request, body);
    case FUSE_LOOKUP: return look_up(request, body);
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
        struct fuse_attr_out reply = {.attr_valid = 3600, .attr = attributes(request->nodeid)};
        return answer(request, 0, &reply, sizeof reply);
    }
    case FUSE_OPEN: {
        // So that what the loop device writes and flushes comes here at once, and not when a cache likes.
        struct fuse_open_out reply = {.open_flags = FOPEN_DIRECT_IO};
        return answer(request, 0, &reply, sizeof reply);
    }
    case FUSE_READ: return read_bytes(request, body, buffer);
    case FUSE_WRITE: return write_bytes(request, body);
    case FUSE_FSYNC: return flush(request);
    case FUSE_FLUSH:
    case FUSE_RELEASE: return answer(request, 0, NULL, 0);
    case FUSE_STATFS: {
        struct fuse_statfs_out reply = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
        return answer(request, 0, &reply, sizeof reply);
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return;
    default: return answer(request, ENOSYS, NULL, 0);
    }
}

static void serve_all(void) {
    size_t room = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in) + MAXIMUM_BYTE_COUNT + 4096;
    char *request = malloc(room), *buffer = malloc(MAXIMUM_BYTE_COUNT);
    if (!request || !buffer) return;
    for (;;) {
        struct pollfd waiting = {.fd = disk.device, .events = POLLIN};
        if (poll(&waiting, 1, OWNER_POLL_MILLISECONDS) == 0) {
            if (kill(disk.owner, 0) != 0 && errno == ESRCH) return;
            continue;
        }
        ssize_t byte_count = read(disk.device, request, room);
        if (byte_count < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
        // ENODEV: it was unmounted.
        if (byte_count < (ssize_t)sizeof(struct fuse_in_header)) return;
        serve((const struct fuse_in_header *)request, buffer);
    }
}

// MARK: Start

static int open_all(const struct faulty_disk_options *options, const char **call) {
    *call = options->image;
    disk.image = open(options->image, O_RDWR | O_CLOEXEC);
    struct stat status;
    if (disk.image < 0 || fstat(disk.image, &status) != 0) return errno;
    disk.byte_count = (uint64_t)status.st_size;
    *call = options->control;
    int control = open(options->control, O_RDWR | O_CLOEXEC);
    if (control < 0) return errno;
    disk.control = mmap(NULL, sizeof *disk.control, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);
    if (disk.control == MAP_FAILED) return errno;
    *call = options->log;
    if (options->log) disk.log = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (options->log && disk.log < 0) return errno;
    *call = "/dev/fuse";
    disk.device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    return disk.device < 0 ? errno : 0;
}

int faulty_disk_start(const struct faulty_disk_options *options, const char **call) {
    int error = open_all(options, call);
    if (error) return error;
    disk.owner = options->owner;
    char text[128];
    snprintf(text, sizeof text, "fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=%d", disk.device, MAXIMUM_BYTE_COUNT);
    *call = "mount";
    if (mount("pfs-faulty-disk", options->mount_point, "fuse", MS_NOSUID | MS_NODEV, text) != 0) return errno;
    *call = "fork";
    pid_t server = fork();
    if (server < 0) return errno;
    if (server > 0) return 0;
    // Nobody waits for it: it has no session, no streams, and keeps no directory busy.
    setsid();
    int nothing = open("/dev/null", O_RDWR);
    for (int stream = 0; nothing >= 0 && stream < 3; stream++) dup2(nothing, stream);
    if (chdir("/") != 0) _exit(1);
    serve_all();
    _exit(0);
}

// MARK: Extents

int faulty_disk_extents(const char *path, struct faulty_disk_extent *extents, int room) {
    size_t byte_count = sizeof(struct fiemap) + (size_t)room * sizeof(struct fiemap_extent);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    struct fiemap *map = calloc(1, byte_count);
    if (!map) {
        close(file);
        return -1;
    }
    map->fm_length = ~0ull;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = (uint32_t)room;
    int count = ioctl(file, FS_IOC_FIEMAP, map) == 0 ? (int)map->fm_mapped_extents : -1;
    for (int i = 0; i < count && i < room; i++) {
        extents[i] = (struct faulty_disk_extent){
            map->fm_extents[i].fe_logical, map->fm_extents[i].fe_physical, map->fm_extents[i].fe_length};
    }
    int error = errno;
    free(map);
    close(file);
    errno = error;
    return count;
}
