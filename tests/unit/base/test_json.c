/* JSON and messages: what is written can be read, and what is wrong is refused by name. */
#include "support/unit.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "everything.pb-c.h"

#define EVERYTHING (&everything__everything__descriptor)
#define OUT_MAX    65536

static ProtobufCMessage *read_ok(const char *text)
{
    ProtobufCMessage *message = NULL;
    struct err_detail detail = {""};
    if (json_read(text, strlen(text), EVERYTHING, &message, &detail))
        fail_msg("%s is refused: %s", text, detail.text);
    return message;
}

static void assert_written(const ProtobufCMessage *message, const char *expected)
{
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    assert_ok(json_write(message, &out));
    assert_string_equal(out.data, expected);
}

static const char *const defaults =
    "{\"text\":\"\",\"raw\":\"\",\"flag\":false,\"colour\":\"COLOUR_UNSPECIFIED\",\"i32\":0,"
    "\"s32\":0,"
    "\"sf32\":0,\"u32\":0,\"f32\":0,\"i64\":\"0\",\"s64\":\"0\",\"sf64\":\"0\",\"u64\":\"0\","
    "\"f64\":\"0\",\"atTime\":null,\"inner\":null,\"texts\":[],\"raws\":[],\"flags\":[],"
    "\"colours\":[],"
    "\"i32s\":[],\"u64s\":[],\"times\":[],\"inners\":[]}";

static const char *const full =
    "{\"text\":\"a\\\"\\\\\\n\\u0001\xC3\xA9\xF0\x9F\x8D\x8A\",\"raw\":\"//8A\",\"flag\":true,"
    "\"colour\":\"DEEP_BLUE\",\"i32\":-2147483648,\"s32\":2147483647,\"sf32\":-1,\"u32\":"
    "4294967295,"
    "\"f32\":1,\"i64\":\"-9223372036854775808\",\"s64\":\"9223372036854775807\",\"sf64\":\"-1\","
    "\"u64\":\"18446744073709551615\",\"f64\":\"1\",\"atTime\":\"1969-12-31T23:59:59.999Z\","
    "\"inner\":{\"textOfInner\":\"x\",\"deeper\":{\"textOfInner\":\"\",\"deeper\":null,\"more\":[]}"
    ","
    "\"more\":[]},\"texts\":[\"\",\"b\"],\"raws\":[\"\",\"AQ==\"],\"flags\":[true,false],"
    "\"colours\":[\"BELOW\",\"RED\"],\"i32s\":[1,-2],\"u64s\":[\"3\",\"18446744073709551615\"],"
    "\"times\":[\"0001-01-01T00:00:00.000Z\",\"9999-12-31T23:59:59.999Z\"],"
    "\"inners\":[{\"textOfInner\":\"1\",\"deeper\":null,\"more\":[]},"
    "{\"textOfInner\":\"2\",\"deeper\":null,\"more\":[]}]}";

static void every_field_is_written_also_at_its_default(void **state)
{
    (void)state;
    ProtobufCMessage *message = read_ok("{}");
    assert_written(message, defaults);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void what_is_written_reads_back_the_same(void **state)
{
    (void)state;
    const char *const texts[] = {defaults, full};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ProtobufCMessage *message = read_ok(texts[i]);
        assert_written(message, texts[i]);
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void json_survives_the_wire(void **state)
{
    (void)state;
    ProtobufCMessage *message = read_ok(full);
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(size);
    assert_non_null(packed);
    protobuf_c_message_pack(message, packed);
    ProtobufCMessage *again = protobuf_c_message_unpack(EVERYTHING, NULL, size, packed);
    assert_written(again, full);
    free(packed);
    protobuf_c_message_free_unpacked(again, NULL);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void values_have_more_than_one_spelling(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *text, *same_as;
    } rows[] = {
        {"{\"i32\":\"-5\"}", "{\"i32\":-5}"},
        {"{\"i32\":5.0}", "{\"i32\":5}"},
        {"{\"i32\":1e3}", "{\"i32\":1000}"},
        {"{\"u32\":-0}", "{\"u32\":0}"},
        {"{\"i64\":-7}", "{\"i64\":\"-7\"}"},
        {"{\"u64\":9223372036854775807}", "{\"u64\":\"9223372036854775807\"}"},
        {"{\"u64\":9007199254740992.0}", "{\"u64\":\"9007199254740992\"}"},
        {"{\"colour\":7}", "{\"colour\":\"DEEP_BLUE\"}"},
        {"{\"colour\":-3}", "{\"colour\":\"BELOW\"}"},
        {"{\"at_time\":\"2026-01-31T23:59:59Z\"}", "{\"atTime\":\"2026-01-31T23:59:59.000Z\"}"},
        {"{\"atTime\":\"2026-02-01T01:59:59.1239+02:00\"}",
         "{\"atTime\":\"2026-01-31T23:59:59.123Z\"}"},
        {"{\"inner\":{\"text_of_inner\":\"x\"}}", "{\"inner\":{\"textOfInner\":\"x\"}}"},
        {"{\"raw\":\"__8\"}", "{\"raw\":\"//8=\"}"},
        {"{\"raw\":\"/w\"}", "{\"raw\":\"/w==\"}"},
        {"{\"text\":null,\"u64s\":null,\"inner\":null,\"flag\":null}", "{}"},
        {" { \"text\" : \"\\u00e9\"} \n", "{\"text\":\"\xC3\xA9\"}"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ProtobufCMessage *message = read_ok(rows[i].text);
        ProtobufCMessage *same = read_ok(rows[i].same_as);
        AUTO_BUF struct buf out;
        buf_init(&out, OUT_MAX);
        assert_ok(json_write(same, &out));
        assert_written(message, out.data);
        protobuf_c_message_free_unpacked(message, NULL);
        protobuf_c_message_free_unpacked(same, NULL);
    }
}

/* clang-format off */
static const struct {
    const char *text, *detail;
} bad_input[] = {
    {"{\"colr\":1}", "colr: no such field"},
    {"{\"inner\":{\"deeper\":{\"x\":1}}}", "inner.deeper.x: no such field"},
    {"{\"inners\":[{},{\"more\":[{\"y\":0}]}]}", "inners[1].more[0].y: no such field"},
    {"{\"Text\":\"\"}", "Text: no such field"},
    {"{\"attime\":null}", "attime: no such field"},
    {"{\"at_Time\":null}", "at_Time: no such field"},
    {"{\"text\":1}", "text: a string"},
    {"{\"text\":true}", "text: a string"},
    {"{\"flag\":\"true\"}", "flag: true or false"},
    {"{\"flag\":0}", "flag: true or false"},
    {"{\"i32\":2147483648}", "i32: an integer of 32 bits"},
    {"{\"i32\":-2147483649}", "i32: an integer of 32 bits"},
    {"{\"i32\":1.5}", "i32: an integer of 32 bits"},
    {"{\"i32\":\"\"}", "i32: an integer of 32 bits"},
    {"{\"i32\":\"-\"}", "i32: an integer of 32 bits"},
    {"{\"i32\":\"+1\"}", "i32: an integer of 32 bits"},
    {"{\"i32\":\" 1\"}", "i32: an integer of 32 bits"},
    {"{\"i32\":\"1e2\"}", "i32: an integer of 32 bits"},
    {"{\"i32\":\"0x10\"}", "i32: an integer of 32 bits"},
    {"{\"i32\":{}}", "i32: an integer of 32 bits"},
    {"{\"u32\":4294967296}", "u32: an integer from 0 to 2^32 - 1"},
    {"{\"u32\":-1}", "u32: an integer from 0 to 2^32 - 1"},
    {"{\"i64\":\"9223372036854775808\"}", "i64: an integer of 64 bits, in a string"},
    {"{\"i64\":\"-9223372036854775809\"}", "i64: an integer of 64 bits, in a string"},
    {"{\"i64\":1e16}", "i64: an integer of 64 bits, in a string"},
    {"{\"u64\":\"18446744073709551616\"}", "u64: an integer from 0 to 2^64 - 1, in a string"},
    {"{\"u64\":\"184467440737095516150\"}", "u64: an integer from 0 to 2^64 - 1, in a string"},
    {"{\"u64s\":[\"1\",\"-1\"]}", "u64s[1]: an integer from 0 to 2^64 - 1, in a string"},
    {"{\"u64\":9223372036854775808}",
     "a number is too large; write 64-bit integers as strings (line 1, column 26)"},
    {"{\"i32\":1e999}",
     "a number is too large; write 64-bit integers as strings (line 1, column 12)"},
    {"{\"colour\":\"BLUE\"}", "colour: one of BELOW, COLOUR_UNSPECIFIED, RED, DEEP_BLUE"},
    {"{\"colour\":\"red\"}", "colour: one of BELOW, COLOUR_UNSPECIFIED, RED, DEEP_BLUE"},
    {"{\"colour\":2}", "colour: one of BELOW, COLOUR_UNSPECIFIED, RED, DEEP_BLUE"},
    {"{\"colour\":4294967297}", "colour: one of BELOW, COLOUR_UNSPECIFIED, RED, DEEP_BLUE"},
    {"{\"raw\":\"A\"}", "raw: base64 in a string"},
    {"{\"raw\":\"AB==\"}", "raw: base64 in a string"},
    {"{\"raw\":\"AA=\"}", "raw: base64 in a string"},
    {"{\"raw\":\"====\"}", "raw: base64 in a string"},
    {"{\"raw\":\"A A=\"}", "raw: base64 in a string"},
    {"{\"raw\":[1]}", "raw: base64 in a string"},
    {"{\"atTime\":\"2026-02-30T00:00:00Z\"}",
     "atTime: a time, as \"2026-01-31T23:59:59.123Z\""},
    {"{\"atTime\":\"0000-12-31T00:00:00Z\"}",
     "atTime: a time, as \"2026-01-31T23:59:59.123Z\""},
    {"{\"atTime\":{\"seconds\":1}}", "atTime: a time, as \"2026-01-31T23:59:59.123Z\""},
    {"{\"inner\":[]}", "inner: an object"},
    {"{\"inner\":\"x\"}", "inner: an object"},
    {"{\"inners\":{}}", "inners: a list"},
    {"{\"inners\":[null]}", "inners[0]: an object"},
    {"{\"texts\":[\"a\",null]}", "texts[1]: a string"},
    {"{\"at_time\":null,\"atTime\":null}", "atTime: only once"},
    {"{\"inner\":{\"textOfInner\":\"1\",\"text_of_inner\":\"2\"}}",
     "inner.textOfInner: only once"},
    {"{\"text\":\"1\",\"text\":\"2\"}", "a key is there twice (line 1, column 18)"},
    {"{\"text\":\"\\u0000\"}", "a NUL character in a string (line 1, column 16)"},
    {"{\"text\":\"\xC0\x80\"}", "not UTF-8 (line 1, column 9)"},
    {"{\"text\":\"\xED\xA0\x80\"}", "not UTF-8 (line 1, column 9)"},
    {"{\"text\":\"\\ud800\"}", "not JSON (line 1, column 16)"},
    {"{} {}", "something follows the object (line 1, column 4)"},
    {"{", "ends too early (line 1, column 1)"},
    {"", "ends too early (line 1, column 0)"},
    {"[]", "an object"},
    {"\"x\"", "an object"},
    {"null", "an object"},
    {"{'text':1}", "not JSON (line 1, column 2)"},
    {"{\"i32\":01}", "not JSON (line 1, column 8)"},
    {"{\"i32\":NaN}", "not JSON (line 1, column 10)"},
    {"{\"text\":\"a\nb\"}", "not JSON (line 1, column 10)"},
};
/* clang-format on */

static void bad_input_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_input / sizeof bad_input[0]; i++) {
        ProtobufCMessage *message = NULL;
        struct err_detail detail = {""};
        assert_err(
            json_read(bad_input[i].text, strlen(bad_input[i].text), EVERYTHING, &message, &detail),
            ERR_INVALID);
        assert_string_equal(detail.text, bad_input[i].detail);
        assert_null(message);
        assert_err(
            json_read(bad_input[i].text, strlen(bad_input[i].text), EVERYTHING, &message, NULL),
            ERR_INVALID);
    }
}

static void size_decides_where_the_text_ends(void **state)
{
    (void)state;
    ProtobufCMessage *message = NULL;
    assert_ok(json_read("{}garbage", 2, EVERYTHING, &message, NULL));
    protobuf_c_message_free_unpacked(message, NULL);
    message = NULL;
    assert_err(json_read("{}\0", 3, EVERYTHING, &message, NULL), ERR_INVALID);
    assert_null(message);
}

/* {"inner":{"deeper":{"deeper": ... }}} of that many levels. */
static void nested_text(struct buf *out, unsigned levels)
{
    buf_clear(out);
    for (unsigned i = 1; i < levels; i++)
        (void)buf_add_text(out, i == 1 ? "{\"inner\":" : "{\"deeper\":");
    (void)buf_add_char(out, '{');
    for (unsigned i = 0; i < levels; i++)
        (void)buf_add_char(out, '}');
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    ProtobufCMessage *message = NULL;
    struct err_detail detail;
    nested_text(&text, JSON_DEPTH_MAX);
    assert_ok(json_read(text.data, text.size, EVERYTHING, &message, NULL));
    protobuf_c_message_free_unpacked(message, NULL);
    message = NULL;
    nested_text(&text, JSON_DEPTH_MAX + 1);
    assert_err(json_read(text.data, text.size, EVERYTHING, &message, &detail), ERR_INVALID);
    assert_string_equal(detail.text, "more than 16 levels deep");
    message = read_ok("{\"text\":\"[[[[[[[[[[[[[[[[[[\\\"[[\"}");
    protobuf_c_message_free_unpacked(message, NULL);
}

static void a_message_too_deep_is_not_written(void **state)
{
    (void)state;
    Everything__Inner levels[JSON_DEPTH_MAX + 1];
    for (unsigned i = 0; i <= JSON_DEPTH_MAX; i++) {
        levels[i] = (Everything__Inner)EVERYTHING__INNER__INIT;
        if (i) levels[i].deeper = &levels[i - 1];
    }
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    assert_ok(json_write(&levels[JSON_DEPTH_MAX - 1].base, &out));
    assert_err(json_write(&levels[JSON_DEPTH_MAX].base, &out), ERR_INVALID);
}

static void a_full_buffer_is_told(void **state)
{
    (void)state;
    ProtobufCMessage *message = read_ok(full);
    size_t size = strlen(full);
    for (size_t size_max = 0; size_max <= size; size_max++) {
        AUTO_BUF struct buf out;
        buf_init(&out, size_max);
        assert_err(json_write(message, &out), size_max < size ? ERR_EXHAUSTED : OK);
    }
    protobuf_c_message_free_unpacked(message, NULL);
}

static void what_the_contract_does_not_use_is_unimplemented(void **state)
{
    (void)state;
    Everything__Unused unused = EVERYTHING__UNUSED__INIT;
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    assert_err(json_write(&unused.base, &out), ERR_UNIMPLEMENTED);
    ProtobufCMessage *message = NULL;
    const ProtobufCMessageDescriptor *type = &everything__unused__descriptor;
    assert_err(json_read("{\"real\":1}", 10, type, &message, NULL), ERR_UNIMPLEMENTED);
    assert_err(json_read("{\"left\":\"\"}", 11, type, &message, NULL), ERR_UNIMPLEMENTED);
    assert_null(message);
}

static void values_no_client_could_write_are_still_written(void **state)
{
    (void)state;
    Everything__Everything odd = EVERYTHING__EVERYTHING__INIT;
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    time.seconds = INT64_MAX; /* no RFC 3339 for it */
    odd.at_time = &time;
    odd.text = NULL;
    odd.colour = (Everything__Colour)99; /* from a newer peer */
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    assert_ok(json_write(&odd.base, &out));
    assert_non_null(strstr(out.data, "\"text\":\"\","));
    assert_non_null(strstr(out.data, "\"colour\":99,"));
    assert_non_null(strstr(out.data, "\"atTime\":null,"));
}

static void strings_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *expected;
    } rows[] = {
        {"", 0, "\"\""},
        {"plain / text", 12, "\"plain / text\""},
        {"\b\t\n\f\r\"\\", 7, "\"\\b\\t\\n\\f\\r\\\"\\\\\""},
        {"\0\x01\x1F\x7F", 4, "\"\\u0000\\u0001\\u001f\x7F\""},
        {"\xC3\xA9", 2, "\"\xC3\xA9\""},
        {"\xC3", 1, "\"\xEF\xBF\xBD\""},
        {"a\xFF\xFE"
         "b",
         4,
         "\"a\xEF\xBF\xBD\xEF\xBF\xBD"
         "b\""},
        {"\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, OUT_MAX);
        assert_ok(json_add_string(&out, rows[i].text, rows[i].size));
        assert_string_equal(out.data, rows[i].expected);
    }
}

static void a_field_is_set_from_text(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *same_as;
    } rows[] = {
        {"text", "x,y", "{\"text\":\"x,y\"}"},
        {"text", "", "{}"},
        {"flag", "true", "{\"flag\":true}"},
        {"flag", "false", "{}"},
        {"i32", "-12", "{\"i32\":-12}"},
        {"u64", "18446744073709551615", "{\"u64\":\"18446744073709551615\"}"},
        {"colour", "RED", "{\"colour\":\"RED\"}"},
        {"raw", "AQ", "{\"raw\":\"AQ==\"}"},
        {"atTime", "2026-01-31T23:59:59Z", "{\"atTime\":\"2026-01-31T23:59:59Z\"}"},
        {"at_time", "2026-01-31T23:59:59Z", "{\"atTime\":\"2026-01-31T23:59:59Z\"}"},
        {"texts", "", "{}"},
        {"texts", "a", "{\"texts\":[\"a\"]}"},
        {"texts", "a,,b,", "{\"texts\":[\"a\",\"\",\"b\",\"\"]}"},
        {"flags", "true,false", "{\"flags\":[true,false]}"},
        {"u64s", "1,2", "{\"u64s\":[\"1\",\"2\"]}"},
        {"colours", "RED,BELOW", "{\"colours\":[\"RED\",\"BELOW\"]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ProtobufCMessage *message = read_ok("{}");
        ProtobufCMessage *same = read_ok(rows[i].same_as);
        assert_ok(json_set_text(message, rows[i].name, rows[i].text, NULL));
        AUTO_BUF struct buf out;
        buf_init(&out, OUT_MAX);
        assert_ok(json_write(same, &out));
        assert_written(message, out.data);
        protobuf_c_message_free_unpacked(message, NULL);
        protobuf_c_message_free_unpacked(same, NULL);
    }
}

static void bad_text_leaves_the_field_alone(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *detail;
    } rows[] = {
        {"nope", "1", "nope: no such field"},
        {"inner", "{}", "inner: an object"},
        {"i32", "1.5", "i32: an integer of 32 bits"},
        {"i32", "", "i32: an integer of 32 bits"},
        {"flag", "yes", "flag: true or false"},
        {"flag", "1", "flag: true or false"},
        {"colour", "GREEN", "colour: one of BELOW, COLOUR_UNSPECIFIED, RED, DEEP_BLUE"},
        {"u64s", "1,x", "u64s[1]: an integer from 0 to 2^64 - 1, in a string"},
        {"u64s", "1,", "u64s[1]: an integer from 0 to 2^64 - 1, in a string"},
        {"text", "\xFF", "text: not UTF-8"},
        {"texts", "a,\xFF", "texts: not UTF-8"},
    };
    ProtobufCMessage *message = read_ok(full);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err_detail detail = {""};
        assert_err(json_set_text(message, rows[i].name, rows[i].text, &detail), ERR_INVALID);
        assert_string_equal(detail.text, rows[i].detail);
        assert_written(message, full);
    }
    protobuf_c_message_free_unpacked(message, NULL);
}

static void text_replaces_what_was_there(void **state)
{
    (void)state;
    ProtobufCMessage *message = read_ok("{\"text\":\"old\",\"texts\":[\"old\",\"older\"]}");
    assert_ok(json_set_text(message, "text", "new", NULL));
    assert_ok(json_set_text(message, "texts", "newer", NULL));
    const Everything__Everything *all = (const Everything__Everything *)message;
    assert_string_equal(all->text, "new");
    assert_int_equal(all->n_texts, 1);
    assert_string_equal(all->texts[0], "newer");
    protobuf_c_message_free_unpacked(message, NULL);
}

static void a_long_path_is_cut_not_overrun(void **state)
{
    (void)state;
    static const char text[] =
        "{\"inners\":[{\"more\":[{\"more\":[{\"more\":[{\"deeper\":{\"deeper\":{\"deeper\":{"
        "\"deeper\":"
        "{\"wrong_field_with_a_name_so_long_that_it_has_to_be_cut_somewhere_along_its_way\":1}"
        "}}}}]}]}]}]}";
    ProtobufCMessage *message = NULL;
    struct err_detail detail;
    assert_err(json_read(text, sizeof text - 1, EVERYTHING, &message, &detail), ERR_INVALID);
    assert_string_equal(detail.text,
                        "inners[0].more[0].more[0].more[0].deeper.deeper.deeper.deeper."
                        "wrong_field_with_a_name_so_long_that_it_has_to_be_cut_somewhere"
                        ": no such field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_written_also_at_its_default),
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(json_survives_the_wire),
        cmocka_unit_test(values_have_more_than_one_spelling),
        cmocka_unit_test(bad_input_is_refused_by_name),
        cmocka_unit_test(size_decides_where_the_text_ends),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(a_message_too_deep_is_not_written),
        cmocka_unit_test(a_full_buffer_is_told),
        cmocka_unit_test(what_the_contract_does_not_use_is_unimplemented),
        cmocka_unit_test(values_no_client_could_write_are_still_written),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(a_field_is_set_from_text),
        cmocka_unit_test(bad_text_leaves_the_field_alone),
        cmocka_unit_test(text_replaces_what_was_there),
        cmocka_unit_test(a_long_path_is_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
