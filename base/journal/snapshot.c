/* Snapshots: written aside, read back, renamed; and the deletion of what they make superfluous. */
#include "base/journal/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_file(int *fd)
{
    if (*fd >= 0) (void)close(*fd);
}
#define AUTO_FILE AUTO(close_file)

enum err snapshot_read(struct journal *j, uint64_t seq, struct snapshot_header *ret,
                       void **ret_data, struct err_detail *detail)
{
    char name[FILE_NAME_SIZE];
    file_name(seq, SNAPSHOT_SUFFIX, name);
    AUTO_FILE int fd = disk_open(j->directory, name, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_set(detail, ERR_IO, "journal %s: %s: %m", j->name, name);

    uint8_t bytes[SNAPSHOT_HEADER_SIZE];
    struct snapshot_header h;
    if (file_read(fd, bytes, sizeof bytes, 0) != OK)
        return err_set(detail, ERR_NOT_FOUND, "%s: the file ends within its header", name);
    enum format f = snapshot_header_get(bytes, &h);
    if (f == FORMAT_NOT) return err_set(detail, ERR_NOT_FOUND, "%s: a damaged header", name);
    if (f == FORMAT_FOREIGN)
        return err_set(detail, ERR_CORRUPT, "journal %s: %s: of a newer version", j->name, name);
    if (strcmp(h.name, j->name) != 0)
        return err_set(detail, ERR_CORRUPT, "journal %s: %s: of another shard", j->name, name);
    if (h.seq != seq)
        return err_set(detail, ERR_CORRUPT, "journal %s: %s: its name is not its seq", j->name,
                       name);
    if ((uint64_t)st.st_size != sizeof bytes + h.size)
        return err_set(detail, ERR_NOT_FOUND, "%s: not the size its header says", name);

    AUTO_FREE uint8_t *data = malloc(h.size + 1);
    if (!data) return err_set(detail, ERR_NO_MEMORY, "%s: %" PRIu64 " bytes", name, h.size);
    if (file_read(fd, data, h.size, sizeof bytes) != OK)
        return err_set(detail, ERR_NOT_FOUND, "%s: cannot be read", name);
    uint8_t hash[SHA256_SIZE];
    crypt_sha256(data, h.size, hash);
    if (memcmp(hash, h.hash, sizeof hash) != 0)
        return err_set(detail, ERR_NOT_FOUND, "%s: damaged data", name);
    *ret = h;
    *ret_data = TAKE(data);
    return OK;
}

/* What the disk gives back is what was written. The page cache is asked to forget it first. */
static enum err read_back(int fd, const void *expected, size_t size, uint64_t offset)
{
    static const size_t step = 256 * 1024;
    AUTO_FREE uint8_t *bytes = malloc(step);
    if (!bytes) return ERR_NO_MEMORY;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    for (size_t at = 0; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        enum err e = file_read(fd, bytes, n, offset + at);
        if (e) return e;
        if (memcmp(bytes, (const uint8_t *)expected + at, n) != 0) return ERR_CORRUPT;
    }
    return OK;
}

static enum err snapshot_write(struct journal *j, const char *temp, const void *data, size_t size)
{
    struct snapshot_header h = {.seq = j->last_seq, .size = size};
    memcpy(h.chain, j->chain, sizeof h.chain);
    memcpy(h.name, j->name, sizeof h.name);
    crypt_sha256(data, size, h.hash);
    uint8_t bytes[SNAPSHOT_HEADER_SIZE];
    snapshot_header_put(&h, bytes);

    AUTO_FILE int fd = disk_open(j->directory, temp, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) return err_from_errno(errno);
    enum err e = file_write(fd, bytes, sizeof bytes, 0);
    if (!e) e = file_write(fd, data, size, sizeof bytes);
    if (!e && disk_sync(fd) != 0) e = err_from_errno(errno);
    if (!e) e = read_back(fd, bytes, sizeof bytes, 0);
    if (!e) e = read_back(fd, data, size, sizeof bytes);
    return e;
}

/* What neither the new snapshot nor the one before needs. A file that stays is tried again next
 * time. */
static void prune(struct journal *j, uint64_t older_seq, uint64_t keep_after_seq)
{
    char name[FILE_NAME_SIZE];
    struct seq_list list = {0};
    if (files_list(j->directory, SNAPSHOT_SUFFIX, &list) == OK)
        for (size_t i = 0; i < list.count; i++) {
            if (list.seqs[i] == j->last_seq || list.seqs[i] == older_seq) continue;
            file_name(list.seqs[i], SNAPSHOT_SUFFIX, name);
            (void)disk_unlink(j->directory, name);
        }
    free(list.seqs);

    uint64_t keep = older_seq < keep_after_seq ? older_seq : keep_after_seq;
    list = (struct seq_list){0};
    if (files_list(j->directory, SEGMENT_SUFFIX, &list) == OK)
        for (size_t i = 0; i + 1 < list.count && list.seqs[i + 1] <= keep + 1; i++) {
            file_name(list.seqs[i], SEGMENT_SUFFIX, name);
            if (disk_unlink(j->directory, name) != 0) break; /* never a gap */
        }
    free(list.seqs);
}

enum err journal_snapshot(struct journal *j, const void *data, size_t size, uint64_t keep_after_seq,
                          struct err_detail *detail)
{
    if (j->failed) return err_set(detail, ERR_IO, "journal %s: failed before", j->name);
    if (size > JOURNAL_SNAPSHOT_SIZE_MAX)
        return err_set(detail, ERR_INVALID, "journal %s: a snapshot of %zu bytes", j->name, size);

    char temp[FILE_NAME_SIZE], name[FILE_NAME_SIZE];
    file_name(j->last_seq, TEMP_SUFFIX, temp);
    file_name(j->last_seq, SNAPSHOT_SUFFIX, name);
    enum err e = snapshot_write(j, temp, data, size);
    if (!e && disk_rename(j->directory, temp, name) != 0) e = err_from_errno(errno);
    if (e) {
        err_set(detail, e, "journal %s: %s cannot be written: %m", j->name, name);
        (void)disk_unlink(j->directory, temp);
        return e;
    }
    if (disk_sync(j->directory) != 0)
        return err_set(detail, ERR_IO, "journal %s: %s: %m", j->name, name);

    uint64_t older_seq = j->snapshot_seq;
    j->snapshot_seq = j->last_seq;
    j->bytes_since_snapshot = 0;
    if (older_seq != j->last_seq) prune(j, older_seq, keep_after_seq);
    return OK;
}
