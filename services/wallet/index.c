/* The index: probing, growing, shifting back. */
#include "index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define INDEX_SLOTS_MIN 64
#define HUGE_PAGE_SIZE  ((size_t)2 << 20)

/* Large ones on huge pages: a probe is one miss of the cache, and should not be one of the TLB too.
 */
static struct index_slot *slots_new(uint32_t count)
{
    size_t size = count * sizeof(struct index_slot);
    if (size < HUGE_PAGE_SIZE) {
        struct index_slot *slots = calloc(count, sizeof *slots);
        CHECK(slots);
        return slots;
    }
    struct index_slot *slots = aligned_alloc(HUGE_PAGE_SIZE, size); /* a power of two: a multiple */
    CHECK(slots);
    (void)madvise(slots, size, MADV_HUGEPAGE); /* not granted: slower, nothing else */
    memset(slots, 0, size);
    return slots;
}

void index_init(struct index *ix)
{
    *ix = (struct index){.slots = slots_new(INDEX_SLOTS_MIN), .mask = INDEX_SLOTS_MIN - 1};
}

void index_release(struct index *ix)
{
    free(ix->slots);
    *ix = (struct index){0};
}

static void put(struct index *ix, struct index_slot slot)
{
    uint32_t at = slot.hash & ix->mask;
    while (ix->slots[at].position_plus_1)
        at = (at + 1) & ix->mask;
    ix->slots[at] = slot;
}

static void grow(struct index *ix)
{
    struct index bigger = {.slots = slots_new(2 * (ix->mask + 1)), .mask = 2 * (ix->mask + 1) - 1};
    for (uint32_t at = 0; at <= ix->mask; at++)
        if (ix->slots[at].position_plus_1) put(&bigger, ix->slots[at]);
    bigger.count = ix->count;
    free(ix->slots);
    *ix = bigger;
}

void index_add(struct index *ix, uint32_t hash, uint32_t position)
{
    CHECK(position < INDEX_POSITIONS_MAX);
    if (ix->count >= (ix->mask + 1) / 2) grow(ix);
    put(ix, (struct index_slot){.hash = hash, .position_plus_1 = position + 1});
    ix->count++;
}

static uint32_t slot_of(const struct index *ix, uint32_t hash, uint32_t position)
{
    uint32_t at = hash & ix->mask;
    while (ix->slots[at].position_plus_1 != position + 1) {
        CHECK(ix->slots[at].position_plus_1);
        at = (at + 1) & ix->mask;
    }
    return at;
}

void index_remove(struct index *ix, uint32_t hash, uint32_t position)
{
    uint32_t hole = slot_of(ix, hash, position);
    for (uint32_t at = hole;;) {
        at = (at + 1) & ix->mask;
        struct index_slot slot = ix->slots[at];
        if (!slot.position_plus_1) break;
        /* It may fill the hole only if its own start is not behind the hole. */
        uint32_t distance = (at - (slot.hash & ix->mask)) & ix->mask;
        if (distance < ((at - hole) & ix->mask)) continue;
        ix->slots[hole] = slot;
        hole = at;
    }
    ix->slots[hole] = (struct index_slot){0};
    ix->count--;
}

void index_move(struct index *ix, uint32_t hash, uint32_t from, uint32_t to)
{
    ix->slots[slot_of(ix, hash, from)].position_plus_1 = to + 1;
}
