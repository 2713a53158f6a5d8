/*
 * A few dozen routes: each request walks the contract's table and compares segment by segment. That
 * costs about a microsecond and needs no state; a trie would have to be built, freed and explained.
 */
#include "router.h"

#include <string.h>

/* The segment at *at without its '/'; moves *at behind it. */
static size_t next_segment(const char **at, const char **ret)
{
    *ret = *at + 1;
    size_t size = strcspn(*ret, "/");
    *at = *ret + size;
    return size;
}

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

/* How many segments of the pattern are literal; -1: the path does not match it. */
static int match(const char *pattern, const char *path, struct route *ret)
{
    int literals = 0;
    for (size_t n = 0; *pattern == '/' && *path == '/'; n++) {
        const char *want = NULL, *got = NULL;
        size_t want_size = next_segment(&pattern, &want), got_size = next_segment(&path, &got);
        if (n == ROUTER_SEGMENTS_MAX) return -1;
        if (want[0] == '{') {
            if (!take_parameter(ret, want + 1, want_size - 2, got, got_size)) return -1;
            continue;
        }
        if (want_size != got_size || memcmp(want, got, want_size) != 0) return -1;
        literals++;
    }
    return *pattern || *path ? -1 : literals;
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
    int best = -1;
    bool known = false;
    ret_verbs[0] = 0;
    for (size_t i = 0; i < contract_method_count; i++) {
        const struct contract_method *m = &contract_methods[i];
        found.method = m;
        found.parameter_count = 0;
        int literals = m->path ? match(m->path, path, &found) : -1;
        if (literals < 0) continue;
        known = true;
        add_verb(ret_verbs, m->verb);
        if (strcmp(m->verb, verb) != 0 || literals <= best) continue;
        best = literals;
        *ret = found;
    }
    if (known) add_verb(ret_verbs, "OPTIONS");
    if (best >= 0) return OK;
    return known ? ERR_UNIMPLEMENTED : ERR_NOT_FOUND;
}
