/*
 * Inside of base/store: one SQLite connection with its prepared statements and its deadline, and
 * what SQLite's result codes are in the house's words. One thread at a time.
 */
#ifndef BASE_STORE_SQLITE_DB_H
#define BASE_STORE_SQLITE_DB_H

#include "base/store/driver.h"

#include <sqlite3.h>

#define DB_STATEMENTS_MAX 64 /* prepared and kept; beyond, the one not used for longest goes */

struct db {
    sqlite3 *handle;
    int64_t until_ms; /* when what runs now is interrupted */
    uint64_t uses;
    struct db_statement {
        char *sql;
        sqlite3_stmt *statement;
        uint64_t used;
    } statements[DB_STATEMENTS_MAX];
};

/* Opens or creates the file, sets durability. Errors as db_err, ERR_PRECONDITION: not our layout.
 */
enum err db_open(struct db *db, const char *path, int64_t timeout_ms, struct err_detail *detail);
void db_close(struct db *db); /* accepts a zeroed one */

/* What runs from now on ends at clock_mono_ms() == until_ms, waiting for other processes included.
 */
void db_deadline(struct db *db, int64_t until_ms);

/* The error of the last call on the connection, with the reason in store_detail(). */
enum err db_err(struct db *db);

enum err db_exec(struct db *db, const char *sql);
/* BEGIN IMMEDIATE; COMMIT, or ROLLBACK and e if e or COMMIT failed. */
enum err db_begin(struct db *db);
enum err db_end(struct db *db, enum err e);

/* Prepared, reset and unbound; owned by the connection. */
enum err db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret);
enum err db_prepare_once(struct db *db, const char *sql, sqlite3_stmt **ret); /* to finalize */
/* OK: there is a row. ERR_NOT_FOUND: done. */
enum err db_step(struct db *db, sqlite3_stmt *statement);
enum err db_bind(struct db *db, sqlite3_stmt *statement, int at, const struct value *v);

/* Resets at the end of the scope, so that no read transaction stays open. */
static inline void db_reset(sqlite3_stmt **statement)
{
    if (*statement) (void)sqlite3_reset(*statement);
}
static inline void db_finalize(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement);
}
#define AUTO_RESET    AUTO(db_reset)
#define AUTO_FINALIZE AUTO(db_finalize)

/* Creates what is missing of the collection, in the caller's transaction. ERR_PRECONDITION: drift.
 */
enum err sqlite_schema(struct db *db, const struct collection *c, struct err_detail *detail);

#endif
