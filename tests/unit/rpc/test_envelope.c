/* The envelope, against protobuf-c's idea of it: same bytes out, same fields in. */
#include "support/unit.h"

#include "base/rpc/envelope.h"

#include "rpc.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static struct slice text(const char *t)
{
    return (struct slice){(const uint8_t *)t, strlen(t)};
}

static void assert_slice(struct slice s, const char *expected)
{
    assert_int_equal(s.size, strlen(expected));
    assert_memory_equal(s.data, expected, s.size);
}

/* The request as it comes from the wire; the caller frees the bytes. */
static uint8_t *pack(const Rpc__Request *request, size_t *size)
{
    *size = rpc__request__get_packed_size(request);
    uint8_t *data = malloc(*size + 1); /* exactly: the sanitizer sees every byte read beyond */
    assert_non_null(data);
    data = realloc(data, *size ? *size : 1);
    rpc__request__pack(request, data);
    return data;
}

static Rpc__Request full_request(void)
{
    Rpc__Request r = RPC__REQUEST__INIT;
    r.version = 1;
    r.method = "users.Users/Login";
    r.call_id_hi = UINT64_C(0xfedcba9876543210);
    r.call_id_lo = 1;
    r.timeout_ms = 60000;
    r.traceparent = TRACEPARENT;
    r.tracestate = "vendor=1";
    r.idempotency_key = "key-1";
    r.attempt = 3;
    r.principal = "1.2.3";
    r.payload = (ProtobufCBinaryData){3, (uint8_t *)"\x00\x01\x02"};
    return r;
}

static void a_request_is_written_as_protobuf_writes_it(void **state)
{
    (void)state;
    uint8_t head[ENVELOPE_REQUEST_HEAD_MAX];
    size_t size;
    Rpc__Request r = full_request();
    uint8_t *expected = pack(&r, &size);
    struct envelope_request e = {.version = 1,
                                 .method = text(r.method),
                                 .call_id_hi = r.call_id_hi,
                                 .call_id_lo = r.call_id_lo,
                                 .timeout_ms = r.timeout_ms,
                                 .traceparent = text(r.traceparent),
                                 .tracestate = text(r.tracestate),
                                 .idempotency_key = text(r.idempotency_key),
                                 .attempt = r.attempt,
                                 .principal = text(r.principal),
                                 .payload.size = 3};
    size_t head_size = envelope_request_head(&e, head);
    assert_int_equal(head_size + 3, size);
    assert_memory_equal(head, expected, head_size);
    free(expected);
}

static void a_request_is_read_as_protobuf_wrote_it(void **state)
{
    (void)state;
    size_t size;
    struct err_detail detail;
    struct envelope_request e;
    Rpc__Request r = full_request();
    uint8_t *data = pack(&r, &size);
    assert_ok(envelope_request_decode(data, size, &e, &detail));
    assert_int_equal(e.version, 1);
    assert_slice(e.method, r.method);
    assert_true(e.call_id_hi == r.call_id_hi && e.call_id_lo == r.call_id_lo);
    assert_int_equal(e.timeout_ms, 60000);
    assert_slice(e.traceparent, TRACEPARENT);
    assert_slice(e.tracestate, "vendor=1");
    assert_slice(e.idempotency_key, "key-1");
    assert_int_equal(e.attempt, 3);
    assert_slice(e.principal, "1.2.3");
    assert_int_equal(e.payload.size, 3);
    assert_memory_equal(e.payload.data, "\x00\x01\x02", 3);
    free(data);
}

static void a_request_cut_anywhere_is_refused_or_is_a_shorter_one(void **state)
{
    (void)state;
    size_t size;
    struct err_detail detail;
    struct envelope_request e;
    Rpc__Request r = full_request();
    uint8_t *whole = pack(&r, &size);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *data = malloc(cut ? cut : 1);
        assert_non_null(data);
        memcpy(data, whole, cut);
        Rpc__Request *theirs = rpc__request__unpack(NULL, cut, data);
        enum err ours = envelope_request_decode(data, cut, &e, &detail);
        if (!theirs) assert_err(ours, ERR_INVALID);
        if (theirs && theirs->timeout_ms) assert_ok(ours);
        if (theirs) rpc__request__free_unpacked(theirs, NULL);
        free(data);
    }
    free(whole);
}

/* A text of `size` times `c`. */
static char *repeat(char c, size_t size)
{
    char *t = malloc(size + 1);
    assert_non_null(t);
    memset(t, c, size);
    t[size] = 0;
    return t;
}

static void assert_request(const Rpc__Request *r, enum err expected)
{
    size_t size;
    struct err_detail detail = {""};
    struct envelope_request e;
    uint8_t *data = pack(r, &size);
    assert_err(envelope_request_decode(data, size, &e, &detail), expected);
    if (expected) assert_true(detail.text[0]);
    free(data);
}

static void texts_at_their_limit_pass_and_one_more_is_refused(void **state)
{
    (void)state;
    const struct {
        size_t offset, max;
    } cases[] = {
        {offsetof(Rpc__Request, method), RPC_METHOD_MAX},
        {offsetof(Rpc__Request, idempotency_key), ENVELOPE_KEY_MAX},
        {offsetof(Rpc__Request, principal), PRINCIPAL_TEXT_MAX - 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Rpc__Request r = full_request();
        char **field = (char **)((char *)&r + cases[i].offset);
        *field = repeat('x', cases[i].max);
        assert_request(&r, OK);
        free(*field);
        *field = repeat('x', cases[i].max + 1);
        assert_request(&r, ERR_INVALID);
        free(*field);
    }
}

static void what_a_request_must_have_is_demanded(void **state)
{
    (void)state;
    Rpc__Request r = full_request();
    r.version = 2;
    assert_request(&r, ERR_INVALID);
    r = full_request();
    r.method = "";
    assert_request(&r, ERR_INVALID);
    r = full_request();
    r.timeout_ms = 0;
    assert_request(&r, ERR_INVALID);
    r = full_request();
    r.idempotency_key = "not printable: \n";
    assert_request(&r, ERR_INVALID);
}

static void metadata_at_its_limits_passes_and_one_more_is_refused(void **state)
{
    (void)state;
    Rpc__Metadata pairs[RPC_METADATA_MAX + 1], *metadata[RPC_METADATA_MAX + 1];
    char *value = repeat('v', RPC_METADATA_SIZE_MAX);
    for (size_t i = 0; i <= RPC_METADATA_MAX; i++) {
        pairs[i] = (Rpc__Metadata)RPC__METADATA__INIT;
        pairs[i].key = "a-key_1.x";
        metadata[i] = &pairs[i];
    }
    Rpc__Request r = full_request();
    r.metadata = metadata;
    r.n_metadata = RPC_METADATA_MAX;
    assert_request(&r, OK);
    r.n_metadata = RPC_METADATA_MAX + 1;
    assert_request(&r, ERR_INVALID);

    r.n_metadata = 1;
    pairs[0].value = (ProtobufCBinaryData){RPC_METADATA_SIZE_MAX - 9, (uint8_t *)value};
    assert_request(&r, OK);
    pairs[0].value.len++;
    assert_request(&r, ERR_INVALID);
    pairs[0].value.len = 0;

    const char *wrong[] = {"", "UPPER", "spa ce", "colon:", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        pairs[0].key = (char *)wrong[i];
        assert_request(&r, ERR_INVALID);
    }
    free(value);
}

static void metadata_comes_out_in_order(void **state)
{
    (void)state;
    size_t size;
    struct envelope_pair pairs[RPC_METADATA_MAX];
    Rpc__Metadata a = RPC__METADATA__INIT, b = RPC__METADATA__INIT, *metadata[] = {&a, &b};
    Rpc__Request r = full_request();
    a.key = "first";
    a.value = (ProtobufCBinaryData){1, (uint8_t *)"1"};
    b.key = "second";
    r.metadata = metadata;
    r.n_metadata = 2;
    uint8_t *data = pack(&r, &size);
    assert_int_equal(envelope_request_metadata(data, size, pairs), 2);
    assert_slice(pairs[0].key, "first");
    assert_slice(pairs[0].value, "1");
    assert_slice(pairs[1].key, "second");
    assert_int_equal(pairs[1].value.size, 0);
    free(data);
}

static void bytes_that_are_no_message_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what, *bytes;
        size_t size;
    } cases[] = {
        {"nothing", "", 0},
        {"a tag and no value", "\x08", 1},
        {"field number 0", "\x00\x01", 2},
        {"a group", "\x0b\x0c", 2},
        {"wire type 7", "\x0f", 1},
        {"a varint of eleven bytes", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
        {"a length beyond the end",
         "\x12\x05"
         "abc",
         5},
        {"a length of 2^64 - 1", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
        {"half of a fixed64", "\x19\x01\x02\x03\x04", 5},
        {"a tag above 32 bits", "\x80\x80\x80\x80\x80\x01\x00", 7},
        {"a version that is bytes", "\x0a\x01\xff", 3},
        {"a timeout that is fixed32",
         "\x2d"
         "1234",
         5},
        {"metadata that is no message", "\x52\x02\xff\xff", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct envelope_request e;
        struct err_detail detail;
        uint8_t *data = malloc(cases[i].size ? cases[i].size : 1);
        assert_non_null(data);
        memcpy(data, cases[i].bytes, cases[i].size);
        if (envelope_request_decode(data, cases[i].size, &e, &detail) != ERR_INVALID)
            fail_msg("%s is accepted", cases[i].what);
        free(data);
    }
}

static void unknown_fields_are_skipped_and_the_last_of_two_counts(void **state)
{
    (void)state;
    static const char bytes[] = "\x08\x01" /* version 1 */
                                "\x12\x01" /* method a */
                                "a"
                                "\x12\x01" /* method b */
                                "b"
                                "\x28\x07"       /* timeout 7 */
                                "\xf8\x07\x01"   /* field 127, a varint */
                                "\xfa\x07\x02zz" /* field 127, bytes */
                                "\xfd\x07"       /* field 127, fixed32 */
                                "1234";
    struct envelope_request e;
    struct err_detail detail;
    assert_ok(envelope_request_decode(bytes, sizeof bytes - 1, &e, &detail));
    assert_slice(e.method, "b");
    assert_int_equal(e.timeout_ms, 7);
}

static void a_response_comes_back_as_it_was_written(void **state)
{
    (void)state;
    uint8_t data[ENVELOPE_RESPONSE_HEAD_MAX + 4];
    struct rpc_status status = {.err = ERR_PRECONDITION,
                                .message = "not enough",
                                .reason = "insufficient_funds",
                                .errors = {{"amount", "at most 5"}, {"asset", "is required"}},
                                .error_count = 2};
    struct envelope_notes notes = {.refused = true, .drain = true, .pushback_ms = 250};
    struct envelope_response e = {.server_us = 300, .queue_us = 7, .payload.size = 4};
    size_t size = envelope_response_head(&e, &status, &notes, data);
    memcpy(data + size, "data", 4);
    size += 4;

    Rpc__Response *theirs = rpc__response__unpack(NULL, size, data);
    assert_non_null(theirs);
    assert_int_equal(theirs->code, GRPC_FAILED_PRECONDITION);
    assert_string_equal(theirs->message, "not enough");
    assert_string_equal(theirs->reason, "insufficient_funds");
    assert_int_equal(theirs->n_errors, 2);
    assert_string_equal(theirs->errors[1]->field, "asset");
    assert_int_equal(theirs->n_metadata, 3);
    assert_string_equal(theirs->metadata[2]->key, ENVELOPE_PUSHBACK);
    assert_memory_equal(theirs->metadata[2]->value.data, "250", 3);
    assert_int_equal(theirs->server_us, 300);
    assert_memory_equal(theirs->payload.data, "data", 4);
    rpc__response__free_unpacked(theirs, NULL);

    struct envelope_response ours;
    struct rpc_status back;
    struct slice pushback;
    assert_ok(envelope_response_decode(data, size, &ours));
    assert_int_equal(ours.code, GRPC_FAILED_PRECONDITION);
    assert_int_equal(ours.queue_us, 7);
    assert_slice(ours.payload, "data");
    envelope_response_status(data, size, &back);
    assert_string_equal(back.message, "not enough");
    assert_string_equal(back.reason, "insufficient_funds");
    assert_int_equal(back.error_count, 2);
    assert_string_equal(back.errors[0].field, "amount");
    assert_string_equal(back.errors[0].reason, "at most 5");
    assert_true(envelope_response_metadata(data, size, ENVELOPE_PUSHBACK, &pushback));
    assert_slice(pushback, "250");
    assert_false(envelope_response_metadata(data, size, "absent", &pushback));
}

static void the_longest_status_fits(void **state)
{
    (void)state;
    uint8_t data[ENVELOPE_RESPONSE_HEAD_MAX];
    struct rpc_status status = {.err = ERR_INVALID, .error_count = RPC_ERRORS_MAX}, back;
    struct envelope_response e = {.server_us = UINT64_MAX, .queue_us = UINT64_MAX}, decoded;
    memset(status.message, 'm', sizeof status.message - 1);
    memset(status.reason, 'r', sizeof status.reason - 1);
    for (size_t i = 0; i < RPC_ERRORS_MAX; i++) {
        memset(status.errors[i].field, 'f', sizeof status.errors[i].field - 1);
        memset(status.errors[i].reason, 'r', sizeof status.errors[i].reason - 1);
    }
    size_t size = envelope_response_head(&e, &status, NULL, data);
    assert_ok(envelope_response_decode(data, size, &decoded));
    envelope_response_status(data, size, &back);
    assert_string_equal(back.message, status.message);
    assert_int_equal(back.error_count, RPC_ERRORS_MAX);
    assert_string_equal(back.errors[15].reason, status.errors[15].reason);
}

static void a_response_with_too_many_errors_is_refused(void **state)
{
    (void)state;
    uint8_t data[(RPC_ERRORS_MAX + 1) * 2];
    struct envelope_response e;
    for (size_t i = 0; i <= RPC_ERRORS_MAX; i++)
        memcpy(data + i * 2, "\x3a\x00", 2);
    assert_ok(envelope_response_decode(data, sizeof data - 2, &e));
    assert_err(envelope_response_decode(data, sizeof data, &e), ERR_INVALID);
}

static void a_message_above_the_limit_is_refused_unread(void **state)
{
    (void)state;
    struct envelope_request e;
    struct envelope_response r;
    struct err_detail detail;
    uint8_t *data = calloc(1, RPC_MESSAGE_SIZE_MAX + 1);
    assert_non_null(data);
    assert_err(envelope_request_decode(data, RPC_MESSAGE_SIZE_MAX + 1, &e, &detail), ERR_INVALID);
    assert_err(envelope_response_decode(data, RPC_MESSAGE_SIZE_MAX + 1, &r), ERR_INVALID);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_protobuf_writes_it),
        cmocka_unit_test(a_request_is_read_as_protobuf_wrote_it),
        cmocka_unit_test(a_request_cut_anywhere_is_refused_or_is_a_shorter_one),
        cmocka_unit_test(texts_at_their_limit_pass_and_one_more_is_refused),
        cmocka_unit_test(what_a_request_must_have_is_demanded),
        cmocka_unit_test(metadata_at_its_limits_passes_and_one_more_is_refused),
        cmocka_unit_test(metadata_comes_out_in_order),
        cmocka_unit_test(bytes_that_are_no_message_are_refused),
        cmocka_unit_test(unknown_fields_are_skipped_and_the_last_of_two_counts),
        cmocka_unit_test(a_response_comes_back_as_it_was_written),
        cmocka_unit_test(the_longest_status_fits),
        cmocka_unit_test(a_response_with_too_many_errors_is_refused),
        cmocka_unit_test(a_message_above_the_limit_is_refused_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
