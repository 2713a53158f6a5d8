/* Blocking while they connect, on epoll afterwards. */
#include "clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE    (256 * 1024)
#define MESSAGE_MAX  (64 * 1024)
#define EVENTS_MAX   512
#define SUB_BUCKETS  64 /* of each power of two: a latency is known to 2% */
#define BUCKETS      (40 * SUB_BUCKETS)
#define OPCODE_TEXT  1
#define OPCODE_CLOSE 8
#define OPCODE_PING  9
#define OPCODE_PONG  10
#define MASK         "\x11\x22\x33\x44"

const char *const market_names[MARKETS] = {"AAA-USDT", "BBB-USDT"};

struct client {
    int fd;
    char *rest; /* of a frame that came in pieces */
    size_t rest_size;
    uint64_t last[MARKETS];
};

struct clients {
    enum protocol protocol;
    size_t count;
    struct client *all;
    int epoll;
    char *buffer;
    /* had[market][n % window]: how many clients have had n */
    uint64_t lowest[MARKETS];
    uint32_t *had[MARKETS];
    uint64_t delivered, disordered, lost;
    uint64_t buckets[BUCKETS];
};

#define WINDOW 65536 /* numbers between the fastest client and the slowest */

int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void die_of(const char *what)
{
    (void)fprintf(stderr, "fanout: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- frames ---- */

struct message {
    unsigned opcode;
    const char *data;
    size_t size;
};

/* Bytes of the frame that begins here; 0: it is not all there. */
static size_t parse(const char *at, size_t size, struct message *ret)
{
    const unsigned char *head = (const unsigned char *)at;
    if (size < 2) return 0;
    size_t length = head[1] & 127, skip = 2;
    if (length == 126) {
        if (size < 4) return 0;
        length = (size_t)head[2] << 8 | head[3];
        skip = 4;
    } else if (length == 127) {
        if (size < 10) return 0;
        length = 0;
        for (int i = 2; i < 10; i++)
            length = length << 8 | head[i];
        skip = 10;
    }
    if (length > MESSAGE_MAX) die_of("a message is too long");
    if (size < skip + length) return 0;
    *ret = (struct message){head[0] & 15u, at + skip, length};
    return skip + length;
}

static void say(int fd, unsigned opcode, const char *text, size_t size)
{
    char frame[1024];
    if (size > sizeof frame - 8) die_of("too much to say");
    size_t at = 0;
    frame[at++] = (char)(0x80 | opcode);
    if (size < 126) {
        frame[at++] = (char)(0x80 | size);
    } else {
        frame[at++] = (char)(0x80 | 126);
        frame[at++] = (char)(size >> 8);
        frame[at++] = (char)size;
    }
    memcpy(frame + at, MASK, 4);
    at += 4;
    for (size_t i = 0; i < size; i++)
        frame[at++] = (char)(text[i] ^ MASK[i & 3]);
    if (send(fd, frame, at, MSG_NOSIGNAL) != (ssize_t)at) die_of("send");
}

/* ---- connecting ---- */

/* Blocks for the next text message; answers nothing. */
static void await_text(int fd, char *ret, size_t ret_size)
{
    char data[MESSAGE_MAX];
    size_t size = 0;
    struct message m;
    for (;;) {
        size_t used = parse(data, size, &m);
        if (used && used != size) die_of("more came than was asked for");
        if (used && m.opcode == OPCODE_TEXT) {
            (void)snprintf(ret, ret_size, "%.*s", (int)m.size, m.data);
            return;
        }
        if (used) size = 0;
        ssize_t got = recv(fd, data + size, 1, 0); /* no more than what is ours */
        if (got <= 0) die_of("the server hung up");
        size += (size_t)got;
    }
}

/* Until the gateway has reached the publisher: before that it would tell a resync. */
static void subscribe_json(int fd)
{
    char text[256], answer[1024];
    (void)snprintf(
        text, sizeof text,
        "{\"command\":\"subscribe\",\"msgId\":\"1\",\"channels\":[\"trades:%s\",\"trades:"
        "%s\"]}",
        market_names[0], market_names[1]);
    do {
        say(fd, OPCODE_TEXT, text, strlen(text));
        do
            await_text(fd, answer, sizeof answer);
        while (!strstr(answer, "\"msgId\""));
        if (!strstr(answer, "\"ok\":true")) die_of(answer);
    } while (strstr(answer, "\"epoch\":\"0\"") && poll(NULL, 0, 20) == 0);
}

static void subscribe_socketio(int fd)
{
    char text[256], answer[1024];
    await_text(fd, answer, sizeof answer); /* 0{...}: open */
    say(fd, OPCODE_TEXT, "40", 2);
    await_text(fd, answer, sizeof answer); /* 40{...}: connected */
    (void)snprintf(text, sizeof text, "42[\"subscribe\",[\"trades:%s\",\"trades:%s\"]]",
                   market_names[0], market_names[1]);
    say(fd, OPCODE_TEXT, text, strlen(text));
    await_text(fd, answer, sizeof answer);
    if (!strstr(answer, "\"ok\":true")) die_of(answer);
}

static int connect_one(unsigned port, enum protocol protocol)
{
    static const char *const paths[] = {"/ws", "/socket.io/?EIO=4&transport=websocket"};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[512];
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die_of("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int size = snprintf(text, sizeof text,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: "
                        "Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        paths[protocol]);
    if (send(fd, text, (size_t)size, MSG_NOSIGNAL) != size) die_of("send");
    size_t got = 0;
    while (got < 4 || memcmp(text + got - 4, "\r\n\r\n", 4) != 0) {
        if (got == sizeof text || recv(fd, text + got, 1, 0) != 1) die_of("handshake");
        got++;
    }
    if (strncmp(text, "HTTP/1.1 101", 12) != 0) {
        text[got - 4] = 0;
        die_of(text);
    }
    if (protocol == PROTOCOL_JSON)
        subscribe_json(fd);
    else
        subscribe_socketio(fd);
    return fd;
}

struct clients *clients_connect(unsigned port, enum protocol protocol, size_t count)
{
    struct clients *c = calloc(1, sizeof *c);
    if (!c) die_of("memory");
    c->protocol = protocol;
    c->count = count;
    c->all = calloc(count, sizeof *c->all);
    c->buffer = malloc(READ_SIZE + MESSAGE_MAX + 16);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t m = 0; m < MARKETS; m++) {
        c->had[m] = calloc(WINDOW, sizeof *c->had[m]);
        if (!c->had[m]) die_of("memory");
    }
    if (!c->all || !c->buffer || c->epoll < 0) die_of("memory");
    for (size_t i = 0; i < count; i++) {
        c->all[i].fd = connect_one(port, protocol);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &c->all[i]};
        if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->all[i].fd, &event)) die_of("epoll_ctl");
    }
    return c;
}

void clients_free(struct clients *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->all[i].fd >= 0) (void)close(c->all[i].fd);
        free(c->all[i].rest);
    }
    for (size_t m = 0; m < MARKETS; m++)
        free(c->had[m]);
    (void)close(c->epoll);
    free(c->all);
    free(c->buffer);
    free(c);
}

/* ---- reading ---- */

static void note_latency(struct clients *c, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 1;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    unsigned sub = power >= 6 ? (unsigned)(value >> (power - 6)) & 63 : 0;
    unsigned bucket = power * SUB_BUCKETS + sub;
    c->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* The number behind a name in JSON. */
static bool number_of(const struct message *m, const char *name, uint64_t *ret)
{
    const char *at = memmem(m->data, m->size, name, strlen(name));
    if (!at) return false;
    *ret = strtoull(at + strlen(name), NULL, 10);
    return true;
}

static void on_event(struct clients *c, struct client *client, const struct message *m, int64_t now)
{
    uint64_t number, at;
    /* socket.io's text is JSON in JSON's place too: the same names. */
    if (!number_of(m, "\"tradeId\":\"", &number) || !number_of(m, "\"quantity\":\"", &at)) return;
    size_t market = memmem(m->data, m->size, market_names[1], strlen(market_names[1])) ? 1 : 0;
    if (number != client->last[market] + 1) c->disordered++;
    client->last[market] = number;
    c->delivered++;
    note_latency(c, now - (int64_t)at);
    if (number <= c->lowest[market] || number > c->lowest[market] + WINDOW) return;
    c->had[market][number % WINDOW]++;
    while (c->had[market][(c->lowest[market] + 1) % WINDOW] == c->count) {
        c->lowest[market]++;
        c->had[market][c->lowest[market] % WINDOW] = 0;
    }
}

static void lose(struct clients *c, struct client *client)
{
    c->lost++;
    (void)close(client->fd);
    client->fd = -1;
}

static bool on_message(struct clients *c, struct client *client, const struct message *m,
                       int64_t now)
{
    if (m->opcode == OPCODE_PING) say(client->fd, OPCODE_PONG, m->data, m->size);
    if (m->opcode == OPCODE_TEXT && m->size == 1 && m->data[0] == '2')
        say(client->fd, OPCODE_TEXT, "3", 1);
    else if (m->opcode == OPCODE_TEXT)
        on_event(c, client, m, now);
    return m->opcode != OPCODE_CLOSE;
}

static void read_one(struct clients *c, struct client *client)
{
    if (client->rest_size) memcpy(c->buffer, client->rest, client->rest_size);
    ssize_t got = recv(client->fd, c->buffer + client->rest_size, READ_SIZE, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return lose(c, client);
    size_t size = client->rest_size + (size_t)got, at = 0;
    int64_t now = now_us();
    struct message m;
    for (size_t used; (used = parse(c->buffer + at, size - at, &m)); at += used)
        if (!on_message(c, client, &m, now)) return lose(c, client);
    client->rest_size = size - at;
    if (client->rest_size == 0) return;
    char *rest = realloc(client->rest, client->rest_size);
    if (!rest) die_of("memory");
    memcpy(rest, c->buffer + at, client->rest_size);
    client->rest = rest;
}

void clients_read(struct clients *c, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(c->epoll, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < ready; i++)
        read_one(c, events[i].data.ptr);
}

/* ---- results ---- */

uint64_t clients_had(const struct clients *c, size_t market)
{
    return c->lowest[market];
}

void clients_measure_anew(struct clients *c)
{
    c->delivered = 0;
    memset(c->buckets, 0, sizeof c->buckets);
}

static double quantile_ms(const struct clients *c, double share)
{
    uint64_t rank = (uint64_t)((double)c->delivered * share), sum = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        sum += c->buckets[i];
        if (sum <= rank) continue;
        unsigned power = i / SUB_BUCKETS, sub = i % SUB_BUCKETS;
        return (double)(UINT64_C(1) << power) * (1 + sub / (double)SUB_BUCKETS) / 1000;
    }
    return 0;
}

struct clients_result clients_result(const struct clients *c)
{
    return (struct clients_result){c->delivered, c->disordered, c->lost, quantile_ms(c, 0.5),
                                   quantile_ms(c, 0.99)};
}
