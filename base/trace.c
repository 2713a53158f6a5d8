/* W3C trace context: read, continued, written. */
#include "base/trace.h"

#include "base/crypt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SAMPLED 1

static uint64_t random_not_zero(void)
{
    uint64_t value;
    do {
        crypt_random(&value, sizeof value);
    } while (value == 0);
    return value;
}

struct trace trace_new(void)
{
    return (struct trace){
        .trace_hi = random_not_zero(),
        .trace_lo = random_not_zero(),
        .span = random_not_zero(),
        .flags = SAMPLED,
    };
}

/* `digits` lower-case hex digits. */
static bool read_hex(const char *text, int digits, uint64_t *ret)
{
    uint64_t value = 0;
    for (int i = 0; i < digits; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret = value;
    return true;
}

bool trace_parse(const char *text, struct trace *ret)
{
    if (!text) return false;
    size_t size = strnlen(text, TRACE_TEXT_SIZE);
    if (size < TRACE_TEXT_SIZE - 1) return false;
    if (text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
    uint64_t version, hi, lo, span, flags;
    if (!read_hex(text, 2, &version) || !read_hex(text + 3, 16, &hi) ||
        !read_hex(text + 19, 16, &lo) || !read_hex(text + 36, 16, &span) ||
        !read_hex(text + 53, 2, &flags))
        return false;
    if (version == 0xff || (hi == 0 && lo == 0) || span == 0) return false;
    /* Version 00 ends here; a later one may go on after another dash (section 4.3). */
    char next = text[TRACE_TEXT_SIZE - 1];
    if (next && (version == 0 || next != '-')) return false;
    *ret = (struct trace){.trace_hi = hi, .trace_lo = lo, .span = span, .flags = (uint8_t)flags};
    return true;
}

struct trace trace_child(struct trace parent)
{
    parent.span = random_not_zero();
    parent.flags &= SAMPLED; /* other bits are not ours to pass on */
    return parent;
}

void trace_format(struct trace t, char ret[static TRACE_TEXT_SIZE])
{
    (void)snprintf(ret, TRACE_TEXT_SIZE, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-%02x",
                   t.trace_hi, t.trace_lo, t.span, t.flags);
}

void trace_id_format(struct trace t, char ret[static 33])
{
    (void)snprintf(ret, 33, "%016" PRIx64 "%016" PRIx64, t.trace_hi, t.trace_lo);
}
