/* The rules of the engine, one by one: at the limit and one more. */
#include "harness.h"

#include <stdlib.h>

static struct engine *market_of(struct rules rules)
{
    struct engine *e = new_engine((struct engine_options){0});
    define_market(e, rules);
    return e;
}

/* ---- markets ---- */

static void rules_of_a_market_change_only_as_its_open_orders_allow(void **state)
{
    (void)state;
    struct engine *e = market_of(real_rules("BTC-USDT"));
    struct request r = {.kind = COMMAND_MARKET, .rules = real_rules("BTC-USDT")};
    r.rules.tick = 5000;
    r.rules.lot = 20000;
    assert_int_equal(engine_apply(e, &r)->refusal, ACCEPTED); /* nothing rests: any grid */

    assert_int_equal(place_limit(e, 1, SIDE_BUY, 10000000000, 20000)->refusal, ACCEPTED);
    r.rules.tick = 2500;
    r.rules.lot = 40000;
    assert_int_equal(engine_apply(e, &r)->refusal, REFUSED_RULES); /* a finer tick */
    r.rules.tick = 10000;
    assert_int_equal(engine_apply(e, &r)->refusal, ACCEPTED); /* a coarser one */
    r.rules.quote_scale = 8;
    assert_int_equal(engine_apply(e, &r)->refusal, REFUSED_RULES);
    assert_int_equal(engine_market_count(e), 1);
    assert_int_equal(engine_market(e, 0)->rules.tick, 10000);
    engine_free(e);
}

static void a_halted_market_takes_cancels_only(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    uint64_t id = place_limit(e, 1, SIDE_BUY, 10, 1)->order.id;
    struct rules halted = plain_rules("AAA-BBB");
    halted.status = MARKET_HALTED;
    define_market(e, halted);
    assert_int_equal(place_limit(e, 1, SIDE_BUY, 10, 1)->refusal, REFUSED_HALTED);
    struct request r = {.kind = COMMAND_CANCEL, .user = user_number(1), .order_id = id};
    assert_int_equal(engine_apply(e, &r)->refusal, ACCEPTED);
    engine_free(e);
}

static void an_unknown_market_is_refused_and_the_hold_is_released(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    struct request r = limit_order(e, 1, SIDE_BUY, 10, 1);
    r.market = 1;
    const struct engine_result *result = engine_apply(e, &r);
    assert_int_equal(result->refusal, REFUSED_MARKET);
    assert_int_equal(result->release_count, 1);
    assert_int_equal(result->releases[0], r.order_id);
    assert_false(result->has_order);
    engine_free(e);
}

/* ---- orders ---- */

static void the_older_order_at_the_better_price_trades_first(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    uint64_t worse = place_limit(e, 1, SIDE_SELL, 101, 5)->order.id;
    uint64_t first = place_limit(e, 2, SIDE_SELL, 100, 5)->order.id;
    uint64_t second = place_limit(e, 3, SIDE_SELL, 100, 5)->order.id;
    const struct engine_result *r = place_limit(e, 4, SIDE_BUY, 101, 12);
    assert_int_equal(r->execution_count, 3);
    assert_int_equal(r->executions[0].maker.id, first);
    assert_int_equal(r->executions[1].maker.id, second);
    assert_int_equal(r->executions[2].maker.id, worse);
    assert_int_equal(r->executions[2].price, 101);
    assert_int_equal(r->executions[2].quantity, 2);
    assert_int_equal(r->executions[2].maker.status, ORDER_PARTIALLY_FILLED);
    assert_int_equal(r->order.status, ORDER_FILLED);
    assert_int_equal(r->order.filled_quote, 10 * 100 + 2 * 101);
    assert_int_equal(r->release_count, 3); /* two makers and the taker */
    engine_free(e);
}

static void what_an_ioc_order_cannot_fill_is_cancelled(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    (void)place_limit(e, 1, SIDE_SELL, 100, 5);
    struct request q = limit_order(e, 2, SIDE_BUY, 100, 8);
    q.terms.lifetime = LIFETIME_IOC;
    const struct engine_result *r = engine_apply(e, &q);
    assert_int_equal(r->order.filled, 5);
    assert_int_equal(r->order.status, ORDER_CANCELLED);
    assert_int_equal(r->order.reason, REASON_IOC);
    assert_int_equal(engine_open_count(e), 0);
    engine_free(e);
}

static void a_fok_order_is_filled_wholly_or_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        int64_t price, quantity;
        bool filled;
    } cases[] = {
        {100, 5, true}, {100, 6, false}, {101, 6, true}, {101, 10, true}, {101, 11, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct engine *e = market_of(plain_rules("AAA-BBB"));
        (void)place_limit(e, 1, SIDE_SELL, 100, 2);
        (void)place_limit(e, 1, SIDE_SELL, 100, 3);
        (void)place_limit(e, 1, SIDE_SELL, 101, 5);
        struct request q = limit_order(e, 2, SIDE_BUY, cases[i].price, cases[i].quantity);
        q.terms.lifetime = LIFETIME_FOK;
        const struct engine_result *r = engine_apply(e, &q);
        assert_int_equal(r->order.status, cases[i].filled ? ORDER_FILLED : ORDER_CANCELLED);
        assert_int_equal(r->order.reason, cases[i].filled ? REASON_NONE : REASON_FOK);
        assert_int_equal(r->order.filled, cases[i].filled ? cases[i].quantity : 0);
        if (!cases[i].filled) assert_int_equal(r->level_count, 0);
        engine_free(e);
    }
}

static void a_market_buy_never_spends_more_than_its_limit(void **state)
{
    (void)state;
    static const struct {
        int64_t budget, quantity, filled, spent;
        enum reason reason;
    } cases[] = {
        {1000, 10, 10, 1000, REASON_NONE},        {999, 10, 9, 900, REASON_SPEND_LIMIT},
        {1109, 20, 10, 1000, REASON_SPEND_LIMIT}, {1110, 20, 11, 1110, REASON_SPEND_LIMIT},
        {99, 1, 0, 0, REASON_SPEND_LIMIT},        {1000000, 25, 20, 2100, REASON_IOC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct engine *e = market_of(plain_rules("AAA-BBB"));
        (void)place_limit(e, 1, SIDE_SELL, 100, 10);
        (void)place_limit(e, 1, SIDE_SELL, 110, 10);
        struct request q = limit_order(e, 2, SIDE_BUY, cases[i].budget, cases[i].quantity);
        q.terms.type = TYPE_MARKET;
        q.terms.lifetime = LIFETIME_IOC;
        const struct engine_result *r = engine_apply(e, &q);
        assert_int_equal(r->order.filled, cases[i].filled);
        assert_int_equal(r->order.filled_quote, cases[i].spent);
        assert_int_equal(r->order.reason, cases[i].reason);
        engine_free(e);
    }
}

static void a_market_fok_buy_counts_its_budget_before_it_trades(void **state)
{
    (void)state;
    for (int64_t budget = 2099; budget <= 2100; budget++) {
        struct engine *e = market_of(plain_rules("AAA-BBB"));
        (void)place_limit(e, 1, SIDE_SELL, 100, 10);
        (void)place_limit(e, 1, SIDE_SELL, 110, 10);
        struct request q = limit_order(e, 2, SIDE_BUY, budget, 20);
        q.terms.type = TYPE_MARKET;
        q.terms.lifetime = LIFETIME_FOK;
        const struct engine_result *r = engine_apply(e, &q);
        assert_int_equal(r->execution_count, budget == 2100 ? 2 : 0);
        engine_free(e);
    }
}

static void one_order_has_at_most_so_many_fills_and_the_rest_is_cancelled(void **state)
{
    (void)state;
    for (unsigned lifetime = LIFETIME_GTC; lifetime <= LIFETIME_FOK; lifetime++)
        for (int64_t quantity = 3; quantity <= 4; quantity++) {
            struct engine *e = new_engine((struct engine_options){.fills_max = 3});
            define_market(e, plain_rules("AAA-BBB"));
            for (int64_t i = 0; i < 5; i++)
                (void)place_limit(e, 1, SIDE_SELL, 100, 1);
            struct request q = limit_order(e, 2, SIDE_BUY, 100, quantity);
            q.terms.lifetime = (uint8_t)lifetime;
            const struct engine_result *r = engine_apply(e, &q);
            bool killed = lifetime == LIFETIME_FOK && quantity == 4;
            assert_int_equal(r->execution_count, killed ? 0 : 3);
            if (quantity == 3)
                assert_int_equal(r->order.status, ORDER_FILLED);
            else
                assert_int_equal(r->order.reason, killed ? REASON_FOK : REASON_TOO_MANY_FILLS);
            engine_free(e);
        }
}

static void a_level_whose_total_would_not_fit_takes_no_more(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    assert_int_equal(place_limit(e, 1, SIDE_BUY, 1, INT64_MAX)->order.status, ORDER_OPEN);
    const struct engine_result *r = place_limit(e, 2, SIDE_BUY, 1, 1);
    assert_int_equal(r->order.status, ORDER_CANCELLED);
    assert_int_equal(r->order.reason, REASON_TOO_LARGE);
    assert_int_equal(r->release_count, 1);
    assert_int_equal(engine_open_count(e), 1);
    engine_free(e);
}

static void a_taker_whose_takings_would_not_fit_is_stopped(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    (void)place_limit(e, 1, SIDE_BUY, INT64_MAX, 1);
    (void)place_limit(e, 1, SIDE_BUY, INT64_MAX - 1, 1);
    const struct engine_result *r = place_limit(e, 2, SIDE_SELL, 1, 2);
    assert_int_equal(r->execution_count, 1);
    assert_int_equal(r->order.reason, REASON_TOO_LARGE);
    engine_free(e);
}

static void only_the_owner_cancels_and_only_once(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    uint64_t id = place_limit(e, 1, SIDE_BUY, 10, 5)->order.id;
    struct request r = {
        .kind = COMMAND_CANCEL, .user = user_number(2), .order_id = id, .now_ms = 7};
    assert_int_equal(engine_apply(e, &r)->refusal, REFUSED_ORDER);
    r.user = user_number(1);
    const struct engine_result *result = engine_apply(e, &r);
    assert_int_equal(result->refusal, ACCEPTED);
    assert_int_equal(result->order.status, ORDER_CANCELLED);
    assert_int_equal(result->order.reason, REASON_USER);
    assert_int_equal(result->order.updated_ms, 7);
    assert_int_equal(result->releases[0], id);
    assert_int_equal(result->levels[0].quantity, 0);
    assert_int_equal(engine_apply(e, &r)->refusal, REFUSED_ORDER);
    engine_free(e);
}

static void cancel_all_takes_the_users_orders_of_one_market_or_of_all(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    define_market(e, plain_rules("CCC-DDD"));
    for (unsigned i = 0; i < 6; i++) {
        struct request q = limit_order(e, i % 3, SIDE_BUY, 10 + i, 5);
        q.market = i % 2;
        (void)engine_apply(e, &q);
    }
    struct request r = {.kind = COMMAND_CANCEL_ALL, .user = user_number(1), .market = 0};
    assert_int_equal(engine_apply(e, &r)->cancelled_count, 1);
    r.market = MARKET_ALL;
    r.user = user_number(2);
    const struct engine_result *result = engine_apply(e, &r);
    assert_int_equal(result->cancelled_count, 2);
    assert_int_equal(result->release_count, 2);
    assert_int_equal(engine_apply(e, &r)->cancelled_count, 0);
    r.market = 2;
    assert_int_equal(engine_apply(e, &r)->refusal, REFUSED_MARKET);
    assert_int_equal(engine_open_count(e), 3);
    engine_free(e);
}

static void a_replaced_order_loses_its_priority_and_keeps_its_side(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    uint64_t first = place_limit(e, 1, SIDE_SELL, 100, 5)->order.id;
    uint64_t second = place_limit(e, 2, SIDE_SELL, 100, 5)->order.id;
    struct request q = {.kind = COMMAND_REPLACE,
                        .user = user_number(1),
                        .order_id = next_order_id(e),
                        .old_order_id = first,
                        .terms = {.price = 100, .quantity = 4}};
    const struct engine_result *r = engine_apply(e, &q);
    assert_int_equal(r->cancelled[0].id, first);
    assert_int_equal(r->cancelled[0].reason, REASON_REPLACED);
    assert_int_equal(r->order.terms.side, SIDE_SELL);
    assert_int_equal(place_limit(e, 3, SIDE_BUY, 100, 5)->executions[0].maker.id, second);

    q.order_id = next_order_id(e);
    r = engine_apply(e, &q); /* the old one is gone: refused, and the new hold goes back */
    assert_int_equal(r->refusal, REFUSED_ORDER);
    assert_int_equal(r->releases[0], q.order_id);
    engine_free(e);
}

static void a_refused_replacement_leaves_the_old_order_alone(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    uint64_t id = place_limit(e, 1, SIDE_SELL, 100, 5)->order.id;
    struct request q = {.kind = COMMAND_REPLACE,
                        .user = user_number(1),
                        .order_id = next_order_id(e),
                        .old_order_id = id,
                        .terms = {.price = 0, .quantity = 4}};
    assert_int_equal(engine_apply(e, &q)->refusal, REFUSED_TICK);
    struct order_view order;
    assert_true(engine_find_order(e, id, &order));
    engine_free(e);
}

static void the_hold_of_a_replacement_is_that_of_the_new_order(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    uint64_t id = place_limit(e, 1, SIDE_BUY, 100, 5)->order.id;
    struct request q = {.kind = COMMAND_REPLACE,
                        .user = user_number(1),
                        .order_id = next_order_id(e),
                        .old_order_id = id,
                        .terms = {.price = 90, .quantity = 4}};
    const char *asset = NULL;
    int64_t hold = 0;
    assert_int_equal(engine_judge(e, &q, &asset, &hold), ACCEPTED);
    assert_string_equal(asset, "BBB");
    assert_int_equal(hold, 360);
    engine_free(e);
}

/* ---- limits ---- */

static void a_user_has_at_most_so_many_open_orders(void **state)
{
    (void)state;
    struct engine *e = new_engine((struct engine_options){.user_open_max = 2});
    define_market(e, plain_rules("AAA-BBB"));
    assert_int_equal(place_limit(e, 1, SIDE_BUY, 10, 1)->refusal, ACCEPTED);
    uint64_t id = place_limit(e, 1, SIDE_BUY, 10, 1)->order.id;
    assert_int_equal(place_limit(e, 1, SIDE_BUY, 10, 1)->refusal, REFUSED_USER_FULL);
    assert_int_equal(place_limit(e, 2, SIDE_BUY, 10, 1)->refusal, ACCEPTED);
    struct request r = {.kind = COMMAND_CANCEL, .user = user_number(1), .order_id = id};
    assert_int_equal(engine_apply(e, &r)->refusal, ACCEPTED);
    assert_int_equal(place_limit(e, 1, SIDE_BUY, 10, 1)->refusal, ACCEPTED);
    engine_free(e);
}

static void a_shard_has_at_most_so_many_open_orders(void **state)
{
    (void)state;
    struct engine *e = new_engine((struct engine_options){.open_max = 2});
    define_market(e, plain_rules("AAA-BBB"));
    assert_int_equal(place_limit(e, 1, SIDE_BUY, 10, 1)->refusal, ACCEPTED);
    assert_int_equal(place_limit(e, 2, SIDE_BUY, 10, 1)->refusal, ACCEPTED);
    assert_int_equal(place_limit(e, 3, SIDE_BUY, 10, 1)->refusal, REFUSED_SHARD_FULL);
    engine_free(e);
}

/* ---- client order ids ---- */

static const struct engine_result *place_named(struct engine *e, uint64_t user, const char *name,
                                               int64_t price)
{
    struct request r = limit_order(e, user, SIDE_BUY, price, 1);
    r.client_id = client_id(name);
    return engine_apply(e, &r);
}

static void a_repeated_client_order_id_is_answered_with_the_first_order(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    uint64_t first = place_named(e, 1, "mine", 10)->order.id;
    const struct engine_result *r = place_named(e, 1, "mine", 10);
    assert_int_equal(r->refusal, REFUSED_DUPLICATE);
    assert_int_equal(r->order_id, first);
    assert_true(r->has_order);
    assert_int_equal(r->order.id, first);
    assert_int_equal(r->release_count, 1); /* the second one's hold */
    assert_true(r->releases[0] != first);

    assert_int_equal(place_named(e, 1, "mine", 11)->refusal, REFUSED_ID_REUSED);
    assert_int_equal(place_named(e, 2, "mine", 11)->refusal, ACCEPTED); /* somebody else's */
    assert_int_equal(place_named(e, 1, "min", 11)->refusal, ACCEPTED);
    assert_int_equal(engine_open_count(e), 3);
    engine_free(e);
}

static void every_part_of_a_body_makes_it_another_body(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    define_market(e, plain_rules("CCC-DDD"));
    struct request first = limit_order(e, 1, SIDE_BUY, 10, 1);
    first.client_id = client_id("mine");
    (void)engine_apply(e, &first);
    struct request other[6];
    for (size_t i = 0; i < 6; i++)
        other[i] = first;
    other[0].terms.side = SIDE_SELL;
    other[1].terms.quantity = 2;
    other[2].terms.price = 11;
    other[3].terms.lifetime = LIFETIME_IOC;
    other[4].market = 1;
    other[5].kind = COMMAND_REPLACE;
    other[5].old_order_id = first.order_id;
    for (size_t i = 0; i < 6; i++) {
        other[i].order_id = next_order_id(e);
        assert_int_equal(engine_apply(e, &other[i])->refusal, REFUSED_ID_REUSED);
    }
    engine_free(e);
}

static void closed_ids_are_remembered_up_to_the_window_and_open_ones_for_ever(void **state)
{
    (void)state;
    struct engine *e = new_engine((struct engine_options){.closed_ids_max = 2});
    define_market(e, plain_rules("AAA-BBB"));
    uint64_t open = place_named(e, 1, "open", 10)->order.id;
    static const char *const names[] = {"one", "two", "three"};
    for (size_t i = 0; i < 3; i++) {
        uint64_t id = place_named(e, 1, names[i], 10)->order.id;
        struct request r = {.kind = COMMAND_CANCEL, .user = user_number(1), .order_id = id};
        assert_int_equal(engine_apply(e, &r)->refusal, ACCEPTED);
    }
    assert_int_equal(place_named(e, 1, "three", 10)->refusal, REFUSED_DUPLICATE);
    const struct engine_result *r = place_named(e, 1, "two", 10);
    assert_int_equal(r->refusal, REFUSED_DUPLICATE);
    assert_false(r->has_order); /* closed: whoever asks looks it up by its id */
    assert_true(r->order_id != 0);
    assert_int_equal(place_named(e, 1, "open", 10)->order_id, open);
    assert_int_equal(place_named(e, 1, "one", 10)->refusal, ACCEPTED);
    engine_free(e);
}

/* ---- queries ---- */

static void open_orders_are_listed_newest_first_and_page_by_id(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    define_market(e, plain_rules("CCC-DDD"));
    uint64_t ids[6];
    for (unsigned i = 0; i < 6; i++) {
        struct request q = limit_order(e, 1, SIDE_BUY, 10, 5);
        q.market = i % 2;
        ids[i] = engine_apply(e, &q)->order.id;
    }
    struct order_view page[4];
    assert_int_equal(engine_open_orders(e, user_number(1), MARKET_ALL, 0, page, 4), 4);
    assert_int_equal(page[0].id, ids[5]);
    assert_int_equal(engine_open_orders(e, user_number(1), MARKET_ALL, page[3].id, page, 4), 2);
    assert_int_equal(page[1].id, ids[0]);
    assert_int_equal(engine_open_orders(e, user_number(1), 1, 0, page, 4), 3);
    assert_int_equal(page[2].id, ids[1]);
    assert_int_equal(engine_open_orders(e, user_number(2), MARKET_ALL, 0, page, 4), 0);
    engine_free(e);
}

static void depth_has_the_best_levels_with_totals_and_counts(void **state)
{
    (void)state;
    struct engine *e = market_of(plain_rules("AAA-BBB"));
    (void)place_limit(e, 1, SIDE_BUY, 10, 5);
    (void)place_limit(e, 1, SIDE_BUY, 12, 1);
    (void)place_limit(e, 1, SIDE_BUY, 12, 2);
    (void)place_limit(e, 1, SIDE_SELL, 20, 7);
    (void)place_limit(e, 1, SIDE_SELL, 19, 8);
    struct level_change levels[2];
    const struct market *m = engine_find_market(e, "AAA-BBB");
    assert_int_equal(market_depth(m, SIDE_BUY, levels, 1), 1);
    assert_int_equal(levels[0].price, 12);
    assert_int_equal(levels[0].quantity, 3);
    assert_int_equal(levels[0].orders, 2);
    assert_int_equal(levels[0].update_id, 5);
    assert_int_equal(market_depth(m, SIDE_SELL, levels, 2), 2);
    assert_int_equal(levels[0].price, 19);
    assert_null(engine_find_market(e, "AAA-BBC"));
    engine_free(e);
}

static void a_damaged_snapshot_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    struct engine *e = market_of(real_rules("BTC-USDT"));
    (void)place_named(e, 1, "named", 10);
    struct request q = limit_order(e, 1, SIDE_BUY, 10000000000, 20000);
    q.client_id = client_id("open");
    (void)engine_apply(e, &q);
    struct buf bytes;
    saved(e, &bytes);
    for (size_t size = 0; size <= bytes.size; size++) {
        struct engine *copy = new_engine((struct engine_options){0});
        assert_err(engine_load(copy, bytes.data, size), size == bytes.size ? OK : ERR_CORRUPT);
        engine_free(copy);
    }
    struct engine *other = new_engine((struct engine_options){.shard = 2});
    assert_err(engine_load(other, bytes.data, bytes.size), ERR_CORRUPT);
    engine_free(other);
    buf_release(&bytes);
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_a_market_change_only_as_its_open_orders_allow),
        cmocka_unit_test(a_halted_market_takes_cancels_only),
        cmocka_unit_test(an_unknown_market_is_refused_and_the_hold_is_released),
        cmocka_unit_test(the_older_order_at_the_better_price_trades_first),
        cmocka_unit_test(what_an_ioc_order_cannot_fill_is_cancelled),
        cmocka_unit_test(a_fok_order_is_filled_wholly_or_changes_nothing),
        cmocka_unit_test(a_market_buy_never_spends_more_than_its_limit),
        cmocka_unit_test(a_market_fok_buy_counts_its_budget_before_it_trades),
        cmocka_unit_test(one_order_has_at_most_so_many_fills_and_the_rest_is_cancelled),
        cmocka_unit_test(a_level_whose_total_would_not_fit_takes_no_more),
        cmocka_unit_test(a_taker_whose_takings_would_not_fit_is_stopped),
        cmocka_unit_test(only_the_owner_cancels_and_only_once),
        cmocka_unit_test(cancel_all_takes_the_users_orders_of_one_market_or_of_all),
        cmocka_unit_test(a_replaced_order_loses_its_priority_and_keeps_its_side),
        cmocka_unit_test(a_refused_replacement_leaves_the_old_order_alone),
        cmocka_unit_test(the_hold_of_a_replacement_is_that_of_the_new_order),
        cmocka_unit_test(a_user_has_at_most_so_many_open_orders),
        cmocka_unit_test(a_shard_has_at_most_so_many_open_orders),
        cmocka_unit_test(a_repeated_client_order_id_is_answered_with_the_first_order),
        cmocka_unit_test(every_part_of_a_body_makes_it_another_body),
        cmocka_unit_test(closed_ids_are_remembered_up_to_the_window_and_open_ones_for_ever),
        cmocka_unit_test(open_orders_are_listed_newest_first_and_page_by_id),
        cmocka_unit_test(depth_has_the_best_levels_with_totals_and_counts),
        cmocka_unit_test(a_damaged_snapshot_is_refused_wherever_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
