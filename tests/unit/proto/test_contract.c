/* The contract's tables are complete and sorted, and its checks hold at every limit. */
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "events.pb-c.h"
#include "gateway.pb-c.h"
#include "proto/contract.h"
#include "trading.pb-c.h"
#include "users.pb-c.h"
#include "wallet.pb-c.h"

#define TEXT_MAX 65536

static void every_method_is_found_by_its_name(void **state)
{
    (void)state;
    assert_true(contract_method_count > 0);
    for (size_t i = 0; i < contract_method_count; i++) {
        const struct contract_method *m = &contract_methods[i];
        assert_ptr_equal(contract_method(m->name), m);
        if (i) assert_true(strcmp(contract_methods[i - 1].name, m->name) < 0);
        assert_true(m->index < m->service->n_methods);
        assert_ptr_equal(m->service->methods[m->index].input, m->input);
        assert_ptr_equal(m->service->methods[m->index].output, m->output);
    }
    assert_null(contract_method(""));
    assert_null(contract_method("trading.Trading/"));
    assert_null(contract_method("trading.Trading/placeOrder"));
}

static void every_command_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < contract_method_count; i++)
        if (contract_methods[i].command)
            assert_ptr_equal(contract_command(contract_methods[i].command), &contract_methods[i]);
    assert_string_equal(contract_command("orders.place")->name, "trading.Trading/PlaceOrder");
    assert_null(contract_command(""));
    assert_null(contract_command("orders.Place"));
}

static void services_methods_are_not_public(void **state)
{
    (void)state;
    for (size_t i = 0; i < contract_method_count; i++) {
        const struct contract_method *m = &contract_methods[i];
        if (m->caller == CALLER_SERVICE) assert_true(!m->verb && !m->command);
        assert_true(!m->verb == !m->path);
        assert_int_equal(m->local, !strncmp(m->name, "gateway.Gateway/", 16));
    }
}

static void descriptors_are_a_file_descriptor_set(void **state)
{
    (void)state;
    assert_true(contract_descriptors_size > 1000);
    assert_int_equal(contract_descriptors[0], 0x0A); /* field 1, a message: the first file */
}

static void documents_end_where_they_say(void **state)
{
    (void)state;
    assert_int_equal(strlen(contract_openapi), contract_openapi_size);
    assert_int_equal(strlen(contract_help), contract_help_size);
}

/* ---- contract_check ---- */

struct row {
    const ProtobufCMessageDescriptor *type;
    const char *text;
    const char *field; /* NULL: fine */
    const char *detail;
};

static void check_row(const struct row *row)
{
    ProtobufCMessage *message = NULL;
    struct err_detail detail = {"untouched"};
    char field[CONTRACT_FIELD_SIZE] = "untouched";
    if (json_read(row->text, strlen(row->text), row->type, &message, &detail))
        fail_msg("%s is no %s: %s", row->text, row->type->name, detail.text);
    enum err e = contract_check(message, field, &detail);
    if (e != (row->field ? ERR_INVALID : OK))
        fail_msg("%s is %s: %s %s", row->text, err_name(e), field, detail.text);
    assert_string_equal(field, row->field ? row->field : "untouched");
    assert_string_equal(detail.text, row->field ? row->detail : "untouched");
    protobuf_c_message_free_unpacked(message, NULL);
}

#define PLACE     &trading__place_order_request__descriptor
#define BATCH     &trading__place_orders_request__descriptor
#define ORDERS    &trading__list_orders_request__descriptor
#define SUBSCRIBE &gateway__subscribe_request__descriptor
#define GOOD      "\"symbol\":\"BTC-USDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":\"1\""

static void requests_are_checked_field_by_field(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {PLACE, "{" GOOD "}", NULL, NULL},
        {PLACE, "{" GOOD ",\"price\":\"\",\"clientOrderId\":\"\"}", NULL, NULL},
        {PLACE, "{}", "symbol", "is required"},
        {PLACE, "{\"symbol\":\"BTC-USDT\"}", "side", "is required"},
        {PLACE, "{\"symbol\":\"BTC-USDT\",\"side\":\"SIDE_UNSPECIFIED\"}", "side", "is required"},
        {PLACE, "{\"symbol\":\"btc\"}", "symbol", "a market, as \"BTC-USDT\""},
        {PLACE, "{" GOOD ",\"price\":\"1.\"}", "price",
         "a decimal number in a string, as \"12.50\""},
        {PLACE, "{" GOOD ",\"clientOrderId\":\"a b\"}", "clientOrderId",
         "letters, digits and _ . : -"},
        {BATCH, "{}", "orders", "is required"},
        {BATCH, "{\"orders\":[{" GOOD "},{" GOOD "}]}", NULL, NULL},
        {BATCH, "{\"orders\":[{" GOOD "},{" GOOD ",\"price\":\"x\"}]}", "orders[1].price",
         "a decimal number in a string, as \"12.50\""},
        {BATCH, "{\"orders\":[{" GOOD "},{}]}", "orders[1].symbol", "is required"},
        {ORDERS, "{}", NULL, NULL},
        {ORDERS, "{\"limit\":200}", NULL, NULL},
        {ORDERS, "{\"limit\":201}", "limit", "at most 200"},
        {ORDERS, "{\"limit\":4294967295}", "limit", "at most 200"},
        {SUBSCRIBE, "{\"channels\":[\"\",\"x\"]}", "channels[0]", "is required"},
        {SUBSCRIBE, "{\"channels\":[\"x\"],\"since\":{\"epoch\":\"1\"}}", NULL, NULL},
        {&events__replay_request__descriptor, "{}", NULL, NULL},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
}

/* A text field at its maximum is fine, one more byte is not. */
static void texts_have_a_maximum(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *before, *after, *field;
        size_t max;
    } rows[] = {
        {ORDERS, "{\"cursor\":\"", "\"}", "cursor", 128},
        {PLACE, "{" GOOD ",\"clientOrderId\":\"", "\"}", "clientOrderId", 36},
        {PLACE, "{" GOOD ",\"price\":\"", "\"}", "price", 32},
        {BATCH, "{\"orders\":[{" GOOD ",\"price\":\"", "\"}]}", "orders[0].price", 32},
        {SUBSCRIBE, "{\"channels\":[\"", "\"]}", "channels[0]", 256},
        {&trading__market__descriptor, "{\"status\":\"", "\"}", "status", 256},
        {&users__register_request__descriptor,
         "{\"email\":\"a@b.c\",\"username\":\"ann\",\"password\":\"", "\"}", "password", 72},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "at most %zu bytes", rows[i].max);
        for (size_t size = rows[i].max; size <= rows[i].max + 1; size++) {
            AUTO_BUF struct buf text;
            buf_init(&text, TEXT_MAX);
            (void)buf_add_text(&text, rows[i].before);
            for (size_t n = 0; n < size; n++)
                (void)buf_add_char(&text, '1');
            (void)buf_add_text(&text, rows[i].after);
            bool fine = size == rows[i].max;
            check_row(
                &(struct row){rows[i].type, text.data, fine ? NULL : rows[i].field, expected});
        }
    }
}

static void lists_have_a_maximum(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *name, *item;
        size_t max;
    } rows[] = {
        {BATCH, "orders", "{" GOOD "}", 200},
        {SUBSCRIBE, "channels", "\"x\"", 100},
        {&trading__depth__descriptor, "bids", "{}", 100}, /* says nothing: 100 */
        {&wallet__hold_request__descriptor, "holds", "{}", 8192},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "at most %zu items", rows[i].max);
        for (size_t items = rows[i].max; items <= rows[i].max + 1; items++) {
            AUTO_BUF struct buf text;
            buf_init(&text, TEXT_MAX);
            (void)buf_add_format(&text, "{\"%s\":[", rows[i].name);
            for (size_t n = 0; n < items; n++)
                (void)buf_add_format(&text, "%s%s", n ? "," : "", rows[i].item);
            (void)buf_add_text(&text, "]}");
            bool fine = items == rows[i].max;
            check_row(&(struct row){rows[i].type, text.data, fine ? NULL : rows[i].name, expected});
        }
    }
}

static void bytes_have_a_maximum(void **state)
{
    (void)state;
    Wallet__Hold hold = WALLET__HOLD__INIT;
    char field[CONTRACT_FIELD_SIZE];
    struct err_detail detail;
    uint8_t user[17] = {0};
    hold.user = (ProtobufCBinaryData){16, user};
    assert_ok(contract_check(&hold.base, field, &detail));
    hold.user.len = 17;
    assert_err(contract_check(&hold.base, field, &detail), ERR_INVALID);
    assert_string_equal(field, "user");
    assert_string_equal(detail.text, "at most 16 bytes");
}

/* What JSON cannot bring in, the wire can. */
static void the_wire_is_checked_too(void **state)
{
    (void)state;
    Trading__PlaceOrderRequest order = TRADING__PLACE_ORDER_REQUEST__INIT;
    char field[CONTRACT_FIELD_SIZE];
    struct err_detail detail;
    order.symbol = (char[]){"BTC-USDT"};
    order.side = (Trading__Side)3;
    assert_err(contract_check(&order.base, field, &detail), ERR_INVALID);
    assert_string_equal(field, "side");
    assert_string_equal(detail.text, "a known value");
    assert_err(contract_check(&order.base, field, NULL), ERR_INVALID);

    Trading__ListOrdersRequest orders = TRADING__LIST_ORDERS_REQUEST__INIT;
    static const char *const bad[] = {"\xFF", "a\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xE2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%s", bad[i]);
        orders.cursor = text;
        assert_err(contract_check(&orders.base, field, &detail), ERR_INVALID);
        assert_string_equal(field, "cursor");
        assert_string_equal(detail.text, "valid UTF-8");
    }
}

static void a_password_has_no_control_characters(void **state)
{
    (void)state;
    Users__RegisterRequest request = USERS__REGISTER_REQUEST__INIT;
    char field[CONTRACT_FIELD_SIZE];
    struct err_detail detail;
    request.email = (char[]){"a@b.c"};
    request.username = (char[]){"ann"};
    static const struct {
        const char *text;
        enum err expected;
    } rows[] = {
        {"12345678", OK},
        {"1234567\x7F", ERR_INVALID},
        {"1234567\n", ERR_INVALID},
        {"\x01"
         "2345678",
         ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%s", rows[i].text);
        request.password = text;
        assert_err(contract_check(&request.base, field, &detail), rows[i].expected);
    }
}

/* ---- formats ---- */

static const struct {
    const char *format, *name, *others;
    const ProtobufCMessageDescriptor *type;
} users_of_formats[] = {
    {"asset", "asset", "{}", &wallet__statement_request__descriptor},
    {"decimal", "price", "{" GOOD "}", PLACE},
    {"email", "email", "{\"username\":\"ann\",\"password\":\"12345678\"}",
     &users__register_request__descriptor},
    {"id", "userId", "{}", &users__get_user_request__descriptor},
    {"key", "clientOrderId", "{" GOOD "}", PLACE},
    {"number", "orderId", "{}", &trading__get_order_request__descriptor},
    {"password", "password", "{\"email\":\"a@b.c\",\"username\":\"ann\"}",
     &users__register_request__descriptor},
    {"symbol", "symbol", "{}", &trading__ticker_request__descriptor},
    {"symbols", "symbols", "{}", &trading__quotes_request__descriptor},
    {"username", "username", "{\"email\":\"a@b.c\",\"password\":\"12345678\"}",
     &users__register_request__descriptor},
};
#define FORMAT_COUNT (sizeof users_of_formats / sizeof users_of_formats[0])

static size_t find_format(const char *format)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (!strcmp(users_of_formats[i].format, format)) return i;
    fail_msg("no field here has the format %s", format);
    return 0;
}

static void formats_accept_what_the_table_says(void **state)
{
    (void)state;
    FILE *file = fopen("data/proto/formats.txt", "r");
    assert_non_null(file);
    char line[256], format[32], text[160], verdict[8];
    unsigned rows = 0, seen = 0;
    while (fgets(line, sizeof line, file)) {
        if (*line == '#') continue;
        assert_int_equal(sscanf(line, "%31s %159s %7s", format, text, verdict), 3);
        size_t i = find_format(format);
        seen |= 1U << i;
        ProtobufCMessage *message = NULL;
        const char *others = users_of_formats[i].others;
        assert_ok(json_read(others, strlen(others), users_of_formats[i].type, &message, NULL));
        assert_ok(json_set_text(message, users_of_formats[i].name, text, NULL));
        char field[CONTRACT_FIELD_SIZE] = "";
        enum err e = contract_check(message, field, NULL);
        if (!e != !strcmp(verdict, "ok")) fail_msg("%s %s is %s", format, text, err_name(e));
        if (e) assert_string_equal(field, users_of_formats[i].name);
        protobuf_c_message_free_unpacked(message, NULL);
        rows++;
    }
    (void)fclose(file);
    assert_true(rows > 50);
    assert_int_equal(seen, (1U << FORMAT_COUNT) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_found_by_its_name),
        cmocka_unit_test(every_command_is_found),
        cmocka_unit_test(services_methods_are_not_public),
        cmocka_unit_test(descriptors_are_a_file_descriptor_set),
        cmocka_unit_test(documents_end_where_they_say),
        cmocka_unit_test(requests_are_checked_field_by_field),
        cmocka_unit_test(texts_have_a_maximum),
        cmocka_unit_test(lists_have_a_maximum),
        cmocka_unit_test(bytes_have_a_maximum),
        cmocka_unit_test(the_wire_is_checked_too),
        cmocka_unit_test(a_password_has_no_control_characters),
        cmocka_unit_test(formats_accept_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
