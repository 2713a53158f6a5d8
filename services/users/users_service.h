/* Private to services/users: what its handlers work with. */
#ifndef USERS_USERS_SERVICE_H
#define USERS_USERS_SERVICE_H

#include "base/cache/cache.h"
#include "base/part.h"
#include "base/token.h"
#include "hashing.h"
#include "users.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>

#define DENY_LIST "session" /* of ended sessions, in the cache; the gateway asks the same list */

struct users {
    struct store *store;
    struct cache *cache;
    struct token_keys *keys;
    struct hashing_pool *hashing;
    struct rpc_server *server;
    const struct principal_key *principal_key; /* of the platform; borrowed */
    unsigned bcrypt_cost;
    int64_t wrong_passwords_max;
    char dummy_hash[HASH_SIZE]; /* verified for unknown e-mails, so that they take as long */
    pthread_t sweeper;
    bool sweeping;
    atomic_bool denied;   /* the cache was told which sessions ended before the start */
    atomic_bool stopping; /* jobs that still wait are refused */
    pthread_mutex_t lock; /* of the sweeper's sleep */
    pthread_cond_t wake;
};

/* The generated dispatch table, filled with the handlers of users_rpc.c; its context is a struct
 * users. */
extern Users__Users_Service users_rpc_service;
extern Users__ApiKeys_Service api_keys_rpc_service; /* of api_keys_rpc.c */

/* Tells the cache that a session has ended. If it cannot take it (away, or full) the sweeper tells
 * it again, and readiness says so. Blocks on the cache. */
MUST_CHECK enum err users_deny(struct users *users, const char *session_id);
Users__Role users_role_to_proto(enum role role);
/* Ends a call that failed in the store. */
void users_fail_store(struct rpc_call *call, enum err e);

#endif
