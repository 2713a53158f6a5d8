/* Looks up methods, and walks requests against the limits their fields declare. Refuses to know any
 * service. */
#include "proto/contract.h"

#include "base/json_path.h"
#include "base/json_type.h"
#include "base/utf8.h"
#include "proto/contract_tables.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int compare_method(const void *name, const void *method)
{
    return strcmp(name, ((const struct contract_method *)method)->name);
}

const struct contract_method *contract_method(const char *name)
{
    return bsearch(name, contract_methods, contract_method_count, sizeof contract_methods[0],
                   compare_method);
}

static int compare_command(const void *command, const void *index)
{
    return strcmp(command, contract_methods[*(const uint16_t *)index].command);
}

const struct contract_method *contract_command(const char *command)
{
    const uint16_t *found = bsearch(command, contract_commands, contract_command_count,
                                    sizeof contract_commands[0], compare_command);
    return found ? &contract_methods[*found] : NULL;
}

static int compare_page(const void *name, const void *page)
{
    return strcmp(name, ((const struct contract_page *)page)->name);
}

const struct contract_page *contract_page(const char *name)
{
    return bsearch(name, contract_pages, contract_page_count, sizeof contract_pages[0],
                   compare_page);
}

static int compare_limits(const void *name, const void *limits)
{
    return strcmp(name, ((const struct contract_limits *)limits)->type->name);
}

/* ---- formats: gen/formats.py says the same in patterns ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t count_digits(const char *text)
{
    size_t n = 0;
    while (is_digit(text[n]))
        n++;
    return n;
}

static bool is_decimal(const char *text)
{
    if (*text == '-') text++;
    size_t whole = count_digits(text);
    if (!whole) return false;
    text += whole;
    if (*text != '.') return !*text;
    size_t decimals = count_digits(++text);
    return decimals && !text[decimals];
}

static bool is_id(const char *text)
{
    return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

/* Below 2^64, without leading zeros: one number has one spelling. */
static bool is_number(const char *text)
{
    size_t digits = count_digits(text);
    if (!digits || text[digits] || (digits > 1 && *text == '0')) return false;
    return digits < 20 || (digits == 20 && strcmp(text, "18446744073709551615") <= 0);
}

#define ASSET_SIZE_MAX 16

/* The length of the asset at the start of text, 0 if there is none. */
static size_t asset_length(const char *text)
{
    size_t n = 0;
    while (is_digit(text[n]) || (text[n] >= 'A' && text[n] <= 'Z'))
        n++;
    return n <= ASSET_SIZE_MAX ? n : 0;
}

static bool is_asset(const char *text)
{
    size_t n = asset_length(text);
    return n && !text[n];
}

/* The length of the symbol at the start of text, 0 if there is none: two assets and a dash. */
static size_t symbol_length(const char *text)
{
    size_t base = asset_length(text);
    if (!base || text[base] != '-') return 0;
    size_t quote = asset_length(text + base + 1);
    return quote ? base + 1 + quote : 0;
}

static bool is_symbol(const char *text)
{
    size_t n = symbol_length(text);
    return n && !text[n];
}

static bool is_symbols(const char *text)
{
    for (;;) {
        size_t n = symbol_length(text);
        if (!n) return false;
        if (!text[n]) return true;
        if (text[n] != ',') return false;
        text += n + 1;
    }
}

/* A DNS label: 1 to 63 letters, digits and inner dashes. */
static size_t label_length(const char *text)
{
    size_t n = 0;
    while (is_letter(text[n]) || is_digit(text[n]) || text[n] == '-')
        n++;
    return n && n <= 63 && text[0] != '-' && text[n - 1] != '-' ? n : 0;
}

/* https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address, 64 bytes before the @
 * (RFC 5321). */
static bool is_email(const char *text)
{
    size_t local = 0;
    while (is_letter(text[local]) || is_digit(text[local]) ||
           (text[local] && strchr(".!#$%&'*+/=?^_`{|}~-", text[local])))
        local++;
    if (!local || local > 64 || text[local] != '@') return false;
    for (text += local + 1;; text++) {
        size_t n = label_length(text);
        if (!n) return false;
        text += n;
        if (!*text) return true;
        if (*text != '.') return false;
    }
}

static bool is_username(const char *text)
{
    if (!is_letter(*text)) return false;
    size_t n = 1;
    while (is_letter(text[n]) || is_digit(text[n]) || (text[n] && strchr("_.-", text[n])))
        n++;
    return n > 1 && !text[n];
}

#define PASSWORD_SIZE_MIN 8

static bool is_password(const char *text)
{
    size_t n = 0;
    for (; text[n]; n++)
        if ((unsigned char)text[n] < 0x20 || text[n] == 0x7F) return false;
    return n >= PASSWORD_SIZE_MIN;
}

static bool is_key(const char *text)
{
    size_t n = 0;
    while (is_letter(text[n]) || is_digit(text[n]) || (text[n] && strchr("_.:-", text[n])))
        n++;
    return n && !text[n];
}

static const struct {
    bool (*check)(const char *text);
    const char *words;
} formats[] = {
    [FORMAT_ASSET] = {is_asset, "an asset, as \"USDT\""},
    [FORMAT_DECIMAL] = {is_decimal, "a decimal number in a string, as \"12.50\""},
    [FORMAT_EMAIL] = {is_email, "an e-mail address, as \"ann@example.com\""},
    [FORMAT_ID] = {is_id, "an id: 32 lower-case hex digits"},
    [FORMAT_KEY] = {is_key, "letters, digits and _ . : -"},
    [FORMAT_NUMBER] = {is_number, "a whole number below 2^64 in a string"},
    [FORMAT_PASSWORD] = {is_password, "at least 8 bytes, no control characters"},
    [FORMAT_SYMBOL] = {is_symbol, "a market, as \"BTC-USDT\""},
    [FORMAT_SYMBOLS] = {is_symbols, "markets between commas, as \"BTC-USDT,ETH-USDT\""},
    [FORMAT_USERNAME] = {is_username, "a letter, then letters, digits and _ . -"},
};

/* ---- the walk ---- */

/* Where the walk is: a field, or an item of one, in a message that is where `in` says. */
struct place {
    const struct place *in; /* NULL: the request itself */
    const char *name;
    long item;
};

struct walk {
    char *ret_field; /* CONTRACT_FIELD_SIZE */
    struct err_detail *detail;
    const struct place *at;
};

static_assert(CONTRACT_FIELD_SIZE == JSON_PATH_SIZE, "a field is told by its path");

/* Only a refusal spells its path: most requests are good. */
static void spell(const struct place *place, struct json_path *path)
{
    if (!place) return;
    spell(place->in, path);
    (void)json_path_enter(path, place->name, place->item);
}

static void tell_field(const struct walk *w)
{
    struct json_path path = {.size = 0};
    spell(w->at, &path);
    memcpy(w->ret_field, path.text, sizeof path.text);
}

static enum err refuse(struct walk *w, const char *right)
{
    tell_field(w);
    return err_set(w->detail, ERR_INVALID, "%s", right);
}

static enum err refuse_above(struct walk *w, uint64_t max, const char *unit)
{
    tell_field(w);
    return err_set(w->detail, ERR_INVALID, "at most %" PRIu64 "%s", max, unit);
}

static enum err check_string(struct walk *w, const struct contract_limit *limit, const char *text)
{
    size_t size = strlen(text);
    if (!size) return limit->required ? refuse(w, "is required") : OK;
    if (size > limit->size_max) return refuse_above(w, limit->size_max, " bytes");
    if (!utf8_valid(text, size)) return refuse(w, "valid UTF-8");
    if (limit->format && !formats[limit->format].check(text))
        return refuse(w, formats[limit->format].words);
    return OK;
}

static enum err check_bytes(struct walk *w, const struct contract_limit *limit,
                            const ProtobufCBinaryData *data)
{
    if (!data->len && limit->required) return refuse(w, "is required");
    return data->len > limit->size_max ? refuse_above(w, limit->size_max, " bytes") : OK;
}

static enum err check_integer(struct walk *w, const struct contract_limit *limit, uint64_t value,
                              bool negative)
{
    if (!value && limit->required) return refuse(w, "is required");
    if (limit->value_max && (negative || value > limit->value_max))
        return refuse_above(w, limit->value_max, "");
    return OK;
}

static enum err check_signed(struct walk *w, const struct contract_limit *limit, int64_t value)
{
    return check_integer(w, limit, (uint64_t)value, value < 0);
}

static enum err check_enum(struct walk *w, const struct contract_limit *limit,
                           const ProtobufCEnumDescriptor *type, int value)
{
    if (!protobuf_c_enum_descriptor_get_value(type, value)) return refuse(w, "a known value");
    return value == 0 && limit->required ? refuse(w, "is required") : OK;
}

static enum err check_message(struct walk *w, const struct contract_limits *limits,
                              const ProtobufCMessage *message);

static enum err check_value(struct walk *w, const struct contract_limit *limit,
                            const ProtobufCFieldDescriptor *field, const void *value)
{
    switch (field_kind(field->type)) {
    case KIND_STRING:
        return check_string(w, limit, *(const char *const *)value);
    case KIND_BYTES:
        return check_bytes(w, limit, value);
    case KIND_ENUM:
        return check_enum(w, limit, field->descriptor, *(const int *)value);
    case KIND_MESSAGE: {
        const ProtobufCMessage *message = *(const ProtobufCMessage *const *)value;
        if (message) return check_message(w, limit->message, message);
        return limit->required ? refuse(w, "is required") : OK;
    }
    case KIND_INT32:
        return check_signed(w, limit, *(const int32_t *)value);
    case KIND_UINT32:
        return check_integer(w, limit, *(const uint32_t *)value, false);
    case KIND_INT64:
        return check_signed(w, limit, *(const int64_t *)value);
    case KIND_UINT64:
        return check_integer(w, limit, *(const uint64_t *)value, false);
    case KIND_BOOL:
    case KIND_UNUSED:
        break;
    }
    return OK;
}

static enum err check_list(struct walk *w, const struct contract_limit *limit,
                           const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
    struct place place = {w->at, field->name, JSON_NOT_AN_ITEM};
    size_t count = json_count(field, message);
    const char *items = *(const char *const *)json_value(field, message);
    size_t item_size = json_item_size(field->type);

    enum err e = OK;

    w->at = &place;
    if (!count && limit->required) e = refuse(w, "is required");
    if (count > limit->items_max) e = refuse_above(w, limit->items_max, " items");
    for (size_t i = 0; i < count && !e; i++) {
        place.item = (long)i;
        e = check_value(w, limit, field, items + i * item_size);
    }
    w->at = place.in;
    return e;
}

static enum err check_single(struct walk *w, const struct contract_limit *limit,
                             const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
    const struct place place = {w->at, field->name, JSON_NOT_AN_ITEM};
    w->at = &place;
    enum err e = check_value(w, limit, field, json_value(field, message));
    w->at = place.in;
    return e;
}

static enum err check_message(struct walk *w, const struct contract_limits *limits,
                              const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < limits->type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &limits->type->fields[i];
        bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
        enum err e = list ? check_list(w, &limits->fields[i], field, message)
                          : check_single(w, &limits->fields[i], field, message);
        if (e) return e;
    }
    return OK;
}

enum err contract_check(const ProtobufCMessage *message, char ret_field[static CONTRACT_FIELD_SIZE],
                        struct err_detail *detail)
{
    const struct contract_limits *limits =
        bsearch(message->descriptor->name, contract_limits, contract_limits_count,
                sizeof contract_limits[0], compare_limits);
    CHECK(limits); /* a message of the contract */
    struct walk w = {.ret_field = ret_field, .detail = detail};
    return check_message(&w, limits, message);
}
