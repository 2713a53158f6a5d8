/* Verb and path to method: the contract's own table is the map. */
#include "support/unit.h"

#include "router.h"

#include <stdio.h>
#include <string.h>

static void every_route_of_the_contract_is_found(void **state)
{
    (void)state;
    unsigned found = 0;
    for (size_t i = 0; i < contract_method_count; i++) {
        const struct contract_method *m = &contract_methods[i];
        if (!m->path) continue;
        char path[256] = "", verbs[ROUTER_VERBS_SIZE];
        size_t size = 0;
        for (const char *at = m->path; *at; at++) {
            if (*at == '{')
                at = strchr(at, '}'), path[size++] = '7';
            else
                path[size++] = *at;
        }
        path[size] = 0;
        struct route route = {0};
        assert_ok(router_find(m->verb, path, &route, verbs));
        assert_ptr_equal(route.method, m);
        assert_non_null(strstr(verbs, m->verb));
        found++;
    }
    assert_true(found > 20);
}

static void a_parameter_takes_one_segment(void **state)
{
    (void)state;
    struct route route = {0};
    char verbs[ROUTER_VERBS_SIZE];
    assert_ok(router_find("GET", "/api/v1/markets/BTC-USDT/depth", &route, verbs));
    assert_string_equal(route.method->name, "trading.Trading/GetDepth");
    assert_int_equal(route.parameter_count, 1);
    assert_string_equal(route.parameters[0].name, "symbol");
    assert_string_equal(route.parameters[0].value, "BTC-USDT");
}

static void a_literal_wins_over_a_parameter(void **state)
{
    (void)state;
    struct route route = {0};
    char verbs[ROUTER_VERBS_SIZE];
    assert_ok(router_find("GET", "/api/v1/orders/open", &route, verbs));
    assert_string_equal(route.method->name, "trading.Trading/ListOpenOrders");
    assert_ok(router_find("GET", "/api/v1/orders/17", &route, verbs));
    assert_string_equal(route.method->name, "trading.Trading/GetOrder");
}

static void what_does_not_match_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *path;
        enum err expected;
    } table[] = {
        {"GET", "/", ERR_NOT_FOUND},
        {"GET", "", ERR_NOT_FOUND},
        {"GET", "/api/v1/orderz", ERR_NOT_FOUND},
        {"GET", "/api/v1/orders/", ERR_NOT_FOUND},
        {"GET", "/api/v1/orders/1/2", ERR_NOT_FOUND},
        {"GET", "//api/v1/orders", ERR_NOT_FOUND},
        {"GET", "/api/v1/orders//", ERR_NOT_FOUND},
        {"PATCH", "/api/v1/orders", ERR_UNIMPLEMENTED},
        {"get", "/api/v1/orders", ERR_UNIMPLEMENTED},
        {"", "/api/v1/orders", ERR_UNIMPLEMENTED},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct route route = {0};
        char verbs[ROUTER_VERBS_SIZE];
        assert_err(router_find(table[i].verb, table[i].path, &route, verbs), table[i].expected);
        assert_null(route.method);
    }
}

static void the_allowed_verbs_are_listed(void **state)
{
    (void)state;
    struct route route = {0};
    char verbs[ROUTER_VERBS_SIZE];
    assert_err(router_find("TRACE", "/api/v1/orders", &route, verbs), ERR_UNIMPLEMENTED);
    assert_non_null(strstr(verbs, "GET, HEAD"));
    assert_non_null(strstr(verbs, "POST"));
    assert_non_null(strstr(verbs, "DELETE"));
    assert_non_null(strstr(verbs, "OPTIONS"));
}

static void a_parameter_has_a_maximum(void **state)
{
    (void)state;
    struct route route = {0};
    char path[64 + ROUTER_VALUE_MAX], verbs[ROUTER_VERBS_SIZE];
    for (int more = 0; more <= 1; more++) {
        int size = snprintf(path, sizeof path, "/api/v1/orders/");
        memset(path + size, '7', ROUTER_VALUE_MAX + (size_t)more);
        path[(size_t)size + ROUTER_VALUE_MAX + (size_t)more] = 0;
        assert_err(router_find("GET", path, &route, verbs), more ? ERR_NOT_FOUND : OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_of_the_contract_is_found),
        cmocka_unit_test(a_parameter_takes_one_segment),
        cmocka_unit_test(a_literal_wins_over_a_parameter),
        cmocka_unit_test(what_does_not_match_is_told_apart),
        cmocka_unit_test(the_allowed_verbs_are_listed),
        cmocka_unit_test(a_parameter_has_a_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
