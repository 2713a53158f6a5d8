/* Which limit counts whom: rates as text, callers to keys, tiers, batches. */
#include "support/unit.h"

#include "gateway_part.h"
#include "rate_rules.h"
#include "trading.pb-c.h"

#include <stdio.h>
#include <string.h>

static void a_rate_is_a_number_and_a_time(void **state)
{
    static const struct {
        const char *text;
        int64_t limit, window_ms; /* 0: refused */
    } rows[] = {
        {"20/1m", 20, 60000},
        {"5/15m", 5, 900000},
        {"1/1s", 1, 1000},
        {"1000000/24h", 1000000, 86400000},
        {"100/86400s", 100, 86400000},
        {"007/060s", 7, 60000},
        {"1000001/1m", 0, 0},
        {"20/25h", 0, 0},
        {"20/86401s", 0, 0},
        {"0/1m", 0, 0},
        {"20/0m", 0, 0},
        {"20/m", 0, 0},
        {"/1m", 0, 0},
        {"20", 0, 0},
        {"20/1", 0, 0},
        {"20/1d", 0, 0},
        {"20/1mm", 0, 0},
        {"20/1m ", 0, 0},
        {" 20/1m", 0, 0},
        {"-20/1m", 0, 0},
        {"20/-1m", 0, 0},
        {"2.5/1m", 0, 0},
        {"18446744073709551617/1m", 0, 0},
        {"20/18446744073709551617m", 0, 0},
        {"", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cache_rule rule = {-1, -1};
        struct err_detail detail = {""};
        enum err e = limits_rule_parse(rows[i].text, &rule, &detail);
        if (e != (rows[i].limit ? OK : ERR_INVALID)) fail_msg("%s: %s", rows[i].text, err_name(e));
        assert_int_equal(rule.limit, e ? -1 : rows[i].limit);
        assert_int_equal(rule.window_ms, e ? -1 : rows[i].window_ms);
        assert_int_equal(detail.text[0] != 0, e != OK);
    }
}

static enum err read_rules(const char *const *overrides, struct limits_rules *ret,
                           struct err_detail *detail)
{
    struct config *config = NULL;
    const struct config_sources from = {.overrides = overrides};
    assert_ok(config_load(gateway_part.config, &from, &config, detail));
    enum err e = limits_rules_read(config, ret, detail);
    config_free(config);
    return e;
}

static struct limits_rules default_rules(void)
{
    struct limits_rules rules;
    assert_ok(read_rules((const char *const[]){"gateway.rate_exempt=10.0.0.0/8, fd00::/8", NULL},
                         &rules, NULL));
    return rules;
}

static void the_defaults_are_what_the_api_promises(void **state)
{
    static const struct cache_rule expected[LIMITS_CLASSES] = {
        [RATE_DEFAULT] = {100, 60000},     [RATE_LOGIN] = {5, 15 * 60000},
        [RATE_REGISTER] = {3, 3600000},    [RATE_ORDERS] = {20, 60000},
        [RATE_WITHDRAWALS] = {5, 3600000}, [LIMITS_IDEMPOTENCY_KEYS] = {10000, 24 * 3600000},
    };
    const struct limits_rules rules = default_rules();
    (void)state;
    for (unsigned i = 0; i < LIMITS_CLASSES; i++) {
        assert_int_equal(rules.of[i].limit, expected[i].limit);
        assert_int_equal(rules.of[i].window_ms, expected[i].window_ms);
    }
}

static void a_wrong_configuration_names_its_key(void **state)
{
    static const struct {
        const char *override, *told;
    } rows[] = {
        {"gateway.rate_orders=often", "gateway.rate_orders: "},
        {"gateway.rate_login=5/1w", "gateway.rate_login: "},
        {"gateway.rate_exempt=10.0.0.0/33", "gateway.rate_exempt: "},
        {"gateway.rate_exempt=everybody", "gateway.rate_exempt: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err_detail detail = {""};
        struct limits_rules rules = {.tier_count = 77};
        assert_err(read_rules((const char *const[]){rows[i].override, NULL}, &rules, &detail),
                   ERR_INVALID);
        assert_memory_equal(detail.text, rows[i].told, strlen(rows[i].told));
        assert_int_equal(rules.tier_count, 77); /* untouched */
    }
}

static void a_caller_has_one_key_per_class(void **state)
{
    static const struct {
        struct limits_caller caller;
        unsigned class;
        const char *key; /* NULL: not limited */
        int64_t limit;
    } rows[] = {
        /* guests: by address */
        {{"192.0.2.7", "", ""}, RATE_DEFAULT, "rate:default:address:192.0.2.7", 100},
        {{"192.0.2.7", "", ""}, RATE_LOGIN, "rate:login:address:192.0.2.7", 5},
        {{"192.0.2.7", "", ""}, RATE_REGISTER, "rate:register:address:192.0.2.7", 3},
        /* IPv6: a household's /64; an IPv4 address in IPv6's clothes is that address */
        {{"2001:db8:1:2:3:4:5:6", "", ""},
         RATE_DEFAULT,
         "rate:default:address:2001:db8:1:2::",
         100},
        {{"2001:db8:1:2:ffff::1", "", ""},
         RATE_DEFAULT,
         "rate:default:address:2001:db8:1:2::",
         100},
        {{"2001:db8:1:3::1", "", ""}, RATE_DEFAULT, "rate:default:address:2001:db8:1:3::", 100},
        {{"::ffff:192.0.2.7", "", ""}, RATE_DEFAULT, "rate:default:address:192.0.2.7", 100},
        {{"no address", "", ""}, RATE_DEFAULT, "rate:default:address:no address", 100},
        /* users: by user, wherever they are; but logging in and registering by address */
        {{"192.0.2.7", "u1", ""}, RATE_DEFAULT, "rate:default:user:u1", 100},
        {{"192.0.2.8", "u1", ""}, RATE_DEFAULT, "rate:default:user:u1", 100},
        {{"192.0.2.7", "u1", ""}, RATE_ORDERS, "rate:orders:user:u1", 20},
        {{"192.0.2.7", "u1", ""}, RATE_WITHDRAWALS, "rate:withdrawals:user:u1", 5},
        {{"192.0.2.7", "u1", ""}, RATE_LOGIN, "rate:login:address:192.0.2.7", 5},
        {{"192.0.2.7", "u1", ""}, RATE_REGISTER, "rate:register:address:192.0.2.7", 3},
        {{"192.0.2.7", "u1", ""}, LIMITS_IDEMPOTENCY_KEYS, "rate:idempotency_keys:user:u1", 10000},
        /* a tier raises orders and calls, apart from the user's sessions; nothing else */
        {{"192.0.2.7", "u1", "pro"}, RATE_ORDERS, "rate:orders:user:u1:pro", 200},
        {{"192.0.2.7", "u1", "maker"}, RATE_DEFAULT, "rate:default:user:u1:maker", 6000},
        {{"192.0.2.7", "u1", "pro"}, RATE_WITHDRAWALS, "rate:withdrawals:user:u1", 5},
        {{"192.0.2.7", "u1", "pro"}, RATE_LOGIN, "rate:login:address:192.0.2.7", 5},
        {{"192.0.2.7", "u1", "unheard-of"}, RATE_ORDERS, "rate:orders:user:u1", 20},
        /* exempt networks, whoever calls from there */
        {{"10.1.2.3", "", ""}, RATE_LOGIN, NULL, 0},
        {{"10.1.2.3", "u1", "pro"}, RATE_ORDERS, NULL, 0},
        {{"fd12::1", "", ""}, RATE_DEFAULT, NULL, 0},
        {{"::ffff:10.1.2.3", "", ""}, RATE_DEFAULT, NULL, 0},
        {{"11.0.0.1", "", ""}, RATE_DEFAULT, "rate:default:address:11.0.0.1", 100},
    };
    const struct limits_rules rules = default_rules();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char key[LIMITS_KEY_SIZE] = "";
        struct cache_rule rule = {0};
        bool limited = limits_choose(&rules, &rows[i].caller, rows[i].class, key, &rule);
        assert_int_equal(limited, rows[i].key != NULL);
        if (!limited) continue;
        assert_string_equal(key, rows[i].key);
        assert_int_equal(rule.limit, rows[i].limit);
        assert_int_equal(rule.window_ms, rules.of[rows[i].class].window_ms);
    }
}

static void the_longest_caller_fits_into_a_key_of_the_cache(void **state)
{
    char user_id[40], peer[512], tier[LIMITS_TIER_MAX + 1], key[LIMITS_KEY_SIZE];
    struct limits_rules rules = default_rules();
    struct cache_rule rule;
    (void)state;
    memset(user_id, 'u', sizeof user_id - 1);
    memset(peer, 'p', sizeof peer - 1);
    memset(tier, 't', LIMITS_TIER_MAX);
    user_id[sizeof user_id - 1] = peer[sizeof peer - 1] = tier[LIMITS_TIER_MAX] = 0;
    memcpy(rules.tiers[0].name, tier, sizeof tier);
    assert_true(limits_choose(&rules, &(struct limits_caller){peer, user_id, tier}, RATE_DEFAULT,
                              key, &rule));
    assert_non_null(strstr(key, tier)); /* nothing is cut: the tier is the end */
    assert_true(
        limits_choose(&rules, &(struct limits_caller){peer, "", ""}, RATE_WITHDRAWALS, key, &rule));
    assert_true(strlen(key) <= CACHE_KEY_MAX);
}

static void a_tier_that_raises_only_one_class_leaves_the_other(void **state)
{
    struct limits_rules rules = default_rules();
    (void)state;
    rules.tiers[0].calls = 0;
    assert_int_equal(limits_for(&rules, rules.tiers[0].name, RATE_ORDERS).limit, 200);
    assert_int_equal(limits_for(&rules, rules.tiers[0].name, RATE_DEFAULT).limit, 100);
    assert_int_equal(limits_for(&rules, "", RATE_ORDERS).limit, 20);
}

static void a_batch_counts_its_orders(void **state)
{
    const struct contract_method *batch = contract_method("trading.Trading/PlaceOrders");
    const struct contract_method *one = contract_method("trading.Trading/PlaceOrder");
    const struct contract_method *quotes = contract_method("trading.Trading/GetQuotes");
    Trading__PlaceOrdersRequest many = TRADING__PLACE_ORDERS_REQUEST__INIT;
    Trading__PlaceOrderRequest single = TRADING__PLACE_ORDER_REQUEST__INIT;
    (void)state;
    assert_true(limits_by_items(batch));
    assert_false(limits_by_items(one));
    assert_false(limits_by_items(quotes));
    assert_int_equal(limits_cost(one, &single.base), 1);
    assert_int_equal(limits_cost(batch, &many.base), 1); /* an empty one is a call */
    many.n_orders = 200;
    assert_int_equal(limits_cost(batch, &many.base), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_a_number_and_a_time),
        cmocka_unit_test(the_defaults_are_what_the_api_promises),
        cmocka_unit_test(a_wrong_configuration_names_its_key),
        cmocka_unit_test(a_caller_has_one_key_per_class),
        cmocka_unit_test(the_longest_caller_fits_into_a_key_of_the_cache),
        cmocka_unit_test(a_tier_that_raises_only_one_class_leaves_the_other),
        cmocka_unit_test(a_batch_counts_its_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
