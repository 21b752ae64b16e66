/* A shim between a program and the disk, loaded with LD_PRELOAD. It fails chosen writes and syncs, and records every write, sync
 * and truncation of chosen files, so that a test can rebuild what a disk may hold after a power cut. README.md says how to use it.
 *
 *   IOFAULT_MATCH   files whose path contains this text are watched; without it the shim does nothing
 *   IOFAULT_TRACE   record what happens to watched files in this file
 *   IOFAULT_OP      which calls may fail: "write" (also truncations) or "sync"
 *   IOFAULT_AT      the number of the call that fails, counted from 1 over all watched files
 *   IOFAULT_ERRNO   the error it fails with, as a number
 *   IOFAULT_STICKY  "1": every later call of that kind fails too, as on a full disk
 *   IOFAULT_SHORT   "1": a write that fails has written half of its bytes
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);

static const char *match;
static int trace = -1;
static int fails_sync, sticky, half, error_number;
static unsigned long fails_at, writes_seen, syncs_seen;

/* Held from before a call to after its record, so that the trace has the order in which things happened. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_one(const char *name) {
    const char *value = getenv(name);
    return value != NULL && strcmp(value, "1") == 0;
}

__attribute__((constructor)) static void start(void) {
    const char *op = getenv("IOFAULT_OP");
    const char *at = getenv("IOFAULT_AT");
    const char *number = getenv("IOFAULT_ERRNO");
    const char *path = getenv("IOFAULT_TRACE");
    real_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    real_pwrite = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate64");
    match = getenv("IOFAULT_MATCH");
    fails_sync = op != NULL && strcmp(op, "sync") == 0;
    fails_at = at != NULL ? strtoul(at, NULL, 10) : 0;
    error_number = number != NULL ? atoi(number) : EIO;
    sticky = is_one("IOFAULT_STICKY");
    half = is_one("IOFAULT_SHORT");
    if (match != NULL && path != NULL) {
        trace = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (trace < 0) {
            abort();
        }
    }
}

/* Writes the path of a descriptor into `path` and says whether it is watched. */
static int watched(int fd, char *path, size_t room) {
    char link[64];
    ssize_t length;
    if (match == NULL) {
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, room - 1);
    if (length <= 0) {
        return 0;
    }
    path[length] = '\0';
    return fd != trace && strstr(path, match) != NULL;
}

/* Whether the call that is being made is to fail. */
static int fails(int is_sync) {
    unsigned long seen = is_sync ? ++syncs_seen : ++writes_seen;
    if (fails_at == 0 || is_sync != fails_sync) {
        return 0;
    }
    return seen == fails_at || (sticky && seen > fails_at);
}

/* One record: kind, length of the path, offset, length of the data, path, data. Integers are little endian. */
static void record(char kind, const char *path, uint64_t offset, const void *data, uint32_t length) {
    unsigned char head[15];
    uint16_t path_length = (uint16_t)strlen(path);
    struct iovec parts[3];
    size_t size = sizeof head + path_length + length;
    if (trace < 0) {
        return;
    }
    head[0] = (unsigned char)kind;
    memcpy(head + 1, &path_length, 2);
    memcpy(head + 3, &offset, 8);
    memcpy(head + 11, &length, 4);
    parts[0].iov_base = head;
    parts[0].iov_len = sizeof head;
    parts[1].iov_base = (void *)path;
    parts[1].iov_len = path_length;
    parts[2].iov_base = (void *)data;
    parts[2].iov_len = length;
    if (writev(trace, parts, 3) != (ssize_t)size) {
        abort();
    }
}

static ssize_t watched_write(int fd, const char *path, const void *data, size_t size, off_t offset) {
    ssize_t written;
    if (!fails(0)) {
        written = real_pwrite(fd, data, size, offset);
        if (written > 0) {
            record('W', path, (uint64_t)offset, data, (uint32_t)written);
        }
        return written;
    }
    if (half && size > 1) {
        written = real_pwrite(fd, data, size / 2, offset);
        if (written > 0) {
            record('W', path, (uint64_t)offset, data, (uint32_t)written);
        }
    }
    errno = error_number;
    return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
    char path[4096];
    ssize_t written;
    if (!watched(fd, path, sizeof path)) {
        return real_pwrite(fd, data, size, offset);
    }
    pthread_mutex_lock(&lock);
    written = watched_write(fd, path, data, size, offset);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t write(int fd, const void *data, size_t size) {
    char path[4096];
    ssize_t written;
    off_t offset;
    if (real_write == NULL) {
        /* Another constructor writes before ours has run. */
        real_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    }
    if (!watched(fd, path, sizeof path) || (offset = lseek(fd, 0, SEEK_CUR)) < 0) {
        return real_write(fd, data, size);
    }
    pthread_mutex_lock(&lock);
    written = watched_write(fd, path, data, size, offset);
    if (written > 0) {
        lseek(fd, offset + written, SEEK_SET);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

static int watched_sync(int fd, int (*real)(int)) {
    char path[4096];
    int result = -1;
    if (!watched(fd, path, sizeof path)) {
        return real(fd);
    }
    pthread_mutex_lock(&lock);
    if (fails(1)) {
        errno = error_number;
    } else {
        result = real(fd);
        if (result == 0) {
            record('S', path, 0, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return watched_sync(fd, real_fsync); }

int fdatasync(int fd) { return watched_sync(fd, real_fdatasync); }

int ftruncate64(int fd, off_t size) {
    char path[4096];
    int result = -1;
    if (!watched(fd, path, sizeof path)) {
        return real_ftruncate(fd, size);
    }
    pthread_mutex_lock(&lock);
    if (fails(0)) {
        errno = error_number;
    } else {
        result = real_ftruncate(fd, size);
        if (result == 0) {
            record('T', path, (uint64_t)size, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
