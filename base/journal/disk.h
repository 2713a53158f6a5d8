/*
 * Everything the journal does to the disk, and nothing else: the seam where a test puts a disk that
 * fails. Each is the system call of its name (a test replaces disk.c as a whole when it links). All
 * return -1 with errno set; all may block.
 */
#ifndef BASE_JOURNAL_DISK_H
#define BASE_JOURNAL_DISK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int disk_open(int directory, const char *name, int flags); /* O_CLOEXEC; mode 0600 when created */
ssize_t disk_write(int fd, const void *data, size_t size, uint64_t offset); /* may be short */
int disk_sync_data(int fd); /* fdatasync: the bytes and the size */
int disk_sync(int fd);      /* fsync: of a file, or of a directory's names */
int disk_truncate(int fd, uint64_t size);
int disk_rename(int directory, const char *from, const char *to);
int disk_unlink(int directory, const char *name);

#endif
