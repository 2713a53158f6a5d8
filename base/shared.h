/*
 * A value that many threads read while one replaces it. A reader holds the value that is current at
 * that moment and keeps reading the same one until it lets go; the last one who lets go frees it.
 * Values do not change once they are in a slot. Thread-safe; nothing blocks for longer than it
 * takes to count.
 */
#ifndef BASE_SHARED_H
#define BASE_SHARED_H

#include <pthread.h>
#include <stddef.h>

/* Zeroed, for any type without pointers to own; the caller's to fill and to put or rele. NULL: no
 * memory. */
void *shared_alloc(size_t size);
/* Lets go of what shared_alloc or shared_hold gave; accepts NULL. */
void shared_rele(const void *value);

struct shared_slot {
    pthread_mutex_t lock;
    const void *value;
};

void shared_init(struct shared_slot *s, const void *own_value); /* NULL: nothing yet, so is held */
void shared_release(struct shared_slot *s);     /* those who hold the value keep it */
const void *shared_hold(struct shared_slot *s); /* until shared_rele */
/* From now on this one is held; the one before goes with its last holder. */
void shared_put(struct shared_slot *s, const void *own_value);

#endif
