/*
 * The last events of a topic: contiguous seqs of one epoch, bounded in bytes, the oldest go first.
 * Private to base/bus. Not thread-safe: its owner has a lock. Nothing blocks.
 */
#ifndef BASE_BUS_RING_H
#define BASE_BUS_RING_H

#include "base/bus/record.h"

struct bus_ring {
    uint64_t epoch;
    uint64_t first,
        next; /* seqs: of the oldest kept, and of the one to come; equal: none is kept */
    size_t size, size_max;
    struct bus_record **slots; /* seq s is at s modulo capacity */
    size_t capacity;           /* a power of two, or 0 */
};

void bus_ring_init(struct bus_ring *r, uint64_t epoch,
                   size_t size_max); /* the first seq will be 1 */
void bus_ring_release(struct bus_ring *r);
/* Forgets all; what comes next is (epoch, next). */
void bus_ring_reset(struct bus_ring *r, uint64_t epoch, uint64_t next);
/*
 * Takes the record with seq `next`; own_record NULL stands for an event that could not be kept.
 * What does not fit (into size_max, or into memory) takes the whole past with it.
 */
void bus_ring_add(struct bus_ring *r, struct bus_record *own_record);
/* first <= seq < next; borrowed. */
struct bus_record *bus_ring_at(const struct bus_ring *r, uint64_t seq);
/* Is everything after (epoch, seq) here? */
bool bus_ring_reaches(const struct bus_ring *r, uint64_t epoch, uint64_t seq);

#endif
