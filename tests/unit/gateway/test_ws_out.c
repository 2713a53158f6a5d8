/* What is written to a socket that takes it bit by bit: whole frames, in order, control between. */
#include "support/unit.h"

#include "ws_out.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVED_MAX ((size_t)4 * 1024 * 1024)

/* Both ends of a socket, and what came out of it. */
struct pair {
    int ours, theirs;
    struct ws_out out;
    uint8_t *received;
    size_t size;
};

static int start(void **state)
{
    int fds[2], small = 4096;
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    p->ours = fds[0];
    p->theirs = fds[1];
    p->received = malloc(RECEIVED_MAX);
    assert_non_null(p->received);
    *state = p;
    return 0;
}

static int stop(void **state)
{
    struct pair *p = *state;
    ws_out_release(&p->out);
    (void)close(p->ours);
    if (p->theirs >= 0) (void)close(p->theirs);
    free(p->received);
    free(p);
    return 0;
}

static void add(struct pair *p, char fill, size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, fill, size);
    struct frame *f = frame_new(text, size, NULL);
    assert_non_null(f);
    ws_out_add(&p->out, f);
    free(text);
}

static void receive(struct pair *p, size_t size_max)
{
    if (size_max > RECEIVED_MAX - p->size) size_max = RECEIVED_MAX - p->size;
    ssize_t size = recv(p->theirs, p->received + p->size, size_max, 0);
    if (size > 0) p->size += (size_t)size;
}

static void push_all(struct pair *p)
{
    while (!ws_out_is_empty(&p->out)) {
        assert_true(ws_out_push(&p->out, p->ours) >= 0);
        receive(p, 1000);
    }
    for (size_t before = SIZE_MAX; before != p->size; receive(p, 65536))
        before = p->size;
}

/* The next frame that came; *at moves behind it. */
static enum ws_opcode next(const struct pair *p, size_t *at, const uint8_t **ret, size_t *ret_size)
{
    const uint8_t *b = p->received + *at;
    assert_true(*at + 2 <= p->size);
    assert_int_equal(b[0] & 0xF0, 0x80);
    size_t bytes = b[1] < 126 ? 0 : b[1] == 126 ? 2 : 8, size = bytes ? 0 : b[1];
    for (size_t i = 0; i < bytes; i++)
        size = size << 8 | b[2 + i];
    *ret = b + 2 + bytes;
    *ret_size = size;
    *at += 2 + bytes + size;
    assert_true(*at <= p->size);
    return (enum ws_opcode)(b[0] & 0x0F);
}

static void assert_next(const struct pair *p, size_t *at, enum ws_opcode opcode, char fill,
                        size_t size)
{
    const uint8_t *data;
    size_t got;
    assert_int_equal(next(p, at, &data, &got), opcode);
    assert_int_equal(got, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], fill);
}

static void many_frames_leave_in_one_call(void **state)
{
    struct pair *p = *state;
    for (char c = 0; c < WS_OUT_FRAMES; c++)
        add(p, (char)('A' + c), 10);
    assert_false(ws_out_has_room(&p->out));
    assert_true(ws_out_push(&p->out, p->ours) > 0);
    assert_true(ws_out_is_empty(&p->out) && ws_out_has_room(&p->out));
    push_all(p);
    size_t at = 0;
    for (char c = 0; c < WS_OUT_FRAMES; c++)
        assert_next(p, &at, WS_TEXT, (char)('A' + c), 10);
    assert_int_equal(at, p->size);
    assert_int_equal(p->out.sent, p->size);
}

static void a_control_frame_passes_what_has_not_begun(void **state)
{
    struct pair *p = *state;
    add(p, 'a', 100000); /* more than the socket takes */
    add(p, 'b', 10);
    assert_true(ws_out_push(&p->out, p->ours) > 0);
    ws_out_add_control(&p->out, WS_PING, "pp", 2);
    push_all(p);
    size_t at = 0;
    assert_next(p, &at, WS_TEXT, 'a', 100000);
    assert_next(p, &at, WS_PING, 'p', 2);
    assert_next(p, &at, WS_TEXT, 'b', 10);
    assert_int_equal(at, p->size);
}

static void what_has_not_begun_can_be_forgotten(void **state)
{
    struct pair *p = *state;
    add(p, 'a', 100000);
    add(p, 'b', 10);
    assert_true(ws_out_push(&p->out, p->ours) > 0);
    ws_out_forget(&p->out);
    ws_out_add_control(&p->out, WS_CLOSE, NULL, 0);
    push_all(p);
    size_t at = 0;
    assert_next(p, &at, WS_TEXT, 'a', 100000);
    assert_next(p, &at, WS_CLOSE, 0, 0);
    assert_int_equal(at, p->size);
    add(p, 'c', 10);
    ws_out_forget(&p->out);
    assert_true(ws_out_is_empty(&p->out));
}

static void control_frames_have_their_room_and_no_more(void **state)
{
    struct pair *p = *state;
    char payload[WS_CONTROL_MAX];
    memset(payload, 'x', sizeof payload);
    assert_true(ws_out_takes_pongs(&p->out, WS_OUT_PONGS));
    size_t count = WS_OUT_CONTROL / (WS_CONTROL_MAX + 2);
    for (size_t i = 0; i < count + 3; i++)
        ws_out_add_control(&p->out, WS_PONG, payload, sizeof payload);
    assert_false(ws_out_takes_pongs(&p->out, WS_OUT_PONGS));
    push_all(p);
    assert_int_equal(p->size, count * (WS_CONTROL_MAX + 2));
    assert_true(ws_out_takes_pongs(&p->out, WS_OUT_PONGS));
}

static void a_socket_that_is_gone_is_told(void **state)
{
    struct pair *p = *state;
    add(p, 'a', 10);
    (void)close(p->theirs);
    p->theirs = -1;
    assert_true(ws_out_push(&p->out, p->ours) < 0);
}

static uint64_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 33;
}

/* Frames and pings of any size at any time, a socket that takes any number of bytes: both arrive
 * whole, each kind in its order. */
static void however_the_socket_takes_it_all_arrives_whole(void **state)
{
    struct pair *p = *state;
    uint64_t seed = 7;
    unsigned frames = 0, pings = 0, seen_frames = 0, seen_pings = 0;
    while (p->size < RECEIVED_MAX / 4) {
        if (draw(&seed) % 3 && ws_out_has_room(&p->out))
            add(p, (char)('A' + frames++ % 26), draw(&seed) % 3000);
        if (draw(&seed) % 4 == 0 && ws_out_takes_pongs(&p->out, WS_CONTROL_MAX)) {
            char c = (char)('a' + pings++ % 26);
            ws_out_add_control(&p->out, WS_PING, &c, 1);
        }
        if (draw(&seed) % 2) assert_true(ws_out_push(&p->out, p->ours) >= 0);
        receive(p, draw(&seed) % 4000);
    }
    push_all(p);
    for (size_t at = 0; at < p->size;) {
        const uint8_t *data;
        size_t size;
        if (next(p, &at, &data, &size) == WS_PING) {
            assert_int_equal(size, 1);
            assert_int_equal(data[0], 'a' + seen_pings++ % 26);
        } else {
            for (size_t i = 0; i < size; i++)
                assert_int_equal(data[i], 'A' + seen_frames % 26);
            seen_frames++;
        }
    }
    assert_int_equal(seen_frames, frames);
    assert_int_equal(seen_pings, pings);
}

int main(void)
{
#define OUT_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        OUT_TEST(many_frames_leave_in_one_call),
        OUT_TEST(a_control_frame_passes_what_has_not_begun),
        OUT_TEST(what_has_not_begun_can_be_forgotten),
        OUT_TEST(control_frames_have_their_room_and_no_more),
        OUT_TEST(a_socket_that_is_gone_is_told),
        OUT_TEST(however_the_socket_takes_it_all_arrives_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
