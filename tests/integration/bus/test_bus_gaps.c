/*
 * What gets lost on the way is found again, or told. Some tests take the doorbell into their own
 * hands: the reader listens to a PUB socket of the test's, so the publisher's own events are never
 * heard.
 */
#include "support/unit.h"

#include "base/bus/record.h"
#include "support/bus/fixture.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define BURST 30000 /* far more than nng keeps on both sides */

/* ---- bursts ---- */

static void burst(struct node *n, struct reader *r)
{
    reader_start(r, n, NULL);
    reader_await(r, 0);
    reader_close_gate(r, true);
    node_publish(n, 1);
    reader_await_waiting(r);
    node_publish(n, BURST - 1); /* does not wait for the reader */
    reader_close_gate(r, false);
}

static void overflow(const char *rpc_url, const char *event_url)
{
    struct node n;
    struct reader r;
    node_addresses(&n);
    if (rpc_url) (void)snprintf(n.rpc_url, sizeof n.rpc_url, "%s", rpc_url);
    if (event_url) (void)snprintf(n.event_url, sizeof n.event_url, "%s", event_url);
    node_start(&n, 0, NULL);
    burst(&n, &r);
    reader_await(&r, BURST);
    assert_int_equal(r.resyncs, 1);
    assert_int_equal(r.events, BURST);
    assert_int_equal(r.last_number, BURST - 1);
    reader_stop(&r);
    node_stop(&n);
}

static void a_burst_that_overflows_the_queues_is_replayed_within_the_process(void **state)
{
    (void)state;
    overflow(NULL, NULL);
}

static void a_burst_that_overflows_the_queues_is_replayed_over_tcp(void **state)
{
    (void)state;
    overflow("tcp://127.0.0.1:0", "tcp://127.0.0.1:0");
}

static void what_even_the_ring_has_lost_is_told_as_a_resync(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    node_addresses(&n);
    node_start(&n, 20000, NULL);
    burst(&n, &r);
    reader_await(&r, BURST);
    assert_true(r.resyncs > 1);
    assert_true(r.events < BURST);
    reader_stop(&r);
    node_stop(&n);
}

/* ---- publishers that come and go ---- */

static void a_publisher_that_starts_anew_is_a_new_epoch_and_a_resync(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    node_addresses(&n);
    node_start(&n, 0, NULL);
    reader_start(&r, &n, NULL);
    reader_await(&r, 0);
    node_publish(&n, 10);
    reader_await(&r, 10);
    uint64_t epoch = r.epoch;
    node_stop(&n);
    node_start(&n, 0, NULL);
    reader_await_resyncs(&r, 2); /* by its heartbeat: it has published nothing yet */
    reader_await(&r, 0);
    assert_int_not_equal(r.epoch, epoch);
    node_publish(&n, 5);
    reader_await(&r, 5);
    reader_stop(&r);
    node_stop(&n);
}

static void a_publisher_that_comes_later_is_found(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    node_addresses(&n);
    reader_start(&r, &n, NULL);
    node_start(&n, 0, NULL);
    node_publish(&n, 3);
    reader_await(&r, 3);
    assert_int_equal(r.resyncs, 1);
    reader_stop(&r);
    node_stop(&n);
}

static void a_reader_stops_while_there_is_no_publisher(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    node_addresses(&n);
    reader_start(&r, &n, NULL);
    reader_stop(&r);
}

/* ---- the test's own doorbell ---- */

struct bell {
    struct node node;
    nng_socket socket;
};

/* The node is not started; the reader is, and listens to the bell. */
static void bell_open(struct bell *b, struct reader *r)
{
    struct node as_reader_sees;
    node_addresses(&b->node);
    node_addresses(&as_reader_sees);
    memcpy(as_reader_sees.rpc_url, b->node.rpc_url, sizeof b->node.rpc_url);
    assert_int_equal(nng_pub0_open(&b->socket), 0);
    assert_int_equal(nng_listen(b->socket, as_reader_sees.event_url, NULL, 0), 0);
    reader_start(r, &as_reader_sees, NULL);
}

static void bell_start(struct bell *b, struct reader *r)
{
    bell_open(b, r);
    node_start(&b->node, 0, NULL);
    reader_await(r, 0);
}

static void bell_stop(struct bell *b)
{
    (void)nng_close(b->socket);
    node_stop(&b->node);
}

static void ring(const struct bell *b, const struct bus_event *event)
{
    nng_msg *message;
    assert_int_equal(nng_msg_alloc(&message, bus_encoded_size(event)), 0);
    bus_encode(event, nng_msg_body(message));
    assert_int_equal(nng_sendmsg(b->socket, message, 0), 0);
}

static struct bus_event heartbeat(const struct reader *r, uint64_t seq)
{
    return (struct bus_event){.topic = TOPIC, .key = "", .type = "", .epoch = r->epoch, .seq = seq};
}

/* A heartbeat may be sent before the reader's connection is there: rings until it was heard. */
static void ring_until(const struct bell *b, struct reader *r, const struct bus_event *event,
                       uint64_t seq)
{
    bool there = false;
    for (int i = 0; i < 2000 && !there; i++) {
        ring(b, event);
        (void)poll(NULL, 0, 5);
        pthread_mutex_lock(&r->lock);
        there = r->seq == seq;
        pthread_mutex_unlock(&r->lock);
    }
    reader_await(r, seq);
}

static void a_lost_tail_is_seen_by_the_next_heartbeat(void **state)
{
    (void)state;
    struct bell b;
    struct reader r;
    bell_start(&b, &r);
    node_publish(&b.node, 5); /* nobody hears that */
    const struct bus_event beat = heartbeat(&r, 5);
    ring_until(&b, &r, &beat, 5);
    assert_int_equal(r.events, 5);
    assert_int_equal(r.resyncs, 1);
    reader_stop(&r);
    bell_stop(&b);
}

static void an_event_after_a_gap_brings_what_is_between(void **state)
{
    (void)state;
    struct bell b;
    struct reader r;
    bell_start(&b, &r);
    node_publish(&b.node, 5);
    struct bus_event fourth = heartbeat(&r, 4);
    fourth.type = "test.event";
    ring_until(&b, &r, &fourth, 5);
    assert_int_equal(r.events, 5);
    reader_stop(&r);
    bell_stop(&b);
}

static void repeats_strangers_and_garbage_change_nothing(void **state)
{
    (void)state;
    struct bell b;
    struct reader r;
    bell_start(&b, &r);
    node_publish(&b.node, 5);
    const struct bus_event beat = heartbeat(&r, 5);
    ring_until(&b, &r, &beat, 5);

    struct bus_event event = heartbeat(&r, 3);
    event.type = "test.event";
    ring(&b, &event); /* heard before */
    event.seq = 9;
    ring(&b, &event); /* from the future: the publisher knows of no such event */
    event.epoch = r.epoch % BUS_EPOCH_MAX + 1;
    event.seq = 6;
    ring(&b, &event); /* another epoch, but not the publisher's */
    event.topic = "test.unknown";
    ring(&b, &event);
    static const char *const garbage[] = {TOPIC "\0garbage", TOPIC "\0", TOPIC};
    static const size_t sizes[] = {sizeof TOPIC + 7, sizeof TOPIC, sizeof TOPIC - 1};
    for (int i = 0; i < 3; i++) {
        nng_msg *message;
        assert_int_equal(nng_msg_alloc(&message, 0), 0);
        assert_int_equal(nng_msg_append(message, garbage[i], sizes[i]), 0);
        assert_int_equal(nng_sendmsg(b.socket, message, 0), 0);
    }
    node_publish(&b.node, 1);
    const struct bus_event last = heartbeat(&r, 6);
    ring_until(&b, &r, &last, 6);
    assert_int_equal(r.events, 6);
    assert_int_equal(r.resyncs, 1);
    reader_stop(&r);
    bell_stop(&b);
}

static void a_replay_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct bell b;
    struct reader r;
    bell_open(&b, &r); /* the reader asks in vain */
    node_start(&b.node, 0, NULL);
    node_publish(&b.node, 4);
    const struct bus_event beat = {.topic = TOPIC, .key = "", .type = "", .epoch = 1, .seq = 1};
    ring_until(&b, &r, &beat, 4); /* any sign of life */
    assert_int_equal(r.resyncs, 1);
    reader_stop(&r);
    bell_stop(&b);
}

static void a_publisher_beats_every_second_with_its_last_seq(void **state)
{
    (void)state;
    struct node n;
    nng_socket socket;
    node_addresses(&n);
    node_start(&n, 0, NULL);
    node_publish(&n, 7);
    assert_int_equal(nng_sub0_open(&socket), 0);
    assert_int_equal(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, TOPIC, sizeof TOPIC), 0);
    assert_int_equal(nng_dial(socket, n.event_url, NULL, 0), 0);
    for (int i = 0; i < 2; i++) {
        nng_msg *message;
        struct bus_event event;
        Events__Event *unpacked;
        assert_int_equal(nng_recvmsg(socket, &message, 0), 0);
        assert_ok(bus_decode(nng_msg_body(message), nng_msg_len(message), &event, &unpacked));
        assert_string_equal(event.type, "");
        assert_int_equal(event.seq, 7);
        events__event__free_unpacked(unpacked, NULL);
        nng_msg_free(message);
    }
    (void)nng_close(socket);
    node_stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_that_overflows_the_queues_is_replayed_within_the_process),
        cmocka_unit_test(a_burst_that_overflows_the_queues_is_replayed_over_tcp),
        cmocka_unit_test(what_even_the_ring_has_lost_is_told_as_a_resync),
        cmocka_unit_test(a_publisher_that_starts_anew_is_a_new_epoch_and_a_resync),
        cmocka_unit_test(a_publisher_that_comes_later_is_found),
        cmocka_unit_test(a_reader_stops_while_there_is_no_publisher),
        cmocka_unit_test(a_lost_tail_is_seen_by_the_next_heartbeat),
        cmocka_unit_test(an_event_after_a_gap_brings_what_is_between),
        cmocka_unit_test(repeats_strangers_and_garbage_change_nothing),
        cmocka_unit_test(a_replay_that_fails_is_tried_again),
        cmocka_unit_test(a_publisher_beats_every_second_with_its_last_seq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
