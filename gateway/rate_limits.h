/*
 * Rate limits: one count for every call, REST or command, before anything is done for it. Counted
 * in the cache, so that all gateways agree; what counts whom is said in rate_rules.h.
 *
 * While the shared cache is away each gateway counts by itself, in windows of its own that begin
 * empty: nothing becomes unlimited, and nothing is refused that would have been allowed. The first
 * call that notices it, and the first that reaches the cache again, write a log line;
 * tradepost_gateway_limits_local says how it is now.
 *
 * Thread-safe; may block on the cache. A count takes 0.4 us in process (of a cached ticker's 15
 * us), and with Redis one round trip: 20 us of CPU here. Nothing is counted ahead in leases: that
 * would be cheaper, and neither the headers nor the gateways would agree any more.
 */
#ifndef GATEWAY_RATE_LIMITS_H
#define GATEWAY_RATE_LIMITS_H

#include "rate_rules.h"

struct limits;

/* The cache is borrowed, the rules are copied. */
MUST_CHECK enum err limits_new(const struct limits_rules *rules, struct cache *cache,
                               struct limits **ret);
void limits_free(struct limits *l); /* accepts NULL */

/* From the next call on. What was counted stays counted while a window keeps its length. */
void limits_set(struct limits *l, const struct limits_rules *rules);

struct limits_verdict {
    bool counted; /* false: not limited, and the rest is 0 */
    int64_t limit, remaining;
    int64_t window_ms;
    int64_t reset_ms; /* as cache.h says: after ERR_EXHAUSTED, until the same will be allowed */
};

/*
 * Counts a call of that class (enum rate, or enum limits_class) that is worth `cost`; 0 only asks
 * whether one would be allowed. ret is always set.
 *   ERR_EXHAUSTED    too many; nothing was counted
 *   ERR_RANGE        cost is more than the limit: it will never be allowed
 *   ERR_UNAVAILABLE  it cannot be counted anywhere
 */
MUST_CHECK enum err limits_count(struct limits *l, const struct limits_caller *caller,
                                 unsigned class, int64_t cost, struct limits_verdict *ret);

int64_t limits_seconds(int64_t ms); /* rounded up: after so many the time is over */

/* The verdict for people: "at most 20 in 60 s; try again in 7 s". */
#define LIMITS_TEXT_SIZE 96
void limits_explain(const struct limits_verdict *verdict, char ret[static LIMITS_TEXT_SIZE]);

#endif
