/* Counting in a Redis that two gateways share, and what happens while it is away. */
#include "support/unit.h"

#include "base/metrics.h"
#include "rate_limits.h"
#include "support/eventually.h"
#include "support/redis.h"

#include <pthread.h>
#include <stdio.h>

#define LIMIT 5

static struct redis_server server;

static const struct limits_rules rules = {
    .of = {[RATE_DEFAULT] = {LIMIT, 3600000},
           [RATE_LOGIN] = {2, 3600000},
           [RATE_ORDERS] = {20, 3600000}},
};

struct gateway {
    struct cache *cache;
    struct limits *limits;
};

static struct gateway start_gateway(void)
{
    char url[64];
    struct gateway g = {0};
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    assert_ok(cache_open(&(struct cache_options){.url = url, .timeout_ms = 5000}, &g.cache, NULL));
    assert_ok(limits_new(&rules, g.cache, &g.limits));
    return g;
}

static void stop_gateway(struct gateway *g)
{
    limits_free(g->limits);
    cache_close(g->cache);
}

static enum err count(struct gateway *g, const char *user_id, unsigned class, int64_t cost,
                      struct limits_verdict *ret)
{
    const struct limits_caller caller = {"192.0.2.7", user_id, ""};
    return limits_count(g->limits, &caller, class, cost, ret);
}

static int64_t is_local(void)
{
    return gauge_value(metrics_gauge("tradepost_gateway_limits_local", "", NULL));
}

static void two_gateways_count_together(void **state)
{
    (void)state;
    struct gateway a = start_gateway(), b = start_gateway();
    struct limits_verdict v;
    for (int64_t left = LIMIT - 1; left >= 0; left--) {
        assert_ok(count(left % 2 ? &a : &b, "together", RATE_DEFAULT, 1, &v));
        assert_true(v.counted);
        assert_int_equal(v.limit, LIMIT);
        assert_int_equal(v.remaining, left);
        assert_int_equal(v.window_ms, 3600000);
    }
    assert_err(count(&a, "together", RATE_DEFAULT, 1, &v), ERR_EXHAUSTED);
    assert_err(count(&b, "together", RATE_DEFAULT, 1, &v), ERR_EXHAUSTED);
    assert_int_equal(v.remaining, 0);
    assert_in_range(v.reset_ms, 1, 2 * 3600000);
    assert_ok(count(&b, "together", RATE_ORDERS, 1, &v)); /* another class */
    assert_ok(count(&b, "another", RATE_DEFAULT, 1, &v));
    stop_gateway(&a);
    stop_gateway(&b);
}

static void a_batch_is_counted_whole_or_not_at_all(void **state)
{
    (void)state;
    struct gateway g = start_gateway();
    struct limits_verdict v;
    assert_ok(count(&g, "batch", RATE_ORDERS, 0, &v)); /* only asks */
    assert_int_equal(v.remaining, 20);
    assert_ok(count(&g, "batch", RATE_ORDERS, 15, &v));
    assert_err(count(&g, "batch", RATE_ORDERS, 6, &v), ERR_EXHAUSTED);
    assert_int_equal(v.remaining, 5);
    assert_err(count(&g, "batch", RATE_ORDERS, 21, &v), ERR_RANGE);
    assert_int_equal(v.limit, 20);
    assert_ok(count(&g, "batch", RATE_ORDERS, 5, &v));
    assert_err(count(&g, "batch", RATE_ORDERS, 0, &v), ERR_EXHAUSTED);
    stop_gateway(&g);
}

static void new_rules_hold_from_the_next_call_on(void **state)
{
    (void)state;
    struct gateway g = start_gateway();
    struct limits_rules higher = rules;
    struct limits_verdict v;
    assert_ok(count(&g, "reloaded", RATE_ORDERS, 20, &v));
    assert_err(count(&g, "reloaded", RATE_ORDERS, 1, &v), ERR_EXHAUSTED);
    higher.of[RATE_ORDERS].limit = 22;
    limits_set(g.limits, &higher);
    assert_ok(count(&g, "reloaded", RATE_ORDERS, 1, &v)); /* what was counted stays counted */
    assert_int_equal(v.remaining, 1);
    assert_ok(networks_parse("192.0.2.0/24", &higher.exempt, NULL));
    limits_set(g.limits, &higher);
    assert_ok(count(&g, "reloaded", RATE_ORDERS, 22, &v));
    assert_false(v.counted);
    stop_gateway(&g);
}

static void while_the_cache_is_away_each_gateway_counts_and_nothing_is_unlimited(void **state)
{
    (void)state;
    struct gateway g = start_gateway();
    struct limits_verdict v;
    for (int i = 0; i < LIMIT; i++)
        assert_ok(count(&g, "", RATE_DEFAULT, 1, &v));
    assert_err(count(&g, "", RATE_DEFAULT, 1, &v), ERR_EXHAUSTED);
    assert_int_equal(is_local(), 0);

    redis_server_kill(&server);
    for (int64_t left = 1; left >= 0; left--) { /* a guest may log in, so often and no more */
        assert_ok(count(&g, "", RATE_LOGIN, 1, &v));
        assert_int_equal(v.remaining, left);
    }
    assert_err(count(&g, "", RATE_LOGIN, 1, &v), ERR_EXHAUSTED);
    assert_int_equal(is_local(), 1);

    assert_true(redis_server_restart(&server)); /* an empty one */
    assert_eventually(count(&g, "", RATE_LOGIN, 1, &v) == OK);
    assert_int_equal(is_local(), 0);
    assert_ok(count(&g, "", RATE_LOGIN, 1, &v));
    assert_err(count(&g, "", RATE_LOGIN, 1, &v), ERR_EXHAUSTED);
    stop_gateway(&g);
}

static void *count_on(void *arg)
{
    struct limits_verdict v;
    for (int i = 0; i < 50; i++) {
        assert_ok(count(arg, "threads", RATE_ORDERS, 1, &v));
        assert_true(v.limit == 1000 || v.limit == 2000);
    }
    return NULL;
}

static void rules_may_change_while_calls_are_counted(void **state)
{
    enum { THREADS = 4 };
    (void)state;
    struct gateway g = start_gateway();
    struct limits_rules other = rules;
    struct limits_verdict v;
    pthread_t threads[THREADS];
    other.of[RATE_ORDERS].limit = 1000;
    limits_set(g.limits, &other);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_on, &g), 0);
    for (int i = 0; i < 1000; i++) {
        other.of[RATE_ORDERS].limit = i % 2 ? 1000 : 2000;
        limits_set(g.limits, &other);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_ok(count(&g, "threads", RATE_ORDERS, 0, &v));
    assert_int_equal(v.remaining, 1000 - THREADS * 50); /* none lost, none twice */
    stop_gateway(&g);
}

static int start_redis(void **state)
{
    (void)state;
    return redis_server_start(&server, NULL) ? 0 : -1;
}

static int stop_redis(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_gateways_count_together),
        cmocka_unit_test(a_batch_is_counted_whole_or_not_at_all),
        cmocka_unit_test(new_rules_hold_from_the_next_call_on),
        cmocka_unit_test(rules_may_change_while_calls_are_counted),
        cmocka_unit_test(while_the_cache_is_away_each_gateway_counts_and_nothing_is_unlimited),
    };
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
