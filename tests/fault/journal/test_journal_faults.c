/*
 * The disk fails, at every call in turn and in every way; then the power, at every call. Whatever
 * was acknowledged is there afterwards, in order and whole; of the one batch whose outcome was not
 * known (ERR_IO, or the end) all is there or nothing.
 */
#include "fixture.h"

#include "support/faulty_disk.h"

#include <errno.h>

/* What the story below has achieved so far. */
struct told {
    uint64_t acknowledged; /* the last seq that was */
    uint64_t unknown;      /* the last seq of a batch that met ERR_IO; 0: none */
    unsigned refused;      /* batches that met ERR_FULL */
};

static bool tell_batch(struct fixture *f, size_t count, struct told *told)
{
    uint64_t before = journal_last_seq(f->journal);
    assert_int_equal(before, told->acknowledged);
    enum err e = tape_append(f->journal, count, &f->detail);
    if (e == OK) told->acknowledged += count;
    assert_int_equal(journal_last_seq(f->journal), told->acknowledged);
    if (e == OK) return true;
    assert_string_not_equal(f->detail.text, "");
    if (e == ERR_FULL) {
        told->refused++;
        return true;
    }
    assert_int_equal(e, ERR_IO);
    if (!told->unknown) told->unknown = before + count;
    assert_err(tape_append(f->journal, 1, NULL), ERR_IO); /* and from now on */
    assert_err(tape_snapshot(f->journal, UINT64_MAX, NULL), ERR_IO);
    return false;
}

/* Some batches over several segments, with snapshots between them. Ends early if the journal fails.
 */
static void tell_batches(struct fixture *f, size_t batches, struct told *told)
{
    for (size_t i = 1; i <= batches; i++) {
        if (!tell_batch(f, i * 7 % 5 + 1, told)) return;
        if (i % 3 == 0 && tape_snapshot(f->journal, UINT64_MAX, &f->detail) != OK)
            assert_string_not_equal(f->detail.text, "");
    }
}

/* Opens, appends, closes, opens again: every kind of call there is. */
static void tell(struct fixture *f, struct told *told)
{
    f->options.segment_size = 1024;
    for (int round = 0; round < 2; round++) {
        if (reopen(f) != OK) {
            assert_string_not_equal(f->detail.text, "");
            assert_null(f->journal);
            return;
        }
        uint64_t last = journal_last_seq(f->journal);
        assert_true(last == told->acknowledged || last == told->unknown);
        told->acknowledged = last;
        told->unknown = 0;
        tell_batches(f, 5, told);
    }
    close_journal(f);
}

static void assert_told_is_there(struct fixture *f, const struct told *told)
{
    enum err e = reopen(f);
    if (e) fail_msg("%s: %s", err_name(e), f->detail.text);
    uint64_t last = journal_last_seq(f->journal);
    if (last != told->acknowledged && (last != told->unknown || !told->unknown))
        fail_msg("%" PRIu64 " is there, not %" PRIu64, last, told->acknowledged);
    assert_true(f->tape.last_seq == last || f->tape.snapshot_seq == last);
    assert_ok(tape_append(f->journal, 3, &f->detail)); /* and life goes on */
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, &f->detail));
    assert_opens_with(f, last + 3);
}

static unsigned calls_of_the_story(struct fixture *f, unsigned calls)
{
    struct told told = {0};
    disk_fault_set((struct disk_fault){.calls = calls, .nth = UINT32_MAX, .number = EIO});
    tell(f, &told);
    unsigned count = disk_fault_count();
    disk_fault_set((struct disk_fault){0});
    assert_told_is_there(f, &told);
    assert_int_equal(told.refused, 0);
    start_over(f);
    return count;
}

/* Tells the story once for each call of those kinds, with that call failing. Returns how many met
 * it. */
static void fail_each(struct fixture *f, struct disk_fault fault)
{
    unsigned count = calls_of_the_story(f, fault.calls);
    assert_in_range(count, 1, 500);
    for (fault.nth = 1; fault.nth <= count; fault.nth++) {
        struct told told = {0};
        disk_fault_set(fault);
        tell(f, &told);
        close_journal(f);
        disk_fault_set((struct disk_fault){0});
        assert_told_is_there(f, &told);
        start_over(f);
    }
}

static void a_write_that_fails_loses_nothing(void **state)
{
    fail_each(*state, (struct disk_fault){.calls = DISK_WRITE, .number = EIO});
}

static void a_half_write_that_fails_loses_nothing(void **state)
{
    fail_each(*state, (struct disk_fault){.calls = DISK_WRITE, .number = EIO, .torn = true});
}

static void a_full_disk_loses_nothing_and_is_not_final(void **state)
{
    fail_each(*state, (struct disk_fault){.calls = DISK_WRITE, .number = ENOSPC});
    fail_each(*state, (struct disk_fault){.calls = DISK_WRITE, .number = EDQUOT, .torn = true});
}

static void a_sync_that_fails_loses_nothing(void **state)
{
    fail_each(*state, (struct disk_fault){.calls = DISK_SYNC, .number = EIO});
}

static void names_that_cannot_be_changed_lose_nothing(void **state)
{
    fail_each(*state, (struct disk_fault){.calls = DISK_OPEN, .number = EMFILE});
    fail_each(*state, (struct disk_fault){.calls = DISK_RENAME, .number = EIO});
    fail_each(*state, (struct disk_fault){.calls = DISK_RENAME, .number = ENOSPC});
    fail_each(*state, (struct disk_fault){.calls = DISK_UNLINK, .number = EIO});
}

static void a_process_that_dies_at_any_call_loses_nothing(void **state)
{
    fail_each(*state, (struct disk_fault){.calls = DISK_ALL, .number = EIO, .dead = true});
    fail_each(*state,
              (struct disk_fault){.calls = DISK_ALL, .number = EIO, .dead = true, .torn = true});
}

static void a_full_disk_refuses_one_batch_and_takes_the_next(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    for (int torn = 0; torn < 2; torn++) {
        disk_fault_set(
            (struct disk_fault){.calls = DISK_WRITE, .nth = 1, .number = ENOSPC, .torn = torn});
        assert_err(tape_append(f->journal, 5, &f->detail), ERR_FULL);
        assert_non_null(strstr(f->detail.text, "No space left"));
        assert_ok(tape_append(f->journal, 1, &f->detail));
    }
    disk_fault_set((struct disk_fault){0});
    assert_opens_with(f, 4);
    assert_string_equal(f->detail.text, "");
}

static void a_truncation_that_fails_is_final(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    disk_fault_set((struct disk_fault){.calls = DISK_WRITE | DISK_TRUNCATE,
                                       .nth = 1,
                                       .number = ENOSPC,
                                       .torn = true,
                                       .dead = true});
    assert_err(tape_append(f->journal, 5, &f->detail), ERR_IO);
    disk_fault_set((struct disk_fault){0});
    assert_err(tape_append(f->journal, 1, &f->detail), ERR_IO);
    assert_opens_with(f, 2);
    assert_non_null(strstr(f->detail.text, "torn"));
}

static void a_cut_that_fails_does_not_start_and_may_be_tried_again(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_ok(tape_append(f->journal, 2, NULL));
    close_journal(f);
    struct image i = image_read(f, 1, "segment");
    const size_t torn_at = i.size < 400 ? i.size : 400; /* within the second record */
    image_write(&i, torn_at);
    for (unsigned nth = 1; nth <= 4; nth++) {
        disk_fault_set(
            (struct disk_fault){.calls = DISK_SYNC | DISK_TRUNCATE, .nth = nth, .number = EIO});
        assert_err(reopen(f), ERR_IO);
        image_write(&i, torn_at);
    }
    disk_fault_set((struct disk_fault){0});
    assert_opens_with(f, 2);
    free(i.bytes);
}

static void a_snapshot_that_fails_leaves_the_older_ones(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    assert_ok(tape_append(f->journal, 2, NULL));
    uint64_t bytes = journal_bytes_since_snapshot(f->journal);
    for (unsigned nth = 1; nth <= 5; nth++) { /* open, write twice, sync, rename */
        disk_fault_set((struct disk_fault){.calls = DISK_ALL, .nth = nth, .number = ENOSPC});
        assert_err(tape_snapshot(f->journal, UINT64_MAX, &f->detail), ERR_FULL);
        assert_int_equal(journal_bytes_since_snapshot(f->journal), bytes);
    }
    disk_fault_set((struct disk_fault){.calls = DISK_ALL, .nth = 6, .number = EIO});
    assert_err(tape_snapshot(f->journal, UINT64_MAX, &f->detail), ERR_IO); /* of the directory */
    disk_fault_set((struct disk_fault){0});
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_opens_with(f, 6);
}

static void a_snapshot_that_reads_back_differently_is_no_snapshot(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    assert_ok(tape_append(f->journal, 2, NULL));
    for (unsigned nth = 1; nth <= 2; nth++) { /* its header, its data */
        disk_fault_set((struct disk_fault){.calls = DISK_WRITE, .nth = nth, .lies = true});
        assert_err(tape_snapshot(f->journal, UINT64_MAX, &f->detail), ERR_CORRUPT);
    }
    disk_fault_set((struct disk_fault){0});
    assert_opens_with(f, 4);
    assert_string_equal(f->detail.text, ""); /* nothing was passed over */
}

/* The power fails at every call, several times each with other sectors lost. */
static void a_power_failure_at_any_call_loses_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned count = calls_of_the_story(f, DISK_ALL);
    for (unsigned n = 1; n <= 4 * count; n++) {
        struct told told = {0};
        disk_power_start();
        disk_fault_set((struct disk_fault){
            .calls = DISK_ALL, .nth = (n - 1) / 4 + 1, .number = EIO, .dead = true, .torn = n % 2});
        tell(f, &told);
        close_journal(f);
        disk_fault_set((struct disk_fault){0});
        disk_power_cut(n);
        assert_told_is_there(f, &told);
        start_over(f);
    }
}

/* A process dies, the next one starts, acts upon what it has read (and more or not), then the power
 * fails. */
static void what_a_start_has_read_survives_a_power_failure(void **state)
{
    struct fixture *f = *state;
    unsigned count = calls_of_the_story(f, DISK_ALL);
    for (unsigned n = 1; n <= 4 * count; n++) {
        struct told told = {0};
        disk_power_start();
        disk_fault_set((struct disk_fault){
            .calls = DISK_ALL, .nth = (n + 3) / 4, .number = EIO, .dead = true, .torn = n % 2});
        tell(f, &told);
        disk_fault_set((struct disk_fault){0});
        assert_ok(reopen(f));
        told = (struct told){.acknowledged = journal_last_seq(f->journal)};
        if (n % 4 > 1) assert_true(tell_batch(f, 2, &told));
        close_journal(f);
        disk_power_cut(n);
        assert_told_is_there(f, &told);
        start_over(f);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_write_that_fails_loses_nothing),
        TEST(a_half_write_that_fails_loses_nothing),
        TEST(a_full_disk_loses_nothing_and_is_not_final),
        TEST(a_sync_that_fails_loses_nothing),
        TEST(names_that_cannot_be_changed_lose_nothing),
        TEST(a_process_that_dies_at_any_call_loses_nothing),
        TEST(a_full_disk_refuses_one_batch_and_takes_the_next),
        TEST(a_truncation_that_fails_is_final),
        TEST(a_cut_that_fails_does_not_start_and_may_be_tried_again),
        TEST(a_snapshot_that_fails_leaves_the_older_ones),
        TEST(a_snapshot_that_reads_back_differently_is_no_snapshot),
        TEST(a_power_failure_at_any_call_loses_nothing),
        TEST(what_a_start_has_read_survives_a_power_failure),
    };
    use_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
