/* How many there are of each name. Not thread-safe; nothing blocks. */
#ifndef GATEWAY_TALLY_H
#define GATEWAY_TALLY_H

#include "base/err.h"

#include <stddef.h>

#define TALLY_NAME_MAX 63 /* bytes: an address, a user's id */

struct tally_entry {
    struct tally_entry *next; /* in its bucket */
    size_t count;             /* above 0 */
    char name[];
};
struct tally {
    struct tally_entry **buckets;
    size_t bucket_count, names;
};

MUST_CHECK enum err tally_init(struct tally *t);
void tally_release(struct tally *t); /* accepts a zeroed one */

/* One more; *ret is how many there are now. ERR_EXHAUSTED: there are max already. ERR_NO_MEMORY. */
MUST_CHECK enum err tally_add(struct tally *t, const char *name, size_t max, size_t *ret);
/* One less, of those that were added (CHECK); returns how many are left. */
size_t tally_remove(struct tally *t, const char *name);

/* Visits every name, in no order. */
void tally_each(const struct tally *t, void (*visit)(void *arg, const char *name), void *arg);

#endif
