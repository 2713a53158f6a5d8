/* W3C trace context: read, continued, written. */
#include "base/trace.h"

#include "base/crypt.h"

#include <string.h>

#define SAMPLED 1

/*
 * Ids must be unique, not secret, and every call of the house makes one: a generator per thread
 * (splitmix64, https://prng.di.unimi.it/splitmix64.c), seeded from the kernel, with a stride of its
 * own.
 */
static uint64_t random_not_zero(void)
{
    static _Thread_local uint64_t state, stride; /* stride 0: not seeded yet */
    uint64_t value;
    if (!stride) {
        crypt_random(&state, sizeof state);
        crypt_random(&stride, sizeof stride);
        stride |= 1; /* odd: the state runs through all of 2^64 */
    }
    do {
        value = state += stride;
        value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
        value ^= value >> 31;
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

/* `digits` lower-case hex digits, most significant first; returns where they end. */
static char *write_hex(char *at, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0;)
        *at++ = "0123456789abcdef"[value >> 4 * i & 15];
    return at;
}

void trace_format(struct trace t, char ret[static TRACE_TEXT_SIZE])
{
    char *at = write_hex(ret, 0, 2);
    *at++ = '-';
    at = write_hex(at, t.trace_hi, 16);
    at = write_hex(at, t.trace_lo, 16);
    *at++ = '-';
    at = write_hex(at, t.span, 16);
    *at++ = '-';
    *write_hex(at, t.flags, 2) = 0;
}

void trace_id_format(struct trace t, char ret[static 33])
{
    *write_hex(write_hex(ret, t.trace_hi, 16), t.trace_lo, 16) = 0;
}
