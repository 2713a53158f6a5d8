/*
 * JSON <-> protobuf by protobuf-c descriptors: the canonical proto3 JSON mapping
 * (https://protobuf.dev/programming-guides/proto3/#json). Names are lowerCamelCase (both spellings
 * are read), 64-bit integers are strings (numbers are read too), enums are their value names, bytes
 * are base64, google.protobuf.Timestamp is RFC 3339 in UTC with milliseconds. Every field is
 * written, also at its default, so that clients see stable shapes; an unset message is null; null
 * is read as unset. Floats, oneofs and proto2 are no part of the contract: ERR_UNIMPLEMENTED.
 *
 * Parsing is by jansson; unknown fields, duplicate keys, wrong types, invalid UTF-8, NUL in
 * strings, trailing text, and more than JSON_DEPTH_MAX levels are refused with the field's path.
 * Thread-safe; nothing blocks.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#define JSON_DEPTH_MAX  16
#define JSON_FIELDS_MAX 64 /* of a message: one bit each; the contract's generator checks it */

/* Does text nest more than JSON_DEPTH_MAX levels? Asked before a parser that recurses gets it. */
bool json_is_too_deep(const char *text, size_t size);

/* Appends a string with its quotes, escaped. Invalid UTF-8 becomes U+FFFD. */
enum err json_add_string(struct buf *out, const char *text, size_t size);

/* Appends the message. ERR_EXHAUSTED: out is at its maximum; ERR_INVALID: more than JSON_DEPTH_MAX
 * levels. */
MUST_CHECK enum err json_write(const ProtobufCMessage *message, struct buf *out);

/*
 * size bytes of JSON text, an object, to a message that the caller frees with
 * protobuf_c_message_free_unpacked(m, NULL). ERR_INVALID: detail is "path: what would be right", as
 * "orders[3].price: a string"; ERR_NO_MEMORY (jansson calls some of these bad text, so ERR_INVALID
 * it may be too). ret is untouched on failure.
 */
MUST_CHECK enum err json_read(const char *text, size_t size, const ProtobufCMessageDescriptor *type,
                              ProtobufCMessage **ret, struct err_detail *detail);

/*
 * Sets one field from text (a path or query parameter): scalars and enums as in JSON; a repeated
 * field splits at commas. What the field was before is freed, so the message must be one that
 * json_read (or protobuf-c's unpack) made. ERR_INVALID: no such field, or not its type;
 * ERR_NO_MEMORY; the message is untouched.
 */
MUST_CHECK enum err json_set_text(ProtobufCMessage *message, const char *name, const char *text,
                                  struct err_detail *detail);

#endif
