/* What clients say, read or refused; and what they are answered. */
#include "support/unit.h"

#include "answer.h"
#include "base/json.h"
#include "command_message.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void good_messages_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *command, *msg_id, *params;
    } cases[] = {
        {"{\"command\":\"ping\",\"msgId\":\"1\"}", "ping", "1", "{}"},
        {"{\"msgId\":\"1\",\"limit\":5,\"command\":\"orders.open\",\"symbol\":\"A-B\"}",
         "orders.open", "1", "{\"limit\":5,\"symbol\":\"A-B\"}"},
        {"{\"\\u0063ommand\":\"ping\",\"msgId\":\"gr\\u00fc\\u00df\"}", "ping",
         "gr\xC3\xBC\xC3\x9F", "{}"},
        {"{\"command\":\"x\",\"msgId\":\"1\",\"orders\":[{\"a\":null}]}", "x", "1",
         "{\"orders\":[{\"a\":null}]}"},
        {"{\"type\":\"authenticate\",\"data\":{\"token\":\"t\"}}", "authenticate", "",
         "{\"token\":\"t\"}"},
        {"{\"type\":\"authenticate\",\"msgId\":\"9\",\"data\":{}}", "authenticate", "9", "{}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct command_message m;
        assert_ok(command_message_read(cases[i].text, strlen(cases[i].text), &m, NULL));
        assert_string_equal(m.command, cases[i].command);
        assert_string_equal(m.msg_id, cases[i].msg_id);
        assert_string_equal(m.params, cases[i].params);
        command_message_release(&m);
    }
}

static void bad_messages_are_refused_with_the_msg_id_they_had(void **state)
{
    (void)state;
    static const struct {
        const char *text, *msg_id;
    } cases[] = {
        {"", ""},
        {"ping", ""},
        {"[]", ""},
        {"\"command\"", ""},
        {"{\"command\":\"ping\"}", ""},
        {"{\"command\":\"ping\",\"msgId\":1}", ""},
        {"{\"command\":\"ping\",\"msgId\":\"\"}", ""},
        {"{\"command\":\"\",\"msgId\":\"1\"}", "1"},
        {"{\"command\":7,\"msgId\":\"1\"}", "1"},
        {"{\"msgId\":\"1\"}", "1"},
        {"{\"command\":\"ping\",\"msgId\":\"1\"} {}", ""},
        {"{\"command\":\"ping\",\"command\":\"ping\",\"msgId\":\"1\"}", ""},
        {"{\"command\":\"ping\",\"msgId\":\"a\\u0000b\"}", ""},
        {"{\"type\":\"login\",\"msgId\":\"1\",\"data\":{}}", "1"},
        {"{\"type\":\"authenticate\",\"msgId\":\"1\",\"data\":[]}", "1"},
        {"{\"type\":\"authenticate\",\"msgId\":\"1\",\"data\":{},\"more\":1}", "1"},
        {"{\"type\":\"authenticate\",\"msgId\":\"1\"}", "1"},
        {"{\"command\":\"x\",\"msgId\":\"1\",\"a\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct command_message m;
        struct err_detail detail = {0};
        assert_err(command_message_read(cases[i].text, strlen(cases[i].text), &m, &detail),
                   ERR_INVALID);
        assert_string_equal(m.msg_id, cases[i].msg_id);
        assert_true(detail.text[0]);
        command_message_release(&m);
    }
}

static void names_and_ids_have_limits(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        char text[512], name[COMMAND_NAME_MAX + 2], id[COMMAND_MSG_ID_MAX + 2];
        struct command_message m;
        memset(name, 'n', sizeof name);
        memset(id, 'i', sizeof id);
        name[COMMAND_NAME_MAX] = id[COMMAND_MSG_ID_MAX + over] = 0;
        int size = snprintf(text, sizeof text, "{\"command\":\"%s\",\"msgId\":\"%s\"}", name, id);
        assert_err(command_message_read(text, (size_t)size, &m, NULL), over ? ERR_INVALID : OK);
        command_message_release(&m);
        name[COMMAND_NAME_MAX] = 'n';
        name[COMMAND_NAME_MAX + over] = 0;
        size = snprintf(text, sizeof text, "{\"command\":\"%s\",\"msgId\":\"1\"}", name);
        assert_err(command_message_read(text, (size_t)size, &m, NULL), over ? ERR_INVALID : OK);
        command_message_release(&m);
    }
}

/* ---- answers ---- */

static void results_and_errors_have_their_form(void **state)
{
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    answer_result(&out, "7", NULL, "{\"a\":1}", 7);
    assert_string_equal(out.data, "{\"msgId\":\"7\",\"ok\":true,\"result\":{\"a\":1}}");
    buf_clear(&out);
    struct rpc_status status = {
        .err = ERR_PRECONDITION, .message = "too \"little\"", .reason = "insufficient_funds"};
    answer_error(&out, "", NULL, &status);
    assert_string_equal(out.data, "{\"msgId\":null,\"ok\":false,\"error\":{\"code\":"
                                  "\"insufficient_funds\",\"message\":\"too \\\"little\\\"\","
                                  "\"temporary\":false}}");
    buf_clear(&out);
    status = (struct rpc_status){
        .err = ERR_INVALID, .message = "m", .errors = {{"a", "b"}, {"c", "d"}}, .error_count = 2};
    answer_error(&out, "7", NULL, &status);
    assert_non_null(strstr(out.data, ",\"errors\":[{\"field\":\"a\",\"reason\":\"b\"},"
                                     "{\"field\":\"c\",\"reason\":\"d\"}]}}"));
}

static void what_failed_inside_is_not_told(void **state)
{
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    struct rpc_status status = {.err = ERR_UNAVAILABLE, .message = "mongodb://secret"};
    answer_error(&out, "7", NULL, &status);
    assert_null(strstr(out.data, "secret"));
    assert_non_null(strstr(out.data, "\"temporary\":true"));
}

struct receiver {
    struct hub *hub;
    struct hub_connection *connection;
};

static int start(void **state)
{
    static struct receiver r;
    assert_ok(hub_new(1, &r.hub));
    assert_ok(hub_join(r.hub, 4 * ANSWER_MAX, (struct hub_wake){0}, &r.connection));
    *state = &r;
    return 0;
}

static int stop(void **state)
{
    struct receiver *r = *state;
    hub_leave(r->connection);
    hub_release(r->connection);
    hub_free(r->hub);
    return 0;
}

static void send_size(struct receiver *r, const char *fill, size_t size)
{
    AUTO_BUF struct buf text;
    buf_init(&text, ANSWER_MAX);
    while (text.size < size)
        assert_ok(buf_add(&text, fill, strlen(fill)));
    answer_send(r->connection, "7", &text);
}

static void an_answer_of_the_whole_size_is_one_frame(void **state)
{
    struct receiver *r = *state;
    send_size(r, "x", ANSWER_WHOLE_MAX);
    struct hub_taken taken = hub_take(r->connection);
    assert_int_equal(frame_look(taken.frame).size, ANSWER_WHOLE_MAX);
    frame_release(taken.frame);
    assert_null(hub_take(r->connection).frame);
}

static void assert_number(const json_t *object, const char *name, size_t expected)
{
    assert_int_equal(json_integer_value(json_object_get(object, name)), expected);
}

/* Takes all parts, checks each, and returns how many bytes they had together. */
static size_t take_parts(struct receiver *r)
{
    size_t parts = 0, size = 0, part = 1;
    do {
        struct hub_taken taken = hub_take(r->connection);
        assert_non_null(taken.frame);
        struct frame_info info = frame_look(taken.frame);
        assert_true(info.size <= ANSWER_WHOLE_MAX);
        json_t *object = json_loadb(info.text, info.size, 0, NULL);
        assert_non_null(object); /* also says that no character was cut */
        assert_string_equal(json_string_value(json_object_get(object, "msgId")), "7");
        parts = (size_t)json_integer_value(json_object_get(object, "parts"));
        assert_number(object, "part", part++);
        size += json_string_length(json_object_get(object, "data"));
        json_decref(object);
        frame_release(taken.frame);
    } while (part <= parts);
    assert_null(hub_take(r->connection).frame);
    return size;
}

static void a_longer_answer_comes_in_parts(void **state)
{
    struct receiver *r = *state;
    send_size(r, "x", ANSWER_WHOLE_MAX + 1);
    assert_int_equal(take_parts(r), ANSWER_WHOLE_MAX + 1);
    send_size(r, "\"\\", ANSWER_MAX); /* all of it doubles */
    assert_int_equal(take_parts(r), ANSWER_MAX);
    send_size(r, "\xE2\x82\xAC", 3 * (ANSWER_WHOLE_MAX / 2)); /* three bytes each */
    assert_int_equal(take_parts(r), 3 * (ANSWER_WHOLE_MAX / 2));
}

static void an_answer_that_could_not_be_made_closes(void **state)
{
    struct receiver *r = *state;
    AUTO_BUF struct buf text;
    buf_init(&text, 1);
    (void)buf_add_text(&text, "too long");
    answer_send(r->connection, "7", &text);
    assert_int_equal(hub_take(r->connection).close, HUB_CLOSE_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_messages_are_read),
        cmocka_unit_test(bad_messages_are_refused_with_the_msg_id_they_had),
        cmocka_unit_test(names_and_ids_have_limits),
        cmocka_unit_test(results_and_errors_have_their_form),
        cmocka_unit_test(what_failed_inside_is_not_told),
        cmocka_unit_test_setup_teardown(an_answer_of_the_whole_size_is_one_frame, start, stop),
        cmocka_unit_test_setup_teardown(a_longer_answer_comes_in_parts, start, stop),
        cmocka_unit_test_setup_teardown(an_answer_that_could_not_be_made_closes, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
