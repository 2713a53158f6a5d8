/*
 * The price levels of one side of a market, best first: a sorted array in chunks (a B+tree of two
 * storeys), the best price at the very end, so that what happens near the best price moves little
 * memory, and a far or sparse price domain costs O(log n) and one chunk. Not thread-safe.
 */
#ifndef TRADING_LADDER_H
#define TRADING_LADDER_H

#include "pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LADDER_CHUNK 128 /* levels of a chunk: 2 KiB */

struct order;

/* All orders at one price, the oldest first. */
struct level {
    int64_t price;
    int64_t quantity; /* of all its orders, what is left of them */
    uint32_t orders;
    struct order *first, *last;
};

struct ladder_chunk;

struct ladder {
    struct ladder_chunk **chunks;
    size_t chunk_count, chunk_capacity;
    size_t level_count;
    bool falling; /* the best price is the lowest: asks */
    struct pool *levels;
};

/* `levels` is a pool of struct level, borrowed. */
void ladder_init(struct ladder *l, bool falling, struct pool *levels);
void ladder_release(struct ladder *l); /* the levels stay in their pool */

struct level *ladder_best(const struct ladder *l);                /* NULL: empty */
struct level *ladder_find(const struct ladder *l, int64_t price); /* NULL: none */
struct level *ladder_add(struct ladder *l,
                         int64_t price); /* the one that is there, or a new empty one */
void ladder_remove(struct ladder *l, struct level *level); /* gives it back to the pool */

/* From the best to the worst; valid until the ladder changes. */
struct ladder_cursor {
    size_t chunk, level; /* both plus one: 0 is the end */
};
struct ladder_cursor ladder_walk(const struct ladder *l);
struct level *ladder_next(const struct ladder *l, struct ladder_cursor *c); /* NULL: no more */

#endif
