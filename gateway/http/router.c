/*
 * A few dozen routes: each request walks the contract's table and compares letter by letter. That
 * costs about a microsecond and needs no state; a trie would have to be built, freed and explained.
 */
#include "router.h"

#include <string.h>

static bool take_parameter(struct route *r, const char *name, size_t name_size, const char *value,
                           size_t value_size)
{
    if (value_size == 0 || value_size > ROUTER_VALUE_MAX ||
        r->parameter_count == ROUTER_PARAMETERS_MAX || name_size >= sizeof r->parameters[0].name)
        return false;
    memcpy(r->parameters[r->parameter_count].name, name, name_size);
    r->parameters[r->parameter_count].name[name_size] = 0;
    memcpy(r->parameters[r->parameter_count].value, value, value_size);
    r->parameters[r->parameter_count].value[value_size] = 0;
    r->parameter_count++;
    return true;
}

/* How many segments of the pattern are parameters; -1: the path does not match it. */
static int match(const char *pattern, const char *path, struct route *ret)
{
    int parameters = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++) return -1;
            continue;
        }
        size_t name = strcspn(++pattern, "}"), value = strcspn(path, "/");
        if (!take_parameter(ret, pattern, name, path, value)) return -1;
        pattern += name + 1;
        path += value;
        parameters++;
    }
    return *path ? -1 : parameters;
}

/* "GET" allows HEAD too, and every path OPTIONS. */
static void add_verb(char verbs[static ROUTER_VERBS_SIZE], const char *verb)
{
    const char *words = strcmp(verb, "GET") == 0 ? "GET, HEAD" : verb;
    size_t size = strlen(verbs), more = strlen(words);
    if (size + more + 3 > ROUTER_VERBS_SIZE) return;
    if (size) {
        memcpy(verbs + size, ", ", 2);
        size += 2;
    }
    memcpy(verbs + size, words, more + 1);
}

enum err router_find(const char *verb, const char *path, struct route *ret,
                     char ret_verbs[static ROUTER_VERBS_SIZE])
{
    struct route found = {0};
    int best = ROUTER_PARAMETERS_MAX + 1;
    bool known = false;
    ret_verbs[0] = 0;
    for (size_t i = 0; i < contract_method_count; i++) {
        const struct contract_method *m = &contract_methods[i];
        found.method = m;
        found.parameter_count = 0;
        int parameters = m->path ? match(m->path, path, &found) : -1;
        if (parameters < 0) continue;
        known = true;
        add_verb(ret_verbs, m->verb);
        if (strcmp(m->verb, verb) != 0 || parameters >= best) continue;
        best = parameters;
        *ret = found;
    }
    if (known) add_verb(ret_verbs, "OPTIONS");
    if (best <= ROUTER_PARAMETERS_MAX) return OK;
    return known ? ERR_UNIMPLEMENTED : ERR_NOT_FOUND;
}
