/* The sliding window's arithmetic, the same for every driver. Pure. */
#include "base/cache/cache_driver.h"

/* Hits so far, in units of one hit times window_ms. */
static int64_t weight(const struct cache_counts *counts, int64_t window_ms)
{
    return counts->last * (window_ms - counts->elapsed_ms) + counts->current * window_ms;
}

bool cache_window_fits(const struct cache_counts *counts, const struct cache_rule *rule,
                       int64_t need)
{
    return weight(counts, rule->window_ms) + need * rule->window_ms <=
           rule->limit * rule->window_ms;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Milliseconds until so many fit, when they do not now. */
static int64_t wait_ms(const struct cache_counts *counts, const struct cache_rule *rule,
                       int64_t need)
{
    int64_t room = rule->limit - need, window_ms = rule->window_ms;
    if (counts->current <= room) /* while the last window fades; it is not empty, or they'd fit */
        return divide_up(weight(counts, window_ms) - room * window_ms, counts->last);
    /* Not before this window has become the last one and has faded enough. */
    return window_ms - counts->elapsed_ms +
           divide_up((counts->current - room) * window_ms, counts->current);
}

void cache_window_tell(const struct cache_counts *counts, const struct cache_ask *ask,
                       struct cache_window *ret)
{
    const struct cache_rule *rule = &ask->rule;
    int64_t left = rule->limit * rule->window_ms - weight(counts, rule->window_ms);
    int64_t need = counts->allowed ? 1 : ask->need;
    ret->limit = rule->limit;
    ret->remaining = left > 0 ? left / rule->window_ms : 0; /* the limit may have been lowered */
    ret->reset_ms = cache_window_fits(counts, rule, need) ? rule->window_ms - counts->elapsed_ms
                                                          : wait_ms(counts, rule, need);
}
