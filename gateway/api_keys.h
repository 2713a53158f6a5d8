/*
 * API keys: a signed request to a principal. What it takes to verify a key comes from the users
 * part by RPC and is remembered for API_KEYS_KNOWN_MS, a key that does not exist too. A key that is
 * changed or revoked has its grant on the deny list of sessions, which is asked every time and
 * fails closed: so that takes effect at once.
 *
 * A stranger learns nothing: an unknown key and a wrong signature get the same answer for the same
 * work, and whatever else may be wrong with a key is told to who signed rightly.
 *
 * Thread-safe; may block on the cache, and on users at most once per key in API_KEYS_KNOWN_MS.
 */
#ifndef GATEWAY_API_KEYS_H
#define GATEWAY_API_KEYS_H

#include "base/cache/cache.h"
#include "base/err.h"
#include "base/rpc/client.h"
#include "signature.h"

#define API_KEYS_KNOWN     1024  /* keys that are remembered: a slot each, by their last digits */
#define API_KEYS_KNOWN_MS  30000 /* for so long */
#define API_KEYS_FETCH_MS  2000  /* users has so long to answer */
#define API_KEYS_SKEW_MS   10000 /* by so much may the clocks of two gateways differ */
#define API_KEYS_SESSION_S 900   /* a WebSocket that a key opened must authenticate again then */
#define API_KEYS_DENY_LIST "session" /* filled by users */

struct api_keys;

/* Both are borrowed for the life of it. */
MUST_CHECK enum err api_keys_new(struct rpc_client *users, struct cache *cache,
                                 struct api_keys **ret);
void api_keys_free(struct api_keys *a); /* accepts NULL */

/*
 * Who signed this, from that address? Failures fill in ret_status, whose reason is the word for the
 * client:
 *   ERR_INVALID          something is missing or malformed
 *   ERR_UNAUTHENTICATED  timestamp_out_of_window; bad_signature: no such key, or not signed by it;
 *                        invalid_api_key: it has expired; replayed
 *   ERR_DENIED           ip_not_allowed
 *   ERR_UNAVAILABLE      users or the cache cannot be asked, so nobody is let in
 * replayed: this very request came before. Only asked where `once` says so: of what changes
 * something. ret_expires_s: wall clock, seconds since 1970; until then a connection may go on with
 * it.
 */
struct api_keys_asked {
    const struct signed_request *request;
    const char *peer;
    bool once;
};
MUST_CHECK enum err api_keys_verify(struct api_keys *a, const struct api_keys_asked *asked,
                                    struct principal *ret, int64_t *ret_expires_s,
                                    struct rpc_status *ret_status);

#endif
