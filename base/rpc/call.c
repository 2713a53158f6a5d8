/* One call: what is checked before its handler runs, what the handler may ask, how it ends. */
#include "base/rpc/call.h"

#include "base/clock.h"
#include "base/rpc/socket.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[RPC_CODES] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

/* ---- metrics ---- */

static const char *method_name(const struct method *m)
{
    return m->contract ? m->contract->name : "unknown";
}

static struct counter *handled_counter(struct method *m, enum grpc_code code)
{
    struct counter *c = atomic_load_explicit(&m->handled[code], memory_order_acquire);
    if (c) return c;
    char labels[RPC_METHOD_MAX + 64];
    (void)snprintf(labels, sizeof labels, "method=\"%s\",code=\"%s\"", method_name(m),
                   code_names[code]);
    c = metrics_counter("tradepost_rpc_server_handled_total", "Calls answered.", labels);
    atomic_store_explicit(&m->handled[code], c, memory_order_release);
    return c;
}

void method_init(struct method *m)
{
    char labels[RPC_METHOD_MAX + 16];
    (void)snprintf(labels, sizeof labels, "method=\"%s\"", method_name(m));
    m->seconds = metrics_histogram("tradepost_rpc_server_seconds",
                                   "From a call's arrival to its reply.", labels);
}

/* ---- the end ---- */

static nng_msg *build_reply(const struct rpc_call *call, int64_t now_us,
                            const struct rpc_status *status, const struct envelope_notes *notes,
                            const ProtobufCMessage *reply)
{
    uint8_t head[ENVELOPE_RESPONSE_HEAD_MAX];
    struct envelope_response e = {
        .server_us = (uint64_t)(now_us - call->started_us),
        .queue_us = (uint64_t)(call->started_us - call->received_us),
        .payload.size = reply ? protobuf_c_message_get_packed_size(reply) : 0,
    };
    if (e.payload.size > RPC_MESSAGE_SIZE_MAX - ENVELOPE_RESPONSE_HEAD_MAX) {
        static const struct rpc_status too_large = {
            ERR_INTERNAL, "the reply is too large", "", {}, 0};
        return build_reply(call, now_us, &too_large, NULL, NULL);
    }
    size_t head_size = envelope_response_head(&e, status, notes, head);
    nng_msg *message; /* of its exact size: in nng 1.5, shrinking or inserting corrupts memory */
    if (nng_msg_alloc(&message, head_size + e.payload.size)) return NULL;
    uint8_t *body = nng_msg_body(message);
    memcpy(body, head, head_size);
    if (e.payload.size) (void)protobuf_c_message_pack(reply, body + head_size);
    return message;
}

void call_end(struct rpc_call *call, const struct rpc_status *status,
              const struct envelope_notes *notes, const ProtobufCMessage *reply)
{
    CHECK(call->state == CALL_RUNNING); /* a call ends once */
    int64_t now_us = clock_mono_us();
    nng_msg *message = build_reply(call, now_us, status, notes, reply);
    counter_add(handled_counter(call->method, status ? err_grpc(status->err) : GRPC_OK), 1);
    histogram_observe_us(call->method->seconds, now_us - call->received_us);

    atomic_store_explicit(&call->id_lo, 0, memory_order_relaxed);
    arena_clear(&call->arena);
    nng_msg_free(call->message);
    call->message = NULL;
    if (!message) { /* no memory: the caller will have to time out */
        call_uncount(call);
        call_receive(call);
        return;
    }
    call->state = CALL_SENDING;
    atomic_store_explicit(&call->sending_since_ms, now_us / 1000, memory_order_relaxed);
    nng_aio_set_timeout(call->aio, SOCKET_SEND_MAX_MS);
    nng_aio_set_msg(call->aio, message);
    nng_ctx_send(call->context, call->aio);
}

void call_refuse(struct rpc_call *call, enum err e, const char *text)
{
    struct rpc_status status;
    status.err = e;
    status.reason[0] = 0;
    status.error_count = 0;
    (void)snprintf(status.message, sizeof status.message, "%s", text);
    struct envelope_notes notes = {
        .refused = true,
        .drain = atomic_load(&call->server->draining),
        .pushback_ms = e == ERR_EXHAUSTED ? RPC_PUSHBACK_MS : 0,
    };
    call_end(call, &status, &notes, NULL);
}

static void reply(const ProtobufCMessage *message, void *call)
{
    CHECK(message);
    call_end(call, NULL, NULL, message);
}

static void PRINTF_LIKE(4, 0)
    fail(struct rpc_call *call, enum err e, const char *reason, const char *format, va_list args)
{
    struct rpc_status status;
    CHECK(e != OK);
    status.err = e;
    status.error_count = 0;
    (void)snprintf(status.reason, sizeof status.reason, "%s", reason);
    (void)vsnprintf(status.message, sizeof status.message, format, args);
    call_end(call, &status, NULL, NULL);
}

void rpc_fail(struct rpc_call *call, enum err e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(call, e, "", format, args);
    va_end(args);
}

void rpc_fail_reason(struct rpc_call *call, enum err e, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(call, e, reason, format, args);
    va_end(args);
}

void rpc_fail_field(struct rpc_call *call, const char *field, const char *format, ...)
{
    struct rpc_status status;
    status.err = ERR_INVALID;
    status.reason[0] = 0;
    status.error_count = 1;
    (void)snprintf(status.errors[0].field, sizeof status.errors[0].field, "%s", field);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(status.errors[0].reason, sizeof status.errors[0].reason, format, args);
    va_end(args);
    (void)snprintf(status.message, sizeof status.message, "%s: %s", status.errors[0].field,
                   status.errors[0].reason);
    call_end(call, &status, NULL, NULL);
}

void rpc_fail_status(struct rpc_call *call, const struct rpc_status *status)
{
    CHECK(status->err != OK);
    call_end(call, status, NULL, NULL);
}

/* ---- before the handler ---- */

/* Copies a text from the envelope and terminates it; false: it does not fit. */
static bool copy_text(struct slice text, char *ret, size_t ret_size)
{
    if (text.size >= ret_size) return false;
    if (text.size) memcpy(ret, text.data, text.size);
    ret[text.size] = 0;
    return true;
}

static enum err authenticate(struct rpc_call *call)
{
    char text[PRINCIPAL_TEXT_MAX];
    struct slice signed_text = call->envelope.principal;
    if (!signed_text.size || !call->server->has_key) return OK; /* a guest */
    if (memchr(signed_text.data, 0, signed_text.size) || !copy_text(signed_text, text, sizeof text))
        return ERR_UNAUTHENTICATED;
    return principal_verify(text, &call->server->key, clock_wall_ms(), &call->principal);
}

/* A higher caller may do what a lower one may; SERVICE methods are for services. */
static enum err authorize(const struct principal *p, const struct contract_method *m)
{
    if (m->caller == CALLER_GUEST || p->role == ROLE_SERVICE) return OK;
    if (p->role == ROLE_GUEST) return ERR_UNAUTHENTICATED;
    if (m->caller == CALLER_SERVICE) return ERR_DENIED;
    if (m->caller == CALLER_ADMIN && p->role != ROLE_ADMIN) return ERR_DENIED;
    /* Bit 0 (PERMISSION_NONE) is a session's: an API key never has it. */
    return p->permissions >> m->permission & 1 ? OK : ERR_DENIED;
}

static void start_trace(struct rpc_call *call)
{
    char text[TRACE_TEXT_SIZE];
    struct trace parent;
    bool known =
        copy_text(call->envelope.traceparent, text, sizeof text) && trace_parse(text, &parent);
    trace_format(known ? trace_child(parent) : trace_new(), call->traceparent);
}

static bool is_implemented(const struct method *m)
{
    /* protobuf-c calls the slot without looking (protobuf-c.c, protobuf_c_service_invoke_internal)
     */
    typedef void (*handler)(void);
    return ((const handler *)(m->service + 1))[m->contract->index] != NULL;
}

/* By its caller, by the caller's disappearance, or because the server stops. */
static bool is_given_up(const struct rpc_call *call)
{
    uint64_t id = atomic_load_explicit(&call->id_lo, memory_order_relaxed);
    if (id && atomic_load_explicit(&call->cancelled_lo, memory_order_relaxed) == id) return true;
    if (atomic_load_explicit(&call->gone_pipe, memory_order_relaxed) ==
        atomic_load_explicit(&call->pipe, memory_order_relaxed))
        return true;
    return atomic_load_explicit(&call->server->stopping, memory_order_relaxed);
}

/* Nothing to run: who asked no longer waits. */
static bool is_too_late(struct rpc_call *call)
{
    if (call->started_us / 1000 >= call->deadline_ms) {
        call_refuse(call, ERR_TIMEOUT, "the deadline passed before the call could run");
        return true;
    }
    if (is_given_up(call)) {
        call_refuse(call, ERR_CANCELLED, "the caller gave up before the call could run");
        return true;
    }
    return false;
}

static bool is_allowed(struct rpc_call *call)
{
    if (authenticate(call)) {
        call_refuse(call, ERR_UNAUTHENTICATED, "the principal is malformed, forged or expired");
        return false;
    }
    enum err e = authorize(&call->principal, call->method->contract);
    if (e == ERR_UNAUTHENTICATED) call_refuse(call, e, "this method is not for guests");
    if (e == ERR_DENIED) call_refuse(call, e, "this caller may not call this method");
    return e == OK;
}

/* The decoded request, within its limits; NULL: the call has ended. */
static ProtobufCMessage *decode(struct rpc_call *call)
{
    char field[CONTRACT_FIELD_SIZE];
    struct err_detail detail;
    struct slice payload = call->envelope.payload;
    ProtobufCAllocator allocator = arena_allocator(&call->arena);
    ProtobufCMessage *request = protobuf_c_message_unpack(call->method->contract->input, &allocator,
                                                          payload.size, payload.data);
    if (!request) {
        call_refuse(call, ERR_INVALID, "the payload is not the method's request");
        return NULL;
    }
    if (contract_check(request, field, &detail)) {
        rpc_fail_field(call, field, "%s", detail.text);
        return NULL;
    }
    return request;
}

static const char *terminate(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.size + 1);
    if (!copy) return NULL;
    if (text.size) memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return copy;
}

/* Most calls have none. What there is no memory for is absent. */
static void decode_metadata(struct rpc_call *call)
{
    struct envelope_pair pairs[RPC_METADATA_MAX];
    call->metadata_count = 0;
    if (!call->envelope.metadata_count) return;
    size_t count =
        envelope_request_metadata(nng_msg_body(call->message), nng_msg_len(call->message), pairs);
    call->metadata = arena_alloc(&call->arena, count * sizeof call->metadata[0]);
    if (!call->metadata) return;
    for (size_t i = 0; i < count; i++) {
        struct metadata *m = &call->metadata[call->metadata_count];
        m->key = terminate(&call->arena, pairs[i].key);
        m->value = terminate(&call->arena, pairs[i].value);
        if (m->key && m->value) call->metadata_count++;
    }
}

void call_run(struct rpc_call *call)
{
    const struct method *m = call->method;
    call->started_us = clock_mono_us();
    if (is_too_late(call) || !is_allowed(call)) return;
    if (!is_implemented(m)) {
        call_refuse(call, ERR_UNIMPLEMENTED, "this method is not implemented here");
        return;
    }
    ProtobufCMessage *request = decode(call);
    if (!request) return;
    start_trace(call);
    decode_metadata(call);
    (void)copy_text(call->envelope.idempotency_key, call->idempotency_key,
                    sizeof call->idempotency_key);
    m->service->invoke(m->service, m->contract->index, request, reply, call);
}

/* ---- what a handler may ask ---- */

void *rpc_call_context(const struct rpc_call *call)
{
    return call->method->context;
}

const struct principal *rpc_call_principal(const struct rpc_call *call)
{
    return &call->principal;
}

int64_t rpc_call_deadline_ms(const struct rpc_call *call)
{
    return call->deadline_ms;
}

bool rpc_call_cancelled(const struct rpc_call *call)
{
    return is_given_up(call) || clock_mono_ms() >= call->deadline_ms;
}

const char *rpc_call_idempotency_key(const struct rpc_call *call)
{
    return call->idempotency_key;
}

const char *rpc_call_traceparent(const struct rpc_call *call)
{
    return call->traceparent;
}

const char *rpc_call_metadata(const struct rpc_call *call, const char *key)
{
    for (size_t i = 0; i < call->metadata_count; i++)
        if (strcmp(call->metadata[i].key, key) == 0) return call->metadata[i].value;
    return NULL;
}
