/*
 * Ids. A public id is 128 random-enough bits that sort by birth (UUID version 7, RFC 9562), written
 * as 32 lower-case hex digits. Thread-safe; nothing blocks; a machine without randomness is a bug
 * (CHECK).
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id {
    uint64_t hi, lo; /* field by field: never compare or hash the struct's bytes */
};

#define ID_TEXT_SIZE 33 /* 32 hex digits and the NUL */

/* UUIDv7: hi starts with the time in ms; within a process each hi is above all earlier ones. */
struct id id_new(void);
struct id id_random(void); /* 122 random bits: for secrets use crypt_random instead */
bool id_equal(struct id a, struct id b);
bool id_is_zero(struct id id);
void id_format(struct id id, char ret[static ID_TEXT_SIZE]);
/* false: not 32 lower-case hex digits; ret is untouched. */
bool id_parse(const char *text, struct id *ret);

#endif
