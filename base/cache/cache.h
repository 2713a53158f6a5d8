/*
 * Shared short-lived state: strings with expiry, counters, windows, sorted sets, deny lists. Two
 * drivers: in process, and Redis. What is here may vanish at any time; what must not be lost is
 * elsewhere.
 *
 * Thread-safe. With Redis every call may block, at most options.timeout_ms. Errors of every call:
 *
 *   ERR_UNAVAILABLE  it cannot be reached, or did not answer in time (a change may have been made).
 *                    A broken connection is replaced by the next call; after a failure calls fail
 *                    at once for a short while, then one tries again.
 *   ERR_EXHAUSTED    the cache is full, or a set has CACHE_MEMBERS_MAX members
 *   ERR_INVALID      a key, value or number over its limit, or a key that holds another kind
 *   ERR_NO_MEMORY
 *
 * A string, a counter, a window and a sorted set are kinds; cache_get also reads a counter, as
 * decimal text, and cache_set replaces any kind.
 *
 * What happens when the one in process is full (a Redis does what its maxmemory-policy says, which
 * should be noeviction; it then refuses as below, but for all kinds alike):
 *
 *   windows      have a room of their own: beyond CACHE_WINDOWS_MAX the one that would expire
 *                soonest is dropped, and its client counts from 0 again
 *   deny lists   may take all of the other room, and are never dropped before they expire
 *   the others   may take seven eighths of it, then ERR_EXHAUSTED: what clients can fill keeps
 *                nobody from being logged out
 *
 * Nothing but a window is ever dropped before its time, because an answer that is kept under an
 * Idempotency-Key is a promise; who makes such promises to clients bounds them per client.
 */
#ifndef BASE_CACHE_CACHE_H
#define BASE_CACHE_CACHE_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_KEY_MAX       256         /* bytes of a key, without the prefix */
#define CACHE_VALUE_MAX     (64 * 1024) /* bytes of a value or member */
#define CACHE_RANGE_MAX     1000        /* members one range returns */
#define CACHE_MEMBERS_MAX   100000      /* members of one sorted set */
#define CACHE_SCORE_MAX     (1LL << 53) /* both signs: Redis keeps doubles, exact up to here */
#define CACHE_EXPIRE_MAX_MS (366LL * 24 * 3600 * 1000)
#define CACHE_LIMIT_MAX     1000000            /* hits of a window, and */
#define CACHE_WINDOW_MAX_MS (24 * 3600 * 1000) /* its length: products are exact in a double */

/* In process: keys that are no windows, and bytes of these, their values and what keeps them. */
#define CACHE_KEYS_MAX    1000000
#define CACHE_BYTES_MAX   (256 * 1024 * 1024)
#define CACHE_WINDOWS_MAX 250000 /* in process: at most some 60 MB */

struct cache;

struct cache_options {
    /*
     * "memory:" or "memory:name": the process's one cache of that name, shared by all who open it.
     * "redis://[[user]:password@]host[:port][/db]": user and password percent-encoded.
     */
    const char *url;
    const char *key_prefix; /* of every key, so that platforms can share a server; NULL: "tp:" */
    unsigned pool_max;      /* connections; 0: 8 */
    int64_t timeout_ms; /* of a call, waiting for a connection and connecting included; 0: 1000 */
};

/* Does not connect: a Redis that is not there yet is no error. ERR_INVALID: the options; see
 * detail. */
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
/* Replaces what is in ret; expect ERR_EXHAUSTED if that holds less than CACHE_VALUE_MAX.
 * ERR_NOT_FOUND. */
MUST_CHECK enum err cache_get(struct cache *c, const char *key, struct buf *ret);
MUST_CHECK enum err cache_delete(struct cache *c, const char *key); /* OK also when absent */
/* Deletes only while the value is this one: an unlock. ERR_CONFLICT: absent or another's. */
MUST_CHECK enum err cache_delete_if(struct cache *c, const char *key, const void *value,
                                    size_t size);

/* Counters. The first increment sets the expiry. ERR_INVALID also: the sum would overflow. */
MUST_CHECK enum err cache_increment(struct cache *c, const char *key, int64_t by, int64_t expire_ms,
                                    int64_t *ret_value);

/*
 * A sliding window (the current fixed window plus the weighted rest of the last one): counts so
 * many hits and says how many are left; or ERR_EXHAUSTED if they do not fit, all of them, and the
 * milliseconds until they will. Then none is counted. ret is set in both cases. Atomic over all
 * processes. ERR_FULL: the cache is full (not ERR_EXHAUSTED here).
 *
 * hits 0 asks whether one would fit, and counts none. More than rule->limit is ERR_INVALID: they
 * would never fit.
 */
struct cache_rule {
    int64_t limit;     /* 1 to CACHE_LIMIT_MAX */
    int64_t window_ms; /* 1 to CACHE_WINDOW_MAX_MS; the same for everybody who uses the key */
};
struct cache_window {
    int64_t limit, remaining;
    /* After ERR_EXHAUSTED: until the hits fit. Else, with remaining 0: until one more fits; else
     * until the fixed window ends. */
    int64_t reset_ms;
};
MUST_CHECK enum err cache_hits(struct cache *c, const char *key, const struct cache_rule *rule,
                               int64_t hits, struct cache_window *ret);
/* One hit. */
MUST_CHECK enum err cache_hit(struct cache *c, const char *key, int64_t limit, int64_t window_ms,
                              struct cache_window *ret);

/*
 * Sorted sets: members with a score within +-CACHE_SCORE_MAX. The set's expiry is renewed with each
 * add; adding a member again gives it the new score.
 */
struct cache_member {
    char *member; /* NUL-terminated */
    int64_t score;
};
MUST_CHECK enum err cache_sorted_add(struct cache *c, const char *key, const char *member,
                                     int64_t score, int64_t expire_ms);
MUST_CHECK enum err cache_sorted_remove(struct cache *c, const char *key, const char *member);
/*
 * Members with min <= score <= max in ascending order (same score: by their bytes), at most limit
 * (1 to CACHE_RANGE_MAX); free with cache_members_free. None: NULL and 0.
 */
MUST_CHECK enum err cache_sorted_range(struct cache *c, const char *key, int64_t min, int64_t max,
                                       size_t limit, struct cache_member **ret, size_t *ret_count);
MUST_CHECK enum err cache_sorted_count(struct cache *c, const char *key, int64_t *ret);
/* Drops members with score < min. */
MUST_CHECK enum err cache_sorted_trim(struct cache *c, const char *key, int64_t min);
void cache_members_free(struct cache_member *members, size_t count);

/* Deny lists: is this id refused until then? The caller decides what unavailable means (fail
 * closed). */
MUST_CHECK enum err cache_deny(struct cache *c, const char *list, const char *id,
                               int64_t expire_ms);
MUST_CHECK enum err cache_denied(struct cache *c, const char *list, const char *id, bool *ret);

AUTO_DEFINE(struct cache, cache_close)

#endif
