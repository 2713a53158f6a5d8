/* The rules of users: names, refresh tokens, sessions, passwords. */
#include "support/unit.h"

#include "hashing.h"
#include "users.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static const struct principal_key key = {{1, 2, 3}};
static const struct principal_key other_key = {{1, 2, 4}};

static void names_are_judged_one_by_one(void **state)
{
    (void)state;
    static const struct {
        const char *email, *username, *wrong; /* NULL: both are right */
    } table[] = {
        {"ann@example.com", "ann", NULL},
        {"a@b.c", "a_-9", NULL},
        {"\xc3\xa9ve@example.com", "eve", NULL},
        {"ann", "ann", "email"},
        {"@example.com", "ann", "email"},
        {"ann@", "ann", "email"},
        {"ann@example", "ann", "email"},
        {"ann@.com", "ann", "email"},
        {"ann@example.", "ann", "email"},
        {"ann@exam..ple.com", "ann", "email"},
        {"ann@b@example.com", "ann", "email"},
        {"an n@example.com", "ann", "email"},
        {"ann\n@example.com", "ann", "email"},
        {"ann@example.com", "an", "username"},
        {"ann@example.com", "", "username"},
        {"ann@example.com", "ann.b", "username"},
        {"ann@example.com", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
        {"ann@example.com", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "username"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct user u = {0};
        const char *field = NULL;
        struct err_detail detail = {0};
        enum err e = user_set_names(&u, table[i].email, table[i].username, &field, &detail);
        if (!table[i].wrong) {
            assert_ok(e);
            continue;
        }
        assert_err(e, ERR_INVALID);
        assert_string_equal(field, table[i].wrong);
        assert_true(detail.text[0] != 0);
    }
}

static void an_email_of_254_bytes_is_the_longest(void **state)
{
    (void)state;
    char email[EMAIL_MAX + 2];
    memset(email, 'a', sizeof email);
    memcpy(email + EMAIL_MAX - 6, "@b.com", 7);
    struct user u = {0};
    const char *field = NULL;
    assert_ok(user_set_names(&u, email, "ann", &field, NULL));
    memset(email, 'a', sizeof email);
    memcpy(email + EMAIL_MAX - 5, "@b.com", 7);
    assert_err(user_set_names(&u, email, "ann", &field, NULL), ERR_INVALID);
}

static void names_are_compared_in_lower_case(void **state)
{
    (void)state;
    struct user u = {0};
    const char *field = NULL;
    assert_ok(user_set_names(&u, "Ann@Example.COM", "AnN", &field, NULL));
    assert_string_equal(u.email, "Ann@Example.COM");
    assert_string_equal(u.email_key, "ann@example.com");
    assert_string_equal(u.username_key, "ann");
}

static void passwords_have_8_to_72_bytes(void **state)
{
    (void)state;
    char password[PASSWORD_MAX + 2];
    memset(password, 'x', sizeof password);
    password[PASSWORD_MAX + 1] = 0;
    assert_err(user_check_password(password, NULL), ERR_INVALID);
    password[PASSWORD_MAX] = 0;
    assert_ok(user_check_password(password, NULL));
    password[PASSWORD_MIN] = 0;
    assert_ok(user_check_password(password, NULL));
    password[PASSWORD_MIN - 1] = 0;
    assert_err(user_check_password(password, NULL), ERR_INVALID);
}

static struct session some_session(void)
{
    struct session s = {.generation = 7, .expires_ms = 1000};
    (void)snprintf(s.session_id, sizeof s.session_id, "0123456789abcdef0123456789abcdef");
    return s;
}

static void a_refresh_token_comes_back_whole(void **state)
{
    (void)state;
    struct session s = some_session();
    char text[REFRESH_TEXT_SIZE], session_id[USER_ID_SIZE];
    int64_t generation = 0;
    refresh_format(&key, &s, text);
    assert_ok(refresh_parse(&key, text, session_id, &generation));
    assert_string_equal(session_id, s.session_id);
    assert_int_equal(generation, 7);
}

static void a_refresh_token_with_any_byte_changed_is_refused(void **state)
{
    (void)state;
    struct session s = some_session();
    char text[REFRESH_TEXT_SIZE], session_id[USER_ID_SIZE];
    int64_t generation = 0;
    refresh_format(&key, &s, text);
    assert_err(refresh_parse(&other_key, text, session_id, &generation), ERR_UNAUTHENTICATED);
    for (size_t i = 0, size = strlen(text); i < size; i++) {
        char changed[REFRESH_TEXT_SIZE];
        memcpy(changed, text, sizeof text);
        changed[i] ^= 1;
        assert_err(refresh_parse(&key, changed, session_id, &generation), ERR_UNAUTHENTICATED);
        changed[i] = 0; /* cut */
        assert_err(refresh_parse(&key, changed, session_id, &generation), ERR_UNAUTHENTICATED);
    }
}

static void a_refresh_rotates_and_prolongs_the_session(void **state)
{
    (void)state;
    struct session s = some_session();
    assert_int_equal(session_refresh(&s, 7, 999), REFRESH_ROTATED);
    assert_int_equal(s.generation, 8);
    assert_int_equal(s.expires_ms, 999 + SESSION_VALID_MS);
}

static void a_token_used_twice_ends_the_session(void **state)
{
    (void)state;
    struct session s = some_session();
    assert_int_equal(session_refresh(&s, 7, 1), REFRESH_ROTATED);
    assert_int_equal(session_refresh(&s, 7, 2), REFRESH_REUSED);
    assert_true(s.revoked);
    assert_int_equal(s.expires_ms, 2 + SESSION_DENY_MS); /* kept as long as it must be denied */
    assert_int_equal(session_refresh(&s, 8, 3), REFRESH_REVOKED);
}

static void an_expired_session_does_not_come_back(void **state)
{
    (void)state;
    struct session s = some_session();
    assert_int_equal(session_refresh(&s, 7, 1000), REFRESH_EXPIRED);
    assert_int_equal(s.generation, 7);
}

static bool matches(const char *password, const char *hash)
{
    bool same = false;
    assert_ok(hashing_matches(password, hash, &same));
    return same;
}

static void a_hash_matches_its_password_only(void **state)
{
    (void)state;
    char hash[HASH_SIZE], again[HASH_SIZE], dummy[HASH_SIZE];
    assert_ok(hashing_make("correct horse", HASHING_COST_MIN, hash));
    assert_ok(hashing_make("correct horse", HASHING_COST_MIN, again));
    assert_string_not_equal(hash, again);
    assert_true(matches("correct horse", hash));
    assert_false(matches("correct horsf", hash));
    assert_memory_equal(hash, "$2b$04$", 7);

    hashing_make_dummy(HASHING_COST_MIN, dummy);
    assert_int_equal(strlen(dummy), strlen(hash));
    assert_false(matches("correct horse", dummy));
}

/* A job that waits until the test lets it go. */
struct gate_job {
    struct hashing_job job;
    sem_t *started, *go;
    unsigned *ran;
};

static void run_gate_job(struct hashing_job *job)
{
    struct gate_job *g = (struct gate_job *)job;
    (void)sem_post(g->started);
    (void)sem_wait(g->go);
    ++*g->ran;
}

static void a_full_pool_refuses_at_once_and_runs_what_it_took(void **state)
{
    (void)state;
    enum { QUEUE = 2 };
    sem_t started, go;
    unsigned ran = 0;
    (void)sem_init(&started, 0, 0);
    (void)sem_init(&go, 0, 0);
    struct gate_job job = {{run_gate_job}, &started, &go, &ran};
    struct hashing_pool *pool = NULL;
    assert_ok(hashing_pool_new(1, QUEUE, &pool));
    assert_ok(hashing_pool_submit(pool, &job.job));
    (void)sem_wait(&started); /* it runs: the queue is empty */
    for (int i = 0; i < QUEUE; i++)
        assert_ok(hashing_pool_submit(pool, &job.job));
    assert_err(hashing_pool_submit(pool, &job.job), ERR_EXHAUSTED);

    for (int i = 0; i <= QUEUE; i++)
        (void)sem_post(&go);
    hashing_pool_stop(pool);
    assert_int_equal(ran, 1 + QUEUE);
    assert_err(hashing_pool_submit(pool, &job.job), ERR_CLOSED);
    hashing_pool_free(pool);
    (void)sem_destroy(&started);
    (void)sem_destroy(&go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_judged_one_by_one),
        cmocka_unit_test(an_email_of_254_bytes_is_the_longest),
        cmocka_unit_test(names_are_compared_in_lower_case),
        cmocka_unit_test(passwords_have_8_to_72_bytes),
        cmocka_unit_test(a_refresh_token_comes_back_whole),
        cmocka_unit_test(a_refresh_token_with_any_byte_changed_is_refused),
        cmocka_unit_test(a_refresh_rotates_and_prolongs_the_session),
        cmocka_unit_test(a_token_used_twice_ends_the_session),
        cmocka_unit_test(an_expired_session_does_not_come_back),
        cmocka_unit_test(a_hash_matches_its_password_only),
        cmocka_unit_test(a_full_pool_refuses_at_once_and_runs_what_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
