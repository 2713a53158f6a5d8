/* Decimal strings: what is read, what is refused, and that nothing is lost on the way. */
#include "support/unit.h"

#include "base/decimal.h"

static const struct {
    const char *text;
    unsigned scale;
    int64_t minor;
} accepted[] = {
    {"12.50", 8, 1250000000},
    {"0", 0, 0},
    {"-0", 2, 0},
    {"-0.00", 2, 0},
    {"007", 0, 7},
    {"1", 0, 1},
    {"1.000", 0, 1},
    {"1.10000000000000000000000000000000", 1, 11},
    {"-1.5", 1, -15},
    {"0.000000000000000001", 18, 1},
    {"9223372036854775807", 0, INT64_MAX},
    {"-9223372036854775808", 0, INT64_MIN},
    {"9.223372036854775807", 18, INT64_MAX},
    {"-9.223372036854775808", 18, INT64_MIN},
    {"92233720368547758.07", 2, INT64_MAX},
    {"00000000000000000000000000000000000001", 0, 1},
};

static const struct {
    const char *text;
    unsigned scale;
    enum err why;
} refused[] = {
    {"", 2, ERR_INVALID},
    {"-", 2, ERR_INVALID},
    {".", 2, ERR_INVALID},
    {".5", 2, ERR_INVALID},
    {"5.", 2, ERR_INVALID},
    {"-.5", 2, ERR_INVALID},
    {"+1", 2, ERR_INVALID},
    {"--1", 2, ERR_INVALID},
    {" 1", 2, ERR_INVALID},
    {"1 ", 2, ERR_INVALID},
    {"1\n", 2, ERR_INVALID},
    {"1e3", 2, ERR_INVALID},
    {"1.2.3", 2, ERR_INVALID},
    {"1,5", 2, ERR_INVALID},
    {"0x10", 2, ERR_INVALID},
    {"NaN", 2, ERR_INVALID},
    {"inf", 2, ERR_INVALID},
    {"1.-5", 2, ERR_INVALID},
    {"\xd9\xa1", 2, ERR_INVALID}, /* an Arabic digit one */
    {"99999999999999999999999x", 2, ERR_INVALID},
    {"1.001", 2, ERR_RANGE},
    {"0.1", 0, ERR_RANGE},
    {"0.0000000000000000001", 18, ERR_RANGE},
    {"9223372036854775808", 0, ERR_RANGE},
    {"-9223372036854775809", 0, ERR_RANGE},
    {"92233720368547758.08", 2, ERR_RANGE},
    {"10", 18, ERR_RANGE},
    {"9.223372036854775808", 18, ERR_RANGE},
    {"99999999999999999999999999999999999999999", 0, ERR_RANGE},
};

static void an_amount_is_read_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        int64_t minor = 77;
        if (decimal_parse(accepted[i].text, accepted[i].scale, &minor) != OK ||
            minor != accepted[i].minor)
            fail_msg("\"%s\" at %u is read as %lld", accepted[i].text, accepted[i].scale,
                     (long long)minor);
    }
}

static void what_is_no_amount_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        int64_t minor = 77;
        enum err e = decimal_parse(refused[i].text, refused[i].scale, &minor);
        if (e != refused[i].why || minor != 77)
            fail_msg("\"%s\" at %u is %s", refused[i].text, refused[i].scale, err_name(e));
    }
}

static void an_amount_is_written_with_all_decimals(void **state)
{
    (void)state;
    static const struct {
        int64_t minor;
        unsigned scale;
        const char *text;
    } cases[] = {
        {1250000000, 8, "12.50000000"},
        {0, 0, "0"},
        {0, 2, "0.00"},
        {5, 2, "0.05"},
        {-5, 2, "-0.05"},
        {-5, 0, "-5"},
        {100, 2, "1.00"},
        {INT64_MAX, 0, "9223372036854775807"},
        {INT64_MIN, 0, "-9223372036854775808"},
        {INT64_MIN, 18, "-9.223372036854775808"},
        {1, 18, "0.000000000000000001"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[DECIMAL_TEXT_SIZE];
        decimal_format(cases[i].minor, cases[i].scale, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* xorshift64*: the same numbers in every run. */
static uint64_t next_random(uint64_t *x)
{
    *x ^= *x >> 12;
    *x ^= *x << 25;
    *x ^= *x >> 27;
    return *x * UINT64_C(0x2545f4914f6cdd1d);
}

static void what_is_written_is_read_back_the_same(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        /* All magnitudes alike, both signs. */
        int64_t amount = (int64_t)next_random(&x) >> (next_random(&x) % 64);
        unsigned scale = (unsigned)(next_random(&x) % (DECIMAL_SCALE_MAX + 1));
        char text[DECIMAL_TEXT_SIZE];
        int64_t again = ~amount;
        decimal_format(amount, scale, text);
        assert_ok(decimal_parse(text, scale, &again));
        assert_int_equal(amount, again);
    }
}

static void integers_refuse_to_overflow(void **state)
{
    (void)state;
    int64_t r = 77;
    assert_true(int64_add(INT64_MAX - 1, 1, &r));
    assert_int_equal(r, INT64_MAX);
    assert_true(int64_sub(INT64_MIN + 1, 1, &r));
    assert_int_equal(r, INT64_MIN);
    assert_true(int64_mul(INT64_MIN, 1, &r));
    assert_int_equal(r, INT64_MIN);
    r = 77;
    assert_false(int64_add(INT64_MAX, 1, &r));
    assert_false(int64_add(INT64_MIN, -1, &r));
    assert_false(int64_sub(0, INT64_MIN, &r));
    assert_false(int64_mul(INT64_MIN, -1, &r));
    assert_false(int64_mul(INT64_C(1) << 32, INT64_C(1) << 31, &r));
    assert_int_equal(r, 77);
}

static void a_product_is_divided_without_overflow_and_rounded_as_asked(void **state)
{
    (void)state;
    static const struct {
        int64_t a, b, divisor, down, up;
    } cases[] = {
        {10, 10, 3, 33, 34},
        {9, 1, 3, 3, 3},
        {0, INT64_MAX, 7, 0, 0},
        {1, 1, INT64_MAX, 0, 1},
        {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
        {INT64_MAX, 1, 1, INT64_MAX, INT64_MAX},
    };
    int64_t r;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(int64_mul_div(cases[i].a, cases[i].b, cases[i].divisor, ROUND_DOWN, &r));
        assert_int_equal(r, cases[i].down);
        assert_true(int64_mul_div(cases[i].a, cases[i].b, cases[i].divisor, ROUND_UP, &r));
        assert_int_equal(r, cases[i].up);
    }
    r = 77;
    assert_false(int64_mul_div(INT64_MAX, 2, 1, ROUND_DOWN, &r));
    assert_false(int64_mul_div(INT64_MAX, INT64_MAX, INT64_MAX - 1, ROUND_DOWN, &r));
    /* 2^63 - 1 and one third more: only rounding up leaves int64. */
    assert_false(int64_mul_div(INT64_MAX, 3, 2, ROUND_UP, &r));
    assert_int_equal(r, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_amount_is_read_exactly),
        cmocka_unit_test(what_is_no_amount_is_refused_and_changes_nothing),
        cmocka_unit_test(an_amount_is_written_with_all_decimals),
        cmocka_unit_test(what_is_written_is_read_back_the_same),
        cmocka_unit_test(integers_refuse_to_overflow),
        cmocka_unit_test(a_product_is_divided_without_overflow_and_rounded_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
