/*
 * The publishing side. A topic's lock is held while an event is numbered, kept and handed to nng,
 * so that all three happen in one order; nng's PUB socket never waits for a subscriber. What a slow
 * or late subscriber misses it asks for: Replay answers from the ring.
 */
#include "base/bus/ring.h"
#include "base/clock.h"
#include "base/crypt.h"
#include "base/metrics.h"
#include "base/rpc/socket.h"
#include "base/thread.h"

#include <nng/protocol/pubsub0/pub.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pub_topic {
    char name[BUS_TOPIC_MAX + 1];
    pthread_mutex_t lock;
    nng_aio *aio; /* of its messages; nng_sendmsg makes one for each, at the price of the rest */
    struct bus_ring ring;
    struct counter *events;
};

struct bus_publisher {
    Events__Events_Service service; /* first: what a handler gets */
    nng_socket socket;
    bool socket_is_open;
    nng_listener listeners[RPC_LISTEN_MAX];
    size_t listener_count;
    struct pub_topic topics[BUS_TOPICS_MAX];
    size_t topic_count;

    pthread_mutex_t lock;
    pthread_cond_t stop_changed;
    pthread_t heart;
    bool heart_beats, stop;
};

static struct pub_topic *find_topic(struct bus_publisher *p, const char *name)
{
    for (size_t i = 0; i < p->topic_count; i++)
        if (!strcmp(p->topics[i].name, name)) return &p->topics[i];
    return NULL;
}

/* ---- publishing ---- */

/* Under the topic's lock. A message that cannot be made or sent is one more that a replay finds. */
static void ring_the_bell(struct bus_publisher *p, const struct pub_topic *t,
                          const struct bus_event *event)
{
    nng_msg *message;
    if (nng_msg_alloc(&message, bus_encoded_size(event))) return;
    bus_encode(event, nng_msg_body(message));
    nng_aio_set_msg(t->aio, message);
    nng_send_aio(p->socket, t->aio);
    nng_aio_wait(t->aio); /* a PUB socket is done at once, whoever is slow */
    if (nng_aio_result(t->aio)) nng_msg_free(message);
}

void bus_publish(struct bus_publisher *p, const char *topic, const char *key, const char *type,
                 const void *payload, size_t size)
{
    struct pub_topic *t = find_topic(p, topic);
    CHECK(t);
    CHECK(!*key || bus_name_valid(key, BUS_KEY_MAX));
    CHECK(bus_name_valid(type, BUS_TYPE_MAX));
    CHECK(size <= BUS_EVENT_SIZE_MAX);
    struct bus_event event = {
        .topic = t->name,
        .key = key,
        .type = type,
        .payload = payload,
        .payload_size = size,
    };
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    event.epoch = t->ring.epoch;
    event.seq = t->ring.next;
    event.time_ms = clock_wall_ms();
    bus_ring_add(&t->ring, bus_record_new(&event));
    ring_the_bell(p, t, &event);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
    counter_add(t->events, 1);
}

static void beat(struct bus_publisher *p, struct pub_topic *t)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    const struct bus_event event = {
        .topic = t->name,
        .key = "",
        .type = "",
        .epoch = t->ring.epoch,
        .seq = t->ring.next - 1,
        .time_ms = clock_wall_ms(),
    };
    ring_the_bell(p, t, &event);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
}

static void *run_heart(void *arg)
{
    struct bus_publisher *p = arg;
    thread_name("bus-heartbeat");
    int64_t next_ms = clock_mono_ms() + BUS_HEARTBEAT_MS;
    CHECK(pthread_mutex_lock(&p->lock) == 0);
    while (!p->stop) {
        struct timespec at = {.tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000};
        (void)pthread_cond_timedwait(&p->stop_changed, &p->lock, &at);
        if (p->stop || clock_mono_ms() < next_ms) continue;
        next_ms += BUS_HEARTBEAT_MS;
        CHECK(pthread_mutex_unlock(&p->lock) == 0);
        for (size_t i = 0; i < p->topic_count; i++)
            beat(p, &p->topics[i]);
        CHECK(pthread_mutex_lock(&p->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&p->lock) == 0);
    return NULL;
}

/* ---- replay ---- */

struct replay {
    Events__ReplayResponse response;
    struct bus_record *records[BUS_REPLAY_MAX];
    Events__Event events[BUS_REPLAY_MAX];
    Events__Event *pointers[BUS_REPLAY_MAX];
};

/* Under the topic's lock: only counts, so that publishers wait for no copy. */
static void collect(const struct bus_ring *ring, const Events__ReplayRequest *req,
                    struct replay *ret)
{
    size_t limit = req->limit && req->limit < BUS_REPLAY_MAX ? req->limit : BUS_REPLAY_MAX;
    bool gone = !bus_ring_reaches(ring, req->epoch, req->after_seq);
    size_t count = 0, size = 0;
    for (uint64_t seq = gone ? ring->first : req->after_seq + 1; seq < ring->next; seq++) {
        struct bus_record *record = bus_ring_at(ring, seq);
        size += record->event.payload_size;
        if (count == limit || (count > 0 && size > BUS_REPLAY_SIZE_MAX)) break;
        ret->records[count++] = bus_record_hold(record);
    }
    events__replay_response__init(&ret->response);
    ret->response.epoch = ring->epoch;
    ret->response.last_seq = ring->next - 1;
    ret->response.gone = gone;
    ret->response.n_events = count;
    ret->response.events = ret->pointers;
}

static void rpc_replay(Events__Events_Service *self, const Events__ReplayRequest *req,
                       Events__ReplayResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct pub_topic *t = find_topic(rpc_call_context(call), req->topic);
    if (!t) {
        rpc_fail(call, ERR_NOT_FOUND, "no topic of that name is published here");
        return;
    }
    struct replay *r = malloc(sizeof *r);
    if (!r) {
        rpc_fail(call, ERR_NO_MEMORY, "no memory for a replay");
        return;
    }
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    collect(&t->ring, req, r);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
    for (size_t i = 0; i < r->response.n_events; i++) {
        bus_event_fill(&r->records[i]->event, &r->events[i]);
        r->pointers[i] = &r->events[i];
    }
    size_t count = r->response.n_events;
    reply(&r->response, call);
    for (size_t i = 0; i < count; i++)
        bus_record_rele(r->records[i]);
    free(r);
}

/* ---- life ---- */

static enum err listen_at(struct bus_publisher *p, const char *url, const struct rpc_tls *tls,
                          struct err_detail *detail)
{
    if (!socket_url_is_known(url))
        return err_set(detail, ERR_INVALID, "%s: must be inproc://, tcp:// or tls+tcp://", url);
    nng_listener listener;
    if (nng_listener_create(&listener, p->socket, url))
        return err_set(detail, ERR_INVALID, "%s: cannot be listened on", url);
    if (socket_url_is_tls(url)) {
        if (!tls) return err_set(detail, ERR_INVALID, "%s: needs rpc.tls_*", url);
        nng_tls_config *config;
        enum err e = socket_tls(tls, NULL, &config, detail);
        if (e) return e;
        int error = nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, config);
        nng_tls_config_free(config);
        if (error) return err_set(detail, ERR_INVALID, "%s: %s", url, nng_strerror(error));
    }
    int error = nng_listener_start(listener, 0);
    if (error) return err_set(detail, ERR_UNAVAILABLE, "%s: %s", url, nng_strerror(error));
    p->listeners[p->listener_count++] = listener;
    return OK;
}

static enum err add_topics(struct bus_publisher *p, const struct bus_publisher_options *options,
                           struct err_detail *detail)
{
    uint64_t random = 0;
    crypt_random(&random, sizeof random);
    uint64_t epoch = random % BUS_EPOCH_MAX + 1;
    for (const char *const *name = options->topics; *name; name++) {
        if (p->topic_count == BUS_TOPICS_MAX)
            return err_set(detail, ERR_INVALID, "more than %d topics", BUS_TOPICS_MAX);
        if (!bus_name_valid(*name, BUS_TOPIC_MAX) || find_topic(p, *name))
            return err_set(detail, ERR_INVALID, "topic %s: too long or there already", *name);
        struct pub_topic *t = &p->topics[p->topic_count++];
        memcpy(t->name, *name, strlen(*name) + 1);
        CHECK(pthread_mutex_init(&t->lock, NULL) == 0);
        if (nng_aio_alloc(&t->aio, NULL, NULL)) return ERR_NO_MEMORY;
        bus_ring_init(&t->ring, epoch, options->ring_size ? options->ring_size : BUS_RING_SIZE);
        char label[BUS_TOPIC_MAX + 16];
        (void)snprintf(label, sizeof label, "topic=\"%s\"", t->name);
        t->events = metrics_counter("tradepost_bus_events_total", "Events published.", label);
    }
    return OK;
}

static enum err open_socket(struct bus_publisher *p, const struct bus_publisher_options *options,
                            struct err_detail *detail)
{
    if (options->listen_count > RPC_LISTEN_MAX)
        return err_set(detail, ERR_INVALID, "more than %d event URLs", RPC_LISTEN_MAX);
    if (nng_pub0_open(&p->socket)) return ERR_NO_MEMORY;
    p->socket_is_open = true;
    if (nng_socket_set_int(p->socket, NNG_OPT_SENDBUF, BUS_QUEUE_MAX)) return ERR_NO_MEMORY;
    enum err e = OK;
    for (size_t i = 0; !e && i < options->listen_count; i++)
        e = listen_at(p, options->listen[i], options->tls, detail);
    return e;
}

static void init_lock(struct bus_publisher *p)
{
    pthread_condattr_t monotonic;
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&p->stop_changed, &monotonic) == 0);
    CHECK(pthread_condattr_destroy(&monotonic) == 0);
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
}

AUTO_DEFINE(struct bus_publisher, bus_publisher_free)

enum err bus_publisher_new(const struct bus_publisher_options *options, struct rpc_server *server,
                           struct bus_publisher **ret, struct err_detail *detail)
{
    static const Events__Events_Service service = EVENTS__EVENTS__INIT(rpc_);
    AUTO(auto_bus_publisher_free) struct bus_publisher *p = calloc(1, sizeof *p);
    if (!p) return ERR_NO_MEMORY;
    p->service = service;
    init_lock(p);
    enum err e = add_topics(p, options, detail);
    if (!e) e = open_socket(p, options, detail);
    if (e) return e;
    if (pthread_create(&p->heart, NULL, run_heart, p)) return ERR_NO_MEMORY;
    p->heart_beats = true;
    e = rpc_server_add(server, &p->service.base, p); /* last: it cannot be taken back */
    if (e) return err_set(detail, e, "the server cannot take events.Events");
    *ret = TAKE(p);
    return OK;
}

static void close_socket(void *arg)
{
    const nng_socket *socket = arg;
    (void)nng_close(*socket);
}

void bus_publisher_free(struct bus_publisher *p)
{
    if (!p) return;
    if (p->heart_beats) {
        CHECK(pthread_mutex_lock(&p->lock) == 0);
        p->stop = true;
        CHECK(pthread_cond_signal(&p->stop_changed) == 0);
        CHECK(pthread_mutex_unlock(&p->lock) == 0);
        CHECK(pthread_join(p->heart, NULL) == 0);
    }
    if (p->socket_is_open && !socket_run_bounded(close_socket, &p->socket, SOCKET_CLOSE_MAX_MS))
        return; /* the closing thread still reads p; better lost than freed under it */
    for (size_t i = 0; i < p->topic_count; i++) {
        nng_aio_free(p->topics[i].aio);
        bus_ring_release(&p->topics[i].ring);
        CHECK(pthread_mutex_destroy(&p->topics[i].lock) == 0);
    }
    CHECK(pthread_cond_destroy(&p->stop_changed) == 0);
    CHECK(pthread_mutex_destroy(&p->lock) == 0);
    free(p);
}

unsigned bus_publisher_port(const struct bus_publisher *p, size_t listener)
{
    int port = 0;
    if (listener >= p->listener_count) return 0;
    if (nng_listener_get_int(p->listeners[listener], NNG_OPT_TCP_BOUND_PORT, &port)) return 0;
    return (unsigned)port;
}
