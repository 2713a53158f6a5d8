/*
 * The SQLite driver: one file in WAL mode, one connection that writes (in turns) and a pool of
 * those that read. Every call that writes is one transaction with one fsync; what has been
 * acknowledged is durable. Refuses network file systems' weaker promises: the file belongs on a
 * local disk.
 */
#include "base/store/sqlite_db.h"

#include "base/clock.h"

#include <string.h>

#define SQL_MAX (64 * 1024) /* a filter with $in of STORE_IN_MAX, and room */

struct sqlite {
    const struct store *store;
    struct turn writing;
    struct db writer;

    pthread_mutex_t pool_lock;
    pthread_cond_t returned;
    char *path;
    unsigned reader_count, free_count; /* readers are opened when they are first needed */
    struct db **readers;
    struct db **free_readers;
};

static void sqlite_close(void *arg)
{
    struct sqlite *s = arg;
    if (!s) return;
    for (unsigned n = 0; n < s->reader_count; n++) {
        db_close(s->readers[n]);
        free(s->readers[n]);
    }
    db_close(&s->writer);
    pthread_cond_destroy(&s->returned);
    pthread_mutex_destroy(&s->pool_lock);
    turn_release(&s->writing);
    free(s->readers);
    free(s->free_readers);
    free(s->path);
    free(s);
}

AUTO_DEFINE(void, sqlite_close)

/* Counting its memory takes a lock that all threads share, for every allocation. */
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* too late, if somebody opened one before */
}

static enum err sqlite_open(struct store *store, const struct store_options *o, void **ret,
                            struct err_detail *detail)
{
    AUTO(auto_sqlite_close) void *own = calloc(1, sizeof(struct sqlite));
    struct sqlite *s = own;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!s) return err_set(detail, ERR_NO_MEMORY, "out of memory");
    (void)pthread_once(&once, configure);

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&s->pool_lock, NULL);
    turn_init(&s->writing);
    s->store = store;
    s->path = strdup(o->url + strlen(store_sqlite.scheme));
    s->readers = calloc(store->pool_max, sizeof(struct db *));
    s->free_readers = calloc(store->pool_max, sizeof(struct db *));
    if (!s->path || !s->readers || !s->free_readers)
        return err_set(detail, ERR_NO_MEMORY, "out of memory");
    if (!*s->path) return err_set(detail, ERR_INVALID, "store URL \"%s\": no path", o->url);

    enum err e = db_open(&s->writer, s->path, store->timeout_ms, detail);
    if (e) return e;
    e = db_begin(&s->writer);
    if (e) return err_set(detail, e, "%s: %s", s->path, store_reason());
    for (unsigned n = 0; n < store->collection_count && !e; n++)
        e = sqlite_schema(&s->writer, &store->collections[n], detail);
    if (e) return db_end(&s->writer, e);
    e = db_exec(&s->writer, "PRAGMA user_version=1");
    e = db_end(&s->writer, e);
    if (e) return err_set(detail, e, "%s: %s", s->path, store_reason());
    *ret = TAKE(own);
    return OK;
}

/* The writer's connection, alone. Ended by write_end. */
static enum err write_begin(struct sqlite *s)
{
    int64_t until_ms = clock_mono_ms() + s->store->timeout_ms;
    enum err e = turn_take(&s->writing, until_ms);
    if (e) return e;
    db_deadline(&s->writer, until_ms);
    e = db_begin(&s->writer);
    if (e) turn_give(&s->writing);
    return e;
}

static enum err write_end(struct sqlite *s, enum err e)
{
    e = db_end(&s->writer, e);
    turn_give(&s->writing);
    return e;
}

/* Opens one more. Called with the pool locked. */
static enum err add_reader(struct sqlite *s)
{
    struct db *db = calloc(1, sizeof *db);
    if (!db) return ERR_NO_MEMORY;
    enum err e = db_open(db, s->path, s->store->timeout_ms, store_detail());
    if (!e) e = db_exec(db, "PRAGMA query_only=ON; PRAGMA cache_size=-4096");
    if (e) {
        db_close(db);
        free(db);
        return e;
    }
    s->readers[s->reader_count++] = db;
    s->free_readers[s->free_count++] = db;
    return OK;
}

static enum err take_reader(struct sqlite *s, struct db **ret)
{
    int64_t until_ms = clock_mono_ms() + s->store->timeout_ms;
    const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    enum err e = OK;

    pthread_mutex_lock(&s->pool_lock);
    if (s->free_count == 0 && s->reader_count < s->store->pool_max) e = add_reader(s);
    while (s->free_count == 0 && !e)
        if (pthread_cond_timedwait(&s->returned, &s->pool_lock, &until) != 0 && s->free_count == 0)
            e = err_set(store_detail(), ERR_TIMEOUT, "no connection became free in time");
    if (!e) *ret = s->free_readers[--s->free_count];
    pthread_mutex_unlock(&s->pool_lock);
    if (!e) db_deadline(*ret, until_ms);
    return e;
}

static void give_reader(struct sqlite *s, struct db *db)
{
    pthread_mutex_lock(&s->pool_lock);
    s->free_readers[s->free_count++] = db;
    pthread_cond_signal(&s->returned);
    pthread_mutex_unlock(&s->pool_lock);
}

static enum err sql_ok(const struct buf *sql)
{
    return sql->error ? err_set(store_detail(), sql->error, "a statement of SQL is too long") : OK;
}

static void add_column(struct buf *sql, const struct collection *c, int column)
{
    if (column == STORE_COLUMN_ID)
        (void)buf_add_text(sql, "_id");
    else
        (void)buf_add_format(sql, "\"%s\"", c->fields[column]);
}

/* A list is filled up to a power of two, so that few shapes of statements are prepared. */
static unsigned list_size(unsigned count)
{
    unsigned size = 1;
    while (size < count)
        size *= 2;
    return count ? size : 0;
}

static void add_where(struct buf *sql, const struct collection *c, const struct filter *f)
{
    static const char *const words[] = {
        [FILTER_EQ] = " = ?", [FILTER_GT] = " > ?",   [FILTER_GTE] = " >= ?",
        [FILTER_LT] = " < ?", [FILTER_LTE] = " <= ?", [FILTER_IN] = " IN ("};
    for (unsigned n = 0; n < f->count; n++) {
        const struct condition *one = &f->conditions[n];
        (void)buf_add_text(sql, n ? " AND " : " WHERE ");
        add_column(sql, c, one->column);
        (void)buf_add_text(sql, words[one->op]);
        if (one->op != FILTER_IN) continue;
        for (unsigned i = 0; i < list_size(one->list_count); i++)
            (void)buf_add_text(sql, i ? ",?" : "?");
        (void)buf_add_text(sql, ")");
    }
}

static enum err bind_list(struct db *db, sqlite3_stmt *statement, const struct condition *one,
                          int *at)
{
    bson_iter_t list = one->list;
    struct value v = {.type = BSON_TYPE_NULL};
    enum err e = OK;

    for (unsigned n = 0; n < list_size(one->list_count) && !e; n++) {
        if (bson_iter_next(&list)) (void)value_read(&list, &v);
        e = db_bind(db, statement, (*at)++, &v); /* the last one again, to fill up */
    }
    return e;
}

/* Binds the filter's values to ?1 and so on; *at is the next one. */
static enum err bind_where(struct db *db, sqlite3_stmt *statement, const struct filter *f, int *at)
{
    enum err e = OK;
    for (unsigned n = 0; n < f->count && !e; n++) {
        const struct condition *one = &f->conditions[n];
        if (one->op == FILTER_IN)
            e = bind_list(db, statement, one, at);
        else
            e = db_bind(db, statement, (*at)++, &one->value);
    }
    return e;
}

/* _id, _v, _doc, and the fields: as the columns of a row, ?1 and on. */
static enum err bind_document(struct db *db, sqlite3_stmt *statement, const struct collection *c,
                              const struct document *d)
{
    enum err e = db_bind(db, statement, 1, &d->id);
    if (e) return e;
    sqlite3_bind_int64(statement, 2, d->version);
    if (sqlite3_bind_blob(statement, 3, bson_get_data(&d->bson), (int)d->bson.len, SQLITE_STATIC))
        return db_err(db);
    for (unsigned n = 0; n < c->field_count && !e; n++)
        e = db_bind(db, statement, 4 + (int)n, &d->fields[n]);
    return e;
}

static void add_insert(struct buf *sql, const struct collection *c, bool replace)
{
    (void)buf_add_format(sql, "INSERT INTO \"%s\" (_id, _v, _doc", c->name);
    for (unsigned n = 0; n < c->field_count; n++)
        (void)buf_add_format(sql, ", \"%s\"", c->fields[n]);
    (void)buf_add_text(sql, ") VALUES (?1, ?2, ?3");
    for (unsigned n = 0; n < c->field_count; n++)
        (void)buf_add_format(sql, ", ?%u", n + 4);
    (void)buf_add_text(sql, ")");
    if (!replace) return;
    (void)buf_add_text(sql, " ON CONFLICT (_id) DO UPDATE SET _v = ?2, _doc = ?3");
    for (unsigned n = 0; n < c->field_count; n++)
        (void)buf_add_format(sql, ", \"%s\" = ?%u", c->fields[n], n + 4);
    (void)buf_add_text(sql, " WHERE _doc <> ?3"); /* a replay writes nothing */
}

/* One after the other, up to the first that fails; *ret_done are in. In the caller's transaction.
 */
static enum err write_all(struct db *db, const struct collection *c, const bson_t *const *documents,
                          size_t count, bool replace, size_t *ret_done)
{
    AUTO_DOCUMENT struct document d = {.bytes = NULL};
    AUTO_BUF struct buf sql;
    AUTO_RESET sqlite3_stmt *statement = NULL;

    buf_init(&sql, SQL_MAX);
    add_insert(&sql, c, replace);
    enum err e = sql_ok(&sql);
    if (!e) e = db_prepare(db, sql.data, &statement);
    for (*ret_done = 0; *ret_done < count && !e; ++*ret_done) {
        e = document_prepare(&d, c, documents[*ret_done], NULL, 1);
        if (!e) e = bind_document(db, statement, c, &d);
        if (!e) e = db_step(db, statement);
        if (e != ERR_NOT_FOUND) break;
        e = sqlite3_reset(statement) == SQLITE_OK ? OK : db_err(db);
    }
    return e;
}

static enum err sqlite_insert(void *arg, const struct collection *c, const bson_t *const *documents,
                              size_t count, size_t *ret_inserted)
{
    struct sqlite *s = arg;
    size_t done = 0;

    enum err e = write_begin(s);
    if (e) return e;
    e = write_all(&s->writer, c, documents, count, false, &done);
    /* A duplicate undoes itself alone: what came before it stays. */
    enum err ended = write_end(s, e == ERR_EXISTS ? OK : e);
    if (!ended) *ret_inserted = done;
    return ended ? ended : e;
}

static enum err sqlite_put(void *arg, const struct collection *c, const bson_t *const *documents,
                           size_t count)
{
    struct sqlite *s = arg;
    size_t done;

    enum err e = write_begin(s);
    if (e) return e;
    e = write_all(&s->writer, c, documents, count, true, &done);
    return write_end(s, e);
}

static enum err read_page(struct db *db, sqlite3_stmt *statement, struct buf *ret)
{
    enum err e;
    while (!(e = db_step(db, statement))) {
        const void *data = sqlite3_column_blob(statement, 0);
        if (buf_add(ret, data, (size_t)sqlite3_column_bytes(statement, 0)))
            return err_set(store_detail(), ret->error, "the page is larger than %d bytes",
                           STORE_PAGE_SIZE_MAX);
    }
    return e == ERR_NOT_FOUND ? OK : e;
}

static enum err find(struct db *db, const struct collection *c, const struct query *q,
                     struct buf *ret)
{
    const char *direction = q->descending ? " DESC" : "";
    AUTO_BUF struct buf sql;
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int at = 1;

    buf_init(&sql, SQL_MAX);
    (void)buf_add_format(&sql, "SELECT _doc FROM \"%s\"", c->name);
    add_where(&sql, c, q->filter);
    (void)buf_add_text(&sql, " ORDER BY ");
    if (q->sort != STORE_COLUMN_ID) {
        add_column(&sql, c, q->sort);
        (void)buf_add_format(&sql, "%s, ", direction);
    }
    (void)buf_add_format(&sql, "_id%s LIMIT ?", direction);
    enum err e = sql_ok(&sql);
    if (!e) e = db_prepare(db, sql.data, &statement);
    if (!e) e = bind_where(db, statement, q->filter, &at);
    if (e) return e;
    sqlite3_bind_int(statement, at, (int)q->limit);
    return read_page(db, statement, ret);
}

static enum err sqlite_find(void *arg, const struct collection *c, const struct query *q,
                            struct buf *ret)
{
    struct db *db;
    enum err e = take_reader(arg, &db);
    if (e) return e;
    e = find(db, c, q, ret);
    give_reader(arg, db);
    return e;
}

static enum err update(struct db *db, const struct collection *c, const struct document *d,
                       int64_t version)
{
    AUTO_BUF struct buf sql;
    AUTO_RESET sqlite3_stmt *statement = NULL;

    buf_init(&sql, SQL_MAX);
    (void)buf_add_format(&sql, "UPDATE \"%s\" SET _v = ?2, _doc = ?3", c->name);
    for (unsigned n = 0; n < c->field_count; n++)
        if (!(c->unique_fields >> n & 1))
            (void)buf_add_format(&sql, ", \"%s\" = ?%u", c->fields[n], n + 4);
    (void)buf_add_format(&sql, " WHERE _id = ?1 AND _v = ?%u", c->field_count + 4);
    for (unsigned n = 0; n < c->field_count; n++)
        if (c->unique_fields >> n & 1)
            (void)buf_add_format(&sql, " AND \"%s\" = ?%u", c->fields[n], n + 4);
    enum err e = sql_ok(&sql);
    if (!e) e = db_prepare(db, sql.data, &statement);
    if (!e) e = bind_document(db, statement, c, d);
    if (e) return e;
    sqlite3_bind_int64(statement, (int)c->field_count + 4, version);
    e = db_step(db, statement);
    if (e != ERR_NOT_FOUND) return e;
    return sqlite3_changes(db->handle) == 1 ? OK : ERR_CONFLICT;
}

static enum err sqlite_update(void *arg, const struct collection *c, const struct document *d,
                              int64_t version)
{
    struct sqlite *s = arg;
    enum err e = write_begin(s);
    if (e) return e;
    e = update(&s->writer, c, d, version);
    return write_end(s, e);
}

static enum err delete_where(struct db *db, const struct collection *c, const struct filter *f,
                             unsigned limit, uint64_t *ret)
{
    AUTO_BUF struct buf sql;
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int at = 1;

    buf_init(&sql, SQL_MAX);
    (void)buf_add_format(&sql, "DELETE FROM \"%s\" WHERE _id IN (SELECT _id FROM \"%s\"", c->name,
                         c->name);
    add_where(&sql, c, f);
    (void)buf_add_text(&sql, " ORDER BY _id LIMIT ?)");
    enum err e = sql_ok(&sql);
    if (!e) e = db_prepare(db, sql.data, &statement);
    if (!e) e = bind_where(db, statement, f, &at);
    if (e) return e;
    sqlite3_bind_int(statement, at, (int)limit);
    e = db_step(db, statement);
    if (e != ERR_NOT_FOUND) return e;
    *ret = (uint64_t)sqlite3_changes(db->handle);
    return OK;
}

static enum err sqlite_delete_many(void *arg, const struct collection *c, const struct filter *f,
                                   unsigned limit, uint64_t *ret_deleted)
{
    struct sqlite *s = arg;
    uint64_t deleted = 0;

    enum err e = write_begin(s);
    if (e) return e;
    e = delete_where(&s->writer, c, f, limit, &deleted);
    e = write_end(s, e);
    if (!e) *ret_deleted = deleted;
    return e;
}

static enum err delete_id(struct db *db, const struct collection *c, const char *id)
{
    AUTO_BUF struct buf sql;
    AUTO_RESET sqlite3_stmt *statement = NULL;

    buf_init(&sql, SQL_MAX);
    (void)buf_add_format(&sql, "DELETE FROM \"%s\" WHERE _id = ?", c->name);
    enum err e = sql_ok(&sql);
    if (!e) e = db_prepare(db, sql.data, &statement);
    if (e) return e;
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    e = db_step(db, statement);
    if (e != ERR_NOT_FOUND) return e;
    return sqlite3_changes(db->handle) == 1 ? OK : ERR_NOT_FOUND;
}

static enum err sqlite_delete_id(void *arg, const struct collection *c, const char *id)
{
    struct sqlite *s = arg;
    enum err e = write_begin(s);
    if (e) return e;
    e = delete_id(&s->writer, c, id);
    return write_end(s, e);
}

static enum err count(struct db *db, const struct collection *c, const struct filter *f,
                      uint64_t *ret)
{
    AUTO_BUF struct buf sql;
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int at = 1;

    buf_init(&sql, SQL_MAX);
    (void)buf_add_format(&sql, "SELECT count(*) FROM \"%s\"", c->name);
    add_where(&sql, c, f);
    enum err e = sql_ok(&sql);
    if (!e) e = db_prepare(db, sql.data, &statement);
    if (!e) e = bind_where(db, statement, f, &at);
    if (!e) e = db_step(db, statement);
    if (!e) *ret = (uint64_t)sqlite3_column_int64(statement, 0);
    return e;
}

static enum err sqlite_count(void *arg, const struct collection *c, const struct filter *f,
                             uint64_t *ret)
{
    struct db *db;
    enum err e = take_reader(arg, &db);
    if (e) return e;
    e = count(db, c, f, ret);
    give_reader(arg, db);
    return e;
}

static enum err sqlite_ping(void *arg)
{
    struct db *db;
    enum err e = take_reader(arg, &db);
    if (e) return e;
    e = db_exec(db, "SELECT 1 FROM sqlite_schema LIMIT 1");
    give_reader(arg, db);
    return e;
}

const struct store_driver store_sqlite = {
    .scheme = "sqlite:",
    .open = sqlite_open,
    .close = sqlite_close,
    .ping = sqlite_ping,
    .insert = sqlite_insert,
    .put = sqlite_put,
    .find = sqlite_find,
    .update = sqlite_update,
    .delete_id = sqlite_delete_id,
    .delete_many = sqlite_delete_many,
    .count = sqlite_count,
};
