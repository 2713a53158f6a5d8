/* JSON to a message. jansson parses; here every value is judged by the descriptor of its field. */
#include "base/auto.h"
#include "base/clock.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/json_path.h"
#include "base/json_type.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

AUTO_DEFINE(json_t, json_decref)
#define AUTO_JSON AUTO(auto_json_decref)

static void free_message(ProtobufCMessage *message)
{
    protobuf_c_message_free_unpacked(message, NULL);
}
AUTO_DEFINE(ProtobufCMessage, free_message)
#define AUTO_MESSAGE AUTO(auto_free_message)

#define DOUBLE_EXACT                                                                               \
    9007199254740992.0   /* 2^53: up to here a double is the number that was written */
#define KEY_SHOWN_MAX 64 /* bytes of an unknown key that an error repeats */

struct reading {
    struct json_path path;
    struct err_detail *detail;
};

static enum err refuse(struct reading *r, const char *right)
{
    return err_set(r->detail, ERR_INVALID, "%s%s%s", r->path.text, r->path.size ? ": " : "", right);
}

/* Unpacked from nothing: that also works for descriptors made at run time, which have no init. */
static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *type)
{
    return protobuf_c_message_unpack(type, NULL, 0, NULL);
}

/* ---- numbers ---- */

/* An integer, however it is written, as its sign and magnitude. */
struct number {
    bool negative;
    uint64_t magnitude;
};

static bool parse_digits(const char *text, struct number *ret)
{
    struct number n = {.negative = *text == '-'};
    if (n.negative) text++;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        if (__builtin_mul_overflow(n.magnitude, 10, &n.magnitude) ||
            __builtin_add_overflow(n.magnitude, (uint64_t)(*text - '0'), &n.magnitude))
            return false;
    }
    *ret = n;
    return true;
}

static bool parse_number(const json_t *value, struct number *ret)
{
    if (json_is_string(value)) return parse_digits(json_string_value(value), ret);
    if (json_is_integer(value)) {
        json_int_t integer = json_integer_value(value);
        *ret = (struct number){integer < 0, integer < 0 ? -(uint64_t)integer : (uint64_t)integer};
        return true;
    }
    if (!json_is_real(value)) return false;
    double real = json_real_value(value); /* "1e3" and "5.0" are integers too */
    if (!(real >= -DOUBLE_EXACT && real <= DOUBLE_EXACT) || real != (double)(int64_t)real)
        return false;
    *ret = (struct number){real < 0, (uint64_t)(int64_t)(real < 0 ? -real : real)};
    return true;
}

static bool number_to_signed(struct number n, int64_t min, int64_t max, int64_t *ret)
{
    if (n.magnitude > (n.negative ? -(uint64_t)min : (uint64_t)max)) return false;
    *ret = n.negative ? (int64_t)-n.magnitude : (int64_t)n.magnitude;
    return true;
}

static enum err read_signed(struct reading *r, const json_t *value, int64_t max, int64_t *ret)
{
    struct number n;
    if (parse_number(value, &n) && number_to_signed(n, -max - 1, max, ret)) return OK;
    return refuse(r, max == INT32_MAX ? "an integer of 32 bits"
                                      : "an integer of 64 bits, in a string");
}

static enum err read_unsigned(struct reading *r, const json_t *value, uint64_t max, uint64_t *ret)
{
    struct number n;
    if (parse_number(value, &n) && n.magnitude <= max && (!n.negative || !n.magnitude)) {
        *ret = n.magnitude;
        return OK;
    }
    return refuse(r, max == UINT32_MAX ? "an integer from 0 to 2^32 - 1"
                                       : "an integer from 0 to 2^64 - 1, in a string");
}

/* ---- the other scalars ---- */

static enum err read_string(struct reading *r, const json_t *value, char **ret)
{
    if (!json_is_string(value)) return refuse(r, "a string");
    char *copy = strdup(json_string_value(value));
    if (!copy) return ERR_NO_MEMORY;
    *ret = copy;
    return OK;
}

/* base64 as RFC 4648 has it, either alphabet, padded or not. */
static enum err read_bytes(struct reading *r, const json_t *value, ProtobufCBinaryData *ret)
{
    if (!json_is_string(value)) return refuse(r, "base64 in a string");
    size_t letters = json_string_length(value);
    if (!letters) return OK;
    AUTO_BUF struct buf text;
    buf_init(&text, letters);
    if (buf_add(&text, json_string_value(value), letters)) return text.error;
    for (size_t i = 0; i < letters; i++) {
        if (text.data[i] == '+') text.data[i] = '-';
        if (text.data[i] == '/') text.data[i] = '_';
    }
    for (unsigned padding = 0;
         letters % 4 == 0 && padding < 2 && text.data[letters - 1 - padding] == '=';)
        text.data[letters - 1 - padding++] = 0;

    uint8_t *data = malloc(letters);
    if (!data) return ERR_NO_MEMORY;
    size_t size = letters;
    if (base64url_decode(text.data, data, &size)) {
        free(data);
        return refuse(r, "base64 in a string");
    }
    *ret = (ProtobufCBinaryData){.len = size, .data = data};
    return OK;
}

static enum err read_enum(struct reading *r, const json_t *value,
                          const ProtobufCEnumDescriptor *type, int *ret)
{
    const ProtobufCEnumValue *known = NULL;
    struct number n;
    int64_t number;
    if (json_is_string(value))
        known = protobuf_c_enum_descriptor_get_value_by_name(type, json_string_value(value));
    else if (parse_number(value, &n) && number_to_signed(n, INT32_MIN, INT32_MAX, &number))
        known = protobuf_c_enum_descriptor_get_value(type, (int)number);
    if (known) {
        *ret = known->value;
        return OK;
    }
    AUTO_BUF struct buf names;
    buf_init(&names, ERR_DETAIL_MAX / 2);
    for (unsigned i = 0; i < type->n_values; i++)
        (void)buf_add_format(&names, "%s%s", i ? ", " : "one of ", type->values[i].name);
    return refuse(r, names.error ? "a value of its enum" : names.data);
}

static enum err read_timestamp(struct reading *r, json_t *value, ProtobufCMessage *ret)
{
    int64_t wall_ms;
    if (json_is_string(value) &&
        !clock_parse(json_string_value(value), json_string_length(value), &wall_ms)) {
        json_timestamp_set(ret, wall_ms);
        if (json_timestamp_get(ret, &wall_ms)) return OK; /* else: the year 0000 */
    }
    return refuse(r, "a time, as \"2026-01-31T23:59:59.123Z\"");
}

/* ---- messages ---- */

static enum err read_message(struct reading *r, json_t *object, ProtobufCMessage *message);

static enum err read_child(struct reading *r, json_t *value, const ProtobufCMessageDescriptor *type,
                           ProtobufCMessage **ret)
{
    AUTO_MESSAGE ProtobufCMessage *child = new_message(type);
    if (!child) return ERR_NO_MEMORY;
    enum err e =
        json_is_timestamp(type) ? read_timestamp(r, value, child) : read_message(r, value, child);
    if (e) return e;
    *ret = TAKE(child);
    return OK;
}

/* `at` is where the value belongs, and holds the default. */
static enum err read_value(struct reading *r, const ProtobufCFieldDescriptor *field, json_t *value,
                           void *at)
{
    int64_t number = 0;
    uint64_t natural = 0;
    enum err e = OK;
    switch (field_kind(field->type)) {
    case KIND_STRING:
        return read_string(r, value, at);
    case KIND_BYTES:
        return read_bytes(r, value, at);
    case KIND_ENUM:
        return read_enum(r, value, field->descriptor, at);
    case KIND_MESSAGE:
        return read_child(r, value, field->descriptor, at);
    case KIND_BOOL:
        if (!json_is_boolean(value)) return refuse(r, "true or false");
        *(protobuf_c_boolean *)at = json_is_true(value);
        return OK;
    case KIND_INT32:
        e = read_signed(r, value, INT32_MAX, &number);
        if (!e) *(int32_t *)at = (int32_t)number;
        return e;
    case KIND_UINT32:
        e = read_unsigned(r, value, UINT32_MAX, &natural);
        if (!e) *(uint32_t *)at = (uint32_t)natural;
        return e;
    case KIND_INT64:
        return read_signed(r, value, INT64_MAX, at);
    case KIND_UINT64:
        return read_unsigned(r, value, UINT64_MAX, at);
    case KIND_UNUSED:
        break;
    }
    return ERR_UNIMPLEMENTED;
}

static enum err read_list(struct reading *r, const ProtobufCFieldDescriptor *field, json_t *value,
                          ProtobufCMessage *message)
{
    if (!json_is_array(value)) {
        (void)json_path_enter(&r->path, field->name, JSON_NOT_AN_ITEM);
        return refuse(r, "a list");
    }
    size_t total = json_array_size(value);
    if (!total) return OK;
    size_t item_size = json_item_size(field->type);
    char *items = calloc(total, item_size);
    if (!items) return ERR_NO_MEMORY;
    *(char **)json_slot(field, message) = items; /* freed with the message from here on */

    for (size_t i = 0; i < total; i++) {
        void *item = items + i * item_size;
        size_t before = json_path_enter(&r->path, field->name, (long)i);
        enum err e = read_value(r, field, json_array_get(value, i), item);
        if (e) return e;
        ++*json_count_slot(field, message);
        json_path_leave(&r->path, before);
    }
    return OK;
}

static enum err read_field(struct reading *r, const ProtobufCFieldDescriptor *field, json_t *value,
                           ProtobufCMessage *message)
{
    if (json_is_null(value)) return OK; /* the default */
    if (field->label == PROTOBUF_C_LABEL_REPEATED) return read_list(r, field, value, message);
    if (!json_is_plain(field)) return ERR_UNIMPLEMENTED;
    size_t before = json_path_enter(&r->path, field->name, JSON_NOT_AN_ITEM);
    enum err e = read_value(r, field, value, json_slot(field, message));
    if (!e) json_path_leave(&r->path, before);
    return e;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  const char *key)
{
    for (unsigned i = 0; i < type->n_fields; i++)
        if (json_name_is(type->fields[i].name, key)) return &type->fields[i];
    return NULL;
}

static enum err refuse_unknown(struct reading *r, const char *key)
{
    char shown[KEY_SHOWN_MAX];
    size_t size = strnlen(key, sizeof shown - 1);
    memcpy(shown, key, size);
    shown[size] = 0;
    return err_set(r->detail, ERR_INVALID, "%s%s%s: no such field", r->path.text,
                   r->path.size ? "." : "", shown);
}

static enum err read_message(struct reading *r, json_t *object, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (!json_is_object(object)) return refuse(r, "an object");
    CHECK(type->n_fields <= JSON_FIELDS_MAX);
    uint64_t seen = 0;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const ProtobufCFieldDescriptor *field = find_field(type, key);
        if (!field) return refuse_unknown(r, key);
        uint64_t bit = UINT64_C(1) << (field - type->fields);
        if (seen & bit) { /* in both spellings: jansson sees the same one twice */
            (void)json_path_enter(&r->path, field->name, JSON_NOT_AN_ITEM);
            return refuse(r, "only once");
        }
        seen |= bit;
        enum err e = read_field(r, field, value, message);
        if (e) return e;
    }
    return OK;
}

/* ---- the text ---- */

/* jansson would follow a text 2048 levels down before the descriptors could stop it. */
bool json_is_too_deep(const char *text, size_t size)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) return true;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return false;
}

/* In our own words: jansson's repeat the text. */
static const char *syntax_words(enum json_error_code code)
{
    switch (code) {
    case json_error_duplicate_key:
        return "a key is there twice";
    case json_error_invalid_utf8:
        return "not UTF-8";
    case json_error_null_character:
        return "a NUL character in a string";
    case json_error_premature_end_of_input:
        return "ends too early";
    case json_error_end_of_input_expected:
        return "something follows the object";
    case json_error_numeric_overflow:
        return "a number is too large; write 64-bit integers as strings";
    default:
        return "not JSON";
    }
}

enum err json_read(const char *text, size_t size, const ProtobufCMessageDescriptor *type,
                   ProtobufCMessage **ret, struct err_detail *detail)
{
    if (json_is_too_deep(text, size))
        return err_set(detail, ERR_INVALID, "more than %d levels deep", JSON_DEPTH_MAX);
    json_error_t error = {0}; /* jansson says nothing when memory is out */
    AUTO_JSON json_t *root =
        json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        if (!error.text[0]) return ERR_NO_MEMORY;
        return err_set(detail, ERR_INVALID, "%s (line %d, column %d)",
                       syntax_words(json_error_code(&error)), error.line, error.column);
    }
    AUTO_MESSAGE ProtobufCMessage *message = new_message(type);
    if (!message) return ERR_NO_MEMORY;
    struct reading r = {.detail = detail};
    enum err e = read_message(&r, root, message);
    if (e) return e;
    *ret = TAKE(message);
    return OK;
}

/* ---- one field from text ---- */

static json_t *text_to_json(ProtobufCType type, const char *text, size_t size)
{
    if (type != PROTOBUF_C_TYPE_BOOL) return json_stringn(text, size);
    if (size == 4 && !memcmp(text, "true", 4)) return json_true();
    if (size == 5 && !memcmp(text, "false", 5)) return json_false();
    return json_stringn(text, size);
}

static json_t *text_to_list(ProtobufCType type, const char *text)
{
    AUTO_JSON json_t *list = json_array();
    if (!list || !*text) return TAKE(list);
    for (;; text++) {
        size_t size = strcspn(text, ",");
        if (json_array_append_new(list, text_to_json(type, text, size))) return NULL;
        text += size;
        if (!*text) return TAKE(list);
    }
}

static void swap_bytes(void *a, void *b, size_t size)
{
    char kept[sizeof(ProtobufCBinaryData)];
    CHECK(size <= sizeof kept);
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

static void swap_field(const ProtobufCFieldDescriptor *field, ProtobufCMessage *a,
                       ProtobufCMessage *b)
{
    bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
    size_t size = is_list ? sizeof(void *) : json_item_size(field->type);
    swap_bytes(json_slot(field, a), json_slot(field, b), size);
    if (is_list) swap_bytes(json_count_slot(field, a), json_count_slot(field, b), sizeof(size_t));
}

enum err json_set_text(ProtobufCMessage *message, const char *name, const char *text,
                       struct err_detail *detail)
{
    struct reading r = {.detail = detail};
    const ProtobufCFieldDescriptor *field = find_field(message->descriptor, name);
    if (!field) return refuse_unknown(&r, name);
    if (!utf8_valid(text, strlen(text))) return err_set(detail, ERR_INVALID, "%s: not UTF-8", name);
    bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
    AUTO_JSON json_t *value =
        is_list ? text_to_list(field->type, text) : text_to_json(field->type, text, strlen(text));
    if (!value) return ERR_NO_MEMORY;

    AUTO_MESSAGE ProtobufCMessage *fresh = new_message(message->descriptor);
    if (!fresh) return ERR_NO_MEMORY;
    enum err e = read_field(&r, field, value, fresh);
    if (e) return e;
    swap_field(field, message, fresh); /* what it was before is freed with fresh */
    return OK;
}
