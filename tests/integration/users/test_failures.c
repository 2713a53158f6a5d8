/* Every store call of every act fails in turn: the act fails whole, and can be done again. */
#include "users_fixture.h"

#include <stdio.h>
#include <string.h>

#define CALLS_MAX 8 /* store calls of an act; more would be a loop */

struct act {
    const char *what;
    unsigned store_calls; /* 0: the client repeats it by itself, as the contract allows */
    enum err (*run)(struct users_fixture *f);
};

static Users__Tokens *held; /* of the last login or refresh */

static void hold(Users__Tokens *own_tokens)
{
    fixture_reply_free(held);
    held = own_tokens;
}

static enum err act_register(struct users_fixture *f)
{
    return fixture_register(f, "bob");
}

static enum err act_log_in(struct users_fixture *f)
{
    Users__Tokens *tokens = NULL;
    enum err e = fixture_login(f, "ann", FIXTURE_PASSWORD, &tokens);
    if (!e) hold(tokens);
    return e;
}

static enum err act_refresh(struct users_fixture *f)
{
    Users__Tokens *tokens = NULL;
    enum err e = fixture_refresh(f, held->refresh_token, &tokens);
    if (!e) hold(tokens);
    return e;
}

static enum err act_who_am_i(struct users_fixture *f)
{
    struct principal p = fixture_principal(f, held);
    Users__WhoAmIRequest request = USERS__WHO_AM_IREQUEST__INIT;
    Users__User *user = NULL;
    enum err e = fixture_call(f, &p, "users.Users/WhoAmI", &request, &user);
    fixture_reply_free(user);
    return e;
}

static enum err act_log_out(struct users_fixture *f)
{
    struct principal p = fixture_principal(f, held);
    return fixture_logout(f, &p, held->refresh_token);
}

static char key_id[USER_ID_SIZE]; /* of the last key that was made */
static Users__ApiKeyPermission reading[] = {USERS__API_KEY_PERMISSION__READ};

static enum err act_make_key(struct users_fixture *f)
{
    struct principal p = fixture_principal(f, held);
    Users__CreateApiKeyRequest request = USERS__CREATE_API_KEY_REQUEST__INIT;
    Users__CreatedApiKey *created = NULL;
    request.name = (char *)"bot";
    request.kind = USERS__API_KEY_KIND__HMAC_SHA256;
    request.permissions = reading;
    request.n_permissions = 1;
    enum err e = fixture_call(f, &p, "users.ApiKeys/CreateApiKey", &request, &created);
    if (!e) (void)snprintf(key_id, sizeof key_id, "%s", created->api_key->key_id);
    fixture_reply_free(created);
    return e;
}

static enum err act_change_key(struct users_fixture *f)
{
    struct principal p = fixture_principal(f, held);
    Users__UpdateApiKeyRequest request = USERS__UPDATE_API_KEY_REQUEST__INIT;
    Users__ApiKey *key = NULL;
    request.key_id = key_id;
    request.name = (char *)"changed";
    request.permissions = reading;
    request.n_permissions = 1;
    enum err e = fixture_call(f, &p, "users.ApiKeys/UpdateApiKey", &request, &key);
    fixture_reply_free(key);
    return e;
}

static enum err act_revoke_key(struct users_fixture *f)
{
    struct principal p = fixture_principal(f, held);
    Users__RevokeApiKeyRequest request = USERS__REVOKE_API_KEY_REQUEST__INIT;
    Users__RevokeApiKeyResponse *reply = NULL;
    request.key_id = key_id;
    enum err e = fixture_call(f, &p, "users.ApiKeys/RevokeApiKey", &request, &reply);
    fixture_reply_free(reply);
    return e;
}

static void an_act_fails_whole_at_every_store_call(void **state)
{
    struct users_fixture *f = *state;
    static const struct act acts[] = {
        {"register", 1, act_register},       {"log in", 2, act_log_in},
        {"refresh", 3, act_refresh},         {"who am I", 0, act_who_am_i},
        {"make a key", 2, act_make_key},     {"change a key", 0, act_change_key},
        {"revoke a key", 3, act_revoke_key}, {"log out", 0, act_log_out},
    };
    assert_ok(fixture_register(f, "ann"));
    hold(fixture_tokens(f, "ann"));
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        unsigned n = 1;
        for (; n <= CALLS_MAX; n++) {
            store_fail_nth(f->users->store, n);
            enum err e = acts[i].run(f);
            store_fail_nth(f->users->store, 0);
            if (!e) break; /* it has fewer calls than n */
            if (e != ERR_UNAVAILABLE)
                fail_msg("%s, store call %u: %s", acts[i].what, n, err_name(e));
        }
        assert_int_equal(n - 1, acts[i].store_calls);
    }
    Users__Tokens *none = NULL;
    assert_err(fixture_refresh(f, held->refresh_token, &none), ERR_UNAUTHENTICATED);
    assert_err(fixture_register(f, "bob"), ERR_EXISTS);
    hold(NULL);
}

/* The thief is found out although the store was away when it was first seen. */
static void a_reuse_that_could_not_be_written_is_still_a_reuse(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *first = fixture_tokens(f, "ann"), *second = NULL, *none = NULL;
    assert_ok(fixture_refresh(f, first->refresh_token, &second));
    for (unsigned n = 1; n <= 3; n++) {
        store_fail_nth(f->users->store, n);
        assert_err(fixture_refresh(f, first->refresh_token, &none), ERR_UNAVAILABLE);
    }
    store_fail_nth(f->users->store, 0);
    assert_err(fixture_refresh(f, first->refresh_token, &none), ERR_UNAUTHENTICATED);
    assert_err(fixture_refresh(f, second->refresh_token, &none), ERR_UNAUTHENTICATED);
    fixture_reply_free(first);
    fixture_reply_free(second);
}

static void a_part_whose_keys_cannot_be_read_does_not_start(void **state)
{
    struct users_fixture *f = *state;
    fixture_stop(f);
    char path[2 * TEMP_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/token-keys/zzz.pem", f->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("not a key", file);
    (void)fclose(file);
    assert_err(fixture_start(f), ERR_INVALID);
    assert_non_null(strstr(f->detail.text, "zzz.pem"));
    (void)remove(path);
    assert_ok(fixture_start(f));
}

static void an_address_that_is_taken_stops_the_start(void **state)
{
    struct users_fixture *f = *state;
    void *second = NULL;
    struct err_detail detail = {0};
    assert_err(users_part.start(f->env, &second, &detail), ERR_UNAVAILABLE);
    assert_null(second);
    users_part.stop(NULL, 0);
}

static void ready_says_what_is_missing(void **state)
{
    struct users_fixture *f = *state;
    struct err_detail detail = {0};
    assert_ok(users_part.ready(f->users, &detail));
    store_fail_nth(f->users->store, 1);
    assert_err(users_part.ready(f->users, &detail), ERR_UNAVAILABLE);
    assert_non_null(strstr(detail.text, "store"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        users_test(an_act_fails_whole_at_every_store_call),
        users_test(a_reuse_that_could_not_be_written_is_still_a_reuse),
        users_test(a_part_whose_keys_cannot_be_read_does_not_start),
        users_test(an_address_that_is_taken_stops_the_start),
        users_test(ready_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
