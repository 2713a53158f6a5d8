/* UUID version 7 with sub-millisecond order: within a process every id is above all earlier ones.
 */
#include "base/id.h"

#include "base/clock.h"
#include "base/crypt.h"

#include <stdatomic.h>

#define VARIANT      (UINT64_C(2) << 62)
#define VARIANT_MASK (UINT64_C(3) << 62)

/* (ms << 12 | fraction of it), RFC 9562 section 6.2 method 3; when the clock stands or goes back,
 * the last one plus one. */
static uint64_t next_tick(void)
{
    static _Atomic uint64_t last;
    uint64_t us = (uint64_t)clock_wall_us();
    uint64_t now = us / 1000 << 12 | us % 1000 * 4096 / 1000;
    uint64_t before = atomic_load_explicit(&last, memory_order_relaxed);
    uint64_t tick;
    do {
        tick = now > before ? now : before + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last, &before, tick, memory_order_relaxed,
                                                    memory_order_relaxed));
    return tick;
}

struct id id_new(void)
{
    uint64_t tick = next_tick(), random;
    crypt_random(&random, sizeof random);
    return (struct id){
        .hi = tick >> 12 << 16 | UINT64_C(7) << 12 | (tick & 0xfff),
        .lo = VARIANT | (random & ~VARIANT_MASK),
    };
}

struct id id_random(void)
{
    struct id id;
    crypt_random(&id, sizeof id);
    id.hi = (id.hi & ~UINT64_C(0xf000)) | UINT64_C(4) << 12;
    id.lo = VARIANT | (id.lo & ~VARIANT_MASK);
    return id;
}

bool id_equal(struct id a, struct id b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

bool id_is_zero(struct id id)
{
    return id.hi == 0 && id.lo == 0;
}

void id_format(struct id id, char ret[static ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 16; i++) {
        unsigned shift = 60 - 4 * i;
        ret[i] = digits[id.hi >> shift & 15];
        ret[16 + i] = digits[id.lo >> shift & 15];
    }
    ret[32] = 0;
}

static bool read_half(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 16; i++) {
        char c = text[i]; /* a NUL ends the loop: it is no digit */
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

bool id_parse(const char *text, struct id *ret)
{
    struct id id;
    if (!read_half(text, &id.hi) || !read_half(text + 16, &id.lo) || text[32]) return false;
    *ret = id;
    return true;
}
