/* The reactor and the workers: turns never overlap, nothing is lost, everything ends. */
#include "support/unit.h"

#include "reactor.h"
#include "workers.h"

#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOURCES 200
#define WAKES   2000

/* What it reads goes back; it ends with its other end. */
struct echo {
    struct reactor_source source; /* first */
    int other;                    /* the test's end */
    atomic_bool in_turn;
    atomic_uint turns;
    atomic_bool released;
    int64_t at_ms; /* 0: no time */
    atomic_bool timed;
};

static void echo_turn(struct reactor_source *s, unsigned why, int64_t now_ms)
{
    struct echo *e = (struct echo *)s;
    char bytes[256];
    ssize_t size = 0;
    assert_false(atomic_exchange(&e->in_turn, true));
    if (why & REACTOR_READ)
        while ((size = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
            (void)send(s->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    if (e->at_ms && now_ms >= e->at_ms) atomic_store(&e->timed, true);
    if (e->at_ms) reactor_at(s, atomic_load(&e->timed) ? REACTOR_NEVER : e->at_ms);
    atomic_store(&e->in_turn, false);
    atomic_fetch_add(&e->turns, 1);
    if (why & REACTOR_HANGUP) reactor_end(s);
}

static void echo_release(struct reactor_source *s)
{
    atomic_store(&((struct echo *)s)->released, true);
}

static const struct reactor_ops echo_ops = {echo_turn, echo_release};

static void begin(struct reactor *r, struct echo *e, int64_t at_ms)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    *e = (struct echo){.other = ends[1], .at_ms = at_ms};
    reactor_init(&e->source, &echo_ops);
    reactor_start(r, &e->source, ends[0]);
}

static void wait_for(const atomic_bool *flag)
{
    while (!atomic_load(flag))
        (void)sched_yield();
}

static void expect_echo(int fd, const char *text)
{
    char got[16];
    ssize_t size;
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    while ((size = recv(fd, got, sizeof got, MSG_DONTWAIT)) < 0)
        (void)sched_yield();
    assert_int_equal(size, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void what_comes_is_served_and_what_goes_ends(void **state)
{
    (void)state;
    struct reactor *r = NULL;
    struct echo *echoes = calloc(SOURCES, sizeof *echoes);
    assert_int_equal(reactor_new(3, &r), OK);
    for (size_t i = 0; i < SOURCES; i++)
        begin(r, &echoes[i], 0);
    for (size_t i = 0; i < SOURCES; i++)
        expect_echo(echoes[i].other, "first");
    for (size_t i = 0; i < SOURCES; i += 2)
        (void)close(echoes[i].other);
    for (size_t i = 1; i < SOURCES; i += 2)
        expect_echo(echoes[i].other, "second");
    for (size_t i = 0; i < SOURCES; i += 2)
        wait_for(&echoes[i].released);
    for (size_t i = 1; i < SOURCES; i += 2)
        (void)close(echoes[i].other);
    reactor_wait(r);
    reactor_free(r);
    for (size_t i = 0; i < SOURCES; i++)
        assert_true(atomic_load(&echoes[i].released));
    free(echoes);
}

static void times_come_each_once_in_whatever_order_they_were_set(void **state)
{
    (void)state;
    struct reactor *r = NULL;
    struct echo *echoes = calloc(SOURCES, sizeof *echoes);
    assert_int_equal(reactor_new(1, &r), OK);
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < SOURCES; i++)
        begin(r, &echoes[i], now_ms + (int64_t)((i * 7919) % 50));
    for (size_t i = 0; i < SOURCES; i++) {
        wait_for(&echoes[i].timed);
        assert_true(clock_mono_ms() >= echoes[i].at_ms);
        (void)close(echoes[i].other);
    }
    reactor_free(r);
    free(echoes);
}

/* Wakes from two threads while the source's other end goes. */
static void *wake_often(void *arg)
{
    struct echo *e = arg;
    for (unsigned i = 0; i < WAKES; i++)
        reactor_wake(&e->source);
    reactor_release(&e->source);
    return NULL;
}

static void wakes_from_everywhere_are_turns_one_at_a_time(void **state)
{
    (void)state;
    struct reactor *r = NULL;
    struct echo e;
    pthread_t threads[2];
    assert_int_equal(reactor_new(2, &r), OK);
    begin(r, &e, 0);
    expect_echo(e.other, "here");
    unsigned turns = atomic_load(&e.turns);
    for (size_t i = 0; i < 2; i++) {
        reactor_hold(&e.source);
        assert_int_equal(pthread_create(&threads[i], NULL, wake_often, &e), 0);
    }
    while (atomic_load(&e.turns) == turns)
        (void)sched_yield();
    (void)close(e.other);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    wait_for(&e.released); /* by whoever had the last hold */
    reactor_free(r);
}

static void numbers_spread_over_a_range(void **state)
{
    (void)state;
    unsigned hits[10] = {0};
    for (unsigned i = 0; i < 10000; i++) {
        int64_t at = reactor_spread(i, 10);
        assert_true(at >= 0 && at < 10);
        hits[at]++;
    }
    for (size_t i = 0; i < 10; i++)
        assert_true(hits[i] > 900 && hits[i] < 1100);
    assert_int_equal(reactor_spread(7, 0), 0);
}

/* ---- workers ---- */

#define ACTORS 50
#define JOBS   100

struct task {
    struct job job; /* first */
    unsigned number;
};

struct teller {
    struct actor actor; /* first */
    atomic_bool running;
    unsigned next; /* the number that must come */
    atomic_uint done;
};

static void run_task(struct actor *a, struct job *own_job)
{
    struct teller *t = (struct teller *)a;
    struct task *task = (struct task *)own_job;
    assert_false(atomic_exchange(&t->running, true));
    assert_int_equal(task->number, t->next);
    t->next++;
    atomic_store(&t->running, false);
    free(task);
}

static void task_done(struct actor *a)
{
    atomic_fetch_add(&((struct teller *)a)->done, 1);
}

static const struct actor_ops teller_ops = {run_task, task_done};

static void jobs_of_an_actor_run_in_order_and_all_before_the_end(void **state)
{
    (void)state;
    struct workers *w = NULL;
    struct teller *tellers = calloc(ACTORS, sizeof *tellers);
    assert_int_equal(workers_new(4, &w), OK);
    for (size_t i = 0; i < ACTORS; i++)
        tellers[i].actor.ops = &teller_ops;
    for (unsigned n = 0; n < JOBS; n++) {
        for (size_t i = 0; i < ACTORS; i++) {
            struct task *task = malloc(sizeof *task);
            task->number = n;
            workers_post(w, &tellers[i].actor, &task->job);
        }
    }
    workers_free(w);
    for (size_t i = 0; i < ACTORS; i++)
        assert_int_equal(atomic_load(&tellers[i].done), JOBS);
    free(tellers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_is_served_and_what_goes_ends),
        cmocka_unit_test(times_come_each_once_in_whatever_order_they_were_set),
        cmocka_unit_test(wakes_from_everywhere_are_turns_one_at_a_time),
        cmocka_unit_test(numbers_spread_over_a_range),
        cmocka_unit_test(jobs_of_an_actor_run_in_order_and_all_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
