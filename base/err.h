/*
 * What can go wrong, named once: every function that can fail returns an enum err, 0 is success.
 *
 * One table gives each error its gRPC code (what travels between services), its HTTP status and
 * stable word (what a client sees), whether trying again may help, and a sentence. A bug is not an
 * err: CHECK() aborts, in release builds too. Everything here is thread-safe and does not block.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#define MUST_CHECK                      __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* The numbers are gRPC's (grpc/doc/statuscodes.md). */
enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

/*
 * X(name, gRPC code, HTTP status, retryable, word, text). The first row of a gRPC code is the error
 * that code becomes again on the other side of a call; the rows after it never leave the process.
 */
#define ERR_TABLE(X)                                                                               \
    X(OK, GRPC_OK, 200, false, "ok", "success")                                                    \
    X(ERR_CANCELLED, GRPC_CANCELLED, 499, false, "cancelled", "the caller gave up")                \
    X(ERR_UNKNOWN, GRPC_UNKNOWN, 500, false, "unknown", "an error of an unknown kind")             \
    X(ERR_INVALID, GRPC_INVALID_ARGUMENT, 400, false, "invalid_argument", "an argument is wrong")  \
    X(ERR_TIMEOUT, GRPC_DEADLINE_EXCEEDED, 504, true, "deadline_exceeded",                         \
      "the deadline passed; the outcome is unknown")                                               \
    X(ERR_NOT_FOUND, GRPC_NOT_FOUND, 404, false, "not_found", "there is no such thing")            \
    X(ERR_EXISTS, GRPC_ALREADY_EXISTS, 409, false, "already_exists", "it exists already")          \
    X(ERR_DENIED, GRPC_PERMISSION_DENIED, 403, false, "permission_denied", "not allowed")          \
    X(ERR_EXHAUSTED, GRPC_RESOURCE_EXHAUSTED, 429, true, "resource_exhausted",                     \
      "a limit is reached")                                                                        \
    X(ERR_PRECONDITION, GRPC_FAILED_PRECONDITION, 422, false, "failed_precondition",               \
      "the state does not allow it")                                                               \
    X(ERR_CONFLICT, GRPC_ABORTED, 409, true, "conflict", "somebody else was faster")               \
    X(ERR_RANGE, GRPC_OUT_OF_RANGE, 400, false, "out_of_range", "outside of the valid range")      \
    X(ERR_UNIMPLEMENTED, GRPC_UNIMPLEMENTED, 501, false, "unimplemented", "no such method")        \
    X(ERR_INTERNAL, GRPC_INTERNAL, 500, false, "internal", "an internal error")                    \
    X(ERR_UNAVAILABLE, GRPC_UNAVAILABLE, 503, true, "unavailable", "not available right now")      \
    X(ERR_CORRUPT, GRPC_DATA_LOSS, 500, false, "data_loss", "data is damaged")                     \
    X(ERR_UNAUTHENTICATED, GRPC_UNAUTHENTICATED, 401, false, "unauthenticated", "not logged in")   \
    X(ERR_NO_MEMORY, GRPC_RESOURCE_EXHAUSTED, 503, true, "no_memory", "out of memory")             \
    X(ERR_IO, GRPC_UNAVAILABLE, 503, true, "io_error", "reading or writing failed")                \
    X(ERR_FULL, GRPC_RESOURCE_EXHAUSTED, 507, true, "disk_full", "the disk is full")               \
    X(ERR_CLOSED, GRPC_UNAVAILABLE, 503, true, "closed", "shutting down")

enum err {
#define ERR_ENUM(name, grpc, http, retry, word, text) name,
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
        ERR_COUNT
};

const char *err_name(enum err e); /* "ERR_NOT_FOUND" */
const char *err_word(enum err e); /* "not_found": stable, public */
const char *err_text(enum err e); /* a sentence for people */
enum grpc_code err_grpc(enum err e);
int err_http(enum err e);
bool err_retryable(enum err e);        /* trying the same again may succeed */
enum err err_from_grpc(unsigned code); /* codes outside of gRPC's 17 become ERR_UNKNOWN */
enum err err_from_errno(
    int number); /* ENOSPC, EDQUOT: ERR_FULL; ENOMEM: ERR_NO_MEMORY; ...: ERR_IO */

/*
 * What went wrong, in words: filled by functions whose failure needs more than a name (a
 * configuration line, a damaged record, a peer's answer). A detail is always optional: NULL is
 * accepted everywhere.
 */
#define ERR_DETAIL_MAX 256
struct err_detail {
    char text[ERR_DETAIL_MAX];
};

/* Writes the detail (cut at ERR_DETAIL_MAX) and returns e, so that `return err_set(...)` reads
 * well. */
enum err err_set(struct err_detail *detail, enum err e, const char *format, ...) PRINTF_LIKE(3, 4);

/* A bug, not an error: says where on stderr and aborts. Never for what comes from outside. */
#define CHECK(condition)                                                                           \
    ((__builtin_expect(!!(condition), 1)) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
_Noreturn void check_failed(const char *condition, const char *file, int line);

#endif
