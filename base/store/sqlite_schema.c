/*
 * The tables of a SQLite store. A collection is a table: _id, _v, _doc (the BSON) and one column
 * for each field that an index ever had. SQLite keeps the text of each CREATE INDEX: that is the
 * stored definition which the declared one is compared with.
 */
#include "base/store/sqlite_db.h"

#include <string.h>

#define SQL_MAX 4096

static enum err is_sql(struct buf *sql)
{
    return sql->error ? err_set(store_detail(), sql->error, "a statement of SQL is too long") : OK;
}

static enum err run(struct db *db, struct buf *sql)
{
    enum err e = is_sql(sql);
    if (!e) e = db_exec(db, sql->data);
    buf_clear(sql);
    return e;
}

/* _id at the end gives equal values the order that store.h promises. */
static void add_index_sql(struct buf *sql, const struct collection *c,
                          const struct store_index *index)
{
    (void)buf_add_format(sql, "CREATE %sINDEX \"%s.%s\" ON \"%s\" (",
                         index->unique ? "UNIQUE " : "", c->name, index->name, c->name);
    for (unsigned n = 0; n < STORE_INDEX_FIELDS_MAX && index->fields[n]; n++)
        (void)buf_add_format(sql, "%s\"%s\"", n ? ", " : "", index->fields[n]);
    (void)buf_add_text(sql, index->unique ? ")" : ", _id)");
}

/* bson_field(doc, name): the value of an indexed field, or NULL; for filling a new column. */
static void bson_field(sqlite3_context *context, int count, sqlite3_value **args)
{
    const uint8_t *data = sqlite3_value_blob(args[0]);
    const char *name = (const char *)sqlite3_value_text(args[1]);
    struct value v;
    bson_iter_t iter;
    bson_t bson;

    (void)count;
    if (!data || !name || !bson_init_static(&bson, data, (size_t)sqlite3_value_bytes(args[0])) ||
        !bson_iter_init_find(&iter, &bson, name) || !value_read(&iter, &v)) {
        sqlite3_result_null(context);
        return;
    }
    if (v.type == BSON_TYPE_UTF8)
        sqlite3_result_text(context, v.text, (int)v.text_size, SQLITE_TRANSIENT);
    else if (v.type == BSON_TYPE_DOUBLE)
        sqlite3_result_double(context, v.real);
    else
        sqlite3_result_int64(context, v.integer);
}

static enum err has_column(struct db *db, const struct collection *c, const char *field, bool *ret)
{
    AUTO_RESET sqlite3_stmt *statement = NULL;
    enum err e = db_prepare(db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2", &statement);
    if (e) return e;
    sqlite3_bind_text(statement, 1, c->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, field, -1, SQLITE_STATIC);
    e = db_step(db, statement);
    *ret = !e;
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Columns are never dropped, so one that is there may be stale: it is filled again. */
static enum err fill_column(struct db *db, const struct collection *c, const char *field,
                            struct buf *sql)
{
    bool there = false;
    enum err e = has_column(db, c, field, &there);
    if (!e && !there) {
        (void)buf_add_format(sql, "ALTER TABLE \"%s\" ADD COLUMN \"%s\"", c->name, field);
        e = run(db, sql);
    }
    if (e) return e;
    (void)buf_add_format(sql, "UPDATE \"%s\" SET \"%s\" = bson_field(_doc, '%s')", c->name, field,
                         field);
    return run(db, sql);
}

static enum err create_index(struct db *db, const struct collection *c,
                             const struct store_index *index, struct buf *sql)
{
    for (unsigned n = 0; n < STORE_INDEX_FIELDS_MAX && index->fields[n]; n++) {
        enum err e = fill_column(db, c, index->fields[n], sql);
        if (e) return e;
    }
    add_index_sql(sql, c, index);
    enum err e = run(db, sql);
    if (e == ERR_EXISTS)
        return err_set(store_detail(), ERR_PRECONDITION, "two documents have the same");
    return e;
}

/* The definition SQLite has of the index. ERR_NOT_FOUND: none. */
static enum err stored(struct db *db, const struct collection *c, const char *index,
                       struct buf *ret)
{
    AUTO_RESET sqlite3_stmt *statement = NULL;
    AUTO_BUF struct buf name;

    buf_init(&name, SQL_MAX);
    (void)buf_add_format(&name, "%s.%s", c->name, index);
    enum err e = is_sql(&name);
    if (!e)
        e = db_prepare(db, "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?1",
                       &statement);
    if (e) return e;
    sqlite3_bind_text(statement, 1, name.data, -1, SQLITE_STATIC);
    e = db_step(db, statement);
    if (!e) e = buf_add_text(ret, (const char *)sqlite3_column_text(statement, 0));
    return e;
}

static enum err check_index(struct db *db, const struct collection *c,
                            const struct store_index *index)
{
    AUTO_BUF struct buf have, want, sql;

    buf_init(&have, SQL_MAX);
    buf_init(&want, SQL_MAX);
    buf_init(&sql, SQL_MAX);
    enum err e = stored(db, c, index->name, &have);
    if (e == ERR_NOT_FOUND) return create_index(db, c, index, &sql);
    add_index_sql(&want, c, index);
    if (!e) e = is_sql(&want);
    if (!e && strcmp(have.data, want.data) != 0)
        e = err_set(store_detail(), ERR_PRECONDITION, "it is \"%s\" in the file", have.data);
    return e;
}

static bool declares(const struct collection *c, const char *index)
{
    for (const struct store_index *i = c->indexes; i->name; i++)
        if (strcmp(i->name, index) == 0) return true;
    return false;
}

/* Indexes that are no longer declared go: their columns are no longer written. */
static enum err drop_undeclared(struct db *db, const struct collection *c, struct buf *sql)
{
    AUTO_FINALIZE sqlite3_stmt *list = NULL;
    enum err e = db_prepare_once(db,
                                 "SELECT name FROM sqlite_schema WHERE type = 'index' "
                                 "AND tbl_name = ?1 AND sql IS NOT NULL",
                                 &list);
    if (e) return e;
    sqlite3_bind_text(list, 1, c->name, -1, SQLITE_STATIC);
    while (!(e = db_step(db, list))) {
        const char *name = (const char *)sqlite3_column_text(list, 0);
        size_t prefix = strlen(c->name) + 1;
        if (strlen(name) > prefix && !declares(c, name + prefix))
            (void)buf_add_format(sql, "DROP INDEX \"%s\";", name);
    }
    if (e != ERR_NOT_FOUND) return e;
    sqlite3_reset(list);
    return run(db, sql);
}

enum err sqlite_schema(struct db *db, const struct collection *c, struct err_detail *detail)
{
    AUTO_BUF struct buf sql;

    buf_init(&sql, SQL_MAX * STORE_INDEXES_MAX);
    if (sqlite3_create_function(db->handle, "bson_field", 2,
                                SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                bson_field, NULL, NULL) != SQLITE_OK)
        return db_err(db);
    (void)buf_add_format(&sql,
                         "CREATE TABLE IF NOT EXISTS \"%s\" (_id TEXT PRIMARY KEY NOT NULL, "
                         "_v INTEGER NOT NULL, _doc BLOB NOT NULL)",
                         c->name);
    enum err e = run(db, &sql);
    if (!e) e = drop_undeclared(db, c, &sql);
    if (e) return err_set(detail, e, "%s: %s", c->name, store_reason());
    for (const struct store_index *index = c->indexes; index->name; index++) {
        e = check_index(db, c, index);
        if (e) return err_set(detail, e, "%s.%s: %s", c->name, index->name, store_reason());
    }
    return OK;
}
