/* Sessions: refresh tokens rotate, a stolen one ends them, and they survive a restart. */
#include "users_fixture.h"

#include "users_store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void a_refresh_gives_new_tokens_for_the_same_session(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *first = fixture_tokens(f, "ann"), *second = NULL, *third = NULL;
    assert_ok(fixture_refresh(f, first->refresh_token, &second));
    assert_string_not_equal(first->refresh_token, second->refresh_token);
    assert_ok(fixture_refresh(f, second->refresh_token, &third));
    struct principal before = fixture_principal(f, first), after = fixture_principal(f, third);
    assert_string_equal(before.session_id, after.session_id);
    assert_string_equal(before.user_id, after.user_id);
    assert_string_equal(third->user->username, "ann");
    fixture_reply_free(first);
    fixture_reply_free(second);
    fixture_reply_free(third);
}

static void a_token_used_twice_ends_the_session_for_both(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *first = fixture_tokens(f, "ann"), *second = NULL, *none = NULL;
    Users__Tokens *elsewhere = fixture_tokens(f, "ann");
    struct principal ann = fixture_principal(f, first);
    assert_ok(fixture_refresh(f, first->refresh_token, &second));
    assert_false(fixture_is_denied(f, &ann));
    assert_err(fixture_refresh(f, first->refresh_token, &none), ERR_UNAUTHENTICATED);
    assert_string_equal(f->status.reason, "bad_refresh_token");
    assert_true(fixture_is_denied(f, &ann)); /* its access tokens too */
    assert_err(fixture_refresh(f, second->refresh_token, &none), ERR_UNAUTHENTICATED);

    struct principal other = fixture_principal(f, elsewhere); /* another login goes on */
    assert_false(fixture_is_denied(f, &other));
    assert_ok(fixture_refresh(f, elsewhere->refresh_token, &none));
    fixture_reply_free(none);
    fixture_reply_free(first);
    fixture_reply_free(second);
    fixture_reply_free(elsewhere);
}

static void a_token_that_was_never_issued_changes_nothing(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *tokens = fixture_tokens(f, "ann"), *next = NULL;
    char forged[REFRESH_TEXT_SIZE];
    static const char *const garbage[] = {"", ".", "..", "x",
                                          "0123456789abcdef0123456789abcdef.1."};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++)
        assert_err(fixture_refresh(f, garbage[i], &next), ERR_UNAUTHENTICATED);
    (void)snprintf(forged, sizeof forged, "%s", tokens->refresh_token);
    forged[USER_ID_SIZE]++; /* the generation */
    assert_err(fixture_refresh(f, forged, &next), ERR_UNAUTHENTICATED);
    assert_ok(fixture_refresh(f, tokens->refresh_token, &next));
    fixture_reply_free(next);
    fixture_reply_free(tokens);
}

struct race {
    struct users_fixture *f;
    const char *token;
    pthread_barrier_t *start;
    enum err result;
};

static void *refresh_at_once(void *arg)
{
    struct race *r = arg;
    Users__RefreshRequest request = USERS__REFRESH_REQUEST__INIT;
    request.refresh_token = (char *)r->token;
    ProtobufCMessage *reply = NULL;
    (void)pthread_barrier_wait(r->start);
    r->result = rpc_call(r->f->client, "users.Users/Refresh", &request.base, NULL, &reply, NULL);
    if (reply) protobuf_c_message_free_unpacked(reply, NULL);
    return NULL;
}

static void of_many_refreshes_at_once_one_wins_and_the_session_ends(void **state)
{
    enum { RACERS = 6, ROUNDS = 5 };
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    for (int round = 0; round < ROUNDS; round++) {
        Users__Tokens *tokens = fixture_tokens(f, "ann");
        struct principal ann = fixture_principal(f, tokens);
        pthread_barrier_t start;
        pthread_t threads[RACERS];
        struct race races[RACERS];
        (void)pthread_barrier_init(&start, NULL, RACERS);
        for (int i = 0; i < RACERS; i++) {
            races[i] = (struct race){f, tokens->refresh_token, &start, OK};
            assert_int_equal(pthread_create(&threads[i], NULL, refresh_at_once, &races[i]), 0);
        }
        int winners = 0;
        for (int i = 0; i < RACERS; i++) {
            (void)pthread_join(threads[i], NULL);
            if (!races[i].result)
                winners++;
            else
                assert_err(races[i].result, ERR_UNAUTHENTICATED);
        }
        assert_int_equal(winners, 1);
        assert_true(fixture_is_denied(f, &ann));
        (void)pthread_barrier_destroy(&start);
        fixture_reply_free(tokens);
    }
}

static void logging_out_ends_the_session_at_once(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *tokens = fixture_tokens(f, "ann"), *none = NULL;
    struct principal ann = fixture_principal(f, tokens);
    assert_ok(fixture_logout(f, &ann, ""));
    assert_true(fixture_is_denied(f, &ann));
    assert_err(fixture_refresh(f, tokens->refresh_token, &none), ERR_UNAUTHENTICATED);
    assert_ok(fixture_logout(f, &ann, "")); /* again: no harm */
    fixture_reply_free(tokens);
}

static void logging_out_also_ends_the_session_of_the_refresh_token(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *one = fixture_tokens(f, "ann"), *two = fixture_tokens(f, "ann"), *none = NULL;
    struct principal ann = fixture_principal(f, one), other = fixture_principal(f, two);
    assert_ok(fixture_logout(f, &ann, two->refresh_token));
    assert_true(fixture_is_denied(f, &ann));
    assert_true(fixture_is_denied(f, &other));
    assert_err(fixture_refresh(f, two->refresh_token, &none), ERR_UNAUTHENTICATED);
    fixture_reply_free(one);
    fixture_reply_free(two);
}

/* ---- restarts and time ---- */

static void keys_and_sessions_survive_a_restart(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *tokens = fixture_tokens(f, "ann"), *next = NULL;
    fixture_stop(f);
    assert_ok(fixture_start(f));
    struct principal ann = fixture_principal(f, tokens); /* verified with the same keys */
    Users__WhoAmIRequest request = USERS__WHO_AM_IREQUEST__INIT;
    Users__User *user = NULL;
    assert_ok(fixture_call(f, &ann, "users.Users/WhoAmI", &request, &user));
    assert_string_equal(user->username, "ann");
    assert_ok(fixture_refresh(f, tokens->refresh_token, &next));
    fixture_reply_free(user);
    fixture_reply_free(next);
    fixture_reply_free(tokens);
}

static void a_session_that_ended_stays_ended_after_a_restart(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *out = fixture_tokens(f, "ann"), *stolen = fixture_tokens(f, "ann");
    Users__Tokens *open = fixture_tokens(f, "ann"), *next = NULL, *none = NULL;
    struct principal ann = fixture_principal(f, out), thief = fixture_principal(f, stolen);
    assert_ok(fixture_logout(f, &ann, ""));
    assert_ok(fixture_refresh(f, stolen->refresh_token, &next));
    assert_err(fixture_refresh(f, stolen->refresh_token, &none), ERR_UNAUTHENTICATED);
    fixture_stop(f); /* and with it the cache in this process */
    assert_ok(fixture_start(f));
    assert_true(fixture_is_denied(f, &ann));
    assert_true(fixture_is_denied(f, &thief));
    struct principal still = fixture_principal(f, open);
    assert_false(fixture_is_denied(f, &still));
    fixture_reply_free(next);
    fixture_reply_free(open);
    fixture_reply_free(stolen);
    fixture_reply_free(out);
}

static void more_ended_sessions_than_a_page_are_denied_after_a_restart(void **state)
{
    struct users_fixture *f = *state;
    int64_t now_ms = clock_wall_ms();
    for (unsigned i = 0; i <= 2 * SESSIONS_PAGE; i++) {
        struct session s = {.expires_ms = now_ms + 600000, .revoked = i != 1};
        (void)snprintf(s.session_id, sizeof s.session_id, "%032x", i);
        memcpy(s.user_id, s.session_id, sizeof s.user_id);
        assert_ok(sessions_store_add(f->users->store, &s));
    }
    fixture_stop(f);
    assert_ok(fixture_start(f));
    for (unsigned i = 0; i <= 2 * SESSIONS_PAGE; i++) {
        struct principal p = {.role = ROLE_USER};
        (void)snprintf(p.session_id, sizeof p.session_id, "%032x", i);
        assert_int_equal(fixture_is_denied(f, &p), i != 1);
    }
}

static void add_session(struct users_fixture *f, char last_digit, int64_t expires_ms)
{
    struct session s = {.generation = 1, .expires_ms = expires_ms};
    memset(s.session_id, '0', USER_ID_SIZE - 1);
    s.session_id[USER_ID_SIZE - 2] = last_digit;
    memcpy(s.user_id, s.session_id, sizeof s.user_id);
    assert_ok(sessions_store_add(f->users->store, &s));
}

static enum err find_session(struct users_fixture *f, char last_digit)
{
    struct session s;
    char session_id[USER_ID_SIZE] = "00000000000000000000000000000000";
    session_id[USER_ID_SIZE - 2] = last_digit;
    return sessions_store_get(f->users->store, session_id, &s);
}

static void expired_sessions_are_swept(void **state)
{
    struct users_fixture *f = *state;
    int64_t now_ms = clock_wall_ms();
    add_session(f, '1', now_ms - 1);
    add_session(f, '2', now_ms + 600000);
    add_session(f, '3', 0);
    fixture_stop(f);
    assert_ok(fixture_start(f)); /* a part that starts sweeps first */
    assert_err(find_session(f, '1'), ERR_NOT_FOUND);
    assert_err(find_session(f, '3'), ERR_NOT_FOUND);
    assert_ok(find_session(f, '2'));
}

static void a_session_that_expired_cannot_be_refreshed(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *tokens = fixture_tokens(f, "ann"), *none = NULL;
    struct principal ann = fixture_principal(f, tokens);
    struct session s;
    assert_ok(sessions_store_get(f->users->store, ann.session_id, &s));
    s.expires_ms = clock_wall_ms() - 1;
    assert_ok(sessions_store_update(f->users->store, &s));
    assert_err(fixture_refresh(f, tokens->refresh_token, &none), ERR_UNAUTHENTICATED);
    fixture_reply_free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        users_test(a_refresh_gives_new_tokens_for_the_same_session),
        users_test(a_token_used_twice_ends_the_session_for_both),
        users_test(a_token_that_was_never_issued_changes_nothing),
        users_test(of_many_refreshes_at_once_one_wins_and_the_session_ends),
        users_test(logging_out_ends_the_session_at_once),
        users_test(logging_out_also_ends_the_session_of_the_refresh_token),
        users_test(keys_and_sessions_survive_a_restart),
        users_test(a_session_that_ended_stays_ended_after_a_restart),
        users_test(more_ended_sessions_than_a_page_are_denied_after_a_restart),
        users_test(expired_sessions_are_swept),
        users_test(a_session_that_expired_cannot_be_refreshed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
