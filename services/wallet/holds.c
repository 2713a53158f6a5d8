/* Holds: found, made, removed. */
#include "holds.h"

#include <stdlib.h>

void holds_init(struct holds *h, uint64_t seed, uint32_t max)
{
    *h = (struct holds){.seed = seed, .max = max};
    index_init(&h->index);
}

void holds_release(struct holds *h)
{
    free(h->items);
    index_release(&h->index);
    *h = (struct holds){0};
}

static uint32_t hash_of(const struct holds *h, uint32_t space, struct id id)
{
    return hash_id(h->seed, id, space);
}

struct hold *holds_find(const struct holds *h, uint32_t space, struct id id)
{
    uint32_t at = 0;
    struct index_probe p = index_probe(&h->index, hash_of(h, space, id));
    while (index_next(&h->index, &p, &at)) {
        struct hold *hold = &h->items[at];
        if (id_equal(hold->id, id) && hold->space == space) return hold;
    }
    return NULL;
}

static void grow(struct holds *h)
{
    uint32_t capacity = h->capacity ? 2 * h->capacity : 64;
    struct hold *items = reallocarray(h->items, capacity, sizeof *items);
    CHECK(items);
    h->items = items;
    h->capacity = capacity;
}

bool holds_add(struct holds *h, const struct hold *hold)
{
    if (h->count >= h->max) return false;
    if (h->count == h->capacity) grow(h);
    index_add(&h->index, hash_of(h, hold->space, hold->id), h->count);
    h->items[h->count++] = *hold;
    return true;
}

void holds_remove(struct holds *h, struct hold *hold)
{
    uint32_t at = (uint32_t)(hold - h->items);
    index_remove(&h->index, hash_of(h, hold->space, hold->id), at);
    uint32_t last = --h->count;
    if (at == last) return;
    h->items[at] = h->items[last];
    index_move(&h->index, hash_of(h, hold->space, hold->id), last, at);
}
