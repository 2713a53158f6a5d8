/* The buffer: grows to its maximum, not one byte beyond, and its error sticks. */
#include "support/unit.h"

#include "base/buf.h"

#include <string.h>

static void an_empty_buffer_is_an_empty_text(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_string_equal(b.data, "");
    assert_int_equal(b.size, 0);
    assert_ok(buf_add(&b, NULL, 0));
    buf_clear(&b);
    buf_release(&b);
    buf_release(&b);
    struct buf zeroed = {0};
    buf_release(&zeroed);
    assert_string_equal(zeroed.data, "");
}

static void pieces_are_joined_and_end_with_a_nul(void **state)
{
    (void)state;
    AUTO_BUF struct buf b;
    buf_init(&b, 1000);
    assert_ok(buf_add(&b, "a\0b", 3));
    assert_ok(buf_add_text(&b, "cd"));
    assert_ok(buf_add_char(&b, 'e'));
    assert_ok(buf_add_format(&b, "%d-%s", 42, "x"));
    assert_int_equal(b.size, 10);
    assert_memory_equal(b.data, "a\0bcde42-x", 11);
}

static void it_fills_to_the_maximum_and_refuses_one_more(void **state)
{
    (void)state;
    for (size_t max = 0; max < 200; max++) {
        struct buf b;
        buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            assert_ok(buf_add_char(&b, 'x'));
        assert_int_equal(b.size, max);
        assert_int_equal(strlen(b.data), max);
        assert_err(buf_add_char(&b, 'y'), ERR_EXHAUSTED);
        assert_int_equal(strlen(b.data), max);
        buf_release(&b);
    }
}

static void a_format_fits_exactly_or_not_at_all(void **state)
{
    (void)state;
    char text[301];
    memset(text, 'x', 300);
    text[300] = 0;
    for (size_t max = 0; max <= 300; max++) {
        struct buf b;
        buf_init(&b, max);
        for (size_t size = 0; size <= 300; size += 75) {
            buf_clear(&b);
            enum err e = buf_add_format(&b, "%.*s", (int)size, text);
            assert_err(e, size <= max ? OK : ERR_EXHAUSTED);
            assert_int_equal(b.size, e ? 0 : size);
            assert_int_equal(strlen(b.data), b.size);
        }
        buf_release(&b);
    }
}

static void an_error_sticks_until_it_is_cleared(void **state)
{
    (void)state;
    AUTO_BUF struct buf b;
    buf_init(&b, 4);
    assert_err(buf_add_text(&b, "12345"), ERR_EXHAUSTED);
    assert_err(buf_add_text(&b, "1"), ERR_EXHAUSTED);
    assert_err(buf_add_format(&b, "1"), ERR_EXHAUSTED);
    assert_null(buf_reserve(&b, 0));
    assert_int_equal(b.size, 0);
    assert_null(buf_take(&b)); /* half a text leaves no buffer; taking empties it */
    assert_err(b.error, OK);
    assert_err(buf_add_text(&b, "12345"), ERR_EXHAUSTED);
    buf_clear(&b);
    assert_ok(buf_add_text(&b, "1234"));
    assert_string_equal(b.data, "1234");
}

static void what_is_taken_belongs_to_the_taker(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_ok(buf_add_text(&b, "mine"));
    char *mine = buf_take(&b);
    assert_string_equal(mine, "mine");
    assert_string_equal(b.data, "");
    assert_ok(buf_add_text(&b, "next"));
    assert_string_equal(mine, "mine");
    free(mine);
    buf_release(&b);
    char *nothing = buf_take(&b);
    assert_string_equal(nothing, "");
    free(nothing);
}

static void reserved_room_is_used_as_far_as_committed(void **state)
{
    (void)state;
    AUTO_BUF struct buf b;
    buf_init(&b, 100);
    assert_ok(buf_add_text(&b, "ab"));
    char *room = buf_reserve(&b, 98);
    assert_non_null(room);
    assert_ptr_equal(room, b.data + 2);
    memset(room, 'x', 98);
    buf_commit(&b, 3);
    assert_string_equal(b.data, "abxxx");
    assert_null(buf_reserve(&b, 96));
    assert_err(b.error, ERR_EXHAUSTED);
    buf_clear(&b);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_err(b.error, ERR_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_is_an_empty_text),
        cmocka_unit_test(pieces_are_joined_and_end_with_a_nul),
        cmocka_unit_test(it_fills_to_the_maximum_and_refuses_one_more),
        cmocka_unit_test(a_format_fits_exactly_or_not_at_all),
        cmocka_unit_test(an_error_sticks_until_it_is_cleared),
        cmocka_unit_test(what_is_taken_belongs_to_the_taker),
        cmocka_unit_test(reserved_room_is_used_as_far_as_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
