/*
 * The interface: checks what both drivers would otherwise check each in its own way, then hands
 * over to the driver that the URL names. Knows no database.
 */
#include "base/store/driver.h"

#include "base/clock.h"

#include <string.h>
#include <strings.h>

#define POOL_DEFAULT       8
#define TIMEOUT_DEFAULT_MS 5000
#define TIMEOUT_MAX_MS     (24 * 60 * 60 * 1000) /* as good as for ever, and fits an int */

struct store_cursor {
    struct buf page;
    size_t offset;
    bson_t current;
};

static const struct store_driver *const drivers[] = {&store_sqlite, &store_mongo};

struct err_detail *store_detail(void)
{
    static _Thread_local struct err_detail detail;
    return &detail;
}

const char *store_reason(void)
{
    return store_detail()->text;
}

static const struct store_driver *driver_of(const char *url)
{
    for (size_t n = 0; n < sizeof drivers / sizeof *drivers; n++)
        if (strncmp(url, drivers[n]->scheme, strlen(drivers[n]->scheme)) == 0) return drivers[n];
    return NULL;
}

static enum err declare(struct store *s, const struct store_collection *declared,
                        struct err_detail *detail)
{
    for (; declared && declared->name; declared++) {
        if (s->collection_count == STORE_COLLECTIONS_MAX)
            return err_set(detail, ERR_INVALID, "more than %d collections", STORE_COLLECTIONS_MAX);
        struct collection *c = &s->collections[s->collection_count];
        enum err e = collection_declare(c, declared, detail);
        if (e) return e;
        for (unsigned n = 0; n < s->collection_count; n++)
            if (strcasecmp(s->collections[n].name, c->name) == 0)
                return err_set(detail, ERR_INVALID, "the collection %s twice", c->name);
        turn_init(&c->claim);
        s->collection_count++;
    }
    return OK;
}

enum err store_open(const struct store_options *options, const struct store_collection *collections,
                    struct store **ret, struct err_detail *detail)
{
    const struct store_driver *driver = driver_of(options->url);
    if (!driver)
        return err_set(detail, ERR_INVALID,
                       "store URL \"%.8s...\": it begins with sqlite: or "
                       "mongodb://",
                       options->url);
    AUTO(auto_store_close) struct store *s = calloc(1, sizeof *s);
    if (!s) return err_set(detail, ERR_NO_MEMORY, "out of memory");
    s->driver = driver;
    s->pool_max = options->pool_max ? options->pool_max : POOL_DEFAULT;
    s->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    if (s->timeout_ms > TIMEOUT_MAX_MS) s->timeout_ms = TIMEOUT_MAX_MS;

    enum err e = declare(s, collections, detail);
    if (!e) e = driver->open(s, options, &s->db, detail);
    if (e) return e;
    *ret = TAKE(s);
    return OK;
}

void store_close(struct store *s)
{
    if (!s) return;
    s->driver->close(s->db);
    for (unsigned n = 0; n < s->collection_count; n++)
        turn_release(&s->collections[n].claim);
    free(s);
}

void store_fail_nth(struct store *s, unsigned n)
{
    atomic_store(&s->fail_in, n);
}

/* Every call begins here. */
static enum err begin(struct store *s)
{
    store_detail()->text[0] = 0;
    unsigned left = atomic_load(&s->fail_in);
    while (left && !atomic_compare_exchange_weak(&s->fail_in, &left, left - 1)) {
    }
    if (left == 1) return err_set(store_detail(), ERR_UNAVAILABLE, "a failure asked for by a test");
    return OK;
}

static enum err begin_on(struct store *s, const char *name, struct collection **ret)
{
    enum err e = begin(s);
    if (e) return e;
    for (unsigned n = 0; n < s->collection_count; n++)
        if (strcmp(s->collections[n].name, name) == 0) {
            *ret = &s->collections[n];
            return OK;
        }
    return err_set(store_detail(), ERR_INVALID, "the collection \"%s\" is not declared", name);
}

static enum err check_id(const char *id)
{
    size_t size = strlen(id);
    if (size >= 1 && size <= STORE_ID_MAX && bson_utf8_validate(id, size, false)) return OK;
    return err_set(store_detail(), ERR_INVALID, "an _id is 1 to %d bytes of UTF-8", STORE_ID_MAX);
}

static enum err check_count(const char *what, size_t count, size_t min, size_t max)
{
    if (count >= min && count <= max) return OK;
    return err_set(store_detail(), ERR_INVALID, "%zu %s; %zu to %zu are allowed", count, what, min,
                   max);
}

enum err store_ping(struct store *s)
{
    enum err e = begin(s);
    return e ? e : s->driver->ping(s->db);
}

enum err store_insert(struct store *s, const char *collection, const bson_t *const *documents,
                      size_t count, size_t *ret_inserted)
{
    AUTO_DOCUMENT struct document d = {.bytes = NULL};
    struct collection *c;
    size_t inserted = 0;

    enum err e = begin_on(s, collection, &c);
    if (!e) e = check_count("documents", count, 0, STORE_INSERT_MAX);
    for (size_t n = 0; n < count && !e; n++)
        e = document_prepare(&d, c, documents[n], NULL, 1);
    if (!e && count) e = s->driver->insert(s->db, c, documents, count, &inserted);
    if (ret_inserted) *ret_inserted = inserted;
    return e;
}

enum err store_put_many(struct store *s, const char *collection, const bson_t *const *documents,
                        size_t count)
{
    struct collection *c;
    enum err e = begin_on(s, collection, &c);
    if (!e) e = check_count("documents", count, 0, STORE_BULK_MAX);
    if (e || count == 0) return e;
    return s->driver->put(s->db, c, documents, count);
}

/* The first that matches, lowest _id first. */
static enum err find_first(struct store *s, const struct collection *c, const struct filter *filter,
                           bson_t **ret)
{
    struct query query = {.filter = filter, .sort = STORE_COLUMN_ID, .limit = 1};
    AUTO_BUF struct buf page;

    buf_init(&page, STORE_PAGE_SIZE_MAX);
    enum err e = s->driver->find(s->db, c, &query, &page);
    if (e) return e;
    if (page.size == 0) return ERR_NOT_FOUND;
    bson_t *found = bson_new_from_data((const uint8_t *)page.data, page.size);
    if (!found) return err_set(store_detail(), ERR_CORRUPT, "a document is damaged");
    *ret = found;
    return OK;
}

static enum err find_id(struct store *s, const struct collection *c, const char *id, bson_t **ret)
{
    bson_t filter = BSON_INITIALIZER;
    struct filter parsed;

    bool ok = bson_append_utf8(&filter, "_id", 3, id, -1);
    enum err e = ok ? filter_parse(c, &filter, &parsed) : ERR_INVALID;
    if (!e) e = find_first(s, c, &parsed, ret);
    bson_destroy(&filter);
    return e;
}

enum err store_find_id(struct store *s, const char *collection, const char *id, bson_t **ret)
{
    struct collection *c;
    enum err e = begin_on(s, collection, &c);
    if (!e) e = check_id(id);
    return e ? e : find_id(s, c, id, ret);
}

enum err store_find_one(struct store *s, const char *collection, const bson_t *filter, bson_t **ret)
{
    struct collection *c;
    struct filter parsed;

    enum err e = begin_on(s, collection, &c);
    if (!e) e = filter_parse(c, filter, &parsed);
    return e ? e : find_first(s, c, &parsed, ret);
}

enum err store_find(struct store *s, const char *collection, const struct store_find *find,
                    struct store_cursor **ret)
{
    struct collection *c;
    struct filter parsed;
    struct query query = {&parsed, STORE_COLUMN_ID, find->descending, find->limit};

    enum err e = begin_on(s, collection, &c);
    if (!e) e = filter_parse(c, find->filter, &parsed);
    if (!e) e = check_count("documents of a page", find->limit, 1, STORE_FIND_MAX);
    if (e) return e;
    if (find->sort) query.sort = collection_column(c, find->sort);
    if (query.sort == STORE_COLUMN_NONE)
        return err_set(store_detail(), ERR_INVALID, "sort: %s.%s is not indexed", c->name,
                       find->sort);

    AUTO_CURSOR struct store_cursor *cursor =
        aligned_alloc(_Alignof(struct store_cursor), sizeof *cursor); /* bson_t has wishes */
    if (!cursor) return ERR_NO_MEMORY;
    cursor->offset = 0;
    buf_init(&cursor->page, STORE_PAGE_SIZE_MAX);
    e = s->driver->find(s->db, c, &query, &cursor->page);
    if (e) return e;
    *ret = TAKE(cursor);
    return OK;
}

enum err store_cursor_next(struct store_cursor *c, const bson_t **ret)
{
    uint32_t size;
    size_t left = c->page.size - c->offset;

    if (left == 0) return ERR_NOT_FOUND;
    if (left < sizeof size) return ERR_CORRUPT;
    const char *at = c->page.data + c->offset;
    memcpy(&size, at, sizeof size);
    size = BSON_UINT32_FROM_LE(size);
    if (size > left || !bson_init_static(&c->current, (const uint8_t *)at, size))
        return ERR_CORRUPT;
    c->offset += size;
    *ret = &c->current;
    return OK;
}

void store_cursor_free(struct store_cursor *c)
{
    if (!c) return;
    buf_release(&c->page);
    free(c);
}

/* Nothing had d's _id, that version and d's unique fields: which of the three was it? */
static enum err why_not(struct store *s, const struct collection *c, const struct document *d,
                        const char *id, int64_t version)
{
    AUTO_BSON bson_t *now = NULL;
    struct value value;
    bson_iter_t iter;

    enum err e = find_id(s, c, id, &now);
    if (e) return e;
    if (!bson_iter_init_find(&iter, now, "v") || bson_iter_as_int64(&iter) != version)
        return ERR_CONFLICT;
    for (unsigned n = 0; n < c->field_count; n++) {
        if (!(c->unique_fields >> n & 1)) continue;
        if (!bson_iter_init_find(&iter, now, c->fields[n]) || !value_read(&iter, &value) ||
            !value_equal(&value, &d->fields[n]))
            return err_set(store_detail(), ERR_INVALID,
                           "%s: an update never changes a unique field", c->fields[n]);
    }
    return ERR_CONFLICT;
}

static enum err update(struct store *s, const struct collection *c, const char *id, int64_t version,
                       const bson_t *document)
{
    AUTO_DOCUMENT struct document d = {.bytes = NULL};

    if (version < 1 || version == INT64_MAX)
        return err_set(store_detail(), ERR_INVALID, "a version begins at 1");
    enum err e = document_prepare(&d, c, document, id, version + 1);
    if (!e) e = s->driver->update(s->db, c, &d, version);
    return e == ERR_CONFLICT ? why_not(s, c, &d, id, version) : e;
}

enum err store_update(struct store *s, const char *collection, const char *id, int64_t version,
                      const bson_t *document)
{
    struct collection *c;
    enum err e = begin_on(s, collection, &c);
    if (!e) e = check_id(id);
    return e ? e : update(s, c, id, version, document);
}

static enum err check_set(const bson_t *set)
{
    if (bson_empty(set) || bson_has_field(set, "_id") || bson_has_field(set, "v"))
        return err_set(store_detail(), ERR_INVALID, "set: some fields, without _id and v");
    return OK;
}

/* Claims the first that matches if nobody else does in between. ERR_CONFLICT: somebody did. */
static enum err claim_first(struct store *s, const struct collection *c,
                            const struct filter *filter, const bson_t *set, bson_t **ret)
{
    AUTO_BSON bson_t *found = NULL;
    AUTO_BSON bson_t *changed = bson_new();
    bson_iter_t iter;

    enum err e = find_first(s, c, filter, &found);
    if (e) return e;
    if (!bson_iter_init_find(&iter, found, "v") || !BSON_ITER_HOLDS_INT64(&iter))
        return err_set(store_detail(), ERR_CORRUPT, "a document without a version");
    int64_t version = bson_iter_int64(&iter);
    bson_iter_overwrite_int64(&iter, version + 1);
    e = document_merge(found, set, changed);
    if (e || !bson_iter_init_find(&iter, found, "_id")) return e ? e : ERR_CORRUPT;
    e = update(s, c, bson_iter_utf8(&iter, NULL), version, changed);
    if (!e) *ret = TAKE(changed);
    return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
}

enum err store_find_and_modify(struct store *s, const char *collection, const bson_t *filter,
                               const bson_t *set, bson_t **ret)
{
    struct collection *c;
    struct filter parsed;
    int64_t until_ms = clock_mono_ms() + s->timeout_ms;

    enum err e = begin_on(s, collection, &c);
    if (!e) e = filter_parse(c, filter, &parsed);
    if (!e) e = check_set(set);
    if (e) return e;

    e = turn_take(&c->claim, until_ms);
    if (e) return e;
    do
        e = claim_first(s, c, &parsed, set, ret);
    while (e == ERR_CONFLICT && clock_mono_ms() < until_ms);
    turn_give(&c->claim);
    return e == ERR_CONFLICT ? ERR_TIMEOUT : e;
}

enum err store_delete(struct store *s, const char *collection, const char *id)
{
    struct collection *c;
    enum err e = begin_on(s, collection, &c);
    if (!e) e = check_id(id);
    return e ? e : s->driver->delete_id(s->db, c, id);
}

enum err store_delete_many(struct store *s, const char *collection, const bson_t *filter,
                           unsigned limit, uint64_t *ret_deleted)
{
    struct collection *c;
    struct filter parsed;

    enum err e = begin_on(s, collection, &c);
    if (!e) e = filter_parse(c, filter, &parsed);
    if (!e) e = check_count("documents to delete", limit, 1, STORE_FIND_MAX);
    return e ? e : s->driver->delete_many(s->db, c, &parsed, limit, ret_deleted);
}

enum err store_count(struct store *s, const char *collection, const bson_t *filter, uint64_t *ret)
{
    struct collection *c;
    struct filter parsed;

    enum err e = begin_on(s, collection, &c);
    if (!e) e = filter_parse(c, filter, &parsed);
    return e ? e : s->driver->count(s->db, c, &parsed, ret);
}
