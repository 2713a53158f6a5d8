/* The sliding window's arithmetic, the same for every driver. Pure. */
#include "base/cache/cache_driver.h"

/* Hits so far, in units of one hit times window_ms. */
static int64_t weight(const struct cache_hits *hits, int64_t window_ms)
{
    return hits->last * (window_ms - hits->elapsed_ms) + hits->current * window_ms;
}

bool cache_window_fits(const struct cache_hits *hits, int64_t limit, int64_t window_ms)
{
    return weight(hits, window_ms) + window_ms <= limit * window_ms;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Milliseconds until one more fits, when none does now. */
static int64_t wait_ms(const struct cache_hits *hits, int64_t limit, int64_t window_ms)
{
    int64_t room = limit - 1;
    if (hits->current <= room) /* while the last window fades; it is not empty, or one would fit */
        return divide_up(weight(hits, window_ms) - room * window_ms, hits->last);
    /* Not before this window has become the last one and has faded enough. */
    return window_ms - hits->elapsed_ms +
           divide_up((hits->current - room) * window_ms, hits->current);
}

void cache_window_tell(const struct cache_hits *hits, int64_t limit, int64_t window_ms,
                       struct cache_window *ret)
{
    bool fits = cache_window_fits(hits, limit, window_ms);
    ret->limit = limit;
    ret->remaining = fits ? (limit * window_ms - weight(hits, window_ms)) / window_ms : 0;
    ret->reset_ms = fits ? window_ms - hits->elapsed_ms : wait_ms(hits, limit, window_ms);
}
