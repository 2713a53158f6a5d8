/*
 * The hub's properties while publishers, subscribers and leavers run at once:
 *   a channel's kept frames arrive in order and without a gap from the first one on;
 *   conflated frames arrive in order, and the last one published arrives;
 *   nothing is left behind when all have gone.
 * Under ThreadSanitizer it also proves the locks.
 */
#include "support/unit.h"

#include "base/clock.h"
#include "hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISHERS 2 /* each has a kept and a conflated channel of its own */
#define TAKERS     3
#define EVENTS     4000
#define ROUNDS     12 /* a taker's connections, one after the other */

struct arena {
    struct hub *hub;
    atomic_uint publishing;
};

struct publisher {
    struct arena *arena;
    unsigned number;
};

static void name(char ret[static 16], const char *kind, unsigned publisher)
{
    (void)snprintf(ret, 16, "%s:%u", kind, publisher);
}

static void publish(struct hub *h, const char *kind, unsigned publisher, uint64_t seq)
{
    char channel[16], text[32];
    name(channel, kind, publisher);
    int size = snprintf(text, sizeof text, "%s", channel);
    struct frame_event event = {channel, kind, publisher + 1, seq};
    struct frame *f = frame_new(text, (size_t)size, &event);
    assert_non_null(f);
    hub_publish(h, channel, f, *kind == 'k' ? HUB_KEEP : HUB_CONFLATE);
    frame_release(f);
}

static void *run_publisher(void *arg)
{
    struct publisher *p = arg;
    for (uint64_t seq = 1; seq <= EVENTS; seq++) {
        publish(p->arena->hub, "kept", p->number, seq);
        publish(p->arena->hub, "price", p->number, seq);
    }
    atomic_fetch_sub(&p->arena->publishing, 1);
    return NULL;
}

struct seen {
    uint64_t kept[PUBLISHERS], price[PUBLISHERS];
};

/* Checks a frame against what its connection has seen. */
static void check(struct seen *seen, const struct frame *f)
{
    struct frame_event event = frame_look(f).event;
    unsigned p = (unsigned)event.epoch - 1;
    assert_true(p < PUBLISHERS);
    if (*event.type == 'k') {
        if (seen->kept[p]) assert_int_equal(event.seq, seen->kept[p] + 1);
        seen->kept[p] = event.seq;
    } else {
        assert_true(event.seq > seen->price[p]);
        seen->price[p] = event.seq;
    }
}

static void subscribe_all(struct hub_connection *c)
{
    char channel[16];
    for (unsigned p = 0; p < PUBLISHERS; p++) {
        name(channel, "kept", p);
        assert_ok(hub_subscribe(c, channel));
        name(channel, "price", p);
        assert_ok(hub_subscribe(c, channel));
    }
}

/* The next frame or the verdict, whenever it comes. */
static struct hub_taken take_next(struct hub_connection *c)
{
    struct hub_taken taken;
    while (!(taken = hub_take(c)).frame && !taken.close)
        (void)sched_yield();
    return taken;
}

/* Takes so many frames, or until nothing comes any more. */
static void take(struct arena *arena, struct hub_connection *c, unsigned count, struct seen *seen)
{
    while (count) {
        bool over = atomic_load(&arena->publishing) == 0;
        struct hub_taken taken = hub_take(c);
        assert_int_equal(taken.close, 0);
        if (!taken.frame && over) return;
        if (!taken.frame) (void)sched_yield();
        if (!taken.frame) continue;
        check(seen, taken.frame);
        frame_release(taken.frame);
        count--;
    }
}

/* Connections that come, listen for a while, stop listening to some, and go. */
static void *run_taker(void *arg)
{
    struct arena *arena = arg;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct hub_connection *c;
        struct seen seen = {0};
        assert_ok(hub_join(arena->hub, (size_t)1 << 30, (struct hub_wake){0}, &c));
        subscribe_all(c);
        take(arena, c, 200 + 50 * round, &seen);
        hub_unsubscribe(c, "kept:0");
        take(arena, c, 50, &seen);
        hub_leave(c);
        hub_release(c);
    }
    return NULL;
}

/* One connection that stays from the first event to the last, and misses nothing. */
static void *run_witness(void *arg)
{
    struct arena *arena = arg;
    struct hub_connection *c;
    struct seen *seen = calloc(1, sizeof *seen);
    assert_ok(hub_join(arena->hub, (size_t)1 << 30, (struct hub_wake){0}, &c));
    subscribe_all(c);
    atomic_fetch_sub(&arena->publishing, 1); /* see main: publishers wait for it */
    while (seen->kept[0] < EVENTS || seen->kept[1] < EVENTS || seen->price[0] < EVENTS ||
           seen->price[1] < EVENTS) {
        struct hub_taken taken = take_next(c);
        assert_non_null(taken.frame);
        check(seen, taken.frame);
        frame_release(taken.frame);
    }
    hub_leave(c);
    hub_release(c);
    return seen;
}

static void wait_until(struct arena *arena, unsigned publishing)
{
    while (atomic_load(&arena->publishing) != publishing)
        (void)sched_yield();
}

/* The hub is closed while the others still run: nobody hangs, everybody hears it. */
static void *run_reader_of_stats(void *arg)
{
    struct arena *arena = arg;
    while (atomic_load(&arena->publishing)) {
        struct hub_stats stats;
        hub_stats(arena->hub, &stats);
        assert_true(stats.connections <= TAKERS + 1);
        (void)sched_yield();
    }
    return NULL;
}

static void frames_arrive_in_order_and_whole_whoever_comes_and_goes(void **state)
{
    (void)state;
    struct arena arena = {.publishing = PUBLISHERS + 1};
    struct publisher publishers[PUBLISHERS];
    pthread_t witness, stats, takers[TAKERS], threads[PUBLISHERS];
    assert_ok(hub_new(TAKERS + 1, &arena.hub));
    assert_int_equal(pthread_create(&witness, NULL, run_witness, &arena), 0);
    wait_until(&arena, PUBLISHERS);
    for (unsigned i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, run_taker, &arena), 0);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        publishers[i] = (struct publisher){&arena, i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_publisher, &publishers[i]), 0);
    }
    assert_int_equal(pthread_create(&stats, NULL, run_reader_of_stats, &arena), 0);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_join(takers[i], NULL), 0);
    struct seen *seen;
    assert_int_equal(pthread_join(witness, (void **)&seen), 0);
    assert_int_equal(pthread_join(stats, NULL), 0);
    free(seen);

    struct hub_stats left;
    hub_stats(arena.hub, &left);
    assert_int_equal(left.published, 2 * PUBLISHERS * EVENTS);
    assert_int_equal(left.connections, 0);
    assert_int_equal(left.channels, 0);
    assert_int_equal(left.queued_bytes, 0);
    hub_free(arena.hub);
}

struct victim {
    struct hub *hub;
    atomic_bool joined;
};

static void *run_victim(void *arg)
{
    struct victim *v = arg;
    struct hub_connection *c;
    assert_ok(hub_join(v->hub, 0, (struct hub_wake){0}, &c));
    assert_ok(hub_subscribe(c, "x"));
    atomic_store(&v->joined, true);
    struct hub_taken taken;
    while (!(taken = take_next(c)).close)
        frame_release(taken.frame);
    assert_int_equal(taken.close, HUB_CLOSE_GOING_AWAY);
    hub_leave(c);
    hub_release(c);
    return NULL;
}

static void closing_all_reaches_everybody_while_events_flow(void **state)
{
    (void)state;
    struct victim victims[4];
    pthread_t threads[4];
    struct hub *h;
    assert_ok(hub_new(4, &h));
    struct frame *f = frame_new("x", 1, NULL);
    for (int i = 0; i < 4; i++) {
        victims[i] = (struct victim){.hub = h};
        assert_int_equal(pthread_create(&threads[i], NULL, run_victim, &victims[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        while (!atomic_load(&victims[i].joined))
            hub_publish(h, "x", f, HUB_CONFLATE);
    hub_close_all(h, HUB_CLOSE_GOING_AWAY);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    frame_release(f);
    hub_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_in_order_and_whole_whoever_comes_and_goes),
        cmocka_unit_test(closing_all_reaches_everybody_while_events_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
