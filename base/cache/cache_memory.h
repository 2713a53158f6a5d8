/* The in-process driver's own limits and clock, for its tests. Everybody else opens "memory:". */
#ifndef BASE_CACHE_MEMORY_H
#define BASE_CACHE_MEMORY_H

#include "base/cache/cache_driver.h"

struct cache_memory_limits {
    size_t keys_max, bytes_max; /* without the windows */
    size_t windows_max;
    int64_t (*clock)(void); /* monotonic milliseconds; called under the lock */
};

/* A cache of its own, not shared: to be used through cache_memory_ops, which also closes it. */
MUST_CHECK enum err cache_memory_new(const struct cache_memory_limits *limits, void **ret);

#endif
