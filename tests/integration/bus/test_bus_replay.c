/* Replay: the publisher's to a subscriber, and a subscriber's to a client that comes back. */
#include "support/unit.h"

#include "events.pb-c.h"
#include "support/bus/fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct visited {
    uint64_t count, last_seq;
    const char *key;
};

static void visit(void *arg, const struct bus_event *event)
{
    struct visited *v = arg;
    assert_true(event->seq > v->last_seq);
    if (v->key) assert_string_equal(event->key, v->key);
    v->last_seq = event->seq;
    v->count++;
}

static struct visited replay(struct reader *r, const char *key, uint64_t seq, enum err expected)
{
    struct visited v = {.key = key};
    uint64_t epoch = 0, last = 0;
    assert_err(bus_replay(r->subscriber, TOPIC, key, r->epoch, seq, visit, &v, &epoch, &last),
               expected);
    assert_int_equal(epoch, r->epoch);
    assert_int_equal(last, r->seq);
    return v;
}

static void a_late_subscriber_has_the_past_for_its_clients(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    node_addresses(&n);
    node_start(&n, 0, NULL);
    node_publish(&n, 2500); /* more than one reply */
    reader_start(&r, &n, NULL);
    reader_await(&r, 2500);
    assert_int_equal(r.events, 0); /* its own state comes from a snapshot */
    assert_int_equal(replay(&r, NULL, 0, OK).count, 2500);
    node_publish(&n, 2);
    reader_await(&r, 2502);
    assert_int_equal(replay(&r, NULL, 2490, OK).count, 12);
    assert_int_equal(replay(&r, NULL, 2502, OK).count, 0);
    (void)replay(&r, NULL, 2503, ERR_RANGE);
    reader_stop(&r);
    node_stop(&n);
}

static void a_reader_of_one_key_gets_only_that(void **state)
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
    assert_int_equal(replay(&r, "even", 0, OK).count, 5);
    assert_int_equal(replay(&r, "odd", 4, OK).count, 3);
    assert_int_equal(replay(&r, "nobody", 0, OK).count, 0);
    reader_stop(&r);
    node_stop(&n);
}

static void a_past_that_is_gone_is_a_resync(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    uint64_t epoch = 1, seq = 1;
    struct visited v = {0};
    node_addresses(&n);
    node_start(&n, 5000, NULL); /* some thirty events */
    node_publish(&n, 1000);
    reader_start(&r, &n, NULL);
    reader_await(&r, 1000);
    (void)replay(&r, NULL, 0, ERR_RANGE);
    assert_int_equal(replay(&r, NULL, 995, OK).count, 5);
    assert_err(bus_replay(r.subscriber, TOPIC, NULL, r.epoch + 1, 999, visit, &v, &epoch, &seq),
               ERR_RANGE);
    assert_int_equal(epoch, r.epoch);
    assert_int_equal(seq, 1000);
    assert_err(bus_replay(r.subscriber, "test.unknown", NULL, 0, 0, visit, &v, &epoch, &seq),
               ERR_NOT_FOUND);
    assert_int_equal(v.count, 0);
    reader_stop(&r);
    node_stop(&n);
}

static void a_topic_whose_publisher_was_never_reached_stands_at_zero(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    node_addresses(&n);
    reader_start(&r, &n, NULL);
    assert_int_equal(replay(&r, NULL, 0, OK).count, 0);
    reader_stop(&r);
}

/* ---- a client that comes back while events flow ---- */

struct hub {
    pthread_mutex_t lock; /* over a client's joining, and over each event */
    bool live;
    uint64_t epoch, seq; /* what the client has */
    uint64_t repeats, gaps;
    atomic_bool stop;
    struct node *node;
};

static void give(void *arg, const struct bus_event *event)
{
    struct hub *h = arg;
    if (event->seq != h->seq + 1) h->gaps++;
    h->seq = event->seq;
}

static void hub_event(void *arg, const struct bus_event *event)
{
    struct hub *h = arg;
    pthread_mutex_lock(&h->lock);
    if (h->live && event->seq > h->seq) give(h, event);
    pthread_mutex_unlock(&h->lock);
}

static void hub_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq)
{
    struct hub *h = arg;
    if (strcmp(topic, TOPIC) != 0) return;
    pthread_mutex_lock(&h->lock);
    h->epoch = epoch;
    h->seq = seq;
    pthread_mutex_unlock(&h->lock);
}

static void *keep_publishing(void *arg)
{
    struct hub *h = arg;
    while (!atomic_load(&h->stop))
        node_publish(h->node, 10);
    return NULL;
}

static void a_client_joins_a_running_stream_without_gap_or_repeat(void **state)
{
    static const char *const topics[] = {TOPIC, NULL};
    (void)state;
    struct node n;
    struct reader r; /* only for its client */
    struct hub h = {.lock = PTHREAD_MUTEX_INITIALIZER, .node = &n};
    struct bus_subscriber *s;
    pthread_t publisher;
    node_addresses(&n);
    node_start(&n, 0, NULL);
    reader_start(&r, &n, NULL);
    reader_await(&r, 0);
    const char *url = n.event_url;
    const struct bus_subscriber_options options = {.urls = &url,
                                                   .url_count = 1,
                                                   .replay = r.client,
                                                   .topics = topics,
                                                   .on_event = hub_event,
                                                   .on_resync = hub_resync,
                                                   .arg = &h,
                                                   .ring_size = 64 * 1024 * 1024};
    assert_ok(bus_subscriber_new(&options, &s, NULL));
    assert_int_equal(pthread_create(&publisher, NULL, keep_publishing, &h), 0);
    for (int joined = 0; joined < 200;) {
        uint64_t epoch, seq;
        pthread_mutex_lock(&h.lock);
        h.live = false; /* it went away; it comes back with its cursor */
        pthread_mutex_unlock(&h.lock);
        pthread_mutex_lock(&h.lock);
        enum err e = h.epoch ? bus_replay(s, TOPIC, NULL, h.epoch, h.seq, give, &h, &epoch, &seq)
                             : ERR_RANGE;
        if (!e) {
            h.live = true;
            joined += seq > 0;
            if (seq != h.seq) h.repeats++;
        }
        pthread_mutex_unlock(&h.lock);
        if (e) (void)sched_yield();
    }
    atomic_store(&h.stop, true);
    assert_int_equal(pthread_join(publisher, NULL), 0);
    bus_subscriber_free(s);
    assert_int_equal(h.gaps, 0);
    assert_int_equal(h.repeats, 0);
    reader_stop(&r);
    node_stop(&n);
}

/* ---- the RPC itself ---- */

static enum err ask(struct reader *r, const struct principal *as, Events__ReplayRequest *request,
                    Events__ReplayResponse **ret)
{
    const struct rpc_options options = {.principal = as};
    ProtobufCMessage *reply = NULL;
    enum err e =
        rpc_call(r->client, "events.Events/Replay", &request->base, &options, &reply, NULL);
    *ret = (Events__ReplayResponse *)reply;
    return e;
}

static void only_services_may_ask_and_only_for_what_there_is(void **state)
{
    (void)state;
    struct node n;
    struct reader r;
    Events__ReplayResponse *reply;
    Events__ReplayRequest request = EVENTS__REPLAY_REQUEST__INIT;
    const struct principal service = principal_service("test");
    node_addresses(&n);
    node_start(&n, 0, NULL);
    node_publish(&n, 10);
    reader_start(&r, &n, NULL);
    reader_await(&r, 10);

    request.topic = (char *)TOPIC;
    request.epoch = r.epoch;
    request.after_seq = 2;
    request.limit = 3;
    assert_int_not_equal(ask(&r, NULL, &request, &reply), OK);
    assert_ok(ask(&r, &service, &request, &reply));
    assert_false(reply->gone);
    assert_int_equal(reply->n_events, 3);
    assert_int_equal(reply->events[0]->seq, 3);
    assert_int_equal(reply->last_seq, 10);
    events__replay_response__free_unpacked(reply, NULL);

    request.epoch++;
    assert_ok(ask(&r, &service, &request, &reply));
    assert_true(reply->gone);
    assert_int_equal(reply->events[0]->seq, 1); /* what there is, to begin with */
    events__replay_response__free_unpacked(reply, NULL);

    request.topic = (char *)"test.unknown";
    assert_err(ask(&r, &service, &request, &reply), ERR_NOT_FOUND);
    reader_stop(&r);
    node_stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_subscriber_has_the_past_for_its_clients),
        cmocka_unit_test(a_reader_of_one_key_gets_only_that),
        cmocka_unit_test(a_past_that_is_gone_is_a_resync),
        cmocka_unit_test(a_topic_whose_publisher_was_never_reached_stands_at_zero),
        cmocka_unit_test(a_client_joins_a_running_stream_without_gap_or_repeat),
        cmocka_unit_test(only_services_may_ask_and_only_for_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
