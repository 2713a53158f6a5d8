/*
 * Thousands of WebSocket clients in one process, for tests and measurements. Commands come on
 * stdin, one per line; each is answered with one line:
 *
 *   open PORT COUNT [BUFFER]  ok: so many more clients, each subscribed to trades:A-USDT and
 *                             trades:B-USDT; BUFFER bytes of receive buffer
 *   bare PORT COUNT           ok: so many more that are subscribed to nothing
 *   wait COUNT                {"ms":..,"delivered":..}: every subscribed client has had the trades
 * 1 to COUNT of both, each in order; it fails otherwise end {"closed":..,"code":..,"hints":..}:
 * every client was closed by the server, with that code (0: not all with the same), and so many
 *                             different reasons
 *   leave                     ok: all are gone without a word; the count begins anew
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 20000
#define BUFFER_SIZE 65536 /* what a read takes; a message is shorter */
#define TEXT_KEPT   64    /* bytes of a close's reason */

struct client {
    int fd;
    bool subscribed, answered, closed;
    int code;
    char reason[TEXT_KEPT];
    unsigned had[2]; /* of A and B: the last trade */
    unsigned char *rest;
    size_t rest_size; /* of a message that is not whole yet */
};

static struct client clients[CLIENTS_MAX];
static size_t client_count;
static int epoll_fd;
static unsigned long long delivered;

static void must(bool good, const char *what)
{
    if (good) return;
    (void)fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long long now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* ---- messages ---- */

static void take_trade(struct client *c, const char *text)
{
    const char *channel = strstr(text, "\"channel\":\"trades:"),
               *id = strstr(text, "\"tradeId\":\"");
    must(channel && id, "an event of another kind");
    unsigned which = channel[18] == 'B';
    unsigned number = (unsigned)strtoul(id + 11, NULL, 10);
    if (number != c->had[which] + 1)
        (void)fprintf(stderr, "crowd: trade %u behind %u\n", number, c->had[which]);
    must(number == c->had[which] + 1, "out of order");
    c->had[which] = number;
    delivered++;
}

static void take(struct client *c, unsigned opcode, char *text, size_t size)
{
    if (opcode == 8) {
        c->code = size >= 2 ? (unsigned char)text[0] << 8 | (unsigned char)text[1] : 0;
        (void)snprintf(c->reason, sizeof c->reason, "%.*s", size > 2 ? (int)size - 2 : 0, text + 2);
        return;
    }
    if (opcode != 1) return; /* a ping: whoever is here so short need not answer */
    char kept = text[size];
    text[size] = 0;
    if (strncmp(text, "{\"msgId\"", 8) == 0) {
        must(strstr(text, "\"ok\":true"), text);
        c->answered = true;
    } else {
        take_trade(c, text);
    }
    text[size] = kept;
}

/* Returns how many bytes were whole messages. */
static size_t parse(struct client *c, unsigned char *at, size_t size)
{
    size_t done = 0;
    for (;;) {
        unsigned char *p = at + done;
        size_t left = size - done, head = 2, length = left >= 2 ? p[1] : 0;
        if (left < 2) return done;
        if (length == 126) head = 4;
        must(length < 127, "a message that is too long");
        if (left < head) return done;
        if (length == 126) length = (size_t)p[2] << 8 | p[3];
        if (left < head + length) return done;
        take(c, p[0] & 15, (char *)p + head, length);
        done += head + length;
    }
}

static void receive(struct client *c)
{
    static unsigned char bytes[BUFFER_SIZE * 2 + 1];
    if (c->rest_size) memcpy(bytes, c->rest, c->rest_size);
    ssize_t size = recv(c->fd, bytes + c->rest_size, BUFFER_SIZE, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
        c->closed = true;
        (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    size_t all = c->rest_size + (size_t)size, done = parse(c, bytes, all);
    free(c->rest);
    c->rest = NULL;
    c->rest_size = all - done;
    if (c->rest_size) must(c->rest = malloc(c->rest_size), "memory");
    if (c->rest_size) memcpy(c->rest, bytes + done, c->rest_size);
}

static void serve(bool (*enough)(const struct client *c, unsigned arg), unsigned arg)
{
    struct epoll_event events[512];
    for (size_t next = 0; next < client_count;) {
        if (enough(&clients[next], arg)) {
            next++;
            continue;
        }
        int count = epoll_wait(epoll_fd, events, 512, 60000);
        must(count > 0, "nothing comes any more");
        for (int i = 0; i < count; i++)
            receive(&clients[events[i].data.u64]);
    }
}

/* ---- commands ---- */

static void send_text(int fd, const char *text)
{
    unsigned char frame[256] = {0x81, 0x80, 0, 0, 0, 0}; /* masked by nothing */
    size_t size = strlen(text);
    must(size < 126, "a short message");
    frame[1] |= (unsigned char)size;
    memcpy(frame + 6, text, size);
    must(send(fd, frame, 6 + size, MSG_NOSIGNAL) == (ssize_t)(6 + size), "send");
}

static void shake_hands(int fd)
{
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";
    char answer[1024];
    must(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0, "send");
    size_t size = 0;
    do {
        ssize_t got = recv(fd, answer + size, 1, 0); /* what follows is a message */
        must(got == 1, "handshake");
        size++;
    } while (size < 4 || memcmp(answer + size - 4, "\r\n\r\n", 4) != 0);
    must(strncmp(answer, "HTTP/1.1 101 ", 13) == 0, "refused");
}

static void open_one(unsigned port, unsigned buffer, bool subscribed)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(client_count < CLIENTS_MAX, "too many");
    struct client *c = &clients[client_count];
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                         .subscribed = subscribed};
    must(c->fd >= 0, "socket");
    if (buffer) (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    must(connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    shake_hands(c->fd);
    if (subscribed)
        send_text(c->fd,
                  "{\"command\":\"subscribe\",\"msgId\":\"1\",\"channels\":[\"trades:A-USDT\","
                  "\"trades:B-USDT\"]}");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = client_count++};
    must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll");
}

static bool is_answered(const struct client *c, unsigned arg)
{
    (void)arg;
    return c->answered || !c->subscribed;
}

static bool has_had(const struct client *c, unsigned count)
{
    must(!c->closed, "closed");
    return !c->subscribed || (c->had[0] >= count && c->had[1] >= count);
}

static bool is_closed(const struct client *c, unsigned arg)
{
    (void)arg;
    return c->closed;
}

static int compare_reason(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void tell_end(void)
{
    static const char *reasons[CLIENTS_MAX];
    size_t different = client_count > 0;
    bool same = true;
    for (size_t i = 0; i < client_count; i++) {
        reasons[i] = clients[i].reason;
        same = same && clients[i].code == clients[0].code;
    }
    qsort(reasons, client_count, sizeof *reasons, compare_reason);
    for (size_t i = 1; i < client_count; i++)
        different += strcmp(reasons[i - 1], reasons[i]) != 0;
    (void)printf("{\"closed\":%zu,\"code\":%d,\"hints\":%zu}\n", client_count,
                 same && client_count ? clients[0].code : 0, different);
}

static void leave(void)
{
    for (size_t i = 0; i < client_count; i++) {
        (void)close(clients[i].fd);
        free(clients[i].rest);
    }
    client_count = 0;
    (void)printf("ok\n");
}

static void obey(const char *line)
{
    unsigned port = 0, count = 0, buffer = 0;
    if (sscanf(line, "open %u %u %u", &port, &count, &buffer) >= 2 ||
        sscanf(line, "bare %u %u", &port, &count) == 2) {
        while (count-- > 0)
            open_one(port, buffer, line[0] == 'o');
        serve(is_answered, 0);
        (void)printf("ok\n");
    } else if (sscanf(line, "wait %u", &count) == 1) {
        long long begin_ms = now_ms();
        delivered = 0;
        serve(has_had, count);
        (void)printf("{\"ms\":%lld,\"delivered\":%llu}\n", now_ms() - begin_ms, delivered);
    } else if (strcmp(line, "end") == 0) {
        serve(is_closed, 0);
        tell_end();
    } else {
        must(strcmp(line, "leave") == 0, "a known command");
        leave();
    }
}

int main(void)
{
    struct rlimit files;
    must(getrlimit(RLIMIT_NOFILE, &files) == 0, "limit");
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(epoll_fd >= 0, "epoll");
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
        (void)fflush(stdout);
    }
    leave();
    (void)close(epoll_fd);
    return 0;
}
