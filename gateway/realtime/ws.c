/* The handshake, and one connection's turns: what was read, what to write, when to look again. */
#include "ws.h"

#include "exchange.h"
#include "ws_out.h"
#include "ws_parser.h"

#include "base/clock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define READ_SIZE  8192
#define BURST      8            /* reads, and writes, before another connection has its turn */
#define SEND_BYTES (128 * 1024) /* in the kernel, which would let it grow to megabytes */
#define KEY_SIZE   24           /* of Sec-WebSocket-Key: 16 bytes in base64 */

struct ws_front {
    struct ws_options options;
    atomic_size_t queue_bytes;
    atomic_uint opened; /* ever: so that no two look at their clocks at the same time */
};

struct connection {
    struct reactor_source source; /* first: where it is, the connection is */
    struct ws_front *front;
    struct member member;
    struct hub_connection *hub;
    struct command_session *session;
    struct ws_parser parser;
    struct ws_out out;

    /* CLOSING: our close is out; CLOSED: both are; DEAF: what still comes is thrown away. */
    enum { OPEN, CLOSING, CLOSED, DEAF, GONE } state;
    bool readable, writable;
    int64_t heard_ms, ping_at_ms;
    int64_t moved_ms; /* when something was written last, or nothing was to be */
    int64_t begun_ms; /* when the message began that is not whole yet; 0: there is none */
    int64_t end_ms;   /* 0, or when a close is no longer waited for */
    int code;         /* our verdict; 0: none */
    unsigned number;

    struct actor actor; /* the workers' side */
    struct job tick;
    atomic_bool ticking;
    atomic_int_least64_t tick_at_ms;
    atomic_size_t waiting, waiting_bytes; /* messages, not yet done */
};

struct message {
    struct job job; /* first */
    size_t size;
    char text[];
};

enum err ws_front_new(const struct ws_options *options, struct ws_front **ret)
{
    struct ws_front *front = calloc(1, sizeof *front);
    if (!front) return ERR_NO_MEMORY;
    front->options = *options;
    atomic_init(&front->queue_bytes, options->queue_bytes);
    if (!front->options.ping_ms) front->options.ping_ms = WS_PING_MS;
    if (!front->options.dead_ms) front->options.dead_ms = WS_DEAD_MS;
    atomic_init(&front->opened, 0);
    *ret = front;
    return OK;
}

void ws_front_set_queue_bytes(struct ws_front *front, size_t queue_bytes)
{
    atomic_store(&front->queue_bytes, queue_bytes);
}

void ws_front_free(struct ws_front *front)
{
    free(front);
}

/* ---- what the workers do ---- */

static struct connection *of_actor(struct actor *a)
{
    return (struct connection *)((char *)a - offsetof(struct connection, actor));
}

static void post(struct connection *c, struct job *job)
{
    reactor_hold(&c->source);
    workers_post(c->front->options.workers, &c->actor, job);
}

/* A connection that was full, or is to be looked after at another time, has to know. */
static void on_job(struct actor *a, struct job *own_job)
{
    struct connection *c = of_actor(a);
    bool wake = own_job == &c->tick;
    if (!wake) {
        struct message *m = (struct message *)own_job;
        size_t size = m->size;
        command_text(c->session, m->text, size);
        free(m);
        wake = atomic_fetch_sub(&c->waiting, 1) >= WS_WAITING_MAX;
        wake = atomic_fetch_sub(&c->waiting_bytes, size) >= WS_MESSAGE_MAX || wake;
    }
    int64_t tick_at_ms = command_tick(c->session, clock_mono_ms());
    wake = atomic_exchange(&c->tick_at_ms, tick_at_ms) != tick_at_ms || wake;
    if (own_job == &c->tick) atomic_store(&c->ticking, false);
    if (wake) reactor_wake(&c->source);
}

static void on_done(struct actor *a)
{
    reactor_release(&of_actor(a)->source);
}

static const struct actor_ops actor_ops = {on_job, on_done};

/* May another message wait? */
static bool has_room(struct connection *c)
{
    return atomic_load(&c->waiting) < WS_WAITING_MAX &&
           atomic_load(&c->waiting_bytes) < WS_MESSAGE_MAX;
}

/* ---- writing ---- */

static const char *words_of(int code)
{
    switch (code) {
    case HUB_CLOSE_GOING_AWAY:
        return "going away";
    case HUB_CLOSE_PROTOCOL:
        return "protocol error";
    case HUB_CLOSE_UNSUPPORTED:
        return "text only";
    case HUB_CLOSE_BAD_DATA:
        return "not UTF-8";
    case HUB_CLOSE_TOO_LATE:
        return "message took too long";
    case HUB_CLOSE_TOO_BIG:
        return "message too long";
    case HUB_CLOSE_AUTH_TIMEOUT:
        return "authenticate first";
    case HUB_CLOSE_BAD_CREDENTIALS:
        return "bad credentials";
    case HUB_CLOSE_SLOW:
        return "too slow";
    case HUB_CLOSE_CROWDED:
        return "too many connections";
    default:
        return "";
    }
}

static void say_close(struct connection *c, int code)
{
    char payload[2 + 64] = {(char)(code >> 8), (char)code};
    int size = snprintf(payload + 2, sizeof payload - 2, "%s", words_of(code));
    if (code == HUB_CLOSE_GOING_AWAY && c->code)
        size = snprintf(
            payload + 2, sizeof payload - 2, "going away; retry in %d ms",
            (int)(WS_RETRY_MIN_MS + reactor_spread(c->number, WS_RETRY_MAX_MS - WS_RETRY_MIN_MS)));
    ws_out_forget(&c->out);
    ws_out_add_control(&c->out, WS_CLOSE, payload, code ? 2 + (size_t)size : 0);
}

/* Unless it has begun: what was CLOSING stays so until the client's close. */
static void begin_close(struct connection *c, int code)
{
    if (c->state != OPEN) return;
    say_close(c, code);
    c->state = CLOSING;
    if (!c->end_ms) c->end_ms = clock_mono_ms() + WS_CLOSE_MS;
}

static void give_verdict(struct connection *c, int code)
{
    if (c->state == OPEN) c->code = code;
    begin_close(c, code);
}

/* Takes what fits from the queue; its verdict when nothing is left to be written before it. */
static void fill(struct connection *c)
{
    while (c->state == OPEN && ws_out_has_room(&c->out)) {
        struct hub_taken taken = hub_take(c->hub);
        if (taken.close && ws_out_is_empty(&c->out)) give_verdict(c, taken.close);
        if (!taken.frame) return;
        ws_out_add(&c->out, taken.frame);
    }
}

static void flush(struct connection *c)
{
    for (int i = 0; i < BURST; i++) {
        fill(c);
        if (ws_out_is_empty(&c->out) || !c->writable) return;
        int progress = ws_out_push(&c->out, c->source.fd);
        if (progress < 0) c->state = GONE;
        if (progress <= 0) c->writable = false;
        if (progress > 0) c->moved_ms = clock_mono_ms();
    }
    reactor_wake(&c->source);
}

/* ---- reading ---- */

/* What comes now is of no interest, or cannot be read any more. */
static void close_both(struct connection *c, int code)
{
    begin_close(c, code);
    c->state = CLOSED;
}

static void pass_on(struct connection *c, const struct ws_event *event)
{
    struct message *m = malloc(sizeof *m + event->size);
    if (!m) return give_verdict(c, HUB_CLOSE_INTERNAL);
    m->size = event->size;
    memcpy(m->text, event->data, event->size);
    atomic_fetch_add(&c->waiting, 1);
    atomic_fetch_add(&c->waiting_bytes, m->size);
    post(c, &m->job);
}

static void handle(struct connection *c, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_REFUSED:
        if (c->state == OPEN) c->code = event->code;
        return close_both(c, event->code);
    case WS_GOT_CLOSE: /* answered with its own code; or it is the answer to ours */
        return close_both(c, event->code);
    case WS_GOT_BINARY:
        return give_verdict(c, HUB_CLOSE_UNSUPPORTED);
    case WS_GOT_TEXT:
        c->begun_ms = 0;
        if (c->state == OPEN) pass_on(c, event);
        return;
    case WS_GOT_PING:
        if (c->state == OPEN) ws_out_add_control(&c->out, WS_PONG, event->data, event->size);
        return;
    case WS_GOT_PONG:
    case WS_NOTHING:
        return;
    }
}

/* Nothing behind a close is looked at. */
static void parse(struct connection *c, const uint8_t *at, const uint8_t *end)
{
    while (c->state == OPEN || c->state == CLOSING) {
        struct ws_event event = ws_parse(&c->parser, &at, end);
        if (event.kind == WS_NOTHING) return;
        handle(c, &event);
    }
}

/* What a client says must be answered, or wait for a worker: there has to be room for it. */
static bool may_read(struct connection *c)
{
    if (c->state == OPEN || c->state == CLOSING)
        return ws_out_takes_pongs(&c->out, READ_SIZE) && has_room(c);
    return c->state == DEAF; /* CLOSED: our own close goes first */
}

static void receive(struct connection *c, int64_t now_ms)
{
    uint8_t bytes[READ_SIZE];
    for (int i = 0; i < BURST && c->readable && may_read(c); i++) {
        ssize_t size = recv(c->source.fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            c->readable = false;
            return;
        }
        if (size <= 0) {
            c->state = GONE;
            return;
        }
        c->heard_ms = now_ms;
        atomic_store(&c->member.heard_ms, clock_wall_ms());
        parse(c, bytes, bytes + size);
        if (c->parser.in_message && !c->begun_ms) c->begun_ms = now_ms;
    }
}

/* ---- turns ---- */

/* A verdict leaves some time to write what is queued; there is none for who was too slow for it. */
static void notice_verdict(struct connection *c, int64_t now_ms)
{
    int verdict = c->end_ms ? 0 : hub_verdict(c->hub);
    if (verdict) c->end_ms = now_ms + WS_CLOSE_MS;
    if (verdict == HUB_CLOSE_SLOW) give_verdict(c, verdict);
    if (ws_out_is_empty(&c->out)) c->moved_ms = now_ms;
    if (now_ms >= c->moved_ms + c->front->options.dead_ms) give_verdict(c, HUB_CLOSE_SLOW);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Looks after the clocks; returns when to look again. */
static int64_t tend(struct connection *c, int64_t now_ms)
{
    notice_verdict(c, now_ms);
    if (c->end_ms) {
        if (now_ms >= c->end_ms) c->state = GONE;
        return c->end_ms;
    }
    int64_t dead_ms = c->heard_ms + c->front->options.dead_ms;
    if (now_ms >= dead_ms) {
        c->state = GONE;
        return now_ms;
    }
    int64_t late_ms = c->begun_ms ? c->begun_ms + c->front->options.dead_ms : REACTOR_NEVER;
    if (now_ms >= late_ms) {
        give_verdict(c, HUB_CLOSE_TOO_LATE);
        return c->end_ms;
    }
    if (now_ms >= c->ping_at_ms) {
        ws_out_add_control(&c->out, WS_PING, NULL, 0);
        c->ping_at_ms = now_ms + c->front->options.ping_ms;
    }
    int64_t next_ms = earlier(earlier(dead_ms, late_ms), c->ping_at_ms),
            tick_at_ms = atomic_load(&c->tick_at_ms);
    if (atomic_load(&c->ticking)) return next_ms;
    if (now_ms < tick_at_ms) return earlier(next_ms, tick_at_ms);
    atomic_store(&c->ticking, true);
    post(c, &c->tick);
    return next_ms;
}

/* What workers still do for it goes nowhere. */
static void finish(struct connection *c)
{
    hub_leave(c->hub);
    ws_out_release(&c->out);
    ws_parser_release(&c->parser);
    reactor_end(&c->source);
}

/* Whatever the client still sends is read, or the reset for it would overtake our close frame. */
static void become_deaf(struct connection *c)
{
    (void)shutdown(c->source.fd, SHUT_WR);
    c->state = DEAF;
}

static void on_turn(struct reactor_source *s, unsigned why, int64_t now_ms)
{
    struct connection *c = (struct connection *)s;
    if (why & (REACTOR_READ | REACTOR_HANGUP)) c->readable = true;
    if (why & REACTOR_WRITE) c->writable = true;
    receive(c, now_ms);
    int64_t next_ms = c->state == GONE ? now_ms : tend(c, now_ms);
    if (c->state != DEAF && c->state != GONE) flush(c);
    atomic_store(&c->member.sent, c->out.sent);
    if (c->state == CLOSED && ws_out_is_empty(&c->out)) become_deaf(c);
    if (c->state == GONE) return finish(c);
    if (c->readable && may_read(c)) reactor_wake(s);
    reactor_at(s, c->end_ms ? earlier(next_ms, c->end_ms) : next_ms);
}

/* ---- a connection's beginning and end ---- */

static void on_release(struct reactor_source *s)
{
    struct connection *c = (struct connection *)s;
    roster_leave(&c->member, c->code);
    command_close(c->session);
    hub_release(c->hub);
    free(c);
}

static const struct reactor_ops reactor_ops = {on_turn, on_release};

static void on_queue(void *arg)
{
    struct connection *c = arg;
    reactor_wake(&c->source);
}

static enum err enter(struct connection *c, const struct http_exchange *x)
{
    struct roster *roster = c->front->options.roster;
    c->member.kind = "websocket";
    c->member.listener = http_policy(x)->name;
    c->member.trace = http_trace(x);
    c->member.hub = c->hub;
    (void)snprintf(c->member.address, sizeof c->member.address, "%s", http_peer(x));
    return roster_enter(roster, &c->member);
}

static struct connection *make(struct ws_front *front)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    int64_t now_ms = clock_mono_ms();
    reactor_init(&c->source, &reactor_ops);
    ws_parser_init(&c->parser, WS_MESSAGE_MAX);
    c->front = front;
    c->actor.ops = &actor_ops;
    c->number = atomic_fetch_add(&front->opened, 1);
    c->heard_ms = c->moved_ms = now_ms;
    c->ping_at_ms =
        now_ms + front->options.ping_ms / 2 + reactor_spread(c->number, front->options.ping_ms / 2);
    return c;
}

static void give_up(struct connection *c)
{
    if (c->hub) hub_leave(c->hub);
    reactor_release(&c->source);
}

/* ERR_EXHAUSTED: the address has its share. */
static enum err open_connection(struct ws_front *front, const struct http_exchange *x,
                                struct connection **ret)
{
    const struct ws_options *options = &front->options;
    struct connection *c = make(front);
    if (!c) return ERR_NO_MEMORY;
    enum err e = OK;
    if (hub_join(options->hub, atomic_load(&front->queue_bytes), (struct hub_wake){on_queue, c},
                 &c->hub))
        e = ERR_UNAVAILABLE;
    if (!e) e = enter(c, x);
    if (!e) e = command_open(options->commands, c->hub, &c->member, http_policy(x), &c->session);
    if (e) {
        give_up(c);
        return e;
    }
    atomic_init(&c->tick_at_ms, command_tick(c->session, clock_mono_ms()));
    *ret = c;
    return OK;
}

/* ---- the handshake ---- */

static bool is_key(const char *key)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return key && strlen(key) == KEY_SIZE && strspn(key, base64) == KEY_SIZE - 2 &&
           strcmp(key + KEY_SIZE - 2, "==") == 0;
}

static bool has_token(const char *list, const char *token)
{
    size_t size = strlen(token);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, " \t,");
        if (item == size && strncasecmp(list, token, size) == 0) return true;
        list += item;
    }
    return false;
}

/* false: refused and answered. */
static bool check_handshake(struct http_exchange *x)
{
    if (!http_origin_allowed(x)) {
        http_problem_status(x, 403, "origin_not_allowed", "pages of this origin may not connect");
        return false;
    }
    const char *version = http_header(x, "Sec-WebSocket-Version");
    if (!version || strcmp(version, "13") != 0) {
        http_add_header(x, "Sec-WebSocket-Version", "13");
        http_problem_status(x, 426, "upgrade_required", "Sec-WebSocket-Version must be 13");
        return false;
    }
    if (strcmp(x->verb, "GET") == 0 && !x->head && x->body_size == 0 &&
        strcmp(x->info->http_version, "1.1") == 0 &&
        has_token(http_header(x, "Connection"), "upgrade") &&
        is_key(http_header(x, "Sec-WebSocket-Key")))
        return true;
    http_problem_status(x, 400, "bad_handshake",
                        "a WebSocket handshake is GET with Connection: Upgrade and a "
                        "Sec-WebSocket-Key of 16 bytes in base64");
    return false;
}

static bool answer_handshake(struct http_exchange *x)
{
    char text[KEY_SIZE + 64], reply[256];
    unsigned char hash[EVP_MAX_MD_SIZE], accept[EVP_MAX_MD_SIZE * 2];
    unsigned hash_size = 0;
    int size = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                        http_header(x, "Sec-WebSocket-Key"));
    CHECK(EVP_Digest(text, (size_t)size, hash, &hash_size, EVP_sha1(), NULL) == 1);
    (void)EVP_EncodeBlock(accept, hash, (int)hash_size);
    size = snprintf(reply, sizeof reply,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                    (const char *)accept);
    x->status = 101;
    return mg_write(x->connection, reply, (size_t)size) == size;
}

static void refuse(struct http_exchange *x, enum err e)
{
    http_add_header(x, "Retry-After", "3");
    if (e == ERR_EXHAUSTED)
        http_problem_status(x, 429, "too_many_connections",
                            "there are too many connections from this address");
    else
        http_problem_text(x, ERR_UNAVAILABLE, "there is no room for another connection");
}

void ws_handle(struct ws_front *front, struct http_exchange *x)
{
    struct connection *c = NULL;
    int send_bytes = SEND_BYTES;
    if (!check_handshake(x)) return;
    enum err e = open_connection(front, x, &c);
    if (e) return refuse(x, e);
    int fd = answer_handshake(x) ? http_take_over(x) : -1;
    if (fd < 0) return give_up(c);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
    reactor_start(front->options.reactor, &c->source, fd);
}
