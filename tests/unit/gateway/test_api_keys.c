/* Keys to principals: what is remembered and for how long, what ends at once, and who is away. */
#include "support/unit.h"

#include "api_keys.h"
#include "base/clock.h"
#include "proto/contract.h"
#include "support/rpc/fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Time passes when a test says so: the linker sends every clock_mono_ms here. */
int64_t __real_clock_mono_ms(void); /* NOLINT(bugprone-reserved-identifier) */
int64_t __wrap_clock_mono_ms(void); /* NOLINT(bugprone-reserved-identifier) */
static _Atomic int64_t passed_ms;

int64_t __wrap_clock_mono_ms(void)
{
    return __real_clock_mono_ms() + atomic_load(&passed_ms);
}

static void let_pass(int64_t ms)
{
    atomic_fetch_add(&passed_ms, ms);
}

#define SECRET "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfe"
#define USER   "00000000000000000000000000000007"

struct context {
    struct fixture f; /* users */
    struct cache *cache;
    struct api_keys *keys;
    atomic_uint asked;
    atomic_bool away;
    /* What users says of every key whose id begins with 0; changed between requests only. */
    char grant[40];
    const char *networks, *tier;
    size_t secret_size;
    int64_t expires_ms;
    Users__Role role;
    Users__ApiKeyKind kind;
};

static void rpc_resolve(Users__ApiKeys_Service *self, const Users__ResolveApiKeyRequest *request,
                        Users__ResolvedApiKey_Closure reply, void *call)
{
    (void)self;
    struct context *c = rpc_call_context(call);
    Users__ResolvedApiKey r = USERS__RESOLVED_API_KEY__INIT;
    Users__ApiKeyPermission permissions[] = {USERS__API_KEY_PERMISSION__READ,
                                             USERS__API_KEY_PERMISSION__TRADE};
    Google__Protobuf__Timestamp expires = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    atomic_fetch_add(&c->asked, 1);
    if (atomic_load(&c->away)) return rpc_fail(call, ERR_INTERNAL, "away");
    if (request->key_id[0] != '0') return rpc_fail(call, ERR_NOT_FOUND, "there is no such key");
    expires.seconds = c->expires_ms / 1000;
    expires.nanos = (int32_t)(c->expires_ms % 1000) * 1000000;
    r.user_id = (char *)USER;
    r.role = c->role;
    r.kind = c->kind;
    r.verifier = (ProtobufCBinaryData){c->secret_size, (uint8_t *)(SECRET SECRET)};
    r.permissions = permissions;
    r.n_permissions = 2;
    r.networks = (char *)c->networks;
    r.tier = (char *)c->tier;
    r.grant = c->grant;
    if (c->expires_ms) r.expires_at = &expires;
    reply(&r, call);
}

static int start(void **state)
{
    static unsigned number;
    char url[64];
    struct context *c = calloc(1, sizeof *c);
    *c = (struct context){.networks = "",
                          .tier = "maker",
                          .secret_size = sizeof SECRET - 1,
                          .grant = "grant-1",
                          .role = USERS__ROLE__ROLE_USER,
                          .kind = USERS__API_KEY_KIND__HMAC_SHA256};
    fixture_init(&c->f, c);
    c->f.api_keys.resolve_api_key = rpc_resolve;
    (void)snprintf(url, sizeof url, "inproc://api-keys-test-%u", number);
    fixture_start(&c->f, url, NULL);
    fixture_connect(&c->f, NULL);
    (void)snprintf(url, sizeof url, "memory:api-keys-test-%u", number++);
    assert_ok(cache_open(&(struct cache_options){.url = url}, &c->cache, NULL));
    assert_ok(api_keys_new(c->f.client, c->cache, &c->keys));
    *state = c;
    return 0;
}

static int stop(void **state)
{
    struct context *c = *state;
    api_keys_free(c->keys);
    fixture_stop(&c->f);
    cache_close(c->cache);
    free(c);
    return 0;
}

/* ---- a request, signed ---- */

struct request {
    struct signed_request signed_request;
    char key_id[33], timestamp[24], signature[2 * SHA256_SIZE + 1];
};

static void sign(struct request *r, unsigned key, const char *secret)
{
    static _Atomic int64_t last_ms; /* no two requests are alike */
    uint8_t mac[SHA256_SIZE];
    AUTO_BUF struct buf text;
    int64_t now_ms = clock_wall_ms(), before_ms = atomic_load(&last_ms);
    now_ms = now_ms > before_ms ? now_ms : before_ms + 1;
    atomic_store(&last_ms, now_ms);
    buf_init(&text, SIGNATURE_TEXT_MAX);
    (void)snprintf(r->key_id, sizeof r->key_id, "%032x", key);
    (void)snprintf(r->timestamp, sizeof r->timestamp, "%lld", (long long)now_ms);
    r->signed_request = (struct signed_request){.method = "POST",
                                                .path = "/api/v1/orders",
                                                .query = "",
                                                .key_id = r->key_id,
                                                .timestamp = r->timestamp,
                                                .window = "60000",
                                                .signature = r->signature,
                                                .body = "{}",
                                                .body_size = 2};
    assert_ok(signature_text(&r->signed_request, &text));
    crypt_hmac_sha256(secret, strlen(secret), text.data, text.size, mac);
    hex_encode(mac, sizeof mac, r->signature);
}

struct verdict {
    enum err e;
    struct principal principal;
    struct rpc_status status;
    int64_t expires_s;
};

static struct verdict judge_request(struct context *c, const struct request *r, bool once)
{
    struct verdict v = {0};
    const struct api_keys_asked asked = {&r->signed_request, "192.0.2.7", once};
    v.e = api_keys_verify(c->keys, &asked, &v.principal, &v.expires_s, &v.status);
    return v;
}

static struct verdict judge(struct context *c, unsigned key)
{
    struct request r;
    sign(&r, key, SECRET);
    return judge_request(c, &r, true);
}

static void assert_refused(struct verdict v, enum err e, const char *reason)
{
    assert_err(v.e, e);
    assert_err(v.status.err, e);
    assert_string_equal(v.status.reason, reason);
    assert_true(v.status.message[0] != 0);
    assert_int_equal(v.principal.role, ROLE_GUEST);
}

static void deny(struct context *c, const char *grant)
{
    assert_ok(cache_deny(c->cache, API_KEYS_DENY_LIST, grant, 60000));
}

/* ---- what is known ---- */

static void a_signed_request_is_a_principal(void **state)
{
    struct context *c = *state;
    for (int i = 0; i < 3; i++) {
        struct verdict v = judge(c, 1);
        assert_ok(v.e);
        assert_int_equal(v.principal.role, ROLE_USER);
        assert_string_equal(v.principal.user_id, USER);
        assert_string_equal(v.principal.session_id, "grant-1");
        assert_string_equal(v.principal.key_id, "00000000000000000000000000000001");
        assert_string_equal(v.principal.tier, "maker");
        assert_int_equal(v.principal.permissions, 1 << PERMISSION_READ | 1 << PERMISSION_TRADE);
        assert_in_range(v.expires_s, clock_wall_ms() / 1000 + API_KEYS_SESSION_S - 30,
                        clock_wall_ms() / 1000 + API_KEYS_SESSION_S);
    }
    assert_int_equal(atomic_load(&c->asked), 1); /* once for all three */
    let_pass(API_KEYS_KNOWN_MS + 1);
    assert_ok(judge(c, 1).e);
    assert_int_equal(atomic_load(&c->asked), 2);
}

static void an_unknown_key_is_remembered_too_and_refused_as_a_forgery_is(void **state)
{
    struct context *c = *state;
    struct request forged;
    sign(&forged, 1, "another secret");
    struct verdict forgery = judge_request(c, &forged, true);
    assert_refused(forgery, ERR_UNAUTHENTICATED, "bad_signature");
    for (int i = 0; i < 3; i++) {
        struct request r;
        sign(&r, 2, SECRET);
        r.key_id[0] = 'f';
        struct verdict v = judge_request(c, &r, true);
        assert_refused(v, ERR_UNAUTHENTICATED, "bad_signature");
        assert_string_equal(v.status.message, forgery.status.message);
    }
    assert_int_equal(atomic_load(&c->asked), 2); /* one time each */
}

/* All of these share one slot. */
static void made_up_ids_drive_out_no_key(void **state)
{
    struct context *c = *state;
    struct request r;
    assert_ok(judge(c, 5).e);
    for (int i = 0; i < 4; i++) {
        sign(&r, 5, SECRET);
        r.key_id[0] = (char)('a' + i);
        assert_err(judge_request(c, &r, true).e, ERR_UNAUTHENTICATED);
    }
    unsigned asked = atomic_load(&c->asked);
    assert_ok(judge(c, 5).e);
    assert_int_equal(atomic_load(&c->asked), asked);
    assert_ok(judge(c, 5 + API_KEYS_KNOWN).e); /* a key that exists does: the newer one stays */
    assert_ok(judge(c, 5).e);
    assert_int_equal(atomic_load(&c->asked), asked + 2);
}

/* ---- what ends ---- */

static void a_grant_that_ended_is_looked_up_anew_at_once(void **state)
{
    struct context *c = *state;
    assert_ok(judge(c, 1).e);
    c->tier = "pro";
    assert_string_equal(judge(c, 1).principal.tier, "maker");
    (void)snprintf(c->grant, sizeof c->grant, "grant-2");
    deny(c, "grant-1");
    struct verdict v = judge(c, 1);
    assert_ok(v.e);
    assert_string_equal(v.principal.tier, "pro");
    assert_string_equal(v.principal.session_id, "grant-2");
    assert_int_equal(atomic_load(&c->asked), 2);
}

static void a_grant_that_ends_this_moment_lets_nobody_in(void **state)
{
    struct context *c = *state;
    assert_ok(judge(c, 1).e);
    deny(c, "grant-1"); /* and users still says it */
    for (int i = 0; i < 2; i++)
        assert_refused(judge(c, 1), ERR_UNAUTHENTICATED, "bad_signature");
}

static void an_expired_key_is_told_so_to_who_signed_rightly(void **state)
{
    struct context *c = *state;
    struct request forged;
    c->expires_ms = clock_wall_ms() - 1;
    sign(&forged, 1, "another secret");
    assert_refused(judge_request(c, &forged, true), ERR_UNAUTHENTICATED, "bad_signature");
    assert_refused(judge(c, 1), ERR_UNAUTHENTICATED, "invalid_api_key");
    deny(c, "grant-1");
    (void)snprintf(c->grant, sizeof c->grant, "grant-2");
    c->expires_ms = clock_wall_ms() + 500000;
    struct verdict v = judge(c, 1);
    assert_ok(v.e);
    assert_int_equal(v.expires_s, c->expires_ms / 1000); /* sooner than a session of it would */
}

static void a_key_is_good_from_its_networks_only(void **state)
{
    static const struct {
        const char *networks;
        enum err e;
    } table[] = {
        {"", OK},
        {"192.0.2.7", OK},
        {"10.0.0.0/8,192.0.2.0/24", OK},
        {"0.0.0.0/0", OK},
        {"192.0.2.8", ERR_DENIED},
        {"10.0.0.0/8,2001:db8::/32", ERR_DENIED},
        {"::/0", ERR_DENIED},
    };
    struct context *c = *state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        c->networks = table[i].networks;
        struct verdict v = judge(c, 100 + i);
        if (table[i].e)
            assert_refused(v, ERR_DENIED, "ip_not_allowed");
        else
            assert_ok(v.e);
    }
}

/* ---- once ---- */

static void a_request_counts_once_where_it_changes_something(void **state)
{
    struct context *c = *state;
    struct request r, other;
    sign(&r, 1, SECRET);
    assert_ok(judge_request(c, &r, false).e); /* reading: as often as one likes */
    assert_ok(judge_request(c, &r, false).e);
    assert_ok(judge_request(c, &r, true).e);
    assert_refused(judge_request(c, &r, true), ERR_UNAUTHENTICATED, "replayed");
    assert_ok(judge_request(c, &r, false).e);
    sign(&other, 1, SECRET);
    assert_ok(judge_request(c, &other, true).e);
    sign(&r, 1, "another secret"); /* what nobody signed is not remembered */
    assert_refused(judge_request(c, &r, true), ERR_UNAUTHENTICATED, "bad_signature");
    assert_refused(judge_request(c, &r, true), ERR_UNAUTHENTICATED, "bad_signature");
}

static void an_old_request_is_refused_before_anybody_is_asked(void **state)
{
    struct context *c = *state;
    struct request r;
    sign(&r, 1, SECRET);
    (void)snprintf(r.timestamp, sizeof r.timestamp, "%lld", (long long)clock_wall_ms() - 60001);
    assert_refused(judge_request(c, &r, true), ERR_UNAUTHENTICATED, "timestamp_out_of_window");
    (void)snprintf(r.timestamp, sizeof r.timestamp, "%lld", (long long)clock_wall_ms() + 30000);
    assert_refused(judge_request(c, &r, true), ERR_UNAUTHENTICATED, "timestamp_out_of_window");
    r.signed_request.timestamp = NULL;
    assert_err(judge_request(c, &r, true).e, ERR_INVALID);
    assert_int_equal(atomic_load(&c->asked), 0);
}

/* ---- who is away ---- */

static void without_users_nobody_new_is_let_in(void **state)
{
    struct context *c = *state;
    assert_ok(judge(c, 1).e);
    atomic_store(&c->away, true);
    assert_refused(judge(c, 2), ERR_UNAVAILABLE, "");
    assert_ok(judge(c, 1).e); /* known, for a while */
    let_pass(API_KEYS_KNOWN_MS + 1);
    assert_refused(judge(c, 1), ERR_UNAVAILABLE, "");
    atomic_store(&c->away, false);
    assert_ok(judge(c, 1).e); /* that it was away is not remembered */
    assert_ok(judge(c, 2).e);
}

static void without_the_cache_nobody_is_let_in(void **state)
{
    struct context *c = *state;
    struct cache *away = NULL;
    struct api_keys *keys = NULL;
    const struct cache_options options = {.url = "redis://127.0.0.1:1", .timeout_ms = 200};
    assert_ok(cache_open(&options, &away, NULL));
    assert_ok(api_keys_new(c->f.client, away, &keys));
    struct api_keys *own = c->keys;
    c->keys = keys;
    assert_refused(judge(c, 1), ERR_UNAVAILABLE, "");
    c->keys = own;
    api_keys_free(keys);
    cache_close(away);
}

static void what_users_would_not_say_lets_nobody_in(void **state)
{
    struct context *c = *state;
    unsigned key = 200;
    c->role = USERS__ROLE__ROLE_UNSPECIFIED;
    assert_refused(judge(c, key++), ERR_UNAVAILABLE, "");
    c->role = USERS__ROLE__ROLE_ADMIN;
    struct verdict v = judge(c, key++);
    assert_ok(v.e);
    assert_int_equal(v.principal.role, ROLE_ADMIN);
    c->kind = USERS__API_KEY_KIND__API_KEY_KIND_UNSPECIFIED;
    assert_refused(judge(c, key++), ERR_UNAVAILABLE, "");
    c->kind = USERS__API_KEY_KIND__ED25519; /* of 64 bytes */
    assert_refused(judge(c, key++), ERR_UNAVAILABLE, "");
    c->kind = USERS__API_KEY_KIND__HMAC_SHA256;
    c->secret_size = SIGNATURE_SECRET_MAX + 1;
    assert_refused(judge(c, key++), ERR_UNAVAILABLE, "");
    c->secret_size = sizeof SECRET - 1;
    c->networks = "nonsense";
    assert_refused(judge(c, key++), ERR_UNAVAILABLE, "");
    c->networks = "";
    c->tier = "a tier that is too long";
    assert_refused(judge(c, key++), ERR_UNAVAILABLE, "");
    c->tier = "";
    c->grant[0] = 0;
    assert_refused(judge(c, key++), ERR_UNAVAILABLE, "");
}

#define keys_test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        keys_test(a_signed_request_is_a_principal),
        keys_test(an_unknown_key_is_remembered_too_and_refused_as_a_forgery_is),
        keys_test(made_up_ids_drive_out_no_key),
        keys_test(a_grant_that_ended_is_looked_up_anew_at_once),
        keys_test(a_grant_that_ends_this_moment_lets_nobody_in),
        keys_test(an_expired_key_is_told_so_to_who_signed_rightly),
        keys_test(a_key_is_good_from_its_networks_only),
        keys_test(a_request_counts_once_where_it_changes_something),
        keys_test(an_old_request_is_refused_before_anybody_is_asked),
        keys_test(without_users_nobody_new_is_let_in),
        keys_test(without_the_cache_nobody_is_let_in),
        keys_test(what_users_would_not_say_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
