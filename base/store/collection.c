/* Declared collections: names checked against what every driver can have, fields listed once. */
#include "base/store/driver.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

int collection_column(const struct collection *c, const char *field)
{
    if (strcmp(field, "_id") == 0) return STORE_COLUMN_ID;
    for (unsigned n = 0; n < c->field_count; n++)
        if (strcmp(field, c->fields[n]) == 0) return (int)n;
    return STORE_COLUMN_NONE;
}

/* A letter, then letters, digits and what else is allowed. */
static bool name_ok(const char *name, const char *also)
{
    if (!isalpha((unsigned char)*name) || strlen(name) > STORE_NAME_MAX) return false;
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr(also, *at)) return false;
    return true;
}

static enum err add_field(struct collection *c, const char *field, bool unique,
                          struct err_detail *detail)
{
    if (!name_ok(field, "_") || strcmp(field, "v") == 0)
        return err_set(detail, ERR_INVALID, "%s: \"%s\" cannot be the name of an indexed field",
                       c->name, field);
    int column = collection_column(c, field);
    for (unsigned n = 0; n < c->field_count && column < 0; n++)
        if (strcasecmp(field, c->fields[n]) == 0)
            return err_set(detail, ERR_INVALID, "%s: the fields %s and %s differ only in case",
                           c->name, field, c->fields[n]);
    if (column < 0) {
        column = (int)c->field_count;
        c->fields[c->field_count++] = field;
    }
    if (unique) c->unique_fields |= UINT64_C(1) << column;
    return OK;
}

static enum err add_index(struct collection *c, const struct store_index *index,
                          struct err_detail *detail)
{
    if (!name_ok(index->name, "_-"))
        return err_set(detail, ERR_INVALID, "%s: \"%s\" cannot be the name of an index", c->name,
                       index->name);
    for (const struct store_index *other = c->indexes; other < index; other++)
        if (strcasecmp(other->name, index->name) == 0)
            return err_set(detail, ERR_INVALID, "%s: the index %s twice", c->name, index->name);
    if (index - c->indexes >= STORE_INDEXES_MAX)
        return err_set(detail, ERR_INVALID, "%s: more than %d indexes", c->name, STORE_INDEXES_MAX);
    if (!index->fields[0])
        return err_set(detail, ERR_INVALID, "%s: the index %s has no field", c->name, index->name);
    for (unsigned n = 0; n < STORE_INDEX_FIELDS_MAX && index->fields[n]; n++) {
        enum err e = add_field(c, index->fields[n], index->unique, detail);
        if (e) return e;
    }
    return OK;
}

enum err collection_declare(struct collection *c, const struct store_collection *declared,
                            struct err_detail *detail)
{
    static const struct store_index none[] = {{.name = NULL}};

    c->name = declared->name;
    c->indexes = declared->indexes ? declared->indexes : none;
    c->field_count = 0;
    c->unique_fields = 0;
    if (!name_ok(c->name, "_-") || strncasecmp(c->name, "sqlite_", 7) == 0)
        return err_set(detail, ERR_INVALID, "\"%s\" cannot be the name of a collection", c->name);
    for (const struct store_index *index = c->indexes; index->name; index++) {
        enum err e = add_index(c, index, detail);
        if (e) return e;
    }
    return OK;
}
