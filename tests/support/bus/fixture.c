#include "support/unit.h"

#include "support/bus/fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define AWAIT_S 60 /* far more than anything takes */

static const struct principal_key key = {{7, 1, 7}};
static const char *const topics[] = {TOPIC, OTHER, NULL};

/* ---- node ---- */

void node_addresses(struct node *n)
{
    static atomic_uint used;
    unsigned number = atomic_fetch_add(&used, 1);
    memset(n, 0, sizeof *n);
    (void)snprintf(n->rpc_url, sizeof n->rpc_url, "inproc://bus%u.rpc", number);
    (void)snprintf(n->event_url, sizeof n->event_url, "inproc://bus%u.events", number);
}

static void fill_in_port(char url[static 64], unsigned port)
{
    char *colon = strrchr(url, ':');
    if (port) (void)snprintf(colon, 64 - (size_t)(colon - url), ":%u", port);
}

void node_start(struct node *n, size_t ring_size, const struct rpc_tls *tls)
{
    struct err_detail detail = {""};
    const char *rpc_url = n->rpc_url, *event_url = n->event_url;
    const struct rpc_server_options server = {
        .name = "test", .listen = &rpc_url, .listen_count = 1, .tls = tls, .principal_key = &key};
    const struct bus_publisher_options publisher = {.listen = &event_url,
                                                    .listen_count = 1,
                                                    .tls = tls,
                                                    .topics = topics,
                                                    .ring_size = ring_size};
    enum err e = rpc_server_new(&server, &n->server, &detail);
    if (!e) e = bus_publisher_new(&publisher, n->server, &n->publisher, &detail);
    if (!e) e = rpc_server_start(n->server, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
    fill_in_port(n->rpc_url, rpc_server_port(n->server, 0));
    fill_in_port(n->event_url, bus_publisher_port(n->publisher, 0));
    n->published = 0;
}

void node_stop(struct node *n)
{
    rpc_server_free(n->server);
    bus_publisher_free(n->publisher);
    n->server = NULL;
    n->publisher = NULL;
}

void node_publish(struct node *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++, n->published++)
        bus_publish(n->publisher, TOPIC, n->published % 2 ? "odd" : "even", "test.event",
                    &n->published, sizeof n->published);
}

/* ---- reader ---- */

static void note_wrong(struct reader *r, const char *what, uint64_t seq)
{
    if (!*r->wrong)
        (void)snprintf(r->wrong, sizeof r->wrong, "%s: seq %llu after %llu", what,
                       (unsigned long long)seq, (unsigned long long)r->seq);
}

static void on_event(void *arg, const struct bus_event *event)
{
    struct reader *r = arg;
    if (strcmp(event->topic, TOPIC) != 0) return;
    pthread_mutex_lock(&r->lock);
    r->waiting++;
    pthread_cond_broadcast(&r->changed);
    while (r->closed)
        pthread_cond_wait(&r->changed, &r->lock);
    r->waiting--;
    if (!r->resyncs) note_wrong(r, "an event before the first resync", event->seq);
    if (event->epoch != r->epoch) note_wrong(r, "another epoch without a resync", event->seq);
    if (event->seq != r->seq + 1) note_wrong(r, "not the next", event->seq);
    r->seq = event->seq;
    r->events++;
    if (event->payload_size == sizeof r->last_number)
        memcpy(&r->last_number, event->payload, sizeof r->last_number);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void on_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq)
{
    struct reader *r = arg;
    if (strcmp(topic, TOPIC) != 0) return;
    pthread_mutex_lock(&r->lock);
    if (epoch == r->epoch && seq < r->seq) note_wrong(r, "back in time", seq);
    r->epoch = epoch;
    r->seq = r->resync_seq = seq;
    r->resyncs++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void reader_start(struct reader *r, const struct node *n, const struct rpc_tls *tls)
{
    struct err_detail detail = {""};
    const char *rpc_url = n->rpc_url, *event_url = n->event_url;
    memset(r, 0, sizeof *r);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
    const struct rpc_client_options client = {
        .name = "test", .urls = &rpc_url, .url_count = 1, .tls = tls, .principal_key = &key};
    enum err e = rpc_client_new(&client, &r->client, &detail);
    const struct bus_subscriber_options subscriber = {
        .urls = &event_url,
        .url_count = 1,
        .tls = tls,
        .replay = r->client,
        .topics = topics,
        .on_event = on_event,
        .on_resync = on_resync,
        .arg = r,
    };
    if (!e) e = bus_subscriber_new(&subscriber, &r->subscriber, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
}

void reader_stop(struct reader *r)
{
    bus_subscriber_free(r->subscriber);
    rpc_client_free(r->client);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    if (*r->wrong) fail_msg("%s", r->wrong);
}

void reader_close_gate(struct reader *r, bool closed)
{
    pthread_mutex_lock(&r->lock);
    r->closed = closed;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static bool stands_at(const struct reader *r, uint64_t seq)
{
    return r->resyncs && r->seq == seq;
}

static bool has_resyncs(const struct reader *r, uint64_t resyncs)
{
    return r->resyncs >= resyncs;
}

static bool has_waiting(const struct reader *r, uint64_t count)
{
    return r->waiting >= count;
}

static void await(struct reader *r, bool (*condition)(const struct reader *, uint64_t), uint64_t n)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += AWAIT_S;
    int error = 0;
    pthread_mutex_lock(&r->lock);
    while (!condition(r, n) && !error && !*r->wrong)
        error = pthread_cond_timedwait(&r->changed, &r->lock, &end);
    bool reached = condition(r, n);
    pthread_mutex_unlock(&r->lock);
    if (!reached)
        fail_msg("waited for %llu; stands at %llu after %llu resyncs; %s", (unsigned long long)n,
                 (unsigned long long)r->seq, (unsigned long long)r->resyncs, r->wrong);
}

void reader_await(struct reader *r, uint64_t seq)
{
    await(r, stands_at, seq);
}

void reader_await_resyncs(struct reader *r, uint64_t resyncs)
{
    await(r, has_resyncs, resyncs);
}

void reader_await_waiting(struct reader *r)
{
    await(r, has_waiting, 1);
}
