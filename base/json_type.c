/* Protobuf-c's types as the JSON mapping sees them. */
#include "base/json_type.h"

#include "base/err.h"

#include <string.h>

enum field_kind field_kind(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
        return KIND_STRING;
    case PROTOBUF_C_TYPE_BYTES:
        return KIND_BYTES;
    case PROTOBUF_C_TYPE_BOOL:
        return KIND_BOOL;
    case PROTOBUF_C_TYPE_ENUM:
        return KIND_ENUM;
    case PROTOBUF_C_TYPE_MESSAGE:
        return KIND_MESSAGE;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return KIND_INT32;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return KIND_UINT32;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return KIND_INT64;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return KIND_UINT64;
    default:
        return KIND_UNUSED;
    }
}

size_t json_item_size(ProtobufCType type)
{
    switch (field_kind(type)) {
    case KIND_STRING:
    case KIND_MESSAGE:
        return sizeof(void *);
    case KIND_BYTES:
        return sizeof(ProtobufCBinaryData);
    case KIND_BOOL:
        return sizeof(protobuf_c_boolean);
    case KIND_INT64:
    case KIND_UINT64:
        return sizeof(uint64_t);
    case KIND_ENUM:
    case KIND_INT32:
    case KIND_UINT32:
        return sizeof(uint32_t);
    case KIND_UNUSED:
        return type == PROTOBUF_C_TYPE_FLOAT ? sizeof(float) : sizeof(double);
    }
    return 0;
}

/* ---- google.protobuf.Timestamp: {int64 seconds = 1; int32 nanos = 2;} ---- */

#define SECONDS_MIN   INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define SECONDS_MAX   INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define NANOS_PER_MS  1000000
#define MS_PER_SECOND 1000

bool json_is_timestamp(const ProtobufCMessageDescriptor *type)
{
    return !strcmp(type->name, "google.protobuf.Timestamp");
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *message, unsigned number)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(message->descriptor, number);
    CHECK(field);
    return field;
}

bool json_timestamp_get(const ProtobufCMessage *message, int64_t *ret_wall_ms)
{
    int64_t seconds = *(const int64_t *)json_value(field_of(message, 1), message);
    int32_t nanos = *(const int32_t *)json_value(field_of(message, 2), message);
    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX) return false;
    if (nanos < 0 || nanos >= MS_PER_SECOND * NANOS_PER_MS) return false;
    *ret_wall_ms = seconds * MS_PER_SECOND + nanos / NANOS_PER_MS;
    return true;
}

void json_timestamp_set(ProtobufCMessage *message, int64_t wall_ms)
{
    int64_t seconds = wall_ms / MS_PER_SECOND - (wall_ms % MS_PER_SECOND < 0);
    *(int64_t *)json_slot(field_of(message, 1), message) = seconds;
    *(int32_t *)json_slot(field_of(message, 2), message) =
        (int32_t)(wall_ms - seconds * MS_PER_SECOND) * NANOS_PER_MS;
}
