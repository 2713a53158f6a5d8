/*
 * Peers that mean no good, by bare sockets: the server goes on serving others, and keeps nothing of
 * them. The wire is SP over TCP: 8 bytes of handshake, then messages behind a length of 8 bytes.
 */
#include "support/unit.h"

#include "base/clock.h"
#include "support/rpc/fixture.h"
#include "support/rpc/peer.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Freed memory goes back soon, so that growth is what is kept. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1";
}

#define HANDSHAKE_SIZE 8
static const uint8_t handshake[HANDSHAKE_SIZE] = {0, 'S', 'P', 0, 0, 0x30, 0, 0}; /* a REQ socket */

static int connect_raw(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)rpc_server_port(f->server, 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void write_raw(int fd, const void *data, size_t size)
{
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

static int shake_hands(const struct fixture *f)
{
    uint8_t theirs[HANDSHAKE_SIZE];
    int fd = connect_raw(f);
    write_raw(fd, handshake, sizeof handshake);
    assert_int_equal(recv(fd, theirs, sizeof theirs, MSG_WAITALL), HANDSHAKE_SIZE);
    return fd;
}

static void write_length(int fd, uint64_t length)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(length >> (56 - 8 * i));
    write_raw(fd, bytes, sizeof bytes);
}

/* The server ends the connection. */
static void assert_closed(int fd)
{
    uint8_t byte;
    struct timeval patience = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    ssize_t got = recv(fd, &byte, 1, 0);
    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
    (void)close(fd);
}

static size_t open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count;
}

/* 0 under ThreadSanitizer: its own memory grows with every thread and address. */
static size_t resident_kib(void)
{
#ifdef __SANITIZE_THREAD__
    return 0;
#endif
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0) kib = strtoul(line + 6, NULL, 10);
    (void)fclose(file);
    return kib;
}

/* nng closes in the background. */
static void await_files(size_t most)
{
    int64_t until_ms = clock_mono_ms() + 20000;
    while (open_files() > most) {
        if (clock_mono_ms() > until_ms) fail_msg("%zu files are open", open_files());
        (void)sched_yield();
    }
}

/* Waits until nobody wants its answer any more. */
static void wait_for_cancel(Users__Users_Service *self, const Users__JwksRequest *request,
                            Users__JwksResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    (void)reply;
    struct gate *gate = rpc_call_context(call);
    gate_open(gate);
    gate_pass(gate); /* counts */
    while (!rpc_call_cancelled(call))
        (void)sched_yield();
    rpc_fail(call, ERR_CANCELLED, "nobody is there");
}

struct target {
    struct fixture f;
    struct gate gate;
    size_t files;
};

static int set_up(void **state)
{
    struct target *t = calloc(1, sizeof *t);
    assert_non_null(t);
    gate_init(&t->gate);
    fixture_init(&t->f, &t->gate);
    t->f.users.jwks = wait_for_cancel;
    fixture_start(&t->f, "tcp://127.0.0.1:0", NULL);
    fixture_connect(&t->f, NULL);
    assert_ok(fixture_call_echo(t->f.client, "before", NULL, NULL));
    t->files = open_files();
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct target *t = *state;
    assert_ok(fixture_call_echo(t->f.client, "after", NULL, NULL));
    await_files(t->files);
    fixture_stop(&t->f);
    gate_fini(&t->gate);
    free(t);
    return 0;
}

static void a_length_of_8_gib_ends_the_connection_unread(void **state)
{
    struct target *t = *state;
    const uint64_t lengths[] = {RPC_MESSAGE_SIZE_MAX + 1, UINT64_C(8) << 30, UINT64_MAX};
    size_t before = resident_kib();
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int fd = shake_hands(&t->f);
        write_length(fd, lengths[i]);
        assert_closed(fd);
        assert_ok(fixture_call_echo(t->f.client, "still here", NULL, NULL));
    }
    assert_true(resident_kib() < before + 16 * 1024);
}

static void half_a_handshake_holds_up_nobody(void **state)
{
    struct target *t = *state;
    enum { PEERS = 50 };
    int fds[PEERS];
    for (size_t i = 0; i < PEERS; i++) {
        fds[i] = connect_raw(&t->f);
        write_raw(fds[i], handshake, i % HANDSHAKE_SIZE);
    }
    for (size_t i = 0; i < PEERS; i++)
        assert_ok(fixture_call_echo(t->f.client, "in between", NULL, NULL));
    Rpc__Request request = raw_request(GUEST_METHOD); /* a new connection gets through too */
    Rpc__Response *response = raw_call(t->f.url, &request);
    assert_non_null(response);
    rpc__response__free_unpacked(response, NULL);
    for (size_t i = 0; i < PEERS; i++)
        (void)close(fds[i]);
}

static void garbage_ends_its_own_connection_only(void **state)
{
    struct target *t = *state;
    const char *garbage[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
                             "\x00SP\x01\x00\x30\x00\x00", "\x00SP\x00\x00\x31\x00\x00",
                             "\xff\xff\xff\xff\xff\xff\xff\xff"};
    const size_t sizes[] = {18, 9, 8, 8, 8};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        uint8_t theirs[HANDSHAKE_SIZE];
        int fd = connect_raw(&t->f);
        write_raw(fd, garbage[i], sizes[i]);
        (void)recv(fd, theirs, sizeof theirs, MSG_WAITALL);
        assert_closed(fd);
    }
}

static void garbage_after_the_handshake_is_answered_or_cut_off(void **state)
{
    struct target *t = *state;
    uint32_t random = 1;
    for (int round = 0; round < 200; round++) {
        uint8_t data[64];
        int fd = shake_hands(&t->f);
        for (size_t i = 0; i < sizeof data; i++) {
            random = random * 1664525 + 1013904223;
            data[i] = (uint8_t)(random >> 24);
        }
        write_length(fd, sizeof data);
        if (round % 2) data[0] = (uint8_t)(data[0] | 0x80); /* a whole request id, or half of one */
        write_raw(fd, data, sizeof data);
        (void)close(fd);
    }
}

static void a_message_that_never_ends_holds_up_nobody(void **state)
{
    struct target *t = *state;
    enum { PEERS = 50 };
    int fds[PEERS];
    for (size_t i = 0; i < PEERS; i++) {
        fds[i] = shake_hands(&t->f);
        write_length(fds[i], 1000);
        write_raw(fds[i], "\x80\x00\x00\x01 and no more", 16);
    }
    for (size_t i = 0; i < PEERS; i++)
        assert_ok(fixture_call_echo(t->f.client, "in between", NULL, NULL));
    for (size_t i = 0; i < PEERS; i++)
        (void)close(fds[i]);
}

static void write_call(int fd, const char *method)
{
    uint8_t data[256] = {0x80, 0, 0, 1};
    Rpc__Request request = raw_request(method);
    request.timeout_ms = 60000;
    size_t size = 4 + rpc__request__pack(&request, data + 4);
    write_length(fd, size);
    write_raw(fd, data, size);
}

static void a_peer_that_vanishes_mid_call_frees_its_worker(void **state)
{
    struct target *t = *state;
    enum { PEERS = 20 }; /* five times the workers */
    for (unsigned i = 0; i < PEERS; i++) {
        int fd = shake_hands(&t->f);
        write_call(fd, IDEMPOTENT_METHOD);
        gate_await(&t->gate, i + 1);                                    /* its handler runs */
        struct linger reset = {.l_onoff = 1, .l_linger = (int)(i % 2)}; /* by RST, or by FIN */
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        (void)close(fd);
    }
    assert_ok(fixture_call_echo(t->f.client, "a worker is free", NULL, NULL));
}

static void thousands_of_quick_connections_leave_nothing_behind(void **state)
{
    struct target *t = *state;
    size_t kib = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            int fd = i % 2 ? connect_raw(&t->f) : shake_hands(&t->f);
            if (i % 4 == 0) write_call(fd, GUEST_METHOD);
            (void)close(fd);
            if (i % 100 == 0) assert_ok(fixture_call_echo(t->f.client, "x", NULL, NULL));
        }
        await_files(t->files);
        if (round > 0) assert_true(resident_kib() < kib + 4 * 1024);
        kib = resident_kib();
    }
}

/* Until the server has closed so many of them. */
static void await_cut_off(const int *fds, size_t count, size_t wanted)
{
    int64_t until_ms = clock_mono_ms() + 20000;
    for (size_t closed = 0; closed < wanted;) {
        if (clock_mono_ms() > until_ms) fail_msg("%zu connections are closed", closed);
        closed = 0;
        for (size_t i = 0; i < count; i++) {
            char byte;
            closed += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
        }
        (void)sched_yield();
    }
}

static void one_connection_above_the_limit_is_closed_and_the_others_are_served(void **state)
{
    struct target *t = *state;
    enum { MORE = 20, CONNECTIONS = RPC_PIPES_MAX - 1 + MORE }; /* one is the fixture's client */
    int *fds = calloc(CONNECTIONS, sizeof *fds);
    struct rlimit files = {0};
    assert_non_null(fds);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    rlim_t wanted = 2 * CONNECTIONS + 200; /* both ends are here */
    if (files.rlim_cur < wanted) files.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &files)) fail_msg("ulimit -Hn must be %d", (int)wanted);
    assert_ok(fixture_call_echo(t->f.client, "the first", NULL, NULL));
    for (size_t i = 0; i < CONNECTIONS; i++)
        fds[i] = shake_hands(&t->f);
    await_cut_off(fds, CONNECTIONS, MORE);
    assert_ok(fixture_call_echo(t->f.client, "still here", NULL, NULL));
    for (size_t i = 0; i < CONNECTIONS; i++)
        (void)close(fds[i]);
    free(fds);
    await_files(t->files);
    int fd = shake_hands(&t->f); /* there is room again */
    write_call(fd, GUEST_METHOD);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    (void)close(fd);
}

/* Writes pings of 60,000 bytes and reads nothing; true: the server has cut it off, false: it
 * stalls. */
static bool flood(int fd)
{
    enum { PAYLOAD_SIZE = 60000 };
    uint8_t *data = calloc(3, PAYLOAD_SIZE);
    Rpc__PingRequest ping = RPC__PING_REQUEST__INIT;
    Rpc__Request request = raw_request("rpc.Control/Ping");
    assert_non_null(data);
    ping.payload = (ProtobufCBinaryData){PAYLOAD_SIZE, data};
    uint8_t *packed = data + PAYLOAD_SIZE, *message = malloc(8 + 4 + PAYLOAD_SIZE + 200);
    assert_non_null(message);
    request.payload = (ProtobufCBinaryData){rpc__ping_request__pack(&ping, packed), packed};
    size_t size = rpc__request__pack(&request, message + 12) + 4;
    memcpy(message,
           (uint8_t[]){0, 0, 0, 0, 0, 0, (uint8_t)(size >> 8), (uint8_t)size, 0x80, 0, 0, 1}, 12);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    size_t at = 0;
    bool cut = false;
    while (!cut && poll(&writable, 1, 3000) > 0) {
        ssize_t sent = send(fd, message + at, size + 8 - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        cut = sent < 0 && errno != EAGAIN;
        if (sent > 0) at = (at + (size_t)sent) % (size + 8);
    }
    free(message);
    free(data);
    return cut;
}

static void a_peer_that_asks_and_never_reads_is_cut_off(void **state)
{
    struct target *t = *state;
    int fd = shake_hands(&t->f);
    assert_true(flood(fd)); /* long before its replies time out */
    assert_ok(fixture_call_echo(t->f.client, "me too", NULL, NULL));
    (void)close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_length_of_8_gib_ends_the_connection_unread),
        TEST(half_a_handshake_holds_up_nobody),
        TEST(garbage_ends_its_own_connection_only),
        TEST(garbage_after_the_handshake_is_answered_or_cut_off),
        TEST(a_message_that_never_ends_holds_up_nobody),
        TEST(a_peer_that_vanishes_mid_call_frees_its_worker),
        TEST(a_peer_that_asks_and_never_reads_is_cut_off),
        TEST(one_connection_above_the_limit_is_closed_and_the_others_are_served),
        TEST(thousands_of_quick_connections_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
