/*
 * An open-addressed hash table of pointers: linear probing, 64-bit hashes kept beside the pointers,
 * deletion by shifting back (no tombstones). It doubles at three quarters full. It owns no item,
 * and nothing depends on its order. Running out of memory is fatal (CHECK), as in pool.h. Not
 * thread-safe.
 */
#ifndef TRADING_MAP_H
#define TRADING_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct map {
    struct map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

typedef bool map_equal(const void *item, const void *key);

void map_release(struct map *t); /* accepts a zeroed table, which is an empty one */
void map_clear(struct map *t);   /* keeps the memory */
/* NULL: none. equal may be NULL where equal hashes are equal keys. */
void *map_find(const struct map *t, uint64_t hash, map_equal *equal, const void *key);
void map_add(struct map *t, uint64_t hash, void *item);          /* it must not be there */
void map_remove(struct map *t, uint64_t hash, const void *item); /* it must be there */

/* Mixes so that every bit of x moves every bit of the result; a bijection. */
static inline uint64_t hash_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
