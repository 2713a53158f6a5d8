/*
 * Configuration from YAML 1.1 as libyaml reads it: nested maps become dotted keys, `wallet:
 * {queue_max: 9}` is wallet.queue_max. Refuses what would let a file mean something else than it
 * seems: duplicate keys, aliases, tags, several documents, nulls. The nesting that is followed is
 * the schema's, never the file's.
 */
#include "base/auto.h"
#include "base/config_model.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct walk {
    struct config *config;
    struct err_detail *detail;
    const char *name; /* of the file */
    yaml_parser_t *parser;
    yaml_event_t event;
    size_t lines[CONFIG_KEYS_MAX]; /* of each setting: where it was given; 0: not yet */
};

/* Where in the schema the walk is: "wallet." or "assets[].", and in which element. */
struct position {
    char prefix[CONFIG_NAME_MAX];
    size_t index;
};

static struct config_place place_of(const struct walk *w)
{
    return (struct config_place){w->name, w->event.start_mark.line + 1};
}

static enum err refuse(struct walk *w, const char *key, const char *what)
{
    const struct config_place place = place_of(w);
    return config_refuse(w->detail, ERR_INVALID, &place, key, "%s", what);
}

static enum err refuse_syntax(struct walk *w)
{
    const yaml_parser_t *p = w->parser;
    if (p->error == YAML_MEMORY_ERROR) return ERR_NO_MEMORY;
    bool is_bytes = p->error == YAML_READER_ERROR;
    const struct config_place place = {w->name,
                                       (is_bytes ? p->mark.line : p->problem_mark.line) + 1};
    return config_refuse(w->detail, ERR_INVALID, &place, "", "not YAML: %s%s%s",
                         p->context ? p->context : "", p->context ? ", " : "",
                         p->problem ? p->problem : "unknown");
}

/* Moves on to the next event. */
static enum err next(struct walk *w)
{
    yaml_event_delete(&w->event);
    if (!yaml_parser_parse(w->parser, &w->event)) {
        w->event = (yaml_event_t){0};
        return refuse_syntax(w);
    }
    const yaml_char_t *tag = NULL;
    switch (w->event.type) {
    case YAML_ALIAS_EVENT:
        return refuse(w, "", "aliases are not supported; write the value out");
    case YAML_SCALAR_EVENT:
        tag = w->event.data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        tag = w->event.data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        tag = w->event.data.mapping_start.tag;
        break;
    default:
        break;
    }
    return tag ? refuse(w, "", "tags are not supported; write the value without") : OK;
}

static const char *scalar(const struct walk *w)
{
    return (const char *)w->event.data.scalar.value;
}

static bool is_null(const struct walk *w)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (w->event.type != YAML_SCALAR_EVENT || w->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        if (strcmp(scalar(w), nulls[i]) == 0) return true;
    return false;
}

/* Takes note that the setting is given here; refuses the second time. */
static enum err note_given(struct walk *w, const struct setting *s)
{
    size_t *line = &w->lines[s - w->config->settings];
    const struct config_place place = place_of(w);
    if (*line)
        return config_refuse(w->detail, ERR_INVALID, &place, s->key->key,
                             "is given twice, first on line %zu", *line);
    *line = place.line;
    return OK;
}

static const char *type_text(enum config_type type)
{
    return type == CONFIG_INT    ? "must be a whole number, "
           : type == CONFIG_BOOL ? "must be true or false, "
                                 : "must be a text, ";
}

static enum err read_scalar(struct walk *w, struct setting *s, size_t index)
{
    const struct config_key *key = s->key;
    const struct config_place place = place_of(w);
    const char *wrong = NULL;
    if (w->event.type == YAML_MAPPING_START_EVENT)
        wrong = "not a map";
    else if (w->event.type == YAML_SEQUENCE_START_EVENT)
        wrong = "not a list";
    else if (is_null(w))
        wrong = "not empty (an empty text is \"\")";
    else if (w->event.data.scalar.length != strlen(scalar(w)))
        wrong = "not one with a NUL in it";
    else if (key->type != CONFIG_STRING && w->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        wrong = "not a text in quotes";
    if (wrong)
        return config_refuse(w->detail, ERR_INVALID, &place, key->key, "%s%s", type_text(key->type),
                             wrong);
    return config_set(key, scalar(w), &place, s->list ? &s->items[index] : &s->value, w->detail);
}

static enum err read_map(struct walk *w, const struct position *at);

/* What the element did not say: its default, or a refusal at the element's first line. */
static enum err complete_element(struct walk *w, const struct setting *list, size_t index,
                                 size_t line)
{
    const struct config_place place = {w->name, line};
    for (size_t i = 0; i < w->config->settings_count; i++) {
        struct setting *s = &w->config->settings[i];
        if (s->list != list || w->lines[i]) continue;
        if (!s->key->fallback)
            return config_refuse(w->detail, ERR_INVALID, &place, s->key->key, "must be given");
        enum err e = config_set(s->key, s->key->fallback, &place, &s->items[index], w->detail);
        if (e) return e;
    }
    return OK;
}

static enum err read_element(struct walk *w, struct setting *list)
{
    if (w->event.type != YAML_MAPPING_START_EVENT)
        return refuse(w, list->key->key, "each element must be a map");
    size_t max = list->key->max ? (size_t)list->key->max : CONFIG_LIST_MAX;
    const struct config_place place = place_of(w);
    if (list->count >= max)
        return config_refuse(w->detail, ERR_RANGE, &place, list->key->key,
                             "at most %zu elements are allowed", max);
    for (size_t i = 0; i < w->config->settings_count; i++)
        if (w->config->settings[i].list == list) w->lines[i] = 0;

    struct position at = {.index = list->count};
    (void)snprintf(at.prefix, sizeof at.prefix, "%s.", list->key->key);
    enum err e = config_list_grow(w->config, list);
    if (!e) e = read_map(w, &at);
    return e ? e : complete_element(w, list, at.index, place.line);
}

/* The current event begins the value of a list. */
static enum err read_list(struct walk *w, struct setting *list)
{
    const struct config_place place = place_of(w);
    if (w->event.type != YAML_SEQUENCE_START_EVENT)
        return refuse(w, list->key->key, "must be a list of maps ([] is the empty one)");
    config_list_clear(w->config, list);
    enum err e;
    while (!(e = next(w)) && w->event.type != YAML_SEQUENCE_END_EVENT)
        if ((e = read_element(w, list))) break;
    if (!e && list->count < (size_t)list->key->min)
        e = config_refuse(w->detail, ERR_RANGE, &place, list->key->key,
                          "at least %zu elements are needed", (size_t)list->key->min);
    return e;
}

static bool is_section(const struct config *c, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < c->settings_count; i++) {
        const char *key = c->settings[i].key->key;
        if (strncmp(key, name, size) == 0 && key[size] == '.') return true;
    }
    return false;
}

/* The current event begins the value of `name`, a section: "wallet". */
static enum err read_section(struct walk *w, const char *name, size_t index)
{
    if (is_null(w)) return OK; /* "wallet:" with all its keys commented out */
    if (w->event.type != YAML_MAPPING_START_EVENT)
        return refuse(w, name, "must be a map of its keys");
    struct position at = {.index = index};
    if ((size_t)snprintf(at.prefix, sizeof at.prefix, "%s.", name) >= sizeof at.prefix)
        return refuse(w, name, "too long"); /* cannot be: it is in the schema */
    return read_map(w, &at);
}

/* The current event is a key below at. */
static enum err read_entry(struct walk *w, const struct position *at)
{
    if (w->event.type != YAML_SCALAR_EVENT) return refuse(w, at->prefix, "a key must be a word");
    char name[CONFIG_NAME_MAX], list_name[CONFIG_NAME_MAX + 2];
    size_t size = (size_t)snprintf(name, sizeof name, "%s%s", at->prefix, scalar(w));
    (void)snprintf(list_name, sizeof list_name, "%s[]", name);
    const struct config_place place = place_of(w);
    struct setting *s = NULL, *list = NULL;
    bool section = false;
    /* Brackets are how the schema writes lists; a file writes them as lists. */
    if (size < sizeof name && !strchr(scalar(w), '[')) {
        s = config_find(w->config, name);
        list = config_find(w->config, list_name);
        section = is_section(w->config, name);
    }
    if (!s && !list && !section) return config_refuse_unknown(w->config, &place, name, w->detail);

    enum err e = section && !s && !list ? OK : note_given(w, s ? s : list);
    if (!e) e = next(w);
    if (e) return e;
    if (s) return read_scalar(w, s, at->index);
    return list ? read_list(w, list) : read_section(w, name, at->index);
}

/* The current event is the map's beginning; ends at the map's end. */
static enum err read_map(struct walk *w, const struct position *at)
{
    enum err e;
    while (!(e = next(w)) && w->event.type != YAML_MAPPING_END_EVENT)
        if ((e = read_entry(w, at))) break;
    return e;
}

/* A stream of one document, whose root is the map of all keys, or one list's value. */
static enum err read_stream(struct walk *w, struct setting *list)
{
    enum err e = next(w); /* the stream's start */
    if (!e) e = next(w);
    if (e || w->event.type == YAML_STREAM_END_EVENT) return e; /* nothing but comments */
    e = next(w);
    if (e) return e;
    if (list) {
        e = read_list(w, list);
    } else if (w->event.type == YAML_MAPPING_START_EVENT) {
        e = read_map(w, &(struct position){0});
    } else if (!is_null(w)) {
        e = refuse(w, "", "must be a map of keys");
    }
    if (!e) e = next(w); /* the document's end */
    if (!e) e = next(w);
    if (!e && w->event.type != YAML_STREAM_END_EVENT) e = refuse(w, "", "must be one document");
    return e;
}

static enum err read_text(struct config *c, struct setting *list, const char *name,
                          const struct buf *text, struct err_detail *detail)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return ERR_NO_MEMORY;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text->data, text->size);
    struct walk w = {.config = c, .detail = detail, .name = name, .parser = &parser};
    enum err e = read_stream(&w, list);
    yaml_event_delete(&w.event);
    yaml_parser_delete(&parser);
    return e;
}

enum err config_yaml_file(struct config *c, const char *path, struct err_detail *detail)
{
    AUTO_BUF struct buf text;
    buf_init(&text, CONFIG_FILE_SIZE_MAX);
    enum err e = config_read_file(path, &text, detail);
    return e ? e : read_text(c, NULL, path, &text, detail);
}

enum err config_yaml_list(struct config *c, struct setting *list, const char *text,
                          struct err_detail *detail)
{
    AUTO_BUF struct buf copy;
    buf_init(&copy, CONFIG_FILE_SIZE_MAX);
    enum err e = buf_add_text(&copy, text);
    return e ? e : read_text(c, list, list->key->key, &copy, detail);
}
