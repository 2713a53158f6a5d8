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
};

struct cache_range {
    int64_t min, max; /* within +-CACHE_SCORE_MAX */
    size_t limit;     /* 1 to CACHE_RANGE_MAX */
};

/* A window's two counts after a hit was decided, and how far into the current window that was. */
struct cache_hits {
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
    enum err (*hit)(void *driver, struct cache_bytes key, int64_t limit, int64_t window_ms,
                    struct cache_hits *ret);

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
 * The sliding window's arithmetic. A hit fits while last * (window - elapsed) / window + current +
 * 1 <= limit. All products stay below 2^53, because a Redis script computes the same in doubles.
 */
bool cache_window_fits(const struct cache_hits *hits, int64_t limit, int64_t window_ms);
/* What is left, and the milliseconds until one more will fit (until the window ends if one fits
 * now). */
void cache_window_tell(const struct cache_hits *hits, int64_t limit, int64_t window_ms,
                       struct cache_window *ret);

#endif
