/* A stream: its request, its subscriptions, then events and heartbeats until the end. */
#include "sse.h"

#include "calls.h"
#include "cursor.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/metrics.h"
#include "gateway.pb-c.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LOOK_MS   1000                /* between two looks whether the client is still there */
#define PIECE_MAX ((size_t)16 * 1024) /* bytes after which what is collected is written */

struct sse {
    struct sse_options options;
    struct gauge *gauge;
    atomic_uint streams;
};

struct stream {
    struct sse *sse;
    struct http_exchange *x;
    const struct principal *principal;
    struct feed_channel channels[FEED_CHANNELS_MAX];
    size_t channel_count;
    unsigned topics[FEED_TOPICS_MAX]; /* of the cursor's places, ascending */
    struct cursor cursor;
    struct hub_connection *hub;
    struct buf out;
};

enum err sse_new(const struct sse_options *options, struct sse **ret)
{
    struct sse *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    s->options = *options;
    if (!s->options.heartbeat_ms) s->options.heartbeat_ms = SSE_HEARTBEAT_MS;
    s->gauge = metrics_gauge("tradepost_gateway_connections", "Clients that stay connected.",
                             "kind=\"sse\"");
    atomic_init(&s->streams, 0);
    *ret = s;
    return OK;
}

void sse_free(struct sse *s)
{
    free(s);
}

static bool enter(struct sse *s)
{
    bool room = atomic_fetch_add(&s->streams, 1) < s->options.streams_max;
    if (!room) atomic_fetch_sub(&s->streams, 1);
    if (room) gauge_add(s->gauge, 1);
    return room;
}

static void leave(struct sse *s)
{
    gauge_add(s->gauge, -1);
    atomic_fetch_sub(&s->streams, 1);
}

/* ---- the request; each step answers the problem itself and returns false ---- */

static enum err set_field(void *message, const char *name, const char *value)
{
    struct err_detail detail = {0};
    return json_set_text(message, name, value, &detail);
}

static bool read_request(struct stream *s, Gateway__StreamRequest *request)
{
    char field[CONTRACT_FIELD_SIZE] = "";
    struct err_detail detail = {0};
    const char *last = http_header(s->x, "Last-Event-ID");
    enum err e = http_query(s->x, set_field, request);
    if (!e && last && *last) e = json_set_text(&request->base, "lastEventId", last, &detail);
    if (e) {
        http_problem_text(s->x, ERR_INVALID, "the query takes channels and lastEventId");
        return false;
    }
    e = contract_check(&request->base, field, &detail);
    if (e) http_problem_text(s->x, e, "%s: %s", field, detail.text);
    return !e;
}

static void refuse_channel(struct stream *s, enum err e, const char *name, bool returns)
{
    if (e == ERR_UNAUTHENTICATED && returns)
        http_answer(s->x, 204, NULL, "", 0);
    else if (e == ERR_UNAUTHENTICATED)
        http_problem_text(s->x, e, "%s needs a token", name);
    else if (e == ERR_NOT_FOUND)
        http_problem_text(s->x, e, "%s is not offered on this port", name);
    else
        http_problem_text(s->x, e, "%s is for administrators", name);
}

static bool read_channels(struct stream *s, const Gateway__StreamRequest *request)
{
    for (size_t i = 0; i < request->n_channels; i++) {
        struct feed_channel *c = &s->channels[i];
        struct err_detail detail = {0};
        if (feed_channel(request->channels[i], s->principal->user_id, c, &detail)) {
            http_problem_status(s->x, 400, "invalid_channel", detail.text);
            return false;
        }
        enum err e = c->caller > http_policy(s->x)->caller_max
                         ? ERR_NOT_FOUND
                         : calls_channel_allowed(c->caller, s->principal);
        if (!e) continue;
        refuse_channel(s, e, c->name, request->last_event_id[0]);
        return false;
    }
    s->channel_count = request->n_channels;
    return true;
}

static int compare_topic(const void *a, const void *b)
{
    unsigned left = ((const struct feed_channel *)a)->topic;
    unsigned right = ((const struct feed_channel *)b)->topic;
    return (left > right) - (left < right);
}

/* Channels of one topic beside each other; the topics in order. */
static void sort_channels(struct stream *s)
{
    qsort(s->channels, s->channel_count, sizeof *s->channels, compare_topic);
    for (size_t i = 0; i < s->channel_count; i++)
        if (i == 0 || s->channels[i].topic != s->channels[i - 1].topic)
            s->topics[s->cursor.count++] = s->channels[i].topic;
}

/* ---- subscriptions ---- */

/* since: of a stream of other channels it has other topics, and then nothing of it is known. */
static enum err subscribe(struct stream *s, const struct cursor *since)
{
    static const struct feed_position unknown = {UINT64_MAX, 0};
    size_t first = 0;
    for (size_t topic = 0; topic < s->cursor.count; topic++) {
        size_t count = 1;
        while (first + count < s->channel_count &&
               s->channels[first + count].topic == s->topics[topic])
            count++;
        const struct feed_position *from = NULL;
        if (since->count) from = since->count == s->cursor.count ? &since->at[topic] : &unknown;
        bool recovered = false;
        enum err e = feed_subscribe(s->sse->options.feed, s->hub, &s->channels[first], count, from,
                                    &recovered, &s->cursor.at[topic]);
        if (e) return e;
        if (from && recovered)
            s->cursor.at[topic] = *from; /* goes on with each event that was missed */
        first += count;
    }
    return OK;
}

/* ---- writing ---- */

static void add_id(struct stream *s)
{
    char id[CURSOR_TEXT_SIZE];
    cursor_format(&s->cursor, id);
    (void)buf_add_format(&s->out, "id: %s\n", id);
}

static bool write_out(struct stream *s)
{
    bool written = !s->out.error && http_stream_write(s->x, s->out.data, s->out.size);
    buf_clear(&s->out);
    return written;
}

static void add_event(struct stream *s, const struct hub_taken *taken)
{
    struct frame_info info = frame_look(taken->frame);
    for (size_t i = 0; i < s->cursor.count; i++)
        if (strcmp(feed_topic(s->topics[i]), info.event.topic) == 0)
            s->cursor.at[i] = (struct feed_position){taken->epoch, taken->seq};
    add_id(s);
    if (strcmp(info.event.type, "resync") == 0) (void)buf_add_text(&s->out, "event: resync\n");
    (void)buf_add_text(&s->out, "data: ");
    (void)buf_add(&s->out, info.text, info.size); /* our JSON has no line breaks */
    (void)buf_add_text(&s->out, "\n\n");
}

/* Writes a piece of what is queued, after waiting for the first until the deadline; *ret_all: that
 * was all. false: it is over. */
static bool write_queued(struct stream *s, int64_t deadline_ms, bool *ret_all)
{
    *ret_all = false;
    while (s->out.size < PIECE_MAX && !*ret_all) {
        struct hub_taken taken = hub_take(s->hub, deadline_ms);
        if (taken.close) return false;
        *ret_all = !taken.frame;
        if (taken.frame) add_event(s, &taken);
        frame_release(taken.frame);
        deadline_ms = 0;
    }
    return !s->out.size || write_out(s);
}

/* What was published up to now to these channels is in the queue: if that can be written, nothing
 * before now is missing, and the cursor goes on. */
static bool advance(struct stream *s)
{
    struct cursor now = s->cursor;
    bool all = false;
    for (size_t i = 0; i < now.count; i++)
        now.at[i] = feed_position(s->sse->options.feed, s->topics[i]);
    if (!write_queued(s, 0, &all)) return false;
    for (size_t i = 0; i < now.count && all; i++)
        if (now.at[i].epoch == s->cursor.at[i].epoch && now.at[i].seq > s->cursor.at[i].seq)
            s->cursor.at[i] = now.at[i];
    return true;
}

/* A comment keeps the connection alive. */
static bool heartbeat(struct stream *s)
{
    if (!advance(s)) return false;
    if (s->principal->role != ROLE_GUEST &&
        auth_session(s->sse->options.auth, s->principal) == ERR_UNAUTHENTICATED)
        return false;
    (void)buf_add_text(&s->out, ": still here\n");
    add_id(s);
    (void)buf_add_text(&s->out, "\n");
    return write_out(s);
}

/* Its end of the connection is closed: only a write would tell otherwise, and the one after it. */
static bool is_gone(int fd)
{
    char byte;
    ssize_t size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Writes what comes until the next heartbeat is due. false: it is over. */
static bool write_until(struct stream *s, int64_t beat_ms, int fd)
{
    bool all;
    for (int64_t now_ms; (now_ms = clock_mono_ms()) < beat_ms;) {
        int64_t look_ms = now_ms + LOOK_MS < beat_ms ? now_ms + LOOK_MS : beat_ms;
        if (!write_queued(s, look_ms, &all) || is_gone(fd)) return false;
    }
    return true;
}

static void run(struct stream *s)
{
    int fd = http_socket(s->x);
    if (!http_stream_begin(s->x, "text/event-stream")) return;
    (void)buf_add_format(&s->out, "retry: %d\n", SSE_RETRY_MS);
    add_id(s);
    (void)buf_add_text(&s->out, "\n");
    if (!write_out(s)) return;
    while (write_until(s, clock_mono_ms() + s->sse->options.heartbeat_ms, fd))
        if (!heartbeat(s)) return;
}

static void join_and_run(struct stream *s, const struct cursor *since)
{
    enum err e =
        hub_join(s->sse->options.hub, s->sse->options.queue_bytes, (struct hub_wake){0}, &s->hub);
    if (!e) e = subscribe(s, since);
    if (e) {
        http_add_header(s->x, "Retry-After", "3");
        http_problem_status(s->x, 503, "unavailable", "there is no room for another stream");
    } else {
        run(s);
    }
    if (s->hub) hub_leave(s->hub);
    hub_release(s->hub);
}

static void serve(struct stream *s, const Gateway__StreamRequest *request)
{
    struct cursor since = {0};
    if (request->last_event_id[0] && cursor_parse(request->last_event_id, &since))
        return http_problem_text(s->x, ERR_INVALID, "lastEventId: the id of an event, epoch-seq");
    sort_channels(s);
    if (enter(s->sse)) {
        join_and_run(s, &since);
        leave(s->sse);
        return;
    }
    http_add_header(s->x, "Retry-After", "3");
    http_problem_status(s->x, 503, "unavailable", "there is no room for another stream");
}

void sse_handle(struct sse *sse, struct http_exchange *x, const struct principal *principal)
{
    ProtobufCMessage *request = NULL;
    struct stream *s = calloc(1, sizeof *s);
    if (!s || json_read("{}", 2, &gateway__stream_request__descriptor, &request, NULL)) {
        free(s);
        return http_problem_text(x, ERR_NO_MEMORY, "out of memory");
    }
    s->sse = sse;
    s->x = x;
    s->principal = principal;
    buf_init(&s->out, PIECE_MAX + HUB_QUEUE_BYTES * 4);
    Gateway__StreamRequest *typed = (Gateway__StreamRequest *)request;
    if (read_request(s, typed) && read_channels(s, typed)) serve(s, typed);
    buf_release(&s->out);
    protobuf_c_message_free_unpacked(request, NULL);
    free(s);
}
