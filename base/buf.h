/*
 * A growing byte buffer that cannot exist without a maximum. The bytes are always followed by a NUL
 * that size does not count. Errors stick: after a failed append all later ones fail too, so that a
 * writer may append freely and ask once at the end. A failed append adds nothing.
 * Not thread-safe; nothing blocks.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/auto.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* never NULL after buf_init: "" while empty */
    size_t size, capacity, size_max;
    enum err error; /* ERR_NO_MEMORY, or ERR_EXHAUSTED at size_max */
};

void buf_init(struct buf *b, size_t size_max);
void buf_release(struct buf *b); /* accepts a zeroed buf; leaves it empty and usable */
void buf_clear(struct buf *b);   /* keeps the memory, forgets the error */
/* The bytes, now owned by the caller (free); the buf is empty again. NULL: error was set, so that
 * half a text never gets out; or no memory. */
char *buf_take(struct buf *b);

enum err buf_add(struct buf *b, const void *data, size_t size);
enum err buf_add_text(struct buf *b, const char *text);
enum err buf_add_char(struct buf *b, char c);
enum err buf_add_format(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for size more bytes at data + size; buf_commit says how many were used.
 * NULL: error is set. */
char *buf_reserve(struct buf *b, size_t size);
void buf_commit(struct buf *b, size_t size);

#define AUTO_BUF AUTO(buf_release)

#endif
