/* Linear probing over (hash, pointer) pairs. */
#include "table.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_CAPACITY_MIN 64u

void table_release(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}

void table_clear(struct table *t)
{
    if (t->count) memset(t->slots, 0, t->capacity * sizeof *t->slots);
    t->count = 0;
}

void *table_find(const struct table *t, uint64_t hash, table_equal *equal, const void *key)
{
    if (!t->count) return NULL;
    size_t mask = t->capacity - 1;
    for (size_t i = hash & mask; t->slots[i].item; i = (i + 1) & mask) {
        const struct table_slot *slot = &t->slots[i];
        if (slot->hash == hash && (!equal || equal(slot->item, key))) return slot->item;
    }
    return NULL;
}

static void put(struct table *t, struct table_slot slot)
{
    size_t mask = t->capacity - 1;
    size_t i = slot.hash & mask;
    while (t->slots[i].item)
        i = (i + 1) & mask;
    t->slots[i] = slot;
}

static void grow(struct table *t)
{
    struct table bigger = {.capacity = t->capacity ? 2 * t->capacity : TABLE_CAPACITY_MIN,
                           .count = t->count};
    bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
    CHECK(bigger.slots);
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i].item) put(&bigger, t->slots[i]);
    free(t->slots);
    *t = bigger;
}

void table_add(struct table *t, uint64_t hash, void *item)
{
    if (4 * (t->count + 1) > 3 * t->capacity) grow(t);
    put(t, (struct table_slot){hash, item});
    t->count++;
}

void table_remove(struct table *t, uint64_t hash, const void *item)
{
    size_t mask = t->capacity - 1;
    size_t hole = hash & mask;
    while (t->slots[hole].item != item) {
        CHECK(t->slots[hole].item);
        hole = (hole + 1) & mask;
    }
    /* Move back whatever probed over the hole, so that no search ends early. */
    for (size_t i = (hole + 1) & mask; t->slots[i].item; i = (i + 1) & mask) {
        size_t home = t->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        t->slots[hole] = t->slots[i];
        hole = i;
    }
    t->slots[hole].item = NULL;
    t->count--;
}
