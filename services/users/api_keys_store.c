/* API keys in, API keys out. */
#include "api_keys_store.h"

#include <string.h>

const struct store_index api_keys_indexes[] = {
    {"by_slot", {"user_id", "slot"}, true},
    {"by_user", {"user_id"}, false},
    {0},
};

static bson_t *to_bson(const struct api_key *k)
{
    return BCON_NEW(
        "_id", BCON_UTF8(k->key_id), "user_id", BCON_UTF8(k->user_id), "slot", BCON_INT64(k->slot),
        "grant", BCON_UTF8(k->grant), "name", BCON_UTF8(k->name), "networks",
        BCON_UTF8(k->networks), "tier", BCON_UTF8(k->tier), "kind", BCON_INT64(k->kind),
        "permissions", BCON_INT64((int64_t)k->permissions), "verifier",
        BCON_BIN(BSON_SUBTYPE_BINARY, k->verifier, (uint32_t)k->verifier_size), "created_ms",
        BCON_INT64(k->created_ms), "expires_ms", BCON_INT64(k->expires_ms));
}

static enum err from_bson(const bson_t *doc, struct api_key *ret)
{
    struct api_key k = {0};
    int64_t kind = 0, permissions = 0;
    if (!store_text(doc, "_id", k.key_id, sizeof k.key_id) ||
        !store_text(doc, "user_id", k.user_id, sizeof k.user_id) ||
        !store_text(doc, "grant", k.grant, sizeof k.grant) ||
        !store_text(doc, "name", k.name, sizeof k.name) ||
        !store_text(doc, "networks", k.networks, sizeof k.networks) ||
        !store_text(doc, "tier", k.tier, sizeof k.tier) ||
        !store_binary(doc, "verifier", k.verifier, sizeof k.verifier, &k.verifier_size) ||
        !store_int(doc, "slot", &k.slot) || !store_int(doc, "kind", &kind) ||
        !store_int(doc, "permissions", &permissions) ||
        !store_int(doc, "created_ms", &k.created_ms) ||
        !store_int(doc, "expires_ms", &k.expires_ms) || !store_int(doc, "v", &k.version) ||
        (kind != API_KEY_HMAC && kind != API_KEY_ED25519))
        return ERR_CORRUPT;
    k.kind = (enum api_key_kind)kind;
    k.permissions = (uint64_t)permissions;
    *ret = k;
    return OK;
}

enum err api_keys_store_add(struct store *s, const struct api_key *k)
{
    AUTO_BSON bson_t *doc = to_bson(k);
    return store_insert(s, API_KEYS, (const bson_t *const[]){doc}, 1, NULL);
}

enum err api_keys_store_get(struct store *s, const char *key_id, struct api_key *ret)
{
    AUTO_BSON bson_t *doc = NULL;
    enum err e = store_find_id(s, API_KEYS, key_id, &doc);
    if (e) return e;
    return from_bson(doc, ret);
}

enum err api_keys_store_of_user(struct store *s, const char *user_id,
                                struct api_key ret[static API_KEYS_MAX], size_t *ret_count)
{
    AUTO_BSON bson_t *filter = BCON_NEW("user_id", BCON_UTF8(user_id));
    const struct store_find find = {.filter = filter, .limit = API_KEYS_MAX};
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    const bson_t *doc;
    size_t count = 0;
    enum err e = store_find(s, API_KEYS, &find, &cursor);
    if (e) return e;
    while (!(e = store_cursor_next(cursor, &doc)) && !(e = from_bson(doc, &ret[count])))
        count++;
    if (e != ERR_NOT_FOUND) return e;
    *ret_count = count;
    return OK;
}

enum err api_keys_store_update(struct store *s, const struct api_key *k)
{
    AUTO_BSON bson_t *doc = to_bson(k);
    return store_update(s, API_KEYS, k->key_id, k->version, doc);
}

enum err api_keys_store_delete(struct store *s, const char *key_id)
{
    return store_delete(s, API_KEYS, key_id);
}
