/*
 * An open-addressed index from a hash to the positions of a dense array that somebody else owns.
 *
 * The array keeps the things, in an order that depends on the commands alone; the index only finds
 * them, so its seed may differ from run to run without changing any state. A slot keeps 32 bits of
 * hash and a position. Linear probing, at most half full, removal by shifting back (no tombstones).
 *
 *     uint32_t at;
 *     for (struct index_probe p = index_probe(&ix, hash); index_next(&ix, &p, &at);)
 *         if (things[at].key == key) return &things[at];
 *
 * Used by one thread at a time. Growing doubles; no memory for it is a CHECK: a machine that cannot
 * apply a logged command must stop, and its journal has everything.
 */
#ifndef WALLET_INDEX_H
#define WALLET_INDEX_H

#include "base/err.h"
#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_POSITIONS_MAX (UINT32_C(1) << 30)

struct index_slot {
    uint32_t hash;
    uint32_t position_plus_1; /* 0: empty */
};

struct index {
    struct index_slot *slots;
    uint32_t mask; /* slots - 1 */
    uint32_t count;
};

struct index_probe {
    uint32_t hash, at;
};

void index_init(struct index *ix);
void index_release(struct index *ix);
void index_add(struct index *ix, uint32_t hash, uint32_t position);
/* The pair must be there (CHECK). */
void index_remove(struct index *ix, uint32_t hash, uint32_t position);
/* What is at position `from` is now at `to`. */
void index_move(struct index *ix, uint32_t hash, uint32_t from, uint32_t to);

static inline struct index_probe index_probe(const struct index *ix, uint32_t hash)
{
    return (struct index_probe){.hash = hash, .at = hash & ix->mask};
}

/* The next position with that hash; false: no more. */
static inline bool index_next(const struct index *ix, struct index_probe *p, uint32_t *ret)
{
    for (;;) {
        struct index_slot slot = ix->slots[p->at];
        if (!slot.position_plus_1) return false;
        p->at = (p->at + 1) & ix->mask;
        if (slot.hash != p->hash) continue;
        *ret = slot.position_plus_1 - 1;
        return true;
    }
}

/* The empty asm keeps it: a function that only prefetches has no effect, and gcc removes its calls.
 */
static inline void index_prefetch(const struct index *ix, uint32_t hash)
{
    __builtin_prefetch(&ix->slots[hash & ix->mask]);
    __asm__ volatile("");
}

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Seeded, because ids come from outside: who does not know the seed cannot aim at one slot. */
static inline uint32_t hash_id(uint64_t seed, struct id id, uint64_t more)
{
    uint64_t h = hash_fold(id.hi ^ seed, id.lo ^ UINT64_C(0x9e3779b97f4a7c15));
    h = hash_fold(h ^ more, seed ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint32_t)(h ^ h >> 32);
}

#endif
