/* UTF-8: what RFC 3629 allows, and not one byte more. */
#include "support/unit.h"

#include <string.h>

#include "base/utf8.h"

static void characters_have_the_length_of_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length; /* 0: not UTF-8 */
    } rows[] = {
        {"a", 1},
        {"\x7F", 1},
        {"\x80", 0},             /* a lone tail */
        {"\xC1\xBF", 0},         /* overlong */
        {"\xC2\x80", 2},         /* U+0080 */
        {"\xDF\xBF", 2},         /* U+07FF */
        {"\xC3", 0},             /* cut */
        {"\xC3\x28", 0},         /* no tail */
        {"\xE0\x9F\xBF", 0},     /* overlong */
        {"\xE0\xA0\x80", 3},     /* U+0800 */
        {"\xED\x9F\xBF", 3},     /* U+D7FF */
        {"\xED\xA0\x80", 0},     /* U+D800, a surrogate */
        {"\xEE\x80\x80", 3},     /* U+E000 */
        {"\xEF\xBF\xBF", 3},     /* U+FFFF */
        {"\xE2\x82", 0},         /* cut */
        {"\xE2\x82\x28", 0},     /* no tail */
        {"\xF0\x8F\xBF\xBF", 0}, /* overlong */
        {"\xF0\x90\x80\x80", 4}, /* U+10000 */
        {"\xF4\x8F\xBF\xBF", 4}, /* U+10FFFF */
        {"\xF4\x90\x80\x80", 0}, /* above */
        {"\xF5\x80\x80\x80", 0},
        {"\xF0\x9F\x8D", 0}, /* cut */
        {"\xF0\x9F\x28\x8A", 0},
        {"\xFF", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = strlen(rows[i].text);
        assert_int_equal(utf8_next(rows[i].text, size), rows[i].length);
        assert_int_equal(utf8_valid(rows[i].text, size), rows[i].length != 0);
    }
}

static void nothing_is_read_behind_the_size(void **state)
{
    (void)state;
    static const char text[] = "\xF0\x9F\x8D\x8A";
    assert_int_equal(utf8_next(text, 0), 0);
    for (size_t size = 1; size < 4; size++)
        assert_int_equal(utf8_next(text, size), 0);
    assert_true(utf8_valid(text, 0)); /* nothing is wrong with nothing */
    assert_true(utf8_valid("a\0b", 3));
    assert_false(utf8_valid("a\xFF", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_the_length_of_the_table),
        cmocka_unit_test(nothing_is_read_behind_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
