/*
 * An open-addressed hash table of pointers: linear probing, 64-bit hashes kept beside the pointers,
 * deletion by shifting back (no tombstones). It doubles at three quarters full. It owns no item,
 * and nothing depends on its order. Running out of memory is fatal (CHECK), as in pool.h. Not
 * thread-safe.
 */
#ifndef TRADING_TABLE_H
#define TRADING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct table {
    struct table_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

typedef bool table_equal(const void *item, const void *key);

void table_release(struct table *t); /* accepts a zeroed table, which is an empty one */
void table_clear(struct table *t);   /* keeps the memory */
/* NULL: none. equal may be NULL where equal hashes are equal keys. */
void *table_find(const struct table *t, uint64_t hash, table_equal *equal, const void *key);
void table_add(struct table *t, uint64_t hash, void *item);          /* it must not be there */
void table_remove(struct table *t, uint64_t hash, const void *item); /* it must be there */

/* Mixes so that every bit of x moves every bit of the result; a bijection. */
static inline uint64_t hash_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
