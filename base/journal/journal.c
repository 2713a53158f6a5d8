/* The open journal: the lock, segments, and appending. What opening reads is in recover.c. */
#include "base/journal/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_file(int fd)
{
    if (fd >= 0) (void)close(fd);
}

void journal_close(struct journal *j)
{
    if (!j) return;
    close_file(j->segment);
    close_file(j->directory);
    close_file(j->lock); /* the lock goes with it */
    free(j->record);
    free(j);
}

/* mkdir -p; each new name is synced in the directory above it. */
static enum err make_directory(const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part) return ERR_INVALID;
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0700) != 0) {
            if (errno == EEXIST) continue;
            return err_from_errno(errno);
        }
        int above = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (above < 0) return err_from_errno(errno);
        int parent = openat(above, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int synced = parent < 0 ? -1 : disk_sync(parent);
        close_file(parent);
        close_file(above);
        if (synced != 0) return ERR_IO;
    }
    return OK;
}

static enum err lock_directory(struct journal *j, const char *path, struct err_detail *detail)
{
    enum err e = make_directory(path);
    if (e) return err_set(detail, e, "%s: cannot be created: %m", path);
    j->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (j->directory < 0) return err_set(detail, err_from_errno(errno), "%s: %m", path);
    j->lock = disk_open(j->directory, "lock", O_RDWR | O_CREAT);
    if (j->lock < 0) return err_set(detail, err_from_errno(errno), "%s/lock: %m", path);
    if (flock(j->lock, LOCK_EX | LOCK_NB) == 0) return OK;
    if (errno != EWOULDBLOCK) return err_set(detail, ERR_IO, "%s/lock: %m", path);
    return err_set(detail, ERR_EXISTS, "%s: another process has this journal open", path);
}

enum err journal_open(const struct journal_options *options, const struct journal_reader *reader,
                      struct journal **ret, struct err_detail *detail)
{
    if (detail) detail->text[0] = 0;
    size_t name_size = strlen(options->name);
    if (name_size < 1 || name_size > JOURNAL_NAME_MAX)
        return err_set(detail, ERR_INVALID, "a journal's name has 1 to %d bytes", JOURNAL_NAME_MAX);

    AUTO_JOURNAL struct journal *j = calloc(1, sizeof *j);
    if (!j) return ERR_NO_MEMORY;
    j->directory = j->lock = j->segment = -1;
    memcpy(j->name, options->name, name_size);
    j->segment_size = options->segment_size ? options->segment_size : JOURNAL_SEGMENT_SIZE;

    enum err e = lock_directory(j, options->directory, detail);
    if (e) return e;
    e = recover(j, reader, detail);
    if (e) return e;
    *ret = TAKE(j);
    return OK;
}

/* Made whole under another name first, so that a segment always has its header. */
static enum err segment_create(struct journal *j, const char *temp, const char *name, int *ret)
{
    struct segment_header h = {.first_seq = j->last_seq + 1};
    memcpy(h.chain, j->chain, sizeof h.chain);
    memcpy(h.name, j->name, sizeof h.name);
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_header_put(&h, bytes);

    int fd = disk_open(j->directory, temp, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) return err_from_errno(errno);
    enum err e = file_write(fd, bytes, sizeof bytes, 0);
    if (!e && disk_sync(fd) != 0) e = err_from_errno(errno);
    if (!e && disk_rename(j->directory, temp, name) != 0) e = err_from_errno(errno);
    if (e) {
        int number = errno;
        (void)disk_unlink(j->directory, temp);
        close_file(fd);
        errno = number;
        return e;
    }
    *ret = fd;
    return OK;
}

enum err segment_begin(struct journal *j, struct err_detail *detail)
{
    char temp[FILE_NAME_SIZE], name[FILE_NAME_SIZE];
    file_name(j->last_seq + 1, TEMP_SUFFIX, temp);
    file_name(j->last_seq + 1, SEGMENT_SUFFIX, name);
    int fd = -1;
    enum err e = segment_create(j, temp, name, &fd);
    if (!e && disk_sync(j->directory) != 0) e = ERR_IO;
    if (e) {
        err_set(detail, e, "%s: cannot be created: %m", name);
        close_file(fd);
        return e;
    }
    close_file(j->segment);
    j->segment = fd;
    j->first_seq = j->last_seq + 1;
    j->end = j->filled = SEGMENT_HEADER_SIZE;
    return OK;
}

/* Nothing more is accepted; what is on disk only a new start knows. */
static enum err fail(struct journal *j, const char *what, struct err_detail *detail)
{
    j->failed = true;
    return err_set(detail, ERR_IO, "journal %s: %s: %m", j->name, what);
}

/*
 * A file that grows needs its size written with each sync: ~130 us for 4 KiB. One already full of
 * zeros needs only the data: ~90 us (ext4 on a virtual NVMe; fallocate alone gains nothing, its
 * blocks are still marked unwritten). So zeros go ahead of the records; if they do not fit, all
 * works without.
 */
static void fill_ahead(struct journal *j)
{
    static uint8_t zeros[JOURNAL_AHEAD_SIZE]; /* not const: so it takes no room in the binary */
    if (j->end <= j->filled) return;
    j->filled = j->end;
    if (j->end >= j->segment_size) return;
    uint64_t room = j->segment_size - j->end;
    size_t size = room < sizeof zeros ? (size_t)room : sizeof zeros;
    if (file_write(j->segment, zeros, size, j->end) == OK) j->filled = j->end + size;
}

/* The record is not there and the next may be written: the truncation is durable. */
static enum err undo(struct journal *j, enum err e, struct err_detail *detail)
{
    err_set(detail, e, "journal %s: cannot be written: %m", j->name);
    if (e != ERR_FULL) return fail(j, "cannot be written", detail);
    if (disk_truncate(j->segment, j->end) != 0) return fail(j, "cannot be truncated", detail);
    if (disk_sync_data(j->segment) != 0) return fail(j, "cannot be synced", detail);
    j->filled = j->end;
    return e;
}

static enum err write_record(struct journal *j, size_t size, size_t count,
                             struct err_detail *detail)
{
    enum err e = file_write(j->segment, j->record, size, j->end);
    if (e) return undo(j, e, detail);
    uint64_t start = j->end;
    j->end += size;
    fill_ahead(j);
    if (disk_sync_data(j->segment) != 0) {
        j->end = start;
        return fail(j, "cannot be synced", detail);
    }
    crypt_sha256(j->record, size, j->chain);
    j->last_seq += count;
    j->bytes_since_snapshot += size;
    j->syncs++;
    return OK;
}

static enum err check_limits(const struct iovec *entries, size_t count, struct err_detail *detail)
{
    if (count < 1 || count > JOURNAL_BATCH_MAX)
        return err_set(detail, ERR_INVALID, "a batch has 1 to %d entries, not %zu",
                       JOURNAL_BATCH_MAX, count);
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].iov_len < 1 || entries[i].iov_len > JOURNAL_ENTRY_SIZE_MAX)
            return err_set(detail, ERR_INVALID, "an entry has 1 to %d bytes, not %zu",
                           JOURNAL_ENTRY_SIZE_MAX, entries[i].iov_len);
        sum += entries[i].iov_len;
    }
    if (sum > JOURNAL_BATCH_SIZE_MAX)
        return err_set(detail, ERR_INVALID, "a batch has at most %d bytes, not %zu",
                       JOURNAL_BATCH_SIZE_MAX, sum);
    return OK;
}

static enum err reserve_record(struct journal *j, size_t size)
{
    size_t capacity = j->record_capacity ? j->record_capacity : 64 * 1024;
    while (capacity < size)
        capacity *= 2;
    if (capacity == j->record_capacity) return OK;
    uint8_t *larger = realloc(j->record, capacity);
    if (!larger) return ERR_NO_MEMORY;
    j->record = larger;
    j->record_capacity = capacity;
    return OK;
}

enum err journal_append(struct journal *j, const struct iovec *entries, size_t count,
                        struct err_detail *detail)
{
    if (j->failed) return err_set(detail, ERR_IO, "journal %s: failed before", j->name);
    enum err e = check_limits(entries, count, detail);
    if (e) return e;

    size_t size = record_size(entries, count);
    e = reserve_record(j, size);
    if (e) return err_set(detail, e, "a record of %zu bytes", size);
    if (j->last_seq >= j->first_seq && j->end + size > j->segment_size) {
        e = segment_begin(j, detail);
        if (e == ERR_FULL || e == ERR_NO_MEMORY) return e;
        if (e) return fail(j, "no new segment", detail);
    }
    record_put(j->last_seq + 1, j->chain, entries, count, j->record);
    return write_record(j, size, count, detail);
}

uint64_t journal_last_seq(const struct journal *j)
{
    return j->last_seq;
}

uint64_t journal_bytes_since_snapshot(const struct journal *j)
{
    return j->bytes_since_snapshot;
}

uint64_t journal_syncs(const struct journal *j)
{
    return j->syncs;
}
