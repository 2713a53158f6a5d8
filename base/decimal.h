/*
 * Money at the edge: decimal strings to int64 minor units and back. Never floating point.
 * An amount of an asset with scale s is an integer count of 10^-s. Thread-safe; nothing blocks.
 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define DECIMAL_SCALE_MAX 18 /* 10^18 is the largest power of ten in an int64 */
#define DECIMAL_TEXT_SIZE 32 /* sign, 19 digits, point, NUL, and room */

/*
 * "12.50" at scale 8 -> 1250000000. Accepts an optional '-', digits, and at most `scale` decimals
 * (trailing zeros beyond it are accepted, they are no precision). Refuses, with ret untouched:
 * ERR_INVALID: empty, no digit before or after the point, exponent, sign '+', blanks, any other
 * letter; ERR_RANGE: more precision than the scale holds, or a value outside of int64.
 */
MUST_CHECK enum err decimal_parse(const char *text, unsigned scale, int64_t *ret_minor);

/* 1250000000 at scale 8 -> "12.50000000": always all decimals, so that equal amounts are equal
 * text. */
void decimal_format(int64_t minor, unsigned scale, char ret[static DECIMAL_TEXT_SIZE]);

/* a + b, a - b, a * b in int64. false on overflow, ret untouched. */
bool int64_add(int64_t a, int64_t b, int64_t *ret);
bool int64_sub(int64_t a, int64_t b, int64_t *ret);
bool int64_mul(int64_t a, int64_t b, int64_t *ret);

/*
 * a * b / divisor through __int128, for prices times quantities and rates. a, b >= 0, divisor > 0.
 * false when the result does not fit int64. Rounding is named, never implicit.
 */
enum rounding { ROUND_DOWN, ROUND_UP };
bool int64_mul_div(int64_t a, int64_t b, int64_t divisor, enum rounding rounding, int64_t *ret);

#endif
