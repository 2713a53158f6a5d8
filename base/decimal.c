/* Decimal strings and checked integers. Rounds nowhere but in int64_mul_div, where the caller says
 * how. */
#include "base/decimal.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* value * 10 - digit: counting down reaches INT64_MIN, counting up would not. */
static bool push_digit(int64_t *value, int digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_sub_overflow(*value, digit, value);
}

enum err decimal_parse(const char *text, unsigned scale, int64_t *ret_minor)
{
    CHECK(scale <= DECIMAL_SCALE_MAX);
    bool negative = *text == '-';
    const char *whole = text + negative, *end = whole;
    while (is_digit(*end))
        end++;
    const char *whole_end = end, *decimals = end;
    if (whole == whole_end) return ERR_INVALID;
    if (*end == '.') {
        decimals = ++end;
        while (is_digit(*end))
            end++;
        if (end == decimals) return ERR_INVALID;
    }
    if (*end) return ERR_INVALID;
    while (end > decimals && end[-1] == '0')
        end--;
    if ((size_t)(end - decimals) > scale) return ERR_RANGE;

    int64_t value = 0; /* of the negated amount */
    for (const char *at = whole; at < whole_end; at++)
        if (!push_digit(&value, *at - '0')) return ERR_RANGE;
    for (unsigned i = 0; i < scale; i++, decimals += decimals < end)
        if (!push_digit(&value, decimals < end ? *decimals - '0' : 0)) return ERR_RANGE;
    if (!negative && __builtin_sub_overflow(0, value, &value)) return ERR_RANGE;
    *ret_minor = value;
    return OK;
}

void decimal_format(int64_t minor, unsigned scale, char ret[static DECIMAL_TEXT_SIZE])
{
    CHECK(scale <= DECIMAL_SCALE_MAX);
    uint64_t rest = minor < 0 ? -(uint64_t)minor : (uint64_t)minor;
    char reversed[DECIMAL_TEXT_SIZE];
    size_t size = 0;
    for (unsigned digits = 0; rest || digits <= scale; digits++, rest /= 10) {
        if (digits == scale && scale) reversed[size++] = '.';
        reversed[size++] = (char)('0' + rest % 10);
    }
    if (minor < 0) reversed[size++] = '-';
    for (size_t i = 0; i < size; i++)
        ret[i] = reversed[size - 1 - i];
    ret[size] = 0;
}

bool int64_add(int64_t a, int64_t b, int64_t *ret)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *ret = sum;
    return true;
}

bool int64_sub(int64_t a, int64_t b, int64_t *ret)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference)) return false;
    *ret = difference;
    return true;
}

bool int64_mul(int64_t a, int64_t b, int64_t *ret)
{
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *ret = product;
    return true;
}

bool int64_mul_div(int64_t a, int64_t b, int64_t divisor, enum rounding rounding, int64_t *ret)
{
    CHECK(a >= 0 && b >= 0 && divisor > 0);
    __int128 product = (__int128)a * b; /* below 2^126: adding a divisor cannot overflow */
    if (rounding == ROUND_UP) product += divisor - 1;
    __int128 quotient = product / divisor;
    if (quotient > INT64_MAX) return false;
    *ret = (int64_t)quotient;
    return true;
}
