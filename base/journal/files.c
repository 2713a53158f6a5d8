/* Names, lists and whole reads and writes of the journal's files. */
#include "base/journal/journal_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SEQ_DIGITS 20

void file_name(uint64_t seq, const char *suffix, char ret[static FILE_NAME_SIZE])
{
    (void)snprintf(ret, FILE_NAME_SIZE, "%020" PRIu64 "%s", seq, suffix);
}

/* Only exactly what file_name makes. */
static bool name_parse(const char *name, const char *suffix, uint64_t *ret)
{
    if (strspn(name, "0123456789") != SEQ_DIGITS || strcmp(name + SEQ_DIGITS, suffix) != 0)
        return false;
    uint64_t seq = 0;
    for (int i = 0; i < SEQ_DIGITS; i++) {
        if (__builtin_mul_overflow(seq, 10, &seq)) return false;
        if (__builtin_add_overflow(seq, (uint64_t)(name[i] - '0'), &seq)) return false;
    }
    *ret = seq;
    return true;
}

static int seq_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void auto_closedir(DIR **d)
{
    if (*d) (void)closedir(*d);
}

enum err files_list(int directory, const char *suffix, struct seq_list *ret)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ERR_IO;
    AUTO(auto_closedir) DIR *d = fdopendir(fd);
    if (!d) {
        (void)close(fd);
        return ERR_IO;
    }
    AUTO_FREE uint64_t *seqs = NULL;
    size_t count = 0, capacity = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(d);
        if (!entry && errno) return ERR_IO;
        if (!entry) break;
        uint64_t seq;
        if (!name_parse(entry->d_name, suffix, &seq)) continue;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            uint64_t *larger = realloc(seqs, capacity * sizeof *seqs);
            if (!larger) return ERR_NO_MEMORY;
            seqs = larger;
        }
        seqs[count++] = seq;
    }
    if (count) qsort(seqs, count, sizeof *seqs, seq_compare);
    *ret = (struct seq_list){.seqs = TAKE(seqs), .count = count};
    return OK;
}

enum err file_write(int fd, const void *data, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = disk_write(fd, (const char *)data + done, size - done, offset + done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return err_from_errno(errno);
        done += (size_t)n;
    }
    return OK;
}

enum err file_read(int fd, void *ret, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)ret + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* it ends before */
        if (n <= 0) return ERR_IO;
        done += (size_t)n;
    }
    return OK;
}
