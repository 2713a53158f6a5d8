/*
 * UTF-8 as RFC 3629 allows it: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Thread-safe; nothing blocks.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the valid character at the start of text (1 to 4); 0: there is none in these size
 * bytes. */
size_t utf8_next(const char *text, size_t size);

bool utf8_valid(const char *text, size_t size);

#endif
