/* The hub: who gets which frame, in which order, and what happens at each limit. */
#include "support/unit.h"

#include "base/clock.h"
#include "hub.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 4
#define QUEUE_BYTES 1000

static int start(void **state)
{
    struct hub *h;
    assert_ok(hub_new(CONNECTIONS, &h));
    *state = h;
    return 0;
}

static int stop(void **state)
{
    struct hub_stats stats;
    hub_stats(*state, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.channels, 0);
    assert_int_equal(stats.subscriptions, 0);
    assert_int_equal(stats.queued_bytes, 0);
    hub_free(*state);
    return 0;
}

static struct hub_connection *join(struct hub *h)
{
    struct hub_connection *c;
    assert_ok(hub_join(h, QUEUE_BYTES, (struct hub_wake){0}, &c));
    return c;
}

static void leave(struct hub_connection *c)
{
    hub_leave(c);
    hub_release(c);
}

/* A frame of so many bytes at a place in a topic. */
static struct frame *make(const char *text, size_t size, uint64_t seq)
{
    char padded[2 * QUEUE_BYTES];
    memset(padded, ' ', sizeof padded);
    for (size_t i = 0; text[i]; i++)
        padded[i] = text[i];
    struct frame *f = frame_new(padded, size, &(struct frame_event){"toy.all", "toy", 7, seq});
    assert_non_null(f);
    return f;
}

static void publish(struct hub *h, const char *channel, const char *text, enum hub_delivery how)
{
    static uint64_t seq;
    struct frame *f = make(text, strlen(text), ++seq);
    hub_publish(h, channel, f, how);
    frame_release(f);
}

static void publish_size(struct hub *h, const char *channel, size_t size, enum hub_delivery how)
{
    struct frame *f = make("", size, 1);
    hub_publish(h, channel, f, how);
    frame_release(f);
}

static void assert_next(struct hub_connection *c, const char *text)
{
    struct hub_taken taken = hub_take(c);
    assert_non_null(taken.frame);
    assert_string_equal(frame_look(taken.frame).text, text);
    frame_release(taken.frame);
}

static void assert_nothing(struct hub_connection *c)
{
    struct hub_taken taken = hub_take(c);
    assert_null(taken.frame);
    assert_int_equal(taken.close, 0);
}

static void assert_closed(struct hub_connection *c, int code)
{
    struct hub_taken taken = hub_take(c);
    assert_null(taken.frame);
    assert_int_equal(taken.close, code);
}

static struct hub_stats stats_of(struct hub *h)
{
    struct hub_stats stats;
    hub_stats(h, &stats);
    return stats;
}

/* ---- frames ---- */

static void a_frame_keeps_its_text_and_its_place(void **state)
{
    (void)state;
    struct frame *f = frame_new("{}...", 2, &(struct frame_event){"trading.market", "t", 3, 4});
    struct frame_info info = frame_look(f);
    assert_string_equal(info.text, "{}");
    assert_int_equal(info.size, 2);
    assert_string_equal(info.event.topic, "trading.market");
    assert_string_equal(info.event.type, "t");
    assert_int_equal(info.event.epoch, 3);
    assert_int_equal(info.event.seq, 4);
    frame_release(frame_hold(f));
    frame_release(f);
    f = frame_new("", 0, NULL);
    assert_string_equal(frame_look(f).event.topic, "");
    frame_release(f);
    frame_release(NULL);
}

/* ---- who gets what ---- */

static void only_listeners_get_what_a_channel_publishes(void **state)
{
    struct hub *h = *state;
    struct hub_connection *a = join(h), *b = join(h);
    assert_ok(hub_subscribe(a, "x"));
    assert_ok(hub_subscribe(a, "y"));
    assert_ok(hub_subscribe(b, "y"));
    publish(h, "x", "1", HUB_KEEP);
    publish(h, "y", "2", HUB_KEEP);
    publish(h, "nobody", "3", HUB_KEEP);
    assert_next(a, "1");
    assert_next(a, "2");
    assert_nothing(a);
    assert_next(b, "2");
    assert_nothing(b);
    leave(a);
    leave(b);
}

static void subscribing_twice_delivers_once(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "x"));
    assert_ok(hub_subscribe(c, "x"));
    assert_int_equal(stats_of(h).subscriptions, 1);
    publish(h, "x", "1", HUB_KEEP);
    assert_next(c, "1");
    assert_nothing(c);
    leave(c);
}

static void after_unsubscribing_nothing_new_arrives(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "x"));
    publish(h, "x", "1", HUB_KEEP);
    publish(h, "x", "2", HUB_CONFLATE);
    hub_unsubscribe(c, "x");
    hub_unsubscribe(c, "x");
    publish(h, "x", "3", HUB_KEEP);
    assert_false(hub_is_subscribed(c, "x"));
    assert_false(hub_is_heard(h, "x"));
    assert_next(c, "1"); /* what was queued still arrives */
    assert_next(c, "2");
    assert_nothing(c);
    leave(c);
}

static void subscriptions_end_in_any_order(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        c[i] = join(h);
        assert_ok(hub_subscribe(c[i], "x"));
    }
    hub_unsubscribe(c[1], "x");
    leave(c[0]);
    publish(h, "x", "1", HUB_KEEP);
    assert_next(c[2], "1");
    assert_next(c[3], "1");
    assert_nothing(c[1]);
    assert_true(hub_is_heard(h, "x"));
    for (int i = 1; i < CONNECTIONS; i++)
        leave(c[i]);
}

static void an_answer_goes_to_one_connection(void **state)
{
    struct hub *h = *state;
    struct hub_connection *a = join(h), *b = join(h);
    struct frame *f = frame_new("answer", 6, NULL);
    hub_send(a, f, HUB_KEEP);
    frame_release(f);
    assert_next(a, "answer");
    assert_nothing(b);
    leave(a);
    leave(b);
}

static struct frame *name_of(void *arg, const char *channel)
{
    return strcmp(channel, arg) ? frame_new(channel, strlen(channel), NULL) : NULL;
}

static void every_channel_but_one_can_be_told_something(void **state)
{
    struct hub *h = *state;
    struct hub_connection *a = join(h), *b = join(h);
    assert_ok(hub_subscribe(a, "x"));
    assert_ok(hub_subscribe(a, "y"));
    assert_ok(hub_subscribe(b, "z"));
    hub_publish_each(h, name_of, "y");
    assert_next(a, "x");
    assert_nothing(a);
    assert_next(b, "z");
    leave(a);
    leave(b);
}

/* ---- conflation ---- */

static void of_waiting_prices_only_the_newest_is_delivered(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "p"));
    assert_ok(hub_subscribe(c, "q"));
    publish(h, "p", "p1", HUB_CONFLATE);
    publish(h, "q", "q1", HUB_CONFLATE);
    publish(h, "p", "p2", HUB_CONFLATE);
    publish(h, "p", "p3", HUB_CONFLATE);
    assert_int_equal(stats_of(h).conflated, 2);
    assert_int_equal(stats_of(h).queued_bytes, 4);
    assert_next(c, "p3");
    publish(h, "p", "p4", HUB_CONFLATE); /* behind q1: the place was taken */
    assert_next(c, "q1");
    assert_next(c, "p4");
    assert_nothing(c);
    leave(c);
}

/* A client that resumes from what it got must not skip what waited behind the replaced frame. */
static void a_replaced_frame_gives_the_cursor_of_its_place(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "p"));
    assert_ok(hub_subscribe(c, "t"));
    struct frame *frames[] = {make("p", 1, 10), make("t", 1, 11), make("P", 1, 12)};
    hub_publish(h, "p", frames[0], HUB_CONFLATE);
    hub_publish(h, "t", frames[1], HUB_KEEP);
    hub_publish(h, "p", frames[2], HUB_CONFLATE);
    static const uint64_t seqs[] = {10, 11};
    for (int i = 0; i < 2; i++) {
        struct hub_taken taken = hub_take(c);
        assert_int_equal(taken.epoch, 7);
        assert_int_equal(taken.seq, seqs[i]);
        frame_release(taken.frame);
    }
    for (int i = 0; i < 3; i++)
        frame_release(frames[i]);
    leave(c);
}

static void a_conflated_frame_outlives_its_subscription(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "p"));
    publish(h, "p", "p1", HUB_CONFLATE);
    hub_unsubscribe(c, "p");
    assert_ok(hub_subscribe(c, "p"));
    publish(h, "p", "p2", HUB_CONFLATE);
    assert_next(c, "p1");
    publish(h, "p", "p3", HUB_CONFLATE);
    assert_next(c, "p3");
    leave(c);
}

/* ---- limits ---- */

static void a_full_queue_closes_its_connection_and_no_other(void **state)
{
    struct hub *h = *state;
    struct hub_connection *slow = join(h), *fast = join(h);
    assert_ok(hub_subscribe(slow, "x"));
    assert_ok(hub_subscribe(fast, "x"));
    publish_size(h, "x", QUEUE_BYTES, HUB_KEEP); /* exactly full */
    frame_release(hub_take(fast).frame);
    assert_int_equal(stats_of(h).closed_slow, 0);
    publish_size(h, "x", 1, HUB_KEEP); /* and one byte more */
    assert_int_equal(stats_of(h).closed_slow, 1);
    assert_closed(slow, HUB_CLOSE_SLOW); /* at once: what waits is not waited for */
    publish_size(h, "x", 1, HUB_KEEP);
    assert_int_equal(stats_of(h).closed_slow, 1);
    for (int i = 0; i < 2; i++)
        frame_release(hub_take(fast).frame);
    assert_nothing(fast);
    leave(slow);
    leave(fast);
}

static void sheddable_frames_go_once_the_queue_is_half_full(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "x"));
    publish_size(h, "x", QUEUE_BYTES / 2 - 1, HUB_KEEP);
    publish_size(h, "x", 1, HUB_SHED); /* exactly half */
    assert_int_equal(stats_of(h).shed, 0);
    publish_size(h, "x", 1, HUB_SHED);
    assert_int_equal(stats_of(h).shed, 1);
    publish_size(h, "x", QUEUE_BYTES / 2, HUB_KEEP); /* others may use all of it */
    assert_int_equal(stats_of(h).queued_bytes, QUEUE_BYTES);
    leave(c);
}

static void a_replacement_that_does_not_fit_closes_too(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "p"));
    publish_size(h, "p", 1, HUB_CONFLATE);
    publish_size(h, "p", QUEUE_BYTES, HUB_CONFLATE);
    assert_int_equal(stats_of(h).queued_bytes, QUEUE_BYTES);
    publish_size(h, "p", QUEUE_BYTES + 1, HUB_CONFLATE);
    assert_closed(c, HUB_CLOSE_SLOW);
    leave(c);
}

static void a_queue_has_a_limit_of_frames_too(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c;
    assert_ok(hub_join(h, 0, (struct hub_wake){0}, &c));
    assert_ok(hub_subscribe(c, "x"));
    for (int i = 0; i < HUB_QUEUE_FRAMES; i++)
        publish_size(h, "x", 1, HUB_KEEP);
    assert_int_equal(stats_of(h).closed_slow, 0);
    publish_size(h, "x", 1, HUB_KEEP);
    assert_closed(c, HUB_CLOSE_SLOW);
    leave(c);
}

static void the_hub_has_a_limit_of_connections(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c[CONNECTIONS], *more = NULL;
    for (int i = 0; i < CONNECTIONS; i++)
        c[i] = join(h);
    assert_err(hub_join(h, 0, (struct hub_wake){0}, &more), ERR_EXHAUSTED);
    assert_null(more);
    leave(c[1]);
    c[1] = join(h);
    for (int i = 0; i < CONNECTIONS; i++)
        leave(c[i]);
}

static void a_connection_has_a_limit_of_subscriptions(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    char name[HUB_CHANNEL_MAX + 2];
    for (int i = 0; i < HUB_SUBSCRIPTIONS_MAX; i++) {
        (void)snprintf(name, sizeof name, "channel-%d", i);
        assert_ok(hub_subscribe(c, name));
    }
    assert_err(hub_subscribe(c, "one more"), ERR_EXHAUSTED);
    assert_ok(hub_subscribe(c, "channel-0")); /* not one more */
    hub_unsubscribe(c, "channel-7");
    assert_ok(hub_subscribe(c, "one more"));
    leave(c);
}

static void a_channel_name_has_a_limit(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    char name[HUB_CHANNEL_MAX + 2];
    memset(name, 'x', sizeof name);
    name[HUB_CHANNEL_MAX + 1] = 0;
    assert_err(hub_subscribe(c, name), ERR_EXHAUSTED);
    name[HUB_CHANNEL_MAX] = 0;
    assert_ok(hub_subscribe(c, name));
    leave(c);
}

/* ---- verdicts ---- */

static void what_is_queued_leaves_before_a_close(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    assert_ok(hub_subscribe(c, "x"));
    publish(h, "x", "1", HUB_KEEP);
    hub_close(c, HUB_CLOSE_BAD_CREDENTIALS);
    hub_close(c, HUB_CLOSE_NORMAL); /* the first verdict stays */
    publish(h, "x", "2", HUB_KEEP); /* too late */
    assert_next(c, "1");
    assert_closed(c, HUB_CLOSE_BAD_CREDENTIALS);
    assert_closed(c, HUB_CLOSE_BAD_CREDENTIALS);
    leave(c);
}

static void closing_all_also_closes_the_door(void **state)
{
    struct hub *h = *state;
    struct hub_connection *a = join(h), *b = join(h), *late = NULL;
    hub_close_all(h, HUB_CLOSE_GOING_AWAY);
    assert_closed(a, HUB_CLOSE_GOING_AWAY);
    assert_closed(b, HUB_CLOSE_GOING_AWAY);
    assert_err(hub_join(h, 0, (struct hub_wake){0}, &late), ERR_CLOSED);
    leave(a);
    leave(b);
}

static void who_has_left_gets_nothing_and_can_do_nothing(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c = join(h);
    hub_hold(c); /* as a command that still runs does */
    assert_ok(hub_subscribe(c, "x"));
    publish(h, "x", "1", HUB_KEEP);
    leave(c);
    struct frame *f = frame_new("late", 4, NULL);
    hub_send(c, f, HUB_KEEP);
    frame_release(f);
    assert_err(hub_subscribe(c, "x"), ERR_CLOSED);
    hub_close(c, HUB_CLOSE_NORMAL);
    hub_leave(c);
    assert_closed(c, HUB_CLOSE_NORMAL);
    hub_release(c);
}

/* ---- waiting and waking ---- */

static void count(void *arg)
{
    ++*(int *)arg;
}

static void the_wake_is_called_when_there_is_something_new_to_take(void **state)
{
    struct hub *h = *state;
    struct hub_connection *c;
    int calls = 0;
    assert_ok(hub_join(h, QUEUE_BYTES, (struct hub_wake){count, &calls}, &c));
    assert_ok(hub_subscribe(c, "x"));
    publish(h, "x", "1", HUB_KEEP);
    publish(h, "x", "2", HUB_KEEP);
    assert_int_equal(calls, 1);
    assert_next(c, "1");
    publish(h, "x", "3", HUB_KEEP);
    assert_int_equal(calls, 1); /* "2" still waits */
    assert_next(c, "2");
    assert_next(c, "3");
    publish(h, "x", "4", HUB_KEEP);
    assert_int_equal(calls, 2);
    hub_close(c, HUB_CLOSE_NORMAL);
    hub_close(c, HUB_CLOSE_NORMAL);
    assert_int_equal(calls, 3);
    hub_leave(c);
    hub_close(c, HUB_CLOSE_NORMAL);
    assert_int_equal(calls, 3);
    hub_release(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_keeps_its_text_and_its_place),
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
        HUB_TEST(only_listeners_get_what_a_channel_publishes),
        HUB_TEST(subscribing_twice_delivers_once),
        HUB_TEST(after_unsubscribing_nothing_new_arrives),
        HUB_TEST(subscriptions_end_in_any_order),
        HUB_TEST(an_answer_goes_to_one_connection),
        HUB_TEST(every_channel_but_one_can_be_told_something),
        HUB_TEST(of_waiting_prices_only_the_newest_is_delivered),
        HUB_TEST(a_replaced_frame_gives_the_cursor_of_its_place),
        HUB_TEST(a_conflated_frame_outlives_its_subscription),
        HUB_TEST(a_full_queue_closes_its_connection_and_no_other),
        HUB_TEST(sheddable_frames_go_once_the_queue_is_half_full),
        HUB_TEST(a_replacement_that_does_not_fit_closes_too),
        HUB_TEST(a_queue_has_a_limit_of_frames_too),
        HUB_TEST(the_hub_has_a_limit_of_connections),
        HUB_TEST(a_connection_has_a_limit_of_subscriptions),
        HUB_TEST(a_channel_name_has_a_limit),
        HUB_TEST(what_is_queued_leaves_before_a_close),
        HUB_TEST(closing_all_also_closes_the_door),
        HUB_TEST(who_has_left_gets_nothing_and_can_do_nothing),
        HUB_TEST(the_wake_is_called_when_there_is_something_new_to_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
