/* One SQLite connection. */
#include "base/store/sqlite_db.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

#define LAYOUT           1 /* PRAGMA user_version: _id, _v, _doc and a column per indexed field */
#define STEPS_PER_LOOK   20000 /* of SQLite's machine, between two looks at the clock: about 1 ms */
#define CHECKPOINT_PAGES "8000"

static int interrupt_when_late(void *arg)
{
    const struct db *db = arg;
    return clock_mono_ms() > db->until_ms;
}

/* synchronous=FULL in WAL mode: one fsync per commit, so what is acknowledged survives a power cut.
 */
static const char settings[] = "PRAGMA journal_mode=WAL;"
                               "PRAGMA synchronous=FULL;"
                               "PRAGMA cache_size=-32768;"
                               "PRAGMA wal_autocheckpoint=" CHECKPOINT_PAGES ";"
                               "PRAGMA journal_size_limit=67108864;"
                               "PRAGMA temp_store=MEMORY;"
                               "PRAGMA trusted_schema=OFF;";

static enum err check_layout(struct db *db)
{
    AUTO_FINALIZE sqlite3_stmt *statement = NULL;
    enum err e = db_prepare_once(db, "PRAGMA user_version", &statement);
    if (!e) e = db_step(db, statement);
    if (e) return e;
    int layout = sqlite3_column_int(statement, 0);
    if (layout == 0 || layout == LAYOUT) return OK;
    return err_set(store_detail(), ERR_PRECONDITION,
                   "the file has layout %d; this program knows %d", layout, LAYOUT);
}

enum err db_open(struct db *db, const char *path, int64_t timeout_ms, struct err_detail *detail)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    enum err e = OK;

    db->until_ms = INT64_MAX;
    if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK) e = db_err(db);
    if (e) return err_set(detail, e, "%s: %s", path, store_reason());
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, (int)timeout_ms);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_progress_handler(db->handle, STEPS_PER_LOOK, interrupt_when_late, db);
    e = check_layout(db);
    if (!e) e = db_exec(db, settings);
    return e ? err_set(detail, e, "%s: %s", path, store_reason()) : OK;
}

void db_close(struct db *db)
{
    for (unsigned n = 0; n < DB_STATEMENTS_MAX; n++) {
        sqlite3_finalize(db->statements[n].statement);
        free(db->statements[n].sql);
    }
    sqlite3_close(db->handle);
    *db = (struct db){.handle = NULL};
}

void db_deadline(struct db *db, int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_mono_ms();
    db->until_ms = until_ms;
    sqlite3_busy_timeout(db->handle, left_ms > 1 ? (int)left_ms : 1);
}

enum err db_err(struct db *db)
{
    int code = db->handle ? sqlite3_extended_errcode(db->handle) : SQLITE_NOMEM;
    int number = db->handle ? sqlite3_system_errno(db->handle) : 0;
    enum err e = ERR_INTERNAL;

    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_CONSTRAINT:
        if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
            e = ERR_EXISTS;
        break;
    case SQLITE_FULL:
        e = ERR_FULL;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        e = ERR_TIMEOUT;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        e = ERR_CORRUPT;
        break;
    case SQLITE_NOMEM:
        e = ERR_NO_MEMORY;
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        e = number == ENOSPC || number == EDQUOT ? ERR_FULL : ERR_UNAVAILABLE;
        break;
    default:
        break;
    }
    return err_set(store_detail(), e, "SQLite: %s (%d, errno %d)",
                   db->handle ? sqlite3_errmsg(db->handle) : "out of memory", code, number);
}

enum err db_exec(struct db *db, const char *sql)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? OK : db_err(db);
}

enum err db_step(struct db *db, sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) return OK;
    return rc == SQLITE_DONE ? ERR_NOT_FOUND : db_err(db);
}

static enum err run(struct db *db, const char *sql)
{
    AUTO_RESET sqlite3_stmt *statement = NULL;
    enum err e = db_prepare(db, sql, &statement);
    if (!e) e = db_step(db, statement);
    return e == ERR_NOT_FOUND ? OK : e;
}

enum err db_begin(struct db *db)
{
    return run(db, "BEGIN IMMEDIATE");
}

enum err db_end(struct db *db, enum err e)
{
    if (!e) e = run(db, "COMMIT");
    if (!e) return OK;
    /* Some failures have rolled back already; the reason of the first one is the one to keep. */
    if (!sqlite3_get_autocommit(db->handle)) {
        db->until_ms = INT64_MAX;
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return e;
}

enum err db_prepare_once(struct db *db, const char *sql, sqlite3_stmt **ret)
{
    return sqlite3_prepare_v2(db->handle, sql, -1, ret, NULL) == SQLITE_OK ? OK : db_err(db);
}

enum err db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret)
{
    struct db_statement *oldest = &db->statements[0];
    for (unsigned n = 0; n < DB_STATEMENTS_MAX; n++) {
        struct db_statement *s = &db->statements[n];
        if (s->sql && strcmp(s->sql, sql) == 0) {
            s->used = ++db->uses;
            *ret = s->statement;
            return OK;
        }
        if (s->used < oldest->used) oldest = s;
    }

    AUTO_FREE char *copy = strdup(sql);
    sqlite3_stmt *statement = NULL;
    if (!copy) return ERR_NO_MEMORY;
    if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL))
        return db_err(db);
    sqlite3_finalize(oldest->statement);
    free(oldest->sql);
    *oldest = (struct db_statement){TAKE(copy), statement, ++db->uses};
    *ret = statement;
    return OK;
}

enum err db_bind(struct db *db, sqlite3_stmt *statement, int at, const struct value *v)
{
    int rc;
    if (v->type == BSON_TYPE_UTF8)
        rc = sqlite3_bind_text(statement, at, v->text, (int)v->text_size, SQLITE_STATIC);
    else if (v->type == BSON_TYPE_DOUBLE)
        rc = sqlite3_bind_double(statement, at, v->real);
    else
        rc = sqlite3_bind_int64(statement, at, v->integer);
    return rc == SQLITE_OK ? OK : db_err(db);
}
