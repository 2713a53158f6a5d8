/*
 * Documents and the scalars that indexes have: checked once, for every driver, against what all of
 * them store and return alike. Refuses what only some can do (see store.h).
 */
#include "base/store/driver.h"

#include <math.h>
#include <string.h>

bool value_read(const bson_iter_t *iter, struct value *ret)
{
    struct value v = {.type = bson_iter_type(iter)};
    switch (v.type) {
    case BSON_TYPE_UTF8:
        v.text = bson_iter_utf8(iter, &v.text_size);
        break;
    case BSON_TYPE_INT32:
        v.integer = bson_iter_int32(iter);
        break;
    case BSON_TYPE_INT64:
        v.integer = bson_iter_int64(iter);
        break;
    case BSON_TYPE_BOOL:
        v.integer = bson_iter_bool(iter);
        break;
    case BSON_TYPE_DATE_TIME:
        v.integer = bson_iter_date_time(iter);
        break;
    case BSON_TYPE_DOUBLE:
        v.real = bson_iter_double(iter);
        break;
    default:
        return false;
    }
    *ret = v;
    return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type) return false;
    if (a->type == BSON_TYPE_DOUBLE) return !(a->real < b->real) && !(a->real > b->real);
    if (a->type != BSON_TYPE_UTF8) return a->integer == b->integer;
    return a->text_size == b->text_size && memcmp(a->text, b->text, a->text_size) == 0;
}

bool value_append(const struct value *v, bson_t *to, const char *key)
{
    switch (v->type) {
    case BSON_TYPE_UTF8:
        return bson_append_utf8(to, key, -1, v->text, (int)v->text_size);
    case BSON_TYPE_INT32:
        return bson_append_int32(to, key, -1, (int32_t)v->integer);
    case BSON_TYPE_INT64:
        return bson_append_int64(to, key, -1, v->integer);
    case BSON_TYPE_BOOL:
        return bson_append_bool(to, key, -1, v->integer != 0);
    case BSON_TYPE_DATE_TIME:
        return bson_append_date_time(to, key, -1, v->integer);
    case BSON_TYPE_DOUBLE:
        return bson_append_double(to, key, -1, v->real);
    default:
        return false;
    }
}

/* Most texts are ASCII, which is seen faster than UTF-8 is validated. NUL is not text. */
static bool text_ok(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && (signed char)text[n] > 0)
        n++;
    return n == size || bson_utf8_validate(text, size, false);
}

static bool key_ok(const bson_iter_t *iter)
{
    const char *key = bson_iter_key(iter);
    size_t size = strlen(key);
    return size && *key != '$' && !memchr(key, '.', size) && text_ok(key, size);
}

static enum err check_fields(bson_iter_t *iter, bool array, unsigned depth);

static enum err check_value(const bson_iter_t *iter, bool in_array, unsigned depth)
{
    struct err_detail *why = store_detail();
    bson_iter_t child;
    uint32_t size;
    double number;

    switch (bson_iter_type(iter)) {
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
    case BSON_TYPE_BOOL:
    case BSON_TYPE_DATE_TIME:
    case BSON_TYPE_OID:
    case BSON_TYPE_BINARY:
    case BSON_TYPE_NULL:
        return OK;
    case BSON_TYPE_UTF8: {
        const char *text = bson_iter_utf8(iter, &size);
        if (text_ok(text, size)) return OK;
        return err_set(why, ERR_INVALID, "%s: not UTF-8, or with a NUL", bson_iter_key(iter));
    }
    case BSON_TYPE_DOUBLE:
        number = bson_iter_double(iter);
        if (isfinite(number) && !(fpclassify(number) == FP_ZERO && signbit(number))) return OK;
        return err_set(why, ERR_INVALID, "%s: infinite, not a number, or -0", bson_iter_key(iter));
    case BSON_TYPE_ARRAY:
        if (in_array) return err_set(why, ERR_INVALID, "an array right inside of an array");
        break;
    case BSON_TYPE_DOCUMENT:
        break;
    default:
        return err_set(why, ERR_INVALID, "%s: BSON type %d", bson_iter_key(iter),
                       (int)bson_iter_type(iter));
    }
    if (depth == STORE_DEPTH_MAX)
        return err_set(why, ERR_INVALID, "nested deeper than %d", STORE_DEPTH_MAX);
    if (!bson_iter_recurse(iter, &child)) return err_set(why, ERR_INVALID, "damaged BSON");
    return check_fields(&child, bson_iter_type(iter) == BSON_TYPE_ARRAY, depth + 1);
}

static bool is_number(const char *key, uint32_t number)
{
    char buffer[16];
    const char *expected;
    (void)bson_uint32_to_string(number, &expected, buffer, sizeof buffer);
    return strcmp(key, expected) == 0;
}

static enum err check_fields(bson_iter_t *iter, bool array, unsigned depth)
{
    for (uint32_t n = 0; bson_iter_next(iter); n++) {
        if (array ? !is_number(bson_iter_key(iter), n) : !key_ok(iter))
            return err_set(store_detail(), ERR_INVALID, "the field name \"%s\"",
                           bson_iter_key(iter));
        enum err e = check_value(iter, array, depth);
        if (e) return e;
    }
    if (iter->err_off) return err_set(store_detail(), ERR_INVALID, "damaged BSON");
    return OK;
}

/* What a walk over the top level finds. */
struct walk {
    const struct collection *collection;
    struct document *document;
    uint64_t seen; /* bit n: field n */
    bool has_id, has_v;
    size_t size;  /* of the body, copied so far behind the head's room */
    uint32_t run; /* where what is not yet copied begins */
};

#define HEAD_MAX (4 + 1 + sizeof "_id" + 4 + STORE_ID_MAX + 1 + 1 + sizeof "v" + 8)

static enum err take_field(struct walk *w, const bson_iter_t *iter)
{
    int column = collection_column(w->collection, bson_iter_key(iter));
    if (column < 0) return OK;
    uint64_t bit = UINT64_C(1) << column;
    if (w->seen & bit)
        return err_set(store_detail(), ERR_INVALID, "%s: twice", bson_iter_key(iter));
    if (!value_read(iter, &w->document->fields[column]))
        return err_set(store_detail(), ERR_INVALID, "%s: BSON type %d cannot be indexed",
                       bson_iter_key(iter), (int)bson_iter_type(iter));
    w->seen |= bit;
    return OK;
}

/* Copies the elements before `end` that are to be kept, and goes on at `next`. */
static void flush(struct walk *w, const uint8_t *raw, uint32_t end, uint32_t next)
{
    memcpy(w->document->bytes + HEAD_MAX + w->size, raw + w->run, end - w->run);
    w->size += end - w->run;
    w->run = next;
}

static enum err take_id(struct walk *w, const bson_iter_t *iter, const char *id)
{
    struct document *d = w->document;
    if (w->has_id || !value_read(iter, &d->id) || d->id.type != BSON_TYPE_UTF8)
        return err_set(store_detail(), ERR_INVALID, "_id must be one string");
    w->has_id = true;
    if (id && (strlen(id) != d->id.text_size || memcmp(id, d->id.text, d->id.text_size) != 0))
        return err_set(store_detail(), ERR_INVALID, "the document has another _id");
    return OK;
}

static enum err walk_top(struct walk *w, const bson_t *source, const char *id)
{
    const uint8_t *raw = bson_get_data(source);
    uint32_t end = source->len - 1, skip = 0; /* skip: the element before starts here, and goes */
    bson_iter_t iter;

    if (!bson_iter_init(&iter, source)) return err_set(store_detail(), ERR_INVALID, "damaged BSON");
    w->run = sizeof(int32_t);
    while (bson_iter_next(&iter)) {
        uint32_t at = bson_iter_offset(&iter);
        if (skip) flush(w, raw, skip, at);
        skip = 0;
        if (!key_ok(&iter))
            return err_set(store_detail(), ERR_INVALID, "the field name \"%s\"",
                           bson_iter_key(&iter));
        enum err e = check_value(&iter, false, 1);
        const char *key = bson_iter_key(&iter);
        if (!e && strcmp(key, "_id") == 0)
            e = take_id(w, &iter, id), skip = at;
        else if (!e && strcmp(key, "v") == 0)
            skip = at;
        else if (!e)
            e = take_field(w, &iter);
        if (e) return e;
    }
    if (iter.err_off) return err_set(store_detail(), ERR_INVALID, "damaged BSON");
    flush(w, raw, skip ? skip : end, end);
    return OK;
}

static void put_int32(uint8_t *at, size_t number)
{
    uint32_t little = BSON_UINT32_TO_LE((uint32_t)number);
    memcpy(at, &little, sizeof little);
}

/* Writes {_id, v} right before the body and makes bson of the whole. */
static enum err finish(struct walk *w, int64_t version)
{
    struct document *d = w->document;
    size_t id_size = d->id.text_size;
    size_t head = 4 + 1 + sizeof "_id" + 4 + id_size + 1 + 1 + sizeof "v" + 8;
    size_t size = head + w->size + 1;
    if (size > STORE_DOCUMENT_SIZE_MAX)
        return err_set(store_detail(), ERR_INVALID, "a document of %zu bytes; at most %d", size,
                       STORE_DOCUMENT_SIZE_MAX);

    uint8_t *start = d->bytes + HEAD_MAX - head, *at = start;
    int64_t little = (int64_t)BSON_UINT64_TO_LE((uint64_t)version);
    put_int32(at, size);
    at += 4;
    *at++ = BSON_TYPE_UTF8;
    memcpy(at, "_id", sizeof "_id");
    at += sizeof "_id";
    put_int32(at, id_size + 1);
    at += 4;
    memcpy(at, d->id.text, id_size);
    at += id_size;
    *at++ = 0;
    *at++ = BSON_TYPE_INT64;
    memcpy(at, "v", sizeof "v");
    memcpy(at + sizeof "v", &little, sizeof little);
    d->bytes[HEAD_MAX + w->size] = 0;
    d->version = version;
    if (!bson_init_static(&d->bson, start, size))
        return err_set(store_detail(), ERR_INVALID, "damaged BSON");
    return OK;
}

enum err document_prepare(struct document *d, const struct collection *c, const bson_t *source,
                          const char *id, int64_t version)
{
    size_t need = HEAD_MAX + source->len + 1;
    if (source->len > STORE_DOCUMENT_SIZE_MAX)
        return err_set(store_detail(), ERR_INVALID, "a document of %u bytes; at most %d",
                       source->len, STORE_DOCUMENT_SIZE_MAX);
    if (need > d->capacity) {
        uint8_t *bytes = realloc(d->bytes, need * 2);
        if (!bytes) return ERR_NO_MEMORY;
        d->bytes = bytes;
        d->capacity = need * 2;
    }

    struct walk w = {.collection = c, .document = d};
    enum err e = walk_top(&w, source, id);
    if (e) return e;
    if (!w.has_id && id)
        d->id =
            (struct value){.type = BSON_TYPE_UTF8, .text = id, .text_size = (uint32_t)strlen(id)};
    else if (!w.has_id)
        return err_set(store_detail(), ERR_INVALID, "the document has no _id");
    if (d->id.text_size == 0 || d->id.text_size > STORE_ID_MAX)
        return err_set(store_detail(), ERR_INVALID, "an _id of %u bytes; 1 to %d are allowed",
                       d->id.text_size, STORE_ID_MAX);
    for (unsigned n = 0; n < c->field_count; n++)
        if (!(w.seen >> n & 1))
            return err_set(store_detail(), ERR_INVALID, "%s: missing, and it is indexed",
                           c->fields[n]);
    return finish(&w, version);
}

void document_release(struct document *d)
{
    free(d->bytes);
    *d = (struct document){0};
}

enum err document_merge(const bson_t *base, const bson_t *set, bson_t *ret)
{
    bson_iter_t iter, other;
    bool ok = true;

    if (!bson_iter_init(&iter, base)) return ERR_INVALID;
    while (ok && bson_iter_next(&iter)) {
        bool replaced = bson_iter_init_find(&other, set, bson_iter_key(&iter));
        ok = bson_append_iter(ret, NULL, 0, replaced ? &other : &iter);
    }
    if (!bson_iter_init(&iter, set)) return ERR_INVALID;
    while (ok && bson_iter_next(&iter))
        if (!bson_has_field(base, bson_iter_key(&iter))) ok = bson_append_iter(ret, NULL, 0, &iter);
    return ok ? OK : err_set(store_detail(), ERR_INVALID, "the document became too large");
}
