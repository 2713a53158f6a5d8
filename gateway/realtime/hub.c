/*
 * The hub. Two locks, always in this order: the hub's (who listens to what; readers publish) and a
 * connection's (its queue). A connection's list of subscriptions changes under the hub's lock only.
 */
#include "hub.h"

#include "channels.h"

#include "base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One frame on its way out. A conflated one knows its subscription, so that a newer frame finds it.
 */
struct entry {
    struct entry *next;
    struct frame *frame;
    struct subscription *conflates; /* NULL: not, or the subscription has ended */
    uint64_t epoch, seq;            /* of the first frame in this place */
};

struct hub {
    pthread_rwlock_t lock;
    struct channels channels;
    struct hub_connection **connections; /* joined ones, in no order */
    size_t connections_max, connection_count, subscription_count;
    bool closed; /* nobody may join any more */
    atomic_uint_fast64_t published, delivered, conflated, shed, closed_slow;
    atomic_size_t queued_bytes;
    pthread_mutex_t metrics_lock;
    struct hub_stats told; /* what the metrics have */
};

struct hub_connection {
    struct hub *hub;
    atomic_uint holds;
    size_t index; /* in hub->connections; under the hub's lock, as are the next two */
    struct subscription *subscriptions;
    size_t subscription_count;

    pthread_mutex_t lock; /* of all below */
    struct hub_wake wake;
    struct entry *first, **last;
    size_t queue_bytes_max, queued_bytes, queued_frames;
    int verdict; /* 0: open */
    bool left;
};

enum err hub_new(size_t connections_max, struct hub **ret)
{
    struct hub *h = calloc(1, sizeof *h);
    if (!h) return ERR_NO_MEMORY;
    h->connections = calloc(connections_max, sizeof(struct hub_connection *));
    if (!h->connections || channels_init(&h->channels)) {
        free(h->connections);
        free(h);
        return ERR_NO_MEMORY;
    }
    h->connections_max = connections_max;
    /* Publishers may read without a pause: who joins or leaves goes first. */
    pthread_rwlockattr_t writers_first;
    (void)pthread_rwlockattr_init(&writers_first);
    (void)pthread_rwlockattr_setkind_np(&writers_first,
                                        PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&h->lock, &writers_first);
    (void)pthread_rwlockattr_destroy(&writers_first);
    (void)pthread_mutex_init(&h->metrics_lock, NULL);
    *ret = h;
    return OK;
}

void hub_free(struct hub *h)
{
    if (!h) return;
    CHECK(h->connection_count == 0);
    channels_release(&h->channels);
    (void)pthread_rwlock_destroy(&h->lock);
    (void)pthread_mutex_destroy(&h->metrics_lock);
    free(h->connections);
    free(h);
}

/* ---- connections ---- */

static struct hub_connection *connection_new(struct hub *h, size_t queue_bytes,
                                             struct hub_wake wake)
{
    struct hub_connection *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->hub = h;
    c->queue_bytes_max = queue_bytes ? queue_bytes : HUB_QUEUE_BYTES;
    c->wake = wake;
    c->last = &c->first;
    atomic_init(&c->holds, 1);
    (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

enum err hub_join(struct hub *h, size_t queue_bytes, struct hub_wake wake,
                  struct hub_connection **ret)
{
    struct hub_connection *c = connection_new(h, queue_bytes, wake);
    if (!c) return ERR_NO_MEMORY;
    (void)pthread_rwlock_wrlock(&h->lock);
    enum err e = OK;
    if (h->closed)
        e = ERR_CLOSED;
    else if (h->connection_count == h->connections_max)
        e = ERR_EXHAUSTED;
    else
        h->connections[c->index = h->connection_count++] = c;
    (void)pthread_rwlock_unlock(&h->lock);
    if (e) {
        c->left = true;
        hub_release(c);
        return e;
    }
    *ret = c;
    return OK;
}

struct hub_connection *hub_hold(struct hub_connection *c)
{
    atomic_fetch_add(&c->holds, 1);
    return c;
}

void hub_release(struct hub_connection *c)
{
    if (!c || atomic_fetch_sub(&c->holds, 1) != 1) return;
    CHECK(c->left && !c->first);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static void end_subscription(struct hub *h, struct hub_connection *c, struct subscription *s)
{
    (void)pthread_mutex_lock(&c->lock);
    if (s->waiting) s->waiting->conflates = NULL; /* from now on a frame like any other */
    (void)pthread_mutex_unlock(&c->lock);
    for (struct subscription **at = &c->subscriptions; *at; at = &(*at)->next) {
        if (*at != s) continue;
        *at = s->next;
        break;
    }
    channels_remove(&h->channels, s);
    c->subscription_count--;
    h->subscription_count--;
    free(s);
}

static void drop_queue(struct hub_connection *c)
{
    while (c->first) {
        struct entry *e = c->first;
        c->first = e->next;
        frame_release(e->frame);
        free(e);
    }
    c->last = &c->first;
    atomic_fetch_sub(&c->hub->queued_bytes, c->queued_bytes);
    c->queued_bytes = c->queued_frames = 0;
}

void hub_leave(struct hub_connection *c)
{
    struct hub *h = c->hub;
    (void)pthread_rwlock_wrlock(&h->lock);
    while (c->subscriptions)
        end_subscription(h, c, c->subscriptions);
    if (!c->left) {
        h->connections[c->index] = h->connections[--h->connection_count];
        h->connections[c->index]->index = c->index;
    }
    (void)pthread_mutex_lock(&c->lock);
    c->left = true;
    drop_queue(c);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_rwlock_unlock(&h->lock);
}

/* ---- subscriptions ---- */

static struct subscription *find(const struct hub_connection *c, const char *channel)
{
    for (struct subscription *s = c->subscriptions; s; s = s->next)
        if (strcmp(s->channel->name, channel) == 0) return s;
    return NULL;
}

static enum err subscribe(struct hub *h, struct hub_connection *c, const char *channel)
{
    if (c->left) return ERR_CLOSED;
    if (find(c, channel)) return OK;
    if (c->subscription_count == HUB_SUBSCRIPTIONS_MAX) return ERR_EXHAUSTED;
    struct subscription *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    s->connection = c;
    enum err e = channels_add(&h->channels, channel, s);
    if (e) {
        free(s);
        return e;
    }
    s->next = c->subscriptions;
    c->subscriptions = s;
    c->subscription_count++;
    h->subscription_count++;
    return OK;
}

enum err hub_subscribe(struct hub_connection *c, const char *channel)
{
    if (strlen(channel) > HUB_CHANNEL_MAX) return ERR_EXHAUSTED;
    (void)pthread_rwlock_wrlock(&c->hub->lock);
    enum err e = subscribe(c->hub, c, channel);
    (void)pthread_rwlock_unlock(&c->hub->lock);
    return e;
}

void hub_unsubscribe(struct hub_connection *c, const char *channel)
{
    (void)pthread_rwlock_wrlock(&c->hub->lock);
    struct subscription *s = find(c, channel);
    if (s) end_subscription(c->hub, c, s);
    (void)pthread_rwlock_unlock(&c->hub->lock);
}

bool hub_is_subscribed(struct hub_connection *c, const char *channel)
{
    (void)pthread_rwlock_rdlock(&c->hub->lock);
    bool found = find(c, channel) != NULL;
    (void)pthread_rwlock_unlock(&c->hub->lock);
    return found;
}

/* ---- queues; under the connection's lock ---- */

static void tell(struct hub_connection *c)
{
    if (c->wake.call && !c->left) c->wake.call(c->wake.arg);
}

static void set_verdict(struct hub_connection *c, int code)
{
    if (c->verdict) return;
    c->verdict = code;
    tell(c);
}

/* The newest takes the place of the one that waits. false: none waits, or it has no room. */
static bool conflate(struct hub_connection *c, struct subscription *s, struct frame *f)
{
    if (!s || !s->waiting) return false;
    struct entry *e = s->waiting;
    size_t before = frame_look(e->frame).size, after = frame_look(f).size;
    if (c->queued_bytes - before + after > c->queue_bytes_max) return false;
    c->queued_bytes = c->queued_bytes - before + after;
    atomic_fetch_add(&c->hub->queued_bytes, after - before); /* modulo 2^64: a difference */
    frame_release(e->frame);
    e->frame = frame_hold(f);
    atomic_fetch_add(&c->hub->conflated, 1);
    return true;
}

/* s: whose waiting frame this becomes, for conflated frames; NULL otherwise. */
static void enqueue(struct hub_connection *c, struct subscription *s, struct frame *f,
                    enum hub_delivery how)
{
    struct frame_info info = frame_look(f);
    size_t size = info.size;
    if (c->left || c->verdict || conflate(c, s, f)) return;
    if (how == HUB_SHED && c->queued_bytes + size > c->queue_bytes_max / 2) {
        atomic_fetch_add(&c->hub->shed, 1);
        return;
    }
    struct entry *e = NULL;
    if (c->queued_bytes + size <= c->queue_bytes_max && c->queued_frames < HUB_QUEUE_FRAMES)
        e = malloc(sizeof *e);
    if (!e) {
        atomic_fetch_add(&c->hub->closed_slow, 1);
        return set_verdict(c, HUB_CLOSE_SLOW);
    }
    *e = (struct entry){NULL, frame_hold(f), s, info.event.epoch, info.event.seq};
    if (s) s->waiting = e;
    bool first = !c->first;
    *c->last = e;
    c->last = &e->next;
    c->queued_bytes += size;
    c->queued_frames++;
    atomic_fetch_add(&c->hub->queued_bytes, size);
    if (first) tell(c);
}

void hub_send(struct hub_connection *c, struct frame *f, enum hub_delivery how)
{
    (void)pthread_mutex_lock(&c->lock);
    enqueue(c, NULL, f, how);
    (void)pthread_mutex_unlock(&c->lock);
}

static void publish_to(const struct channel *to, struct frame *f, enum hub_delivery how)
{
    for (size_t i = 0; i < to->count; i++) {
        struct subscription *s = to->listeners[i];
        (void)pthread_mutex_lock(&s->connection->lock);
        enqueue(s->connection, how == HUB_CONFLATE ? s : NULL, f, how);
        (void)pthread_mutex_unlock(&s->connection->lock);
    }
}

void hub_publish(struct hub *h, const char *channel, struct frame *f, enum hub_delivery how)
{
    atomic_fetch_add(&h->published, 1);
    (void)pthread_rwlock_rdlock(&h->lock);
    const struct channel *to = channels_find(&h->channels, channel);
    if (to) publish_to(to, f, how);
    (void)pthread_rwlock_unlock(&h->lock);
}

bool hub_is_heard(struct hub *h, const char *channel)
{
    (void)pthread_rwlock_rdlock(&h->lock);
    bool heard = channels_find(&h->channels, channel) != NULL;
    (void)pthread_rwlock_unlock(&h->lock);
    return heard;
}

void hub_publish_each(struct hub *h, struct frame *(*make)(void *arg, const char *channel),
                      void *arg)
{
    (void)pthread_rwlock_rdlock(&h->lock);
    for (size_t i = 0; i < h->channels.bucket_count; i++) {
        for (const struct channel *to = h->channels.buckets[i]; to; to = to->next) {
            struct frame *f = make(arg, to->name);
            if (!f) continue;
            publish_to(to, f, HUB_KEEP);
            frame_release(f);
            atomic_fetch_add(&h->published, 1);
        }
    }
    (void)pthread_rwlock_unlock(&h->lock);
}

void hub_close(struct hub_connection *c, enum hub_close code)
{
    (void)pthread_mutex_lock(&c->lock);
    set_verdict(c, (int)code);
    (void)pthread_mutex_unlock(&c->lock);
}

int hub_verdict(struct hub_connection *c)
{
    (void)pthread_mutex_lock(&c->lock);
    int verdict = c->verdict;
    (void)pthread_mutex_unlock(&c->lock);
    return verdict;
}

void hub_close_all(struct hub *h, enum hub_close code)
{
    (void)pthread_rwlock_wrlock(&h->lock);
    h->closed = true;
    for (size_t i = 0; i < h->connection_count; i++)
        hub_close(h->connections[i], code);
    (void)pthread_rwlock_unlock(&h->lock);
}

static struct hub_taken take_first(struct hub_connection *c)
{
    struct entry *e = c->first;
    struct hub_taken taken = {e->frame, 0, e->epoch, e->seq};
    c->first = e->next;
    if (!c->first) c->last = &c->first;
    if (e->conflates) e->conflates->waiting = NULL;
    free(e);
    size_t size = frame_look(taken.frame).size;
    c->queued_bytes -= size;
    c->queued_frames--;
    atomic_fetch_sub(&c->hub->queued_bytes, size);
    atomic_fetch_add(&c->hub->delivered, 1);
    return taken;
}

struct hub_taken hub_take(struct hub_connection *c)
{
    struct hub_taken taken = {0};
    (void)pthread_mutex_lock(&c->lock);
    bool too_slow = c->verdict == HUB_CLOSE_SLOW; /* then what waits will not be taken either */
    if (c->first && !too_slow)
        taken = take_first(c);
    else if (c->left || c->verdict)
        taken.close = c->verdict ? c->verdict : HUB_CLOSE_NORMAL;
    (void)pthread_mutex_unlock(&c->lock);
    return taken;
}

void hub_look(struct hub_connection *c, size_t *ret_channels, size_t *ret_queued_bytes)
{
    (void)pthread_rwlock_rdlock(&c->hub->lock);
    *ret_channels = c->subscription_count;
    (void)pthread_rwlock_unlock(&c->hub->lock);
    (void)pthread_mutex_lock(&c->lock);
    *ret_queued_bytes = c->queued_bytes;
    (void)pthread_mutex_unlock(&c->lock);
}

void hub_stats(struct hub *h, struct hub_stats *ret)
{
    (void)pthread_rwlock_rdlock(&h->lock);
    *ret = (struct hub_stats){
        .connections = h->connection_count,
        .channels = h->channels.count,
        .subscriptions = h->subscription_count,
        .queued_bytes = atomic_load(&h->queued_bytes),
        .published = atomic_load(&h->published),
        .delivered = atomic_load(&h->delivered),
        .conflated = atomic_load(&h->conflated),
        .shed = atomic_load(&h->shed),
        .closed_slow = atomic_load(&h->closed_slow),
    };
    (void)pthread_rwlock_unlock(&h->lock);
}

static void bring(const char *name, const char *help, uint64_t now, uint64_t *told)
{
    counter_add(metrics_counter(name, help, NULL), now - *told);
    *told = now;
}

void hub_metrics(struct hub *h)
{
    struct hub_stats now, *told = &h->told;
    (void)pthread_mutex_lock(&h->metrics_lock);
    hub_stats(h, &now);
    gauge_set(
        metrics_gauge("tradepost_gateway_channels", "Channels that somebody listens to.", NULL),
        (int64_t)now.channels);
    gauge_set(
        metrics_gauge("tradepost_gateway_subscriptions", "Channels of all connections.", NULL),
        (int64_t)now.subscriptions);
    gauge_set(metrics_gauge("tradepost_gateway_queued_bytes", "Bytes that wait for clients.", NULL),
              (int64_t)now.queued_bytes);
    bring("tradepost_gateway_events_published_total", "Events published to a channel.",
          now.published, &told->published);
    bring("tradepost_gateway_frames_delivered_total", "Messages taken from a client's queue.",
          now.delivered, &told->delivered);
    bring("tradepost_gateway_frames_conflated_total", "Events replaced by a newer one in a queue.",
          now.conflated, &told->conflated);
    bring("tradepost_gateway_frames_shed_total", "Events that a client did not get under pressure.",
          now.shed, &told->shed);
    bring("tradepost_gateway_closed_slow_total", "Connections closed because their queue was full.",
          now.closed_slow, &told->closed_slow);
    (void)pthread_mutex_unlock(&h->metrics_lock);
}
