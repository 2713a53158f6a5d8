/* Handlers of API keys: decode, check, call the core and the store, reply. Who creates, changes or
 * ends a key is logged here: the one edge that knows which key it was. */
#include "api_keys_store.h"
#include "users_service.h"
#include "users_store.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "proto/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFLICTS_MAX     8 /* others that change a key, or take a slot, at the same time */
#define PERMISSIONS_COUNT 3

_Static_assert((int)PERMISSION_READ == (int)USERS__API_KEY_PERMISSION__READ &&
                   (int)PERMISSION_TRADE == (int)USERS__API_KEY_PERMISSION__TRADE &&
                   (int)PERMISSION_WITHDRAW == (int)USERS__API_KEY_PERMISSION__WITHDRAW,
               "a key's permissions are the contract's");
_Static_assert((int)API_KEY_HMAC == (int)USERS__API_KEY_KIND__HMAC_SHA256 &&
                   (int)API_KEY_ED25519 == (int)USERS__API_KEY_KIND__ED25519,
               "a key's kind is the contract's");

static void audit(const char *what, const struct rpc_call *call, const struct api_key *k)
{
    LOG_LINE(LOG_INFO, "users", what, LOG_TEXT("key", k->key_id), LOG_TEXT("owner", k->user_id),
             LOG_TEXT("by", rpc_call_principal(call)->user_id), LOG_TEXT("name", k->name),
             LOG_INT("permissions", (int64_t)k->permissions), LOG_TEXT("networks", k->networks),
             LOG_TEXT("tier", k->tier), LOG_TEXT("traceparent", rpc_call_traceparent(call)));
}

/* ---- replies ---- */

/* A key as a message; what it points to lives in the same struct, and in k. */
struct key_message {
    Users__ApiKey key;
    Google__Protobuf__Timestamp created_at, expires_at;
    Users__ApiKeyPermission permissions[PERMISSIONS_COUNT];
    char *networks[API_KEY_NETWORKS_MAX];
    char networks_text[API_KEY_NETWORKS_SIZE];
    char public_key[BASE64_SIZE(ED25519_KEY_SIZE)];
};

static void time_to_proto(int64_t time_ms, Google__Protobuf__Timestamp *ret)
{
    google__protobuf__timestamp__init(ret);
    ret->seconds = time_ms / 1000;
    ret->nanos = (int32_t)(time_ms % 1000) * 1000000;
}

static size_t permissions_to_proto(uint64_t bits, Users__ApiKeyPermission *ret)
{
    size_t count = 0;
    for (unsigned p = PERMISSION_READ; p <= PERMISSION_WITHDRAW; p++)
        if (bits >> p & 1) ret[count++] = (Users__ApiKeyPermission)p;
    return count;
}

static void add_networks(const struct api_key *k, struct key_message *m)
{
    char *state = NULL;
    memcpy(m->networks_text, k->networks, sizeof m->networks_text);
    for (char *at = strtok_r(m->networks_text, ",", &state); at; at = strtok_r(NULL, ",", &state))
        m->networks[m->key.n_networks++] = at;
    m->key.networks = m->networks;
}

static Users__ApiKey *key_to_proto(const struct api_key *k, struct key_message *m)
{
    users__api_key__init(&m->key);
    time_to_proto(k->created_ms, &m->created_at);
    time_to_proto(k->expires_ms, &m->expires_at);
    m->key.key_id = (char *)k->key_id;
    m->key.name = (char *)k->name;
    m->key.kind = (Users__ApiKeyKind)k->kind;
    m->key.permissions = m->permissions;
    m->key.n_permissions = permissions_to_proto(k->permissions, m->permissions);
    m->key.tier = (char *)k->tier;
    m->key.created_at = &m->created_at;
    if (k->expires_ms) m->key.expires_at = &m->expires_at;
    if (k->kind == API_KEY_ED25519) {
        base64_encode(k->verifier, k->verifier_size, m->public_key);
        m->key.public_key = m->public_key;
    }
    add_networks(k, m);
    return &m->key;
}

static void reply_key(struct rpc_call *call, const struct api_key *k, Users__ApiKey_Closure reply)
{
    struct key_message message;
    reply(key_to_proto(k, &message), call);
}

static void fail(struct rpc_call *call, enum err e, const char *key_id)
{
    if (e == ERR_NOT_FOUND)
        rpc_fail(call, e, "there is no key %s", key_id);
    else
        users_fail_store(call, e);
}

/* ---- what a request says; false: the call has ended ---- */

static bool take_permissions(struct rpc_call *call, const Users__ApiKeyPermission *permissions,
                             size_t count, struct api_key *k)
{
    k->permissions = 0;
    for (size_t i = 0; i < count; i++) {
        if (permissions[i] < USERS__API_KEY_PERMISSION__READ ||
            permissions[i] > USERS__API_KEY_PERMISSION__WITHDRAW) {
            char field[RPC_NAME_MAX];
            (void)snprintf(field, sizeof field, "permissions[%zu]", i);
            rpc_fail_field(call, field, "one of READ, TRADE, WITHDRAW");
            return false;
        }
        k->permissions |= UINT64_C(1) << permissions[i];
    }
    return true;
}

static bool take_networks(struct rpc_call *call, char *const *networks, size_t count,
                          struct api_key *k)
{
    char field[RPC_NAME_MAX];
    size_t item = 0;
    struct err_detail detail = {0};
    if (!api_key_set_networks(k, networks, count, &item, &detail)) return true;
    (void)snprintf(field, sizeof field, "networks[%zu]", item);
    rpc_fail_field(call, field, "%s", detail.text);
    return false;
}

static bool take_name(struct rpc_call *call, const char *name, struct api_key *k)
{
    size_t size = strlen(name);
    if (size <= API_KEY_NAME_MAX) {
        memcpy(k->name, name, size + 1);
        return true;
    }
    rpc_fail_field(call, "name", "at most %d bytes", API_KEY_NAME_MAX);
    return false;
}

static bool take_expiry(struct rpc_call *call, const Google__Protobuf__Timestamp *at,
                        struct api_key *k)
{
    if (!at) return true;
    k->expires_ms = at->seconds * 1000 + at->nanos / 1000000;
    if (k->expires_ms > k->created_ms) return true;
    rpc_fail_field(call, "expiresAt", "a time to come");
    return false;
}

/* The public key, or a secret that we make. */
static bool take_verifier(struct rpc_call *call, const Users__CreateApiKeyRequest *req,
                          struct api_key *k, char ret_secret[static API_KEY_SECRET_SIZE + 1])
{
    const struct users *users = rpc_call_context(call);
    k->kind = (enum api_key_kind)req->kind;
    ret_secret[0] = 0;
    if (k->kind == API_KEY_ED25519) {
        k->verifier_size = ED25519_KEY_SIZE;
        if (!base64_decode(req->public_key, k->verifier, k->verifier_size)) return true;
        rpc_fail_field(call, "publicKey", "base64 of the 32 bytes of an Ed25519 public key");
    } else if (req->public_key[0]) {
        rpc_fail_field(call, "publicKey", "only with the kind ED25519");
    } else {
        api_key_make_secret(k, users->principal_key, ret_secret);
        return true;
    }
    return false;
}

/* ---- create ---- */

/* The lowest slot that none of the user's keys has; API_KEYS_MAX: all are taken. */
static int64_t free_slot(const struct api_key *keys, size_t count)
{
    int64_t slot = 0;
    for (size_t i = 0; i < count; i++)
        if (keys[i].slot == slot) {
            slot++;
            i = (size_t)-1; /* look at all again */
        }
    return slot;
}

/* ERR_EXHAUSTED: the user has as many as there may be. */
static enum err add_key(struct users *users, struct api_key *k)
{
    struct api_key *others = calloc(API_KEYS_MAX, sizeof *others);
    size_t count = 0;
    if (!others) return ERR_NO_MEMORY;
    enum err e = ERR_EXISTS; /* somebody took the slot at the same time */
    for (int i = 0; i < CONFLICTS_MAX && e == ERR_EXISTS; i++) {
        e = api_keys_store_of_user(users->store, k->user_id, others, &count);
        k->slot = e ? 0 : free_slot(others, count);
        if (!e) e = k->slot == API_KEYS_MAX ? ERR_EXHAUSTED : api_keys_store_add(users->store, k);
    }
    free(others);
    return e == ERR_EXISTS ? ERR_CONFLICT : e;
}

static void rpc_create_api_key(Users__ApiKeys_Service *self, const Users__CreateApiKeyRequest *req,
                               Users__CreatedApiKey_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct api_key k = {.created_ms = clock_wall_ms()};
    char secret[API_KEY_SECRET_SIZE + 1];
    id_format(id_new(), k.key_id);
    id_format(id_random(), k.grant);
    (void)snprintf(k.user_id, sizeof k.user_id, "%.32s", rpc_call_principal(call)->user_id);
    if (!take_name(call, req->name, &k) ||
        !take_permissions(call, req->permissions, req->n_permissions, &k) ||
        !take_networks(call, req->networks, req->n_networks, &k) ||
        !take_expiry(call, req->expires_at, &k) || !take_verifier(call, req, &k, secret))
        return;
    enum err e = add_key(rpc_call_context(call), &k);
    if (e == ERR_EXHAUSTED)
        return rpc_fail_reason(call, ERR_PRECONDITION, "too_many_api_keys",
                               "a user has at most %d keys; revoke one", API_KEYS_MAX);
    if (e) return users_fail_store(call, e);
    audit("api key created", call, &k);

    struct key_message message;
    Users__CreatedApiKey created = USERS__CREATED_API_KEY__INIT;
    created.api_key = key_to_proto(&k, &message);
    created.secret = secret;
    reply(&created, call);
    explicit_bzero(secret, sizeof secret);
}

/* ---- look ---- */

struct key_list {
    struct api_key keys[API_KEYS_MAX];
    struct key_message messages[API_KEYS_MAX];
    Users__ApiKey *items[API_KEYS_MAX];
};

static void rpc_list_api_keys(Users__ApiKeys_Service *self, const Users__ListApiKeysRequest *req,
                              Users__ListApiKeysResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)req;
    struct rpc_call *call = closure_data;
    struct users *users = rpc_call_context(call);
    Users__ListApiKeysResponse response = USERS__LIST_API_KEYS_RESPONSE__INIT;
    AUTO_FREE struct key_list *list = calloc(1, sizeof *list);
    if (!list) return rpc_fail(call, ERR_NO_MEMORY, "out of memory");
    enum err e = api_keys_store_of_user(users->store, rpc_call_principal(call)->user_id, list->keys,
                                        &response.n_items);
    if (e) return users_fail_store(call, e);
    for (size_t i = 0; i < response.n_items; i++)
        list->items[i] = key_to_proto(&list->keys[i], &list->messages[i]);
    response.items = list->items;
    reply(&response, call);
}

/* Somebody else's key is not there. */
static enum err get_own(struct rpc_call *call, const char *key_id, struct api_key *ret)
{
    struct users *users = rpc_call_context(call);
    enum err e = api_keys_store_get(users->store, key_id, ret);
    if (e) return e;
    return strcmp(ret->user_id, rpc_call_principal(call)->user_id) == 0 ? OK : ERR_NOT_FOUND;
}

static void rpc_get_api_key(Users__ApiKeys_Service *self, const Users__GetApiKeyRequest *req,
                            Users__ApiKey_Closure reply, void *closure_data)
{
    (void)self;
    struct api_key k;
    enum err e = get_own(closure_data, req->key_id, &k);
    if (e) return fail(closure_data, e, req->key_id);
    reply_key(closure_data, &k, reply);
}

/* ---- change and end ---- */

/*
 * That this grant has ended is kept as the end of a session is, so that a cache that lost it is
 * told again. Written before the key itself changes: should that fail, a restart may deny a grant
 * that still stands, until the change is tried again; never the other way round.
 */
static enum err keep_end(struct users *users, const struct api_key *k)
{
    struct session s = {.revoked = true, .created_ms = clock_wall_ms()};
    s.expires_ms = s.created_ms + SESSION_DENY_MS;
    memcpy(s.session_id, k->grant, sizeof s.session_id);
    memcpy(s.user_id, k->user_id, sizeof s.user_id);
    enum err e = sessions_store_add(users->store, &s);
    return e == ERR_EXISTS ? OK : e;
}

static void fail_deny(struct rpc_call *call, enum err e)
{
    rpc_fail(call, e, "done, but not known everywhere yet: %s", err_text(e));
}

/* k has changed: stores it, under a new grant. false: the call has ended. */
static enum err put_changed(struct users *users, struct api_key *k, char ret_old[USER_ID_SIZE])
{
    enum err e = keep_end(users, k);
    if (e) return e;
    memcpy(ret_old, k->grant, USER_ID_SIZE);
    id_format(id_random(), k->grant);
    return api_keys_store_update(users->store, k);
}

static void finish_change(struct rpc_call *call, const struct api_key *k, const char *old_grant,
                          Users__ApiKey_Closure reply)
{
    audit("api key changed", call, k);
    enum err e = users_deny(rpc_call_context(call), old_grant);
    if (e) return fail_deny(call, e);
    reply_key(call, k, reply);
}

static void rpc_update_api_key(Users__ApiKeys_Service *self, const Users__UpdateApiKeyRequest *req,
                               Users__ApiKey_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct api_key k;
    char old_grant[USER_ID_SIZE] = "";
    enum err e = ERR_CONFLICT;
    for (int i = 0; i < CONFLICTS_MAX && e == ERR_CONFLICT; i++) {
        e = get_own(call, req->key_id, &k);
        if (e) break;
        if (!take_name(call, req->name, &k) ||
            !take_permissions(call, req->permissions, req->n_permissions, &k) ||
            !take_networks(call, req->networks, req->n_networks, &k))
            return;
        e = put_changed(rpc_call_context(call), &k, old_grant);
    }
    if (e) return fail(call, e, req->key_id);
    finish_change(call, &k, old_grant, reply);
}

static void rpc_set_api_key_tier(Users__ApiKeys_Service *self,
                                 const Users__SetApiKeyTierRequest *req,
                                 Users__ApiKey_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct users *users = rpc_call_context(call);
    struct api_key k;
    char old_grant[USER_ID_SIZE] = "";
    enum err e = ERR_CONFLICT;
    for (int i = 0; i < CONFLICTS_MAX && e == ERR_CONFLICT; i++) {
        e = api_keys_store_get(users->store, req->key_id, &k);
        if (e) break;
        if (api_key_set_tier(&k, req->tier))
            return rpc_fail_field(call, "tier", "at most %d lower-case letters and digits",
                                  API_KEY_TIER_MAX);
        e = put_changed(users, &k, old_grant);
    }
    if (e) return fail(call, e, req->key_id);
    finish_change(call, &k, old_grant, reply);
}

static void rpc_revoke_api_key(Users__ApiKeys_Service *self, const Users__RevokeApiKeyRequest *req,
                               Users__RevokeApiKeyResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct users *users = rpc_call_context(call);
    struct api_key k;
    enum err e = get_own(call, req->key_id, &k);
    if (!e) e = keep_end(users, &k);
    if (!e) e = api_keys_store_delete(users->store, k.key_id);
    if (e) return fail(call, e, req->key_id);
    audit("api key revoked", call, &k);
    e = users_deny(users, k.grant);
    if (e) return fail_deny(call, e);
    Users__RevokeApiKeyResponse response = USERS__REVOKE_API_KEY_RESPONSE__INIT;
    reply(&response, call);
}

/* ---- for the gateway ---- */

static void reply_resolved(struct rpc_call *call, const struct api_key *k, const struct user *u,
                           Users__ResolvedApiKey_Closure reply)
{
    const struct users *users = rpc_call_context(call);
    char secret[API_KEY_SECRET_SIZE + 1];
    struct key_message message;
    Users__ResolvedApiKey r = USERS__RESOLVED_API_KEY__INIT;
    const Users__ApiKey *key = key_to_proto(k, &message);
    r.verifier = (ProtobufCBinaryData){k->verifier_size, (uint8_t *)k->verifier};
    if (k->kind == API_KEY_HMAC) {
        if (api_key_open_secret(k, users->principal_key, secret))
            return rpc_fail(call, ERR_CORRUPT, "the secret is not sealed by rpc.principal_key");
        r.verifier = (ProtobufCBinaryData){API_KEY_SECRET_SIZE, (uint8_t *)secret};
    }
    r.user_id = (char *)k->user_id;
    r.role = users_role_to_proto(u->role);
    r.kind = key->kind;
    r.n_permissions = key->n_permissions;
    r.permissions = key->permissions;
    r.networks = (char *)k->networks;
    r.tier = (char *)k->tier;
    r.grant = (char *)k->grant;
    r.expires_at = key->expires_at;
    reply(&r, call);
    explicit_bzero(secret, sizeof secret);
}

static void rpc_resolve_api_key(Users__ApiKeys_Service *self,
                                const Users__ResolveApiKeyRequest *req,
                                Users__ResolvedApiKey_Closure reply, void *closure_data)
{
    (void)self;
    struct users *users = rpc_call_context(closure_data);
    struct api_key k;
    struct user u;
    enum err e = api_keys_store_get(users->store, req->key_id, &k);
    if (!e) e = users_store_get(users->store, k.user_id, &u);
    if (e) return fail(closure_data, e, req->key_id);
    reply_resolved(closure_data, &k, &u, reply);
}

Users__ApiKeys_Service api_keys_rpc_service = USERS__API_KEYS__INIT(rpc_);
