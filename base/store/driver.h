/*
 * Inside of base/store: what store.c has checked and taken apart before a driver sees it. A driver
 * adds the talking to its database and the translation of its errors, nothing else.
 */
#ifndef BASE_STORE_DRIVER_H
#define BASE_STORE_DRIVER_H

#include "base/buf.h"
#include "base/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE_FIELDS_MAX  (STORE_INDEXES_MAX * STORE_INDEX_FIELDS_MAX) /* indexed fields of one */
#define STORE_NAME_MAX    64 /* bytes of a collection's, index's or field's name */
#define STORE_COLUMN_ID   (-1)
#define STORE_COLUMN_NONE (-2)

_Static_assert(STORE_FIELDS_MAX <= 64, "unique_fields is a 64-bit set");

/* A lock that is waited for only until a deadline, on the monotonic clock. */
struct turn {
    pthread_mutex_t lock;
    pthread_cond_t given;
    bool taken;
};

void turn_init(struct turn *t);
void turn_release(struct turn *t);
/* Waits until clock_mono_ms() is until_ms. ERR_TIMEOUT. */
enum err turn_take(struct turn *t, int64_t until_ms);
void turn_give(struct turn *t);

/* A scalar that an index can have. Text is borrowed from the BSON it was read from. */
struct value {
    bson_type_t type;
    uint32_t text_size;
    union {
        int64_t integer; /* int32, int64, bool, datetime (milliseconds) */
        double real;
        const char *text;
    };
};

/* False: not of a type that an index can have. */
bool value_read(const bson_iter_t *iter, struct value *ret);
bool value_equal(const struct value *a, const struct value *b);
bool value_append(const struct value *v, bson_t *to, const char *key);

/* A declared collection and the fields of its indexes, each once. */
struct collection {
    const char *name;
    const struct store_index *indexes; /* never NULL */
    const char *fields[STORE_FIELDS_MAX];
    unsigned field_count;
    uint64_t unique_fields; /* bit n: fields[n] is in a unique index */
    struct turn claim;      /* store_find_and_modify of one collection take turns */
};

/* The number of the field, STORE_COLUMN_ID, or STORE_COLUMN_NONE: not indexed. */
int collection_column(const struct collection *c, const char *field);

/* Takes the declaration apart. ERR_INVALID: a name or number outside of the limits. */
enum err collection_declare(struct collection *c, const struct store_collection *declared,
                            struct err_detail *detail);

/* A document as it is written: {_id, v, the rest as the caller gave it}. Reusable. */
struct document {
    bson_t bson; /* over bytes */
    struct value id;
    int64_t version;
    struct value fields[STORE_FIELDS_MAX]; /* of the collection; text is the caller's */
    uint8_t *bytes;
    size_t capacity;
};

/*
 * Checks everything that store.h says of a document. id NULL: the document must have its own; else
 * it may be missing there and must not differ. ERR_INVALID, ERR_NO_MEMORY. Valid as long as source
 * is.
 */
enum err document_prepare(struct document *d, const struct collection *c, const bson_t *source,
                          const char *id, int64_t version);
void document_release(struct document *d); /* accepts a zeroed one */
/* {base's fields, those of set in their place, the rest of set}. */
enum err document_merge(const bson_t *base, const bson_t *set, bson_t *ret);
#define AUTO_DOCUMENT AUTO(document_release)

enum filter_op { FILTER_EQ, FILTER_GT, FILTER_GTE, FILTER_LT, FILTER_LTE, FILTER_IN };

struct condition {
    int column;
    enum filter_op op;
    unsigned list_count; /* of FILTER_IN */
    struct value value;  /* of the others */
    bson_iter_t list;    /* of FILTER_IN: before the first; every value can be read */
};

struct filter {
    const bson_t *bson; /* never NULL */
    unsigned count;
    struct condition conditions[STORE_CONDITIONS_MAX];
};

/* Takes a filter apart (NULL: all). ERR_INVALID. Valid as long as bson is. */
enum err filter_parse(const struct collection *c, const bson_t *bson, struct filter *ret);

struct query {
    const struct filter *filter;
    int sort; /* column */
    bool descending;
    unsigned limit;
};

struct store_driver {
    const char *scheme; /* what the URL begins with */
    enum err (*open)(struct store *s, const struct store_options *o, void **ret,
                     struct err_detail *detail);
    void (*close)(void *db); /* accepts NULL and what is half open */
    enum err (*ping)(void *db);
    /* As in store.h; the drivers call document_prepare for each. */
    enum err (*insert)(void *db, const struct collection *c, const bson_t *const *documents,
                       size_t count, size_t *ret_inserted);
    enum err (*put)(void *db, const struct collection *c, const bson_t *const *documents,
                    size_t count);
    /* Appends the documents one after the other. */
    enum err (*find)(void *db, const struct collection *c, const struct query *q, struct buf *ret);
    /* Replaces what has d's _id, `version`, and d's unique fields. ERR_CONFLICT: nothing has. */
    enum err (*update)(void *db, const struct collection *c, const struct document *d,
                       int64_t version);
    enum err (*delete_id)(void *db, const struct collection *c, const char *id);
    enum err (*delete_many)(void *db, const struct collection *c, const struct filter *f,
                            unsigned limit, uint64_t *ret_deleted);
    enum err (*count)(void *db, const struct collection *c, const struct filter *f, uint64_t *ret);
};

extern const struct store_driver store_sqlite, store_mongo;

struct store {
    const struct store_driver *driver;
    void *db;
    atomic_uint fail_in; /* the n-th call from now fails; 0: none */
    unsigned pool_max;
    int64_t timeout_ms;
    unsigned collection_count;
    struct collection collections[STORE_COLLECTIONS_MAX];
};

/* Where this thread's calls say why they failed; store_reason() is its text. */
struct err_detail *store_detail(void);

#endif
