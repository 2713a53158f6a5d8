/*
 * Who is calling: an access token to a principal. The public keys come from the users part by RPC;
 * the deny list of ended sessions from the cache, which is asked every time and fails closed.
 *
 * Verified tokens are remembered by their hash (a signature costs a tenth of a millisecond), at
 * most AUTH_REMEMBERED of them; the deny list is asked for these too. Thread-safe; may block on the
 * cache, and on users when a new key appears (it is asked at most once in AUTH_REFETCH_MS).
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

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
#define AUTH_CSRF_COOKIE   "tp_csrf"   /* then unsafe methods repeat this one in X-CSRF-Token */

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
 * Of a request: `Authorization: Bearer`, else the cookie with its CSRF header, else a guest. Errors
 * as auth_token; ERR_DENIED: the cookie without the right CSRF header. detail says what would be
 * right.
 */
MUST_CHECK enum err auth_request(struct auth *a, const struct http_exchange *x,
                                 struct principal *ret, struct err_detail *detail);

#endif
