/* The effective configuration as YAML that config_load reads again (but for the secrets it hides).
 */
#include "base/config_model.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

static void indent(struct buf *out, size_t depth)
{
    for (; depth; depth--)
        (void)buf_add_text(out, "  ");
}

/* Of a character: what YAML does not let stand for itself even in quotes, or a terminal would obey.
 */
static bool is_hidden(const char *c, size_t size)
{
    const unsigned char *at = (const unsigned char *)c;
    if (size == 1) return at[0] < 0x20 || at[0] == 0x7F;
    if (size == 2) return at[0] == 0xC2 && at[1] < 0xA0; /* U+0080 to U+009F */
    if (size != 3) return false;
    if (memcmp(c, "\xE2\x80\xA8", 3) == 0 || memcmp(c, "\xE2\x80\xA9", 3) == 0)
        return true; /* breaks */
    return memcmp(c, "\xEF\xBB\xBF", 3) == 0 ||
           memcmp(c, "\xEF\xBF\xBE", 3) >= 0; /* BOM, U+FFFE on */
}

/* In double quotes. */
static void add_text(struct buf *out, const char *text)
{
    (void)buf_add_char(out, '"');
    for (size_t size; *text; text += size) {
        size = utf8_next(text, strlen(text));
        CHECK(size); /* config_set lets no other text in */
        const unsigned char *at = (const unsigned char *)text;
        if (*text == '"' || *text == '\\')
            (void)buf_add_format(out, "\\%c", *text);
        else if (*text == '\n')
            (void)buf_add_text(out, "\\n");
        else if (!is_hidden(text, size))
            (void)buf_add(out, text, size);
        else if (size < 3)
            (void)buf_add_format(out, "\\x%02X", at[size - 1]);
        else
            (void)buf_add_format(out, "\\u%04X",
                                 (at[0] & 15u) << 12 | (at[1] & 63u) << 6 | (at[2] & 63u));
    }
    (void)buf_add_char(out, '"');
}

static void add_value(struct buf *out, const struct config_key *key, const struct config_value *v)
{
    bool hidden = (key->flags & CONFIG_SECRET) &&
                  (key->type != CONFIG_STRING || v->text[0]); /* "" is none, shown */
    if (hidden)
        (void)buf_add_text(out, "\"***\"");
    else if (key->type == CONFIG_INT)
        (void)buf_add_format(out, "%" PRId64, v->number);
    else if (key->type == CONFIG_BOOL)
        (void)buf_add_text(out, v->number ? "true" : "false");
    else
        add_text(out, v->text);
    (void)buf_add_char(out, '\n');
}

/* "threads that run handlers (1 to 256, default 4) (reload)" */
static void add_help(struct buf *out, const struct config_key *key)
{
    (void)buf_add_text(out, key->help);
    if (key->type == CONFIG_INT)
        (void)buf_add_format(out, " (%" PRId64 " to %" PRId64 "%s%s)", key->min, key->max,
                             key->fallback ? ", default " : "", key->fallback ? key->fallback : "");
    if (key->flags & CONFIG_RELOAD) (void)buf_add_text(out, " (reload)");
    (void)buf_add_char(out, '\n');
}

/* Elements have their keys' help once, above them. */
static void add_list(struct buf *out, const struct config *c, const struct setting *list,
                     const char *name, size_t depth)
{
    const size_t prefix_size = strlen(list->key->key) + 1;
    for (size_t i = 0; i < c->settings_count; i++) {
        const struct config_key *key = c->settings[i].key;
        if (c->settings[i].list != list) continue;
        indent(out, depth);
        (void)buf_add_format(out, "#   %s: ", key->key + prefix_size);
        add_help(out, key);
    }
    indent(out, depth);
    (void)buf_add_format(out, "%s:%s\n", name, list->count ? "" : " []");
    for (size_t item = 0; item < list->count; item++) {
        const char *bullet = "- ";
        for (size_t i = 0; i < c->settings_count; i++) {
            const struct setting *s = &c->settings[i];
            if (s->list != list) continue;
            indent(out, depth + 1);
            (void)buf_add_format(out, "%s%s: ", bullet, s->key->key + prefix_size);
            add_value(out, s->key, &s->items[item]);
            bullet = "  ";
        }
    }
}

/* Is there an earlier key below the same prefix? Then its section is written already. */
static bool seen_before(const struct config *c, size_t index, size_t prefix_size)
{
    const char *prefix = c->settings[index].key->key;
    for (size_t i = 0; i < index; i++)
        if (strncmp(c->settings[i].key->key, prefix, prefix_size) == 0) return true;
    return false;
}

/* All keys that begin with prefix_size bytes of prefix. As deep as keys have dots. */
static void add_section(struct buf *out, const struct config *c, const char *prefix,
                        size_t prefix_size)
{
    size_t depth = 0;
    for (size_t i = 0; i < prefix_size; i++)
        depth += prefix[i] == '.';
    for (size_t i = 0; i < c->settings_count; i++) {
        const struct setting *s = &c->settings[i];
        const char *key = s->key->key, *name = key + prefix_size;
        if (s->list || strncmp(key, prefix, prefix_size) != 0) continue;
        size_t name_size = strcspn(name, ".[");
        if (name[name_size] == '.') {
            if (seen_before(c, i, prefix_size + name_size + 1)) continue;
            indent(out, depth);
            (void)buf_add_format(out, "%.*s:\n", (int)name_size, name);
            add_section(out, c, key, prefix_size + name_size + 1);
            continue;
        }
        indent(out, depth);
        (void)buf_add_text(out, "# ");
        add_help(out, s->key);
        char leaf[CONFIG_NAME_MAX];
        memcpy(leaf, name, name_size);
        leaf[name_size] = 0;
        if (s->key->type == CONFIG_LIST) {
            add_list(out, c, s, leaf, depth);
            continue;
        }
        indent(out, depth);
        (void)buf_add_format(out, "%s: ", leaf);
        add_value(out, s->key, &s->value);
    }
}

enum err config_dump(const struct config *c, struct buf *out)
{
    add_section(out, c, "", 0);
    return out->error;
}
