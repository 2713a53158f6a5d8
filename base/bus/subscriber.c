/*
 * The subscribing side: one thread that receives, asks for what is missing, and calls back. It
 * receives without a timeout and is woken by closing the socket: in nng 1.5 a timeout or a cancel
 * may race with a delivery (nng issue 1523). A heartbeat a second per topic is also the clock of
 * the next try when a replay failed.
 */
#include "base/bus/ring.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/rpc/socket.h"
#include "base/thread.h"

#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_TIMEOUT_MS 2000
#define RETRY_MS          100 /* after a replay that failed */
#define REFILLS_MAX       3   /* times the publisher may outrun a refill before it is given up */
#define RECONNECT_MIN_MS  50
#define RECONNECT_MAX_MS  1000

struct sub_topic {
    char name[BUS_TOPIC_MAX + 1];
    pthread_mutex_t lock; /* for the ring: the thread changes it, bus_replay reads it */
    struct bus_ring ring;
    struct counter *replays, *resyncs;

    /* The thread's own. */
    bool behind;      /* something is missing: what comes waits for a replay */
    int64_t retry_ms; /* no replay before this monotonic time */
    bool resync_due;  /* the past is gone: what is replayed up to resync_at is only kept */
    uint64_t resync_at;
    unsigned refills; /* in this catching up */
};

struct bus_subscriber {
    nng_socket socket;
    bool socket_is_open;
    struct rpc_client *replay;
    struct principal principal;
    bus_on_event *on_event;
    bus_on_resync *on_resync;
    void *arg;
    struct sub_topic topics[BUS_TOPICS_MAX];
    size_t topic_count;
    pthread_t thread;
    bool thread_runs;
    atomic_bool stop;
};

static struct sub_topic *find_topic(struct bus_subscriber *s, const char *name)
{
    for (size_t i = 0; i < s->topic_count; i++)
        if (!strcmp(s->topics[i].name, name)) return &s->topics[i];
    return NULL;
}

/* ---- keeping and telling; on the thread ---- */

static uint64_t last_seq(const struct sub_topic *t)
{
    return t->ring.next - 1; /* only this thread changes it */
}

static void reset(struct sub_topic *t, uint64_t epoch, uint64_t next)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    bus_ring_reset(&t->ring, epoch, next);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
}

static void tell_resync(struct bus_subscriber *s, struct sub_topic *t)
{
    if (!t->resync_due || last_seq(t) < t->resync_at) return;
    t->resync_due = false;
    counter_add(t->resyncs, 1);
    if (s->on_resync && !atomic_load(&s->stop))
        s->on_resync(s->arg, t->name, t->ring.epoch, last_seq(t));
}

/* The next event of the topic: keeps it, and tells it unless a resync will stand for it. */
static void take_event(struct bus_subscriber *s, struct sub_topic *t, const struct bus_event *event)
{
    struct bus_event own = *event;
    own.topic = t->name;
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    bus_ring_add(&t->ring, bus_record_new(&own));
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
    if (t->resync_due)
        tell_resync(s, t);
    else if (s->on_event && !atomic_load(&s->stop))
        s->on_event(s->arg, &own);
}

/* ---- catching up ---- */

static enum err ask_replay(struct bus_subscriber *s, const struct sub_topic *t,
                           Events__ReplayResponse **ret)
{
    Events__ReplayRequest request = EVENTS__REPLAY_REQUEST__INIT;
    request.topic = (char *)t->name;
    request.epoch = t->ring.epoch;
    request.after_seq = last_seq(t);
    const struct rpc_options options = {
        .deadline_ms = clock_mono_ms() + REPLAY_TIMEOUT_MS,
        .principal = &s->principal,
    };
    ProtobufCMessage *reply = NULL;
    counter_add(t->replays, 1);
    enum err e = rpc_call(s->replay, "events.Events/Replay", &request.base, &options, &reply, NULL);
    if (!e) *ret = (Events__ReplayResponse *)reply;
    return e;
}

/* The answer says that our past is not theirs: begin where their ring begins, or where it ends. */
static void start_over(struct sub_topic *t, const Events__ReplayResponse *r)
{
    bool refill = r->n_events > 0 && t->refills++ < REFILLS_MAX;
    reset(t, r->epoch, refill ? r->events[0]->seq : r->last_seq + 1);
    t->resync_due = true;
    t->resync_at = r->last_seq;
}

/* ERR_CORRUPT: the answer does not continue where we are. */
static enum err take_replay(struct bus_subscriber *s, struct sub_topic *t,
                            const Events__ReplayResponse *r)
{
    if (r->epoch == 0 || r->epoch > BUS_EPOCH_MAX || r->last_seq > BUS_EPOCH_MAX)
        return ERR_CORRUPT;
    if (r->gone && r->n_events && (!r->events[0]->seq || r->events[0]->seq > r->last_seq))
        return ERR_CORRUPT;
    if (r->gone) start_over(t, r);
    tell_resync(s, t);
    for (size_t i = 0; i < r->n_events && last_seq(t) < r->last_seq; i++) {
        struct bus_event event;
        enum err e = bus_event_of(r->events[i], &event);
        if (e) return e;
        if (event.epoch != t->ring.epoch || event.seq != t->ring.next || !*event.type)
            return ERR_CORRUPT;
        take_event(s, t, &event);
    }
    return r->epoch == t->ring.epoch && (r->n_events > 0 || last_seq(t) == r->last_seq)
               ? OK
               : ERR_CORRUPT;
}

static enum err catch_up(struct bus_subscriber *s, struct sub_topic *t)
{
    t->behind = true;
    t->refills = 0;
    if (clock_mono_ms() < t->retry_ms) return ERR_UNAVAILABLE;
    bool more = true;
    while (more && !atomic_load(&s->stop)) {
        Events__ReplayResponse *r;
        enum err e = ask_replay(s, t, &r);
        if (!e) {
            e = take_replay(s, t, r);
            more = last_seq(t) < r->last_seq;
            events__replay_response__free_unpacked(r, NULL);
        }
        if (e) {
            t->retry_ms = clock_mono_ms() + RETRY_MS;
            return e;
        }
    }
    t->behind = false;
    return OK;
}

/* ---- receiving ---- */

/* Does this continue what we have? A heartbeat does when it names nothing that we lack. */
static bool continues(const struct sub_topic *t, const struct bus_event *event)
{
    if (t->behind || event->epoch != t->ring.epoch) return false;
    return event->seq <= (*event->type ? t->ring.next : last_seq(t));
}

static void receive(struct bus_subscriber *s, const struct bus_event *event)
{
    struct sub_topic *t = find_topic(s, event->topic);
    if (!t) return;
    if (!continues(t, event) && catch_up(s, t)) return;
    if (*event->type && event->epoch == t->ring.epoch && event->seq == t->ring.next)
        take_event(s, t, event);
    else if (event->epoch == t->ring.epoch && event->seq > last_seq(t))
        t->behind = true; /* the answer was older than the question: ask again */
}

static void *run(void *arg)
{
    struct bus_subscriber *s = arg;
    thread_name("bus-subscriber");
    for (size_t i = 0; i < s->topic_count;
         i++) /* a publisher that is not there yet will be heard */
        if (atomic_load(&s->stop) || catch_up(s, &s->topics[i])) break;
    for (;;) {
        nng_msg *message;
        int error = nng_recvmsg(s->socket, &message, 0);
        if (error == NNG_ENOMEM) continue;
        if (error) return NULL; /* closed */
        struct bus_event event;
        Events__Event *unpacked;
        if (!bus_decode(nng_msg_body(message), nng_msg_len(message), &event, &unpacked)) {
            receive(s, &event);
            events__event__free_unpacked(unpacked, NULL);
        }
        nng_msg_free(message);
    }
}

/* ---- replay to a client ---- */

enum err bus_replay(struct bus_subscriber *s, const char *topic, const char *key, uint64_t epoch,
                    uint64_t seq, void (*visit)(void *arg, const struct bus_event *event),
                    void *arg, uint64_t *ret_epoch, uint64_t *ret_seq)
{
    struct sub_topic *t = find_topic(s, topic);
    if (!t) return ERR_NOT_FOUND;
    CHECK(pthread_mutex_lock(&t->lock) == 0);
    enum err e = bus_ring_reaches(&t->ring, epoch, seq) ? OK : ERR_RANGE;
    for (uint64_t at = seq + 1; !e && at < t->ring.next; at++) {
        const struct bus_event *event = &bus_ring_at(&t->ring, at)->event;
        if (!key || !strcmp(key, event->key)) visit(arg, event);
    }
    *ret_epoch = t->ring.epoch;
    *ret_seq = last_seq(t);
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
    return e;
}

/* ---- life ---- */

static void count_topic(struct sub_topic *t)
{
    char label[BUS_TOPIC_MAX + 16];
    (void)snprintf(label, sizeof label, "topic=\"%s\"", t->name);
    t->replays = metrics_counter("tradepost_bus_replays_total",
                                 "Questions for what was missed: gaps, new epochs, starts.", label);
    t->resyncs =
        metrics_counter("tradepost_bus_resyncs_total", "Times that the past was gone.", label);
}

static enum err add_topics(struct bus_subscriber *s, const struct bus_subscriber_options *options,
                           struct err_detail *detail)
{
    for (const char *const *name = options->topics; *name; name++) {
        if (s->topic_count == BUS_TOPICS_MAX)
            return err_set(detail, ERR_INVALID, "more than %d topics", BUS_TOPICS_MAX);
        if (!bus_name_valid(*name, BUS_TOPIC_MAX) || find_topic(s, *name))
            return err_set(detail, ERR_INVALID, "topic %s: too long or there already", *name);
        struct sub_topic *t = &s->topics[s->topic_count++];
        memcpy(t->name, *name, strlen(*name) + 1);
        CHECK(pthread_mutex_init(&t->lock, NULL) == 0);
        bus_ring_init(&t->ring, 0, options->ring_size ? options->ring_size : BUS_RING_SIZE);
        count_topic(t);
        if (nng_socket_set(s->socket, NNG_OPT_SUB_SUBSCRIBE, t->name, strlen(t->name) + 1))
            return ERR_NO_MEMORY;
    }
    return OK;
}

static enum err use_tls(nng_dialer dialer, const char *url, const struct rpc_tls *tls,
                        struct err_detail *detail)
{
    if (!tls) return err_set(detail, ERR_INVALID, "%s: needs rpc.tls_*", url);
    nng_url *parts;
    if (nng_url_parse(&parts, url)) return err_set(detail, ERR_INVALID, "%s: not a URL", url);
    nng_tls_config *config;
    enum err e = socket_tls(tls, parts->u_hostname, &config, detail);
    nng_url_free(parts);
    if (e) return e;
    int error = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config);
    nng_tls_config_free(config);
    return error ? err_set(detail, ERR_INVALID, "%s: %s", url, nng_strerror(error)) : OK;
}

static enum err dial(struct bus_subscriber *s, const char *url, const struct rpc_tls *tls,
                     struct err_detail *detail)
{
    nng_dialer dialer;
    if (!socket_url_is_known(url))
        return err_set(detail, ERR_INVALID, "%s: must be inproc://, tcp:// or tls+tcp://", url);
    if (nng_dialer_create(&dialer, s->socket, url))
        return err_set(detail, ERR_INVALID, "%s: cannot be dialled", url);
    enum err e = socket_url_is_tls(url) ? use_tls(dialer, url, tls, detail) : OK;
    if (e) return e;
    int error = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    return error ? err_set(detail, ERR_INVALID, "%s: %s", url, nng_strerror(error)) : OK;
}

static enum err open_socket(struct bus_subscriber *s)
{
    if (nng_sub0_open(&s->socket)) return ERR_NO_MEMORY;
    s->socket_is_open = true;
    if (nng_socket_set_int(s->socket, NNG_OPT_RECVBUF, BUS_QUEUE_MAX) ||
        /* A full queue refuses what is new, so that what is in it stays contiguous. */
        nng_socket_set_bool(s->socket, NNG_OPT_SUB_PREFNEW, false) ||
        nng_socket_set_size(s->socket, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_SIZE_MAX) ||
        nng_socket_set_ms(s->socket, NNG_OPT_RECVTIMEO, NNG_DURATION_INFINITE) ||
        nng_socket_set_ms(s->socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS) ||
        nng_socket_set_ms(s->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS))
        return ERR_NO_MEMORY;
    return OK;
}

AUTO_DEFINE(struct bus_subscriber, bus_subscriber_free)

enum err bus_subscriber_new(const struct bus_subscriber_options *options,
                            struct bus_subscriber **ret, struct err_detail *detail)
{
    AUTO(auto_bus_subscriber_free) struct bus_subscriber *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    s->replay = options->replay;
    s->principal = principal_service("bus");
    s->on_event = options->on_event;
    s->on_resync = options->on_resync;
    s->arg = options->arg;
    atomic_init(&s->stop, false);
    enum err e = open_socket(s);
    if (!e) e = add_topics(s, options, detail);
    for (size_t i = 0; !e && i < options->url_count; i++)
        e = dial(s, options->urls[i], options->tls, detail);
    if (e) return e;
    if (pthread_create(&s->thread, NULL, run, s)) return ERR_NO_MEMORY;
    s->thread_runs = true;
    *ret = TAKE(s);
    return OK;
}

static void close_socket(void *arg)
{
    const nng_socket *socket = arg;
    (void)nng_close(*socket);
}

void bus_subscriber_free(struct bus_subscriber *s)
{
    if (!s) return;
    atomic_store(&s->stop, true); /* no more callbacks, except one that runs */
    if (s->socket_is_open && !socket_run_bounded(close_socket, &s->socket, SOCKET_CLOSE_MAX_MS))
        return; /* the closing thread still reads s; better lost than freed under it */
    if (s->thread_runs) CHECK(pthread_join(s->thread, NULL) == 0);
    for (size_t i = 0; i < s->topic_count; i++) {
        bus_ring_release(&s->topics[i].ring);
        CHECK(pthread_mutex_destroy(&s->topics[i].lock) == 0);
    }
    free(s);
}
