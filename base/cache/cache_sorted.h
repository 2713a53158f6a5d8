/*
 * A sorted set: members with a score, ordered by (score, bytes), each there once. Two arrays of the
 * same members, one in each order, so that every look-up is a binary search. Not thread-safe; does
 * not block.
 */
#ifndef BASE_CACHE_SORTED_H
#define BASE_CACHE_SORTED_H

#include "base/cache/cache_driver.h"

struct sorted_member {
    int64_t score;
    size_t size;
    char text[]; /* size bytes and a NUL */
};

struct sorted {
    struct sorted_member **by_score, **by_text;
    size_t count, capacity;
    size_t bytes; /* what it takes to keep the members */
};

#define SORTED_MEMBER_BYTES(size) (sizeof(struct sorted_member) + (size) + 1 + 2 * sizeof(void *))

void sorted_release(struct sorted *s);
bool sorted_has(const struct sorted *s, struct cache_bytes member);
/* Adds, or gives the new score. ERR_NO_MEMORY: nothing has changed. */
MUST_CHECK enum err sorted_put(struct sorted *s, struct cache_bytes member, int64_t score);
void sorted_remove(struct sorted *s, struct cache_bytes member);
void sorted_trim(struct sorted *s, int64_t min); /* drops scores below */
/* Where the first member with a score of at least min is in by_score; count: there is none. */
size_t sorted_from(const struct sorted *s, int64_t min);

#endif
