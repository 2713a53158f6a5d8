/* What a listener lets through, as its keys say. */
#include "support/unit.h"

#include "gateway_part.h"
#include "policy.h"

#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* The policy after these settings; the names live in ret_config. */
static enum err read_policy(const char *listener, const char *const *settings,
                            struct config **ret_config, struct listener_policy *ret,
                            struct err_detail *detail)
{
    struct config_sources from = {.overrides = settings};
    assert_int_equal(config_load(gateway_part.config, &from, ret_config, detail), OK);
    return policy_read(*ret_config, listener, strcmp(listener, "rest") != 0, ret, detail);
}

static bool offers(const struct listener_policy *policy, const char *command)
{
    const struct contract_method *m = contract_command(command);
    if (!m) fail_msg("%s", command);
    return policy_offers(policy, m);
}

static void the_defaults_are_what_each_port_is_for(void **state)
{
    (void)state;
    static const struct {
        const char *listener, *command;
        bool offered;
    } table[] = {
        {"rest", "orders.place", true},    {"rest", "admin.audit", true},
        {"main", "orders.place", true},    {"main", "admin.audit", true},
        {"main", "prices.ticker", true},   {"login", "auth.register", true},
        {"login", "auth.logout", true},    {"login", "authenticate", true},
        {"login", "help", true},           {"login", "ping", true},
        {"login", "prices.ticker", false}, {"login", "orders.place", false},
        {"login", "subscribe", false},     {"guest", "prices.ticker", true},
        {"guest", "auth.register", true},  {"guest", "subscribe", true},
        {"guest", "help", true},           {"guest", "orders.place", false},
        {"guest", "admin.audit", false},   {"guest", "auth.logout", false},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct config *config;
        struct listener_policy policy;
        struct err_detail detail = {0};
        assert_int_equal(read_policy(table[i].listener, NULL, &config, &policy, &detail), OK);
        if (offers(&policy, table[i].command) != table[i].offered)
            fail_msg("%s on %s", table[i].command, table[i].listener);
        assert_int_equal(policy.needs_auth, strcmp(table[i].listener, "main") == 0);
        assert_string_equal(policy.name, table[i].listener);
        config_free(config);
    }
}

static void a_list_offers_its_commands_and_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *list, *command;
        bool offered;
    } table[] = {
        {"", "orders.place", true},
        {"  ", "orders.place", true},
        {"*", "orders.place", true},
        {"orders.*", "orders.place", true},
        {"orders.*", "prices.ticker", false},
        {"orders.place", "orders.place", true},
        {"orders.place", "orders.batch", false},
        {"orders.cancel", "orders.cancelAll", false},
        {"orders.cancel*", "orders.cancelAll", true},
        {" ping ,\torders.*,", "orders.place", true},
        {" ping ,\torders.*,", "ping", true},
        {"ping,help", "orders.place", false},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct config *config;
        struct listener_policy policy;
        struct err_detail detail = {0};
        char setting[128];
        (void)snprintf(setting, sizeof setting, "gateway.rest_commands=%s", table[i].list);
        const char *const settings[] = {setting, NULL};
        enum err e = read_policy("rest", settings, &config, &policy, &detail);
        if (e) fail_msg("%s: %s", table[i].list, detail.text);
        if (offers(&policy, table[i].command) != table[i].offered)
            fail_msg("%s by %s", table[i].command, table[i].list);
        config_free(config);
    }
}

static void what_is_no_command_goes_by_its_caller(void **state)
{
    (void)state;
    const struct contract_method *stream = contract_method("gateway.Gateway/Stream");
    const struct contract_method *batch = contract_method("trading.Trading/PlaceOrder");
    assert_non_null(stream);
    assert_non_null(batch);
    struct listener_policy guests = {.caller_max = CALLER_GUEST, .commands = "ping"};
    assert_true(policy_offers(&guests, stream));
    assert_false(policy_offers(&guests, batch));
}

static void what_makes_no_sense_is_refused_with_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *listener, *settings[4], *says;
    } table[] = {
        {"rest",
         {"gateway.rest_caller=users"},
         "gateway.rest_caller: users is no caller; right is"},
        {"main", {"gateway.main_caller=Admin"}, "right is guest, user or admin"},
        {"main",
         {"gateway.main_commands=orders.plce"},
         "there is no command orders.plce; right is"},
        {"main", {"gateway.main_commands=order.*"}, "there is no command order.*"},
        {"main",
         {"gateway.main_commands=ping,,help"},
         "gateway.main_commands: there is no command"},
        {"main", {"gateway.main_commands=ping;help"}, "there is no command ping;help"},
        {"main", {"gateway.main_caller=guest"}, "gateway.main_authenticate: nobody can"},
        {"main", {"gateway.main_commands=orders.*"}, "gateway.main_authenticate: nobody can"},
        {"guest", {"gateway.guest_authenticate=true"}, "gateway.guest_authenticate: nobody can"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct config *config;
        struct listener_policy policy = {.name = "untouched"};
        struct err_detail detail = {0};
        enum err e = read_policy(table[i].listener, table[i].settings, &config, &policy, &detail);
        if (e != ERR_INVALID || !strstr(detail.text, table[i].says))
            fail_msg("%s: %s", table[i].settings[0], detail.text);
        assert_string_equal(policy.name, "untouched");
        config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_what_each_port_is_for),
        cmocka_unit_test(a_list_offers_its_commands_and_prefixes),
        cmocka_unit_test(what_is_no_command_goes_by_its_caller),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_what_would_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
