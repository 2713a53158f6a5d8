/* The in-process driver's own promises: time, limits and sharing. */
#include "support/unit.h"

#include "base/cache/cache_memory.h"
#include "base/cache/cache_table.h"

#include <stdio.h>
#include <string.h>

#define WINDOWS 3 /* of a small cache */

static int64_t now_ms;

static int64_t test_clock(void)
{
    return now_ms;
}

static const struct cache_ops *const ops = &cache_memory_ops;

static void *small_cache(size_t keys_max, size_t bytes_max)
{
    void *driver = NULL;
    now_ms = 1000;
    const struct cache_memory_limits limits = {keys_max, bytes_max, WINDOWS, test_clock};
    assert_ok(cache_memory_new(&limits, &driver));
    return driver;
}

static struct cache_bytes bytes(const char *text)
{
    return (struct cache_bytes){text, strlen(text)};
}

static enum err put(void *driver, const char *key, const char *value, int64_t expire_ms)
{
    const struct cache_put p = {.key = bytes(key), .value = bytes(value), .expire_ms = expire_ms};
    return ops->put(driver, &p);
}

static enum err get(void *driver, const char *key)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    return ops->get(driver, bytes(key), &value);
}

static enum err hit(void *driver, const char *key, int64_t hits, struct cache_rule rule,
                    struct cache_counts *ret)
{
    const struct cache_ask ask = {hits, hits ? hits : 1, rule};
    return ops->hit(driver, bytes(key), &ask, ret);
}

static void a_key_lives_until_its_expiry_and_not_longer(void **state)
{
    (void)state;
    void *d = small_cache(10, 10000);
    assert_ok(put(d, "k", "v", 50));
    now_ms += 49;
    assert_ok(get(d, "k"));
    now_ms += 1;
    assert_err(get(d, "k"), ERR_NOT_FOUND);
    ops->close(d);
}

static void beyond_the_keys_it_is_full_until_one_expires(void **state)
{
    (void)state;
    void *d = small_cache(3, 10000);
    assert_ok(put(d, "a", "", 30));
    assert_ok(put(d, "b", "", 20));
    assert_ok(put(d, "c", "", 10));
    assert_err(put(d, "d", "", 10), ERR_EXHAUSTED);
    assert_ok(put(d, "a", "again", 30)); /* not a new key */
    assert_err(ops->sorted_add(d, bytes("s"), bytes("m"), 1, 10), ERR_EXHAUSTED);
    now_ms += 10;
    assert_ok(put(d, "d", "", 10));
    assert_err(get(d, "c"), ERR_NOT_FOUND);
    assert_ok(get(d, "b"));
    ops->close(d);
}

static void beyond_the_bytes_it_is_full_and_the_old_value_stays(void **state)
{
    enum { VALUE = 1000 };
    char value[VALUE + 1];
    (void)state;
    memset(value, 'v', VALUE);
    value[VALUE] = 0;
    void *d = small_cache(100, 3 * VALUE);
    assert_ok(put(d, "a", value, 10));
    assert_ok(put(d, "b", value, 20));
    assert_err(put(d, "c", value, 10), ERR_EXHAUSTED);
    assert_ok(put(d, "c", "small", 30));
    assert_err(put(d, "c", value, 10), ERR_EXHAUSTED);
    assert_ok(ops->remove(d, bytes("a")));
    assert_ok(put(d, "c", value, 30));
    now_ms += 20;
    assert_ok(put(d, "d", value, 10)); /* in b's place */
    ops->close(d);
}

static void the_last_eighth_is_kept_for_what_is_reserved(void **state)
{
    enum { KEYS = 16 };
    (void)state;
    void *d = small_cache(KEYS, 100000);
    char key[16];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_err(put(d, key, "v", 50), i < KEYS - KEYS / 8 ? OK : ERR_EXHAUSTED);
    }
    for (int i = 0; i < 3; i++) {
        (void)snprintf(key, sizeof key, "r%d", i);
        const struct cache_put p = {bytes(key), bytes("v"), .expire_ms = 50, .reserved = true};
        assert_err(ops->put(d, &p), i < KEYS / 8 ? OK : ERR_EXHAUSTED);
    }
    ops->close(d);

    size_t one = sizeof(struct entry) + 1;
    d = small_cache(KEYS, 8 * one); /* bytes: the same */
    for (key[0] = 'a', key[1] = 0; key[0] < 'a' + 7; key[0]++)
        assert_ok(put(d, key, "", 50));
    assert_err(put(d, "l", "", 50), ERR_EXHAUSTED);
    const struct cache_put p = {bytes("l"), bytes(""), .expire_ms = 50, .reserved = true};
    assert_ok(ops->put(d, &p));
    ops->close(d);
}

static void a_full_cache_counts_on_and_too_many_windows_drop_the_one_that_ends_first(void **state)
{
    (void)state;
    void *d = small_cache(1, 10000);
    struct cache_counts hits;
    assert_ok(put(d, "k", "", 100000));
    assert_err(put(d, "l", "", 100000), ERR_EXHAUSTED);
    assert_ok(hit(d, "long", 1, (struct cache_rule){2, 5000}, &hits));
    assert_ok(hit(d, "short", 1, (struct cache_rule){2, 1000}, &hits));
    assert_ok(hit(d, "third", 1, (struct cache_rule){2, 5000}, &hits));
    assert_ok(hit(d, "fourth", 1, (struct cache_rule){2, 5000}, &hits)); /* short has gone */
    assert_ok(hit(d, "long", 0, (struct cache_rule){2, 5000}, &hits));
    assert_int_equal(hits.current, 1);
    assert_ok(hit(d, "short", 0, (struct cache_rule){2, 1000}, &hits));
    assert_int_equal(hits.current, 0);
    assert_ok(get(d, "k"));
    ops->close(d);
}

static void a_window_becomes_a_text_and_goes_by_its_key(void **state)
{
    (void)state;
    void *d = small_cache(10, 10000);
    struct cache_counts hits;
    for (int i = 0; i < WINDOWS + 2; i++) {
        assert_ok(hit(d, "w", 1, (struct cache_rule){1, 5000}, &hits));
        assert_ok(put(d, "w", "now a text", 100));
        assert_ok(get(d, "w"));
        assert_err(hit(d, "w", 1, (struct cache_rule){1, 5000}, &hits), ERR_INVALID);
        assert_ok(ops->remove(d, bytes("w")));
        assert_ok(hit(d, "w", 1, (struct cache_rule){1, 5000}, &hits));
        assert_true(hits.allowed);
        assert_ok(ops->remove(d, bytes("w")));
    }
    ops->close(d);
}

static void members_count_as_bytes(void **state)
{
    (void)state;
    void *d = small_cache(100, 4096);
    char member[16];
    enum err e = OK;
    int count = 0;
    for (; !e && count < 1000; count++) {
        (void)snprintf(member, sizeof member, "m%d", count);
        e = ops->sorted_add(d, bytes("s"), bytes(member), count, 50);
    }
    assert_err(e, ERR_EXHAUSTED);
    assert_in_range(count, 10, 200);
    assert_ok(ops->sorted_trim(d, bytes("s"), count));
    assert_ok(put(d, "k", "v", 10));
    ops->close(d);
}

static void every_call_sweeps_a_few_of_what_expired(void **state)
{
    enum { KEYS = 100 };
    (void)state;
    void *d = small_cache(2 * KEYS, 100000);
    char key[16];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_ok(put(d, key, "v", 5));
    }
    now_ms += 5;
    assert_ok(put(d, "a", "", 100000));
    for (int i = 0; i < KEYS / 4; i++)
        assert_err(get(d, "nothing"), ERR_NOT_FOUND);
    for (int i = 0; i < KEYS; i++) { /* all had gone: none is in the way */
        (void)snprintf(key, sizeof key, "n%d", i);
        assert_ok(put(d, key, "v", 5));
    }
    ops->close(d);
}

static void a_window_slides_with_the_clock(void **state)
{
    (void)state;
    void *d = small_cache(10, 10000);
    struct cache_counts hits;
    now_ms = 10000;
    for (int i = 0; i < 10; i++) {
        assert_ok(hit(d, "k", 1, (struct cache_rule){10, 1000}, &hits));
        assert_true(hits.allowed);
    }
    assert_ok(hit(d, "k", 1, (struct cache_rule){10, 1000}, &hits));
    assert_false(hits.allowed);
    now_ms = 11099; /* 9.01 of 10 */
    assert_ok(hit(d, "k", 1, (struct cache_rule){10, 1000}, &hits));
    assert_false(hits.allowed);
    now_ms = 11100;
    assert_ok(hit(d, "k", 1, (struct cache_rule){10, 1000}, &hits));
    assert_true(hits.allowed);
    now_ms = 13000; /* both windows are over */
    assert_ok(hit(d, "k", 1, (struct cache_rule){10, 1000}, &hits));
    assert_int_equal(hits.last + hits.current, 1);
    ops->close(d);
}

static void the_first_increment_sets_the_expiry(void **state)
{
    (void)state;
    void *d = small_cache(10, 10000);
    int64_t value;
    assert_ok(ops->increment(d, bytes("k"), 5, 100, &value));
    now_ms += 60;
    assert_ok(ops->increment(d, bytes("k"), 5, 100, &value));
    assert_int_equal(value, 10);
    now_ms += 40;
    assert_ok(ops->increment(d, bytes("k"), 5, 100, &value));
    assert_int_equal(value, 5);
    ops->close(d);
}

static void a_set_lives_on_with_each_add(void **state)
{
    (void)state;
    void *d = small_cache(10, 10000);
    int64_t count;
    assert_ok(ops->sorted_add(d, bytes("s"), bytes("a"), 1, 100));
    now_ms += 60;
    assert_ok(ops->sorted_add(d, bytes("s"), bytes("b"), 1, 100));
    now_ms += 99;
    assert_ok(ops->sorted_count(d, bytes("s"), &count));
    assert_int_equal(count, 2);
    now_ms += 1;
    assert_ok(ops->sorted_count(d, bytes("s"), &count));
    assert_int_equal(count, 0);
    ops->close(d);
}

static void one_name_is_one_cache_while_anybody_has_it_open(void **state)
{
    (void)state;
    struct cache *a, *b, *other;
    struct cache_options options = {.url = "memory:test"};
    assert_ok(cache_open(&options, &a, NULL));
    assert_ok(cache_open(&options, &b, NULL));
    options.url = "memory:";
    assert_ok(cache_open(&options, &other, NULL));
    assert_ok(cache_add(a, "k", "v", 1, 60000));
    assert_err(cache_add(b, "k", "v", 1, 60000), ERR_EXISTS);
    assert_ok(cache_add(other, "k", "v", 1, 60000));
    cache_close(a);
    assert_err(cache_add(b, "k", "v", 1, 60000), ERR_EXISTS);
    cache_close(b);
    options.url = "memory:test";
    assert_ok(cache_open(&options, &a, NULL));
    assert_ok(cache_add(a, "k", "v", 1, 60000)); /* the last who closes empties it */
    cache_close(a);
    cache_close(other);
}

static void prefixes_keep_platforms_apart(void **state)
{
    (void)state;
    struct cache *a, *b;
    const struct cache_options first = {.url = "memory:", .key_prefix = "one:"};
    const struct cache_options second = {.url = "memory:", .key_prefix = "two:"};
    assert_ok(cache_open(&first, &a, NULL));
    assert_ok(cache_open(&second, &b, NULL));
    assert_ok(cache_add(a, "k", "v", 1, 60000));
    assert_ok(cache_add(b, "k", "v", 1, 60000));
    cache_close(a);
    cache_close(b);
}

static void options_that_cannot_be_are_refused(void **state)
{
    static const struct cache_options rows[] = {
        {.url = "memcached://x"},
        {.url = ""},
        {.url = "redis://"},
        {.url = "memory:", .key_prefix = "0123456789012345678901234567890123"},
        {.url = "memory:01234567890123456789012345678901234567890123456789012345678901234"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cache *c = NULL;
        struct err_detail detail = {""};
        assert_err(cache_open(&rows[i], &c, &detail), ERR_INVALID);
        assert_true(*detail.text != 0);
        assert_null(c);
    }
    cache_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_lives_until_its_expiry_and_not_longer),
        cmocka_unit_test(beyond_the_keys_it_is_full_until_one_expires),
        cmocka_unit_test(beyond_the_bytes_it_is_full_and_the_old_value_stays),
        cmocka_unit_test(the_last_eighth_is_kept_for_what_is_reserved),
        cmocka_unit_test(a_full_cache_counts_on_and_too_many_windows_drop_the_one_that_ends_first),
        cmocka_unit_test(a_window_becomes_a_text_and_goes_by_its_key),
        cmocka_unit_test(members_count_as_bytes),
        cmocka_unit_test(every_call_sweeps_a_few_of_what_expired),
        cmocka_unit_test(a_window_slides_with_the_clock),
        cmocka_unit_test(the_first_increment_sets_the_expiry),
        cmocka_unit_test(a_set_lives_on_with_each_add),
        cmocka_unit_test(one_name_is_one_cache_while_anybody_has_it_open),
        cmocka_unit_test(prefixes_keep_platforms_apart),
        cmocka_unit_test(options_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
