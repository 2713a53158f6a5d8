/*
 * Collections and indexes on a MongoDB server: created by command, by name, and compared with what
 * listIndexes says. Indexes that are not declared are left alone: an operator may have his own.
 */
#include "base/store/mongo_call.h"

#include <string.h>

#define CREATE_TIMEOUT_MS   (10 * 60 * 1000) /* an index over a collection that has grown large */
#define NAMESPACE_EXISTS    48
#define NAMESPACE_NOT_FOUND 26

static void auto_bson_text(char **text)
{
    bson_free(*text);
}
AUTO_DEFINE(mongoc_client_t, mongoc_client_destroy)
AUTO_DEFINE(mongoc_uri_t, mongoc_uri_destroy)
AUTO_DEFINE(mongoc_cursor_t, mongoc_cursor_destroy)
AUTO_DEFINE(mongoc_collection_t, mongoc_collection_destroy)

static enum err write_command(struct mongo *m, mongoc_client_t *client, const bson_t *command,
                              bson_error_t *error)
{
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bool ok =
        mongoc_client_write_command_with_opts(client, m->database, command, NULL, &reply, error);
    return ok ? OK : mongo_err(error);
}

static enum err create_collection(struct mongo *m, mongoc_client_t *client,
                                  const struct collection *c)
{
    AUTO_BSON bson_t *command = BCON_NEW("create", BCON_UTF8(c->name));
    bson_error_t error = {.code = 0};

    enum err e = write_command(m, client, command, &error);
    return error.domain == MONGOC_ERROR_SERVER && error.code == NAMESPACE_EXISTS ? OK : e;
}

/* {field: 1, ..., _id: 1}: as store.h says; a unique one is not to be unique by _id. */
static bson_t *key_of(const struct store_index *index)
{
    bson_t *key = bson_new();
    for (unsigned n = 0; n < STORE_INDEX_FIELDS_MAX && index->fields[n]; n++)
        bson_append_int32(key, index->fields[n], -1, 1);
    if (!index->unique) bson_append_int32(key, "_id", -1, 1);
    return key;
}

static enum err create_index(struct mongo *m, mongoc_client_t *client, const struct collection *c,
                             const struct store_index *index)
{
    AUTO_BSON bson_t *key = key_of(index);
    AUTO_BSON bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(c->name), "indexes", "[", "{",
                                         "name", BCON_UTF8(index->name), "key", BCON_DOCUMENT(key),
                                         "unique", BCON_BOOL(index->unique), "}", "]");
    bson_error_t error;

    enum err e = write_command(m, client, command, &error);
    /* FerretDB has no code for it. */
    if (e != ERR_EXISTS && !(e == ERR_INTERNAL && index->unique && m->ferretdb)) return e;
    return err_set(store_detail(), ERR_PRECONDITION, "two documents have the same");
}

static bool same_key(const struct store_index *index, const bson_iter_t *stored)
{
    AUTO_BSON bson_t *key = key_of(index);
    bson_iter_t want, have;

    if (!bson_iter_init(&want, key) || !bson_iter_recurse(stored, &have)) return false;
    while (bson_iter_next(&want))
        if (!bson_iter_next(&have) || strcmp(bson_iter_key(&want), bson_iter_key(&have)) != 0 ||
            bson_iter_as_int64(&have) != 1)
            return false;
    return !bson_iter_next(&have);
}

/* Which of the declared one this stored one is; NULL: none of them. */
static const struct store_index *declared(const struct collection *c, const bson_t *stored)
{
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, stored, "name") || !BSON_ITER_HOLDS_UTF8(&iter)) return NULL;
    for (const struct store_index *i = c->indexes; i->name; i++)
        if (strcmp(i->name, bson_iter_utf8(&iter, NULL)) == 0) return i;
    return NULL;
}

static enum err check_stored(const struct store_index *index, const bson_t *stored)
{
    bson_iter_t iter;
    bool unique = bson_iter_init_find(&iter, stored, "unique") && bson_iter_as_bool(&iter);

    if (unique == index->unique && bson_iter_init_find(&iter, stored, "key") &&
        same_key(index, &iter))
        return OK;
    AUTO(auto_bson_text) char *text = bson_as_relaxed_extended_json(stored, NULL);
    return err_set(store_detail(), ERR_PRECONDITION, "%s: it is %s on the server", index->name,
                   text ? text : "another");
}

static enum err schema_of(struct mongo *m, mongoc_client_t *client, const struct collection *c)
{
    AUTO(auto_mongoc_collection_destroy)
    mongoc_collection_t *collection = mongoc_client_get_collection(client, m->database, c->name);
    AUTO(auto_mongoc_cursor_destroy)
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(collection, NULL);
    bool there[STORE_INDEXES_MAX] = {false};
    const bson_t *stored;
    bson_error_t error;

    while (mongoc_cursor_next(cursor, &stored)) {
        const struct store_index *index = declared(c, stored);
        enum err e = index ? check_stored(index, stored) : OK;
        if (e) return e;
        if (index) there[index - c->indexes] = true;
    }
    bool failed = mongoc_cursor_error(cursor, &error);
    if (failed && !(error.domain == MONGOC_ERROR_SERVER && error.code == NAMESPACE_NOT_FOUND))
        return mongo_err(&error);
    enum err e = create_collection(m, client, c);
    for (const struct store_index *index = c->indexes; index->name && !e; index++)
        if (!there[index - c->indexes]) e = create_index(m, client, c, index);
    return e;
}

static enum err ask_server(struct mongo *m, mongoc_client_t *client)
{
    AUTO_BSON bson_t *command = BCON_NEW("buildInfo", BCON_INT32(1));
    AUTO_REPLY bson_t reply = BSON_INITIALIZER;
    bson_error_t error;

    if (!mongoc_client_command_simple(client, m->database, command, NULL, &reply, &error))
        return mongo_err(&error);
    m->ferretdb = bson_has_field(&reply, "ferretdbVersion");
    return OK;
}

enum err mongo_schema(struct mongo *m, struct err_detail *detail)
{
    AUTO(auto_mongoc_uri_destroy) mongoc_uri_t *uri = mongoc_uri_copy(m->uri);
    bson_error_t error;

    (void)mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, CREATE_TIMEOUT_MS);
    (void)mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, false);
    AUTO(auto_mongoc_client_destroy)
    mongoc_client_t *client = mongoc_client_new_from_uri_with_error(uri, &error);
    if (!client) return err_set(detail, ERR_INVALID, "store URL: %.200s", error.message);
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);

    enum err e = ask_server(m, client);
    if (e) return err_set(detail, e, "%s", store_reason());
    for (unsigned n = 0; n < m->store->collection_count; n++) {
        const struct collection *c = &m->store->collections[n];
        e = schema_of(m, client, c);
        if (e) return err_set(detail, e, "%s: %s", c->name, store_reason());
    }
    return OK;
}
