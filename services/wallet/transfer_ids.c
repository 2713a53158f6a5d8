/* The ring of transfer ids. */
#include "transfer_ids.h"

#include <stdlib.h>

void transfer_ids_init(struct transfer_ids *t, uint64_t seed, uint32_t max)
{
    *t = (struct transfer_ids){.seed = seed, .max = max};
    index_init(&t->index);
}

void transfer_ids_release(struct transfer_ids *t)
{
    free(t->items);
    index_release(&t->index);
    *t = (struct transfer_ids){0};
}

const struct transfer_id *transfer_ids_find(const struct transfer_ids *t, struct id id)
{
    uint32_t at = 0;
    struct index_probe p = index_probe(&t->index, transfer_id_hash(t, id));
    while (index_next(&t->index, &p, &at))
        if (id_equal(t->items[at].id, id)) return &t->items[at];
    return NULL;
}

static void grow(struct transfer_ids *t)
{
    uint32_t capacity = t->capacity ? 2 * t->capacity : 64;
    if (capacity > t->max) capacity = t->max;
    struct transfer_id *items = reallocarray(t->items, capacity, sizeof *items);
    CHECK(items);
    t->items = items;
    t->capacity = capacity;
}

/* Where the next one goes: behind the newest, or in the place of the oldest. */
static uint32_t make_room(struct transfer_ids *t)
{
    if (t->count < t->max) {
        if (t->count == t->capacity) grow(t);
        return t->count++;
    }
    uint32_t at = t->oldest;
    index_remove(&t->index, transfer_id_hash(t, t->items[at].id), at);
    t->oldest = at + 1 == t->max ? 0 : at + 1;
    t->forgotten++;
    return at;
}

void transfer_ids_add(struct transfer_ids *t, const struct transfer_id *entry)
{
    uint32_t at = make_room(t);
    t->items[at] = *entry;
    index_add(&t->index, transfer_id_hash(t, entry->id), at);
}

const struct transfer_id *transfer_ids_at(const struct transfer_ids *t, uint32_t i)
{
    uint64_t at = (uint64_t)t->oldest + i;
    return &t->items[at >= t->count ? at - t->count : at];
}
