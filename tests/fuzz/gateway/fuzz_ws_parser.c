/* However a client's bytes are cut, the same messages come out; and none breaks a limit. */
#include "support/fuzz.h"

#include "base/utf8.h"
#include "ws_parser.h"

#define MESSAGE_MAX 4096
#define EVENTS_MAX  (1 << 16)

static uint64_t mix(uint64_t hash, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)data[i]) * 1099511628211ULL;
    return hash;
}

static void check(const struct ws_event *event)
{
    CHECK(event->kind != WS_GOT_TEXT || utf8_valid(event->data, event->size));
    CHECK(event->size <= MESSAGE_MAX);
    CHECK((event->kind != WS_GOT_PING && event->kind != WS_GOT_PONG) ||
          event->size <= WS_CONTROL_MAX);
    CHECK(event->kind != WS_GOT_CLOSE || !event->code ||
          ws_close_code_valid((unsigned)event->code));
}

/* What comes out of the bytes when they arrive `step` at a time. */
static uint64_t run(const uint8_t *data, size_t size, size_t step)
{
    struct ws_parser p;
    uint64_t hash = 14695981039346656037ULL;
    struct ws_event event = {0};
    ws_parser_init(&p, MESSAGE_MAX);
    for (size_t from = 0; from < size && event.kind != WS_REFUSED; from += step) {
        const uint8_t *at = data + from, *end = at + (size - from < step ? size - from : step);
        do {
            event = ws_parse(&p, &at, end);
            check(&event);
            if (event.kind == WS_NOTHING) continue;
            hash = mix(hash, (const char *)&event.kind, sizeof event.kind);
            hash = mix(hash, (const char *)&event.code, sizeof event.code);
            hash = mix(hash, event.data, event.size);
        } while (event.kind != WS_NOTHING && event.kind != WS_REFUSED);
        CHECK(event.kind == WS_REFUSED || at == end);
    }
    ws_parser_release(&p);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint64_t whole = run(data, size, size);
    CHECK(run(data, size, 1) == whole);
    CHECK(run(data, size, 1 + data[0] % 13) == whole);
    return 0;
}
