/*
 * The replica loop over a toy machine: a row of counters. A command adds to one of them or is
 * refused; the sum of all and a running hash tell whether a replay is the same.
 */
#include "support/temp.h"
#include "support/unit.h"

#include "support/toy.h"

#include "base/clock.h"

#include <pthread.h>
#include <string.h>

#define FAR_FUTURE (clock_mono_ms() + 60000)

struct fixture {
    char directory[TEMP_PATH_SIZE];
    struct replica_options options;
    struct toy toy;
    struct replica *replica;
    struct err_detail detail;
};

static void start(struct fixture *f)
{
    enum err e = replica_start(&f->options, &toy_ops, &f->toy, &f->replica, &f->detail);
    if (e) fail_msg("%s: %s", err_name(e), f->detail.text);
}

static void stop(struct fixture *f)
{
    replica_stop(f->replica);
    f->replica = NULL;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    temp_make(f->directory);
    f->options = (struct replica_options){.directory = f->directory, .name = "toy"};
    toy_init(&f->toy);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    replica_stop(f->replica);
    temp_remove(f->directory);
    free(f);
    return 0;
}

static enum err submit(struct fixture *f, uint64_t counter, uint64_t amount, enum err *ret)
{
    return toy_submit(f->replica, counter, amount, ret);
}

/* A restart with a fresh machine gives the same state. */
static void assert_same_after_restart(struct fixture *f)
{
    struct toy before;
    copy_toy(&f->toy, &before);
    toy_init(&f->toy);
    start(f);
    struct toy after;
    assert_ok(replica_look(f->replica, copy_toy, &after, FAR_FUTURE));
    assert_memory_equal(&before, &after, TOY_STATE_SIZE);
}

static void commands_are_answered_and_survive(void **state)
{
    struct fixture *f = *state;
    start(f);
    enum err results[4] = {ERR_COUNT, ERR_COUNT, ERR_COUNT, ERR_COUNT};
    assert_ok(submit(f, 1, 5, &results[0]));
    assert_ok(submit(f, COUNTERS, 5, &results[1]));     /* prepare refuses it */
    assert_ok(submit(f, COUNTERS + 1, 5, &results[2])); /* needs no entry */
    assert_ok(submit(f, 1, 6, &results[3]));
    stop(f);
    assert_int_equal(results[0], OK);
    assert_int_equal(results[1], ERR_PRECONDITION);
    assert_int_equal(results[2], OK);
    assert_int_equal(results[3], OK);
    assert_int_equal(f->toy.counters[1], 11);
    assert_int_equal(f->toy.last_seq, 2);
    assert_same_after_restart(f);
}

static void a_look_sees_what_was_finished_before(void **state)
{
    struct fixture *f = *state;
    start(f);
    for (unsigned i = 1; i <= 50; i++) {
        assert_ok(submit(f, 3, 1, NULL));
        struct toy seen;
        unsigned finished = atomic_load(&f->toy.finished);
        assert_ok(replica_look(f->replica, copy_toy, &seen, FAR_FUTURE));
        assert_true(seen.counters[3] >= finished && seen.counters[3] <= i);
    }
}

static void a_look_that_comes_too_late_does_not_run(void **state)
{
    struct fixture *f = *state;
    f->toy.hold = true;
    start(f);
    assert_ok(submit(f, 0, 1, NULL));
    sem_wait(&f->toy.entered);
    struct toy *seen = malloc(sizeof *seen); /* freed before the thread comes to the look */
    assert_err(replica_look(f->replica, copy_toy, seen, clock_mono_ms() + 5), ERR_TIMEOUT);
    free(seen);
    f->toy.hold = false;
    sem_post(&f->toy.go);
}

static void the_queue_takes_its_maximum_and_not_one_more(void **state)
{
    struct fixture *f = *state;
    f->options.queue_max = 8;
    f->toy.hold = true;
    start(f);
    assert_ok(submit(f, 0, 1, NULL));
    sem_wait(&f->toy.entered); /* the thread holds the first; the queue is empty */
    for (int i = 0; i < 8; i++)
        assert_ok(submit(f, 0, 1, NULL));
    assert_err(submit(f, 0, 1, NULL), ERR_EXHAUSTED);
    struct toy seen;
    assert_err(replica_look(f->replica, copy_toy, &seen, FAR_FUTURE), ERR_EXHAUSTED);
    struct replica_stats stats;
    replica_stats(f->replica, &stats);
    assert_int_equal(stats.queued, 8);
    f->toy.hold = false;
    sem_post(&f->toy.go);
    stop(f);
    assert_int_equal(f->toy.counters[0], 9);
    assert_int_equal(f->toy.largest_batch, 8); /* all that waited went in one batch */
}

static void a_batch_has_at_most_its_maximum(void **state)
{
    struct fixture *f = *state;
    f->options.batch_max = 3;
    f->toy.hold = true;
    start(f);
    for (int i = 0; i < 10; i++)
        assert_ok(submit(f, 0, 1, NULL));
    for (int i = 0; i < 10; i++)
        sem_post(&f->toy.go);
    stop(f);
    assert_int_equal(f->toy.counters[0], 10);
    assert_true(f->toy.largest_batch <= 3);
}

static void a_batch_of_too_many_bytes_goes_in_several_records(void **state)
{
    struct fixture *f = *state;
    enum { COMMANDS = JOURNAL_BATCH_SIZE_MAX / JOURNAL_ENTRY_SIZE_MAX + 3 };
    f->toy.hold = true;
    start(f);
    struct add *adds = calloc(COMMANDS, sizeof *adds);
    char *entry = calloc(1, JOURNAL_ENTRY_SIZE_MAX + 1);
    for (int i = 0; i < COMMANDS; i++) {
        adds[i].command = (struct command){.entry = entry, .entry_size = JOURNAL_ENTRY_SIZE_MAX};
        if (i == 1) adds[i].command.entry_size++; /* one byte too many */
        assert_ok(replica_submit(f->replica, &adds[i].command));
        if (i == 0) sem_wait(&f->toy.entered); /* the others come in one batch */
    }
    f->toy.hold = false;
    sem_post(&f->toy.go);
    stop(f);
    for (int i = 0; i < COMMANDS; i++)
        assert_int_equal(adds[i].command.err, i == 1 ? ERR_INVALID : OK);
    assert_int_equal(f->toy.last_seq, COMMANDS - 1);
    free(adds);
    free(entry);
    assert_same_after_restart(f);
}

struct submitter {
    struct fixture *f;
    pthread_t thread;
    uint64_t seed, accepted, sum;
    enum err end; /* why it ended: OK, all submitted */
};

#define SUBMITTER_COMMANDS 2000

/* Random commands, a few of them looks and refused ones, until closed. */
static void *submitter(void *arg)
{
    struct submitter *s = arg;
    for (int i = 0; i < SUBMITTER_COMMANDS; i++) {
        s->seed = s->seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        uint64_t counter = (s->seed >> 33) % (COUNTERS + 1), amount = s->seed >> 54;
        s->end = submit(s->f, counter, amount, NULL);
        if (s->end == ERR_EXHAUSTED) continue;
        if (s->end) return NULL;
        s->accepted++;
        if (counter < COUNTERS) s->sum += amount;
        struct toy seen;
        if (i % 100 == 0) s->end = replica_look(s->f->replica, copy_toy, &seen, FAR_FUTURE);
        if (s->end) return NULL;
    }
    return NULL;
}

static void concurrent_commands_share_their_syncs_and_replay_equal(void **state)
{
    struct fixture *f = *state;
    f->options.snapshot_bytes = 64 * 1024; /* some snapshots on the way */
    f->options.segment_size = 40 * 1024;
    struct submitter submitters[4];
    uint64_t accepted = 0, sum = 0;
    for (uint64_t round = 1; round <= 3; round++) {
        if (round == 1) start(f);
        for (uint64_t i = 0; i < 4; i++) {
            submitters[i] = (struct submitter){.f = f, .seed = round * 4 + i};
            assert_int_equal(pthread_create(&submitters[i].thread, NULL, submitter, &submitters[i]),
                             0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(submitters[i].thread, NULL);
            accepted += submitters[i].accepted;
            sum += submitters[i].sum;
        }
        struct toy seen;
        struct replica_stats stats;
        assert_ok(replica_look(f->replica, copy_toy, &seen, FAR_FUTURE));
        replica_stats(f->replica, &stats);
        assert_true(stats.syncs < 4 * SUBMITTER_COMMANDS / 2); /* group commit groups */
        assert_int_equal(stats.syncs, stats.batches);
        assert_true(stats.snapshots > 0 && stats.snapshots_failed == 0);
        assert_false(stats.failed);
        stop(f);
        assert_int_equal(toy_sum(&f->toy), sum);
        assert_same_after_restart(f);
    }
    assert_in_range(accepted, 3 * SUBMITTER_COMMANDS, 3 * 4 * SUBMITTER_COMMANDS);
}

static void stopping_under_load_finishes_all_that_was_accepted(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct replica_stats stats;
    for (unsigned i = 0; i < 5000; i++)
        assert_ok(submit(f, i % COUNTERS, 1, NULL));
    replica_stats(f->replica, &stats);
    stop(f);
    assert_int_equal(atomic_load(&f->toy.finished), 5000);
    assert_int_equal(toy_sum(&f->toy), 5000);
    assert_same_after_restart(f);
}

static void *stopper(void *arg)
{
    stop(arg);
    return NULL;
}

static void while_it_stops_new_commands_are_refused_and_old_ones_finished(void **state)
{
    struct fixture *f = *state;
    f->toy.hold = true;
    start(f);
    struct replica *r = f->replica;
    assert_ok(submit(f, 0, 1, NULL));
    sem_wait(&f->toy.entered); /* held in its first batch, so it cannot end before we let it */
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stopper, f), 0);
    uint64_t accepted = 1;
    for (enum err e = OK; e != ERR_CLOSED; accepted += e == OK)
        e = toy_submit(r, 0, 1, NULL);
    struct toy seen;
    assert_err(replica_look(r, copy_toy, &seen, FAR_FUTURE), ERR_CLOSED);
    f->toy.hold = false;
    sem_post(&f->toy.go);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&f->toy.finished), accepted);
    assert_int_equal(f->toy.counters[0], accepted);
}

static void stopping_snapshots_only_what_has_changed(void **state)
{
    struct fixture *f = *state;
    char path[TEMP_PATH_SIZE + 64];
    (void)snprintf(path, sizeof path, "%s/00000000000000000001.snapshot", f->directory);
    start(f);
    assert_ok(submit(f, 0, 1, NULL));
    stop(f);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(remove(path), 0);
    toy_init(&f->toy);
    start(f); /* replays from the journal */
    assert_int_equal(f->toy.counters[0], 1);
    stop(f);
    assert_int_equal(access(path, F_OK), 0); /* the replayed part was not yet in a snapshot */
    struct stat first, second;
    assert_int_equal(stat(path, &first), 0);
    toy_init(&f->toy);
    start(f);
    stop(f);
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino); /* not written again */
}

static void a_machine_that_cannot_load_does_not_start(void **state)
{
    struct fixture *f = *state;
    const struct journal_options options = {.directory = f->directory, .name = "toy"};
    struct journal *j = NULL;
    const struct journal_reader nothing = {0};
    assert_ok(journal_open(&options, &nothing, &j, NULL));
    assert_ok(journal_snapshot(j, "not a toy", 9, UINT64_MAX, NULL));
    journal_close(j);
    assert_err(replica_start(&f->options, &toy_ops, &f->toy, &f->replica, &f->detail), ERR_CORRUPT);
    assert_null(f->replica);
    assert_non_null(strstr(f->detail.text, "cannot be loaded"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(commands_are_answered_and_survive),
        TEST(a_look_sees_what_was_finished_before),
        TEST(a_look_that_comes_too_late_does_not_run),
        TEST(the_queue_takes_its_maximum_and_not_one_more),
        TEST(a_batch_has_at_most_its_maximum),
        TEST(a_batch_of_too_many_bytes_goes_in_several_records),
        TEST(concurrent_commands_share_their_syncs_and_replay_equal),
        TEST(stopping_under_load_finishes_all_that_was_accepted),
        TEST(while_it_stops_new_commands_are_refused_and_old_ones_finished),
        TEST(stopping_snapshots_only_what_has_changed),
        TEST(a_machine_that_cannot_load_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
