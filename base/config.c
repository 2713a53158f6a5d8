/*
 * The configuration's model: a schema's keys and their values, checked one by one as they are set.
 * Where values come from is in config_yaml.c and config_env.c; how they are shown, in
 * config_dump.c.
 */
#include "base/config.h"

#include "base/auto.h"
#include "base/config_model.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECTION_DEPTH_MAX 4 /* dots in a key: more nobody can read */

static void close_file(FILE *f)
{
    if (f) (void)fclose(f);
}
AUTO_DEFINE(FILE, close_file)

static int compare_settings(const void *a, const void *b)
{
    const struct setting *const *left = a, *const *right = b;
    return strcmp((*left)->key->key, (*right)->key->key);
}

static int compare_name(const void *name, const void *element)
{
    const struct setting *const *setting = element;
    return strcmp(name, (*setting)->key->key);
}

struct setting *config_find(const struct config *c, const char *key)
{
    struct setting **found =
        bsearch(key, c->by_name, c->settings_count, sizeof(struct setting *), compare_name);
    return found ? *found : NULL;
}

/* "assets[].scale": the setting of "assets[]"; NULL for a key outside of lists. */
static struct setting *list_of(const struct config *c, const char *key)
{
    const char *bracket = strchr(key, '[');
    if (!bracket || !bracket[2]) return NULL;
    char name[CONFIG_NAME_MAX];
    CHECK(bracket[1] == ']' && bracket[2] == '.' && !strchr(bracket + 1, '['));
    (void)snprintf(name, sizeof name, "%.*s", (int)(bracket + 2 - key), key);
    struct setting *list = config_find(c, name);
    CHECK(list &&
          list->key->type == CONFIG_LIST); /* elements of a list that is not in the schema */
    return list;
}

/* A schema is code: what is wrong with it is a bug. */
static void check_schema(const struct config *c)
{
    for (size_t i = 0; i < c->settings_count; i++) {
        const struct config_key *key = c->settings[i].key;
        size_t size = strlen(key->key), dots = 0;
        for (size_t at = 0; at < size; at++)
            dots += key->key[at] == '.';
        bool is_list = size > 2 && strcmp(key->key + size - 2, "[]") == 0;
        CHECK(size < CONFIG_NAME_MAX && dots <= SECTION_DEPTH_MAX && key->help);
        CHECK(is_list == (key->type == CONFIG_LIST));
        CHECK(key->type != CONFIG_INT || key->min < key->max); /* an int has a range */
        CHECK(is_list || c->settings[i].list ||
              key->fallback); /* only an element may have no default */
        CHECK(i == 0 ||
              compare_settings(&c->by_name[i - 1], &c->by_name[i]) < 0); /* no key twice */
    }
}

static enum err config_new(const struct config_key *schema, struct config **ret)
{
    size_t count = 0;
    while (schema[count].key)
        count++;
    CHECK(count > 0 && count <= CONFIG_KEYS_MAX);
    struct config *c = calloc(1, sizeof *c + count * sizeof c->settings[0]);
    if (!c) return ERR_NO_MEMORY;
    c->settings_count = count;
    c->by_name = calloc(count, sizeof(struct setting *));
    if (!c->by_name) {
        free(c);
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        c->settings[i].key = &schema[i];
        c->by_name[i] = &c->settings[i];
    }
    qsort(c->by_name, count, sizeof(struct setting *), compare_settings);
    for (size_t i = 0; i < count; i++)
        c->settings[i].list = list_of(c, schema[i].key);
    check_schema(c);
    *ret = c;
    return OK;
}

void config_free(struct config *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->settings_count; i++)
        if (c->settings[i].key->type == CONFIG_LIST) config_list_clear(c, &c->settings[i]);
    for (size_t i = 0; i < c->settings_count; i++)
        free(c->settings[i].value.text);
    free(c->by_name);
    free(c);
}
AUTO_DEFINE(struct config, config_free)

void config_list_clear(struct config *c, struct setting *list)
{
    for (size_t i = 0; i < c->settings_count; i++) {
        struct setting *s = &c->settings[i];
        if (s->list != list) continue;
        for (size_t item = 0; s->items && item < list->count; item++)
            free(s->items[item].text);
        free(s->items);
        s->items = NULL;
    }
    list->count = 0;
}

enum err config_list_grow(struct config *c, struct setting *list)
{
    for (size_t i = 0; i < c->settings_count; i++) {
        struct setting *s = &c->settings[i];
        if (s->list != list) continue;
        struct config_value *items =
            reallocarray(s->items, list->count + 1, sizeof(struct config_value));
        if (!items) return ERR_NO_MEMORY;
        s->items = items;
        items[list->count] = (struct config_value){0};
    }
    list->count++;
    return OK;
}

enum err config_refuse(struct err_detail *detail, enum err e, const struct config_place *place,
                       const char *key, const char *format, ...)
{
    char what[ERR_DETAIL_MAX], line[24] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (place->line) (void)snprintf(line, sizeof line, ":%zu", place->line);
    return err_set(detail, e, "%s%s: %s%s%s", place->name, line, key, *key ? ": " : "", what);
}

/* Letters that the spellings of a key share: "wallet.queue_max", "WALLET_QUEUE_MAX". */
static char letter(char c)
{
    if (c == '.') return '_';
    return (char)tolower((unsigned char)c);
}

/* Levenshtein's distance. Both are shorter than CONFIG_NAME_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t row[CONFIG_NAME_MAX + 1], size_b = strlen(b);
    for (size_t j = 0; j <= size_b; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0]++;
        for (size_t j = 1; j <= size_b; j++) {
            size_t best = diagonal + (letter(a[i - 1]) != letter(b[j - 1]));
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[size_b];
}

enum err config_refuse_unknown(const struct config *c, const struct config_place *place,
                               const char *name, struct err_detail *detail)
{
    const char *meant = NULL;
    size_t nearest = 4; /* more letters than three are not a slip */
    for (size_t i = 0; strlen(name) < CONFIG_NAME_MAX && i < c->settings_count; i++) {
        const char *key = c->settings[i].key->key;
        size_t far = distance(name, key);
        if (far >= nearest || far >= strlen(key)) continue;
        nearest = far;
        meant = key;
    }
    if (meant)
        return config_refuse(detail, ERR_INVALID, place, "",
                             "there is no key \"%.60s\"; \"%s\" is meant?", name, meant);
    return config_refuse(detail, ERR_INVALID, place, "", "there is no key \"%.60s\"", name);
}

/* Digits, perhaps after a '-', without leading zeros: one spelling for each number. */
static bool parse_int(const char *text, int64_t *ret)
{
    const char *digits = text + (*text == '-');
    size_t size = strspn(digits, "0123456789");
    if (size == 0 || digits[size] || (digits[0] == '0' && size > 1)) return false;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno) value = *text == '-' ? INT64_MIN : INT64_MAX;
    *ret = value;
    return true;
}

static enum err set_int(const struct config_key *key, const char *text,
                        const struct config_place *place, struct config_value *value,
                        struct err_detail *detail)
{
    int64_t number;
    bool is_number = parse_int(text, &number);
    if (is_number && number >= key->min && number <= key->max) {
        value->number = number;
        return OK;
    }
    return config_refuse(detail, is_number ? ERR_RANGE : ERR_INVALID, place, key->key,
                         "must be a whole number from %" PRId64 " to %" PRId64 ", not \"%.40s\"",
                         key->min, key->max, key->flags & CONFIG_SECRET ? "***" : text);
}

static enum err set_string(const struct config_key *key, const char *text,
                           const struct config_place *place, struct config_value *value,
                           struct err_detail *detail)
{
    int64_t size = (int64_t)strlen(text), max = key->max ? key->max : CONFIG_STRING_MAX;
    if (size < key->min || size > max)
        return config_refuse(detail, ERR_RANGE, place, key->key,
                             "must be %" PRId64 " to %" PRId64 " bytes long, not %" PRId64,
                             key->min, max, size);
    if (!utf8_valid(text, (size_t)size))
        return config_refuse(detail, ERR_INVALID, place, key->key, "must be UTF-8");
    char *copy = strdup(text);
    if (!copy) return ERR_NO_MEMORY;
    free(value->text);
    value->text = copy;
    return OK;
}

enum err config_set(const struct config_key *key, const char *text,
                    const struct config_place *place, struct config_value *value,
                    struct err_detail *detail)
{
    CHECK(key->type != CONFIG_LIST);
    if (key->type == CONFIG_INT) return set_int(key, text, place, value, detail);
    if (key->type == CONFIG_STRING) return set_string(key, text, place, value, detail);
    bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0)
        return config_refuse(detail, ERR_INVALID, place, key->key,
                             "must be true or false, not \"%.40s\"",
                             key->flags & CONFIG_SECRET ? "***" : text);
    value->number = is_true;
    return OK;
}

enum err config_read_file(const char *path, struct buf *out, struct err_detail *detail)
{
    AUTO(auto_close_file) FILE *f = fopen(path, "re");
    if (!f && errno == ENOENT) return err_set(detail, ERR_NOT_FOUND, "%s: no such file", path);
    char block[4096];
    size_t size;
    while (f && (size = fread(block, 1, sizeof block, f)) > 0)
        if (buf_add(out, block, size))
            return err_set(detail, out->error, "%s: longer than %zu bytes", path, out->size_max);
    if (!f || ferror(f))
        return err_set(detail, err_from_errno(errno), "%s: %s", path, strerrordesc_np(errno));
    if (strlen(out->data) != out->size)
        return err_set(detail, ERR_INVALID, "%s: contains a NUL byte; it must be text", path);
    return OK;
}

static enum err set_defaults(struct config *c, struct err_detail *detail)
{
    const struct config_place place = {.name = "default"};
    for (size_t i = 0; i < c->settings_count; i++) {
        struct setting *s = &c->settings[i];
        if (s->list || !s->key->fallback) continue;
        enum err e = s->key->type == CONFIG_LIST
                         ? config_yaml_list(c, s, s->key->fallback, detail)
                         : config_set(s->key, s->key->fallback, &place, &s->value, detail);
        if (e) return e;
    }
    return OK;
}

enum err config_load(const struct config_key *schema, const struct config_sources *from,
                     struct config **ret, struct err_detail *detail)
{
    AUTO(auto_config_free) struct config *c = NULL;
    enum err e = config_new(schema, &c);
    if (!e) e = set_defaults(c, detail);
    if (!e && from->file) e = config_yaml_file(c, from->file, detail);
    if (!e && from->environment) e = config_environment(c, from->environment, detail);
    if (!e && from->overrides) e = config_overrides(c, from->overrides, detail);
    if (e == ERR_NO_MEMORY) return err_set(detail, e, "configuration: out of memory");
    if (e) return e;
    *ret = TAKE(c);
    return OK;
}

static const struct config_value *value_of(const struct config *c, const char *key,
                                           enum config_type type)
{
    const struct setting *s = config_find(c, key);
    CHECK(s && s->key->type == type && !s->list);
    return &s->value;
}

static const struct config_value *item_of(const struct config *c, const char *key,
                                          enum config_type type, size_t index)
{
    const struct setting *s = config_find(c, key);
    CHECK(s && s->key->type == type && s->list && index < s->list->count);
    return &s->items[index];
}

const char *config_string(const struct config *c, const char *key)
{
    return value_of(c, key, CONFIG_STRING)->text;
}

int64_t config_int(const struct config *c, const char *key)
{
    return value_of(c, key, CONFIG_INT)->number;
}

bool config_bool(const struct config *c, const char *key)
{
    return value_of(c, key, CONFIG_BOOL)->number;
}

size_t config_count(const struct config *c, const char *list)
{
    const struct setting *s = config_find(c, list);
    CHECK(s && s->key->type == CONFIG_LIST);
    return s->count;
}

const char *config_item_string(const struct config *c, const char *key, size_t index)
{
    return item_of(c, key, CONFIG_STRING, index)->text;
}

int64_t config_item_int(const struct config *c, const char *key, size_t index)
{
    return item_of(c, key, CONFIG_INT, index)->number;
}

bool config_item_bool(const struct config *c, const char *key, size_t index)
{
    return item_of(c, key, CONFIG_BOOL, index)->number;
}

static bool same_value(const struct config_key *key, const struct config_value *a,
                       const struct config_value *b)
{
    return key->type == CONFIG_STRING ? strcmp(a->text, b->text) == 0 : a->number == b->number;
}

/* The setting of that index, and if it is a list, all its elements. */
static bool same_setting(const struct config *a, const struct config *b, size_t index)
{
    const struct setting *left = &a->settings[index], *right = &b->settings[index];
    if (left->key->type != CONFIG_LIST) return same_value(left->key, &left->value, &right->value);
    if (left->count != right->count) return false;
    for (size_t i = 0; i < a->settings_count; i++) {
        const struct setting *s = &a->settings[i];
        for (size_t item = 0; s->list == left && item < left->count; item++)
            if (!same_value(s->key, &s->items[item], &b->settings[i].items[item])) return false;
    }
    return true;
}

const struct config_key *config_changed(const struct config *a, const struct config *b,
                                        const struct config_key *after)
{
    CHECK(a->settings[0].key == b->settings[0].key); /* one schema */
    size_t i = after ? (size_t)(after - a->settings[0].key) + 1 : 0;
    for (; i < a->settings_count; i++)
        if (!a->settings[i].list && !same_setting(a, b, i)) return a->settings[i].key;
    return NULL;
}
