/* The journal keeps what it was given, in order, and refuses what is outside of its limits. */
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

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    temp_make(f->directory);
    f->options = (struct journal_options){.directory = f->directory, .name = "unit"};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_close(f->journal);
    temp_remove(f->directory);
    free(f);
    return 0;
}

static enum err reopen(struct fixture *f)
{
    journal_close(f->journal);
    f->journal = NULL;
    return tape_open(&f->options, &f->tape, &f->journal, &f->detail);
}

static bool there(struct fixture *f, uint64_t seq, const char *suffix)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%020" PRIu64 ".%s", f->directory, seq, suffix);
    return access(path, F_OK) == 0;
}

static void an_empty_journal_has_nothing(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        assert_ok(reopen(f));
        assert_int_equal(journal_last_seq(f->journal), 0);
        assert_int_equal(f->tape.first_seq, 0);
        assert_string_equal(f->detail.text, "");
    }
}

static void entries_come_back_in_order_over_segments(void **state)
{
    struct fixture *f = *state;
    f->options.segment_size = 4096;
    uint64_t last = 0;
    for (size_t round = 0; round < 4; round++) {
        assert_ok(reopen(f));
        assert_int_equal(f->tape.last_seq, last);
        assert_int_equal(journal_last_seq(f->journal), last);
        for (size_t i = 0; i < 60; i++, last += i % 5 + 1)
            assert_ok(tape_append(f->journal, (i + 1) % 5 + 1, &f->detail));
        last = journal_last_seq(f->journal);
        assert_int_equal(journal_syncs(f->journal), 60); /* one record, one sync */
    }
    assert_ok(reopen(f));
    assert_int_equal(f->tape.first_seq, 1);
    assert_int_equal(f->tape.last_seq, last);
}

static void a_snapshot_replaces_the_entries_before_it(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 3, NULL));
    assert_true(journal_bytes_since_snapshot(f->journal) > 0);
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, &f->detail));
    assert_int_equal(journal_bytes_since_snapshot(f->journal), 0);
    assert_ok(tape_append(f->journal, 2, NULL));
    uint64_t bytes = journal_bytes_since_snapshot(f->journal);

    assert_ok(reopen(f));
    assert_int_equal(f->tape.snapshot_seq, 3);
    assert_memory_equal(f->tape.snapshot, "state 3", 7);
    assert_int_equal(f->tape.first_seq, 4);
    assert_int_equal(f->tape.last_seq, 5);
    assert_int_equal(journal_bytes_since_snapshot(f->journal), bytes);
}

static void an_empty_snapshot_of_an_empty_journal_is_one(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(journal_snapshot(f->journal, "", 0, UINT64_MAX, &f->detail));
    assert_ok(reopen(f));
    assert_int_equal(f->tape.snapshot_size, 0);
    assert_ok(tape_append(f->journal, 1, NULL));
    assert_ok(reopen(f));
    assert_int_equal(f->tape.last_seq, 1);
}

/* 20 records of one entry, a snapshot after every fifth. */
static void fill_with_snapshots(struct fixture *f, uint64_t keep_after_seq)
{
    f->options.segment_size = 256;
    assert_ok(reopen(f));
    for (int i = 1; i <= 20; i++) {
        assert_ok(tape_append(f->journal, 1, &f->detail));
        if (i % 5 == 0) assert_ok(tape_snapshot(f->journal, keep_after_seq, &f->detail));
    }
}

static void two_snapshots_and_what_the_older_needs_are_kept(void **state)
{
    struct fixture *f = *state;
    fill_with_snapshots(f, UINT64_MAX);
    assert_false(there(f, 10, "snapshot"));
    assert_true(there(f, 15, "snapshot"));
    assert_true(there(f, 20, "snapshot"));
    assert_false(there(f, 1, "segment"));
    assert_ok(reopen(f));
    assert_int_equal(f->tape.snapshot_seq, 20);
}

static void nothing_that_a_reader_still_needs_is_deleted(void **state)
{
    struct fixture *f = *state;
    fill_with_snapshots(f, 0);
    assert_true(there(f, 1, "segment"));
    assert_false(there(f, 10, "snapshot"));
    assert_ok(reopen(f));
    assert_int_equal(f->tape.snapshot_seq, 20);
}

static void limits_hold_at_the_maximum_and_one_more(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    static char zeros[JOURNAL_ENTRY_SIZE_MAX + 1];
    static struct iovec many[JOURNAL_BATCH_MAX + 1];
    for (size_t i = 0; i <= JOURNAL_BATCH_MAX; i++)
        many[i] = (struct iovec){zeros, 1};
    assert_err(journal_append(f->journal, many, 0, &f->detail), ERR_INVALID);
    assert_ok(journal_append(f->journal, many, JOURNAL_BATCH_MAX, &f->detail));
    assert_err(journal_append(f->journal, many, JOURNAL_BATCH_MAX + 1, &f->detail), ERR_INVALID);

    struct iovec one = {zeros, 0};
    assert_err(journal_append(f->journal, &one, 1, &f->detail), ERR_INVALID);
    one.iov_len = JOURNAL_ENTRY_SIZE_MAX;
    assert_ok(journal_append(f->journal, &one, 1, &f->detail));
    one.iov_len = JOURNAL_ENTRY_SIZE_MAX + 1;
    assert_err(journal_append(f->journal, &one, 1, &f->detail), ERR_INVALID);

    size_t full = JOURNAL_BATCH_SIZE_MAX / JOURNAL_ENTRY_SIZE_MAX;
    for (size_t i = 0; i < full; i++)
        many[i].iov_len = JOURNAL_ENTRY_SIZE_MAX;
    assert_ok(journal_append(f->journal, many, full, &f->detail));
    assert_err(journal_append(f->journal, many, full + 1, &f->detail), ERR_INVALID);
    assert_int_equal(journal_last_seq(f->journal), JOURNAL_BATCH_MAX + 1 + full);

    char name[JOURNAL_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    f->options.name = name;
    assert_err(reopen(f), ERR_INVALID);
    f->options.name = "";
    assert_err(reopen(f), ERR_INVALID);
}

static void a_name_of_the_greatest_length_is_kept(void **state)
{
    struct fixture *f = *state;
    char name[JOURNAL_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    f->options.name = name;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 1, NULL));
    assert_ok(reopen(f));
    name[JOURNAL_NAME_MAX - 1] = 'm';
    assert_err(reopen(f), ERR_CORRUPT);
    assert_non_null(strstr(f->detail.text, "of another shard"));
}

static void a_second_opener_is_refused_until_the_first_has_closed(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    struct tape tape;
    struct journal *second = NULL;
    assert_err(tape_open(&f->options, &tape, &second, &f->detail), ERR_EXISTS);
    assert_null(second);
    journal_close(f->journal);
    f->journal = NULL;
    assert_ok(tape_open(&f->options, &tape, &second, &f->detail));
    journal_close(second);
}

static void missing_directories_are_made(void **state)
{
    struct fixture *f = *state;
    char path[TEMP_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/a/b//c/", f->directory);
    f->options.directory = path;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 1, NULL));
    assert_ok(reopen(f));
    assert_int_equal(f->tape.last_seq, 1);
    f->options.directory = "";
    assert_err(reopen(f), ERR_INVALID);
    f->options.directory = "/proc/tradepost";
    assert_int_not_equal(reopen(f), OK);
    assert_non_null(strstr(f->detail.text, "/proc/tradepost"));
}

static enum err refuse(void *arg, uint64_t seq, const void *data, size_t size)
{
    (void)arg;
    (void)data;
    (void)size;
    return seq == 2 ? ERR_PRECONDITION : OK;
}

static void an_error_of_the_reader_ends_the_opening(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 3, NULL));
    journal_close(f->journal);
    f->journal = NULL;
    const struct journal_reader reader = {NULL, refuse, refuse};
    assert_err(journal_open(&f->options, &reader, &f->journal, &f->detail), ERR_PRECONDITION);
    assert_non_null(strstr(f->detail.text, "entry 2"));
    assert_ok(reopen(f)); /* nothing was harmed */
    assert_int_equal(f->tape.last_seq, 3);
}

static void litter_of_an_interrupted_start_is_removed(void **state)
{
    struct fixture *f = *state;
    char path[TEMP_PATH_SIZE + 64];
    (void)snprintf(path, sizeof path, "%s/00000000000000000007.tmp", f->directory);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_ok(reopen(f));
    assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_journal_has_nothing),
        TEST(entries_come_back_in_order_over_segments),
        TEST(a_snapshot_replaces_the_entries_before_it),
        TEST(an_empty_snapshot_of_an_empty_journal_is_one),
        TEST(two_snapshots_and_what_the_older_needs_are_kept),
        TEST(nothing_that_a_reader_still_needs_is_deleted),
        TEST(limits_hold_at_the_maximum_and_one_more),
        TEST(a_name_of_the_greatest_length_is_kept),
        TEST(a_second_opener_is_refused_until_the_first_has_closed),
        TEST(missing_directories_are_made),
        TEST(an_error_of_the_reader_ends_the_opening),
        TEST(litter_of_an_interrupted_start_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
