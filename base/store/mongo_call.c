/* One call to a MongoDB server. */
#include "base/store/mongo_call.h"

#include "base/clock.h"

#include <string.h>

/* MongoDB's numbers (src/mongo/base/error_codes.yml). Texts differ between servers, these do not.
 */
static const struct {
    uint32_t code;
    enum err err;
} codes[] = {
    {11000, ERR_EXISTS},      /* DuplicateKey */
    {11001, ERR_EXISTS},      /* the same, from an old update */
    {14031, ERR_FULL},        /* OutOfDiskSpace */
    {50, ERR_TIMEOUT},        /* MaxTimeMSExpired */
    {64, ERR_TIMEOUT},        /* WriteConcernFailed: wtimeout */
    {202, ERR_TIMEOUT},       /* NetworkInterfaceExceededTimeLimit */
    {262, ERR_TIMEOUT},       /* ExceededTimeLimit */
    {85, ERR_PRECONDITION},   /* IndexOptionsConflict */
    {86, ERR_PRECONDITION},   /* IndexKeySpecsConflict */
    {6, ERR_UNAVAILABLE},     /* HostUnreachable */
    {7, ERR_UNAVAILABLE},     /* HostNotFound */
    {13, ERR_UNAVAILABLE},    /* Unauthorized */
    {18, ERR_UNAVAILABLE},    /* AuthenticationFailed */
    {89, ERR_UNAVAILABLE},    /* NetworkTimeout */
    {91, ERR_UNAVAILABLE},    /* ShutdownInProgress */
    {189, ERR_UNAVAILABLE},   /* PrimarySteppedDown */
    {9001, ERR_UNAVAILABLE},  /* SocketException */
    {10107, ERR_UNAVAILABLE}, /* NotWritablePrimary */
    {11600, ERR_UNAVAILABLE}, /* InterruptedAtShutdown */
    {11602, ERR_UNAVAILABLE}, /* InterruptedDueToReplStateChange */
    {13435, ERR_UNAVAILABLE}, /* NotPrimaryNoSecondaryOk */
    {13436, ERR_UNAVAILABLE}, /* NotPrimaryOrSecondary */
};

static enum err code_err(uint32_t code)
{
    for (size_t n = 0; n < sizeof codes / sizeof *codes; n++)
        if (codes[n].code == code) return codes[n].err;
    return ERR_INTERNAL;
}

enum err mongo_err(const bson_error_t *error)
{
    enum err e = ERR_UNAVAILABLE; /* no server, or the connection broke */
    switch (error->domain) {
    case MONGOC_ERROR_SERVER:
    case MONGOC_ERROR_WRITE_CONCERN:
        e = code_err(error->code);
        break;
    case MONGOC_ERROR_BSON:
    case MONGOC_ERROR_COMMAND:
    case MONGOC_ERROR_CURSOR:
    case MONGOC_ERROR_COLLECTION:
        e = ERR_INTERNAL;
        break;
    default:
        break;
    }
    return err_set(store_detail(), e, "MongoDB: %.200s (%u.%u)", error->message, error->domain,
                   error->code);
}

int64_t mongo_number(const bson_t *reply, const char *field)
{
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, reply, field) || !BSON_ITER_HOLDS_NUMBER(&iter)) return 0;
    return bson_iter_as_int64(&iter);
}

static enum err attempt_timed(struct call *call, enum err (*attempt)(struct call *, void *),
                              void *arg)
{
    int64_t answer_ms = call->mongo->store->timeout_ms / 2;
    int64_t started_ms = clock_mono_ms();

    enum err e = attempt(call, arg);
    /* libmongoc has one error for a broken connection and for an answer that does not come. */
    if (e == ERR_UNAVAILABLE && clock_mono_ms() - started_ms >= answer_ms * 7 / 8)
        return ERR_TIMEOUT;
    return e;
}

enum err mongo_run(struct mongo *m, const struct collection *c, enum call_kind kind,
                   enum err (*attempt)(struct call *call, void *arg), void *arg)
{
    int64_t started_ms = clock_mono_ms();
    int64_t repeat_until_ms = started_ms + m->store->timeout_ms / 4;
    struct call call = {.mongo = m,
                        .declared = c,
                        .client = mongoc_client_pool_pop(m->pool),
                        .until_ms = started_ms + m->store->timeout_ms};

    if (!call.client)
        return err_set(store_detail(), ERR_TIMEOUT, "no connection became free in time");
    if (c) call.collection = mongoc_client_get_collection(call.client, m->database, c->name);
    enum err e = attempt_timed(&call, attempt, arg);
    if (e == ERR_UNAVAILABLE && kind == CALL_REPEATABLE && clock_mono_ms() < repeat_until_ms)
        e = attempt_timed(&call, attempt, arg);
    mongoc_collection_destroy(call.collection);
    mongoc_client_pool_push(m->pool, call.client);
    return e;
}

static void init(void)
{
    mongoc_log_set_handler(NULL, NULL); /* a library never logs */
    mongoc_init();
}

static bool set_concerns(mongoc_uri_t *uri, int32_t wait_ms)
{
    mongoc_write_concern_t *write = mongoc_write_concern_new();
    mongoc_read_concern_t *read = mongoc_read_concern_new();

    mongoc_write_concern_set_wmajority(write, wait_ms);
    mongoc_write_concern_set_journal(write, true);
    bool ok = mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_write_concern(uri, write);
    mongoc_uri_set_read_concern(uri, read);
    mongoc_write_concern_destroy(write);
    mongoc_read_concern_destroy(read);
    return ok;
}

enum err mongo_uri(const char *url, const struct store *store, mongoc_uri_t **ret,
                   struct err_detail *detail)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bson_error_t error;

    pthread_once(&once, init);
    mongoc_uri_t *uri = mongoc_uri_new_with_error(url, &error);
    if (!uri) return err_set(detail, ERR_INVALID, "store URL: %.200s", error.message);
    const char *database = mongoc_uri_get_database(uri);
    if (!database || !*database) {
        mongoc_uri_destroy(uri);
        return err_set(detail, ERR_INVALID, "store URL: no database: mongodb://host/database");
    }

    int32_t all_ms = (int32_t)store->timeout_ms;
    int32_t quarter_ms = all_ms >= 4 ? all_ms / 4 : 1, half_ms = 2 * quarter_ms;
    bool ok =
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, quarter_ms) &&
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, quarter_ms) &&
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, quarter_ms) &&
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, half_ms) &&
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, (int32_t)store->pool_max) &&
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false) &&
        mongoc_uri_set_appname(uri, "tradepost") && set_concerns(uri, quarter_ms);
    CHECK(ok); /* the names and ranges are ours */
    *ret = uri;
    return OK;
}
