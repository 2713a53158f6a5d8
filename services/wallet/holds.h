/*
 * Holds: money reserved for one purpose, named by who reserved it. An order's hold is (shard, order
 * id); a two-phase transfer's is its own id. Dense, removed by moving the last one into the gap.
 *
 * Part of the ledger's state; used by its thread only. A pointer is good until the next add or
 * remove.
 */
#ifndef WALLET_HOLDS_H
#define WALLET_HOLDS_H

#include "index.h"

#define HOLDS_MAX (UINT32_C(1) << 24) /* resting orders and pending transfers: 48 bytes each */

struct hold {
    struct id id;         /* of an order: {0, order id} */
    uint32_t space;       /* 0: two-phase; of an order: shard + 1 */
    uint32_t account;     /* position */
    int64_t amount;       /* what is left of it; >= 0 */
    int64_t amount_first; /* what it was made with: tells a repeat from another hold */
};

struct holds {
    struct hold *items;
    uint32_t count, capacity, max;
    uint64_t seed;
    struct index index;
};

void holds_init(struct holds *h, uint64_t seed, uint32_t max);
void holds_release(struct holds *h);
struct hold *holds_find(const struct holds *h, uint32_t space, struct id id); /* NULL: none */
/* It must be new. false: there are `max`. */
bool holds_add(struct holds *h, const struct hold *hold);
void holds_remove(struct holds *h, struct hold *hold);

static inline struct id order_key(uint64_t order_id)
{
    return (struct id){.hi = 0, .lo = order_id};
}

#endif
