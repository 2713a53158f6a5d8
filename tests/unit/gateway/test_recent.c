/* Answers of the last moment: how long they are found, and what makes them forgotten. */
#include "support/unit.h"

#include "recent.h"

#include "base/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS 5000
#define MAX_MS 100

static int set_up(void **state)
{
    return recent_new((struct recent **)state) ? -1 : 0;
}

static int tear_down(void **state)
{
    recent_free(*state);
    return 0;
}

static void put(struct recent *r, const char *key, const char *body)
{
    recent_put(r, key, recent_epoch(r), NOW_MS, body, strlen(body));
}

/* body NULL: not found. */
static void check_at(struct recent *r, const char *key, int64_t now_ms, const char *body)
{
    const struct recent_answer *a = recent_find(r, key, now_ms, MAX_MS);
    if (!a != !body) fail_msg("%s at %lld", key, (long long)now_ms);
    if (a) {
        assert_int_equal(a->size, strlen(body));
        assert_memory_equal(a->body, body, a->size);
    }
    shared_rele(a);
}

static void an_answer_is_found_until_it_is_too_old(void **state)
{
    put(*state, "/a", "one");
    check_at(*state, "/a", NOW_MS, "one");
    check_at(*state, "/a", NOW_MS + MAX_MS - 1, "one");
    check_at(*state, "/a", NOW_MS + MAX_MS, NULL);
    check_at(*state, "/b", NOW_MS, NULL);
    put(*state, "/a", "two");
    check_at(*state, "/a", NOW_MS, "two");
}

static void nothing_is_found_after_a_change(void **state)
{
    put(*state, "/a", "one");
    put(*state, "/b", "two");
    recent_forget(*state);
    check_at(*state, "/a", NOW_MS, NULL);
    check_at(*state, "/b", NOW_MS, NULL);
}

static void what_was_asked_before_a_change_is_not_kept_after_it(void **state)
{
    uint64_t epoch = recent_epoch(*state);
    recent_forget(*state); /* while the part thinks */
    recent_put(*state, "/a", epoch, NOW_MS, "old", 3);
    check_at(*state, "/a", NOW_MS, NULL);
}

static void a_holder_keeps_what_others_replace(void **state)
{
    put(*state, "/a", "one");
    const struct recent_answer *a = recent_find(*state, "/a", NOW_MS, MAX_MS);
    assert_non_null(a);
    put(*state, "/a", "two");
    recent_forget(*state);
    assert_memory_equal(a->body, "one", 3);
    shared_rele(a);
}

static void keys_that_meet_are_not_mistaken(void **state)
{
    char key[16];
    for (int i = 0; i < 4 * RECENT_ANSWERS; i++) {
        (void)snprintf(key, sizeof key, "/%d", i);
        put(*state, key, key);
        check_at(*state, key, NOW_MS, key);
    }
    size_t found = 0;
    for (int i = 0; i < 4 * RECENT_ANSWERS; i++) {
        (void)snprintf(key, sizeof key, "/%d", i);
        const struct recent_answer *a = recent_find(*state, key, NOW_MS, MAX_MS);
        if (a) assert_memory_equal(a->body, key, a->size);
        found += a != NULL;
        shared_rele(a);
    }
    assert_in_range(found, RECENT_ANSWERS / 2, RECENT_ANSWERS);
}

static void what_is_too_long_is_not_kept(void **state)
{
    char key[RECENT_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[RECENT_KEY_MAX + 1] = 0;
    put(*state, key, "long");
    check_at(*state, key, NOW_MS, NULL);
    key[RECENT_KEY_MAX] = 0;
    put(*state, key, "long");
    check_at(*state, key, NOW_MS, "long");

    char *body = calloc(1, RECENT_SIZE_MAX + 2);
    assert_non_null(body);
    memset(body, 'b', RECENT_SIZE_MAX + 1);
    put(*state, "/a", body);
    check_at(*state, "/a", NOW_MS, NULL);
    body[RECENT_SIZE_MAX] = 0;
    put(*state, "/a", body);
    check_at(*state, "/a", NOW_MS, body);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_is_found_until_it_is_too_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_found_after_a_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_asked_before_a_change_is_not_kept_after_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_holder_keeps_what_others_replace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_meet_are_not_mistaken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_long_is_not_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
