/*
 * What a cache driver implements. Only base/cache includes this. The callers in cache.c have
 * checked every key, size and number; keys come with their prefix. Every hook is thread-safe.
 */
#ifndef BASE_CACHE_DRIVER_H
#define BASE_CACHE_DRIVER_H

#include "base/cache/cache.h"

#define CACHE_PREFIX_MAX   32
#define CACHE_FULL_KEY_MAX (CACHE_PREFIX_MAX + CACHE_KEY_MAX)

struct cache_bytes {
    const void *data;
    size_t size;
};

struct cache_put {
    struct cache_bytes key, value;
    int64_t expire_ms;
    bool only_if_absent;
    bool reserved; /* may take the last eighth of the room */
};

struct cache_range {
    int64_t min, max; /* within +-CACHE_SCORE_MAX */
    size_t limit;     /* 1 to CACHE_RANGE_MAX */
};

/* How many hits of what; need is what must fit: hits, or 1 where hits is 0. */
struct cache_ask {
    int64_t hits, need;
    struct cache_rule rule;
};

/* A window's two counts after the hits were decided, and how far into the current window it was. */
struct cache_counts {
    int64_t last, current, elapsed_ms;
    bool allowed;
};

/* The errors are those of cache.h; every hook may return ERR_UNAVAILABLE and ERR_NO_MEMORY. */
struct cache_ops {
    const char *scheme; /* what the URL starts with */
    enum err (*open)(const struct cache_options *options, void **ret, struct err_detail *detail);
    void (*close)(void *driver);
    enum err (*ping)(void *driver);

    enum err (*put)(void *driver, const struct cache_put *put);
    enum err (*get)(void *driver, struct cache_bytes key, struct buf *ret);
    enum err (*remove)(void *driver, struct cache_bytes key);
    enum err (*delete_if)(void *driver, struct cache_bytes key, struct cache_bytes value);
    enum err (*increment)(void *driver, struct cache_bytes key, int64_t by, int64_t expire_ms,
                          int64_t *ret);
    enum err (*hit)(void *driver, struct cache_bytes key, const struct cache_ask *ask,
                    struct cache_counts *ret);

    enum err (*sorted_add)(void *driver, struct cache_bytes key, struct cache_bytes member,
                           int64_t score, int64_t expire_ms);
    enum err (*sorted_remove)(void *driver, struct cache_bytes key, struct cache_bytes member);
    enum err (*sorted_range)(void *driver, struct cache_bytes key, const struct cache_range *range,
                             struct cache_member **ret, size_t *ret_count);
    enum err (*sorted_count)(void *driver, struct cache_bytes key, int64_t *ret);
    enum err (*sorted_trim)(void *driver, struct cache_bytes key, int64_t min);
};

extern const struct cache_ops cache_memory_ops, cache_redis_ops;

/*
 * The sliding window's arithmetic. Hits fit while last * (window - elapsed) / window + current +
 * need <= limit. All products stay below 2^53, because a Redis script computes the same in doubles.
 */
bool cache_window_fits(const struct cache_counts *counts, const struct cache_rule *rule,
                       int64_t need);
/* What is left after the counts were decided, and the milliseconds that cache.h promises. */
void cache_window_tell(const struct cache_counts *counts, const struct cache_ask *ask,
                       struct cache_window *ret);

#endif
