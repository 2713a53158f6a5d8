/*
 * The MongoDB driver, on libmongoc's pool: majority write concern with journal, majority read
 * concern. Uses only what MongoDB 7 and FerretDB 1.24 both do (docs/storage.md): no transaction, no
 * update operator, no findAndModify. A write whose answer is lost is not sent again by us, unless
 * it replaces by _id; on a replica set libmongoc itself repeats single writes safely (retryWrites).
 */
#include "base/store/mongo_call.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* MongoDB ends a batch at 16 MiB by itself, FerretDB at no size: the message would be too large. */
#define FERRETDB_BATCH 32
_Static_assert(FERRETDB_BATCH *STORE_DOCUMENT_SIZE_MAX <= 48000000, "a reply is at most 48 MB");

AUTO_DEFINE(mongoc_bulk_operation_t, mongoc_bulk_operation_destroy)
AUTO_DEFINE(mongoc_cursor_t, mongoc_cursor_destroy)

static void mongo_close(void *arg)
{
    struct mongo *m = arg;
    if (!m) return;
    if (m->pool) mongoc_client_pool_destroy(m->pool);
    mongoc_uri_destroy(m->uri);
    for (unsigned n = 0; n < MONGO_STRIPES; n++)
        turn_release(&m->stripes[n]);
    free(m);
}

AUTO_DEFINE(void, mongo_close)

static enum err mongo_open(struct store *store, const struct store_options *o, void **ret,
                           struct err_detail *detail)
{
    AUTO(auto_mongo_close) void *own = calloc(1, sizeof(struct mongo));
    struct mongo *m = own;
    bson_error_t error;

    if (!m) return err_set(detail, ERR_NO_MEMORY, "out of memory");
    m->store = store;
    for (unsigned n = 0; n < MONGO_STRIPES; n++)
        turn_init(&m->stripes[n]);
    enum err e = mongo_uri(o->url, store, &m->uri, detail);
    if (e) return e;
    m->database = mongoc_uri_get_database(m->uri);
    e = mongo_schema(m, detail);
    if (e) return e;
    m->pool = mongoc_client_pool_new_with_error(m->uri, &error);
    if (!m->pool) return err_set(detail, ERR_INVALID, "store URL: %.200s", error.message);
    mongoc_client_pool_set_error_api(m->pool, MONGOC_ERROR_API_VERSION_2);
    *ret = TAKE(own);
    return OK;
}

static enum err ping(struct call *call, void *arg)
{
    AUTO_BSON bson_t *command = BCON_NEW("ping", BCON_INT32(1));
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bson_error_t error;

    (void)arg;
    if (mongoc_client_command_simple(call->client, call->mongo->database, command, NULL, &reply,
                                     &error))
        return OK;
    return mongo_err(&error);
}

static enum err mongo_ping(void *db)
{
    return mongo_run(db, NULL, CALL_REPEATABLE, ping, NULL);
}

struct batch {
    const bson_t *const *documents;
    size_t count, inserted;
    bool replace;
};

static bool append(mongoc_bulk_operation_t *bulk, const struct document *d, bool replace,
                   bson_error_t *error)
{
    if (!replace) return mongoc_bulk_operation_insert_with_opts(bulk, &d->bson, NULL, error);
    AUTO_BSON bson_t *options = BCON_NEW("upsert", BCON_BOOL(true));
    AUTO_BSON bson_t *selector = bson_new();
    return value_append(&d->id, selector, "_id") &&
           mongoc_bulk_operation_replace_one_with_opts(bulk, selector, &d->bson, options, error);
}

static enum err write_batch(struct call *call, void *arg)
{
    struct batch *b = arg;
    AUTO_BSON bson_t *options = BCON_NEW("ordered", BCON_BOOL(true));
    AUTO(auto_mongoc_bulk_operation_destroy)
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(call->collection, options);
    AUTO_DOCUMENT struct document d = {.bytes = NULL};
    bson_error_t error;

    for (size_t n = 0; n < b->count; n++) {
        enum err e = document_prepare(&d, call->declared, b->documents[n], NULL, 1);
        if (e) return e;
        if (!append(bulk, &d, b->replace, &error)) return mongo_err(&error);
    }
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bool ok = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
    b->inserted = (size_t)mongo_number(&reply, "nInserted");
    return ok ? OK : mongo_err(&error);
}

static enum err mongo_insert(void *db, const struct collection *c, const bson_t *const *documents,
                             size_t count, size_t *ret_inserted)
{
    struct batch b = {documents, count, 0, false};
    enum err e = mongo_run(db, c, CALL_ONCE, write_batch, &b);
    *ret_inserted = b.inserted;
    return e;
}

static enum err mongo_put(void *db, const struct collection *c, const bson_t *const *documents,
                          size_t count)
{
    struct mongo *m = db;
    struct batch b = {documents, count, 0, true};
    if (m->ferretdb) return ferretdb_put(m, c, documents, count);
    return mongo_run(m, c, CALL_REPEATABLE, write_batch, &b);
}

struct search {
    const struct query *query;
    bool ids_only;
    struct buf *page;
};

static bson_t *find_options(const struct call *call, const struct search *s)
{
    const struct query *q = s->query;
    int direction = q->descending ? -1 : 1;
    unsigned batch = call->mongo->ferretdb && q->limit > FERRETDB_BATCH ? FERRETDB_BATCH : q->limit;
    bson_t *options = BCON_NEW("limit", BCON_INT64(q->limit), "batchSize", BCON_INT64(batch));
    bson_t sort;

    bson_append_document_begin(options, "sort", -1, &sort);
    if (q->sort != STORE_COLUMN_ID)
        bson_append_int32(&sort, call->declared->fields[q->sort], -1, direction);
    bson_append_int32(&sort, "_id", -1, direction);
    bson_append_document_end(options, &sort);
    /* FerretDB would break the cursor's later batches off with an error of its own. */
    if (!call->mongo->ferretdb)
        bson_append_int64(options, "maxTimeMS", -1, call->mongo->store->timeout_ms * 3 / 8 + 1);
    if (s->ids_only) BCON_APPEND(options, "projection", "{", "_id", BCON_INT32(1), "}");
    return options;
}

static enum err find(struct call *call, void *arg)
{
    const struct search *s = arg;
    AUTO_BSON bson_t *options = find_options(call, s);
    AUTO(auto_mongoc_cursor_destroy)
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(call->collection, s->query->filter->bson, options, NULL);
    const bson_t *document;
    bson_error_t error;

    buf_clear(s->page); /* of an attempt before */
    while (mongoc_cursor_next(cursor, &document)) {
        if (clock_mono_ms() > call->until_ms)
            return err_set(store_detail(), ERR_TIMEOUT, "the page was not read in time");
        if (buf_add(s->page, bson_get_data(document), document->len))
            return err_set(store_detail(), s->page->error, "the page is larger than %d bytes",
                           STORE_PAGE_SIZE_MAX);
    }
    return mongoc_cursor_error(cursor, &error) ? mongo_err(&error) : OK;
}

static enum err mongo_find(void *db, const struct collection *c, const struct query *q,
                           struct buf *ret)
{
    struct search s = {q, false, ret};
    return mongo_run(db, c, CALL_REPEATABLE, find, &s);
}

/* {_id, and on a server that compares and sets at once also v and the unique fields}. */
static bson_t *selector_of(const struct call *call, const struct mongo_change *change)
{
    const struct collection *c = call->declared;
    const struct document *d = change->document;
    bson_t *selector = bson_new();

    bool ok = value_append(&d->id, selector, "_id");
    if (call->mongo->ferretdb) return selector;
    ok = ok && bson_append_int64(selector, "v", 1, change->version);
    for (unsigned n = 0; n < c->field_count && ok; n++)
        if (c->unique_fields >> n & 1) ok = value_append(&d->fields[n], selector, c->fields[n]);
    CHECK(ok);
    return selector;
}

enum err mongo_replace(struct call *call, void *arg)
{
    const struct mongo_change *change = arg;
    AUTO_BSON bson_t *selector = selector_of(call, change);
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bson_error_t error;

    if (!mongoc_collection_replace_one(call->collection, selector, &change->document->bson, NULL,
                                       &reply, &error))
        return mongo_err(&error);
    return mongo_number(&reply, "matchedCount") == 1 ? OK : ERR_CONFLICT;
}

static enum err mongo_update(void *db, const struct collection *c, const struct document *d,
                             int64_t version)
{
    struct mongo *m = db;
    struct mongo_change change = {d, version};
    if (m->ferretdb) return ferretdb_update(m, c, &change);
    return mongo_run(m, c, CALL_ONCE, mongo_replace, &change);
}

struct removal {
    const bson_t *selector;
    int64_t deleted;
};

static enum err delete_one(struct call *call, void *arg)
{
    struct removal *r = arg;
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bson_error_t error;

    if (!mongoc_collection_delete_one(call->collection, r->selector, NULL, &reply, &error))
        return mongo_err(&error);
    r->deleted = mongo_number(&reply, "deletedCount");
    return OK;
}

static enum err delete_all(struct call *call, void *arg)
{
    struct removal *r = arg;
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bson_error_t error;

    if (!mongoc_collection_delete_many(call->collection, r->selector, NULL, &reply, &error))
        return mongo_err(&error);
    r->deleted = mongo_number(&reply, "deletedCount");
    return OK;
}

static enum err mongo_delete_id(void *db, const struct collection *c, const char *id)
{
    AUTO_BSON bson_t *selector = BCON_NEW("_id", BCON_UTF8(id));
    struct removal r = {selector, 0};

    enum err e = mongo_run(db, c, CALL_ONCE, delete_one, &r);
    if (e) return e;
    return r.deleted == 1 ? OK : ERR_NOT_FOUND;
}

/* {$and: [filter, {_id: {$in: the _ids of the page}}]}: what no longer matches is spared. */
static bson_t *these(const struct filter *f, const struct buf *page)
{
    AUTO_BSON bson_t *ids = bson_new();
    uint32_t n = 0, size;
    bson_iter_t iter;
    bson_t one;

    for (size_t at = 0; at < page->size; at += size, n++) {
        char key[16];
        memcpy(&size, page->data + at, sizeof size);
        size = BSON_UINT32_FROM_LE(size);
        CHECK(bson_init_static(&one, (const uint8_t *)page->data + at, size));
        (void)snprintf(key, sizeof key, "%u", n);
        if (bson_iter_init_find(&iter, &one, "_id")) bson_append_iter(ids, key, -1, &iter);
    }
    return BCON_NEW("$and", "[", BCON_DOCUMENT(f->bson), "{", "_id", "{", "$in", BCON_ARRAY(ids),
                    "}", "}", "]");
}

static enum err mongo_delete_many(void *db, const struct collection *c, const struct filter *f,
                                  unsigned limit, uint64_t *ret_deleted)
{
    const struct query query = {.filter = f, .sort = STORE_COLUMN_ID, .limit = limit};
    AUTO_BUF struct buf page;

    buf_init(&page, STORE_PAGE_SIZE_MAX);
    struct search s = {&query, true, &page};
    enum err e = mongo_run(db, c, CALL_REPEATABLE, find, &s);
    if (e) return e;
    if (page.size == 0) {
        *ret_deleted = 0;
        return OK;
    }
    AUTO_BSON bson_t *selector = these(f, &page);
    struct removal r = {selector, 0};
    e = mongo_run(db, c, CALL_ONCE, delete_all, &r);
    if (!e) *ret_deleted = (uint64_t)r.deleted;
    return e;
}

struct counting {
    const struct filter *filter;
    int64_t count;
};

static enum err count(struct call *call, void *arg)
{
    struct counting *counting = arg;
    /* Without a condition MongoDB would answer with an estimate. */
    AUTO_BSON bson_t *everything = BCON_NEW("_id", "{", "$gte", "", "}");
    const bson_t *query = counting->filter->count ? counting->filter->bson : everything;
    AUTO_BSON bson_t *command =
        BCON_NEW("count", BCON_UTF8(call->declared->name), "query", BCON_DOCUMENT(query),
                 "maxTimeMS", BCON_INT64(call->mongo->store->timeout_ms * 3 / 8 + 1));
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bson_error_t error;

    if (!mongoc_collection_read_command_with_opts(call->collection, command, NULL, NULL, &reply,
                                                  &error))
        return mongo_err(&error);
    counting->count = mongo_number(&reply, "n");
    return OK;
}

static enum err mongo_count(void *db, const struct collection *c, const struct filter *f,
                            uint64_t *ret)
{
    struct counting counting = {f, 0};
    enum err e = mongo_run(db, c, CALL_REPEATABLE, count, &counting);
    if (!e) *ret = (uint64_t)counting.count;
    return e;
}

const struct store_driver store_mongo = {
    .scheme = "mongodb",
    .open = mongo_open,
    .close = mongo_close,
    .ping = mongo_ping,
    .insert = mongo_insert,
    .put = mongo_put,
    .find = mongo_find,
    .update = mongo_update,
    .delete_id = mongo_delete_id,
    .delete_many = mongo_delete_many,
    .count = mongo_count,
};
