/*
 * Events to frames to channels. A topic's lock is held while an event is published and while a
 * client is made live, so that what a resume queues and what comes live meet without gap or repeat.
 * Locks, always in this order: a topic's, then the bus's or the hub's.
 */
#include "feed.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAX    ((size_t)4 * 1024 * 1024) /* bytes of an event's JSON */
#define PRIVATE      "user."                   /* channels of everybody's own */
#define PRIVATE_SIZE (sizeof PRIVATE - 1)

struct topic {
    const char *name;
    pthread_mutex_t lock;
    struct feed_position at;           /* published to the hub up to here */
    struct buf text;                   /* a frame in the making */
    struct bus_subscriber *subscriber; /* its part's; set before feed_new returns */
};

struct feed {
    struct hub *hub;
    struct recent *recent; /* NULL: there is none */
    atomic_size_t replay_bytes_max;
    struct topic topics[FEED_TOPICS_MAX];
    unsigned topic_count;
    struct bus_subscriber *subscribers[PARTS_MAX];
    size_t subscriber_count;
    struct counter *unknown, *corrupt;
};

/* ---- the contract's topics and channels ---- */

static bool is_first_of_topic(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(contract_events[i].topic, contract_events[index].topic) == 0) return false;
    return true;
}

unsigned feed_topic_count(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < contract_event_count; i++)
        count += is_first_of_topic(i);
    return count;
}

const char *feed_topic(unsigned topic)
{
    for (size_t i = 0; i < contract_event_count; i++)
        if (is_first_of_topic(i) && topic-- == 0) return contract_events[i].topic;
    return NULL;
}

static unsigned topic_index(const char *name)
{
    unsigned i = 0;
    while (feed_topic(i) && strcmp(feed_topic(i), name) != 0)
        i++;
    return i;
}

static bool is_private(const char *template_name)
{
    return strncmp(template_name, PRIVATE, PRIVATE_SIZE) == 0;
}

static size_t count_colons(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == ':';
    return count;
}

static bool is_key(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "_.:-";
    size_t size = strlen(text);
    return size > 0 && size <= BUS_KEY_MAX && strspn(text, allowed) == size;
}

/* "prices:BTC-USDT" fits "prices:{symbol}": its key, within name; "" if the template has none. */
static const char *match(const char *template_name, const char *name)
{
    size_t prefix = strcspn(template_name, "{");
    if (!template_name[prefix]) return strcmp(template_name, name) == 0 ? name + prefix : NULL;
    if (strncmp(template_name, name, prefix) != 0 || !is_key(name + prefix)) return NULL;
    return count_colons(template_name) == count_colons(name) ? name + prefix : NULL;
}

static enum err refuse(const char *name, struct err_detail *detail)
{
    AUTO_BUF struct buf known;
    buf_init(&known, ERR_DETAIL_MAX);
    for (size_t i = 0; i < contract_event_count; i++) {
        const char *channel = contract_events[i].channel;
        if (i && strcmp(channel, contract_events[i - 1].channel) == 0) continue; /* sorted */
        (void)buf_add_format(&known, "%s%s", i ? ", " : "", channel);
    }
    return err_set(detail, ERR_INVALID, "\"%.40s\" is no channel; there are %s", name, known.data);
}

enum err feed_channel(const char *name, const char *user_id, struct feed_channel *ret,
                      struct err_detail *detail)
{
    const struct contract_event *e = NULL;
    const char *key = NULL;
    for (size_t i = 0; i < contract_event_count && !key; i++) {
        e = &contract_events[i];
        key = match(e->channel, name);
    }
    if (!key || strlen(name) > HUB_CHANNEL_MAX) return refuse(name, detail);

    struct feed_channel c = {
        .template_name = e->channel, .caller = e->caller, .topic = topic_index(e->topic)};
    const char *own = is_private(e->channel) ? user_id : "";
    if (*own) key = own;
    if (strlen(name) + 1 + strlen(own) > HUB_CHANNEL_MAX) return refuse(name, detail);
    (void)snprintf(c.name, sizeof c.name, "%s", name);
    (void)snprintf(c.hub, sizeof c.hub, "%s%s%s", name, *own ? "/" : "", own);
    (void)snprintf(c.key, sizeof c.key, "%s", key);
    *ret = c;
    return OK;
}

/* The names of an event's channel; false: its key makes them too long. */
static bool name_channel(const struct contract_event *e, const char *key, struct feed_channel *ret)
{
    size_t prefix = strcspn(e->channel, "{");
    bool own = is_private(e->channel);
    const char *in_name = e->channel[prefix] ? key : "";
    int size = snprintf(ret->name, sizeof ret->name, "%.*s%s", (int)prefix, e->channel, in_name);
    int hub =
        snprintf(ret->hub, sizeof ret->hub, "%s%s%s", ret->name, own ? "/" : "", own ? key : "");
    return size < (int)sizeof ret->name && hub < (int)sizeof ret->hub;
}

/* ---- frames; under the topic's lock, whose buffer they use ---- */

static void begin(struct buf *out, const char *type, const char *channel,
                  const struct feed_position *at)
{
    buf_clear(out);
    (void)buf_add_format(out, "{\"type\":\"%s\",\"channel\":", type);
    (void)json_add_string(out, channel, strlen(channel));
    (void)buf_add_format(out, ",\"epoch\":\"%" PRIu64 "\",\"seq\":\"%" PRIu64 "\"", at->epoch,
                         at->seq);
}

static struct frame *finish(struct topic *t, const char *type, const struct feed_position *at)
{
    struct frame_event place = {t->name, type, at->epoch, at->seq};
    return t->text.error ? NULL : frame_new(t->text.data, t->text.size, &place);
}

/* NULL: the payload is not what the contract says, or no memory. */
static struct frame *event_frame(struct feed *f, struct topic *t, const struct contract_event *e,
                                 const char *channel, const struct bus_event *event)
{
    struct feed_position at = {event->epoch, event->seq};
    ProtobufCMessage *payload =
        protobuf_c_message_unpack(e->payload, NULL, event->payload_size, event->payload);
    enum err failed = payload ? OK : ERR_CORRUPT;
    if (payload) {
        char time[CLOCK_TEXT_SIZE];
        clock_format(event->time_ms, time);
        begin(&t->text, e->type, channel, &at);
        (void)buf_add_format(&t->text, ",\"timestamp\":\"%s\",\"data\":", time);
        failed = json_write(payload, &t->text);
        (void)buf_add_char(&t->text, '}');
        protobuf_c_message_free_unpacked(payload, NULL);
    }
    if (failed) counter_add(f->corrupt, 1);
    return failed ? NULL : finish(t, e->type, &at);
}

static struct frame *resync_frame(struct topic *t, const char *channel)
{
    begin(&t->text, "resync", channel, &t->at);
    (void)buf_add_char(&t->text, '}');
    return finish(t, "resync", &t->at);
}

/* ---- from the bus; on its thread ---- */

static struct topic *find_topic(struct feed *f, const char *name)
{
    struct topic *t = f->topics;
    while (strcmp(t->name, name) != 0)
        CHECK(++t < f->topics + f->topic_count);
    return t;
}

static bool is_of(const struct contract_event *e, const struct bus_event *event)
{
    return strcmp(e->topic, event->topic) == 0 && strcmp(e->type, event->type) == 0;
}

static enum hub_delivery delivery_of(const struct contract_event *e)
{
    switch (e->delivery) {
    case DELIVERY_LATEST:
        return HUB_CONFLATE;
    case DELIVERY_SHEDDABLE:
        return HUB_SHED;
    case DELIVERY_EVERY:
        break;
    }
    return HUB_KEEP;
}

static void publish(struct feed *f, struct topic *t, const struct contract_event *e,
                    const struct bus_event *event)
{
    struct feed_channel channel;
    if (!name_channel(e, event->key, &channel) || !hub_is_heard(f->hub, channel.hub)) return;
    struct frame *frame = event_frame(f, t, e, channel.name, event);
    if (frame) hub_publish(f->hub, channel.hub, frame, delivery_of(e));
    frame_release(frame);
}

static void on_event(void *arg, const struct bus_event *event)
{
    struct feed *f = arg;
    struct topic *t = find_topic(f, event->topic);
    bool known = false;
    (void)pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < contract_event_count; i++) {
        if (!is_of(&contract_events[i], event)) continue;
        known = true;
        /* First: who is told of a change and asks for the whole must not get an older answer. */
        if (f->recent && contract_events[i].caller == CALLER_GUEST) recent_forget(f->recent);
        publish(f, t, &contract_events[i], event);
    }
    t->at = (struct feed_position){event->epoch, event->seq};
    (void)pthread_mutex_unlock(&t->lock);
    if (!known) counter_add(f->unknown, 1);
}

/* For hub_publish_each: a resync for the channels of this topic. */
static struct frame *make_resync(void *arg, const char *hub_name)
{
    struct topic *t = arg;
    struct feed_channel channel = {0};
    char name[HUB_CHANNEL_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(hub_name, "/"), hub_name);
    if (feed_channel(name, "", &channel, NULL)) return NULL;
    return strcmp(feed_topic(channel.topic), t->name) == 0 ? resync_frame(t, name) : NULL;
}

static void on_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq)
{
    struct feed *f = arg;
    struct topic *t = find_topic(f, topic);
    if (f->recent) recent_forget(f->recent);
    (void)pthread_mutex_lock(&t->lock);
    t->at = (struct feed_position){epoch, seq};
    hub_publish_each(f->hub, make_resync, t);
    (void)pthread_mutex_unlock(&t->lock);
}

/* ---- subscriptions ---- */

/* What a client missed, collected before any of it is sent. */
struct replay {
    struct feed *feed;
    struct topic *topic;
    const struct feed_channel *channels;
    size_t channel_count;
    struct frame **frames;                   /* FEED_REPLAY_MAX, and room for the newest */
    struct frame *newest[FEED_CHANNELS_MAX]; /* of a channel where only that matters */
    size_t count, bytes;
    bool failed; /* too much, or no memory */
};

static void keep(struct replay *r, size_t channel, const struct contract_event *e,
                 const struct bus_event *event)
{
    if (r->failed) return;
    struct frame *frame = event_frame(r->feed, r->topic, e, r->channels[channel].name, event);
    bool latest = e->delivery == DELIVERY_LATEST;
    r->failed = !frame || (!latest && r->count == FEED_REPLAY_MAX);
    if (r->failed) return frame_release(frame);
    r->bytes += frame_look(frame).size;
    if (!latest) {
        r->frames[r->count++] = frame;
        return;
    }
    struct frame *before = r->newest[channel];
    if (before) r->bytes -= frame_look(before).size;
    frame_release(before);
    r->newest[channel] = frame;
}

static void visit(void *arg, const struct bus_event *event)
{
    struct replay *r = arg;
    if (event->seq > r->topic->at.seq) return; /* comes live */
    for (size_t i = 0; i < contract_event_count; i++) {
        const struct contract_event *e = &contract_events[i];
        if (!is_of(e, event)) continue;
        for (size_t k = 0; k < r->channel_count; k++) {
            const struct feed_channel *c = &r->channels[k];
            if (strcmp(c->template_name, e->channel) == 0 &&
                (!c->key[0] || strcmp(c->key, event->key) == 0))
                keep(r, k, e, event);
        }
    }
}

static int compare_seq(const void *a, const void *b)
{
    uint64_t left = frame_look(*(struct frame *const *)a).event.seq;
    uint64_t right = frame_look(*(struct frame *const *)b).event.seq;
    return (left > right) - (left < right);
}

/* In the order in which they happened: a client's cursor never runs ahead. */
static void put_newest_in_order(struct replay *r)
{
    for (size_t i = 0; i < r->channel_count; i++)
        if (r->newest[i]) r->frames[r->count++] = TAKE(r->newest[i]);
    if (r->count) qsort(r->frames, r->count, sizeof(struct frame *), compare_seq);
}

static void drop(struct replay *r)
{
    for (size_t i = 0; i < r->channel_count; i++)
        frame_release(r->newest[i]);
    for (size_t i = 0; i < r->count; i++)
        frame_release(r->frames[i]);
    free(r->frames);
}

/* false: the past is gone, or more than a queue should take. */
static bool collect(struct replay *r, const struct feed_position *since)
{
    struct topic *t = r->topic;
    if (since->epoch != t->at.epoch || since->seq > t->at.seq) return false;
    r->frames = calloc(FEED_REPLAY_MAX + FEED_CHANNELS_MAX, sizeof(struct frame *));
    if (!r->frames) return false;
    const char *key = r->channel_count == 1 && r->channels->key[0] ? r->channels->key : NULL;
    struct feed_position ring = {0};
    enum err e = bus_replay(t->subscriber, t->name, key, since->epoch, since->seq, visit, r,
                            &ring.epoch, &ring.seq);
    put_newest_in_order(r);
    return !e && ring.epoch == t->at.epoch && !r->failed &&
           r->bytes <= atomic_load(&r->feed->replay_bytes_max);
}

static void send(struct hub_connection *c, struct frame *frame)
{
    if (frame) hub_send(c, frame, HUB_KEEP);
}

static void send_resyncs(struct hub_connection *c, const struct replay *r)
{
    for (size_t i = 0; i < r->channel_count; i++) {
        struct frame *frame = resync_frame(r->topic, r->channels[i].name);
        send(c, frame);
        frame_release(frame);
    }
}

enum err feed_subscribe(struct feed *f, struct hub_connection *c,
                        const struct feed_channel *channels, size_t count,
                        const struct feed_position *since, bool *ret_recovered,
                        struct feed_position *ret)
{
    CHECK(count > 0 && count <= FEED_CHANNELS_MAX);
    struct topic *t = &f->topics[channels->topic];
    struct replay r = {.feed = f, .topic = t, .channels = channels, .channel_count = count};
    (void)pthread_mutex_lock(&t->lock);
    /* Just started, the part not reached yet: whether the past is there cannot be told. */
    enum err e = since && !t->at.epoch ? ERR_UNAVAILABLE : OK;
    bool recovered = since && !e && collect(&r, since);
    for (size_t i = 0; i < count && !e; i++) {
        CHECK(channels[i].topic == channels->topic);
        e = hub_subscribe(c, channels[i].hub);
    }
    for (size_t i = 0; i < r.count && !e && recovered; i++)
        send(c, r.frames[i]);
    if (!e && since && !recovered) send_resyncs(c, &r);
    if (!e) {
        *ret = t->at;
        *ret_recovered = recovered;
    }
    (void)pthread_mutex_unlock(&t->lock);
    drop(&r);
    return e;
}

struct feed_position feed_position(struct feed *f, unsigned topic)
{
    struct topic *t = &f->topics[topic];
    (void)pthread_mutex_lock(&t->lock);
    struct feed_position at = t->at;
    (void)pthread_mutex_unlock(&t->lock);
    return at;
}

/* ---- life ---- */

/* The topics of the part that publishes topics[first], from there on. */
static size_t topics_of_part(unsigned first, const char **ret)
{
    size_t part = strcspn(feed_topic(first), ".") + 1, count = 0;
    for (unsigned i = first; i < feed_topic_count(); i++)
        if (strncmp(feed_topic(i), feed_topic(first), part) == 0) ret[count++] = feed_topic(i);
    ret[count] = NULL;
    return count;
}

static enum err subscribe_part(struct feed *f, const struct feed_options *options, unsigned first,
                               struct err_detail *detail)
{
    char part[BUS_TOPIC_MAX + 1];
    const char *topics[FEED_TOPICS_MAX + 1];
    size_t count = topics_of_part(first, topics);
    CHECK(count > 0);
    (void)snprintf(part, sizeof part, "%.*s", (int)strcspn(*topics, "."), *topics);
    struct bus_subscriber_options subscriber = {
        .replay = calls_client(options->calls, *topics),
        .topics = topics,
        .on_event = on_event,
        .on_resync = on_resync,
        .arg = f,
    };
    CHECK(subscriber.replay && f->subscriber_count < PARTS_MAX);
    struct bus_subscriber **to = &f->subscribers[f->subscriber_count];
    enum err e = part_subscriber(options->env, part, &subscriber, to, detail);
    if (e) return e;
    f->subscriber_count++;
    for (size_t i = 0; i < count; i++)
        find_topic(f, topics[i])->subscriber = *to;
    return OK;
}

void feed_set_queue_bytes(struct feed *f, size_t queue_bytes)
{
    atomic_store(&f->replay_bytes_max, (queue_bytes ? queue_bytes : HUB_QUEUE_BYTES) / 2);
}

enum err feed_new(const struct feed_options *options, struct feed **ret, struct err_detail *detail)
{
    CHECK(feed_topic_count() <= FEED_TOPICS_MAX);
    struct feed *f = calloc(1, sizeof *f);
    if (!f) return ERR_NO_MEMORY;
    f->hub = options->hub;
    f->recent = options->recent;
    feed_set_queue_bytes(f, options->queue_bytes);
    f->unknown = metrics_counter("tradepost_gateway_events_dropped_total",
                                 "Events that no channel carries.", "reason=\"unknown\"");
    f->corrupt = metrics_counter("tradepost_gateway_events_dropped_total",
                                 "Events that no channel carries.", "reason=\"corrupt\"");
    f->topic_count = feed_topic_count();
    for (unsigned i = 0; i < f->topic_count; i++) {
        f->topics[i].name = feed_topic(i);
        (void)pthread_mutex_init(&f->topics[i].lock, NULL);
        buf_init(&f->topics[i].text, FRAME_MAX);
    }
    enum err e = OK;
    for (unsigned i = 0; i < f->topic_count && !e; i++)
        if (!f->topics[i].subscriber) e = subscribe_part(f, options, i, detail);
    if (e) {
        feed_free(f);
        return e;
    }
    *ret = f;
    return OK;
}

void feed_free(struct feed *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->subscriber_count; i++)
        bus_subscriber_free(f->subscribers[i]);
    for (unsigned i = 0; i < f->topic_count; i++) {
        (void)pthread_mutex_destroy(&f->topics[i].lock);
        buf_release(&f->topics[i].text);
    }
    free(f);
}
