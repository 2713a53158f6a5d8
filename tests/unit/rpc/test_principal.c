/* Who calls, signed: what was signed comes back, and nothing else does. */
#include "support/unit.h"

#include "base/rpc/rpc.h"

#include <stdio.h>
#include <string.h>

#define NOW_MS INT64_C(1800000000000)

static const struct principal_key key = {{1, 2, 3}};

static struct principal ann(void)
{
    struct principal p = {.role = ROLE_USER, .permissions = 6};
    (void)snprintf(p.user_id, sizeof p.user_id, "0123456789abcdef0123456789abcdef");
    (void)snprintf(p.session_id, sizeof p.session_id, "fedcba9876543210fedcba9876543210");
    return p;
}

static void assert_comes_back(struct principal p)
{
    char text[PRINCIPAL_TEXT_MAX];
    struct principal back;
    principal_sign(&p, &key, NOW_MS, text);
    assert_ok(principal_verify(text, &key, NOW_MS, &back));
    assert_int_equal(back.role, p.role);
    assert_string_equal(back.user_id, p.user_id);
    assert_string_equal(back.session_id, p.session_id);
    assert_true(back.permissions == p.permissions);
    assert_string_equal(back.key_id, p.key_id);
    assert_string_equal(back.tier, p.tier);
}

static void every_kind_of_caller_comes_back(void **state)
{
    (void)state;
    struct principal admin = ann(), support = ann(), longest = ann();
    admin.role = ROLE_ADMIN;
    support.role = ROLE_SUPPORT;
    memset(longest.user_id, 'u', sizeof longest.user_id - 1);
    memset(longest.session_id, 's', sizeof longest.session_id - 1);
    longest.permissions = UINT64_MAX;
    memset(longest.key_id, 'k', sizeof longest.key_id - 1);
    memset(longest.tier, 't', sizeof longest.tier - 1);
    assert_comes_back(ann());
    assert_comes_back(admin);
    assert_comes_back(support);
    assert_comes_back(longest);
    assert_comes_back(principal_service("wallet"));
    assert_comes_back(principal_guest());
}

static void a_principal_is_valid_for_its_time_and_not_a_millisecond_longer(void **state)
{
    (void)state;
    char text[PRINCIPAL_TEXT_MAX];
    struct principal p = ann(), back;
    principal_sign(&p, &key, NOW_MS, text);
    assert_ok(principal_verify(text, &key, NOW_MS + PRINCIPAL_VALID_MS, &back));
    assert_err(principal_verify(text, &key, NOW_MS + PRINCIPAL_VALID_MS + 1, &back),
               ERR_UNAUTHENTICATED);
}

static void a_change_of_any_character_is_a_forgery(void **state)
{
    (void)state;
    char text[PRINCIPAL_TEXT_MAX];
    struct principal p = ann(), back;
    principal_sign(&p, &key, NOW_MS, text);
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        char before = text[i];
        text[i] = before == '1' ? '2' : '1';
        assert_err(principal_verify(text, &key, NOW_MS, &back), ERR_UNAUTHENTICATED);
        text[i] = before;
    }
    for (size_t i = 0; i < size; i++) { /* cut */
        char before = text[i];
        text[i] = 0;
        assert_err(principal_verify(text, &key, NOW_MS, &back), ERR_UNAUTHENTICATED);
        text[i] = before;
    }
    assert_ok(principal_verify(text, &key, NOW_MS, &back));
}

static void another_key_is_a_forgery(void **state)
{
    (void)state;
    char text[PRINCIPAL_TEXT_MAX];
    struct principal_key other = key;
    struct principal p = ann(), back;
    other.bytes[PRINCIPAL_KEY_SIZE - 1] ^= 1;
    principal_sign(&p, &other, NOW_MS, text);
    assert_err(principal_verify(text, &key, NOW_MS, &back), ERR_UNAUTHENTICATED);
}

static void what_is_no_principal_is_refused(void **state)
{
    (void)state;
    const char *cases[] = {
        "",         ".",
        "......",   "1.1.a.b.c.d.",
        "nonsense", "1.1.a.b.0.ffffffffff.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    struct principal back = {.role = ROLE_GUEST, .user_id = "untouched"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_err(principal_verify(cases[i], &key, NOW_MS, &back), ERR_UNAUTHENTICATED);
    assert_string_equal(back.user_id, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_caller_comes_back),
        cmocka_unit_test(a_principal_is_valid_for_its_time_and_not_a_millisecond_longer),
        cmocka_unit_test(a_change_of_any_character_is_a_forgery),
        cmocka_unit_test(another_key_is_a_forgery),
        cmocka_unit_test(what_is_no_principal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
