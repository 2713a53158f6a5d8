/* The engine's building blocks: commands as bytes, ladder, table, client ids. */
#include "harness.h"

#include <stdlib.h>

/* ---- commands ---- */

static const struct request every_kind[] = {
    {.kind = COMMAND_MARKET,
     .now_ms = 5,
     .rules = {"12345678901234567890123456789012", "1234567890123456", "1234567890123456", 18, 17,
               MARKET_HALTED, 1, 2, 3, 4, 5}},
    {.kind = COMMAND_PLACE,
     .now_ms = -1,
     .user = {1, 2},
     .order_id = 3,
     .market = 4,
     .terms = {SIDE_SELL, TYPE_MARKET, LIFETIME_FOK, INT64_MAX, INT64_MIN},
     .maker_ppm = 7,
     .taker_ppm = 8,
     .client_id = {"123456789012345678901234567890123456", 36}},
    {.kind = COMMAND_PLACE, .terms = {SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 1, 2}},
    {.kind = COMMAND_CANCEL, .now_ms = 1, .user = {1, 2}, .order_id = 9},
    {.kind = COMMAND_CANCEL_ALL, .now_ms = 1, .user = {1, 2}, .market = MARKET_ALL},
    {.kind = COMMAND_REPLACE,
     .user = {1, 2},
     .order_id = 3,
     .old_order_id = 2,
     .terms = {.price = 5, .quantity = 6},
     .client_id = {"x", 1}},
    {.kind = COMMAND_SETTLED, .settled_seq = UINT64_MAX},
};

static void every_command_survives_its_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof every_kind / sizeof *every_kind; i++) {
        uint8_t bytes[COMMAND_SIZE_MAX], again[COMMAND_SIZE_MAX];
        struct request r;
        size_t size = request_encode(&every_kind[i], bytes);
        assert_ok(request_decode(bytes, size, &r));
        assert_int_equal(request_encode(&r, again), size);
        assert_memory_equal(bytes, again, size);
        assert_int_equal(r.order_id, every_kind[i].order_id);
        assert_int_equal(r.terms.price, every_kind[i].terms.price);
        assert_string_equal(r.client_id.text, every_kind[i].client_id.text);
        assert_string_equal(r.rules.quote, every_kind[i].rules.quote);
    }
}

static void a_short_or_trailing_command_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof every_kind / sizeof *every_kind; i++) {
        uint8_t bytes[COMMAND_SIZE_MAX + 1] = {0};
        struct request r;
        size_t size = request_encode(&every_kind[i], bytes);
        for (size_t cut = 0; cut <= size + 1; cut++)
            assert_err(request_decode(bytes, cut, &r), cut == size ? OK : ERR_INVALID);
        bytes[0] = 2; /* another version */
        assert_err(request_decode(bytes, size, &r), ERR_INVALID);
    }
}

/* ---- ladder ---- */

static int rising(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void assert_ladder(const struct ladder *l, int64_t *prices, size_t count)
{
    struct ladder_cursor c = ladder_walk(l);
    qsort(prices, count, sizeof *prices, rising);
    assert_int_equal(l->level_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct level *level = ladder_next(l, &c);
        assert_non_null(level);
        assert_int_equal(level->price, prices[l->falling ? i : count - 1 - i]);
    }
    assert_null(ladder_next(l, &c));
}

static void a_ladder_keeps_any_prices_in_order(void **state)
{
    (void)state;
    enum { LEVELS = 3000 };
    static int64_t prices[LEVELS];
    for (unsigned falling = 0; falling < 2; falling++) {
        struct numbers n = {falling};
        struct pool pool;
        struct ladder l;
        pool_init(&pool, sizeof(struct level), 64);
        ladder_init(&l, falling, &pool);
        size_t count = 0;
        for (unsigned i = 0; i < 20000; i++) {
            bool shrink = i > 12000 ? number(&n) % 8 != 0 : number(&n) % 4 == 0;
            if (shrink && count) {
                size_t at = number(&n) % count;
                struct level *level = ladder_find(&l, prices[at]);
                assert_non_null(level);
                ladder_remove(&l, level);
                prices[at] = prices[--count];
            } else if (count < LEVELS) {
                int64_t price = (int64_t)(number(&n) >> 1 >> number(&n) % 50);
                bool known = ladder_find(&l, price);
                assert_int_equal(ladder_add(&l, price)->price, price);
                if (!known) prices[count++] = price;
            }
            if (i % 1000 == 0) assert_ladder(&l, prices, count);
        }
        while (count)
            ladder_remove(&l, ladder_find(&l, prices[--count]));
        assert_null(ladder_best(&l));
        assert_int_equal(l.chunk_count, 0);
        assert_int_equal(pool.used, 0);
        ladder_release(&l);
        pool_release(&pool);
    }
}

static void a_ladder_grows_at_either_end(void **state)
{
    (void)state;
    static int64_t prices[1000];
    for (int step = -1; step <= 1; step += 2) {
        struct pool pool;
        struct ladder l;
        pool_init(&pool, sizeof(struct level), 64);
        ladder_init(&l, false, &pool);
        for (int i = 0; i < 1000; i++) {
            prices[i] = 5000 + step * i;
            (void)ladder_add(&l, prices[i]);
        }
        assert_ladder(&l, prices, 1000);
        ladder_release(&l);
        pool_release(&pool);
    }
}

/* ---- table ---- */

static void a_table_finds_what_is_in_it_through_growth_and_removal(void **state)
{
    (void)state;
    enum { ITEMS = 5000 };
    static uint64_t items[ITEMS];
    static bool inside[ITEMS];
    struct map t = {0};
    struct numbers n = {1};
    memset(inside, 0, sizeof inside);
    for (size_t i = 0; i < ITEMS; i++)
        items[i] = i;
    for (unsigned step = 0; step < 50000; step++) {
        size_t i = number(&n) % ITEMS;
        uint64_t hash = i / 3 * 16; /* crowded: many neighbours, some equal hashes */
        if (inside[i])
            map_remove(&t, hash, &items[i]);
        else
            map_add(&t, hash, &items[i]);
        inside[i] = !inside[i];
    }
    size_t count = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        size_t found = 0;
        for (size_t j = 0; j < t.capacity; j++)
            found += t.slots[j].item == &items[i];
        assert_int_equal(found, inside[i]);
        count += inside[i];
        if (inside[i]) assert_non_null(map_find(&t, i / 3 * 16, NULL, NULL));
    }
    assert_int_equal(t.count, count);
    map_release(&t);
}

/* ---- client ids ---- */

static void client_ids_are_forgotten_oldest_first(void **state)
{
    (void)state;
    struct clients c;
    clients_init(&c, 2, 5);
    struct client_id ids[3] = {client_id("a"), client_id("b"), client_id("123456789")};
    for (size_t i = 0; i < 3; i++)
        clients_close(&c, clients_add(&c, user_number(1), &ids[i]));
    assert_null(clients_find(&c, user_number(1), &ids[0]));
    assert_non_null(clients_find(&c, user_number(1), &ids[1]));
    assert_non_null(clients_find(&c, user_number(1), &ids[2]));
    assert_null(clients_find(&c, user_number(2), &ids[2]));
    clients_clear(&c);
    assert_null(clients_find(&c, user_number(1), &ids[2]));
    assert_non_null(clients_add(&c, user_number(1), &ids[2]));
    clients_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_survives_its_bytes),
        cmocka_unit_test(a_short_or_trailing_command_is_refused),
        cmocka_unit_test(a_ladder_keeps_any_prices_in_order),
        cmocka_unit_test(a_ladder_grows_at_either_end),
        cmocka_unit_test(a_table_finds_what_is_in_it_through_growth_and_removal),
        cmocka_unit_test(client_ids_are_forgotten_oldest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
