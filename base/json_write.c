/* A message to JSON, straight into the buffer. The buffer's error sticks, so it is asked once, at
 * the end. */
#include "base/clock.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/json_path.h"
#include "base/json_type.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE 24 /* the longest is -9223372036854775808 */

/* ---- text ---- */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char shorts[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c == '"' || c == '\\')
        (void)buf_add(out, (char[]){'\\', (char)c}, 2);
    else if (c < sizeof shorts && shorts[c])
        (void)buf_add(out, (char[]){'\\', shorts[c]}, 2);
    else
        (void)buf_add_format(out, "\\u%04x", c);
}

/* Nearly every string has nothing to escape: one pass, one reservation. false: it has, nothing is
 * added. */
static bool add_plain(struct buf *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_plain((unsigned char)text[i])) return false;
    char *at = buf_reserve(out, size + 2);
    if (!at) return true; /* the error sticks */
    at[0] = '"';
    if (size) memcpy(at + 1, text, size);
    at[size + 1] = '"';
    buf_commit(out, size + 2);
    return true;
}

enum err json_add_string(struct buf *out, const char *text, size_t size)
{
    if (add_plain(out, text, size)) return out->error;
    (void)buf_add_char(out, '"');
    for (size_t at = 0; at < size;) {
        unsigned char c = (unsigned char)text[at];
        size_t length = is_plain(c) ? 1 : utf8_next(text + at, size - at);
        if (c < 0x80 && !is_plain(c))
            add_escaped(out, c);
        else
            (void)buf_add(out, length ? text + at : "\xEF\xBF\xBD", length ? length : 3);
        at += length ? length : 1;
    }
    return buf_add_char(out, '"');
}

static void add_text(struct buf *out, const char *text)
{
    (void)json_add_string(out, text ? text : "", text ? strlen(text) : 0);
}

static void add_base64(struct buf *out, const ProtobufCBinaryData *data)
{
    (void)buf_add_char(out, '"');
    size_t size = BASE64URL_SIZE(data->len) - 1;
    char *text = buf_reserve(out, size + 1); /* the NUL of the encoder too */
    if (!text) return;
    base64url_encode(data->data, data->len, text);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '-') text[i] = '+';
        if (text[i] == '_') text[i] = '/';
    }
    buf_commit(out, size);
    (void)buf_add(out, "==", (4 - size % 4) % 4);
    (void)buf_add_char(out, '"');
}

/* ---- values ---- */

static void add_unsigned(struct buf *out, uint64_t value)
{
    char digits[NUMBER_SIZE];
    char *at = digits + sizeof digits;
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    (void)buf_add(out, at, (size_t)(digits + sizeof digits - at));
}

static void add_signed(struct buf *out, int64_t value)
{
    if (value < 0) (void)buf_add_char(out, '-');
    add_unsigned(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static void add_enum(struct buf *out, const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);
    if (known)
        add_text(out, known->name);
    else
        add_signed(out, value); /* from a newer peer */
}

static void add_timestamp(struct buf *out, const ProtobufCMessage *message)
{
    int64_t wall_ms;
    if (!json_timestamp_get(message, &wall_ms)) {
        (void)buf_add_text(
            out, "null"); /* outside of the years 0001 to 9999: RFC 3339 has no word for it */
        return;
    }
    char text[CLOCK_TEXT_SIZE];
    clock_format(wall_ms, text);
    add_text(out, text);
}

static enum err add_message(struct buf *out, const ProtobufCMessage *message, unsigned depth);

static enum err add_value(struct buf *out, const ProtobufCFieldDescriptor *field, const void *value,
                          unsigned depth)
{
    switch (field_kind(field->type)) {
    case KIND_STRING:
        add_text(out, *(const char *const *)value);
        break;
    case KIND_BYTES:
        add_base64(out, value);
        break;
    case KIND_BOOL:
        (void)buf_add_text(out, *(const protobuf_c_boolean *)value ? "true" : "false");
        break;
    case KIND_ENUM:
        add_enum(out, field->descriptor, *(const int *)value);
        break;
    case KIND_INT32:
        add_signed(out, *(const int32_t *)value);
        break;
    case KIND_UINT32:
        add_unsigned(out, *(const uint32_t *)value);
        break;
    case KIND_INT64:
        (void)buf_add_char(out, '"');
        add_signed(out, *(const int64_t *)value);
        (void)buf_add_char(out, '"');
        break;
    case KIND_UINT64:
        (void)buf_add_char(out, '"');
        add_unsigned(out, *(const uint64_t *)value);
        (void)buf_add_char(out, '"');
        break;
    case KIND_MESSAGE:
        return add_message(out, *(const ProtobufCMessage *const *)value, depth + 1);
    case KIND_UNUSED:
        return ERR_UNIMPLEMENTED;
    }
    return OK;
}

static enum err add_list(struct buf *out, const ProtobufCFieldDescriptor *field,
                         const ProtobufCMessage *message, unsigned depth)
{
    size_t count = json_count(field, message);
    const char *items = *(const char *const *)json_value(field, message);
    size_t item_size = json_item_size(field->type);
    (void)buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i) (void)buf_add_char(out, ',');
        enum err e = add_value(out, field, items + i * item_size, depth);
        if (e) return e;
    }
    (void)buf_add_char(out, ']');
    return OK;
}

/* "name": with the comma before it, unless it is the first. */
static void add_name(struct buf *out, const char *name, bool first)
{
    size_t size_max = strlen(name);
    char *at = buf_reserve(out, size_max + 4);
    if (!at) return;
    size_t size = 0;
    if (!first) at[size++] = ',';
    at[size++] = '"';
    size += json_name(name, at + size, size_max);
    at[size++] = '"';
    at[size++] = ':';
    buf_commit(out, size);
}

static enum err add_message(struct buf *out, const ProtobufCMessage *message, unsigned depth)
{
    if (!message) return buf_add_text(out, "null");
    if (json_is_timestamp(message->descriptor)) {
        add_timestamp(out, message);
        return OK;
    }
    if (depth > JSON_DEPTH_MAX) return ERR_INVALID;
    (void)buf_add_char(out, '{');
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        add_name(out, field->name, i == 0);
        enum err e = ERR_UNIMPLEMENTED;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            e = add_list(out, field, message, depth);
        else if (json_is_plain(field))
            e = add_value(out, field, json_value(field, message), depth);
        if (e) return e;
    }
    (void)buf_add_char(out, '}');
    return OK;
}

enum err json_write(const ProtobufCMessage *message, struct buf *out)
{
    enum err e = add_message(out, message, 1);
    return e ? e : out->error;
}
