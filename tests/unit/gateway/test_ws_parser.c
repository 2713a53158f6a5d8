/* WebSocket frames: what is read, what is refused and with which code, however the bytes arrive. */
#include "support/unit.h"

#include "hub.h"
#include "ws_parser.h"

#include <string.h>

#define MESSAGE_MAX 1000

/* A client's frames, masked with a mask that is not zero. */
struct wire {
    uint8_t bytes[8192];
    size_t size;
};

static void add_head(struct wire *w, unsigned first, uint64_t size, unsigned length_bytes)
{
    w->bytes[w->size++] = (uint8_t)first;
    unsigned length = length_bytes == 0 ? (unsigned)size : length_bytes == 2 ? 126 : 127;
    w->bytes[w->size++] = (uint8_t)(0x80 | length);
    for (unsigned i = 0; i < length_bytes; i++)
        w->bytes[w->size++] = (uint8_t)(size >> 8 * (length_bytes - 1 - i));
    memcpy(w->bytes + w->size, "\x11\x22\x33\x44", 4);
    w->size += 4;
}

static void add_frame(struct wire *w, unsigned first, const void *payload, size_t size)
{
    static const uint8_t mask[] = {0x11, 0x22, 0x33, 0x44};
    add_head(w, first, size, size < 126 ? 0 : size <= 0xFFFF ? 2 : 8);
    for (size_t i = 0; i < size; i++)
        w->bytes[w->size++] = ((const uint8_t *)payload)[i] ^ mask[i & 3];
}

static void add_text(struct wire *w, unsigned first, const char *text)
{
    add_frame(w, first, text, strlen(text));
}

static struct ws_event first_event(struct ws_parser *p, const struct wire *w)
{
    const uint8_t *at = w->bytes;
    return ws_parse(p, &at, w->bytes + w->size);
}

static void assert_refused(const struct wire *w, int code)
{
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    struct ws_event event = first_event(&p, w);
    assert_int_equal(event.kind, WS_REFUSED);
    assert_int_equal(event.code, code);
    ws_parser_release(&p);
}

static void assert_text(const struct ws_event *event, const char *text)
{
    assert_int_equal(event->kind, WS_GOT_TEXT);
    assert_int_equal(event->size, strlen(text));
    assert_memory_equal(event->data, text, event->size);
}

static void a_message_comes_out_unmasked(void **state)
{
    (void)state;
    struct wire w = {0};
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    add_text(&w, 0x81, "{\"command\":\"ping\"}");
    struct ws_event event = first_event(&p, &w);
    assert_text(&event, "{\"command\":\"ping\"}");
    ws_parser_release(&p);
}

static void an_empty_message_is_a_message(void **state)
{
    (void)state;
    struct wire w = {0};
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    add_text(&w, 0x81, "");
    struct ws_event event = first_event(&p, &w);
    assert_text(&event, "");
    ws_parser_release(&p);
}

static void fragments_are_one_message_and_control_frames_pass_between(void **state)
{
    (void)state;
    struct wire w = {0};
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    add_text(&w, 0x01, "one ");
    add_text(&w, 0x89, "are you there");
    add_text(&w, 0x00, "two ");
    add_text(&w, 0x8A, "");
    add_text(&w, 0x80, "three");
    add_text(&w, 0x81, "next");
    const uint8_t *at = w.bytes, *end = w.bytes + w.size;
    struct ws_event event = ws_parse(&p, &at, end);
    assert_int_equal(event.kind, WS_GOT_PING);
    assert_memory_equal(event.data, "are you there", event.size);
    event = ws_parse(&p, &at, end);
    assert_int_equal(event.kind, WS_GOT_PONG);
    event = ws_parse(&p, &at, end);
    assert_text(&event, "one two three");
    event = ws_parse(&p, &at, end);
    assert_text(&event, "next");
    assert_int_equal(ws_parse(&p, &at, end).kind, WS_NOTHING);
    ws_parser_release(&p);
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    struct wire w = {0};
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    char long_text[200];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = 0;
    add_text(&w, 0x01, "gr\xC3");
    add_text(&w, 0x80, "\xBC\xC3\x9F"); /* characters may be cut by fragments */
    add_text(&w, 0x81, long_text);
    unsigned events = 0;
    for (size_t i = 0; i < w.size; i++) {
        const uint8_t *at = w.bytes + i;
        struct ws_event event = ws_parse(&p, &at, at + 1);
        if (event.kind == WS_NOTHING) continue;
        assert_text(&event, events++ ? long_text : "gr\xC3\xBC\xC3\x9F");
    }
    assert_int_equal(events, 2);
    ws_parser_release(&p);
}

static void every_length_has_one_spelling(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        unsigned bytes;
        int code;
    } cases[] = {
        {125, 2, HUB_CLOSE_PROTOCOL},    {126, 8, HUB_CLOSE_PROTOCOL},
        {0xFFFF, 8, HUB_CLOSE_PROTOCOL}, {1ULL << 63, 8, HUB_CLOSE_PROTOCOL},
        {0x10000, 8, HUB_CLOSE_TOO_BIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire w = {0};
        add_head(&w, 0x81, cases[i].size, cases[i].bytes);
        assert_refused(&w, cases[i].code);
    }
}

static void a_message_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    char text[MESSAGE_MAX + 1];
    memset(text, 'x', sizeof text);
    struct wire whole = {0}, longer = {0}, cut = {0};
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    add_frame(&whole, 0x81, text, MESSAGE_MAX);
    struct ws_event event = first_event(&p, &whole);
    assert_int_equal(event.kind, WS_GOT_TEXT);
    assert_int_equal(event.size, MESSAGE_MAX);
    ws_parser_release(&p);

    add_head(&longer, 0x81, MESSAGE_MAX + 1, 2); /* its header alone is refused */
    assert_refused(&longer, HUB_CLOSE_TOO_BIG);
    add_frame(&cut, 0x01, text, MESSAGE_MAX);
    add_head(&cut, 0x80, 1, 0);
    assert_refused(&cut, HUB_CLOSE_TOO_BIG);
    struct wire huge = {0};
    add_head(&huge, 0x82, (1ULL << 63) - 1, 8);
    assert_refused(&huge, HUB_CLOSE_TOO_BIG);
}

static void frames_out_of_order_are_refused(void **state)
{
    (void)state;
    struct wire lonely = {0}, nested = {0};
    add_text(&lonely, 0x80, "no beginning");
    assert_refused(&lonely, HUB_CLOSE_PROTOCOL);
    add_text(&nested, 0x01, "first");
    add_text(&nested, 0x81, "second");
    assert_refused(&nested, HUB_CLOSE_PROTOCOL);
}

static void odd_headers_are_refused(void **state)
{
    (void)state;
    static const uint8_t firsts[] = {0xC1, 0xA1, 0x91, 0x83, 0x84, 0x87, 0x8B, 0x8F, 0x09, 0x08};
    for (size_t i = 0; i < sizeof firsts; i++) {
        struct wire w = {0};
        add_text(&w, firsts[i], "");
        assert_refused(&w, HUB_CLOSE_PROTOCOL);
    }
}

static void unmasked_frames_are_refused_at_once(void **state)
{
    (void)state;
    assert_refused(&(struct wire){.bytes = {0x81, 0x00}, .size = 2}, HUB_CLOSE_PROTOCOL);
    assert_refused(&(struct wire){.bytes = {0x81, 0x02, 'h', 'i'}, .size = 4}, HUB_CLOSE_PROTOCOL);
}

static void a_control_frame_has_at_most_125_bytes(void **state)
{
    (void)state;
    char payload[126];
    memset(payload, 'x', sizeof payload);
    struct wire most = {0}, more = {0};
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    add_frame(&most, 0x89, payload, 125);
    struct ws_event event = first_event(&p, &most);
    assert_int_equal(event.kind, WS_GOT_PING);
    assert_int_equal(event.size, 125);
    ws_parser_release(&p);
    add_frame(&more, 0x89, payload, 126);
    assert_refused(&more, HUB_CLOSE_PROTOCOL);
}

static void text_is_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80",
                                      "\xF4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wire w = {0};
        add_text(&w, 0x81, bad[i]);
        assert_refused(&w, HUB_CLOSE_BAD_DATA);
    }
    struct wire w = {0};
    struct ws_parser p;
    ws_parser_init(&p, MESSAGE_MAX);
    add_text(&w, 0x82, "\xFF");
    assert_int_equal(first_event(&p, &w).kind, WS_GOT_BINARY);
    ws_parser_release(&p);
}

static void a_close_says_its_code(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        size_t size;
        int kind, code;
    } cases[] = {
        {"", 0, WS_GOT_CLOSE, 0},
        {"\x03\xE8", 2, WS_GOT_CLOSE, 1000},
        {"\x03\xE8"
         "bye",
         5, WS_GOT_CLOSE, 1000},
        {"\x0B\xB8", 2, WS_GOT_CLOSE, 3000},
        {"\x13\x87", 2, WS_GOT_CLOSE, 4999},
        {"\x03", 1, WS_REFUSED, HUB_CLOSE_PROTOCOL},
        {"\x03\xE7", 2, WS_REFUSED, HUB_CLOSE_PROTOCOL}, /* 999 */
        {"\x03\xEC", 2, WS_REFUSED, HUB_CLOSE_PROTOCOL}, /* 1004 */
        {"\x03\xED", 2, WS_REFUSED, HUB_CLOSE_PROTOCOL}, /* 1005 */
        {"\x03\xEE", 2, WS_REFUSED, HUB_CLOSE_PROTOCOL}, /* 1006 */
        {"\x03\xF7", 2, WS_REFUSED, HUB_CLOSE_PROTOCOL}, /* 1015 */
        {"\x0B\xB7", 2, WS_REFUSED, HUB_CLOSE_PROTOCOL}, /* 2999 */
        {"\x13\x88", 2, WS_REFUSED, HUB_CLOSE_PROTOCOL}, /* 5000 */
        {"\x03\xE8\xFF", 3, WS_REFUSED, HUB_CLOSE_BAD_DATA},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire w = {0};
        struct ws_parser p;
        ws_parser_init(&p, MESSAGE_MAX);
        add_frame(&w, 0x88, cases[i].payload, cases[i].size);
        struct ws_event event = first_event(&p, &w);
        assert_int_equal(event.kind, cases[i].kind);
        assert_int_equal(event.code, cases[i].code);
        ws_parser_release(&p);
    }
}

static void our_headers_use_the_shortest_length(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        const char *head;
        size_t head_size;
    } cases[] = {
        {0, "\x81\x00", 2},
        {125, "\x81\x7D", 2},
        {126, "\x81\x7E\x00\x7E", 4},
        {0xFFFF, "\x81\x7E\xFF\xFF", 4},
        {0x10000, "\x81\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t head[WS_SERVER_HEAD_MAX];
        assert_int_equal(ws_head(head, WS_TEXT, cases[i].size), cases[i].head_size);
        assert_memory_equal(head, cases[i].head, cases[i].head_size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_out_unmasked),
        cmocka_unit_test(an_empty_message_is_a_message),
        cmocka_unit_test(fragments_are_one_message_and_control_frames_pass_between),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(every_length_has_one_spelling),
        cmocka_unit_test(a_message_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(frames_out_of_order_are_refused),
        cmocka_unit_test(odd_headers_are_refused),
        cmocka_unit_test(unmasked_frames_are_refused_at_once),
        cmocka_unit_test(a_control_frame_has_at_most_125_bytes),
        cmocka_unit_test(text_is_utf8),
        cmocka_unit_test(a_close_says_its_code),
        cmocka_unit_test(our_headers_use_the_shortest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
