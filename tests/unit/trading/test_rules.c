/* The rules and the arithmetic of a market: at the limit and one more. */
#include "harness.h"

static void a_market_is_refused_unless_every_notional_is_exact(void **state)
{
    (void)state;
    static const struct {
        int64_t tick, lot;
        uint8_t base_scale;
        enum refusal expected;
    } cases[] = {
        {10000, 10000, 8, ACCEPTED},
        {10000, 1000, 8, REFUSED_RULES},
        {1, 1, 0, ACCEPTED},
        {1, 1, 1, REFUSED_RULES},
        {2, 5, 1, ACCEPTED},
        {3, 5, 1, REFUSED_RULES},
        {0, 1, 0, REFUSED_RULES},
        {1, 0, 0, REFUSED_RULES},
        {-1, 1, 0, REFUSED_RULES},
        {INT64_MAX, INT64_MAX, 0, ACCEPTED},
        {1, 1000000000000000000, 18, ACCEPTED},
        {1, 1, 19, REFUSED_RULES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rules r = plain_rules("AAA-BBB");
        r.tick = cases[i].tick;
        r.lot = cases[i].lot;
        r.base_scale = cases[i].base_scale;
        assert_int_equal(rules_check(&r, NULL), cases[i].expected);
    }
}

static void a_market_with_senseless_rules_is_refused_with_a_sentence(void **state)
{
    (void)state;
    struct rules wrong[6];
    for (size_t i = 0; i < 6; i++)
        wrong[i] = plain_rules("AAA-BBB");
    wrong[0].symbol[0] = 0;
    memcpy(wrong[1].quote, "AAA", 4);
    wrong[2].min_notional = -1;
    wrong[3].maker_ppm = FEE_PPM_MAX + 1;
    wrong[4].taker_ppm = FEE_PPM_MAX + 1;
    wrong[5].status = 3;
    for (size_t i = 0; i < 6; i++) {
        const char *why = NULL;
        assert_int_equal(rules_check(&wrong[i], &why), REFUSED_RULES);
        assert_non_null(why);
    }
    struct rules highest = plain_rules("AAA-BBB");
    highest.maker_ppm = highest.taker_ppm = FEE_PPM_MAX;
    assert_int_equal(rules_check(&highest, NULL), ACCEPTED);
}

static void every_order_is_judged_by_tick_lot_notional_and_size(void **state)
{
    (void)state;
    static const struct {
        struct terms terms;
        enum refusal expected;
        int64_t hold;
    } cases[] = {
        /* tick 10000 (0.01), lot 10000 (0.0001), least notional 1.0 at scale 6, base scale 8 */
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 10000, 10000000000}, ACCEPTED, 1000000},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 10000, 9999990000}, REFUSED_NOTIONAL, 0},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 10001, 10000000000}, REFUSED_TICK, 0},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 0, 10000000000}, REFUSED_TICK, 0},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, -10000, 10000000000}, REFUSED_TICK, 0},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 10000, 10000000001}, REFUSED_LOT, 0},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 10000, 0}, REFUSED_LOT, 0},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 10000, -10000}, REFUSED_LOT, 0},
        {{SIDE_SELL, TYPE_LIMIT, LIFETIME_FOK, 60000000000, 10000}, ACCEPTED, 10000},
        {{SIDE_SELL, TYPE_LIMIT, LIFETIME_IOC, 60000000000, 10000}, ACCEPTED, 10000},
        {{SIDE_SELL, TYPE_LIMIT, LIFETIME_GTC, 922337203685470000, 100000000}, ACCEPTED, 100000000},
        {{SIDE_SELL, TYPE_LIMIT, LIFETIME_GTC, 922337203685470000, 1000000000},
         ACCEPTED,
         1000000000},
        {{SIDE_SELL, TYPE_LIMIT, LIFETIME_GTC, 922337203685470000, 1000010000},
         REFUSED_OVERFLOW,
         0},
        {{SIDE_BUY, TYPE_LIMIT, LIFETIME_GTC, 9223372036854770000, 9223372036854770000},
         REFUSED_OVERFLOW,
         0},
        {{SIDE_BUY, TYPE_MARKET, LIFETIME_IOC, 1000000, 10000}, ACCEPTED, 1000000},
        {{SIDE_BUY, TYPE_MARKET, LIFETIME_FOK, 1000001, 10000}, ACCEPTED, 1000001},
        {{SIDE_BUY, TYPE_MARKET, LIFETIME_IOC, 999999, 10000}, REFUSED_NOTIONAL, 0},
        {{SIDE_BUY, TYPE_MARKET, LIFETIME_IOC, 0, 10000}, REFUSED_SPEND, 0},
        {{SIDE_SELL, TYPE_MARKET, LIFETIME_IOC, 0, 20000}, ACCEPTED, 20000},
        {{SIDE_SELL, TYPE_MARKET, LIFETIME_IOC, 1, 20000}, REFUSED_SPEND, 0},
        {{SIDE_SELL, TYPE_MARKET, LIFETIME_GTC, 0, 20000}, REFUSED_KIND, 0},
        {{0, TYPE_LIMIT, LIFETIME_GTC, 10000, 10000}, REFUSED_KIND, 0},
        {{3, TYPE_LIMIT, LIFETIME_GTC, 10000, 10000}, REFUSED_KIND, 0},
        {{SIDE_BUY, 0, LIFETIME_GTC, 10000, 10000}, REFUSED_KIND, 0},
        {{SIDE_BUY, 3, LIFETIME_IOC, 10000, 10000}, REFUSED_KIND, 0},
        {{SIDE_BUY, TYPE_LIMIT, 0, 10000, 10000}, REFUSED_KIND, 0},
        {{SIDE_BUY, TYPE_LIMIT, 4, 10000, 10000}, REFUSED_KIND, 0},
    };
    struct rules r = real_rules("BTC-USDT");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t hold = 0;
        enum refusal got = rules_judge(&r, &cases[i].terms, &hold);
        if (got != cases[i].expected) fail_msg("case %zu: %s", i, refusal_text(got));
        assert_int_equal(hold, cases[i].hold);
    }
}

static void fees_are_rounded_up_and_never_exceed_the_amount(void **state)
{
    (void)state;
    assert_int_equal(rules_fee(0, 1000), 0);
    assert_int_equal(rules_fee(1, 1000), 1);
    assert_int_equal(rules_fee(1000, 1000), 1);
    assert_int_equal(rules_fee(1001, 1000), 2);
    assert_int_equal(rules_fee(5, 0), 0);
    assert_int_equal(rules_fee(INT64_MAX, 1000000), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_market_is_refused_unless_every_notional_is_exact),
        cmocka_unit_test(a_market_with_senseless_rules_is_refused_with_a_sentence),
        cmocka_unit_test(every_order_is_judged_by_tick_lot_notional_and_size),
        cmocka_unit_test(fees_are_rounded_up_and_never_exceed_the_amount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
