/* From the key's id to what verifies it, to the signature, to what the key may. */
#include "api_keys.h"

#include "base/clock.h"
#include "base/network.h"
#include "users.pb-c.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ID_SIZE 33

/* What users says of a key. */
struct facts {
    bool exists;
    struct signature_key key; /* of one that does not exist: nobody's */
    struct principal principal;
    struct networks networks;
    int64_t expires_ms; /* 0: never */
};

struct known {
    char key_id[KEY_ID_SIZE];
    int64_t until_ms; /* monotonic */
    struct facts facts;
};

struct api_keys {
    struct rpc_client *users;
    struct cache *cache;
    struct principal gateway;
    uint8_t nobody[SIGNATURE_SECRET_MAX]; /* verified for unknown keys, so that they take as long */
    pthread_mutex_t lock;                 /* of what is known */
    struct known known[API_KEYS_KNOWN];
};

enum err api_keys_new(struct rpc_client *users, struct cache *cache, struct api_keys **ret)
{
    struct api_keys *a = calloc(1, sizeof *a);
    if (!a) return ERR_NO_MEMORY;
    a->users = users;
    a->cache = cache;
    a->gateway = principal_service("gateway");
    crypt_random(a->nobody, sizeof a->nobody);
    (void)pthread_mutex_init(&a->lock, NULL);
    *ret = a;
    return OK;
}

void api_keys_free(struct api_keys *a)
{
    if (!a) return;
    (void)pthread_mutex_destroy(&a->lock);
    explicit_bzero(a, sizeof *a);
    free(a);
}

static enum err refuse(struct rpc_status *ret, enum err e, const char *reason, const char *format,
                       ...) PRINTF_LIKE(4, 5);
static enum err refuse(struct rpc_status *ret, enum err e, const char *reason, const char *format,
                       ...)
{
    va_list args;
    *ret = (struct rpc_status){.err = e};
    (void)snprintf(ret->reason, sizeof ret->reason, "%s", reason);
    va_start(args, format);
    (void)vsnprintf(ret->message, sizeof ret->message, format, args);
    va_end(args);
    return e;
}

/* ---- what is known of a key ---- */

static struct known *slot(struct api_keys *a, const char *key_id)
{
    return &a->known[strtoul(key_id + KEY_ID_SIZE - 1 - 8, NULL, 16) % API_KEYS_KNOWN];
}

static bool recall(struct api_keys *a, const char *key_id, struct facts *ret)
{
    (void)pthread_mutex_lock(&a->lock);
    const struct known *k = slot(a, key_id);
    bool known = strcmp(k->key_id, key_id) == 0 && clock_mono_ms() < k->until_ms;
    if (known) *ret = k->facts;
    (void)pthread_mutex_unlock(&a->lock);
    return known;
}

/* Made-up ids drive out nobody who exists. */
static void remember(struct api_keys *a, const char *key_id, const struct facts *facts)
{
    int64_t now_ms = clock_mono_ms();
    (void)pthread_mutex_lock(&a->lock);
    struct known *k = slot(a, key_id);
    bool taken = k->facts.exists && now_ms < k->until_ms && strcmp(k->key_id, key_id) != 0;
    if (facts->exists || !taken) {
        memcpy(k->key_id, key_id, sizeof k->key_id);
        k->until_ms = now_ms + API_KEYS_KNOWN_MS;
        k->facts = *facts;
    }
    (void)pthread_mutex_unlock(&a->lock);
}

static bool copy_text(const char *from, char *ret, size_t size)
{
    if (strlen(from) >= size) return false;
    memcpy(ret, from, strlen(from) + 1);
    return true;
}

/* false: not what users would say. */
static bool read_resolved(const Users__ResolvedApiKey *r, const char *key_id, struct facts *ret)
{
    static const enum role roles[] = {
        [USERS__ROLE__ROLE_USER] = ROLE_USER,
        [USERS__ROLE__ROLE_SUPPORT] = ROLE_SUPPORT,
        [USERS__ROLE__ROLE_ADMIN] = ROLE_ADMIN,
    };
    bool hmac = r->kind == USERS__API_KEY_KIND__HMAC_SHA256;
    struct principal *p = &ret->principal;
    if (r->role < USERS__ROLE__ROLE_USER || r->role > USERS__ROLE__ROLE_ADMIN ||
        r->verifier.len > sizeof ret->key.bytes ||
        (!hmac && (r->kind != USERS__API_KEY_KIND__ED25519 || r->verifier.len != ED25519_KEY_SIZE)))
        return false;
    ret->exists = true;
    ret->key.form = hmac ? SIGNATURE_HMAC : SIGNATURE_ED25519;
    ret->key.size = r->verifier.len;
    memcpy(ret->key.bytes, r->verifier.data, r->verifier.len);
    p->role = roles[r->role];
    for (size_t i = 0; i < r->n_permissions; i++)
        p->permissions |= UINT64_C(1) << (r->permissions[i] & 63);
    p->permissions &= ~UINT64_C(1); /* what needs a session */
    if (r->expires_at)
        ret->expires_ms = r->expires_at->seconds * 1000 + r->expires_at->nanos / 1000000;
    return copy_text(r->user_id, p->user_id, sizeof p->user_id) &&
           copy_text(r->grant, p->session_id, sizeof p->session_id) && r->grant[0] &&
           copy_text(key_id, p->key_id, sizeof p->key_id) &&
           copy_text(r->tier, p->tier, sizeof p->tier) &&
           !networks_parse(r->networks, &ret->networks, NULL);
}

/* ERR_UNAVAILABLE: users does not say. */
static enum err ask_users(struct api_keys *a, const char *key_id, struct facts *ret)
{
    Users__ResolveApiKeyRequest request = USERS__RESOLVE_API_KEY_REQUEST__INIT;
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + API_KEYS_FETCH_MS,
                                  .principal = &a->gateway};
    ProtobufCMessage *reply = NULL;
    struct facts facts = {.key.size = sizeof a->nobody};
    request.key_id = (char *)key_id;
    memcpy(facts.key.bytes, a->nobody, sizeof a->nobody);
    enum err e =
        rpc_call(a->users, "users.ApiKeys/ResolveApiKey", &request.base, &options, &reply, NULL);
    if (e && e != ERR_NOT_FOUND) return ERR_UNAVAILABLE;
    bool readable = e || read_resolved((const Users__ResolvedApiKey *)reply, key_id, &facts);
    protobuf_c_message_free_unpacked(reply, NULL);
    if (!readable) return ERR_UNAVAILABLE;
    remember(a, key_id, &facts);
    *ret = facts;
    return OK;
}

/* Asked also for a key that does not exist, which has no grant. */
static enum err is_denied(struct api_keys *a, const struct facts *facts, bool *ret)
{
    const char *grant = facts->exists ? facts->principal.session_id : "none";
    return cache_denied(a->cache, API_KEYS_DENY_LIST, grant, ret) ? ERR_UNAVAILABLE : OK;
}

/* What is true now: what is remembered of a key is so until its grant ends. */
static enum err find(struct api_keys *a, const char *key_id, struct facts *ret)
{
    bool denied = false, remembered = recall(a, key_id, ret);
    enum err e = remembered ? OK : ask_users(a, key_id, ret);
    if (!e) e = is_denied(a, ret, &denied);
    if (e || !denied) return e;
    if (remembered) {
        e = ask_users(a, key_id, ret);
        if (!e) e = is_denied(a, ret, &denied);
    }
    if (denied) ret->exists = false; /* it ends this very moment */
    return e;
}

/* ---- judging ---- */

static enum err check_time(const struct signed_request *r, int64_t *ret_until_ms,
                           struct rpc_status *ret_status)
{
    int64_t now_ms = clock_wall_ms();
    if (!signature_time(r, now_ms, ret_until_ms)) return OK;
    return refuse(ret_status, ERR_UNAUTHENTICATED, "timestamp_out_of_window",
                  "the timestamp is not within its receive window; the time here is %" PRId64,
                  now_ms);
}

/*
 * The same lines again are a replay, whoever signed them how. Remembered until no gateway would
 * take them any more.
 */
static enum err check_replay(struct api_keys *a, const struct buf *text, int64_t until_ms,
                             struct rpc_status *ret_status)
{
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1], key[96];
    int64_t left_ms = until_ms - clock_wall_ms();
    crypt_sha256(text->data, text->size, hash);
    hex_encode(hash, sizeof hash, hex);
    (void)snprintf(key, sizeof key, "signed:%s", hex);
    enum err e = cache_add(a->cache, key, "", 0, (left_ms > 0 ? left_ms : 0) + API_KEYS_SKEW_MS);
    if (e == ERR_EXISTS)
        return refuse(ret_status, ERR_UNAUTHENTICATED, "replayed",
                      "this very request came before; sign another with a new timestamp");
    return e ? refuse(ret_status, ERR_UNAVAILABLE, "", "requests cannot be counted right now") : OK;
}

static enum err check_signature(const struct signed_request *r, const struct buf *text,
                                struct facts *facts, struct rpc_status *ret_status)
{
    if (!facts->exists) facts->key.form = signature_form(r);
    bool same = signature_matches(r, text, &facts->key);
    return same && facts->exists
               ? OK
               : refuse(ret_status, ERR_UNAUTHENTICATED, "bad_signature",
                        "there is no such key, or it has not signed this request");
}

/* Told only to who signed rightly. */
static enum err check_key(const struct facts *facts, const char *peer,
                          struct rpc_status *ret_status)
{
    if (facts->expires_ms && clock_wall_ms() >= facts->expires_ms)
        return refuse(ret_status, ERR_UNAUTHENTICATED, "invalid_api_key", "the key has expired");
    if (facts->networks.count && !networks_contain_text(&facts->networks, peer))
        return refuse(ret_status, ERR_DENIED, "ip_not_allowed", "the key may not be used from %s",
                      peer);
    return OK;
}

enum err api_keys_verify(struct api_keys *a, const struct api_keys_asked *asked,
                         struct principal *ret, int64_t *ret_expires_s,
                         struct rpc_status *ret_status)
{
    const struct signed_request *r = asked->request;
    AUTO_BUF struct buf text;
    struct facts facts = {0};
    int64_t until_ms = 0;
    buf_init(&text, SIGNATURE_TEXT_MAX);
    enum err e = signature_check(r, ret_status);
    if (!e) e = check_time(r, &until_ms, ret_status);
    if (e) return e;
    if (signature_text(r, &text)) return refuse(ret_status, ERR_NO_MEMORY, "", "out of memory");
    if (find(a, r->key_id, &facts))
        return refuse(ret_status, ERR_UNAVAILABLE, "", "keys cannot be checked right now");
    e = check_signature(r, &text, &facts, ret_status);
    if (!e) e = check_key(&facts, asked->peer, ret_status);
    if (!e && asked->once) e = check_replay(a, &text, until_ms, ret_status);
    if (!e) {
        int64_t expires_s = clock_wall_ms() / 1000 + API_KEYS_SESSION_S;
        bool sooner = facts.expires_ms && facts.expires_ms / 1000 < expires_s;
        *ret = facts.principal;
        *ret_expires_s = sooner ? facts.expires_ms / 1000 : expires_s;
    }
    explicit_bzero(&facts.key, sizeof facts.key);
    return e;
}
