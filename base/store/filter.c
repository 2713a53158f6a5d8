/* Filters, taken apart and checked once for every driver. */
#include "base/store/driver.h"

#include <string.h>

static const struct {
    const char *word;
    enum filter_op op;
} operators[] = {
    {"$gt", FILTER_GT},   {"$gte", FILTER_GTE}, {"$lt", FILTER_LT},
    {"$lte", FILTER_LTE}, {"$in", FILTER_IN},
};

static enum err check_scalar(const bson_iter_t *iter, int column, struct value *ret)
{
    struct err_detail *why = store_detail();
    if (!value_read(iter, ret))
        return err_set(why, ERR_INVALID, "filter: BSON type %d cannot be compared",
                       (int)bson_iter_type(iter));
    if (column == STORE_COLUMN_ID && ret->type != BSON_TYPE_UTF8)
        return err_set(why, ERR_INVALID, "filter: _id is a string");
    if (ret->type == BSON_TYPE_UTF8 && !bson_utf8_validate(ret->text, ret->text_size, false))
        return err_set(why, ERR_INVALID, "filter: not UTF-8, or with a NUL");
    return OK;
}

static enum err check_list(const bson_iter_t *iter, struct condition *ret)
{
    struct err_detail *why = store_detail();
    struct value value;
    bson_iter_t list;

    if (!BSON_ITER_HOLDS_ARRAY(iter) || !bson_iter_recurse(iter, &ret->list))
        return err_set(why, ERR_INVALID, "filter: $in takes an array");
    list = ret->list;
    while (bson_iter_next(&list)) {
        enum err e = check_scalar(&list, ret->column, &value);
        if (e) return e;
        if (++ret->list_count > STORE_IN_MAX)
            return err_set(why, ERR_INVALID, "filter: $in of more than %d", STORE_IN_MAX);
    }
    if (list.err_off) return err_set(why, ERR_INVALID, "filter: damaged BSON");
    return OK;
}

static enum err add_condition(struct filter *f, int column, enum filter_op op,
                              const bson_iter_t *iter)
{
    if (f->count == STORE_CONDITIONS_MAX)
        return err_set(store_detail(), ERR_INVALID, "filter: more than %d conditions",
                       STORE_CONDITIONS_MAX);
    struct condition *c = &f->conditions[f->count++];
    c->column = column;
    c->op = op;
    c->list_count = 0;
    return op == FILTER_IN ? check_list(iter, c) : check_scalar(iter, column, &c->value);
}

static enum err add_operators(struct filter *f, int column, const bson_iter_t *iter)
{
    bson_iter_t child;
    if (!bson_iter_recurse(iter, &child) || !bson_iter_next(&child))
        return err_set(store_detail(), ERR_INVALID, "filter: an empty document");
    do {
        size_t n = 0, count = sizeof operators / sizeof *operators;
        while (n < count && strcmp(bson_iter_key(&child), operators[n].word) != 0)
            n++;
        if (n == count)
            return err_set(store_detail(), ERR_INVALID,
                           "filter: \"%s\" is none of $gt $gte $lt "
                           "$lte $in",
                           bson_iter_key(&child));
        enum err e = add_condition(f, column, operators[n].op, &child);
        if (e) return e;
    } while (bson_iter_next(&child));
    if (child.err_off) return err_set(store_detail(), ERR_INVALID, "filter: damaged BSON");
    return OK;
}

static const bson_t everything = BSON_INITIALIZER;

enum err filter_parse(const struct collection *c, const bson_t *bson, struct filter *ret)
{
    bson_iter_t iter;
    bool seen[STORE_FIELDS_MAX + 1] = {false};

    ret->bson = bson ? bson : &everything;
    ret->count = 0;
    if (!bson_iter_init(&iter, ret->bson))
        return err_set(store_detail(), ERR_INVALID, "filter: damaged BSON");
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);
        int column = collection_column(c, key);
        if (column == STORE_COLUMN_NONE)
            return err_set(store_detail(), ERR_INVALID, "filter: %s.%s is not indexed", c->name,
                           key);
        if (seen[column + 1]) return err_set(store_detail(), ERR_INVALID, "filter: %s twice", key);
        seen[column + 1] = true;
        enum err e = BSON_ITER_HOLDS_DOCUMENT(&iter) ? add_operators(ret, column, &iter)
                                                     : add_condition(ret, column, FILTER_EQ, &iter);
        if (e) return e;
    }
    if (iter.err_off) return err_set(store_detail(), ERR_INVALID, "filter: damaged BSON");
    return OK;
}
