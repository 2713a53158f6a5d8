/* The seam of base/journal/disk.h, as a disk that can fail. */
#include "support/faulty_disk.h"

#include "base/err.h"
#include "base/journal/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR    512
#define FILES_MAX 64

static struct disk_fault fault;
static unsigned count;

/* For the power failure: what of each file is on the disk for sure. */
static struct file {
    ino_t inode;
    char path[PATH_MAX]; /* where it is now */
    char was[PATH_MAX];  /* its name before an unsynced rename; "": none */
    uint8_t *durable;
    size_t durable_size;
} files[FILES_MAX];
static size_t files_count;
static bool power;

void disk_fault_set(struct disk_fault f)
{
    fault = f;
    count = 0;
}

unsigned disk_fault_count(void)
{
    return count;
}

static bool fails(enum disk_call call)
{
    if (!(fault.calls & call) || fault.nth == 0) return false;
    count++;
    if (count != fault.nth && !(fault.dead && count > fault.nth)) return false;
    errno = fault.number;
    return true;
}

static void path_of(int fd, char ret[static PATH_MAX])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, ret, PATH_MAX - 1);
    CHECK(size > 0);
    ret[size] = 0;
}

/* The file's entry; made with its present content as durable if it is new. */
static struct file *file_of(int fd)
{
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    for (size_t i = 0; i < files_count; i++)
        if (files[i].inode == st.st_ino) return &files[i];
    CHECK(files_count < FILES_MAX);
    struct file *f = &files[files_count++];
    *f = (struct file){.inode = st.st_ino};
    path_of(fd, f->path);
    return f;
}

static uint8_t *content(int fd, size_t *ret_size)
{
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    *ret_size = (size_t)st.st_size;
    uint8_t *bytes = malloc(*ret_size + 1);
    CHECK(bytes && pread(fd, bytes, *ret_size, 0) == st.st_size);
    return bytes;
}

static void remember(int fd)
{
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    if (S_ISDIR(st.st_mode)) {
        for (size_t i = 0; i < files_count; i++)
            files[i].was[0] = 0;
        return;
    }
    struct file *f = file_of(fd);
    free(f->durable);
    f->durable = content(fd, &f->durable_size);
}

int disk_open(int directory, const char *name, int flags)
{
    if (fails(DISK_OPEN)) return -1;
    int fd = openat(directory, name, flags | O_CLOEXEC, 0600);
    if (fd >= 0 && power && !(flags & O_CREAT)) {
        size_t before = files_count;
        struct file *f = file_of(fd);
        if (files_count > before) f->durable = content(fd, &f->durable_size);
    }
    return fd;
}

ssize_t disk_write(int fd, const void *data, size_t size, uint64_t offset)
{
    if (!fails(DISK_WRITE)) {
        if (power) (void)file_of(fd);
        return pwrite(fd, data, size, (off_t)offset);
    }
    if (fault.lies) {
        uint8_t other = (uint8_t)(((const uint8_t *)data)[size - 1] ^ 1);
        CHECK(pwrite(fd, data, size - 1, (off_t)offset) == (ssize_t)(size - 1));
        CHECK(pwrite(fd, &other, 1, (off_t)(offset + size - 1)) == 1);
        return (ssize_t)size;
    }
    if (fault.torn && !(fault.dead && count > fault.nth)) {
        CHECK(pwrite(fd, data, size / 2, (off_t)offset) == (ssize_t)(size / 2));
        errno = fault.number;
    }
    return -1;
}

int disk_sync_data(int fd)
{
    if (fails(DISK_SYNC)) return -1;
    if (power) remember(fd);
    return power ? 0 : fdatasync(fd);
}

int disk_sync(int fd)
{
    if (fails(DISK_SYNC)) return -1;
    if (power) remember(fd);
    return power ? 0 : fsync(fd);
}

int disk_truncate(int fd, uint64_t size)
{
    if (fails(DISK_TRUNCATE)) return -1;
    return ftruncate(fd, (off_t)size);
}

int disk_rename(int directory, const char *from, const char *to)
{
    if (fails(DISK_RENAME)) return -1;
    if (power) {
        int fd = openat(directory, from, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        struct file *f = file_of(fd);
        memcpy(f->was, f->path, sizeof f->was);
        char *name = strrchr(f->path, '/') + 1;
        CHECK(strlen(to) + (size_t)(name - f->path) < sizeof f->path);
        memcpy(name, to, strlen(to) + 1);
        (void)close(fd);
    }
    return renameat(directory, from, directory, to);
}

int disk_unlink(int directory, const char *name)
{
    if (fails(DISK_UNLINK)) return -1;
    return unlinkat(directory, name, 0);
}

void disk_power_start(void)
{
    files_count = 0;
    power = true;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void cut_file(const struct file *f, uint64_t *seed)
{
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return; /* deleted */
    size_t size;
    uint8_t *now = content(fd, &size);
    for (size_t at = 0; at < size; at += SECTOR) {
        if (next_random(seed) % 2) continue; /* made it to the disk */
        size_t part = size - at < SECTOR ? size - at : SECTOR;
        memset(now + at, 0, part);
        if (at < f->durable_size) {
            size_t old = f->durable_size - at < part ? f->durable_size - at : part;
            memcpy(now + at, f->durable + at, old);
        }
    }
    if (size > f->durable_size && next_random(seed) % 2) size = f->durable_size;
    CHECK(pwrite(fd, now, size, 0) == (ssize_t)size && ftruncate(fd, (off_t)size) == 0);
    (void)close(fd);
    free(now);
    if (f->was[0] && next_random(seed) % 2) CHECK(rename(f->path, f->was) == 0);
}

void disk_power_cut(uint64_t seed)
{
    power = false;
    for (size_t i = 0; i < files_count; i++) {
        cut_file(&files[i], &seed);
        free(files[i].durable);
        files[i].durable = NULL;
    }
    files_count = 0;
}
