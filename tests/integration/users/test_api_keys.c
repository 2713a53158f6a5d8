/* API keys: whose they are, what is told of them and what never is, and what ends with them. */
#include "users_fixture.h"

#include "api_keys_store.h"
#include "proto/contract.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define PUBLIC_KEY "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

struct member {
    Users__Tokens *tokens;
    struct principal principal;
};

static struct member log_in(struct users_fixture *f, const char *name)
{
    assert_ok(fixture_register(f, name));
    struct member c = {.tokens = fixture_tokens(f, name)};
    c.principal = fixture_principal(f, c.tokens);
    return c;
}

static Users__ApiKeyPermission read_and_trade[] = {USERS__API_KEY_PERMISSION__READ,
                                                   USERS__API_KEY_PERMISSION__TRADE};

static Users__CreateApiKeyRequest a_request(void)
{
    Users__CreateApiKeyRequest request = USERS__CREATE_API_KEY_REQUEST__INIT;
    request.name = (char *)"bot";
    request.kind = USERS__API_KEY_KIND__HMAC_SHA256;
    request.permissions = read_and_trade;
    request.n_permissions = 2;
    return request;
}

static enum err create(struct users_fixture *f, const struct principal *as,
                       const Users__CreateApiKeyRequest *request, Users__CreatedApiKey **ret)
{
    return fixture_call(f, as, "users.ApiKeys/CreateApiKey", request, ret);
}

/* Its key id, for those who need no more. */
static void make_key(struct users_fixture *f, const struct principal *as,
                     char ret[static USER_ID_SIZE])
{
    Users__CreateApiKeyRequest request = a_request();
    Users__CreatedApiKey *created = NULL;
    assert_ok(create(f, as, &request, &created));
    (void)snprintf(ret, USER_ID_SIZE, "%s", created->api_key->key_id);
    fixture_reply_free(created);
}

static enum err revoke_key(struct users_fixture *f, const struct principal *as, const char *key_id)
{
    Users__RevokeApiKeyRequest request = USERS__REVOKE_API_KEY_REQUEST__INIT;
    Users__RevokeApiKeyResponse *reply = NULL;
    request.key_id = (char *)key_id;
    enum err e = fixture_call(f, as, "users.ApiKeys/RevokeApiKey", &request, &reply);
    fixture_reply_free(reply);
    return e;
}

static enum err get(struct users_fixture *f, const struct principal *as, const char *key_id)
{
    Users__GetApiKeyRequest request = USERS__GET_API_KEY_REQUEST__INIT;
    Users__ApiKey *reply = NULL;
    request.key_id = (char *)key_id;
    enum err e = fixture_call(f, as, "users.ApiKeys/GetApiKey", &request, &reply);
    fixture_reply_free(reply);
    return e;
}

static enum err resolve(struct users_fixture *f, const struct principal *as, const char *key_id,
                        Users__ResolvedApiKey **ret)
{
    Users__ResolveApiKeyRequest request = USERS__RESOLVE_API_KEY_REQUEST__INIT;
    request.key_id = (char *)key_id;
    return fixture_call(f, as, "users.ApiKeys/ResolveApiKey", &request, ret);
}

static enum err resolve_as_gateway(struct users_fixture *f, const char *key_id,
                                   Users__ResolvedApiKey **ret)
{
    struct principal gateway = principal_service("gateway");
    return resolve(f, &gateway, key_id, ret);
}

static bool grant_is_denied(struct users_fixture *f, const char *grant)
{
    struct principal p = {.role = ROLE_USER};
    (void)snprintf(p.session_id, sizeof p.session_id, "%s", grant);
    return fixture_is_denied(f, &p);
}

static void a_key_of_either_kind_is_made_and_resolved(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann");
    char *networks[] = {(char *)"203.0.113.0/24", (char *)"2001:db8::7"};
    for (int kind = 1; kind <= 2; kind++) {
        Users__CreateApiKeyRequest request = a_request();
        Users__CreatedApiKey *created = NULL;
        Users__ResolvedApiKey *resolved = NULL;
        bool hmac = kind == (int)USERS__API_KEY_KIND__HMAC_SHA256;
        request.kind = (Users__ApiKeyKind)kind;
        request.networks = networks;
        request.n_networks = 2;
        if (!hmac) request.public_key = (char *)PUBLIC_KEY;
        assert_ok(create(f, &ann.principal, &request, &created));
        const Users__ApiKey *key = created->api_key;
        assert_int_equal(strlen(created->secret), hmac ? API_KEY_SECRET_SIZE : 0);
        assert_string_equal(key->public_key, hmac ? "" : PUBLIC_KEY);
        assert_string_equal(key->name, "bot");
        assert_int_equal(key->kind, kind);
        assert_int_equal(key->n_permissions, 2);
        assert_int_equal(key->n_networks, 2);
        assert_string_equal(key->networks[1], networks[1]);
        assert_string_equal(key->tier, "");
        assert_null(key->expires_at);

        assert_ok(resolve_as_gateway(f, key->key_id, &resolved));
        assert_string_equal(resolved->user_id, ann.principal.user_id);
        assert_int_equal(resolved->role, USERS__ROLE__ROLE_USER);
        assert_string_equal(resolved->networks, "203.0.113.0/24,2001:db8::7");
        assert_int_equal(resolved->n_permissions, 2);
        assert_int_equal(resolved->verifier.len, hmac ? API_KEY_SECRET_SIZE : ED25519_KEY_SIZE);
        if (hmac)
            assert_memory_equal(resolved->verifier.data, created->secret, API_KEY_SECRET_SIZE);
        assert_false(grant_is_denied(f, resolved->grant));
        fixture_reply_free(resolved);
        fixture_reply_free(created);
    }
    fixture_reply_free(ann.tokens);
}

static bool contains(const uint8_t *bytes, size_t size, const char *text)
{
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

static void a_secret_is_stored_sealed_and_told_once(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann");
    Users__CreateApiKeyRequest request = a_request();
    Users__ListApiKeysRequest all = USERS__LIST_API_KEYS_REQUEST__INIT;
    Users__CreatedApiKey *created = NULL;
    Users__ListApiKeysResponse *list = NULL;
    assert_ok(create(f, &ann.principal, &request, &created));

    assert_ok(fixture_call(f, &ann.principal, "users.ApiKeys/ListApiKeys", &all, &list));
    assert_int_equal(list->n_items, 1);
    uint8_t packed[1024];
    assert_true(protobuf_c_message_get_packed_size(&list->base) <= sizeof packed);
    size_t size = protobuf_c_message_pack(&list->base, packed);
    assert_true(contains(packed, size, created->api_key->key_id));
    assert_false(contains(packed, size, created->secret));

    AUTO_BSON bson_t *doc = NULL;
    assert_ok(store_find_id(f->users->store, API_KEYS, created->api_key->key_id, &doc));
    assert_false(contains(bson_get_data(doc), doc->len, created->secret));
    uint8_t raw[API_KEY_SECRET_SIZE / 2];
    assert_ok(hex_decode(created->secret, raw, sizeof raw));
    assert_null(memmem(bson_get_data(doc), doc->len, raw, sizeof raw));
    fixture_reply_free(list);
    fixture_reply_free(created);
    fixture_reply_free(ann.tokens);
}

/* A document of one key copied into another's place, or damaged, opens nothing. */
static void a_sealed_secret_is_good_in_its_own_document_only(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann");
    char mine[USER_ID_SIZE], other[USER_ID_SIZE];
    struct api_key k, o;
    Users__ResolvedApiKey *none = NULL;
    make_key(f, &ann.principal, mine);
    make_key(f, &ann.principal, other);
    assert_ok(api_keys_store_get(f->users->store, mine, &k));
    assert_ok(api_keys_store_get(f->users->store, other, &o));
    memcpy(k.verifier, o.verifier, sizeof k.verifier);
    assert_ok(api_keys_store_update(f->users->store, &k));
    assert_err(resolve_as_gateway(f, mine, &none), ERR_CORRUPT);
    fixture_reply_free(ann.tokens);
}

static void a_field_that_is_wrong_is_named(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann");
    static Users__ApiKeyPermission none[] = {
        USERS__API_KEY_PERMISSION__READ, USERS__API_KEY_PERMISSION__API_KEY_PERMISSION_UNSPECIFIED};
    static char *bad_network[] = {(char *)"10.0.0.0/8", (char *)"10.0.0.1/8"};
    static char *two_in_one[] = {(char *)"10.0.0.0/8,11.0.0.0/8"};
    static char *empty[] = {(char *)""};
    static char long_name[API_KEY_NAME_MAX + 2];
    memset(long_name, 'n', sizeof long_name - 1);
    Google__Protobuf__Timestamp past = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    const struct {
        const char *field;
        Users__CreateApiKeyRequest change;
    } table[] = {
        {"name", {.name = (char *)""}},
        {"name", {.name = long_name}},
        {"kind", {.kind = USERS__API_KEY_KIND__API_KEY_KIND_UNSPECIFIED, .public_key = (char *)""}},
        {"permissions", {.n_permissions = 0, .permissions = none}},
        {"permissions[1]", {.n_permissions = 2, .permissions = none}},
        {"networks[1]", {.n_networks = 2, .networks = bad_network}},
        {"networks[0]", {.n_networks = 1, .networks = two_in_one}},
        {"networks[0]", {.n_networks = 1, .networks = empty}},
        {"expiresAt", {.expires_at = &past}},
        {"publicKey", {.public_key = (char *)PUBLIC_KEY}},
        {"publicKey", {.kind = USERS__API_KEY_KIND__ED25519}},
        {"publicKey", {.kind = USERS__API_KEY_KIND__ED25519, .public_key = (char *)"AAAA"}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const Users__CreateApiKeyRequest *c = &table[i].change;
        Users__CreateApiKeyRequest request = a_request();
        Users__CreatedApiKey *created = NULL;
        if (c->name) request.name = c->name;
        if (c->kind || (c->public_key && !c->public_key[0])) request.kind = c->kind;
        if (c->public_key) request.public_key = c->public_key;
        if (c->permissions) {
            request.permissions = c->permissions;
            request.n_permissions = c->n_permissions;
        }
        request.networks = c->networks;
        request.n_networks = c->n_networks;
        request.expires_at = c->expires_at;
        assert_err(create(f, &ann.principal, &request, &created), ERR_INVALID);
        if (strcmp(f->status.errors[0].field, table[i].field) != 0)
            fail_msg("%zu: %s, not %s", i, f->status.errors[0].field, table[i].field);
    }
    fixture_reply_free(ann.tokens);
}

static void a_user_has_so_many_keys_and_no_more(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann"), bob = log_in(f, "bob");
    char first[USER_ID_SIZE], key_id[USER_ID_SIZE];
    Users__CreateApiKeyRequest request = a_request();
    Users__CreatedApiKey *created = NULL;
    make_key(f, &ann.principal, first);
    for (int i = 1; i < API_KEYS_MAX; i++)
        make_key(f, &ann.principal, key_id);
    assert_err(create(f, &ann.principal, &request, &created), ERR_PRECONDITION);
    assert_string_equal(f->status.reason, "too_many_api_keys");
    make_key(f, &bob.principal, key_id); /* others have their own */
    assert_ok(revoke_key(f, &ann.principal, first));
    make_key(f, &ann.principal, key_id);
    assert_err(create(f, &ann.principal, &request, &created), ERR_PRECONDITION);
    fixture_reply_free(ann.tokens);
    fixture_reply_free(bob.tokens);
}

struct racer {
    struct users_fixture *f;
    const struct principal *as;
    pthread_barrier_t *start;
    enum err result;
};

static void *create_at_once(void *arg)
{
    struct racer *r = arg;
    Users__CreateApiKeyRequest request = a_request();
    const struct rpc_options options = {.principal = r->as};
    ProtobufCMessage *reply = NULL;
    (void)pthread_barrier_wait(r->start);
    r->result =
        rpc_call(r->f->client, "users.ApiKeys/CreateApiKey", &request.base, &options, &reply, NULL);
    fixture_reply_free(reply);
    return NULL;
}

static void of_many_who_take_the_last_place_one_gets_it(void **state)
{
    enum { RACERS = 4 };
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann");
    char key_id[USER_ID_SIZE];
    pthread_t threads[RACERS];
    struct racer racers[RACERS];
    pthread_barrier_t start;
    int won = 0;
    for (int i = 1; i < API_KEYS_MAX; i++)
        make_key(f, &ann.principal, key_id);
    (void)pthread_barrier_init(&start, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){f, &ann.principal, &start, OK};
        assert_int_equal(pthread_create(&threads[i], NULL, create_at_once, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        (void)pthread_join(threads[i], NULL);
        if (racers[i].result)
            assert_err(racers[i].result, ERR_PRECONDITION);
        else
            won++;
    }
    assert_int_equal(won, 1);
    (void)pthread_barrier_destroy(&start);
    fixture_reply_free(ann.tokens);
}

static void a_key_is_its_owners_alone_and_a_sessions_to_change(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann"), bob = log_in(f, "bob");
    struct principal key = ann.principal; /* a key of hers, with everything it can have */
    key.permissions = 1 << PERMISSION_READ | 1 << PERMISSION_TRADE | 1 << PERMISSION_WITHDRAW;
    char key_id[USER_ID_SIZE];
    Users__ResolvedApiKey *none = NULL;
    make_key(f, &ann.principal, key_id);
    assert_ok(get(f, &ann.principal, key_id));
    assert_err(get(f, &bob.principal, key_id), ERR_NOT_FOUND);
    assert_err(revoke_key(f, &bob.principal, key_id), ERR_NOT_FOUND);
    assert_err(get(f, &key, key_id), ERR_DENIED);
    assert_err(revoke_key(f, &key, key_id), ERR_DENIED);
    assert_err(get(f, NULL, key_id), ERR_UNAUTHENTICATED);
    assert_err(resolve(f, &ann.principal, key_id, &none), ERR_DENIED);
    assert_err(resolve(f, NULL, key_id, &none), ERR_UNAUTHENTICATED);
    fixture_reply_free(ann.tokens);
    fixture_reply_free(bob.tokens);
}

static void grant_of(struct users_fixture *f, const char *key_id, char ret[static USER_ID_SIZE])
{
    Users__ResolvedApiKey *resolved = NULL;
    assert_ok(resolve_as_gateway(f, key_id, &resolved));
    (void)snprintf(ret, USER_ID_SIZE, "%s", resolved->grant);
    fixture_reply_free(resolved);
}

static void a_change_ends_the_grant_before_it(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann"), root = log_in(f, "root");
    char key_id[USER_ID_SIZE], first[USER_ID_SIZE], second[USER_ID_SIZE], third[USER_ID_SIZE];
    char *networks[] = {(char *)"192.0.2.1"};
    Users__UpdateApiKeyRequest update = USERS__UPDATE_API_KEY_REQUEST__INIT;
    Users__SetApiKeyTierRequest tier = USERS__SET_API_KEY_TIER_REQUEST__INIT;
    Users__ApiKey *key = NULL;
    make_key(f, &ann.principal, key_id);
    grant_of(f, key_id, first);

    update.key_id = key_id;
    update.name = (char *)"renamed";
    update.permissions = read_and_trade;
    update.n_permissions = 1;
    update.networks = networks;
    update.n_networks = 1;
    assert_ok(fixture_call(f, &ann.principal, "users.ApiKeys/UpdateApiKey", &update, &key));
    assert_string_equal(key->name, "renamed");
    assert_int_equal(key->n_permissions, 1);
    assert_int_equal(key->n_networks, 1);
    fixture_reply_free(key);
    grant_of(f, key_id, second);
    assert_true(grant_is_denied(f, first));
    assert_false(grant_is_denied(f, second));

    tier.key_id = key_id;
    tier.tier = (char *)"maker";
    assert_err(fixture_call(f, &ann.principal, "users.ApiKeys/SetApiKeyTier", &tier, &key),
               ERR_DENIED);
    root.principal.role = ROLE_ADMIN;
    assert_ok(fixture_call(f, &root.principal, "users.ApiKeys/SetApiKeyTier", &tier, &key));
    assert_string_equal(key->tier, "maker");
    fixture_reply_free(key);
    grant_of(f, key_id, third);
    assert_true(grant_is_denied(f, second));
    static const char *const wrong[] = {"Maker", "a.b", "a-b", "aaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tier.tier = (char *)wrong[i];
        assert_err(fixture_call(f, &root.principal, "users.ApiKeys/SetApiKeyTier", &tier, &key),
                   ERR_INVALID);
        assert_string_equal(f->status.errors[0].field, "tier");
    }
    assert_false(grant_is_denied(f, third));
    fixture_reply_free(ann.tokens);
    fixture_reply_free(root.tokens);
}

static void a_revoked_key_is_gone_and_stays_denied_after_a_restart(void **state)
{
    struct users_fixture *f = *state;
    struct member ann = log_in(f, "ann");
    char key_id[USER_ID_SIZE], kept[USER_ID_SIZE], grant[USER_ID_SIZE], kept_grant[USER_ID_SIZE];
    Users__ResolvedApiKey *none = NULL;
    make_key(f, &ann.principal, key_id);
    make_key(f, &ann.principal, kept);
    grant_of(f, key_id, grant);
    grant_of(f, kept, kept_grant);
    assert_ok(revoke_key(f, &ann.principal, key_id));
    assert_err(revoke_key(f, &ann.principal, key_id), ERR_NOT_FOUND);
    assert_err(resolve_as_gateway(f, key_id, &none), ERR_NOT_FOUND);
    assert_true(grant_is_denied(f, grant));
    fixture_stop(f); /* and with it the cache in this process */
    assert_ok(fixture_start(f));
    assert_true(grant_is_denied(f, grant));
    assert_false(grant_is_denied(f, kept_grant));
    grant_of(f, kept, grant); /* its secret is still readable */
    assert_string_equal(grant, kept_grant);
    fixture_reply_free(ann.tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        users_test(a_key_of_either_kind_is_made_and_resolved),
        users_test(a_secret_is_stored_sealed_and_told_once),
        users_test(a_sealed_secret_is_good_in_its_own_document_only),
        users_test(a_field_that_is_wrong_is_named),
        users_test(a_user_has_so_many_keys_and_no_more),
        users_test(of_many_who_take_the_last_place_one_gets_it),
        users_test(a_key_is_its_owners_alone_and_a_sessions_to_change),
        users_test(a_change_ends_the_grant_before_it),
        users_test(a_revoked_key_is_gone_and_stays_denied_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
