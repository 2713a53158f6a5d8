/*
 * The real thing: a process that is killed with SIGKILL while it writes, again and again, and a
 * disk that is really full. What the child said was durable, over a pipe, is there when its parent
 * looks.
 */
#include "fixture.h"

#include "base/clock.h"
#include "base/journal/replica.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define KILLS      30
#define SUBMITTERS 4
#define ACKS_MAX   300 /* of one life */
#define ENTRY_SIZE 400

/*
 * The child's machine: how far each submitter has come. A submitter sends 1, 2, 3, ... and goes on
 * when the command before is finished; finish tells the parent first.
 */
struct counter {
    uint64_t done[SUBMITTERS];
    int pipe;
};

struct step {
    struct command command;
    uint64_t entry[ENTRY_SIZE / 8]; /* submitter, number, filling */
    pthread_mutex_t mutex;
    pthread_cond_t finished;
    bool is_finished;
};

struct ack {
    uint64_t submitter, number;
};

static void counter_apply(void *machine, uint64_t seq, const void *entry, size_t size,
                          struct command *command)
{
    (void)seq;
    (void)command;
    struct counter *c = machine;
    uint64_t e[2];
    CHECK(size == ENTRY_SIZE);
    memcpy(e, entry, sizeof e);
    CHECK(e[0] < SUBMITTERS && e[1] == c->done[e[0]] + 1); /* in order, none twice, none missing */
    c->done[e[0]] = e[1];
}

static void counter_finish(void *machine, struct command **commands, size_t count)
{
    struct counter *c = machine;
    for (size_t i = 0; i < count; i++) {
        struct step *s = (struct step *)commands[i];
        CHECK(s->command.err == OK);
        struct ack a = {s->entry[0], s->entry[1]};
        CHECK(write(c->pipe, &a, sizeof a) == sizeof a);
        pthread_mutex_lock(&s->mutex);
        s->is_finished = true;
        pthread_cond_signal(&s->finished);
        pthread_mutex_unlock(&s->mutex);
    }
}

static enum err counter_save(void *machine, struct buf *out)
{
    return buf_add(out, ((struct counter *)machine)->done, sizeof(uint64_t[SUBMITTERS]));
}

static enum err counter_load(void *machine, const void *data, size_t size)
{
    if (size != sizeof(uint64_t[SUBMITTERS])) return ERR_CORRUPT;
    memcpy(((struct counter *)machine)->done, data, size);
    return OK;
}

static const struct machine_ops counter_ops = {
    .apply = counter_apply, .finish = counter_finish, .save = counter_save, .load = counter_load};

struct submitter {
    struct replica *replica;
    uint64_t number, done;
};

static void *submit_for_ever(void *arg)
{
    struct submitter *me = arg;
    struct step s = {.mutex = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER};
    memset(s.entry, 'x', sizeof s.entry);
    for (;;) {
        s.command = (struct command){.entry = s.entry, .entry_size = sizeof s.entry};
        s.entry[0] = me->number;
        s.entry[1] = ++me->done;
        s.is_finished = false;
        CHECK(replica_submit(me->replica, &s.command) == OK);
        pthread_mutex_lock(&s.mutex);
        while (!s.is_finished)
            pthread_cond_wait(&s.finished, &s.mutex);
        pthread_mutex_unlock(&s.mutex);
    }
}

static void options_of(const struct fixture *f, struct replica_options *ret)
{
    *ret = (struct replica_options){.directory = f->directory,
                                    .name = "counter",
                                    .snapshot_bytes = 20000, /* also killed in snapshots */
                                    .segment_size = 16384};
}

/* Does not return: it is killed. */
_Noreturn static void child(const struct fixture *f, int pipe)
{
    struct counter c = {.pipe = pipe};
    struct replica_options options;
    options_of(f, &options);
    struct replica *r;
    struct submitter submitters[SUBMITTERS];
    pthread_t thread;
    CHECK(replica_start(&options, &counter_ops, &c, &r, NULL) == OK);
    for (uint64_t i = 0; i < SUBMITTERS; i++)
        submitters[i] = (struct submitter){r, i, c.done[i]};
    for (int i = 0; i < SUBMITTERS; i++)
        CHECK(pthread_create(&thread, NULL, submit_for_ever, &submitters[i]) == 0);
    for (;;)
        pause();
}

/* Lives until its parent has read so many acknowledgements; then all that it sent are counted. */
static void live_and_be_killed(const struct fixture *f, unsigned acks, uint64_t *acknowledged)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) child(f, fds[1]);
    (void)close(fds[1]);
    struct ack a;
    for (unsigned n = 0; read(fds[0], &a, sizeof a) == sizeof a; n++) {
        assert_int_equal(a.number, acknowledged[a.submitter] + 1);
        acknowledged[a.submitter] = a.number;
        if (n == acks) assert_int_equal(kill(pid, SIGKILL), 0);
    }
    (void)close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
    struct fixture *f = *state;
    uint64_t acknowledged[SUBMITTERS] = {0};
    for (unsigned k = 0; k < KILLS; k++) {
        live_and_be_killed(f, k * 7919 % ACKS_MAX, acknowledged);
        struct counter c = {0};
        struct replica_options options;
        options_of(f, &options);
        struct replica *r = NULL;
        if (replica_start(&options, &counter_ops, &c, &r, &f->detail))
            fail_msg("%s", f->detail.text);
        replica_stop(r);
        for (int i = 0; i < SUBMITTERS; i++) {
            assert_true(c.done[i] == acknowledged[i] || c.done[i] == acknowledged[i] + 1);
            acknowledged[i] = c.done[i];
        }
    }
}

/* A small disk of our own; skipped where we may not mount. */
static void small_disk(const char *directory)
{
    if (unshare(CLONE_NEWNS) != 0) skip();
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) skip();
    if (mount("tmpfs", directory, "tmpfs", 0, "size=256k") != 0) skip();
}

static void a_disk_that_is_really_full_loses_nothing(void **state)
{
    struct fixture *f = *state;
    small_disk(f->directory);
    struct image filler = {.bytes = calloc(1, 65536), .size = 65536};
    (void)snprintf(filler.path, sizeof filler.path, "%s/filler", f->directory);
    image_write(&filler, filler.size);

    f->options.segment_size = 20000;
    assert_ok(reopen(f));
    enum err e = OK;
    for (size_t i = 1; !e; i++)
        e = tape_append(f->journal, i % 16 + 1, &f->detail);
    assert_int_equal(e, ERR_FULL);
    uint64_t last = journal_last_seq(f->journal);
    assert_true(last > 500);
    for (int i = 0; i < 100; i++)
        e = tape_append(f->journal, 16, &f->detail);
    assert_int_equal(e, ERR_FULL);
    last = journal_last_seq(f->journal);
    assert_opens_with(f, last); /* a full disk is no reason not to start */

    assert_int_equal(remove(filler.path), 0);
    assert_ok(tape_append(f->journal, 16, &f->detail));
    assert_opens_with(f, last + 16);
    while (tape_append(f->journal, 16, &f->detail) == OK)
        last = journal_last_seq(f->journal);
    static char large[200000];
    assert_err(journal_snapshot(f->journal, large, sizeof large, UINT64_MAX, &f->detail), ERR_FULL);
    assert_opens_with(f, last);
    close_journal(f);
    free(filler.bytes);
    assert_int_equal(umount(f->directory), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_acknowledged_survives_kill_9),
        TEST(a_disk_that_is_really_full_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
