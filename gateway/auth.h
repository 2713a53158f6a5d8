/*
 * Who is calling: an access token, or a request signed by an API key (api_keys.h), to a principal.
 * The public keys of tokens come from the users part by RPC;
 * the deny list of ended sessions from the cache, which is asked every time and fails closed.
 *
 * Verified tokens are remembered by their hash (a signature costs a tenth of a millisecond), at
 * most AUTH_REMEMBERED of them; the deny list is asked for these too. Thread-safe; may block on the
 * cache, and on users when a new key appears (it is asked at most once in AUTH_REFETCH_MS).
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "api_keys.h"
#include "base/buf.h"
#include "base/cache/cache.h"
#include "base/err.h"
#include "base/rpc/client.h"
#include "http.h"

#define AUTH_REMEMBERED    4096
#define AUTH_REFETCH_MS    5000   /* users is asked for its keys no more often, */
#define AUTH_RETRY_MS      250    /* or, while it does not answer, */
#define AUTH_FETCH_MS      2000   /* and has so long to answer */
#define AUTH_KEYS_MS       300000 /* older keys are fetched anew: one may have been withdrawn */
#define AUTH_ACCESS_COOKIE "tp_access" /* browsers may carry the access token so, */
#define AUTH_KEY_HEADER    "X-API-KEY"
#define AUTH_TIME_HEADER   "X-API-TIME" /* our clock, in the answer to who has another */
#define AUTH_CSRF_COOKIE   "tp_csrf"    /* then unsafe methods repeat this one in X-CSRF-Token */

struct auth;

/* Both are borrowed for the auth's life. */
MUST_CHECK enum err auth_new(struct rpc_client *users, struct cache *cache, struct auth **ret);
void auth_free(struct auth *a); /* accepts NULL */

/*
 * ERR_UNAUTHENTICATED: not a token that is valid now. ERR_UNAVAILABLE: the keys or the deny list
 * cannot be asked, so nobody is let in. ret_expires_s: wall clock, seconds since 1970.
 */
MUST_CHECK enum err auth_token(struct auth *a, const char *token, struct principal *ret,
                               int64_t *ret_expires_s);

/* Of somebody who authenticated earlier: has the session been ended since? Errors as auth_token.
 */
MUST_CHECK enum err auth_session(struct auth *a, const struct principal *principal);

/*
 * Of a request: X-API-KEY and its signature, else `Authorization: Bearer`, else the cookie with its
 * CSRF header, else a guest. body is the request's, read already where there is a key (an empty one
 * otherwise). Errors as auth_token and api_keys_verify; ERR_DENIED also: the cookie without the
 * right CSRF header; ERR_INVALID also: a token beside a key. ret_status says what would be right.
 */
MUST_CHECK enum err auth_request(struct auth *a, struct http_exchange *x, const struct buf *body,
                                 struct principal *ret, struct rpc_status *ret_status);

/* Of a signed `authenticate` on a WebSocket from that address; errors as api_keys_verify. */
MUST_CHECK enum err auth_signed(struct auth *a, const struct signed_request *request,
                                const char *peer, struct principal *ret, int64_t *ret_expires_s,
                                struct rpc_status *ret_status);

#endif
