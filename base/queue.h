/*
 * A bounded queue between threads: many put, one or many take. Full is an answer, not a wait. It
 * holds pointers and owns none of them. All functions are thread-safe; only queue_take* block.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct queue;

MUST_CHECK enum err queue_new(size_t items_max, struct queue **ret); /* ERR_NO_MEMORY */
void queue_free(struct queue *q); /* accepts NULL; must be empty of takers */

/* ERR_EXHAUSTED: items_max are waiting. ERR_CLOSED: after queue_close. item is not NULL (CHECK).
 * Never blocks. */
MUST_CHECK enum err queue_put(struct queue *q, void *item);

/*
 * Takes up to items_max waiting items in order into ret; waits for the first until the monotonic
 * time deadline_ms (-1: for ever; past: not at all). Returns how many: 0 is the deadline, or closed
 * and empty.
 */
size_t queue_take_many(struct queue *q, void **ret, size_t items_max, int64_t deadline_ms);
void *queue_take(struct queue *q, int64_t deadline_ms); /* NULL: deadline, or closed and empty */

size_t queue_size(struct queue *q);
void queue_close(struct queue *q); /* wakes every taker; what waits can still be taken */

#endif
