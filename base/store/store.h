/*
 * Documents: one small interface, two drivers (SQLite in one file, MongoDB), BSON in both.
 *
 * Only what both drivers do alike: filters are equality, $gt $gte $lt $lte, $in, and their conjunction,
 * on _id and on declared indexes; atomicity comes from one document or a unique index; there are no
 * transactions. _id is a string chosen by the caller. A document has an int64 "v" (its version), set by
 * the driver: 1 when inserted, one more with each update. An indexed field must always be present with
 * the same BSON type; a unique one is never changed by an update.
 *
 * Thread-safe. Every call may block, at most until options.timeout_ms. Errors of every call:
 *   ERR_UNAVAILABLE  the store cannot be reached (a write's outcome is unknown)
 *   ERR_TIMEOUT      it took longer than timeout_ms (a write's outcome is unknown)
 *   ERR_FULL         the disk is full (nothing was written)
 *   ERR_INVALID      a bug of the caller's kind: a filter or document outside of the above; see detail
 */
#ifndef BASE_STORE_STORE_H
#define BASE_STORE_STORE_H

#include "base/auto.h"
#include "base/err.h"

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_DOCUMENT_SIZE_MAX (1024 * 1024)
#define STORE_ID_MAX 256          /* bytes of an _id */
#define STORE_INSERT_MAX 100      /* documents of one store_insert: FerretDB goes wrong beyond */
#define STORE_BULK_MAX 1000       /* documents of one store_put_many */
#define STORE_FIND_MAX 1000       /* documents of one page */
#define STORE_INDEXES_MAX 16      /* of one collection */
#define STORE_INDEX_FIELDS_MAX 4
#define STORE_COLLECTIONS_MAX 64

struct store;
struct store_cursor;

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
    const char *url;   /* "sqlite:data/users.db", "mongodb://host:27017/database?..." */
    unsigned pool_max; /* connections; 0: 8 */
    int64_t timeout_ms; /* 0: 5000 */
};

/*
 * Opens, creates missing collections and indexes, and checks the rest for drift. collections ends with a
 * NULL name and must outlive the store. ERR_PRECONDITION: an index exists with another definition.
 */
MUST_CHECK enum err store_open(const struct store_options *options,
                               const struct store_collection *collections, struct store **ret,
                               struct err_detail *detail);
void store_close(struct store *s); /* accepts NULL */
MUST_CHECK enum err store_ping(struct store *s);

/* All or up to the first failure, in order. ERR_EXISTS: an _id or a unique index has it already. */
MUST_CHECK enum err store_insert(struct store *s, const char *collection,
                                 const bson_t *const *documents, size_t count,
                                 size_t *ret_inserted /* may be NULL */);

/* Inserts or replaces each by _id: idempotent, for projections (one writer per document). */
MUST_CHECK enum err store_put_many(struct store *s, const char *collection,
                                   const bson_t *const *documents, size_t count);

/* The document, to bson_destroy. ERR_NOT_FOUND. */
MUST_CHECK enum err store_find_id(struct store *s, const char *collection, const char *id,
                                  bson_t **ret);
MUST_CHECK enum err store_find_one(struct store *s, const char *collection, const bson_t *filter,
                                   bson_t **ret);

struct store_find {
    const bson_t *filter;  /* NULL: all */
    const char *sort;      /* a field of an index, or "_id" */
    bool descending;
    unsigned limit;        /* 1 to STORE_FIND_MAX */
};
MUST_CHECK enum err store_find(struct store *s, const char *collection, const struct store_find *find,
                               struct store_cursor **ret);
/* The next document, borrowed until the next call. ERR_NOT_FOUND at the end. */
MUST_CHECK enum err store_cursor_next(struct store_cursor *c, const bson_t **ret);
void store_cursor_free(struct store_cursor *c); /* accepts NULL */

/*
 * Replaces the document `id` if its version is `version`; the new document's v is version + 1.
 * ERR_CONFLICT: it has another version. ERR_NOT_FOUND.
 */
MUST_CHECK enum err store_update(struct store *s, const char *collection, const char *id,
                                 int64_t version, const bson_t *document);

/* Sets fields of the first that matches and returns it as it is then: a claim. ERR_NOT_FOUND. */
MUST_CHECK enum err store_find_and_modify(struct store *s, const char *collection,
                                          const bson_t *filter, const bson_t *set, bson_t **ret);

/* ERR_NOT_FOUND: it was not there (or somebody else deleted it first): exactly one caller gets OK. */
MUST_CHECK enum err store_delete(struct store *s, const char *collection, const char *id);
/* Deletes at most `limit` that match; for sweepers. */
MUST_CHECK enum err store_delete_many(struct store *s, const char *collection, const bson_t *filter,
                                      unsigned limit, uint64_t *ret_deleted);
MUST_CHECK enum err store_count(struct store *s, const char *collection, const bson_t *filter,
                                uint64_t *ret);

/* For tests: the n-th call from now fails with ERR_UNAVAILABLE before it does anything; 0: none. */
void store_fail_nth(struct store *s, unsigned n);

AUTO_DEFINE(bson_t, bson_destroy)
AUTO_DEFINE(struct store_cursor, store_cursor_free)
#define AUTO_BSON AUTO(auto_bson_destroy)
#define AUTO_CURSOR AUTO(auto_store_cursor_free)

#endif
