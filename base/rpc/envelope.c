/* Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), for two messages. */
#include "base/rpc/envelope.h"

#include "base/rpc/client.h"

#include <stdio.h>
#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* A field's number and wire type as they are written. */
#define TAG(number, wire) ((number) << 3 | (wire))

enum {
    REQUEST_VERSION = TAG(1, WIRE_VARINT),
    REQUEST_METHOD = TAG(2, WIRE_BYTES),
    REQUEST_CALL_ID_HI = TAG(3, WIRE_FIXED64),
    REQUEST_CALL_ID_LO = TAG(4, WIRE_FIXED64),
    REQUEST_TIMEOUT_MS = TAG(5, WIRE_VARINT),
    REQUEST_TRACEPARENT = TAG(6, WIRE_BYTES),
    REQUEST_TRACESTATE = TAG(7, WIRE_BYTES),
    REQUEST_IDEMPOTENCY_KEY = TAG(8, WIRE_BYTES),
    REQUEST_ATTEMPT = TAG(9, WIRE_VARINT),
    REQUEST_METADATA = TAG(10, WIRE_BYTES),
    REQUEST_PRINCIPAL = TAG(11, WIRE_BYTES),

    RESPONSE_CODE = TAG(1, WIRE_VARINT),
    RESPONSE_MESSAGE = TAG(2, WIRE_BYTES),
    RESPONSE_METADATA = TAG(3, WIRE_BYTES),
    RESPONSE_SERVER_US = TAG(4, WIRE_VARINT),
    RESPONSE_QUEUE_US = TAG(5, WIRE_VARINT),
    RESPONSE_REASON = TAG(6, WIRE_BYTES),
    RESPONSE_ERRORS = TAG(7, WIRE_BYTES),

    PAYLOAD = TAG(15, WIRE_BYTES), /* of both */

    REQUEST_NUMBERS = 11, /* the last field number before the payload's */
    RESPONSE_NUMBERS = 7,
    PAIR_NUMBERS = 2,

    PAIR_FIRST = TAG(1, WIRE_BYTES),  /* Metadata.key, FieldError.field */
    PAIR_SECOND = TAG(2, WIRE_BYTES), /* Metadata.value, FieldError.reason */
};

/* ---- reading ---- */

struct reader {
    const uint8_t *at, *end;
};

struct field {
    uint32_t tag;
    uint64_t number;    /* of varint and fixed fields */
    struct slice bytes; /* of length-delimited ones */
};

#define VARINT_SIZE_MAX   10
#define VARINT32_SIZE_MAX 5 /* of tags and lengths */

static bool read_varint(struct reader *r, unsigned size_max, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size_max && r->at < r->end; i++) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << 7 * i; /* of a tenth byte all but one bit falls out */
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool read_fixed(struct reader *r, size_t size, uint64_t *ret)
{
    if ((size_t)(r->end - r->at) < size) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)r->at[i] << 8 * i;
    r->at += size;
    *ret = value;
    return true;
}

static bool read_bytes(struct reader *r, struct slice *ret)
{
    uint64_t size;
    if (!read_varint(r, VARINT32_SIZE_MAX, &size) || size > (size_t)(r->end - r->at)) return false;
    *ret = (struct slice){r->at, (size_t)size};
    r->at += size;
    return true;
}

/* The next field; false: malformed. Ask r->at < r->end first. */
static bool read_field(struct reader *r, struct field *ret)
{
    uint64_t tag;
    if (!read_varint(r, VARINT32_SIZE_MAX, &tag) || tag > UINT32_MAX || tag >> 3 == 0) return false;
    ret->tag = (uint32_t)tag;
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(r, VARINT_SIZE_MAX, &ret->number);
    case WIRE_FIXED64:
        return read_fixed(r, 8, &ret->number);
    case WIRE_FIXED32:
        return read_fixed(r, 4, &ret->number);
    case WIRE_BYTES:
        return read_bytes(r, &ret->bytes);
    default:
        return false; /* groups, and what does not exist */
    }
}

/* A tag that no case has named: a newer peer's field; not one of ours with a wrong wire type. */
static bool is_unknown(uint32_t tag, uint32_t numbers)
{
    return tag >> 3 > numbers && tag >> 3 != PAYLOAD >> 3;
}

/* Metadata and FieldError have the same shape: two texts. */
static bool read_pair(struct slice message, struct slice *ret_first, struct slice *ret_second)
{
    struct reader r = {message.data, message.data + message.size};
    struct field f;
    *ret_first = *ret_second = (struct slice){0};
    while (r.at < r.end) {
        if (!read_field(&r, &f)) return false;
        if (f.tag == PAIR_FIRST)
            *ret_first = f.bytes;
        else if (f.tag == PAIR_SECOND)
            *ret_second = f.bytes;
        else if (f.tag >> 3 <= PAIR_NUMBERS)
            return false;
    }
    return true;
}

static bool is_metadata_key(struct slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        uint8_t c = key.data[i];
        bool allowed =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '.' || c == '-';
        if (!allowed) return false;
    }
    return key.size > 0;
}

static bool is_printable(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) return false;
    return true;
}

/* Counts a pair of metadata against the limits. */
static bool count_metadata(struct slice pair, size_t *count, size_t *size)
{
    struct slice key, value;
    if (!read_pair(pair, &key, &value) || !is_metadata_key(key)) return false;
    *size += key.size + value.size;
    return ++*count <= RPC_METADATA_MAX && *size <= RPC_METADATA_SIZE_MAX;
}

static enum err check_request(const struct envelope_request *e, struct err_detail *detail)
{
    if (e->version != ENVELOPE_VERSION)
        return err_set(detail, ERR_INVALID, "envelope version %u; this server speaks %d",
                       e->version, ENVELOPE_VERSION);
    if (e->method.size == 0 || e->method.size > RPC_METHOD_MAX)
        return err_set(detail, ERR_INVALID, "method must have 1 to %d bytes", RPC_METHOD_MAX);
    if (e->timeout_ms == 0)
        return err_set(detail, ERR_INVALID, "timeout_ms must not be 0: every call has a deadline");
    if (e->principal.size >= PRINCIPAL_TEXT_MAX)
        return err_set(detail, ERR_INVALID, "principal must be below %d bytes", PRINCIPAL_TEXT_MAX);
    if (e->idempotency_key.size > ENVELOPE_KEY_MAX || !is_printable(e->idempotency_key))
        return err_set(detail, ERR_INVALID,
                       "idempotency_key must have at most %d printable ASCII characters",
                       ENVELOPE_KEY_MAX);
    return OK;
}

static bool set_request_field(struct envelope_request *e, const struct field *f,
                              size_t *metadata_size)
{
    switch (f->tag) {
    case REQUEST_VERSION:
        e->version = (uint32_t)f->number;
        break;
    case REQUEST_METHOD:
        e->method = f->bytes;
        break;
    case REQUEST_CALL_ID_HI:
        e->call_id_hi = f->number;
        break;
    case REQUEST_CALL_ID_LO:
        e->call_id_lo = f->number;
        break;
    case REQUEST_TIMEOUT_MS:
        e->timeout_ms = (uint32_t)f->number;
        break;
    case REQUEST_TRACEPARENT:
        e->traceparent = f->bytes;
        break;
    case REQUEST_TRACESTATE:
        e->tracestate = f->bytes;
        break;
    case REQUEST_IDEMPOTENCY_KEY:
        e->idempotency_key = f->bytes;
        break;
    case REQUEST_ATTEMPT:
        e->attempt = (uint32_t)f->number;
        break;
    case REQUEST_PRINCIPAL:
        e->principal = f->bytes;
        break;
    case PAYLOAD:
        e->payload = f->bytes;
        break;
    case REQUEST_METADATA:
        return count_metadata(f->bytes, &e->metadata_count, metadata_size);
    default:
        return is_unknown(f->tag, REQUEST_NUMBERS);
    }
    return true;
}

enum err envelope_request_decode(const void *data, size_t size, struct envelope_request *ret,
                                 struct err_detail *detail)
{
    struct envelope_request e = {0};
    struct reader r = {data, (const uint8_t *)data + size};
    struct field f;
    size_t metadata_size = 0;
    if (size > RPC_MESSAGE_SIZE_MAX)
        return err_set(detail, ERR_INVALID, "a message has at most %d bytes, not %zu",
                       RPC_MESSAGE_SIZE_MAX, size);
    while (r.at < r.end) {
        if (!read_field(&r, &f))
            return err_set(detail, ERR_INVALID, "the envelope is not a protobuf message");
        if (!set_request_field(&e, &f, &metadata_size))
            return err_set(detail, ERR_INVALID,
                           "a field has the wrong type, or metadata has more than %d pairs or %d "
                           "bytes or a key that is not of [0-9a-z_.-]",
                           RPC_METADATA_MAX, RPC_METADATA_SIZE_MAX);
    }
    enum err err = check_request(&e, detail);
    if (err) return err;
    *ret = e;
    return OK;
}

enum err envelope_response_decode(const void *data, size_t size, struct envelope_response *ret)
{
    struct envelope_response e = {0};
    struct reader r = {data, (const uint8_t *)data + size};
    struct field f;
    struct slice first, second;
    size_t metadata_size = 0;
    if (size > RPC_MESSAGE_SIZE_MAX) return ERR_INVALID;
    while (r.at < r.end) {
        if (!read_field(&r, &f)) return ERR_INVALID;
        switch (f.tag) {
        case RESPONSE_CODE:
            e.code = (uint32_t)f.number;
            break;
        case RESPONSE_MESSAGE:
            e.message = f.bytes;
            break;
        case RESPONSE_SERVER_US:
            e.server_us = f.number;
            break;
        case RESPONSE_QUEUE_US:
            e.queue_us = f.number;
            break;
        case RESPONSE_REASON:
            e.reason = f.bytes;
            break;
        case RESPONSE_ERRORS:
            if (!read_pair(f.bytes, &first, &second)) return ERR_INVALID;
            e.error_count++;
            break;
        case PAYLOAD:
            e.payload = f.bytes;
            break;
        case RESPONSE_METADATA:
            if (!count_metadata(f.bytes, &e.metadata_count, &metadata_size)) return ERR_INVALID;
            break;
        default:
            if (!is_unknown(f.tag, RESPONSE_NUMBERS)) return ERR_INVALID;
        }
    }
    if (e.error_count > RPC_ERRORS_MAX) return ERR_INVALID;
    *ret = e;
    return OK;
}

size_t envelope_request_metadata(const void *data, size_t size,
                                 struct envelope_pair ret[static RPC_METADATA_MAX])
{
    struct reader r = {data, (const uint8_t *)data + size};
    struct field f;
    size_t count = 0;
    while (count < RPC_METADATA_MAX && r.at < r.end && read_field(&r, &f))
        if (f.tag == REQUEST_METADATA && read_pair(f.bytes, &ret[count].key, &ret[count].value))
            count++;
    return count;
}

bool envelope_response_metadata(const void *data, size_t size, const char *key, struct slice *ret)
{
    struct reader r = {data, (const uint8_t *)data + size};
    struct field f;
    struct envelope_pair pair;
    size_t key_size = strlen(key);
    while (r.at < r.end && read_field(&r, &f)) {
        if (f.tag != RESPONSE_METADATA || !read_pair(f.bytes, &pair.key, &pair.value)) continue;
        if (pair.key.size != key_size || !pair.key.data ||
            memcmp(pair.key.data, key, key_size) != 0)
            continue;
        *ret = pair.value;
        return true;
    }
    return false;
}

static void copy_text(struct slice text, char *ret, size_t ret_size)
{
    size_t size = text.size < ret_size ? text.size : ret_size - 1;
    if (size) memcpy(ret, text.data, size);
    ret[size] = 0;
}

void envelope_response_status(const void *data, size_t size, struct rpc_status *ret)
{
    struct reader r = {data, (const uint8_t *)data + size};
    struct field f;
    struct slice first, second;
    ret->message[0] = ret->reason[0] = 0;
    ret->error_count = 0;
    while (r.at < r.end && read_field(&r, &f)) {
        if (f.tag == RESPONSE_MESSAGE) copy_text(f.bytes, ret->message, sizeof ret->message);
        if (f.tag == RESPONSE_REASON) copy_text(f.bytes, ret->reason, sizeof ret->reason);
        if (f.tag != RESPONSE_ERRORS || ret->error_count == RPC_ERRORS_MAX) continue;
        if (!read_pair(f.bytes, &first, &second)) continue;
        struct rpc_field_error *error = &ret->errors[ret->error_count++];
        copy_text(first, error->field, sizeof error->field);
        copy_text(second, error->reason, sizeof error->reason);
    }
}

/* ---- writing: the sizes of all texts are bounded, so a head always fits ---- */

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_number(uint8_t *at, uint32_t tag, uint64_t value)
{
    return value ? put_varint(put_varint(at, tag), value) : at;
}

static uint8_t *put_fixed64(uint8_t *at, uint32_t tag, uint64_t value)
{
    if (!value) return at;
    at = put_varint(at, tag);
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

static uint8_t *put_bytes(uint8_t *at, uint32_t tag, const void *data, size_t size)
{
    if (!size) return at;
    at = put_varint(put_varint(at, tag), size);
    memcpy(at, data, size);
    return at + size;
}

static uint8_t *put_slice(uint8_t *at, uint32_t tag, struct slice s)
{
    return put_bytes(at, tag, s.data, s.size);
}

static uint8_t *put_pair(uint8_t *at, uint32_t tag, const char *first, const char *second)
{
    uint8_t pair[512], *end = pair;
    end = put_bytes(end, PAIR_FIRST, first, strnlen(first, 200));
    end = put_bytes(end, PAIR_SECOND, second, strnlen(second, 200));
    return put_bytes(at, tag, pair, (size_t)(end - pair));
}

static uint8_t *put_payload_head(uint8_t *at, size_t size)
{
    return size ? put_varint(put_varint(at, PAYLOAD), size) : at;
}

size_t envelope_request_head(const struct envelope_request *e,
                             uint8_t ret[static ENVELOPE_REQUEST_HEAD_MAX])
{
    _Static_assert(RPC_METHOD_MAX + 64 + ENVELOPE_TRACESTATE_MAX + ENVELOPE_KEY_MAX +
                           PRINCIPAL_TEXT_MAX + 100 <
                       ENVELOPE_REQUEST_HEAD_MAX,
                   "a request's head fits");
    CHECK(e->method.size <= RPC_METHOD_MAX && e->traceparent.size <= 64 &&
          e->tracestate.size <= ENVELOPE_TRACESTATE_MAX &&
          e->idempotency_key.size <= ENVELOPE_KEY_MAX && e->principal.size <= PRINCIPAL_TEXT_MAX);
    uint8_t *at = ret;
    at = put_number(at, REQUEST_VERSION, e->version);
    at = put_slice(at, REQUEST_METHOD, e->method);
    at = put_fixed64(at, REQUEST_CALL_ID_HI, e->call_id_hi);
    at = put_fixed64(at, REQUEST_CALL_ID_LO, e->call_id_lo);
    at = put_number(at, REQUEST_TIMEOUT_MS, e->timeout_ms);
    at = put_slice(at, REQUEST_TRACEPARENT, e->traceparent);
    at = put_slice(at, REQUEST_TRACESTATE, e->tracestate);
    at = put_slice(at, REQUEST_IDEMPOTENCY_KEY, e->idempotency_key);
    at = put_number(at, REQUEST_ATTEMPT, e->attempt);
    at = put_slice(at, REQUEST_PRINCIPAL, e->principal);
    at = put_payload_head(at, e->payload.size);
    return (size_t)(at - ret);
}

bool envelope_metadata_good(const struct rpc_metadata *pairs, size_t count)
{
    size_t size = 0;
    if (count > RPC_METADATA_MAX) return false;
    for (size_t i = 0; i < count; i++) {
        size_t key_size = strnlen(pairs[i].key, RPC_METADATA_KEY_MAX + 1);
        if (key_size > RPC_METADATA_KEY_MAX) return false;
        if (!is_metadata_key((struct slice){(const uint8_t *)pairs[i].key, key_size})) return false;
        size += key_size + strnlen(pairs[i].value, RPC_METADATA_SIZE_MAX + 1);
        if (size > RPC_METADATA_SIZE_MAX) return false;
    }
    return true;
}

static size_t varint_size(size_t value)
{
    uint8_t bytes[VARINT_SIZE_MAX];
    return (size_t)(put_varint(bytes, value) - bytes);
}

/* Of a field of bytes whose tag is one byte, and which is not written when it is empty. */
static size_t field_size(size_t size)
{
    return size ? 1 + varint_size(size) + size : 0;
}

size_t envelope_metadata(const struct rpc_metadata *pairs, size_t count, uint8_t *ret)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t key_size = strlen(pairs[i].key), value_size = strlen(pairs[i].value);
        size_t pair_size = field_size(key_size) + field_size(value_size);
        size += field_size(pair_size);
        if (!ret) continue;
        ret = put_varint(put_varint(ret, REQUEST_METADATA), pair_size);
        ret = put_bytes(ret, PAIR_FIRST, pairs[i].key, key_size);
        ret = put_bytes(ret, PAIR_SECOND, pairs[i].value, value_size);
    }
    return size;
}

static uint8_t *put_notes(uint8_t *at, const struct envelope_notes *notes)
{
    char text[24];
    if (notes->refused) at = put_pair(at, RESPONSE_METADATA, ENVELOPE_REFUSED, "1");
    if (notes->drain) at = put_pair(at, RESPONSE_METADATA, ENVELOPE_DRAIN, "1");
    if (notes->pushback_ms > 0) {
        (void)snprintf(text, sizeof text, "%lld", (long long)notes->pushback_ms);
        at = put_pair(at, RESPONSE_METADATA, ENVELOPE_PUSHBACK, text);
    }
    return at;
}

size_t envelope_response_head(const struct envelope_response *e, const struct rpc_status *status,
                              const struct envelope_notes *notes,
                              uint8_t ret[static ENVELOPE_RESPONSE_HEAD_MAX])
{
    _Static_assert(RPC_ERRORS_MAX * (sizeof(struct rpc_field_error) + 16) + ERR_DETAIL_MAX +
                           RPC_NAME_MAX + 300 <
                       ENVELOPE_RESPONSE_HEAD_MAX,
                   "a response's head fits");
    uint8_t *at = ret;
    if (status) {
        at = put_number(at, RESPONSE_CODE, (uint64_t)err_grpc(status->err));
        at = put_bytes(at, RESPONSE_MESSAGE, status->message, strlen(status->message));
    }
    if (notes) at = put_notes(at, notes);
    at = put_number(at, RESPONSE_SERVER_US, e->server_us);
    at = put_number(at, RESPONSE_QUEUE_US, e->queue_us);
    if (status) {
        at = put_bytes(at, RESPONSE_REASON, status->reason, strlen(status->reason));
        for (size_t i = 0; i < status->error_count; i++)
            at = put_pair(at, RESPONSE_ERRORS, status->errors[i].field, status->errors[i].reason);
    }
    at = put_payload_head(at, e->payload.size);
    return (size_t)(at - ret);
}
