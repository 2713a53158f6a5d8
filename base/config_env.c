/* Configuration from the environment and from --set. Lists come from YAML only. */
#include "base/auto.h"
#include "base/config_model.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PREFIX      "TRADEPOST_"
#define FILE_SUFFIX "_FILE"

/* Is "WALLET_QUEUE_MAX" (size bytes of it) how a variable spells "wallet.queue_max"? */
static bool spells(const char *variable, size_t size, const char *key)
{
    for (size_t i = 0; i < size; i++) {
        int c = key[i] == '.' ? '_' : toupper((unsigned char)key[i]);
        if (!key[i] || variable[i] != c) return false;
    }
    return key[size] == 0;
}

static struct setting *find_variable(struct config *c, const char *name, size_t size)
{
    for (size_t i = 0; i < c->settings_count; i++) {
        struct setting *s = &c->settings[i];
        if (!s->list && s->key->type != CONFIG_LIST && spells(name, size, s->key->key)) return s;
    }
    return NULL;
}

static enum err set_from_file(struct setting *s, const char *path, const struct config_place *place,
                              struct err_detail *detail)
{
    AUTO_BUF struct buf content;
    struct err_detail why = {0};
    buf_init(&content, CONFIG_FILE_SIZE_MAX);
    enum err e = config_read_file(path, &content, &why);
    if (e) return config_refuse(detail, e, place, s->key->key, "cannot be read: %s", why.text);
    if (content.size && content.data[content.size - 1] == '\n') content.data[content.size - 1] = 0;
    return config_set(s->key, content.data, place, &s->value, detail);
}

/* Is the variable of that name in the environment? */
static bool is_set(char *const *environment, const char *name, size_t size)
{
    for (; *environment; environment++)
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=') return true;
    return false;
}

/* variable is "TRADEPOST_...=..." */
static enum err set_variable(struct config *c, const char *variable, char *const *environment,
                             struct err_detail *detail)
{
    const size_t prefix_size = strlen(PREFIX), suffix_size = strlen(FILE_SUFFIX);
    size_t size = strcspn(variable, "=");
    char name[CONFIG_NAME_MAX + sizeof PREFIX + sizeof FILE_SUFFIX];
    const struct config_place place = {.name = name};
    (void)snprintf(name, sizeof name, "%.*s", (int)size, variable);
    const char *key = variable + prefix_size, *value = variable + size + 1;
    size_t key_size = size - prefix_size;

    struct setting *s = find_variable(c, key, key_size);
    if (s) return config_set(s->key, value, &place, &s->value, detail);

    bool names_file = size >= prefix_size + suffix_size &&
                      strncmp(variable + size - suffix_size, FILE_SUFFIX, suffix_size) == 0;
    s = names_file ? find_variable(c, key, key_size - suffix_size) : NULL;
    if (!s) return config_refuse_unknown(c, &place, name + prefix_size, detail);
    if (s->key->type != CONFIG_STRING)
        return config_refuse(detail, ERR_INVALID, &place, s->key->key,
                             "only a text can come from a file");
    if (is_set(environment, variable, size - suffix_size))
        return config_refuse(detail, ERR_INVALID, &place, s->key->key,
                             "is given twice: with and without " FILE_SUFFIX);
    return set_from_file(s, value, &place, detail);
}

enum err config_environment(struct config *c, char *const *environment, struct err_detail *detail)
{
    for (char *const *at = environment; *at; at++) {
        if (strncmp(*at, PREFIX, strlen(PREFIX)) != 0 || !strchr(*at, '=')) continue;
        enum err e = set_variable(c, *at, environment, detail);
        if (e) return e;
    }
    return OK;
}

enum err config_overrides(struct config *c, const char *const *overrides, struct err_detail *detail)
{
    const struct config_place place = {.name = "--set"};
    for (; *overrides; overrides++) {
        char key[CONFIG_NAME_MAX];
        size_t size = strcspn(*overrides, "=");
        if (!(*overrides)[size])
            return config_refuse(detail, ERR_INVALID, &place, "",
                                 "must be KEY=VALUE, not \"%.60s\"", *overrides);
        (void)snprintf(key, sizeof key, "%.*s", (int)size, *overrides);
        struct setting *s = size < sizeof key ? config_find(c, key) : NULL;
        if (!s) return config_refuse_unknown(c, &place, key, detail);
        if (s->list || s->key->type == CONFIG_LIST)
            return config_refuse(detail, ERR_INVALID, &place, key,
                                 "a list comes from the file only");
        enum err e = config_set(s->key, *overrides + size + 1, &place, &s->value, detail);
        if (e) return e;
    }
    return OK;
}
