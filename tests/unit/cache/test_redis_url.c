/* Redis URLs, good and bad. */
#include "support/unit.h"

#include "base/cache/redis_url.h"

#include <stdio.h>
#include <string.h>

static void a_url_is_taken_apart(void **state)
{
    static const struct {
        const char *url;
        struct redis_url parts;
    } rows[] = {
        {"redis://cache", {"cache", "", "", 6379, 0}},
        {"redis://cache/", {"cache", "", "", 6379, 0}},
        {"redis://127.0.0.1:6380", {"127.0.0.1", "", "", 6380, 0}},
        {"redis://cache:65535/16383", {"cache", "", "", 65535, 16383}},
        {"redis://:secret@cache/3", {"cache", "", "secret", 6379, 3}},
        {"redis://anna:p%40ss%3a%2F@cache:1", {"cache", "anna", "p@ss:/", 1, 0}},
        {"redis://:a:b@cache", {"cache", "", "a:b", 6379, 0}},
        {"redis://[::1]:7/2", {"::1", "", "", 7, 2}},
        {"redis://[fe80::1]", {"fe80::1", "", "", 6379, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redis_url u;
        assert_ok(redis_url_parse(rows[i].url, &u, NULL));
        assert_string_equal(u.host, rows[i].parts.host);
        assert_string_equal(u.user, rows[i].parts.user);
        assert_string_equal(u.password, rows[i].parts.password);
        assert_int_equal(u.port, rows[i].parts.port);
        assert_int_equal(u.db, rows[i].parts.db);
    }
}

static void a_bad_url_is_refused_without_repeating_it(void **state)
{
    static const char *const rows[] = {
        "http://cache",
        "redis://",
        "redis:///3",
        "redis://:6379",
        "redis://secret@cache",
        "redis://:secret%4@cache",
        "redis://:secret%zz@cache",
        "redis://:secret%00@cache",
        "redis://:secret@cache:0",
        "redis://:secret@cache:65536",
        "redis://:secret@cache:6379x",
        "redis://:secret@cache:",
        "redis://:secret@cache/16384",
        "redis://:secret@cache/one",
        "redis://:secret@cache/-1",
        "redis://[::1",
        "redis://[]:1",
        "redis://[::1]6379",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redis_url u;
        struct err_detail detail = {""};
        if (redis_url_parse(rows[i], &u, &detail) != ERR_INVALID) fail_msg("taken: %s", rows[i]);
        assert_true(strlen(detail.text) > 10);
        assert_null(strstr(detail.text, "secret"));
    }
}

static void a_host_has_at_most_255_bytes(void **state)
{
    (void)state;
    char url[sizeof REDIS_SCHEME + REDIS_TEXT_MAX + 2];
    struct redis_url u;
    for (int size = REDIS_TEXT_MAX; size <= REDIS_TEXT_MAX + 1; size++) {
        int at = snprintf(url, sizeof url, REDIS_SCHEME);
        memset(url + at, 'h', (size_t)size);
        url[at + size] = 0;
        assert_err(redis_url_parse(url, &u, NULL), size <= REDIS_TEXT_MAX ? OK : ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(a_bad_url_is_refused_without_repeating_it),
        cmocka_unit_test(a_host_has_at_most_255_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
