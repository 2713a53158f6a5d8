/* Access tokens: what we sign verifies, and nothing else does. */
#include "support/temp.h"
#include "support/unit.h"

#include "base/crypt.h"
#include "base/token.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1000000

struct fixture {
    char directory[TEMP_PATH_SIZE];
    struct token_keys *keys, *public_keys;
    struct token_claims claims;
    char text[TOKEN_TEXT_MAX];
};

static void publish(const struct token_keys *keys, struct token_keys **ret)
{
    struct token_jwk jwks[TOKEN_KEYS_MAX];
    for (size_t i = 0; i < token_keys_count(keys); i++)
        jwks[i] = *token_keys_jwk(keys, i);
    assert_ok(token_keys_public(jwks, token_keys_count(keys), ret));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    temp_make(f->directory);
    struct err_detail detail = {0};
    assert_ok(token_keys_load(f->directory, &f->keys, &detail));
    publish(f->keys, &f->public_keys);
    f->claims = (struct token_claims){"u1", "s1", ROLE_ADMIN, NOW, NOW + TOKEN_VALID_S};
    assert_ok(token_issue(f->keys, &f->claims, f->text));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    token_keys_free(f->keys);
    token_keys_free(f->public_keys);
    temp_remove(f->directory);
    free(f);
    return 0;
}

static void a_token_verifies_with_the_public_key_alone(void **state)
{
    struct fixture *f = *state;
    struct token_claims claims = {0};
    assert_ok(token_verify(f->public_keys, f->text, NOW, &claims));
    assert_string_equal(claims.user_id, "u1");
    assert_string_equal(claims.session_id, "s1");
    assert_int_equal(claims.role, ROLE_ADMIN);
    assert_int_equal(claims.expires_s, NOW + TOKEN_VALID_S);
}

static void a_token_lives_until_its_last_second(void **state)
{
    struct fixture *f = *state;
    struct token_claims claims = {0};
    assert_ok(token_verify(f->public_keys, f->text, NOW + TOKEN_VALID_S - 1, &claims));
    assert_err(token_verify(f->public_keys, f->text, NOW + TOKEN_VALID_S, &claims),
               ERR_UNAUTHENTICATED);
}

static void a_token_with_any_byte_changed_is_refused(void **state)
{
    struct fixture *f = *state;
    struct token_claims claims = {0};
    for (size_t i = 0, size = strlen(f->text); i < size; i++) { /* even if it decodes to the same */
        char changed[TOKEN_TEXT_MAX];
        memcpy(changed, f->text, sizeof f->text);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_int_not_equal(token_verify(f->public_keys, changed, NOW, &claims), OK);
    }
}

/* header.payload signed by HMAC with the public key as its secret: the classic confusion. */
static void no_other_algorithm_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct token_claims claims = {0};
    static const char *const headers[] = {
        "\"alg\":\"none\",",
        "\"alg\":\"HS256\",",
        "\"alg\":\"RS256\",",
        "",
        "\"alg\":\"ES256\",\"alg\":\"none\",",
    };
    const char *payload = strchr(f->text, '.');
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char json[256], header[400], forged[2 * TOKEN_TEXT_MAX];
        int size = snprintf(json, sizeof json, "{%s\"kid\":\"%s\"}", headers[i],
                            token_keys_jwk(f->keys, 0)->kid);
        base64url_encode(json, (size_t)size, header);
        (void)snprintf(forged, sizeof forged, "%s%s", header, payload);
        assert_err(token_verify(f->public_keys, forged, NOW, &claims), ERR_UNAUTHENTICATED);
    }
}

static void garbage_is_refused(void **state)
{
    struct fixture *f = *state;
    struct token_claims claims = {0};
    static const char *const garbage[] = {"",   ".", "..", "a.b.c", "e30.e30.", "\xff.\xff.\xff",
                                          "e30"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++)
        assert_err(token_verify(f->public_keys, garbage[i], NOW, &claims), ERR_UNAUTHENTICATED);
    char longer[TOKEN_TEXT_MAX + 1];
    memset(longer, 'a', TOKEN_TEXT_MAX);
    longer[TOKEN_TEXT_MAX] = 0;
    assert_err(token_verify(f->public_keys, longer, NOW, &claims), ERR_UNAUTHENTICATED);
}

static void a_restart_keeps_the_key_and_a_new_key_takes_over(void **state)
{
    struct fixture *f = *state;
    struct token_keys *again = NULL;
    assert_ok(token_keys_load(f->directory, &again, NULL));
    assert_int_equal(token_keys_count(again), 1);
    assert_string_equal(token_keys_jwk(again, 0)->kid, token_keys_jwk(f->keys, 0)->kid);
    token_keys_free(again);

    char other[TEMP_PATH_SIZE], newer[TEMP_PATH_SIZE + 32];
    glob_t made;
    temp_make(other);
    assert_ok(token_keys_load(other, &again, NULL));
    token_keys_free(again);
    (void)snprintf(newer, sizeof newer, "%s/*.pem", other);
    assert_int_equal(glob(newer, 0, NULL, &made), 0);
    (void)snprintf(newer, sizeof newer, "%s/99999999999999999999.pem", f->directory);
    assert_int_equal(rename(made.gl_pathv[0], newer), 0);
    globfree(&made);
    temp_remove(other);

    struct token_keys *both = NULL;
    char text[TOKEN_TEXT_MAX];
    struct token_claims claims = {0};
    assert_ok(token_keys_load(f->directory, &both, NULL));
    assert_int_equal(token_keys_count(both), 2);
    assert_ok(token_verify(both, f->text, NOW, &claims)); /* the old one's */
    assert_ok(token_issue(both, &f->claims, text));
    assert_err(token_verify(f->public_keys, text, NOW, &claims), ERR_NOT_FOUND); /* refetch */
    token_keys_free(both);
}

static void a_key_file_is_private_and_a_bad_one_is_named(void **state)
{
    struct fixture *f = *state;
    char path[TEMP_PATH_SIZE + 16];
    struct err_detail detail = {0};
    struct token_keys *keys = NULL;
    (void)snprintf(path, sizeof path, "%s/000.pem", f->directory);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "no key", 6), 6);
    (void)close(fd);
    assert_err(token_keys_load(f->directory, &keys, &detail), ERR_INVALID);
    assert_non_null(strstr(detail.text, path));
    (void)unlink(path);
}

static void a_point_off_the_curve_is_refused(void **state)
{
    struct fixture *f = *state;
    struct token_jwk jwk = *token_keys_jwk(f->keys, 0);
    struct token_keys *keys = NULL;
    jwk.x[0] = jwk.x[0] == 'A' ? 'B' : 'A';
    assert_err(token_keys_public(&jwk, 1, &keys), ERR_INVALID);
    assert_null(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_verifies_with_the_public_key_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_token_lives_until_its_last_second, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_with_any_byte_changed_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(no_other_algorithm_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_keeps_the_key_and_a_new_key_takes_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_key_file_is_private_and_a_bad_one_is_named, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_point_off_the_curve_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
