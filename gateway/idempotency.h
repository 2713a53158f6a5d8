/*
 * Idempotency-Key: the first answer of a mutation, kept 24 hours per caller and key, so that a
 * repeat returns it and nothing happens twice. Errors whose outcome is unknown (5xx) are not kept:
 * there a repeat is what the client should do, and the part's own ids make it safe.
 *
 * Lives in the cache, so all gateways agree. If the cache is away a request with a key is refused:
 * it asked for a promise that cannot be kept. Thread-safe; may block on the cache.
 */
#ifndef GATEWAY_IDEMPOTENCY_H
#define GATEWAY_IDEMPOTENCY_H

#include "base/buf.h"
#include "base/cache/cache.h"
#include "base/crypt.h"
#include "base/err.h"

#define IDEMPOTENCY_KEY_MAX    128 /* bytes of a key */
#define IDEMPOTENCY_KEPT_MS    (24LL * 3600 * 1000)
#define IDEMPOTENCY_RUNNING_MS 60000 /* a request that never ended blocks its key no longer */

struct idempotency {
    char key[96]; /* in the cache */
    uint8_t fingerprint[SHA256_SIZE];
    bool claimed;
};

/*
 * Claims the key for this caller and request (verb, path, body).
 *   OK             go on; then idempotency_end, whatever happens
 *   ERR_EXISTS     it was answered before: ret_status and ret_body are that answer
 *   ERR_CONFLICT   the same key runs right now
 *   ERR_PRECONDITION  the key was used for another request
 *   ERR_UNAVAILABLE   the cache is away
 */
MUST_CHECK enum err idempotency_begin(struct cache *cache, const char *user_id, const char *key,
                                      const uint8_t fingerprint[static SHA256_SIZE],
                                      struct idempotency *ret, int *ret_status,
                                      struct buf *ret_body);
/* Keeps the answer, or, for a 5xx or one too large to keep, frees the key. */
void idempotency_end(struct cache *cache, const struct idempotency *i, int status, const char *body,
                     size_t size);

#endif
