/*
 * Idempotency-Key: the first answer of a mutation, kept 24 hours per caller and key, so that a
 * repeat returns it and nothing happens twice.
 *
 * Kept is what was decided: every success, and every refusal that came out of the state of things
 * (404, 409 already_exists, 422). A repeat gets that same answer, also when the state has changed
 * since: who wants another try takes another key. Not kept, so that the same key may be tried
 * again:
 *   - what was refused before anything was looked at: 400, 401, 403, 413, 415, 429
 *   - what somebody else's change made fail, and trying again may not: 409 conflict
 *   - 5xx: the outcome is unknown. The parts' own ids (an order's, a transfer's) make that safe.
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

#define IDEMPOTENCY_KEY_MAX 128 /* bytes of a key */
#define IDEMPOTENCY_KEPT_MS (24LL * 3600 * 1000)
#define IDEMPOTENCY_RUNNING_MS                                                                     \
    120000 /* above any request: one that never ended blocks no longer                             \
            */
#define IDEMPOTENCY_PARTS_MAX 16
#define IDEMPOTENCY_ANSWER_MAX                                                                     \
    (IDEMPOTENCY_PARTS_MAX * CACHE_VALUE_MAX) /* a longer one is lost                              \
                                               */

struct idempotency {
    char key[96]; /* in the cache */
    uint8_t fingerprint[SHA256_SIZE];
    bool claimed;
};

/*
 * Claims the key for this caller and request (whatever the fingerprint covers).
 *   OK             go on; then idempotency_end (if it never comes, the claim runs out)
 *   ERR_EXISTS     it was answered before: ret_status and ret_body are that answer
 *   ERR_CONFLICT   the same key runs right now
 *   ERR_PRECONDITION  the key was used for another request
 *   ERR_UNAVAILABLE   the cache is away, or has lost half of the answer
 */
MUST_CHECK enum err idempotency_begin(struct cache *cache, const char *user_id, const char *key,
                                      const uint8_t fingerprint[static SHA256_SIZE],
                                      struct idempotency *ret, int *ret_status,
                                      struct buf *ret_body);
/*
 * Keeps the answer or frees the key, as e tells. A success that is too large to keep stays a claim
 * (a repeat is ERR_CONFLICT) until that runs out. Does nothing if nothing was claimed.
 */
void idempotency_end(struct cache *cache, const struct idempotency *i, enum err e, int status,
                     const char *body, size_t size);

#endif
