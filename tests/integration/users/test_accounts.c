/* Accounts: who gets one, who may see whom, and what a flood of passwords does to the rest. */
#include "users_fixture.h"

#include "support/eventually.h"
#include "users_store.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static Users__User *who_am_i(struct users_fixture *f, const struct principal *p)
{
    Users__WhoAmIRequest request = USERS__WHO_AM_IREQUEST__INIT;
    Users__User *user = NULL;
    assert_ok(fixture_call(f, p, "users.Users/WhoAmI", &request, &user));
    return user;
}

/* ---- registering and logging in ---- */

static void who_registered_logs_in_and_is_who_they_said(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "Ann"));
    Users__Tokens *tokens = fixture_tokens(f, "aNN"); /* names are compared in lower case */
    assert_string_equal(tokens->token_type, "Bearer");
    assert_int_equal(tokens->expires_in, TOKEN_VALID_S);
    struct principal ann = fixture_principal(f, tokens);
    assert_int_equal(ann.role, ROLE_USER);

    Users__User *user = who_am_i(f, &ann);
    assert_string_equal(user->user_id, ann.user_id);
    assert_string_equal(user->user_id, tokens->user->user_id);
    assert_string_equal(user->email, "Ann@example.com");
    assert_string_equal(user->username, "Ann");
    assert_int_equal(user->role, USERS__ROLE__ROLE_USER);
    assert_in_range(user->created_at->seconds, clock_wall_ms() / 1000 - 60,
                    clock_wall_ms() / 1000 + 1);
    fixture_reply_free(user);
    fixture_reply_free(tokens);
}

static void a_name_is_given_once(void **state)
{
    struct users_fixture *f = *state;
    static const struct {
        const char *email, *username;
        enum err expected;
    } table[] = {
        {"ann@example.com", "ann", OK},           {"ann@example.com", "other", ERR_EXISTS},
        {"ANN@Example.com", "other", ERR_EXISTS}, {"other@example.com", "ann", ERR_EXISTS},
        {"other@example.com", "ANN", ERR_EXISTS}, {"other@example.com", "other", OK},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        Users__RegisterRequest request = USERS__REGISTER_REQUEST__INIT;
        request.email = (char *)table[i].email;
        request.username = (char *)table[i].username;
        request.password = (char *)FIXTURE_PASSWORD;
        Users__User *user = NULL;
        enum err e = fixture_call(f, NULL, "users.Users/RegisterUser", &request, &user);
        assert_err(e, table[i].expected);
        if (e) assert_string_equal(f->status.reason, "user_exists");
        fixture_reply_free(user);
    }
}

static void a_field_that_is_wrong_is_named(void **state)
{
    struct users_fixture *f = *state;
    static const struct {
        const char *email, *username, *password, *field;
    } table[] = {
        {"", "ann", FIXTURE_PASSWORD, "email"},
        {"ann", "ann", FIXTURE_PASSWORD, "email"},
        {"ann@example.com", "", FIXTURE_PASSWORD, "username"},
        {"ann@example.com", "an", FIXTURE_PASSWORD, "username"},
        {"ann@example.com", "ann b", FIXTURE_PASSWORD, "username"},
        {"ann@example.com", "ann", "", "password"},
        {"ann@example.com", "ann", "1234567", "password"},
        {"ann@example.com", "ann",
         "0123456789012345678901234567890123456789012345678901234567890123456789012", "password"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        Users__RegisterRequest request = USERS__REGISTER_REQUEST__INIT;
        request.email = (char *)table[i].email;
        request.username = (char *)table[i].username;
        request.password = (char *)table[i].password;
        Users__User *user = NULL;
        assert_err(fixture_call(f, NULL, "users.Users/RegisterUser", &request, &user), ERR_INVALID);
        assert_int_equal(f->status.error_count, 1);
        assert_string_equal(f->status.errors[0].field, table[i].field);
    }
}

static void an_unknown_email_and_a_wrong_password_look_the_same(void **state)
{
    struct users_fixture *f = *state;
    Users__Tokens *tokens = NULL;
    assert_ok(fixture_register(f, "ann"));
    assert_err(fixture_login(f, "ann", "wrong horse battery", &tokens), ERR_UNAUTHENTICATED);
    struct rpc_status wrong = f->status;
    assert_err(fixture_login(f, "nobody", FIXTURE_PASSWORD, &tokens), ERR_UNAUTHENTICATED);
    assert_string_equal(f->status.reason, wrong.reason);
    assert_string_equal(f->status.message, wrong.message);
}

static int64_t cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Not the wall clock, which a busy machine bends: the CPU that the whole process spends. */
static void an_unknown_email_costs_as_much_as_a_wrong_password(void **state)
{
    struct users_fixture *f = *state;
    fixture_stop(f);
    fixture_set(f, "users.bcrypt_cost=9"); /* well above what the rest of a call costs */
    assert_ok(fixture_start(f));
    assert_ok(fixture_register(f, "ann"));

    static const char *const names[] = {"ann", "nobody"};
    int64_t spent[2];
    for (int i = 0; i < 2; i++) {
        Users__Tokens *tokens = NULL;
        int64_t begin = cpu_us();
        for (int n = 0; n < 5; n++)
            assert_err(fixture_login(f, names[i], "wrong horse battery", &tokens),
                       ERR_UNAUTHENTICATED);
        spent[i] = cpu_us() - begin;
    }
    assert_true(spent[1] > spent[0] / 2 && spent[0] > spent[1] / 2);
}

static enum err log_in_with(struct users_fixture *f, const char *email, const char *password,
                            const char *refresh_token)
{
    Users__LoginRequest request = USERS__LOGIN_REQUEST__INIT;
    Users__Tokens *tokens = NULL;
    request.email = (char *)email;
    request.password = (char *)password;
    request.refresh_token = (char *)refresh_token;
    enum err e = fixture_call(f, NULL, "users.Users/Login", &request, &tokens);
    fixture_reply_free(tokens);
    return e;
}

static void wrong_passwords_are_limited_and_do_not_lock_the_owner_out(void **state)
{
    static const char *const emails[] = {"ann@example.com", "nobody@example.com"};
    struct users_fixture *f = *state;
    fixture_stop(f);
    fixture_set(f, "users.wrong_passwords_max=3");
    assert_ok(fixture_start(f));
    assert_ok(fixture_register(f, "ann"));
    assert_ok(fixture_register(f, "bob"));
    Users__Tokens *ann = fixture_tokens(f, "ann"), *bob = fixture_tokens(f, "bob");

    for (int i = 0; i < 2; i++) { /* whether there is such an account cannot be seen */
        for (int n = 0; n < 3; n++)
            assert_err(log_in_with(f, emails[i], "wrong horse battery", ""), ERR_UNAUTHENTICATED);
        assert_err(log_in_with(f, emails[i], "wrong horse battery", ""), ERR_EXHAUSTED);
        assert_string_equal(f->status.reason, "too_many_guesses");
    }
    assert_err(log_in_with(f, "ANN@example.com", FIXTURE_PASSWORD, ""), ERR_EXHAUSTED);
    assert_err(log_in_with(f, emails[0], FIXTURE_PASSWORD, "forged.1.token"), ERR_EXHAUSTED);
    assert_err(log_in_with(f, emails[0], FIXTURE_PASSWORD, bob->refresh_token), ERR_EXHAUSTED);
    assert_ok(log_in_with(f, "bob@example.com", FIXTURE_PASSWORD, "")); /* nobody else's matter */

    for (int n = 0; n < 3; n++) { /* a device that is known may err as often by itself */
        assert_ok(log_in_with(f, emails[0], FIXTURE_PASSWORD, ann->refresh_token));
        assert_err(log_in_with(f, emails[0], "wrong horse battery", ann->refresh_token),
                   ERR_UNAUTHENTICATED);
    }
    assert_err(log_in_with(f, emails[0], FIXTURE_PASSWORD, ann->refresh_token), ERR_EXHAUSTED);
    fixture_reply_free(ann);
    fixture_reply_free(bob);
}

/* ---- who may call what ---- */

static void only_a_service_creates_an_admin(void **state)
{
    struct users_fixture *f = *state;
    struct principal service = principal_service("tradepost");
    assert_ok(fixture_create_admin(f, &service, "root"));
    Users__Tokens *tokens = fixture_tokens(f, "root");
    struct principal root = fixture_principal(f, tokens);
    assert_int_equal(root.role, ROLE_ADMIN);
    assert_err(fixture_create_admin(f, &root, "second"), ERR_DENIED);
    assert_err(fixture_create_admin(f, NULL, "second"), ERR_UNAUTHENTICATED);
    fixture_reply_free(tokens);
}

static void only_an_admin_sees_other_accounts(void **state)
{
    struct users_fixture *f = *state;
    struct principal service = principal_service("tradepost");
    assert_ok(fixture_create_admin(f, &service, "root"));
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *root_tokens = fixture_tokens(f, "root"), *ann_tokens = fixture_tokens(f, "ann");
    struct principal root = fixture_principal(f, root_tokens);
    struct principal ann = fixture_principal(f, ann_tokens);

    Users__GetUserRequest request = USERS__GET_USER_REQUEST__INIT;
    Users__User *user = NULL;
    request.user_id = ann.user_id;
    assert_ok(fixture_call(f, &root, "users.Users/GetUser", &request, &user));
    assert_string_equal(user->username, "ann");
    fixture_reply_free(user);
    assert_err(fixture_call(f, &ann, "users.Users/GetUser", &request, &user), ERR_DENIED);
    assert_err(fixture_call(f, NULL, "users.Users/GetUser", &request, &user), ERR_UNAUTHENTICATED);

    request.user_id = (char *)"019a3b5c7d8e7f0192a3b4c5d6e7f809";
    assert_err(fixture_call(f, &root, "users.Users/GetUser", &request, &user), ERR_NOT_FOUND);
    request.user_id = (char *)"ann";
    assert_err(fixture_call(f, &root, "users.Users/GetUser", &request, &user), ERR_INVALID);
    fixture_reply_free(root_tokens);
    fixture_reply_free(ann_tokens);
}

static void a_guest_is_nobody(void **state)
{
    struct users_fixture *f = *state;
    Users__WhoAmIRequest who = USERS__WHO_AM_IREQUEST__INIT;
    Users__User *user = NULL;
    assert_err(fixture_call(f, NULL, "users.Users/WhoAmI", &who, &user), ERR_UNAUTHENTICATED);
    assert_err(fixture_logout(f, NULL, ""), ERR_UNAUTHENTICATED);
}

static void the_public_keys_verify_what_was_issued(void **state)
{
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *tokens = fixture_tokens(f, "ann");
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    Users__JwksResponse *jwks = NULL;
    assert_ok(fixture_call(f, NULL, "users.Users/Jwks", &request, &jwks));
    assert_int_equal(jwks->n_keys, 1);
    struct token_jwk key = {0};
    (void)snprintf(key.kid, sizeof key.kid, "%s", jwks->keys[0]->kid);
    (void)snprintf(key.x, sizeof key.x, "%s", jwks->keys[0]->x);
    (void)snprintf(key.y, sizeof key.y, "%s", jwks->keys[0]->y);
    struct token_keys *public = NULL;
    struct token_claims claims = {0};
    assert_ok(token_keys_public(&key, 1, &public));
    assert_ok(token_verify(public, tokens->access_token, clock_wall_ms() / 1000, &claims));
    assert_string_equal(claims.user_id, tokens->user->user_id);
    token_keys_free(public);
    fixture_reply_free(jwks);
    fixture_reply_free(tokens);
}

/* ---- a flood ---- */

/* Holds a thread of the pool until the test lets it go: a password that takes for ever. */
struct gate {
    struct hashing_job job;
    sem_t started, go;
};

static void run_gate(struct hashing_job *job)
{
    struct gate *g = (struct gate *)job;
    (void)sem_post(&g->started);
    (void)sem_wait(&g->go);
}

struct flood {
    atomic_uint answered, succeeded, refused;
};

static void count_answer(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    struct flood *flood = arg;
    if (own_reply) protobuf_c_message_free_unpacked(own_reply, NULL);
    atomic_fetch_add(status->err ? &flood->refused : &flood->succeeded, 1);
    atomic_fetch_add(&flood->answered, 1);
}

static void log_in_later(struct users_fixture *f, struct flood *flood)
{
    Users__LoginRequest request = USERS__LOGIN_REQUEST__INIT;
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + 20000};
    request.email = (char *)"ann@example.com";
    request.password = (char *)FIXTURE_PASSWORD;
    rpc_call_async(f->client, "users.Users/Login", &request.base, &options, count_answer, flood);
}

static void a_flood_of_logins_is_refused_and_nobody_else_waits(void **state)
{
    enum { QUEUE = 4, MORE = 20 };
    struct users_fixture *f = *state;
    fixture_stop(f);
    fixture_set(f, "users.password_queue_max=4");
    assert_ok(fixture_start(f));
    assert_ok(fixture_register(f, "ann"));
    Users__Tokens *tokens = fixture_tokens(f, "ann");
    struct principal ann = fixture_principal(f, tokens);

    struct gate gate = {.job = {run_gate}};
    struct flood flood = {0};
    (void)sem_init(&gate.started, 0, 0);
    (void)sem_init(&gate.go, 0, 0);
    assert_ok(hashing_pool_submit(f->users->hashing, &gate.job));
    (void)sem_wait(&gate.started); /* the only thread is busy */
    for (int i = 0; i < QUEUE + MORE; i++)
        log_in_later(f, &flood);
    assert_eventually(atomic_load(&flood.refused) == MORE); /* at once: nothing has been hashed */
    assert_int_equal(atomic_load(&flood.answered), MORE);
    assert_err(fixture_register(f, "bob"), ERR_EXHAUSTED);

    fixture_reply_free(who_am_i(f, &ann));
    Users__Tokens *fresh = NULL;
    assert_ok(fixture_refresh(f, tokens->refresh_token, &fresh));
    assert_int_equal(atomic_load(&flood.answered), MORE);

    (void)sem_post(&gate.go);
    assert_eventually(atomic_load(&flood.answered) == QUEUE + MORE);
    assert_int_equal(atomic_load(&flood.succeeded), QUEUE);
    (void)sem_destroy(&gate.started);
    (void)sem_destroy(&gate.go);
    fixture_reply_free(fresh);
    fixture_reply_free(tokens);
}

static void what_still_waits_when_the_part_stops_is_refused(void **state)
{
    enum { WAITING = 3 };
    struct users_fixture *f = *state;
    assert_ok(fixture_register(f, "ann"));
    struct gate gate = {.job = {run_gate}};
    struct flood flood = {0};
    (void)sem_init(&gate.started, 0, 0);
    (void)sem_init(&gate.go, 0, 0);
    assert_ok(hashing_pool_submit(f->users->hashing, &gate.job));
    (void)sem_wait(&gate.started);
    for (int i = 0; i < WAITING; i++)
        log_in_later(f, &flood);

    struct users *users = f->users;
    f->users = NULL; /* the fixture stops the rest */
    atomic_store(&users->stopping, true);
    (void)sem_post(&gate.go);
    assert_eventually(atomic_load(&flood.answered) == WAITING);
    assert_int_equal(atomic_load(&flood.refused), WAITING);
    users_part.stop(users, 0);
    (void)sem_destroy(&gate.started);
    (void)sem_destroy(&gate.go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        users_test(who_registered_logs_in_and_is_who_they_said),
        users_test(a_name_is_given_once),
        users_test(a_field_that_is_wrong_is_named),
        users_test(an_unknown_email_and_a_wrong_password_look_the_same),
        users_test(an_unknown_email_costs_as_much_as_a_wrong_password),
        users_test(wrong_passwords_are_limited_and_do_not_lock_the_owner_out),
        users_test(only_a_service_creates_an_admin),
        users_test(only_an_admin_sees_other_accounts),
        users_test(a_guest_is_nobody),
        users_test(the_public_keys_verify_what_was_issued),
        users_test(a_flood_of_logins_is_refused_and_nobody_else_waits),
        users_test(what_still_waits_when_the_part_stops_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
