/* Lists of commands are short: they are read again for every request. */
#include "policy.h"

#include <stdio.h>
#include <string.h>

#define BLANKS   " \t"
#define KEY_SIZE 64

/* The next item of a comma-separated list; false: there is none. Moves *at behind it. */
static bool next_item(const char **at, const char **ret, size_t *ret_size)
{
    *at += strspn(*at, BLANKS);
    if (!**at) return false;
    size_t item = strcspn(*at, ",");
    *ret = *at;
    *ret_size = item;
    while (*ret_size && strchr(BLANKS, (*ret)[*ret_size - 1]))
        --*ret_size;
    *at += item + ((*at)[item] == ',');
    return true;
}

static bool fits(const char *item, size_t size, const char *command)
{
    if (size && item[size - 1] == '*') return strncmp(item, command, size - 1) == 0;
    return strlen(command) == size && memcmp(item, command, size) == 0;
}

bool policy_offers(const struct listener_policy *policy, const struct contract_method *method)
{
    const char *at = policy->commands ? policy->commands : "", *item;
    size_t size;
    if (method->caller > policy->caller_max) return false;
    if (!method->command || !at[strspn(at, BLANKS)]) return true;
    while (next_item(&at, &item, &size))
        if (fits(item, size, method->command)) return true;
    return false;
}

static enum err read_caller(const char *key, const char *text, enum caller *ret,
                            struct err_detail *detail)
{
    static const struct {
        const char *name;
        enum caller caller;
    } callers[] = {{"guest", CALLER_GUEST}, {"user", CALLER_USER}, {"admin", CALLER_ADMIN}};
    for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
        if (strcmp(text, callers[i].name) != 0) continue;
        *ret = callers[i].caller;
        return OK;
    }
    return err_set(detail, ERR_INVALID, "%s: %s is no caller; right is guest, user or admin", key,
                   text);
}

/* Every item must mean something, or a slip of the pen would close a port without a word. */
static enum err check_commands(const char *key, const char *list, struct err_detail *detail)
{
    const char *at = list, *item;
    size_t size;
    while (next_item(&at, &item, &size)) {
        bool known = false;
        for (size_t i = 0; i < contract_method_count && !known; i++)
            known = contract_methods[i].command && fits(item, size, contract_methods[i].command);
        if (!known)
            return err_set(detail, ERR_INVALID,
                           "%s: there is no command %.*s; right is a name from help, or auth.*",
                           key, (int)(size < 64 ? size : 64), item);
    }
    return OK;
}

static const char *make_key(char ret[static KEY_SIZE], const char *listener, const char *what)
{
    int size = snprintf(ret, KEY_SIZE, "gateway.%s_%s", listener, what);
    CHECK(size > 0 && size < KEY_SIZE);
    return ret;
}

enum err policy_read(const struct config *config, const char *listener, bool websocket,
                     struct listener_policy *ret, struct err_detail *detail)
{
    char key[KEY_SIZE];
    struct listener_policy policy = {.name = listener};
    (void)make_key(key, listener, "caller");
    enum err e = read_caller(key, config_string(config, key), &policy.caller_max, detail);
    if (e) return e;
    (void)make_key(key, listener, "commands");
    policy.commands = config_string(config, key);
    e = check_commands(key, policy.commands, detail);
    if (e) return e;
    if (websocket) policy.needs_auth = config_bool(config, make_key(key, listener, "authenticate"));
    const struct contract_method *authenticate = contract_command("authenticate");
    if (policy.needs_auth &&
        (policy.caller_max == CALLER_GUEST || !policy_offers(&policy, authenticate)))
        return err_set(detail, ERR_INVALID,
                       "%s: nobody can authenticate there; right is false, or another caller and "
                       "the command authenticate",
                       key);
    *ret = policy;
    return OK;
}
