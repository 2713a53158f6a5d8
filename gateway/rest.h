/*
 * REST: a checked request to a contract method, its reply to JSON. Knows no endpoint by name but
 * what logging in, refreshing and logging out do with the refresh cookie (cookies.h).
 *
 * Runs on the listener's thread and waits there for the part's answer. Thread-safe.
 */
#ifndef GATEWAY_REST_H
#define GATEWAY_REST_H

#include "auth.h"
#include "base/cache/cache.h"
#include "calls.h"
#include "http.h"
#include "rate_limits.h"

#define REST_REPLY_MAX (8 * 1024 * 1024) /* bytes of JSON in an answer */

/* What the gateway answers itself ("gateway.Gateway/Help"), called with the caller already checked.
 */
typedef void rest_local(void *context, struct http_exchange *x,
                        const struct contract_method *method, const struct principal *principal);

struct rest_options {
    struct calls *calls; /* all borrowed */
    struct auth *auth;
    struct cache *cache;
    struct recent *recent;
    struct limits *limits;
    rest_local *local;
    void *local_context;
};

struct rest;
MUST_CHECK enum err rest_new(const struct rest_options *options, struct rest **ret);
void rest_free(struct rest *r); /* accepts NULL */

/* Answers every request whose path is in the contract. false: it is not, nothing was answered. */
bool rest_handle(struct rest *r, struct http_exchange *x);

#endif
