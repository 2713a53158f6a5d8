/* Tokens and signatures to principals. */
#include "auth.h"

#include "base/clock.h"
#include "base/crypt.h"
#include "base/token.h"
#include "users.pb-c.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct remembered {
    uint8_t hash[SHA256_SIZE];
    int64_t expires_s; /* 0: empty */
    struct principal principal;
};

struct auth {
    struct rpc_client *users;
    struct cache *cache;
    struct api_keys *api_keys;
    pthread_mutex_t fetch_lock; /* one asks users, the others wait for what it hears */
    int64_t asked_ms;           /* under fetch_lock; when users was last asked, */
    bool answered;              /* and whether it said something */
    pthread_rwlock_t keys_lock;
    struct token_keys *keys; /* NULL until users has answered once */
    int64_t fetched_ms;
    pthread_mutex_t lock; /* of what is remembered */
    struct remembered remembered[AUTH_REMEMBERED];
};

enum err auth_new(struct rpc_client *users, struct cache *cache, struct auth **ret)
{
    struct auth *a = calloc(1, sizeof *a);
    if (!a) return ERR_NO_MEMORY;
    if (api_keys_new(users, cache, &a->api_keys)) {
        free(a);
        return ERR_NO_MEMORY;
    }
    a->users = users;
    a->cache = cache;
    a->asked_ms = -AUTH_REFETCH_MS;
    (void)pthread_mutex_init(&a->fetch_lock, NULL);
    (void)pthread_rwlock_init(&a->keys_lock, NULL);
    (void)pthread_mutex_init(&a->lock, NULL);
    *ret = a;
    return OK;
}

void auth_free(struct auth *a)
{
    if (!a) return;
    api_keys_free(a->api_keys);
    token_keys_free(a->keys);
    (void)pthread_mutex_destroy(&a->fetch_lock);
    (void)pthread_rwlock_destroy(&a->keys_lock);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

/* ---- keys ---- */

static enum err copy_part(const char *from, char *to, size_t size)
{
    if (strlen(from) >= size) return ERR_INVALID;
    memcpy(to, from, strlen(from) + 1);
    return OK;
}

static enum err read_jwks(const Users__JwksResponse *response, struct token_keys **ret)
{
    struct token_jwk jwks[TOKEN_KEYS_MAX];
    if (response->n_keys > TOKEN_KEYS_MAX) return ERR_INVALID;
    for (size_t i = 0; i < response->n_keys; i++) {
        if (copy_part(response->keys[i]->kid, jwks[i].kid, sizeof jwks[i].kid) ||
            copy_part(response->keys[i]->x, jwks[i].x, sizeof jwks[i].x) ||
            copy_part(response->keys[i]->y, jwks[i].y, sizeof jwks[i].y))
            return ERR_INVALID;
    }
    return token_keys_public(jwks, response->n_keys, ret);
}

static enum err ask_users(struct auth *a, struct token_keys **ret)
{
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + AUTH_FETCH_MS};
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(a->users, "users.Users/Jwks", &request.base, &options, &reply, NULL);
    if (e) return ERR_UNAVAILABLE;
    e = read_jwks((const Users__JwksResponse *)reply, ret);
    protobuf_c_message_free_unpacked(reply, NULL);
    return e ? ERR_UNAVAILABLE : OK;
}

/* Under fetch_lock. Tokens of a key that is gone are not remembered any longer. */
static enum err fetch_keys(struct auth *a)
{
    struct token_keys *keys = NULL;
    enum err e = ask_users(a, &keys);
    a->asked_ms = clock_mono_ms();
    a->answered = !e;
    if (e) return e;
    (void)pthread_rwlock_wrlock(&a->keys_lock);
    struct token_keys *old = a->keys;
    a->keys = keys;
    a->fetched_ms = clock_mono_ms();
    (void)pthread_rwlock_unlock(&a->keys_lock);
    (void)pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < AUTH_REMEMBERED; i++)
        a->remembered[i].expires_s = 0;
    (void)pthread_mutex_unlock(&a->lock);
    token_keys_free(old);
    return OK;
}

/*
 * Keys that are newer than seen_ms, from users or from whoever asked meanwhile. ERR_NOT_FOUND:
 * users was asked only just now. ERR_UNAVAILABLE: it does not answer.
 */
static enum err newer_keys(struct auth *a, int64_t seen_ms)
{
    (void)pthread_mutex_lock(&a->fetch_lock);
    (void)pthread_rwlock_rdlock(&a->keys_lock);
    bool newer = a->keys && a->fetched_ms > seen_ms;
    (void)pthread_rwlock_unlock(&a->keys_lock);
    int64_t pause_ms = a->answered ? AUTH_REFETCH_MS : AUTH_RETRY_MS;
    enum err e = OK;
    if (!newer && clock_mono_ms() - a->asked_ms < pause_ms)
        e = a->answered ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
    else if (!newer)
        e = fetch_keys(a);
    (void)pthread_mutex_unlock(&a->fetch_lock);
    return e;
}

/* ret_seen_ms: how old the keys are that it was verified with; -1: there are none. */
static enum err verify_once(struct auth *a, const char *token, struct token_claims *ret,
                            int64_t *ret_seen_ms)
{
    (void)pthread_rwlock_rdlock(&a->keys_lock);
    enum err e = ERR_NOT_FOUND;
    *ret_seen_ms = a->keys ? a->fetched_ms : -1;
    if (a->keys) e = token_verify(a->keys, token, clock_wall_ms() / 1000, ret);
    (void)pthread_rwlock_unlock(&a->keys_lock);
    return e;
}

/* A token of an unknown key may be signed with one that is newer than our copy; and a key that was
 * withdrawn must not be good for ever. */
static enum err verify(struct auth *a, const char *token, struct token_claims *ret)
{
    int64_t seen_ms;
    enum err e = verify_once(a, token, ret, &seen_ms);
    if (e == ERR_NOT_FOUND) {
        e = newer_keys(a, seen_ms);
        if (!e) e = verify_once(a, token, ret, &seen_ms);
    } else if (!e && clock_mono_ms() - seen_ms > AUTH_KEYS_MS) {
        if (!newer_keys(a, seen_ms)) e = verify_once(a, token, ret, &seen_ms);
    }
    return e == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : e;
}

/* ---- remembered tokens: a slot by hash, the newer one stays ---- */

static struct remembered *slot(struct auth *a, const uint8_t hash[static SHA256_SIZE])
{
    return &a->remembered[(hash[0] | hash[1] << 8) % AUTH_REMEMBERED];
}

/* 0: not known, or not valid any more. */
static int64_t recall(struct auth *a, const uint8_t hash[static SHA256_SIZE], struct principal *ret)
{
    (void)pthread_mutex_lock(&a->lock);
    struct remembered *r = slot(a, hash);
    bool known = clock_wall_ms() / 1000 < r->expires_s && memcmp(r->hash, hash, SHA256_SIZE) == 0;
    if (known) *ret = r->principal;
    int64_t expires_s = known ? r->expires_s : 0;
    (void)pthread_mutex_unlock(&a->lock);
    return expires_s;
}

static void remember(struct auth *a, const uint8_t hash[static SHA256_SIZE], int64_t expires_s,
                     const struct principal *principal)
{
    (void)pthread_mutex_lock(&a->lock);
    struct remembered *r = slot(a, hash);
    memcpy(r->hash, hash, SHA256_SIZE);
    r->expires_s = expires_s;
    r->principal = *principal;
    (void)pthread_mutex_unlock(&a->lock);
}

enum err auth_session(struct auth *a, const struct principal *principal)
{
    bool denied = false;
    enum err e = cache_denied(a->cache, API_KEYS_DENY_LIST, principal->session_id, &denied);
    if (e) return ERR_UNAVAILABLE;
    return denied ? ERR_UNAUTHENTICATED : OK;
}

enum err auth_token(struct auth *a, const char *token, struct principal *ret,
                    int64_t *ret_expires_s)
{
    uint8_t hash[SHA256_SIZE];
    struct principal principal = {0};
    crypt_sha256(token, strlen(token), hash);
    int64_t expires_s = recall(a, hash, &principal);
    if (!expires_s) {
        struct token_claims claims = {0};
        enum err e = verify(a, token, &claims);
        if (e) return e;
        principal = (struct principal){.role = claims.role, .permissions = UINT64_MAX};
        memcpy(principal.user_id, claims.user_id, sizeof principal.user_id);
        memcpy(principal.session_id, claims.session_id, sizeof principal.session_id);
        expires_s = claims.expires_s;
        remember(a, hash, expires_s, &principal);
    }
    enum err e = auth_session(a, &principal);
    if (e) return e;
    *ret = principal;
    *ret_expires_s = expires_s;
    return OK;
}

/* ---- requests ---- */

static bool is_safe(const char *verb)
{
    return strcmp(verb, "GET") == 0 || strcmp(verb, "OPTIONS") == 0;
}

/* A browser sends cookies by itself, so something that only our own page knows must come along. */
static bool has_csrf(const struct http_exchange *x)
{
    char cookie[128];
    const char *header = http_header(x, "X-CSRF-Token");
    if (!header || http_cookie(x, AUTH_CSRF_COOKIE, cookie, sizeof cookie) || !cookie[0])
        return false;
    size_t size = strlen(cookie);
    return strlen(header) == size && crypt_equal(cookie, header, size);
}

static enum err refuse(struct rpc_status *ret, enum err e, const char *message)
{
    *ret = (struct rpc_status){.err = e};
    (void)snprintf(ret->message, sizeof ret->message, "%s", message);
    return e;
}

static enum err explain(enum err e, struct rpc_status *ret)
{
    if (e == ERR_UNAUTHENTICATED)
        return refuse(ret, e, "the access token is not valid any more; refresh it or log in");
    return e ? refuse(ret, e, "sessions cannot be checked right now; try again") : OK;
}

static enum err judge_token(struct auth *a, const char *token, struct principal *ret,
                            struct rpc_status *ret_status)
{
    int64_t expires_s;
    return explain(auth_token(a, token, ret, &expires_s), ret_status);
}

static enum err judge_cookie(struct auth *a, const struct http_exchange *x, struct principal *ret,
                             struct rpc_status *ret_status)
{
    char cookie[TOKEN_TEXT_MAX];
    if (http_cookie(x, AUTH_ACCESS_COOKIE, cookie, sizeof cookie)) {
        *ret = principal_guest();
        return OK;
    }
    if (!is_safe(http_verb(x)) && !has_csrf(x))
        return refuse(ret_status, ERR_DENIED,
                      "with a cookie, X-CSRF-Token must repeat the cookie " AUTH_CSRF_COOKIE);
    return judge_token(a, cookie, ret, ret_status);
}

/* A bot can set its clock by the refusal. */
static void tell_time(struct http_exchange *x, const struct rpc_status *status)
{
    char text[24];
    if (strcmp(status->reason, "timestamp_out_of_window") != 0) return;
    (void)snprintf(text, sizeof text, "%" PRId64, clock_wall_ms());
    http_add_header(x, AUTH_TIME_HEADER, text);
}

static enum err judge_key(struct auth *a, struct http_exchange *x, const struct buf *body,
                          struct principal *ret, struct rpc_status *ret_status)
{
    int64_t expires_s;
    const struct signed_request request = {
        .method = http_sent_verb(x),
        .path = http_sent_path(x),
        .query = http_query_text(x),
        .key_id = http_header(x, AUTH_KEY_HEADER),
        .timestamp = http_header(x, "X-API-TIMESTAMP"),
        .window = http_header(x, "X-API-RECV-WINDOW"),
        .signature = http_header(x, "X-API-SIGNATURE"),
        .body = body->data,
        .body_size = body->size,
    };
    const struct api_keys_asked asked = {&request, http_peer(x), !is_safe(http_verb(x))};
    enum err e = api_keys_verify(a->api_keys, &asked, ret, &expires_s, ret_status);
    if (e) tell_time(x, ret_status);
    return e;
}

enum err auth_request(struct auth *a, struct http_exchange *x, const struct buf *body,
                      struct principal *ret, struct rpc_status *ret_status)
{
    const char *header = http_header(x, "Authorization");
    if (http_header(x, AUTH_KEY_HEADER)) {
        if (header)
            return refuse(ret_status, ERR_INVALID,
                          "either Authorization or " AUTH_KEY_HEADER ", not both");
        return judge_key(a, x, body, ret, ret_status);
    }
    if (!header) return judge_cookie(a, x, ret, ret_status);
    if (strncasecmp(header, "Bearer ", 7) != 0)
        return refuse(ret_status, ERR_UNAUTHENTICATED,
                      "Authorization must be: Bearer <access token>");
    return judge_token(a, header + 7, ret, ret_status);
}

enum err auth_signed(struct auth *a, const struct signed_request *request, const char *peer,
                     struct principal *ret, int64_t *ret_expires_s, struct rpc_status *ret_status)
{
    const struct api_keys_asked asked = {request, peer, true};
    return api_keys_verify(a->api_keys, &asked, ret, ret_expires_s, ret_status);
}
