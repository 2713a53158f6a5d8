/* The handshake, and one connection's life: what to write, what to wait for, what was read. */
#include "ws.h"

#include "exchange.h"
#include "ws_out.h"
#include "ws_parser.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE  8192
#define BURST      8            /* writes before the client is read again */
#define SEND_BYTES (128 * 1024) /* in the kernel, which would let it grow to megabytes */
#define KEY_SIZE   24           /* of Sec-WebSocket-Key: 16 bytes in base64 */

struct ws_front {
    struct ws_options options;
    struct gauge *gauge;
};

struct connection {
    struct ws_front *front;
    int fd, wake_fd;
    struct hub_connection *hub;
    struct command_session *session;
    struct ws_parser parser;

    struct ws_out out;

    enum { OPEN, CLOSING, CLOSED, GONE } state; /* CLOSING: our close is out; CLOSED: both are */
    int64_t heard_ms, ping_at_ms;
    int64_t end_ms; /* 0, or when a close is no longer waited for */
};

enum err ws_front_new(const struct ws_options *options, struct ws_front **ret)
{
    struct ws_front *front = calloc(1, sizeof *front);
    if (!front) return ERR_NO_MEMORY;
    front->options = *options;
    if (!front->options.ping_ms) front->options.ping_ms = WS_PING_MS;
    if (!front->options.dead_ms) front->options.dead_ms = WS_DEAD_MS;
    front->gauge = metrics_gauge("tradepost_gateway_connections", "Clients that stay connected.",
                                 "kind=\"websocket\"");
    *ret = front;
    return OK;
}

void ws_front_free(struct ws_front *front)
{
    free(front);
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
    case HUB_CLOSE_TOO_BIG:
        return "message too long";
    case HUB_CLOSE_AUTH_TIMEOUT:
        return "authenticate first";
    case HUB_CLOSE_BAD_CREDENTIALS:
        return "bad credentials";
    case HUB_CLOSE_SLOW:
        return "too slow";
    default:
        return "";
    }
}

static void say_close(struct connection *c, int code)
{
    char payload[2 + 32] = {(char)(code >> 8), (char)code};
    int size = snprintf(payload + 2, sizeof payload - 2, "%s", words_of(code));
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

/* Takes what fits from the queue; its verdict when nothing is left to be written before it. */
static void fill(struct connection *c)
{
    while (c->state == OPEN && ws_out_has_room(&c->out)) {
        struct hub_taken taken = hub_take(c->hub, 0);
        if (taken.close && ws_out_is_empty(&c->out)) begin_close(c, taken.close);
        if (!taken.frame) return;
        ws_out_add(&c->out, taken.frame);
    }
}

/* Writes what it can. true: there is more, and it waits for the socket. */
static bool flush(struct connection *c)
{
    for (int i = 0; i < BURST; i++) {
        fill(c);
        if (ws_out_is_empty(&c->out)) return false;
        int progress = ws_out_push(&c->out, c->fd);
        if (progress < 0) c->state = GONE;
        if (progress <= 0) return true;
    }
    return true;
}

/* ---- reading ---- */

/* What comes now is of no interest, or cannot be read any more. */
static void close_both(struct connection *c, int code)
{
    begin_close(c, code);
    c->state = CLOSED;
}

static void handle(struct connection *c, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_GOT_CLOSE: /* answered with its own code; or it is the answer to ours */
    case WS_REFUSED:
        return close_both(c, event->code);
    case WS_GOT_BINARY:
        return begin_close(c, HUB_CLOSE_UNSUPPORTED);
    case WS_GOT_TEXT:
        if (c->state == OPEN) command_text(c->session, event->data, event->size);
        return;
    case WS_GOT_PING:
        if (c->state == OPEN) ws_out_add_control(&c->out, WS_PONG, event->data, event->size);
        return;
    case WS_GOT_PONG:
    case WS_NOTHING:
        return;
    }
}

static void parse(struct connection *c, const uint8_t *at, const uint8_t *end)
{
    while (c->state == OPEN || c->state == CLOSING) {
        struct ws_event event = ws_parse(&c->parser, &at, end);
        if (event.kind == WS_NOTHING) return;
        handle(c, &event);
    }
}

static void receive(struct connection *c)
{
    uint8_t bytes[READ_SIZE];
    ssize_t size = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (size <= 0) {
        c->state = GONE;
        return;
    }
    c->heard_ms = clock_mono_ms();
    parse(c, bytes, bytes + size);
}

/* ---- the loop ---- */

/* A verdict leaves some time to write what is queued; there is none for who was too slow for it. */
static void notice_verdict(struct connection *c, int64_t now_ms)
{
    int verdict = c->end_ms ? 0 : hub_verdict(c->hub);
    if (verdict) c->end_ms = now_ms + WS_CLOSE_MS;
    if (verdict == HUB_CLOSE_SLOW) begin_close(c, verdict);
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
    if (now_ms >= c->ping_at_ms) {
        ws_out_add_control(&c->out, WS_PING, NULL, 0);
        c->ping_at_ms = now_ms + c->front->options.ping_ms;
    }
    int64_t next_ms = command_tick(c->session, now_ms);
    if (dead_ms < next_ms) next_ms = dead_ms;
    return c->ping_at_ms < next_ms ? c->ping_at_ms : next_ms;
}

static void wait(struct connection *c, int64_t until_ms, bool writes)
{
    int64_t left_ms = until_ms - clock_mono_ms();
    bool reads = ws_out_takes_pongs(&c->out, READ_SIZE);
    struct pollfd fds[] = {
        {.fd = c->fd, .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))},
        {.fd = c->wake_fd, .events = POLLIN},
    };
    if (poll(fds, 2, left_ms < 0 ? 0 : (int)left_ms) <= 0) return;
    uint64_t wakes;
    if (fds[1].revents && read(c->wake_fd, &wakes, sizeof wakes) < 0) c->state = GONE;
    if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) receive(c);
}

/* Whatever the client still sends is read, or the reset for it would overtake our close frame. */
static void end(struct connection *c)
{
    char rest[READ_SIZE];
    struct pollfd fd = {.fd = c->fd, .events = POLLIN};
    int64_t end_ms = c->state == CLOSED ? c->end_ms : 0;
    (void)shutdown(c->fd, c->state == CLOSED ? SHUT_WR : SHUT_RDWR);
    for (int64_t left_ms; (left_ms = end_ms - clock_mono_ms()) > 0;)
        if (poll(&fd, 1, (int)left_ms) <= 0 || recv(c->fd, rest, sizeof rest, MSG_DONTWAIT) <= 0)
            return;
}

static void serve(struct connection *c)
{
    c->heard_ms = clock_mono_ms();
    c->ping_at_ms = c->heard_ms + c->front->options.ping_ms;
    while (c->state != GONE) {
        int64_t next_ms = tend(c, clock_mono_ms());
        if (c->state == GONE) break;
        bool writes = flush(c);
        if (c->state != OPEN && c->end_ms < next_ms) next_ms = c->end_ms; /* since just now */
        if (c->state == CLOSED && ws_out_is_empty(&c->out)) break;
        if (c->state != GONE) wait(c, next_ms, writes);
    }
    end(c);
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
    mg_disable_connection_keep_alive(x->connection);
    x->close = true;
    x->status = 101;
    return mg_write(x->connection, reply, (size_t)size) == size;
}

static void wake(void *arg)
{
    const struct connection *c = arg;
    uint64_t one = 1;
    /* Only a full counter could fail, and that wakes too. */
    if (write(c->wake_fd, &one, sizeof one) < 0) return;
}

static enum err open_connection(struct connection *c, const struct http_exchange *x)
{
    const struct ws_options *options = &c->front->options;
    c->fd = http_socket(x);
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->fd < 0 || c->wake_fd < 0) return ERR_UNAVAILABLE;
    int send_bytes = SEND_BYTES;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
    enum err e = hub_join(options->hub, options->queue_bytes, (struct hub_wake){wake, c}, &c->hub);
    if (!e) e = command_open(options->commands, c->hub, x->policy, http_peer(x), &c->session);
    return e;
}

static void close_connection(struct connection *c)
{
    if (c->hub) hub_leave(c->hub);
    command_close(c->session);
    hub_release(c->hub);
    ws_out_release(&c->out);
    ws_parser_release(&c->parser);
    if (c->wake_fd >= 0) (void)close(c->wake_fd);
}

void ws_handle(struct ws_front *front, struct http_exchange *x)
{
    if (!check_handshake(x)) return;
    struct connection c = {.front = front, .fd = -1, .wake_fd = -1};
    ws_parser_init(&c.parser, WS_MESSAGE_MAX);
    gauge_add(front->gauge, 1);
    enum err e = open_connection(&c, x);
    if (e)
        http_problem_text(x, ERR_UNAVAILABLE, "there is no room for another connection");
    else if (answer_handshake(x))
        serve(&c);
    if (!e) {
        http_set_user(x, command_user(c.session));
        x->sent = c.out.sent;
    }
    close_connection(&c);
    gauge_add(front->gauge, -1);
}
