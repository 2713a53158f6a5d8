/* The ring of a topic's last events. */
#include "base/bus/ring.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

void bus_ring_init(struct bus_ring *r, uint64_t epoch, size_t size_max)
{
    *r = (struct bus_ring){.epoch = epoch, .first = 1, .next = 1, .size_max = size_max};
}

static struct bus_record **slot(const struct bus_ring *r, uint64_t seq)
{
    return &r->slots[seq & (r->capacity - 1)];
}

static void drop_first(struct bus_ring *r)
{
    struct bus_record *record = *slot(r, r->first);
    r->first++;
    r->size -= record->size;
    bus_record_rele(record);
}

void bus_ring_reset(struct bus_ring *r, uint64_t epoch, uint64_t next)
{
    while (r->first < r->next)
        drop_first(r);
    r->epoch = epoch;
    r->first = r->next = next;
}

void bus_ring_release(struct bus_ring *r)
{
    bus_ring_reset(r, 0, 1);
    free(r->slots);
    *r = (struct bus_ring){0};
}

static bool grow(struct bus_ring *r)
{
    size_t capacity = r->capacity ? 2 * r->capacity : CAPACITY_MIN;
    struct bus_record **slots = malloc(capacity * sizeof(*slots));
    if (!slots) return false;
    for (uint64_t seq = r->first; seq < r->next; seq++)
        slots[seq & (capacity - 1)] = *slot(r, seq);
    free(r->slots);
    r->slots = slots;
    r->capacity = capacity;
    return true;
}

void bus_ring_add(struct bus_ring *r, struct bus_record *own_record)
{
    AUTO_RECORD struct bus_record *record = own_record;
    bool fits = record && record->size <= r->size_max;
    while (fits && r->size + record->size > r->size_max)
        drop_first(r);
    if (fits && r->next - r->first == r->capacity) fits = grow(r);
    if (!fits) {
        bus_ring_reset(r, r->epoch, r->next + 1);
        return;
    }
    r->size += record->size;
    *slot(r, r->next++) = TAKE(record);
}

struct bus_record *bus_ring_at(const struct bus_ring *r, uint64_t seq)
{
    CHECK(seq >= r->first && seq < r->next);
    return *slot(r, seq);
}

bool bus_ring_reaches(const struct bus_ring *r, uint64_t epoch, uint64_t seq)
{
    return epoch == r->epoch && seq < r->next && seq + 1 >= r->first;
}
