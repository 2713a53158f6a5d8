/* Two clocks by clock_gettime, and RFC 3339 by arithmetic on days: no locale, no zone files. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

#define MS_PER_DAY (INT64_C(86400) * 1000)
/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what four digits of a year can say. */
#define WALL_MS_MIN (INT64_C(-62167219200) * 1000)
#define WALL_MS_MAX (INT64_C(253402300800) * 1000 - 1)

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_wall_us(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_mono_us(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* The calendar, after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". Years begin in
 * March, so that the leap day is the last of its year; an era is 400 years, 146097 days. Years
 * 0..9999. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t march_month = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month + (march_month < 10 ? 3 : -9));
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static char *put_digits(char *at, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

void clock_format(int64_t wall_ms, char ret[static CLOCK_TEXT_SIZE])
{
    if (wall_ms < WALL_MS_MIN) wall_ms = WALL_MS_MIN;
    if (wall_ms > WALL_MS_MAX) wall_ms = WALL_MS_MAX;
    int64_t days = wall_ms / MS_PER_DAY - (wall_ms % MS_PER_DAY < 0);
    int ms = (int)(wall_ms - days * MS_PER_DAY);
    int year, month, day;
    civil_from_days(days, &year, &month, &day);

    char *at = put_digits(ret, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, ms / 3600000, 2);
    *at++ = ':';
    at = put_digits(at, ms / 60000 % 60, 2);
    *at++ = ':';
    at = put_digits(at, ms / 1000 % 60, 2);
    *at++ = '.';
    at = put_digits(at, ms % 1000, 3);
    *at++ = 'Z';
    *at = 0;
}

struct reader {
    const char *at, *end;
    bool bad;
};

/* Exactly `digits` digits, min..max. */
static int read_number(struct reader *r, int digits, int min, int max)
{
    int value = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        if (r->at == r->end || *r->at < '0' || *r->at > '9') {
            r->bad = true;
            return min;
        }
        value = value * 10 + (*r->at - '0');
    }
    if (value < min || value > max) r->bad = true;
    return value;
}

/* One of the two characters. */
static bool read_either(struct reader *r, char a, char b)
{
    if (r->at == r->end || (*r->at != a && *r->at != b)) return false;
    r->at++;
    return true;
}

static void read_char(struct reader *r, char c)
{
    if (!read_either(r, c, c)) r->bad = true;
}

/* "", or "." and 1 to 9 digits: milliseconds, the rest is cut. */
static int read_fraction(struct reader *r)
{
    if (!read_either(r, '.', '.')) return 0;
    int ms = 0, digits = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, digits++)
        if (digits < 3) ms = ms * 10 + (*r->at - '0');
    if (digits < 1 || digits > 9) r->bad = true;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

/* "Z", "+hh:mm" or "-hh:mm": minutes to subtract. */
static int read_offset(struct reader *r)
{
    if (read_either(r, 'Z', 'z')) return 0;
    int sign = read_either(r, '-', '-') ? -1 : 1;
    if (sign > 0) read_char(r, '+');
    int hours = read_number(r, 2, 0, 23);
    read_char(r, ':');
    return sign * (hours * 60 + read_number(r, 2, 0, 59));
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

enum err clock_parse(const char *text, size_t size, int64_t *ret_wall_ms)
{
    struct reader r = {text, text + size, false};
    int year = read_number(&r, 4, 0, 9999);
    read_char(&r, '-');
    int month = read_number(&r, 2, 1, 12);
    read_char(&r, '-');
    int day = read_number(&r, 2, 1, 31);
    if (!read_either(&r, 'T', 't')) r.bad = true;
    int hour = read_number(&r, 2, 0, 23);
    read_char(&r, ':');
    int minute = read_number(&r, 2, 0, 59);
    read_char(&r, ':');
    int second = read_number(&r, 2, 0, 60);
    int fraction_ms = read_fraction(&r);
    int offset_min = read_offset(&r);
    if (r.bad || r.at != r.end || day > days_in_month(year, month)) return ERR_INVALID;

    int64_t minutes = (days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_min;
    int64_t whole_ms = (minutes * 60 + second) * 1000;
    /* A leap second is the last of a UTC day; it counts as the first second of the next. */
    if (second == 60 && whole_ms % MS_PER_DAY != 0) return ERR_INVALID;
    int64_t wall_ms = whole_ms + fraction_ms;
    if (wall_ms < WALL_MS_MIN || wall_ms > WALL_MS_MAX) return ERR_INVALID;
    *ret_wall_ms = wall_ms;
    return OK;
}
