/*
 * Shared short-lived state: strings with expiry, counters, sorted sets, deny lists. Two drivers: in
 * process, and Redis. What is here may vanish at any time; what must not be lost is elsewhere.
 *
 * Thread-safe. With Redis every call may block, at most options.timeout_ms. Errors of every call:
 * ERR_UNAVAILABLE (cannot be reached; a broken connection is replaced by the next call), ERR_EXHAUSTED
 * (keys_max or a size limit), ERR_INVALID (a key or value over its limit).
 */
#ifndef BASE_CACHE_CACHE_H
#define BASE_CACHE_CACHE_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_KEY_MAX 256           /* bytes of a key, without the prefix */
#define CACHE_VALUE_MAX (64 * 1024) /* bytes of a value or member */
#define CACHE_KEYS_MAX 1000000      /* in process: beyond, expired keys go, then ERR_EXHAUSTED */
#define CACHE_RANGE_MAX 1000        /* members one range returns */

struct cache;

struct cache_options {
    const char *url;          /* "memory:", "redis://[:password@]host:port[/db]" */
    const char *key_prefix;   /* of every key, so that platforms can share a server; NULL: "tp:" */
    unsigned pool_max;        /* connections; 0: 8 */
    int64_t timeout_ms;       /* of connecting and of a command; 0: 1000 */
};

MUST_CHECK enum err cache_open(const struct cache_options *options, struct cache **ret,
                               struct err_detail *detail);
void cache_close(struct cache *c); /* accepts NULL */
MUST_CHECK enum err cache_ping(struct cache *c);

/* Strings. expire_ms > 0 always: nothing in the cache lives for ever. */
MUST_CHECK enum err cache_set(struct cache *c, const char *key, const void *value, size_t size,
                              int64_t expire_ms);
/* Only if absent: a lock, a nonce. ERR_EXISTS. */
MUST_CHECK enum err cache_add(struct cache *c, const char *key, const void *value, size_t size,
                              int64_t expire_ms);
MUST_CHECK enum err cache_get(struct cache *c, const char *key, struct buf *ret); /* ERR_NOT_FOUND */
MUST_CHECK enum err cache_delete(struct cache *c, const char *key); /* OK also when absent */
/* Deletes only while the value is this one: an unlock. ERR_CONFLICT: absent or another's. */
MUST_CHECK enum err cache_delete_if(struct cache *c, const char *key, const void *value, size_t size);

/* Counters. The first increment sets the expiry. */
MUST_CHECK enum err cache_increment(struct cache *c, const char *key, int64_t by, int64_t expire_ms,
                                    int64_t *ret_value);

/*
 * A sliding window (the current fixed window plus the weighted rest of the last one): counts one hit and
 * says how many are left, or ERR_EXHAUSTED with the milliseconds until one will be allowed (that hit is
 * not counted). Atomic over all processes.
 */
struct cache_window {
    int64_t limit, remaining, reset_ms;
};
MUST_CHECK enum err cache_hit(struct cache *c, const char *key, int64_t limit, int64_t window_ms,
                              struct cache_window *ret);

/* Sorted sets: members with an int64 score. The set's expiry is renewed with each add. */
struct cache_member {
    char *member; /* NUL-terminated */
    int64_t score;
};
MUST_CHECK enum err cache_sorted_add(struct cache *c, const char *key, const char *member,
                                     int64_t score, int64_t expire_ms);
MUST_CHECK enum err cache_sorted_remove(struct cache *c, const char *key, const char *member);
/* Members with min <= score <= max in ascending order, at most limit; free with cache_members_free. */
MUST_CHECK enum err cache_sorted_range(struct cache *c, const char *key, int64_t min, int64_t max,
                                       size_t limit, struct cache_member **ret, size_t *ret_count);
MUST_CHECK enum err cache_sorted_count(struct cache *c, const char *key, int64_t *ret);
/* Drops members with score < min. */
MUST_CHECK enum err cache_sorted_trim(struct cache *c, const char *key, int64_t min);
void cache_members_free(struct cache_member *members, size_t count);

/* Deny lists: is this id refused until then? The caller decides what unavailable means (fail closed). */
MUST_CHECK enum err cache_deny(struct cache *c, const char *list, const char *id, int64_t expire_ms);
MUST_CHECK enum err cache_denied(struct cache *c, const char *list, const char *id, bool *ret);

AUTO_DEFINE(struct cache, cache_close)

#endif
