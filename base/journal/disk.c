/* The disk as it is. */
#include "base/journal/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int disk_open(int directory, const char *name, int flags)
{
    return openat(directory, name, flags | O_CLOEXEC, 0600);
}

ssize_t disk_write(int fd, const void *data, size_t size, uint64_t offset)
{
    return pwrite(fd, data, size, (off_t)offset);
}

int disk_sync_data(int fd)
{
    return fdatasync(fd);
}

int disk_sync(int fd)
{
    return fsync(fd);
}

int disk_truncate(int fd, uint64_t size)
{
    return ftruncate(fd, (off_t)size);
}

int disk_rename(int directory, const char *from, const char *to)
{
    return renameat(directory, from, directory, to);
}

int disk_unlink(int directory, const char *name)
{
    return unlinkat(directory, name, 0);
}
