/*
 * The ids of the newest transfers: what makes a repeated request happen once. An id is 128 bits
 * (the service hashes the owner and the caller's words into them), a body its fingerprint. The
 * table is a ring: beyond `max` the oldest is forgotten; the service finds those in the documents.
 *
 * Part of the ledger's state; used by its thread only.
 */
#ifndef WALLET_TRANSFER_IDS_H
#define WALLET_TRANSFER_IDS_H

#include "index.h"

#define TRANSFER_IDS_MAX (UINT32_C(1) << 22) /* 40 bytes each, 8 to 16 of index: 240 MB */

struct transfer_id {
    struct id id;
    uint64_t fingerprint; /* of the body */
    int64_t time_ms;      /* of the first result, */
    uint64_t seq;         /* and where it is in the journal */
};

struct transfer_ids {
    struct transfer_id *items; /* a ring once it is full */
    uint32_t count, capacity, max;
    uint32_t oldest; /* position; 0 until it is full */
    uint64_t forgotten;
    uint64_t seed;
    struct index index;
};

void transfer_ids_init(struct transfer_ids *t, uint64_t seed, uint32_t max);
void transfer_ids_release(struct transfer_ids *t);
const struct transfer_id *transfer_ids_find(const struct transfer_ids *t, struct id id); /* NULL */
/* It must be new. Forgets the oldest when there are `max`. */
void transfer_ids_add(struct transfer_ids *t, const struct transfer_id *entry);
/* The i-th oldest, i < count. */
const struct transfer_id *transfer_ids_at(const struct transfer_ids *t, uint32_t i);

static inline uint32_t transfer_id_hash(const struct transfer_ids *t, struct id id)
{
    return hash_id(t->seed, id, 0);
}

/* A full ring forgets one id per new one: the slot of the one `ahead` of the oldest. */
static inline void transfer_ids_prefetch_oldest(const struct transfer_ids *t, uint32_t ahead)
{
    if (t->count < t->max) return;
    uint64_t at = (uint64_t)t->oldest + ahead;
    index_prefetch(&t->index, transfer_id_hash(t, t->items[at >= t->max ? 0 : at].id));
}

#endif
