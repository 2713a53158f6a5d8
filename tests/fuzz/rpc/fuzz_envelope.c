/*
 * Any bytes as an envelope. The property: what the house's decoder accepts, protobuf-c accepts too
 * and sees the same; what protobuf-c refuses, the house refuses; and what is written reads the same
 * again.
 */
#include "support/fuzz.h"

#include "base/rpc/envelope.h"

#include "rpc.pb-c.h"

#include <string.h>

static void check_text(struct slice ours, const char *theirs)
{
    /* protobuf-c's strings end at the first NUL; the slice has all of it */
    CHECK(strncmp((const char *)ours.data ? (const char *)ours.data : "", theirs, ours.size) == 0);
    CHECK(ours.size >= strlen(theirs));
}

static void check_bytes(struct slice ours, ProtobufCBinaryData theirs)
{
    CHECK(ours.size == theirs.len);
    CHECK(ours.size == 0 || memcmp(ours.data, theirs.data, ours.size) == 0);
}

static void check_request(const struct envelope_request *ours, const uint8_t *data, size_t size)
{
    Rpc__Request *theirs = rpc__request__unpack(NULL, size, data);
    CHECK(theirs);
    CHECK(ours->version == theirs->version && ours->timeout_ms == theirs->timeout_ms);
    CHECK(ours->call_id_hi == theirs->call_id_hi && ours->call_id_lo == theirs->call_id_lo);
    CHECK(ours->attempt == theirs->attempt);
    check_text(ours->method, theirs->method);
    check_text(ours->traceparent, theirs->traceparent);
    check_text(ours->tracestate, theirs->tracestate);
    check_text(ours->idempotency_key, theirs->idempotency_key);
    check_text(ours->principal, theirs->principal);
    check_bytes(ours->payload, theirs->payload);
    CHECK(ours->metadata_count == theirs->n_metadata);
    struct envelope_pair pairs[RPC_METADATA_MAX];
    CHECK(envelope_request_metadata(data, size, pairs) == theirs->n_metadata);
    for (size_t i = 0; i < theirs->n_metadata; i++) {
        check_text(pairs[i].key, theirs->metadata[i]->key);
        check_bytes(pairs[i].value, theirs->metadata[i]->value);
    }
    rpc__request__free_unpacked(theirs, NULL);
}

/* Written and read again, a request is the same; what the writer does not write is left out. */
static void check_writing(struct envelope_request e)
{
    static uint8_t written[ENVELOPE_REQUEST_HEAD_MAX];
    struct envelope_request back;
    if (e.traceparent.size > 64 || e.tracestate.size > ENVELOPE_TRACESTATE_MAX) return;
    e.payload.size = 0;
    size_t size = envelope_request_head(&e, written);
    CHECK(envelope_request_decode(written, size, &back, NULL) == OK);
    CHECK(back.timeout_ms == e.timeout_ms && back.call_id_hi == e.call_id_hi &&
          back.call_id_lo == e.call_id_lo && back.attempt == e.attempt);
    CHECK(back.method.size == e.method.size &&
          memcmp(back.method.data, e.method.data, e.method.size) == 0);
    CHECK(back.principal.size == e.principal.size);
    CHECK(back.idempotency_key.size == e.idempotency_key.size);
}

static void check_response(const struct envelope_response *ours, const uint8_t *data, size_t size)
{
    static struct rpc_status status;
    struct slice value;
    Rpc__Response *theirs = rpc__response__unpack(NULL, size, data);
    CHECK(theirs);
    CHECK(ours->code == theirs->code);
    CHECK(ours->server_us == theirs->server_us && ours->queue_us == theirs->queue_us);
    check_text(ours->message, theirs->message);
    check_text(ours->reason, theirs->reason);
    check_bytes(ours->payload, theirs->payload);
    CHECK(ours->metadata_count == theirs->n_metadata && ours->error_count == theirs->n_errors);
    envelope_response_status(data, size, &status);
    CHECK(status.error_count <= theirs->n_errors);
    CHECK(strlen(status.message) < sizeof status.message);
    for (size_t i = 0; i < theirs->n_metadata; i++)
        CHECK(envelope_response_metadata(data, size, theirs->metadata[i]->key, &value));
    rpc__response__free_unpacked(theirs, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct envelope_request request;
    struct envelope_response response;
    struct err_detail detail;
    if (envelope_request_decode(data, size, &request, &detail) == OK) {
        check_request(&request, data, size);
        check_writing(request);
    }
    if (envelope_response_decode(data, size, &response) == OK)
        check_response(&response, data, size);
    return 0;
}
