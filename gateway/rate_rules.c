/* Configuration to rules, callers to keys. */
#include "rate_rules.h"

#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 1000000000LL /* of any number in a rule: far from overflow */

static const struct {
    const char *name; /* in keys, and behind gateway.rate_ */
    bool by_address;  /* also of who is logged in */
} classes[LIMITS_CLASSES] = {
    [RATE_DEFAULT] = {"default", false},
    [RATE_LOGIN] = {"login", true},
    [RATE_REGISTER] = {"register", true},
    [RATE_ORDERS] = {"orders", false},
    [RATE_WITHDRAWALS] = {"withdrawals", false},
    [LIMITS_IDEMPOTENCY_KEYS] = {"idempotency_keys", false},
};

/* ---- configuration ---- */

/* Digits only; 0: none, or too many. */
static int64_t take_number(const char **at)
{
    int64_t number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        if (number <= NUMBER_MAX) number = number * 10 + (**at - '0');
    return number <= NUMBER_MAX ? number : 0;
}

static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 's':
        return 1000;
    case 'm':
        return 60 * 1000;
    case 'h':
        return 60 * 60 * 1000;
    default:
        return 0;
    }
}

enum err limits_rule_parse(const char *text, struct cache_rule *ret, struct err_detail *detail)
{
    const char *at = text;
    struct cache_rule rule = {.limit = take_number(&at)};
    if (*at++ == '/') {
        int64_t count = take_number(&at);
        rule.window_ms = count * unit_ms(*at);
        if (*at && at[1]) rule.window_ms = 0;
    }
    if (rule.limit < 1 || rule.limit > CACHE_LIMIT_MAX || rule.window_ms < 1 ||
        rule.window_ms > CACHE_WINDOW_MAX_MS)
        return err_set(detail, ERR_INVALID,
                       "\"%.32s\" is not as \"20/1m\": 1 to %d, in 1s to 24h (units s, m, h)", text,
                       CACHE_LIMIT_MAX);
    *ret = rule;
    return OK;
}

static enum err read_tiers(const struct config *config, struct limits_rules *rules,
                           struct err_detail *detail)
{
    rules->tier_count = config_count(config, "gateway.tiers[]");
    CHECK(rules->tier_count <= LIMITS_TIERS_MAX);
    for (size_t i = 0; i < rules->tier_count; i++) {
        struct limits_tier *t = &rules->tiers[i];
        (void)snprintf(t->name, sizeof t->name, "%s",
                       config_item_string(config, "gateway.tiers[].tier", i));
        t->orders = config_item_int(config, "gateway.tiers[].orders", i);
        t->calls = config_item_int(config, "gateway.tiers[].calls", i);
        for (size_t other = 0; other < i; other++)
            if (strcmp(rules->tiers[other].name, t->name) == 0)
                return err_set(detail, ERR_INVALID, "gateway.tiers: %s is there twice", t->name);
    }
    return OK;
}

enum err limits_rules_read(const struct config *config, struct limits_rules *ret,
                           struct err_detail *detail)
{
    struct limits_rules rules = {0};
    struct err_detail why = {0};
    char key[64];
    for (unsigned i = 0; i < LIMITS_CLASSES; i++) {
        (void)snprintf(key, sizeof key, "gateway.rate_%s", classes[i].name);
        enum err e = limits_rule_parse(config_string(config, key), &rules.of[i], &why);
        if (e) return err_set(detail, e, "%s: %s", key, why.text);
    }
    enum err e = networks_parse(config_string(config, "gateway.rate_exempt"), &rules.exempt, &why);
    if (e) return err_set(detail, e, "gateway.rate_exempt: %s", why.text);
    e = read_tiers(config, &rules, detail);
    if (!e) *ret = rules;
    return e;
}

/* ---- callers ---- */

/* What the tier raises the class to; 0: nothing. */
static int64_t raised(const struct limits_rules *rules, const char *tier, unsigned class)
{
    if (class != RATE_ORDERS && class != RATE_DEFAULT) return 0;
    for (size_t i = 0; tier[0] && i < rules->tier_count; i++)
        if (strcmp(rules->tiers[i].name, tier) == 0)
            return class == RATE_ORDERS ? rules->tiers[i].orders : rules->tiers[i].calls;
    return 0;
}

struct cache_rule limits_for(const struct limits_rules *rules, const char *tier, unsigned class)
{
    struct cache_rule rule = rules->of[class];
    int64_t limit = raised(rules, tier, class);
    if (limit) rule.limit = limit;
    return rule;
}

/* An address, or the network that stands for it; what is no address is one client. */
static void format_subject(const char *peer, const struct address *address, bool known, char *ret,
                           size_t size)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address prefix = *address;
    if (known && prefix.size == 16) memset(prefix.bytes + 8, 0, 8);
    if (known) address_format(&prefix, text);
    (void)snprintf(ret, size, "%.64s", known ? text : peer);
}

bool limits_choose(const struct limits_rules *rules, const struct limits_caller *caller,
                   unsigned class, char ret_key[static LIMITS_KEY_SIZE], struct cache_rule *ret)
{
    struct address address = {0};
    bool known = address_parse(caller->peer, strlen(caller->peer), &address);
    CHECK(class < LIMITS_CLASSES);
    if (known && networks_contain(&rules->exempt, &address)) return false;
    *ret = limits_for(rules, caller->tier, class);
    if (caller->user_id[0] && !classes[class].by_address) {
        bool apart = raised(rules, caller->tier, class) > 0;
        (void)snprintf(ret_key, LIMITS_KEY_SIZE, "rate:%s:user:%s%s%s", classes[class].name,
                       caller->user_id, apart ? ":" : "", apart ? caller->tier : "");
        return true;
    }
    char subject[72];
    format_subject(caller->peer, &address, known, subject, sizeof subject);
    (void)snprintf(ret_key, LIMITS_KEY_SIZE, "rate:%s:address:%s", classes[class].name, subject);
    return true;
}

/* ---- what a call costs ---- */

/* The list of what an order-class method takes several of; NULL: it takes one. */
static const ProtobufCFieldDescriptor *items_of(const struct contract_method *method)
{
    for (unsigned i = 0; method->rate == RATE_ORDERS && i < method->input->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &method->input->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED && field->type == PROTOBUF_C_TYPE_MESSAGE)
            return field;
    }
    return NULL;
}

bool limits_by_items(const struct contract_method *method)
{
    return items_of(method) != NULL;
}

int64_t limits_cost(const struct contract_method *method, const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *items = items_of(method);
    if (!items) return 1;
    size_t count;
    memcpy(&count, (const char *)request + items->quantifier_offset, sizeof count);
    return count ? (int64_t)count : 1; /* none: it will be refused, and that is a call */
}
