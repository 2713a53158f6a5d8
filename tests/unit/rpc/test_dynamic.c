/* Descriptors made at run time do what the generated ones do. */
#include "support/unit.h"

#include "base/json.h"
#include "base/rpc/dynamic.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "proto/contract.h"
#include "trading.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* The contract's files, each packed by itself, as reflection answers them. */
static struct dynamic_pool *contract_pool(void)
{
    struct dynamic_pool *pool = NULL;
    struct err_detail detail = {0};
    Google__Protobuf__FileDescriptorSet *set = google__protobuf__file_descriptor_set__unpack(
        NULL, contract_descriptors_size, contract_descriptors);
    assert_non_null(set);
    assert_ok(dynamic_pool_new(&pool));
    for (size_t i = 0; i < set->n_file; i++) {
        size_t size = google__protobuf__file_descriptor_proto__get_packed_size(set->file[i]);
        ProtobufCBinaryData file = {size, malloc(size)};
        (void)google__protobuf__file_descriptor_proto__pack(set->file[i], file.data);
        assert_ok(dynamic_pool_add(pool, &file, 1, &detail));
        assert_ok(dynamic_pool_add(pool, &file, 1, &detail)); /* twice changes nothing */
        free(file.data);
    }
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    return pool;
}

static void every_method_of_the_contract_is_there(void **state)
{
    (void)state;
    struct dynamic_pool *pool = contract_pool();
    for (size_t i = 0; i < contract_method_count; i++) {
        const ProtobufCMessageDescriptor *input = NULL, *output = NULL;
        assert_ok(dynamic_pool_method(pool, contract_methods[i].name, &input, &output));
        assert_string_equal(input->name, contract_methods[i].input->name);
        assert_int_equal(output->n_fields, contract_methods[i].output->n_fields);
    }
    const ProtobufCMessageDescriptor *none = NULL;
    assert_err(dynamic_pool_method(pool, "trading.Trading/Nothing", &none, &none), ERR_NOT_FOUND);
    assert_err(dynamic_pool_method(pool, "trading.Tradin/PlaceOrder", &none, &none), ERR_NOT_FOUND);
    assert_err(dynamic_pool_method(pool, "PlaceOrder", &none, &none), ERR_NOT_FOUND);
    assert_null(dynamic_pool_message(pool, "trading.Side")); /* an enum */
    dynamic_pool_free(pool);
}

static void a_message_survives_the_way_through_both(void **state)
{
    (void)state;
    static const char json[] =
        "{\"orderId\":\"7\",\"side\":\"SELL\",\"status\":\"PARTIALLY_FILLED\",\"price\":\"1.5\","
        "\"createdAt\":\"2026-01-31T23:59:59.123Z\",\"fills\":[{\"tradeId\":\"1\",\"maker\":true},"
        "{\"tradeId\":\"2\"}]}";
    struct dynamic_pool *pool = contract_pool();
    struct err_detail detail = {0};
    ProtobufCMessage *made = NULL;
    struct buf dynamic_text, generated_text;
    buf_init(&dynamic_text, 65536);
    buf_init(&generated_text, 65536);
    const ProtobufCMessageDescriptor *type = dynamic_pool_message(pool, "trading.Order");
    assert_ok(json_read(json, strlen(json), type, &made, &detail));

    size_t size = protobuf_c_message_get_packed_size(made);
    uint8_t *packed = malloc(size);
    (void)protobuf_c_message_pack(made, packed);
    Trading__Order *order = trading__order__unpack(NULL, size, packed);
    assert_non_null(order);
    assert_int_equal(order->side, TRADING__SIDE__SELL);
    assert_int_equal(order->n_fills, 2);

    assert_ok(json_write(made, &dynamic_text));
    assert_ok(json_write(&order->base, &generated_text));
    assert_string_equal(dynamic_text.data, generated_text.data);
    buf_release(&dynamic_text);
    buf_release(&generated_text);
    free(packed);
    trading__order__free_unpacked(order, NULL);
    protobuf_c_message_free_unpacked(made, NULL);
    dynamic_pool_free(pool);
}

static void a_missing_import_is_named(void **state)
{
    (void)state;
    Google__Protobuf__FileDescriptorProto file = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
    Google__Protobuf__DescriptorProto message = GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT;
    Google__Protobuf__FieldDescriptorProto field = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT;
    Google__Protobuf__DescriptorProto *messages[] = {&message};
    Google__Protobuf__FieldDescriptorProto *fields[] = {&field};
    file.name = (char *)"a.proto";
    file.n_message_type = message.n_field = 1;
    file.message_type = messages;
    message.field = fields;
    message.name = (char *)"A";
    field.name = (char *)"b";
    field.has_number = field.has_type = field.has_label = true;
    field.number = 1;
    field.label = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_OPTIONAL;
    field.type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE;
    field.type_name = (char *)".other.B";

    uint8_t packed[256];
    struct err_detail detail = {0};
    struct dynamic_pool *pool = NULL;
    assert_ok(dynamic_pool_new(&pool));
    ProtobufCBinaryData data = {google__protobuf__file_descriptor_proto__pack(&file, packed),
                                packed};
    assert_err(dynamic_pool_add(pool, &data, 1, &detail), ERR_INVALID);
    assert_non_null(strstr(detail.text, ".other.B"));
    dynamic_pool_free(pool);
}

static void garbage_is_no_descriptor(void **state)
{
    (void)state;
    uint8_t garbage[] = {0xff, 0xff, 0xff};
    struct dynamic_pool *pool = NULL;
    assert_ok(dynamic_pool_new(&pool));
    assert_err(dynamic_pool_add(pool, &(ProtobufCBinaryData){sizeof garbage, garbage}, 1, NULL),
               ERR_INVALID);
    dynamic_pool_free(pool);
    dynamic_pool_free(NULL);
}

/* FileDescriptorProtos as bytes: a tag, a length, what is in it. */
static const struct {
    const char *what, *bytes;
    size_t size;
    enum err err;
} peer_files[] = {
#define FILE_OF(what, bytes, err)                                                                  \
    {                                                                                              \
        what, bytes, sizeof bytes - 1, err                                                         \
    }
    FILE_OF("whole",
            "\x0a\x01"
            "a"
            "\x22\x03\x0a\x01"
            "A",
            OK),
    FILE_OF("a file without a name",
            "\x22\x03\x0a\x01"
            "A",
            ERR_INVALID),
    FILE_OF("a message without a name",
            "\x0a\x01"
            "a"
            "\x22\x00",
            ERR_INVALID),
    FILE_OF("an enum without a name",
            "\x0a\x01"
            "a"
            "\x2a\x00",
            ERR_INVALID),
    FILE_OF("a value without a name",
            "\x0a\x01"
            "a"
            "\x2a\x07\x0a\x01"
            "E"
            "\x12\x02\x10\x01",
            ERR_INVALID),
    FILE_OF("a service without a name",
            "\x0a\x01"
            "a"
            "\x32\x00",
            ERR_INVALID),
    FILE_OF("a method without anything",
            "\x0a\x01"
            "a"
            "\x32\x05\x0a\x01"
            "S"
            "\x12\x00",
            ERR_INVALID),
    FILE_OF("a field without a name",
            "\x0a\x01"
            "a"
            "\x22\x09\x0a\x01"
            "A"
            "\x12\x04\x18\x01\x28\x03",
            ERR_INVALID),
    FILE_OF("two fields of one number",
            "\x0a\x01"
            "a"
            "\x22\x15\x0a\x01"
            "A"
            "\x12\x07\x0a\x01"
            "x"
            "\x18\x01\x28\x03"
            "\x12\x07\x0a\x01"
            "y"
            "\x18\x01\x28\x03",
            ERR_INVALID),
    FILE_OF("a time without its fields",
            "\x0a\x01"
            "a"
            "\x12\x0fgoogle.protobuf"
            "\x22\x0b\x0a\x09Timestamp",
            ERR_INVALID),
};

static void what_a_peer_leaves_out_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof peer_files / sizeof peer_files[0]; i++) {
        struct dynamic_pool *pool = NULL;
        struct err_detail detail = {0};
        assert_ok(dynamic_pool_new(&pool));
        const ProtobufCBinaryData data = {peer_files[i].size, (uint8_t *)peer_files[i].bytes};
        enum err e = dynamic_pool_add(pool, &data, 1, &detail);
        if (e != peer_files[i].err) fail_msg("%s: %s", peer_files[i].what, err_name(e));
        dynamic_pool_free(pool);
    }
}

/* A message of so many fields as its packed file. */
static size_t file_of_fields(unsigned count, uint8_t *ret)
{
    Google__Protobuf__FileDescriptorProto file = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
    Google__Protobuf__DescriptorProto message = GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT;
    Google__Protobuf__DescriptorProto *messages[] = {&message};
    Google__Protobuf__FieldDescriptorProto fields[DYNAMIC_FIELDS_MAX + 1];
    Google__Protobuf__FieldDescriptorProto *pointers[DYNAMIC_FIELDS_MAX + 1];
    for (unsigned i = 0; i < count; i++) {
        google__protobuf__field_descriptor_proto__init(&fields[i]);
        fields[i].name = (char *)"f";
        fields[i].has_number = fields[i].has_type = true;
        fields[i].number = (int)i + 1;
        fields[i].type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL;
        pointers[i] = &fields[i];
    }
    file.name = message.name = (char *)"A";
    file.n_message_type = 1;
    file.message_type = messages;
    message.n_field = count;
    message.field = pointers;
    return google__protobuf__file_descriptor_proto__pack(&file, ret);
}

static void a_message_has_at_most_as_many_fields_as_json_can_read(void **state)
{
    (void)state;
    uint8_t packed[32 * (DYNAMIC_FIELDS_MAX + 1)];
    for (unsigned more = 0; more <= 1; more++) {
        struct dynamic_pool *pool = NULL;
        assert_ok(dynamic_pool_new(&pool));
        const ProtobufCBinaryData data = {file_of_fields(DYNAMIC_FIELDS_MAX + more, packed),
                                          packed};
        assert_err(dynamic_pool_add(pool, &data, 1, NULL), more ? ERR_EXHAUSTED : OK);
        dynamic_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_of_the_contract_is_there),
        cmocka_unit_test(a_message_survives_the_way_through_both),
        cmocka_unit_test(a_missing_import_is_named),
        cmocka_unit_test(garbage_is_no_descriptor),
        cmocka_unit_test(what_a_peer_leaves_out_is_refused),
        cmocka_unit_test(a_message_has_at_most_as_many_fields_as_json_can_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
