/* Tokens to principals: keys that come and go, sessions that end, and a part that is away. */
#include "support/unit.h"

#include "auth.h"
#include "base/clock.h"
#include "base/token.h"
#include "support/gateway/request.h"
#include "support/rpc/fixture.h"
#include "support/temp.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

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

#define SIGNERS 2

struct context {
    struct fixture f; /* users */
    struct cache *cache;
    struct auth *auth;
    char directories[SIGNERS][TEMP_PATH_SIZE];
    struct token_keys *signers[SIGNERS];
    atomic_bool served[SIGNERS]; /* which public keys users tells */
    atomic_bool away;
    atomic_uint asked;
};

static void rpc_jwks(Users__Users_Service *self, const Users__JwksRequest *request,
                     Users__JwksResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    struct context *c = rpc_call_context(call);
    Users__Jwk keys[SIGNERS], *pointers[SIGNERS];
    Users__JwksResponse response = USERS__JWKS_RESPONSE__INIT;
    atomic_fetch_add(&c->asked, 1);
    if (atomic_load(&c->away)) return rpc_fail(call, ERR_INTERNAL, "away");
    response.keys = pointers;
    for (int i = 0; i < SIGNERS; i++) {
        if (!atomic_load(&c->served[i])) continue;
        const struct token_jwk *jwk = token_keys_jwk(c->signers[i], 0);
        Users__Jwk *key = &keys[response.n_keys];
        users__jwk__init(key);
        key->kid = (char *)jwk->kid;
        key->x = (char *)jwk->x;
        key->y = (char *)jwk->y;
        pointers[response.n_keys++] = key;
    }
    reply(&response, call);
}

static int start(void **state)
{
    static unsigned number;
    char url[64];
    struct context *c = calloc(1, sizeof *c);
    fixture_init(&c->f, c);
    c->f.users.jwks = rpc_jwks;
    (void)snprintf(url, sizeof url, "inproc://auth-test-%u", number);
    fixture_start(&c->f, url, NULL);
    fixture_connect(&c->f, NULL);
    (void)snprintf(url, sizeof url, "memory:auth-test-%u", number++);
    assert_ok(cache_open(&(struct cache_options){.url = url}, &c->cache, NULL));
    for (int i = 0; i < SIGNERS; i++) {
        temp_make(c->directories[i]);
        assert_ok(token_keys_load(c->directories[i], &c->signers[i], NULL));
    }
    c->served[0] = true;
    assert_ok(auth_new(c->f.client, c->cache, &c->auth));
    *state = c;
    return 0;
}

static int stop(void **state)
{
    struct context *c = *state;
    auth_free(c->auth);
    fixture_stop(&c->f);
    cache_close(c->cache);
    for (int i = 0; i < SIGNERS; i++) {
        token_keys_free(c->signers[i]);
        temp_remove(c->directories[i]);
    }
    free(c);
    return 0;
}

#define SESSION "fedcba9876543210fedcba9876543210"

/* A token of that signer, for user number n, that ends in so many seconds. */
static void issue(struct context *c, int signer, unsigned n, int64_t valid_s,
                  char ret[static TOKEN_TEXT_MAX])
{
    struct token_claims claims = {.role = ROLE_USER, .session_id = SESSION};
    claims.expires_s = clock_wall_ms() / 1000 + valid_s;
    claims.issued_s = claims.expires_s - TOKEN_VALID_S;
    (void)snprintf(claims.user_id, sizeof claims.user_id, "%032u", n);
    assert_ok(token_issue(c->signers[signer], &claims, ret));
}

static enum err judge(struct context *c, const char *token)
{
    struct principal p;
    int64_t expires_s;
    return auth_token(c->auth, token, &p, &expires_s);
}

static void a_good_token_is_a_principal(void **state)
{
    struct context *c = *state;
    char token[TOKEN_TEXT_MAX];
    issue(c, 0, 7, 600, token);
    for (int i = 0; i < 3; i++) { /* verified, then remembered */
        struct principal p = {0};
        int64_t expires_s = 0;
        assert_ok(auth_token(c->auth, token, &p, &expires_s));
        assert_int_equal(p.role, ROLE_USER);
        assert_string_equal(p.user_id, "00000000000000000000000000000007");
        assert_string_equal(p.session_id, SESSION);
        assert_true(p.permissions == UINT64_MAX);
        assert_in_range(expires_s, clock_wall_ms() / 1000 + 590, clock_wall_ms() / 1000 + 601);
    }
    assert_int_equal(atomic_load(&c->asked), 1);
}

static void what_is_no_token_of_ours_is_refused(void **state)
{
    struct context *c = *state;
    char token[TOKEN_TEXT_MAX], changed[TOKEN_TEXT_MAX], huge[3 * TOKEN_TEXT_MAX];
    issue(c, 0, 1, 600, token);
    size_t size = strlen(token);
    for (size_t i = 0; i < size; i += 7) {
        memcpy(changed, token, size + 1);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        if (strcmp(changed, token) != 0) assert_err(judge(c, changed), ERR_UNAUTHENTICATED);
        changed[i] = 0;
        assert_err(judge(c, changed), ERR_UNAUTHENTICATED);
    }
    issue(c, 0, 1, -1, token);
    assert_err(judge(c, token), ERR_UNAUTHENTICATED);
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    assert_err(judge(c, huge), ERR_UNAUTHENTICATED);
}

static void a_newer_key_is_fetched_but_not_too_often(void **state)
{
    struct context *c = *state;
    char old[TOKEN_TEXT_MAX], new[TOKEN_TEXT_MAX];
    issue(c, 0, 1, 600, old);
    issue(c, 1, 1, 600, new);
    assert_ok(judge(c, old));
    for (int i = 0; i < 10; i++)
        assert_err(judge(c, new), ERR_UNAUTHENTICATED);
    assert_int_equal(atomic_load(&c->asked), 1);

    atomic_store(&c->served[1], true);
    let_pass(AUTH_REFETCH_MS);
    assert_ok(judge(c, new));
    assert_ok(judge(c, old)); /* both are good while one is being retired */
    assert_int_equal(atomic_load(&c->asked), 2);
}

static void a_key_that_was_withdrawn_is_no_good_any_more(void **state)
{
    struct context *c = *state;
    char stolen[TOKEN_TEXT_MAX], next[TOKEN_TEXT_MAX];
    issue(c, 0, 1, 600, stolen);
    issue(c, 0, 2, 600, next);
    assert_ok(judge(c, stolen));
    atomic_store(&c->served[0], false);
    atomic_store(&c->served[1], true);
    let_pass(AUTH_KEYS_MS + 1);
    assert_err(judge(c, next), ERR_UNAUTHENTICATED);   /* the first that must be verified */
    assert_err(judge(c, stolen), ERR_UNAUTHENTICATED); /* is not remembered either */
}

static void without_users_nobody_is_let_in_at_first(void **state)
{
    struct context *c = *state;
    char token[TOKEN_TEXT_MAX];
    issue(c, 0, 1, 600, token);
    atomic_store(&c->away, true);
    assert_err(judge(c, token), ERR_UNAVAILABLE);
    unsigned asked = atomic_load(&c->asked);
    assert_err(judge(c, token), ERR_UNAVAILABLE); /* and users is left alone for a moment */
    assert_int_equal(atomic_load(&c->asked), asked);
    atomic_store(&c->away, false);
    let_pass(AUTH_RETRY_MS);
    assert_ok(judge(c, token));
}

static void without_users_known_keys_go_on(void **state)
{
    struct context *c = *state;
    char token[TOKEN_TEXT_MAX], other[TOKEN_TEXT_MAX];
    issue(c, 0, 1, 600, token);
    issue(c, 0, 2, 600, other);
    assert_ok(judge(c, token));
    atomic_store(&c->away, true);
    let_pass(AUTH_KEYS_MS + 1);
    assert_ok(judge(c, other));
    issue(c, 1, 3, 600, other);
    assert_err(judge(c, other), ERR_UNAVAILABLE); /* it may well be good: who knows */
}

static void a_session_that_ended_is_refused_at_once(void **state)
{
    struct context *c = *state;
    char token[TOKEN_TEXT_MAX];
    struct principal p = {.session_id = SESSION};
    issue(c, 0, 1, 600, token);
    assert_ok(judge(c, token));
    assert_ok(auth_session(c->auth, &p));
    assert_ok(cache_deny(c->cache, "session", SESSION, 60000));
    assert_err(judge(c, token), ERR_UNAUTHENTICATED);
    assert_err(auth_session(c->auth, &p), ERR_UNAUTHENTICATED);
}

static void without_the_deny_list_nobody_is_let_in(void **state)
{
    struct context *c = *state;
    char token[TOKEN_TEXT_MAX];
    struct cache *away = NULL;
    struct auth *auth = NULL;
    struct principal p = {0};
    int64_t expires_s;
    const struct cache_options options = {.url = "redis://127.0.0.1:1", .timeout_ms = 200};
    issue(c, 0, 1, 600, token);
    assert_ok(cache_open(&options, &away, NULL));
    assert_ok(auth_new(c->f.client, away, &auth));
    assert_err(auth_token(auth, token, &p, &expires_s), ERR_UNAVAILABLE);
    assert_err(auth_session(auth, &p), ERR_UNAVAILABLE);
    auth_free(auth);
    cache_close(away);
}

/* ---- many at once ---- */

struct token_caller {
    struct context *c;
    pthread_barrier_t *start;
    char token[TOKEN_TEXT_MAX];
    enum err result;
};

static void *judge_at_once(void *arg)
{
    struct token_caller *caller = arg;
    (void)pthread_barrier_wait(caller->start);
    caller->result = judge(caller->c, caller->token);
    return NULL;
}

static void of_many_who_need_the_keys_one_asks_for_them(void **state)
{
    enum { CALLERS = 8 };
    struct context *c = *state;
    pthread_t threads[CALLERS];
    struct token_caller callers[CALLERS];
    pthread_barrier_t begin;
    (void)pthread_barrier_init(&begin, NULL, CALLERS);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct token_caller){.c = c, .start = &begin};
        issue(c, 0, i, 600, callers[i].token);
        assert_int_equal(pthread_create(&threads[i], NULL, judge_at_once, &callers[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_ok(callers[i].result);
    }
    assert_int_equal(atomic_load(&c->asked), 1);
    (void)pthread_barrier_destroy(&begin);
}

/* ---- requests ---- */

static enum err judge_request(struct context *c, const char *verb, const char *const *headers,
                              struct principal *ret)
{
    struct request r;
    struct rpc_status status;
    AUTO_BUF struct buf body;
    buf_init(&body, 1);
    request_init(&r);
    r.exchange.verb = verb;
    for (size_t i = 0; headers[i]; i += 2)
        request_add(&r, headers[i], headers[i + 1]);
    return auth_request(c->auth, &r.exchange, &body, ret, &status);
}

static void a_request_says_who_it_is_by_header_or_cookie(void **state)
{
    struct context *c = *state;
    char token[TOKEN_TEXT_MAX], bearer[TOKEN_TEXT_MAX + 16], cookie[TOKEN_TEXT_MAX + 64];
    issue(c, 0, 1, 600, token);
    (void)snprintf(bearer, sizeof bearer, "Bearer %s", token);
    (void)snprintf(cookie, sizeof cookie, "tp_csrf=secret; tp_access=%s", token);
    const struct {
        const char *verb, *headers[5];
        enum err e;
        enum role role;
    } table[] = {
        {"GET", {NULL}, OK, ROLE_GUEST},
        {"POST", {NULL}, OK, ROLE_GUEST},
        {"POST", {"Authorization", bearer, NULL}, OK, ROLE_USER},
        {"POST", {"Authorization", "Basic x", NULL}, ERR_UNAUTHENTICATED, ROLE_GUEST},
        {"POST", {"Authorization", "Bearer ", NULL}, ERR_UNAUTHENTICATED, ROLE_GUEST},
        {"GET", {"Cookie", cookie, NULL}, OK, ROLE_USER},
        {"POST", {"Cookie", cookie, NULL}, ERR_DENIED, ROLE_GUEST},
        {"DELETE", {"Cookie", cookie, "X-CSRF-Token", "secre", NULL}, ERR_DENIED, ROLE_GUEST},
        {"DELETE", {"Cookie", cookie, "X-CSRF-Token", "secret", NULL}, OK, ROLE_USER},
        {"GET", {"Cookie", "tp_access=x", NULL}, ERR_UNAUTHENTICATED, ROLE_GUEST},
        {"POST",
         {"Cookie", "tp_csrf=; tp_access=x", "X-CSRF-Token", "", NULL},
         ERR_DENIED,
         ROLE_GUEST},
        /* The header wins: a cookie that came along by itself does not matter. */
        {"POST", {"Authorization", bearer, "Cookie", "tp_access=x", NULL}, OK, ROLE_USER},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct principal p = {0};
        assert_err(judge_request(c, table[i].verb, table[i].headers, &p), table[i].e);
        assert_int_equal(p.role, table[i].role);
    }
}

#define auth_test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        auth_test(a_good_token_is_a_principal),
        auth_test(what_is_no_token_of_ours_is_refused),
        auth_test(a_newer_key_is_fetched_but_not_too_often),
        auth_test(a_key_that_was_withdrawn_is_no_good_any_more),
        auth_test(without_users_nobody_is_let_in_at_first),
        auth_test(without_users_known_keys_go_on),
        auth_test(a_session_that_ended_is_refused_at_once),
        auth_test(without_the_deny_list_nobody_is_let_in),
        auth_test(of_many_who_need_the_keys_one_asks_for_them),
        auth_test(a_request_says_who_it_is_by_header_or_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
