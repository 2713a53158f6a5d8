/*
 * Time. Two clocks that are never mixed: the wall clock for what people and records see, the
 * monotonic one for deadlines and durations. Cores and replays use neither: their time comes from
 * the log. Thread-safe; nothing blocks.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void); /* milliseconds since 1970-01-01T00:00:00Z */
int64_t clock_wall_us(void);
int64_t clock_mono_ms(void); /* milliseconds since some start; never goes back */
int64_t clock_mono_us(void);
int64_t clock_mono_ns(void);

/* "2026-01-31T23:59:59.123Z" (RFC 3339, UTC, milliseconds): 24 characters and the NUL. What is
 * before the year 0000 or after 9999 is written as the first or the last moment of them. */
#define CLOCK_TEXT_SIZE 25
void clock_format(int64_t wall_ms, char ret[static CLOCK_TEXT_SIZE]);

/*
 * Reads RFC 3339 with any offset and 0 to 9 decimals (those beyond the millisecond are cut); a leap
 * second is read as the first second of the next day. ERR_INVALID: not such a time, or in UTC not
 * within the years 0000 to 9999; ret is untouched.
 */
MUST_CHECK enum err clock_parse(const char *text, size_t size, int64_t *ret_wall_ms);

#endif
