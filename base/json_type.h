/*
 * What base/json reads and writes of protobuf-c's types, and where a field's value lies in its
 * message. Thread-safe; nothing blocks.
 */
#ifndef BASE_JSON_TYPE_H
#define BASE_JSON_TYPE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
    KIND_UNUSED, /* float, double: never for money, so nowhere */
    KIND_STRING,
    KIND_BYTES,
    KIND_BOOL,
    KIND_ENUM,
    KIND_INT32,
    KIND_UINT32,
    KIND_INT64,
    KIND_UINT64,
    KIND_MESSAGE,
};

enum field_kind field_kind(ProtobufCType type);

/* Bytes from one item of a list to the next. */
size_t json_item_size(ProtobufCType type);

/* Where the field's value is: of a list, the pointer to its items. */
static inline const void *json_value(const ProtobufCFieldDescriptor *field,
                                     const ProtobufCMessage *message)
{
    return (const char *)message + field->offset;
}

static inline void *json_slot(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
    return (char *)message + field->offset;
}

/* How many items a list has. */
static inline size_t json_count(const ProtobufCFieldDescriptor *field,
                                const ProtobufCMessage *message)
{
    return *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
}

static inline size_t *json_count_slot(const ProtobufCFieldDescriptor *field,
                                      ProtobufCMessage *message)
{
    return (size_t *)(void *)((char *)message + field->quantifier_offset);
}

/* proto3, neither list nor oneof: what the contract consists of. */
static inline bool json_is_plain(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_NONE && !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
}

/* google.protobuf.Timestamp is a string in JSON. Messages of it, without its generated header: */
bool json_is_timestamp(const ProtobufCMessageDescriptor *type);
/* Milliseconds, rounded down. false: not within the years 0001 to 9999, or nanos not within a
 * second. */
bool json_timestamp_get(const ProtobufCMessage *message, int64_t *ret_wall_ms);
void json_timestamp_set(ProtobufCMessage *message, int64_t wall_ms);

#endif
