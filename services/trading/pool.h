/*
 * Pooled slabs: items of one size, taken and given back in O(1), never moved. Memory grows a slab
 * at a time and is returned only by pool_release. Running out of memory is fatal (CHECK): whoever
 * holds a replicated state cannot skip a change, and a restart recovers it. Not thread-safe.
 */
#ifndef TRADING_POOL_H
#define TRADING_POOL_H

#include <stddef.h>

struct pool {
    size_t item_size, slab_items;
    void *slabs; /* a list: the first word of a slab is the next one */
    void *free;  /* a list: the first word of a free item is the next one */
    size_t used;
};

void pool_init(struct pool *p, size_t item_size, size_t slab_items);
void pool_release(struct pool *p); /* every item is gone; accepts a zeroed pool */
void *pool_take(struct pool *p);   /* zeroed */
void pool_give(struct pool *p, void *item);

#endif
