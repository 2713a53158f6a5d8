/*
 * Where FerretDB 1.24 is not MongoDB. Three things were read in its source and seen:
 * - an update is a query and then a write, with nothing in between to stop another one: our threads
 * take turns by _id, other processes are not stopped;
 * - only a filter that is {_id} alone uses an index;
 * - each match of an update command keeps one of its 100 database connections until the command
 * ends (msg_update.go: a defer in the loop), so 100 replacements in one command wait for each other
 * for ever: replacements go one by one. Inserts have no such trouble and are 40 times faster than
 * upserts.
 */
#include "base/store/mongo_call.h"

#include "base/clock.h"

#include <string.h>

AUTO_DEFINE(mongoc_bulk_operation_t, mongoc_bulk_operation_destroy)

struct put {
    const bson_t *const *documents;
    size_t count;
    int64_t until_ms;
};

/* Replaces those of the batch that the insert's reply calls duplicates: in order, by _id. */
static enum err replace_duplicates(struct call *call, const struct put *p, const bson_t *reply)
{
    AUTO_DOCUMENT struct document d = {.bytes = NULL};
    AUTO_BSON bson_t *options = BCON_NEW("upsert", BCON_BOOL(true));
    bson_iter_t list, one, field;

    if (!bson_iter_init_find(&list, reply, "writeErrors") || !bson_iter_recurse(&list, &one))
        return OK;
    while (bson_iter_next(&one)) {
        bson_error_t error;
        if (clock_mono_ms() > p->until_ms) return ERR_TIMEOUT;
        if (!bson_iter_recurse(&one, &field) || !bson_iter_find(&field, "index"))
            return ERR_INTERNAL;
        size_t n = (size_t)bson_iter_as_int64(&field);
        if (n >= p->count)
            return err_set(store_detail(), ERR_INTERNAL, "writeErrors has index %zu", n);
        enum err e = document_prepare(&d, call->declared, p->documents[n], NULL, 1);
        if (e) return e;
        AUTO_BSON bson_t *selector = bson_new();
        CHECK(value_append(&d.id, selector, "_id"));
        if (!mongoc_collection_replace_one(call->collection, selector, &d.bson, options, NULL,
                                           &error))
            return mongo_err(&error);
    }
    return OK;
}

static enum err put_batch(struct call *call, void *arg)
{
    const struct put *p = arg;
    AUTO_BSON bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
    AUTO(auto_mongoc_bulk_operation_destroy)
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(call->collection, options);
    AUTO_DOCUMENT struct document d = {.bytes = NULL};
    bson_error_t error;

    for (size_t n = 0; n < p->count; n++) {
        enum err e = document_prepare(&d, call->declared, p->documents[n], NULL, 1);
        if (e) return e;
        if (!mongoc_bulk_operation_insert_with_opts(bulk, &d.bson, NULL, &error))
            return mongo_err(&error);
    }
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    if (mongoc_bulk_operation_execute(bulk, &reply, &error)) return OK;
    enum err e = mongo_err(&error);
    return e == ERR_EXISTS ? replace_duplicates(call, p, &reply) : e;
}

enum err ferretdb_put(struct mongo *m, const struct collection *c, const bson_t *const *documents,
                      size_t count)
{
    int64_t until_ms = clock_mono_ms() + m->store->timeout_ms;
    enum err e = OK;

    for (size_t done = 0; done < count && !e; done += STORE_INSERT_MAX) {
        size_t batch = count - done < STORE_INSERT_MAX ? count - done : STORE_INSERT_MAX;
        struct put p = {documents + done, batch, until_ms};
        if (clock_mono_ms() > until_ms) return ERR_TIMEOUT;
        e = mongo_run(m, c, CALL_REPEATABLE, put_batch, &p);
    }
    return e;
}

/* Whether what is there has the version and the unique fields. ERR_CONFLICT: it has not. */
static enum err compare(struct mongo *m, const struct collection *c,
                        const struct mongo_change *change)
{
    const struct document *d = change->document;
    AUTO_BSON bson_t *selector = bson_new();
    const struct filter by_id = {.bson = selector};
    const struct query query = {.filter = &by_id, .sort = STORE_COLUMN_ID, .limit = 1};
    AUTO_BUF struct buf page;
    struct value value;
    bson_iter_t iter;
    bson_t now;

    buf_init(&page, STORE_PAGE_SIZE_MAX);
    CHECK(value_append(&d->id, selector, "_id"));
    enum err e = store_mongo.find(m, c, &query, &page);
    if (e) return e;
    if (page.size == 0 || !bson_init_static(&now, (const uint8_t *)page.data, page.size) ||
        mongo_number(&now, "v") != change->version)
        return ERR_CONFLICT;
    for (unsigned n = 0; n < c->field_count; n++)
        if ((c->unique_fields >> n & 1) &&
            (!bson_iter_init_find(&iter, &now, c->fields[n]) || !value_read(&iter, &value) ||
             !value_equal(&value, &d->fields[n])))
            return ERR_CONFLICT;
    return OK;
}

/* Of a collection and an _id; FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
static struct turn *stripe_of(struct mongo *m, const struct collection *c, const struct value *id)
{
    uint32_t hash = 2166136261;
    for (const char *at = c->name; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619;
    for (uint32_t n = 0; n < id->text_size; n++)
        hash = (hash ^ (unsigned char)id->text[n]) * 16777619;
    return &m->stripes[hash % MONGO_STRIPES];
}

enum err ferretdb_update(struct mongo *m, const struct collection *c, struct mongo_change *change)
{
    struct turn *stripe = stripe_of(m, c, &change->document->id);
    enum err e = turn_take(stripe, clock_mono_ms() + m->store->timeout_ms);
    if (e) return e;
    e = compare(m, c, change);
    if (!e) e = mongo_run(m, c, CALL_ONCE, mongo_replace, change);
    turn_give(stripe);
    return e;
}
