/* A stream: its request, its subscriptions, then turns: events and heartbeats until the end. */
#include "sse.h"

#include "calls.h"
#include "cursor.h"
#include "media.h"

#include "base/clock.h"
#include "base/json.h"
#include "gateway.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define EVENT_STREAM "text/event-stream"
#define PIECE_MAX    ((size_t)16 * 1024) /* bytes after which what is collected is written */
#define BURST        8                   /* pieces before another stream has its turn */
#define SEND_BYTES   (128 * 1024)        /* in the kernel, which would let it grow to megabytes */

struct sse {
    struct sse_options options;
    atomic_size_t queue_bytes;
    atomic_uint opened; /* ever: so that no two look at their clocks at the same time */
};

struct stream {
    struct reactor_source source; /* first: where it is, the stream is */
    struct sse *sse;
    struct member member;
    struct principal principal;
    struct hub_connection *hub;
    unsigned topics[FEED_TOPICS_MAX]; /* of the cursor's places, ascending */
    struct cursor cursor;
    struct buf out; /* being written; out_sent of it are */
    size_t out_sent;
    bool writable, gone;
    bool ending; /* nothing is added any more */
    int code;    /* our verdict; 0: none */
    int64_t beat_at_ms, moved_ms, end_ms;
    unsigned number;

    struct actor actor; /* the workers' side: a heartbeat looks after the session */
    struct job beat;
    enum { BEAT_NONE, BEAT_ASKED, BEAT_READY } beating; /* the loop's */
    atomic_bool beat_done, session_ended;
    struct cursor now; /* up to where the topics were published when beat_done was set */
};

/* What is only needed until a stream has begun. */
struct request {
    struct sse *sse;
    struct http_exchange *x;
    const struct principal *principal;
    struct stream *stream;
    struct feed_channel channels[FEED_CHANNELS_MAX];
    size_t channel_count;
};

enum err sse_new(const struct sse_options *options, struct sse **ret)
{
    struct sse *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    s->options = *options;
    atomic_init(&s->queue_bytes, options->queue_bytes);
    if (!s->options.heartbeat_ms) s->options.heartbeat_ms = SSE_HEARTBEAT_MS;
    atomic_init(&s->opened, 0);
    *ret = s;
    return OK;
}

void sse_set_queue_bytes(struct sse *s, size_t queue_bytes)
{
    atomic_store(&s->queue_bytes, queue_bytes);
}

void sse_free(struct sse *s)
{
    free(s);
}

/* ---- the request; each step answers the problem itself and returns false ---- */

static enum err set_field(void *message, const char *name, const char *value)
{
    struct err_detail detail = {0};
    return json_set_text(message, name, value, &detail);
}

static bool read_request(struct request *r, Gateway__StreamRequest *message)
{
    char field[CONTRACT_FIELD_SIZE] = "";
    struct err_detail detail = {0};
    const char *last = http_header(r->x, "Last-Event-ID");
    enum err e = http_query(r->x, set_field, message);
    if (!e && last && *last) e = json_set_text(&message->base, "lastEventId", last, &detail);
    if (e) {
        http_problem_text(r->x, ERR_INVALID, "the query takes channels and lastEventId");
        return false;
    }
    e = contract_check(&message->base, field, &detail);
    if (e) http_problem_text(r->x, e, "%s: %s", field, detail.text);
    return !e;
}

static void refuse_channel(struct request *r, enum err e, const char *name, bool returns)
{
    if (e == ERR_UNAUTHENTICATED && returns)
        http_answer(r->x, 204, NULL, "", 0);
    else if (e == ERR_UNAUTHENTICATED)
        http_problem_text(r->x, e, "%s needs a token", name);
    else if (e == ERR_NOT_FOUND)
        http_problem_text(r->x, e, "%s is not offered on this port", name);
    else
        http_problem_text(r->x, e, "%s is for administrators", name);
}

static bool read_channels(struct request *r, const Gateway__StreamRequest *message)
{
    for (size_t i = 0; i < message->n_channels; i++) {
        struct feed_channel *c = &r->channels[i];
        struct err_detail detail = {0};
        if (feed_channel(message->channels[i], r->principal->user_id, c, &detail)) {
            http_problem_status(r->x, 400, "invalid_channel", detail.text);
            return false;
        }
        enum err e = c->caller > http_policy(r->x)->caller_max
                         ? ERR_NOT_FOUND
                         : calls_channel_allowed(c->caller, r->principal);
        if (!e) continue;
        refuse_channel(r, e, c->name, message->last_event_id[0]);
        return false;
    }
    r->channel_count = message->n_channels;
    return true;
}

static int compare_topic(const void *a, const void *b)
{
    unsigned left = ((const struct feed_channel *)a)->topic;
    unsigned right = ((const struct feed_channel *)b)->topic;
    return (left > right) - (left < right);
}

/* Channels of one topic beside each other; the topics in order. */
static void sort_channels(struct request *r)
{
    struct stream *s = r->stream;
    qsort(r->channels, r->channel_count, sizeof *r->channels, compare_topic);
    for (size_t i = 0; i < r->channel_count; i++)
        if (i == 0 || r->channels[i].topic != r->channels[i - 1].topic)
            s->topics[s->cursor.count++] = r->channels[i].topic;
}

/* ---- subscriptions ---- */

/* since: of a stream of other channels it has other topics, and then nothing of it is known. */
static enum err subscribe(struct request *r, const struct cursor *since)
{
    static const struct feed_position unknown = {UINT64_MAX, 0};
    struct stream *s = r->stream;
    size_t first = 0;
    for (size_t topic = 0; topic < s->cursor.count; topic++) {
        size_t count = 1;
        while (first + count < r->channel_count &&
               r->channels[first + count].topic == s->topics[topic])
            count++;
        const struct feed_position *from = NULL;
        if (since->count) from = since->count == s->cursor.count ? &since->at[topic] : &unknown;
        bool recovered = false;
        enum err e = feed_subscribe(s->sse->options.feed, s->hub, &r->channels[first], count, from,
                                    &recovered, &s->cursor.at[topic]);
        if (e) return e;
        if (from && recovered)
            s->cursor.at[topic] = *from; /* goes on with each event that was missed */
        first += count;
    }
    return OK;
}

/* ---- the workers: a heartbeat asks whether the session still is, and where the topics are ---- */

static struct stream *of_actor(struct actor *a)
{
    return (struct stream *)((char *)a - offsetof(struct stream, actor));
}

static void on_job(struct actor *a, struct job *own_job)
{
    struct stream *s = of_actor(a);
    (void)own_job;
    if (s->principal.role != ROLE_GUEST &&
        auth_session(s->sse->options.auth, &s->principal) == ERR_UNAUTHENTICATED)
        atomic_store(&s->session_ended, true);
    for (size_t i = 0; i < s->now.count; i++)
        s->now.at[i] = feed_position(s->sse->options.feed, s->topics[i]);
    atomic_store(&s->beat_done, true);
    reactor_wake(&s->source);
}

static void on_done(struct actor *a)
{
    reactor_release(&of_actor(a)->source);
}

static const struct actor_ops actor_ops = {on_job, on_done};

/* ---- what is written ---- */

static void add_id(struct stream *s)
{
    char id[CURSOR_TEXT_SIZE];
    cursor_format(&s->cursor, id);
    (void)buf_add_format(&s->out, "id: %s\n", id);
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

static void add_retry(struct stream *s, int64_t retry_ms)
{
    (void)buf_add_format(&s->out, "retry: %d\n", (int)retry_ms);
    add_id(s);
    (void)buf_add_text(&s->out, "\n");
}

/* What was published up to `now` to these channels had been queued, and all that was queued is in
 * what is written: nothing before is missing, and the cursor goes on. */
static void add_heartbeat(struct stream *s)
{
    for (size_t i = 0; i < s->now.count; i++)
        if (s->now.at[i].epoch == s->cursor.at[i].epoch && s->now.at[i].seq > s->cursor.at[i].seq)
            s->cursor.at[i] = s->now.at[i];
    (void)buf_add_text(&s->out, ": still here\n");
    add_id(s);
    (void)buf_add_text(&s->out, "\n");
    s->beating = BEAT_NONE;
}

static void end(struct stream *s, int code)
{
    int64_t hint_ms = SSE_RETRY_MS + reactor_spread(s->number, SSE_RETRY_MAX_MS - SSE_RETRY_MS);
    s->code = code;
    s->ending = true;
    if (code == HUB_CLOSE_GOING_AWAY) add_retry(s, hint_ms);
}

/* Collects a piece of what is queued; behind the last of it, what else there is to say. */
static void fill(struct stream *s)
{
    struct hub_taken taken = {0};
    while (s->out.size < PIECE_MAX) {
        taken = hub_take(s->hub);
        if (!taken.frame) break;
        add_event(s, &taken);
        frame_release(taken.frame);
    }
    if (taken.frame) return;
    if (taken.close) return end(s, taken.close);
    if (s->beating == BEAT_READY) add_heartbeat(s);
    if (atomic_load(&s->session_ended)) end(s, HUB_CLOSE_BAD_CREDENTIALS);
}

/* true: something was written. */
static bool push(struct stream *s, int64_t now_ms)
{
    ssize_t size = send(s->source.fd, s->out.data + s->out_sent, s->out.size - s->out_sent,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) return true;
    if (size < 0) {
        s->writable = false;
        s->gone = errno != EAGAIN && errno != EWOULDBLOCK;
        return false;
    }
    s->moved_ms = now_ms;
    s->out_sent += (size_t)size;
    atomic_fetch_add(&s->member.sent, (size_t)size);
    if (s->out_sent < s->out.size) return true;
    buf_release(&s->out); /* memory is for what waits */
    s->out_sent = 0;
    return true;
}

static void flush(struct stream *s, int64_t now_ms)
{
    for (int i = 0; i < BURST; i++) {
        if (!s->out.size && !s->ending) fill(s);
        if (s->out.error) s->gone = true; /* out of memory */
        if (s->gone || !s->out.size || !s->writable || !push(s, now_ms)) return;
    }
    reactor_wake(&s->source);
}

/* ---- turns ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Looks after the clocks; returns when to look again. */
static int64_t tend(struct stream *s, int64_t now_ms)
{
    int verdict = hub_verdict(s->hub);
    if (verdict && !s->end_ms) s->end_ms = now_ms + SSE_END_MS;
    bool stalled = s->out.size && now_ms >= s->moved_ms + SSE_STALLED_MS;
    if (stalled || verdict == HUB_CLOSE_SLOW || (s->end_ms && now_ms >= s->end_ms)) {
        if (verdict) s->code = verdict;
        s->gone = true;
        return now_ms;
    }
    if (s->beating == BEAT_ASKED && atomic_exchange(&s->beat_done, false)) s->beating = BEAT_READY;
    if (s->beating == BEAT_NONE && now_ms >= s->beat_at_ms) {
        s->beat_at_ms = now_ms + s->sse->options.heartbeat_ms;
        s->beating = BEAT_ASKED;
        reactor_hold(&s->source);
        workers_post(s->sse->options.workers, &s->actor, &s->beat);
    }
    int64_t next_ms = s->beating == BEAT_NONE ? s->beat_at_ms : s->moved_ms + SSE_STALLED_MS;
    return s->end_ms ? earlier(next_ms, s->end_ms) : next_ms;
}

static void on_turn(struct reactor_source *source, unsigned why, int64_t now_ms)
{
    struct stream *s = (struct stream *)source;
    if (why & REACTOR_HANGUP) s->gone = true;
    if (why & REACTOR_WRITE) s->writable = true;
    if (!s->out.size) s->moved_ms = now_ms;
    int64_t next_ms = s->gone ? now_ms : tend(s, now_ms);
    if (!s->gone) flush(s, now_ms);
    if (!s->gone && !(s->ending && !s->out.size)) {
        if (s->beating == BEAT_NONE) next_ms = earlier(next_ms, s->beat_at_ms);
        return reactor_at(source, next_ms > now_ms ? next_ms : now_ms + 1);
    }
    (void)shutdown(source->fd, SHUT_WR);
    hub_leave(s->hub);
    buf_release(&s->out);
    reactor_end(source);
}

static void on_release(struct reactor_source *source)
{
    struct stream *s = (struct stream *)source;
    roster_leave(&s->member, s->code);
    hub_release(s->hub);
    buf_release(&s->out);
    free(s);
}

static const struct reactor_ops reactor_ops = {on_turn, on_release};

/* ---- a stream's beginning ---- */

static void on_queue(void *arg)
{
    struct stream *s = arg;
    reactor_wake(&s->source);
}

static struct stream *make(struct request *r)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    reactor_init(&s->source, &reactor_ops);
    s->sse = r->sse;
    s->principal = *r->principal;
    s->actor.ops = &actor_ops;
    s->number = atomic_fetch_add(&r->sse->opened, 1);
    buf_init(&s->out, PIECE_MAX + HUB_QUEUE_BYTES * 4);
    int64_t beat_ms = r->sse->options.heartbeat_ms, now_ms = clock_mono_ms();
    s->beat_at_ms = now_ms + beat_ms / 2 + reactor_spread(s->number, beat_ms / 2);
    s->moved_ms = now_ms;
    return s;
}

static enum err enter(struct stream *s, const struct http_exchange *x)
{
    struct member *m = &s->member;
    m->kind = "sse";
    m->listener = http_policy(x)->name;
    m->trace = http_trace(x);
    m->hub = s->hub;
    (void)snprintf(m->address, sizeof m->address, "%s", http_peer(x));
    enum err e = roster_enter(s->sse->options.roster, m);
    if (!e && s->principal.user_id[0]) e = roster_name(m, s->principal.user_id);
    return e;
}

/*
 * An EventSource gives up for good at any answer but 200 and comes back to a stream that ended, so
 * what will pass (we stop, or have just begun) is told to it as an empty stream.
 */
static void refuse(struct http_exchange *x, enum err e)
{
    static const char come_back[] = "retry: 3000\n\n";
    http_add_header(x, "Retry-After", "3");
    if (e != ERR_EXHAUSTED && media_names(http_header(x, "Accept"), EVENT_STREAM)) {
        http_set_cache(x, "no-store");
        http_answer(x, 200, EVENT_STREAM, come_back, sizeof come_back - 1);
    } else if (e == ERR_EXHAUSTED)
        http_problem_status(x, 429, "too_many_connections",
                            "there are too many connections of this user or from this address");
    else
        http_problem_status(x, 503, "unavailable", "there is no room for another stream");
}

/* ERR_EXHAUSTED: the address or the user has its share. */
static enum err open_stream(struct request *r, const struct cursor *since)
{
    struct stream *s = r->stream;
    const struct sse_options *options = &s->sse->options;
    if (hub_join(options->hub, atomic_load(&s->sse->queue_bytes), (struct hub_wake){on_queue, s},
                 &s->hub))
        return ERR_UNAVAILABLE;
    enum err e = enter(s, r->x);
    if (!e && subscribe(r, since)) e = ERR_UNAVAILABLE;
    return e;
}

static void give_up(struct stream *s)
{
    if (s->hub) hub_leave(s->hub);
    reactor_release(&s->source);
}

static void begin(struct request *r, const struct cursor *since)
{
    struct stream *s = r->stream;
    int send_bytes = SEND_BYTES;
    sort_channels(r);
    enum err e = open_stream(r, since);
    if (e) {
        refuse(r->x, e);
        return give_up(s);
    }
    s->now.count = s->cursor.count;
    int fd = http_stream_begin(r->x, EVENT_STREAM) ? http_take_over(r->x) : -1;
    if (fd < 0) return give_up(s);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
    add_retry(s, SSE_RETRY_MS);
    reactor_start(s->sse->options.reactor, &s->source, fd);
}

static void serve(struct request *r, const Gateway__StreamRequest *message)
{
    struct cursor since = {0};
    if (message->last_event_id[0] && cursor_parse(message->last_event_id, &since))
        return http_problem_text(r->x, ERR_INVALID, "lastEventId: the id of an event, epoch-seq");
    r->stream = make(r);
    if (r->stream)
        begin(r, &since);
    else
        http_problem_text(r->x, ERR_NO_MEMORY, "out of memory");
}

void sse_handle(struct sse *sse, struct http_exchange *x, const struct principal *principal)
{
    ProtobufCMessage *message = NULL;
    struct request *r = calloc(1, sizeof *r);
    if (!r || json_read("{}", 2, &gateway__stream_request__descriptor, &message, NULL)) {
        free(r);
        return http_problem_text(x, ERR_NO_MEMORY, "out of memory");
    }
    r->sse = sse;
    r->x = x;
    r->principal = principal;
    Gateway__StreamRequest *typed = (Gateway__StreamRequest *)message;
    if (read_request(r, typed) && read_channels(r, typed)) serve(r, typed);
    protobuf_c_message_free_unpacked(message, NULL);
    free(r);
}
