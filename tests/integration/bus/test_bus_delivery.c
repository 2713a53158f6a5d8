/* Events arrive exactly once and in order: over every transport, under load, and at the limits. */
#include "support/unit.h"

#include "support/bus/fixture.h"
#include "support/rpc/fixture.h"

#include "base/auto.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 100000

static void deliver_some(struct node *n, const struct rpc_tls *tls)
{
    struct reader r;
    node_start(n, 0, tls);
    reader_start(&r, n, tls);
    reader_await(&r, 0);
    node_publish(n, 1000);
    reader_await(&r, 1000);
    assert_int_equal(r.resyncs, 1);
    assert_int_equal(r.events, 1000);
    assert_int_equal(r.last_number, 999);
    reader_stop(&r);
    node_stop(n);
}

static void events_arrive_once_and_in_order_within_the_process(void **state)
{
    (void)state;
    struct node n;
    node_addresses(&n);
    deliver_some(&n, NULL);
}

static void events_arrive_once_and_in_order_over_tcp(void **state)
{
    (void)state;
    struct node n = {.rpc_url = "tcp://127.0.0.1:0", .event_url = "tcp://127.0.0.1:0"};
    deliver_some(&n, NULL);
}

static void events_arrive_once_and_in_order_over_tls(void **state)
{
    (void)state;
    struct certificates c;
    certificates_make(&c);
    const struct rpc_tls tls = {c.ca, c.cert, c.key};
    struct node n = {.rpc_url = "tls+tcp://localhost:0", .event_url = "tls+tcp://localhost:0"};
    deliver_some(&n, &tls);
    certificates_remove(&c);
}

static void a_hundred_thousand_events_arrive_exactly_once(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    node_addresses(&n);
    node_start(&n, 64 * 1024 * 1024, NULL); /* holds them all: nothing may be resynced */
    reader_start(&r, &n, NULL);
    reader_await(&r, 0);
    int64_t start_ms = clock_mono_ms();
    node_publish(&n, MANY);
    int64_t published_ms = clock_mono_ms();
    reader_await(&r, MANY);
    print_message("%d events: published in %d ms, delivered in %d ms\n", MANY,
                  (int)(published_ms - start_ms), (int)(clock_mono_ms() - start_ms));
    assert_int_equal(r.resyncs, 1);
    assert_int_equal(r.events, MANY);
    assert_int_equal(r.last_number, MANY - 1);
    reader_stop(&r);
    node_stop(&n);
}

/* ---- many publishers ---- */

enum { THREADS = 4, EACH = 3000 };

struct publishing {
    struct bus_publisher *publisher;
    uint64_t thread;
};

static void *publish_numbers(void *arg)
{
    struct publishing *p = arg;
    for (uint64_t i = 1; i <= EACH; i++) {
        uint64_t payload[2] = {p->thread, i};
        bus_publish(p->publisher, TOPIC, "", "test.event", payload, sizeof payload);
        if (i % 3 == 0) bus_publish(p->publisher, OTHER, "", "test.event", NULL, 0);
    }
    return NULL;
}

static void check_turn(void *arg, const struct bus_event *event)
{
    uint64_t *last = arg, payload[2];
    assert_int_equal(event->payload_size, sizeof payload);
    memcpy(payload, event->payload, sizeof payload);
    assert_in_range(payload[0], 0, THREADS - 1);
    assert_int_equal(payload[1], last[payload[0]] + 1); /* each thread's own come in its order */
    last[payload[0]]++;
}

static void the_order_of_seqs_is_the_order_of_each_publishers_calls(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    pthread_t threads[THREADS];
    struct publishing work[THREADS];
    uint64_t last[THREADS] = {0}, epoch, seq;
    node_addresses(&n);
    node_start(&n, 0, NULL);
    reader_start(&r, &n, NULL);
    reader_await(&r, 0);
    for (uint64_t i = 0; i < THREADS; i++) {
        work[i] = (struct publishing){n.publisher, i};
        assert_int_equal(pthread_create(&threads[i], NULL, publish_numbers, &work[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    reader_await(&r, THREADS * EACH);
    assert_ok(bus_replay(r.subscriber, TOPIC, NULL, r.epoch, 0, check_turn, last, &epoch, &seq));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(last[i], EACH);
    reader_stop(&r);
    node_stop(&n);
}

/* ---- limits ---- */

static void add_size(void *arg, const struct bus_event *event)
{
    *(size_t *)arg += event->payload_size;
}

static void the_largest_events_arrive_and_are_replayed(void **state)
{
    enum { COUNT = 20 }; /* more than fit one message of RPC */
    (void)state;
    struct node n;
    struct reader live, late;
    char name[BUS_KEY_MAX + 1];
    memset(name, 'n', BUS_KEY_MAX);
    name[BUS_KEY_MAX] = 0;
    AUTO_FREE char *payload = malloc(BUS_EVENT_SIZE_MAX);
    memset(payload, 'p', BUS_EVENT_SIZE_MAX);
    node_addresses(&n);
    node_start(&n, 0, NULL);
    reader_start(&live, &n, NULL);
    reader_await(&live, 0);
    for (int i = 0; i < COUNT; i++)
        bus_publish(n.publisher, TOPIC, name, name, payload, BUS_EVENT_SIZE_MAX);
    reader_await(&live, COUNT);
    reader_start(&late, &n, NULL);
    reader_await(&late, COUNT);
    size_t size = 0;
    uint64_t epoch, seq;
    assert_ok(
        bus_replay(late.subscriber, TOPIC, name, late.epoch, 0, add_size, &size, &epoch, &seq));
    assert_int_equal(size, COUNT * BUS_EVENT_SIZE_MAX);
    reader_stop(&live);
    reader_stop(&late);
    node_stop(&n);
}

static void options_that_cannot_be_are_refused(void **state)
{
    static const char *const none[] = {NULL}, *const twice[] = {"a", "a", NULL},
                             *const empty[] = {"", NULL};
    static const char *urls[] = {"ipc:///tmp/x", "tls+tcp://127.0.0.1:0", "tcp://", "nonsense"};
    (void)state;
    struct err_detail detail;
    struct rpc_server *server;
    struct bus_publisher *p = NULL;
    struct bus_subscriber *s = NULL;
    const char *url = "inproc://bus.options";
    const struct rpc_server_options so = {.name = "test", .listen = &url, .listen_count = 1};
    assert_ok(rpc_server_new(&so, &server, &detail));
    const char *const *const topics[] = {twice, empty};
    for (size_t i = 0; i < 2; i++) {
        const struct bus_publisher_options po = {.topics = topics[i]};
        const struct bus_subscriber_options sub = {.topics = topics[i]};
        assert_err(bus_publisher_new(&po, server, &p, &detail), ERR_INVALID);
        assert_err(bus_subscriber_new(&sub, &s, &detail), ERR_INVALID);
    }
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const struct bus_publisher_options po = {
            .topics = none, .listen = &urls[i], .listen_count = 1};
        const struct bus_subscriber_options sub = {
            .topics = none, .urls = &urls[i], .url_count = 1};
        assert_err(bus_publisher_new(&po, server, &p, &detail), ERR_INVALID);
        assert_err(bus_subscriber_new(&sub, &s, &detail), ERR_INVALID);
    }
    assert_null(p);
    assert_null(s);
    rpc_server_free(server);
    bus_publisher_free(NULL);
    bus_subscriber_free(NULL);
}

static void an_address_in_use_is_unavailable(void **state)
{
    static const char *const none[] = {NULL};
    (void)state;
    struct node n;
    struct err_detail detail;
    struct rpc_server *server;
    struct bus_publisher *p = NULL;
    node_addresses(&n);
    node_start(&n, 0, NULL);
    const char *url = n.event_url, *other = "inproc://bus.in.use";
    const struct rpc_server_options so = {.name = "test", .listen = &other, .listen_count = 1};
    const struct bus_publisher_options po = {.topics = none, .listen = &url, .listen_count = 1};
    assert_ok(rpc_server_new(&so, &server, &detail));
    assert_err(bus_publisher_new(&po, server, &p, &detail), ERR_UNAVAILABLE);
    assert_non_null(strstr(detail.text, url));
    rpc_server_free(server);
    node_stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_arrive_once_and_in_order_within_the_process),
        cmocka_unit_test(events_arrive_once_and_in_order_over_tcp),
        cmocka_unit_test(events_arrive_once_and_in_order_over_tls),
        cmocka_unit_test(a_hundred_thousand_events_arrive_exactly_once),
        cmocka_unit_test(the_order_of_seqs_is_the_order_of_each_publishers_calls),
        cmocka_unit_test(the_largest_events_arrive_and_are_replayed),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(an_address_in_use_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
