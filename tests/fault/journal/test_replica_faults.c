/* The disk fails under a replica: who was told OK is in the state after a restart, who was not is
 * not. */
#include "fixture.h"

#include "support/faulty_disk.h"
#include "support/toy.h"

#include "base/clock.h"

#include <errno.h>

#define COMMANDS 40

struct run {
    struct toy toy;
    struct replica *replica;
    enum err results[COMMANDS];
};

static void start(struct fixture *f, struct run *run)
{
    const struct replica_options options = {.directory = f->directory,
                                            .name = "toy",
                                            .batch_max = 4,
                                            .segment_size = f->options.segment_size,
                                            .snapshot_bytes = 1500};
    toy_init(&run->toy);
    enum err e = replica_start(&options, &toy_ops, &run->toy, &run->replica, &f->detail);
    if (e) fail_msg("%s: %s", err_name(e), f->detail.text);
}

/* Command i adds 1 << i: the sum says which were applied. Ends with a stop. */
static void submit_all(struct run *run)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        run->results[i] = ERR_COUNT;
        assert_ok(toy_submit(run->replica, i % COUNTERS, UINT64_C(1) << i, &run->results[i]));
    }
    replica_stop(run->replica);
}

static uint64_t told_ok(const struct run *run)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < COMMANDS; i++) {
        assert_int_not_equal(run->results[i], ERR_COUNT); /* everybody was answered */
        if (run->results[i] == OK) sum |= UINT64_C(1) << i;
    }
    return sum;
}

static uint64_t state_after_restart(struct fixture *f)
{
    struct run again = {0};
    start(f, &again);
    replica_stop(again.replica);
    return toy_sum(&again.toy);
}

static unsigned count_of(const struct run *run, enum err e)
{
    unsigned count = 0;
    for (unsigned i = 0; i < COMMANDS; i++)
        count += run->results[i] == e;
    return count;
}

static unsigned calls_of_a_run(struct fixture *f)
{
    struct run run = {0};
    f->options.segment_size = 512; /* several, so that their beginning fails too */
    start(f, &run);
    disk_fault_set((struct disk_fault){.calls = DISK_ALL, .nth = UINT32_MAX});
    submit_all(&run);
    unsigned count = disk_fault_count();
    disk_fault_set((struct disk_fault){0});
    assert_int_equal(told_ok(&run), (UINT64_C(1) << COMMANDS) - 1);
    return count;
}

static void whatever_fails_the_answers_are_true(void **state)
{
    struct fixture *f = *state;
    unsigned count = calls_of_a_run(f);
    for (unsigned n = 1; n <= 2 * count; n++) {
        struct run run = {0};
        start_over(f);
        start(f, &run);
        disk_fault_set((struct disk_fault){
            .calls = DISK_ALL, .nth = (n + 1) / 2, .number = n % 2 ? EIO : ENOSPC, .torn = true});
        submit_all(&run);
        disk_fault_set((struct disk_fault){0});

        uint64_t ok = told_ok(&run), state_now = state_after_restart(f);
        assert_int_equal(toy_sum(&run.toy), ok); /* applied was exactly what was told OK */
        assert_int_equal(state_now & ok, ok);
        if (count_of(&run, ERR_IO) == 0) assert_int_equal(state_now, ok);
    }
}

static void a_full_disk_refuses_a_batch_and_the_next_succeeds(void **state)
{
    struct fixture *f = *state;
    struct run run = {0};
    start(f, &run);
    disk_fault_set((struct disk_fault){.calls = DISK_WRITE, .nth = 1, .number = ENOSPC});
    submit_all(&run);
    disk_fault_set((struct disk_fault){0});
    assert_in_range(count_of(&run, ERR_FULL), 1, 4);
    assert_int_equal(count_of(&run, OK), COMMANDS - count_of(&run, ERR_FULL));
    assert_int_equal(state_after_restart(f), told_ok(&run));
}

static void nothing(void *machine, void *arg)
{
    (void)machine;
    (void)arg;
}

static void after_a_failed_sync_everything_is_refused_and_looks_still_work(void **state)
{
    struct fixture *f = *state;
    struct run run = {0};
    start(f, &run);
    disk_fault_set((struct disk_fault){.calls = DISK_SYNC, .nth = 1, .number = EIO});
    enum err first = ERR_COUNT;
    struct replica_stats stats;
    assert_ok(toy_submit(run.replica, 0, 0, &first));
    do { /* a look before the batch is possible, one after it must come */
        assert_ok(replica_look(run.replica, nothing, NULL, clock_mono_ms() + 60000));
        replica_stats(run.replica, &stats);
    } while (!stats.failed);
    disk_fault_set((struct disk_fault){0});
    submit_all(&run);
    assert_int_equal(first, ERR_IO);
    assert_int_equal(count_of(&run, ERR_IO), COMMANDS);
    assert_int_equal(stats.last_seq, 0);
    (void)state_after_restart(f);
}

/* Submits one command and waits until the thread has finished it, and what it does after a batch.
 */
static void submit_and_wait(struct run *run)
{
    unsigned finished = atomic_load(&run->toy.finished);
    assert_ok(toy_submit(run->replica, 0, 1, NULL));
    bool last;
    do {
        last = atomic_load(&run->toy.finished) > finished;
        assert_ok(replica_look(run->replica, nothing, NULL, clock_mono_ms() + 60000));
    } while (!last);
}

static void a_snapshot_that_fails_is_counted_and_tried_again(void **state)
{
    struct fixture *f = *state;
    struct run run = {0};
    start(f, &run);
    struct replica_stats stats = {0};
    uint64_t sum = 0;
    disk_fault_set((struct disk_fault){.calls = DISK_RENAME, .nth = 1, .number = EIO});
    for (; stats.snapshots_failed == 0; sum++) {
        submit_and_wait(&run);
        replica_stats(run.replica, &stats);
    }
    disk_fault_set((struct disk_fault){0});
    assert_int_equal(stats.snapshots, 0);
    uint64_t until_failed = sum;
    for (; stats.snapshots == 0; sum++) {
        submit_and_wait(&run);
        replica_stats(run.replica, &stats);
    }
    assert_int_equal(sum, 2 * until_failed); /* not with every batch */
    assert_false(stats.failed);
    replica_stop(run.replica);
    assert_int_equal(toy_sum(&run.toy), sum);
    assert_int_equal(state_after_restart(f), sum);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(whatever_fails_the_answers_are_true),
        TEST(a_full_disk_refuses_a_batch_and_the_next_succeeds),
        TEST(after_a_failed_sync_everything_is_refused_and_looks_still_work),
        TEST(a_snapshot_that_fails_is_counted_and_tried_again),
    };
    use_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
