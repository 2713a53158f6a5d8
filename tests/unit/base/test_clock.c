/* Time: what RFC 3339 allows is read, nothing else, and the calendar is right at its edges. */
#include "support/unit.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    int64_t wall_ms;
} accepted[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01T00:00:00.001Z", 1},
    {"1969-12-31T23:59:59.999Z", -1},
    {"2026-01-31T23:59:59.123Z", INT64_C(1769903999123)},
    /* decimals: cut below the millisecond */
    {"1970-01-01T00:00:00.5Z", 500},
    {"1970-01-01T00:00:00.05Z", 50},
    {"1970-01-01T00:00:00.0009Z", 0},
    {"1970-01-01T00:00:00.123456789Z", 123},
    {"1969-12-31T23:59:59.0009Z", -1000},
    /* letters of either case (RFC 3339 section 5.6) */
    {"1970-01-01t00:00:00z", 0},
    /* offsets */
    {"1970-01-01T01:00:00+01:00", 0},
    {"1969-12-31T19:00:00-05:00", 0},
    {"1970-01-01T00:00:00-00:00", 0},
    {"1970-01-01T23:59:00+23:59", 0},
    {"1969-12-31T00:01:00-23:59", 0},
    {"1937-01-01T12:00:27.87+00:20", INT64_C(-1041337172130)},
    {"1996-12-19T16:39:57-08:00", INT64_C(851042397000)},
    /* leap years */
    {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
    {"2024-02-29T12:00:00Z", INT64_C(1709208000000)},
    {"2024-03-01T00:00:00Z", INT64_C(1709251200000)},
    {"1900-03-01T00:00:00Z", INT64_C(-2203891200000)},
    /* leap seconds are the start of the next day */
    {"1990-12-31T23:59:60Z", INT64_C(662688000000)},
    {"1990-12-31T15:59:60-08:00", INT64_C(662688000000)},
    {"1990-12-31T23:59:60.25Z", INT64_C(662688000250)},
    /* the first and the last */
    {"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
    {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
};

static const char *const refused[] = {
    "",
    "1970",
    "1970-01-01",
    "1970-01-01T00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01 00:00:00Z",
    "70-01-01T00:00:00Z",
    "01970-01-01T00:00:00Z",
    "1970-1-01T00:00:00Z",
    "1970/01/01T00:00:00Z",
    "+970-01-01T00:00:00Z",
    "-970-01-01T00:00:00Z",
    /* outside of the calendar */
    "1970-00-01T00:00:00Z",
    "1970-13-01T00:00:00Z",
    "1970-01-00T00:00:00Z",
    "1970-01-32T00:00:00Z",
    "1970-04-31T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2024-02-30T00:00:00Z",
    /* outside of the day */
    "1970-01-01T24:00:00Z",
    "1970-01-01T00:60:00Z",
    "1970-01-01T00:00:61Z",
    "1970-01-01T00:00:60Z",
    "1990-12-31T23:58:60Z",
    "1990-12-31T23:59:60-08:00",
    /* decimals */
    "1970-01-01T00:00:00.Z",
    "1970-01-01T00:00:00.1234567890Z",
    "1970-01-01T00:00:00,5Z",
    "1970-01-01T00:00:00.-5Z",
    /* offsets */
    "1970-01-01T00:00:00+24:00",
    "1970-01-01T00:00:00+00:60",
    "1970-01-01T00:00:00+0100",
    "1970-01-01T00:00:00+1:00",
    "1970-01-01T00:00:00+01",
    "1970-01-01T00:00:00 01:00",
    "1970-01-01T00:00:00Z+01:00",
    "1970-01-01T00:00:00UTC",
    /* text around it */
    " 1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z ",
    "1970-01-01T00:00:00ZZ",
    /* years that four digits cannot say */
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:59:60Z",
};

static void a_time_is_read_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        int64_t wall_ms = 77;
        enum err e = clock_parse(accepted[i].text, strlen(accepted[i].text), &wall_ms);
        if (e || wall_ms != accepted[i].wall_ms)
            fail_msg("%s: %s, %lld", accepted[i].text, err_name(e), (long long)wall_ms);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        int64_t wall_ms = 77;
        if (clock_parse(refused[i], strlen(refused[i]), &wall_ms) != ERR_INVALID || wall_ms != 77)
            fail_msg("%s is read as %lld", refused[i], (long long)wall_ms);
    }
}

static void no_byte_behind_the_size_is_read(void **state)
{
    (void)state;
    static const char text[] = "2026-01-31T23:59:59.123+01:00";
    for (size_t size = 0; size < strlen(text); size++) {
        char *exact = malloc(size + 1); /* the sanitizer guards its end */
        assert_non_null(exact);
        memcpy(exact + 1, text, size);
        int64_t wall_ms;
        assert_err(clock_parse(exact + 1, size, &wall_ms), ERR_INVALID);
        free(exact);
    }
}

static void a_time_is_written_in_24_characters(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-86400000, "1969-12-31T00:00:00.000Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(1769903999123), "2026-01-31T23:59:59.123Z"},
        {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
        {INT64_C(-62167219200001), "0000-01-01T00:00:00.000Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
        {INT64_C(253402300800000), "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[CLOCK_TEXT_SIZE];
        clock_format(cases[i].wall_ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void every_day_of_ten_millennia_is_read_as_it_is_written(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_SIZE], before[CLOCK_TEXT_SIZE] = "";
    int64_t days = 0;
    for (int64_t ms = INT64_C(-62167219200000); ms < INT64_C(253402300800000); ms += 86400000) {
        int64_t again, moment = ms + ms / 86400000 % 43200 * 1000 * (ms < 0 ? -1 : 1);
        clock_format(moment, text);
        assert_ok(clock_parse(text, strlen(text), &again));
        if (again != moment || strcmp(before, text) >= 0) fail_msg("%s after %s", text, before);
        memcpy(before, text, sizeof before);
        days++;
    }
    assert_int_equal(days, 3652425); /* 25 times the days of 400 years */
}

static void clocks_agree_on_their_units(void **state)
{
    (void)state;
    int64_t ms = clock_mono_ms(), us = clock_mono_us(), ns = clock_mono_ns();
    assert_true(ms * 1000 <= us && us * 1000 <= ns);
    assert_true(ns / 1000000 - ms < 10000);
    int64_t wall_ms = clock_wall_ms(), wall_us = clock_wall_us();
    assert_true(wall_us / 1000 - wall_ms < 10000 && wall_us / 1000 >= wall_ms);
    assert_true(wall_ms > INT64_C(1700000000000)); /* after this was written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_read_exactly),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(no_byte_behind_the_size_is_read),
        cmocka_unit_test(a_time_is_written_in_24_characters),
        cmocka_unit_test(every_day_of_ten_millennia_is_read_as_it_is_written),
        cmocka_unit_test(clocks_agree_on_their_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
