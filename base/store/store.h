/*
 * Documents: one small interface, two drivers (SQLite in one file, MongoDB), BSON in both.
 *
 * Only what both drivers do alike: filters are equality, $gt $gte $lt $lte, $in, and their
 * conjunction, on _id and on declared indexes; atomicity comes from one document or a unique index;
 * there are no transactions. _id is a string chosen by the caller. A document has an int64 "v" (its
 * version), set by the driver: 1 when inserted, one more with each update; a "v" in what the caller
 * passes is ignored. What is read begins with _id and v; the other fields keep their order.
 *
 * A document has only BSON types and values that every server keeps as they are: strings (UTF-8
 * without NUL), int32, int64, double (finite, not -0), bool, datetime, ObjectId, binary, null,
 * documents, and arrays that are not right inside of an array. Field names are not empty, have no
 * '.' and no '$' first. An indexed field must always be present, as a string, int32, int64, double,
 * bool or datetime, and always as the same of these; a unique one is never changed by an update.
 * Strings compare byte by byte.
 *
 * Thread-safe. Every call may block, at most for options.timeout_ms (twice that while a MongoDB
 * server fails in mid-flight and libmongoc tries the next one). Errors of every call:
 *   ERR_UNAVAILABLE  the store cannot be reached (a write's outcome is unknown)
 *   ERR_TIMEOUT      it took longer than timeout_ms (a write's outcome is unknown)
 *   ERR_FULL         the disk is full (nothing was written)
 *   ERR_INVALID      a bug of the caller's kind: a filter or document outside of the above
 *   ERR_CORRUPT      what is stored is damaged
 *   ERR_INTERNAL     the database refuses in a way it should not
 *   ERR_NO_MEMORY
 * store_reason() has the words.
 *
 * What holds where: on SQLite and MongoDB every promise here holds between processes. FerretDB (for
 * tests and trials) has no atomic read-modify-write: there store_update and store_find_and_modify
 * are safe between the threads of one process only; insert and delete are safe everywhere. More in
 * docs/storage.md.
 */
#ifndef BASE_STORE_STORE_H
#define BASE_STORE_STORE_H

#include "base/auto.h"
#include "base/err.h"

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_DOCUMENT_SIZE_MAX                                                                    \
    (1024 * 1024)                   /* with _id and v; so that a bulk stays in one message */
#define STORE_DEPTH_MAX        32   /* documents and arrays in each other */
#define STORE_ID_MAX           256  /* bytes of an _id, at least 1 */
#define STORE_INSERT_MAX       100  /* documents of one store_insert: FerretDB goes wrong beyond */
#define STORE_BULK_MAX         5000 /* documents of one store_put_many: some 20 ms of SQLite */
#define STORE_FIND_MAX         1000 /* documents of one page */
#define STORE_PAGE_SIZE_MAX    (64 * 1024 * 1024) /* bytes of one page: it is kept in memory */
#define STORE_CONDITIONS_MAX   16                 /* of one filter */
#define STORE_IN_MAX           1000               /* values of one $in */
#define STORE_INDEXES_MAX      16                 /* of one collection */
#define STORE_INDEX_FIELDS_MAX 4
#define STORE_COLLECTIONS_MAX  64

struct store;
struct store_cursor;

/* Names: a letter, then letters, digits, '_', and '-' where it is not a field; at most 64. */
struct store_index {
    const char *name;                           /* unique in its collection: "by_email" */
    const char *fields[STORE_INDEX_FIELDS_MAX]; /* top-level names, NULL-terminated if fewer */
    bool unique;
};

struct store_collection {
    const char *name;
    const struct store_index *indexes; /* ends with a NULL name; may be NULL */
};

struct store_options {
    const char *url;    /* "sqlite:data/users.db", "mongodb://host:27017/database?..." */
    unsigned pool_max;  /* connections; 0: 8 */
    int64_t timeout_ms; /* 0: 5000 */
};

/*
 * Opens, creates missing collections and indexes (filling them from the documents that are there,
 * which may take longer than timeout_ms), and checks the rest for drift. collections ends with a
 * NULL name and must outlive the store. An index ends with _id by itself: {account} also serves
 * {account} sorted and paged by _id. ERR_PRECONDITION: an index exists with another definition, or
 * a unique one cannot be created because two documents have the same. ERR_INVALID: the URL or a
 * declaration is wrong.
 */
MUST_CHECK enum err store_open(const struct store_options *options,
                               const struct store_collection *collections, struct store **ret,
                               struct err_detail *detail);
void store_close(struct store *s); /* accepts NULL; no call may be running; cursors may live on */
MUST_CHECK enum err store_ping(struct store *s);

/* Why the last call of this thread that failed did so: for logs, not for decisions. Never NULL. */
const char *store_reason(void);

/*
 * All or up to the first failure, in order. ERR_EXISTS: an _id or a unique index has it already.
 * ERR_INVALID: nothing was written. Count 0 is OK.
 */
MUST_CHECK enum err store_insert(struct store *s, const char *collection,
                                 const bson_t *const *documents, size_t count,
                                 size_t *ret_inserted /* may be NULL; at least so many are in */);

/*
 * Inserts or replaces each by _id, in order: idempotent, for projections (one writer per document).
 * Their v stays 1: do not mix with store_update. After an error some may have been written: put all
 * again. ERR_EXISTS: a unique index has it under another _id.
 */
MUST_CHECK enum err store_put_many(struct store *s, const char *collection,
                                   const bson_t *const *documents, size_t count);

/* The document, to bson_destroy. ERR_NOT_FOUND. */
MUST_CHECK enum err store_find_id(struct store *s, const char *collection, const char *id,
                                  bson_t **ret);
/* The one with the lowest _id of those that match. */
MUST_CHECK enum err store_find_one(struct store *s, const char *collection, const bson_t *filter,
                                   bson_t **ret);

/*
 * A page is read at once, into memory; ERR_EXHAUSTED: it is larger than STORE_PAGE_SIZE_MAX. Equal
 * values of `sort` are in the order of _id (in the same direction). To page, sort by _id and ask
 * for
 * {..., _id: {$gt: the last one}}; or by a field that is unique.
 */
struct store_find {
    const bson_t *filter; /* NULL: all */
    const char *sort;     /* a field of an index, or "_id"; NULL: "_id" */
    bool descending;
    unsigned limit; /* 1 to STORE_FIND_MAX */
};
MUST_CHECK enum err store_find(struct store *s, const char *collection,
                               const struct store_find *find, struct store_cursor **ret);
/* The next document, borrowed until the next call. ERR_NOT_FOUND at the end. Does not block. */
MUST_CHECK enum err store_cursor_next(struct store_cursor *c, const bson_t **ret);
void store_cursor_free(struct store_cursor *c); /* accepts NULL */

/*
 * Replaces the document `id` if its version is `version`; the new document's v is version + 1.
 * ERR_CONFLICT: it has another version. ERR_NOT_FOUND. ERR_INVALID also: it changes a unique field,
 * or has another _id (it may have none).
 */
MUST_CHECK enum err store_update(struct store *s, const char *collection, const char *id,
                                 int64_t version, const bson_t *document);

/*
 * Sets top-level fields (not _id, v or a unique one) of the match with the lowest _id and returns
 * it as it is then: a claim, so set what no longer matches. Each match goes to one caller.
 * ERR_NOT_FOUND: none matches. ERR_TIMEOUT: others were always faster; nothing was claimed.
 */
MUST_CHECK enum err store_find_and_modify(struct store *s, const char *collection,
                                          const bson_t *filter, const bson_t *set, bson_t **ret);

/* ERR_NOT_FOUND: it was not there (or somebody else deleted it first): exactly one caller gets OK.
 */
MUST_CHECK enum err store_delete(struct store *s, const char *collection, const char *id);
/* Deletes at most `limit` (1 to STORE_FIND_MAX) that match, lowest _id first; for sweepers. */
MUST_CHECK enum err store_delete_many(struct store *s, const char *collection, const bson_t *filter,
                                      unsigned limit, uint64_t *ret_deleted);
MUST_CHECK enum err store_count(struct store *s, const char *collection, const bson_t *filter,
                                uint64_t *ret);

/*
 * A field of a document that was read, for who wrote it: false if it is absent, of another type, or
 * does not fit (a text with its NUL), and then the document is damaged; ret is untouched. Pure.
 */
MUST_CHECK bool store_text(const bson_t *document, const char *name, char *ret, size_t ret_size);
MUST_CHECK bool store_int(const bson_t *document, const char *name, int64_t *ret); /* an int64 */
MUST_CHECK bool store_binary(const bson_t *document, const char *name, void *ret, size_t size_max,
                             size_t *ret_size);

/* For tests: the n-th call from now fails with ERR_UNAVAILABLE before it does anything; 0: none. */
void store_fail_nth(struct store *s, unsigned n);

AUTO_DEFINE(bson_t, bson_destroy)
AUTO_DEFINE(struct store_cursor, store_cursor_free)
AUTO_DEFINE(struct store, store_close)
#define AUTO_BSON   AUTO(auto_bson_destroy)
#define AUTO_CURSOR AUTO(auto_store_cursor_free)

#endif
