/* Fields of documents: what is not there, or is something else, is said and not guessed. */
#include "support/unit.h"

#include "base/store/store.h"

static bson_t *some_document(void)
{
    return BCON_NEW("text", BCON_UTF8("four"), "int", BCON_INT64(-7), "small", BCON_INT32(7),
                    "bytes", BCON_BIN(BSON_SUBTYPE_BINARY, (const uint8_t *)"\0\1\2", 3));
}

static void a_field_comes_back(void **state)
{
    (void)state;
    AUTO_BSON bson_t *doc = some_document();
    char text[5];
    int64_t number = 0;
    uint8_t bytes[3];
    size_t size = 0;
    assert_true(store_text(doc, "text", text, sizeof text));
    assert_string_equal(text, "four");
    assert_true(store_int(doc, "int", &number));
    assert_int_equal(number, -7);
    assert_true(store_binary(doc, "bytes", bytes, sizeof bytes, &size));
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "\0\1\2", 3);
}

static void what_is_absent_or_another_type_or_too_long_is_untouched(void **state)
{
    (void)state;
    AUTO_BSON bson_t *doc = some_document();
    char text[4] = "old";
    int64_t number = 1;
    uint8_t bytes[2] = {9, 9};
    size_t size = 2;
    static const char *const wrong_texts[] = {"text", "int", "bytes", "absent"}; /* one too long */
    static const char *const wrong_ints[] = {"text", "small", "bytes", "absent"};
    static const char *const wrong_bytes[] = {"text", "int", "bytes", "absent"};
    for (size_t i = 0; i < 4; i++) {
        assert_false(store_text(doc, wrong_texts[i], text, sizeof text));
        assert_false(store_int(doc, wrong_ints[i], &number));
        assert_false(store_binary(doc, wrong_bytes[i], bytes, sizeof bytes, &size));
    }
    assert_string_equal(text, "old");
    assert_int_equal(number, 1);
    assert_int_equal(size, 2);
    assert_int_equal(bytes[0], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_comes_back),
        cmocka_unit_test(what_is_absent_or_another_type_or_too_long_is_untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
