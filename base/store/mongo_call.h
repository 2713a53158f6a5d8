/*
 * Inside of base/store: one call to a MongoDB server, from the pool's client to the house's error.
 * The time of a call is dealt out so that the sum is options.timeout_ms: a quarter to wait for a
 * client, a quarter to find a server, a half for the answer. What may be repeated is, once, if it
 * failed so early that the second attempt fits.
 */
#ifndef BASE_STORE_MONGO_CALL_H
#define BASE_STORE_MONGO_CALL_H

#include "base/store/driver.h"

#include <mongoc/mongoc.h>

#define MONGO_STRIPES 64

struct mongo {
    const struct store *store;
    mongoc_uri_t *uri;
    mongoc_client_pool_t *pool;
    const char *database; /* of uri */
    /* There a filter and an update are two steps: the stripes stand in between our threads. */
    bool ferretdb;
    struct turn stripes[MONGO_STRIPES]; /* by collection and _id */
};

struct call {
    struct mongo *mongo;
    const struct collection *declared;
    mongoc_client_t *client;
    mongoc_collection_t *collection;
    int64_t until_ms; /* an attempt of several steps gives up then */
};

enum call_kind { CALL_ONCE, CALL_REPEATABLE };

/* Runs attempt(call, arg) with a client of the pool. Attempts leave their results untouched on
 * failure. */
enum err mongo_run(struct mongo *m, const struct collection *c, enum call_kind kind,
                   enum err (*attempt)(struct call *call, void *arg), void *arg);

/* The house's error, with the reason in store_detail(). */
enum err mongo_err(const bson_error_t *error);

/* The URI with our timeouts, concerns and name. ERR_INVALID. */
enum err mongo_uri(const char *url, const struct store *store, mongoc_uri_t **ret,
                   struct err_detail *detail);

struct mongo_change {
    const struct document *document;
    int64_t version; /* that it has until then */
};

/* An attempt; arg is a mongo_change: replaces what its selector finds. ERR_CONFLICT: nothing. */
enum err mongo_replace(struct call *call, void *arg);

/* As the driver's functions, where FerretDB is not MongoDB. */
enum err ferretdb_put(struct mongo *m, const struct collection *c, const bson_t *const *documents,
                      size_t count);
enum err ferretdb_update(struct mongo *m, const struct collection *c, struct mongo_change *change);

/* Asks the server what it is and creates what is missing; uses a client of its own, in no hurry. */
enum err mongo_schema(struct mongo *m, struct err_detail *detail);

/* A number of a reply, whatever type the server gave it; 0 if missing. */
int64_t mongo_number(const bson_t *reply, const char *field);

/* A reply to bson_destroy: libmongoc writes it also when it fails. */
#define AUTO_REPLY AUTO(bson_destroy)

#endif
