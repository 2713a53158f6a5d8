/*
 * Accounts: one per (owner, asset), made when money first reaches it, never deleted. total is what
 * the owner has, held is the part of it that is reserved; available = total - held.
 *
 * The house has two accounts per asset, under owners no user can have: issued (minus what is in
 * circulation) and fees. Part of the ledger's state; used by its thread only.
 */
#ifndef WALLET_ACCOUNTS_H
#define WALLET_ACCOUNTS_H

#include "index.h"

#define ACCOUNTS_MAX                                                                               \
    (UINT32_C(1) << 24) /* 40 bytes each: 640 MB; beyond it only trades make accounts              \
                         */

struct account {
    struct id owner;
    int64_t total, held;
    uint16_t asset;
    bool touched; /* it is in the list of what changed; not part of the state */
};

struct accounts {
    struct account *items;
    uint32_t count, capacity, max;
    uint64_t seed;
    struct index index;
};

/* A user's id starts with a time (UUIDv7), so it is never in the house's corner. */
static inline bool owner_is_house(struct id owner)
{
    return owner.hi == 0;
}

static inline bool owner_is_issued(struct id owner)
{
    return owner.hi == 0 && owner.lo == 1;
}

static inline uint32_t account_hash(const struct accounts *a, struct id owner, uint16_t asset)
{
    return hash_id(a->seed, owner, asset);
}

void accounts_init(struct accounts *a, uint64_t seed, uint32_t max);
void accounts_release(struct accounts *a);
/* NULL: there is none. Borrowed until the next account is made. */
struct account *accounts_find(const struct accounts *a, struct id owner, uint16_t asset);
/* Finds or makes it. NULL: there are `max`. */
struct account *accounts_get(struct accounts *a, struct id owner, uint16_t asset);
/*
 * Finds or makes it, also beyond `max`: for a trade's money, which was promised when its order was
 * held for. A settlement that cannot be applied would stop all that come after it.
 */
struct account *accounts_get_promised(struct accounts *a, struct id owner, uint16_t asset);
/* Forgets the newest, down to count: for a command that is taken back. */
void accounts_truncate(struct accounts *a, uint32_t count);

#endif
