/* Keys are found, and the next to expire is known, whatever came and went. */
#include "support/unit.h"

#include "base/cache/cache_table.h"

#include <stdio.h>
#include <string.h>

static void the_hash_is_siphash(void **state)
{
    /* Key 00..0f, messages 00, 00 01, ...: from the reference implementation's vectors. */
    static const struct {
        size_t size;
        uint64_t hash;
    } rows[] = {
        {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
        {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572},
    };
    (void)state;
    const uint64_t secret[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    uint8_t message[64];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(table_hash(secret, message, rows[i].size), rows[i].hash);
}

static struct cache_bytes key_of(int number, char text[static 16])
{
    return (struct cache_bytes){text, (size_t)snprintf(text, 16, "key-%d", number)};
}

static void the_soonest_is_always_first(void **state)
{
    enum { KEYS = 500 };
    (void)state;
    struct table t;
    char text[16];
    uint64_t random = 7;
    int64_t expires[KEYS];
    table_init(&t);
    for (int i = 0; i < KEYS; i++) {
        struct entry *e;
        assert_null(table_find(&t, key_of(i, text)));
        expires[i] = i;
        assert_ok(table_insert(&t, key_of(i, text), expires[i], &e));
    }
    for (int step = 0; step < 3000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int i = (int)(random >> 33) % KEYS;
        struct entry *e = table_find(&t, key_of(i, text));
        if (!e) {
            expires[i] = (int64_t)(random >> 50);
            assert_ok(table_insert(&t, key_of(i, text), expires[i], &e));
        } else if (step % 3 == 0) {
            table_remove(&t, e);
        } else {
            expires[i] = (int64_t)(random >> 50);
            table_expire(&t, e, expires[i]);
        }
    }
    int64_t last = INT64_MIN;
    while (table_soonest(&t)) {
        struct entry *e = table_soonest(&t);
        int i;
        memcpy(text, e->key, e->key_size);
        text[e->key_size] = 0;
        assert_int_equal(sscanf(text, "key-%d", &i), 1);
        assert_int_equal(e->expires_ms, expires[i]);
        assert_true(e->expires_ms >= last);
        last = e->expires_ms;
        table_remove(&t, e);
    }
    assert_int_equal(t.count, 0);
    table_release(&t);
}

static void keys_are_bytes_not_text(void **state)
{
    (void)state;
    struct table t;
    struct entry *a, *b;
    table_init(&t);
    assert_ok(table_insert(&t, (struct cache_bytes){"k\0a", 3}, 1, &a));
    assert_ok(table_insert(&t, (struct cache_bytes){"k\0b", 3}, 2, &b));
    assert_ptr_equal(table_find(&t, (struct cache_bytes){"k\0a", 3}), a);
    assert_ptr_equal(table_find(&t, (struct cache_bytes){"k\0b", 3}), b);
    assert_null(table_find(&t, (struct cache_bytes){"k", 1}));
    table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash),
        cmocka_unit_test(the_soonest_is_always_first),
        cmocka_unit_test(keys_are_bytes_not_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
