/*
 * The envelope (rpc.Request and rpc.Response of proto/rpc.proto), read and written without copies:
 * a decoded envelope's slices point into the message it was read from. By hand and not by
 * protobuf-c, because it is on every call's way twice; the tests and the fuzzer compare it with
 * protobuf-c. Private to base/rpc. Thread-safe; nothing blocks or allocates.
 */
#ifndef BASE_RPC_ENVELOPE_H
#define BASE_RPC_ENVELOPE_H

#include "base/rpc/rpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const uint8_t *data; /* not terminated; may be NULL while size is 0 */
    size_t size;
};

#define ENVELOPE_VERSION        1
#define ENVELOPE_KEY_MAX        128 /* an idempotency key: printable ASCII */
#define ENVELOPE_TRACESTATE_MAX 512

struct envelope_request {
    uint32_t version, timeout_ms, attempt;
    uint64_t call_id_hi, call_id_lo;
    struct slice method, traceparent, tracestate, idempotency_key, principal, payload;
    size_t metadata_count;
};

struct envelope_response {
    uint32_t code;
    uint64_t server_us, queue_us;
    struct slice message, reason, payload;
    size_t metadata_count, error_count;
};

/*
 * ERR_INVALID: not a protobuf message, a wrong version, a limit of base/rpc/rpc.h exceeded, a
 * metadata key outside of [0-9a-z_.-]+, an idempotency key that is not printable ASCII; detail says
 * which. Unknown fields are skipped; of a repeated singular field the last one counts.
 */
MUST_CHECK enum err envelope_request_decode(const void *data, size_t size,
                                            struct envelope_request *ret,
                                            struct err_detail *detail);
/* ERR_INVALID: not a protobuf message, or its metadata or field errors exceed the limits. */
MUST_CHECK enum err envelope_response_decode(const void *data, size_t size,
                                             struct envelope_response *ret);

struct envelope_pair {
    struct slice key, value;
};

/* All metadata of a valid request, in order; returns how many pairs. */
size_t envelope_request_metadata(const void *data, size_t size,
                                 struct envelope_pair ret[static RPC_METADATA_MAX]);
/* The value of a metadata key in a valid response; false: absent. */
bool envelope_response_metadata(const void *data, size_t size, const char *key, struct slice *ret);

/* Fills in message, reason and field errors from a valid response: cut where they are too long. */
void envelope_response_status(const void *data, size_t size, struct rpc_status *ret);

/*
 * Writes everything before the payload's bytes, its tag and length included, and returns how many
 * bytes that is: the payload follows. payload.size counts, payload.data does not.
 */
#define ENVELOPE_REQUEST_HEAD_MAX 2048
size_t envelope_request_head(const struct envelope_request *e,
                             uint8_t ret[static ENVELOPE_REQUEST_HEAD_MAX]);

/*
 * Metadata as fields of a request, to stand behind its payload (protobuf's fields may come in any
 * order). Returns how many bytes; ret NULL only counts. Sizes and keys must be good:
 */
struct rpc_metadata;
size_t envelope_metadata(const struct rpc_metadata *pairs, size_t count, uint8_t *ret);
bool envelope_metadata_good(const struct rpc_metadata *pairs, size_t count);

/* What a server adds to a reply that it made itself, instead of a handler. */
struct envelope_notes {
    bool refused;        /* no handler has seen the call: it may be sent again */
    bool drain;          /* this server is going away */
    int64_t pushback_ms; /* try again no sooner; 0: nothing said */
};

#define ENVELOPE_REFUSED           "x-refused"
#define ENVELOPE_DRAIN             "x-drain"
#define ENVELOPE_PUSHBACK          "retry-pushback-ms"

#define ENVELOPE_RESPONSE_HEAD_MAX 8192
/* The same for a response. status NULL: OK. notes NULL: none. */
size_t envelope_response_head(const struct envelope_response *e, const struct rpc_status *status,
                              const struct envelope_notes *notes,
                              uint8_t ret[static ENVELOPE_RESPONSE_HEAD_MAX]);

#endif
