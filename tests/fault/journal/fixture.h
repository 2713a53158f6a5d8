/* A journal in a directory of its own, and what the fault tests do to its files. */
#ifndef TESTS_FAULT_JOURNAL_FIXTURE_H
#define TESTS_FAULT_JOURNAL_FIXTURE_H

#include "support/temp.h"
#include "support/unit.h"

#include "support/tape.h"

#include <fcntl.h>

struct fixture {
    char directory[TEMP_PATH_SIZE];
    struct journal_options options;
    struct journal *journal;
    struct tape tape;
    struct err_detail detail;
};

/* For tests that make the disk's failures themselves: files in memory, where that is possible. */
static inline void use_memory(void)
{
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    temp_make(f->directory);
    f->options = (struct journal_options){.directory = f->directory, .name = "fault"};
    *state = f;
    return 0;
}

static inline void close_journal(struct fixture *f)
{
    journal_close(f->journal);
    f->journal = NULL;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    close_journal(f);
    temp_remove(f->directory);
    free(f);
    return 0;
}

/* An empty directory again. */
static inline void start_over(struct fixture *f)
{
    close_journal(f);
    temp_remove(f->directory);
    assert_int_equal(mkdir(f->directory, 0700), 0);
}

static inline enum err reopen(struct fixture *f)
{
    close_journal(f);
    return tape_open(&f->options, &f->tape, &f->journal, &f->detail);
}

static inline void assert_opens_with(struct fixture *f, uint64_t last_seq)
{
    enum err e = reopen(f);
    if (e) fail_msg("%s: %s", err_name(e), f->detail.text);
    assert_int_equal(journal_last_seq(f->journal), last_seq);
    if (last_seq > f->tape.snapshot_seq) assert_int_equal(f->tape.last_seq, last_seq);
}

static inline void assert_damaged(struct fixture *f, const char *word)
{
    enum err e = reopen(f);
    if (e != ERR_CORRUPT) fail_msg("%s: %s", err_name(e), f->detail.text);
    if (!strstr(f->detail.text, word)) fail_msg("not \"%s\": %s", word, f->detail.text);
}

/* One file in memory, to be damaged, written, and restored. */
struct image {
    char path[TEMP_PATH_SIZE + 64];
    uint8_t *bytes;
    size_t size;
};

static inline void file_path(struct fixture *f, uint64_t seq, const char *suffix,
                             char ret[static TEMP_PATH_SIZE + 64])
{
    (void)snprintf(ret, TEMP_PATH_SIZE + 64, "%s/%020" PRIu64 ".%s", f->directory, seq, suffix);
}

static inline struct image image_read(struct fixture *f, uint64_t seq, const char *suffix)
{
    struct image i = {0};
    file_path(f, seq, suffix, i.path);
    int fd = open(i.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail_msg("%s is missing", i.path);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    i.size = (size_t)st.st_size;
    i.bytes = malloc(i.size + 1);
    assert_int_equal(read(fd, i.bytes, i.size), st.st_size);
    (void)close(fd);
    return i;
}

/* Its first size bytes, at its path. */
static inline void image_write(const struct image *i, size_t size)
{
    int fd = open(i->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, i->bytes, size), (ssize_t)size);
    (void)close(fd);
}

#endif
