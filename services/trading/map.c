/* Linear probing over (hash, pointer) pairs. */
#include "map.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define MAP_CAPACITY_MIN 64u

void map_release(struct map *t)
{
    free(t->slots);
    *t = (struct map){0};
}

void map_clear(struct map *t)
{
    if (t->count) memset(t->slots, 0, t->capacity * sizeof *t->slots);
    t->count = 0;
}

void *map_find(const struct map *t, uint64_t hash, map_equal *equal, const void *key)
{
    if (!t->count) return NULL;
    size_t mask = t->capacity - 1;
    for (size_t i = hash & mask; t->slots[i].item; i = (i + 1) & mask) {
        const struct map_slot *slot = &t->slots[i];
        if (slot->hash == hash && (!equal || equal(slot->item, key))) return slot->item;
    }
    return NULL;
}

static void put(struct map *t, struct map_slot slot)
{
    size_t mask = t->capacity - 1;
    size_t i = slot.hash & mask;
    while (t->slots[i].item)
        i = (i + 1) & mask;
    t->slots[i] = slot;
}

static void grow(struct map *t)
{
    struct map bigger = {.capacity = t->capacity ? 2 * t->capacity : MAP_CAPACITY_MIN,
                         .count = t->count};
    bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
    CHECK(bigger.slots);
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i].item) put(&bigger, t->slots[i]);
    free(t->slots);
    *t = bigger;
}

void map_add(struct map *t, uint64_t hash, void *item)
{
    if (4 * (t->count + 1) > 3 * t->capacity) grow(t);
    put(t, (struct map_slot){hash, item});
    t->count++;
}

void map_remove(struct map *t, uint64_t hash, const void *item)
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
