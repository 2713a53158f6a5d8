/* The growing buffer: doubles up to its maximum; an empty one owns no memory. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CAPACITY_MIN 64

static char nothing[1]; /* what data points to while capacity is 0; never written */

void buf_init(struct buf *b, size_t size_max)
{
    CHECK(size_max < SIZE_MAX / 2);
    *b = (struct buf){.data = nothing, .size_max = size_max};
}

void buf_release(struct buf *b)
{
    if (b->capacity) free(b->data);
    buf_init(b, b->size_max);
}

void buf_clear(struct buf *b)
{
    b->size = 0;
    b->error = OK;
    if (b->capacity) b->data[0] = 0;
}

char *buf_take(struct buf *b)
{
    char *data = NULL;
    if (!b->error) data = b->capacity ? b->data : calloc(1, 1);
    if (data && b->capacity) b->capacity = 0; /* it is the caller's now */
    buf_release(b);
    return data;
}

static enum err buf_fail(struct buf *b, enum err e)
{
    b->error = e;
    return e;
}

char *buf_reserve(struct buf *b, size_t size)
{
    if (b->error) return NULL;
    if (size > b->size_max - b->size) {
        (void)buf_fail(b, ERR_EXHAUSTED);
        return NULL;
    }
    size_t needed = b->size + size + 1;
    if (needed > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : CAPACITY_MIN;
        while (capacity < needed)
            capacity *= 2;
        if (capacity > b->size_max + 1) capacity = b->size_max + 1;
        char *data = realloc(b->capacity ? b->data : NULL, capacity);
        if (!data) {
            (void)buf_fail(b, ERR_NO_MEMORY);
            return NULL;
        }
        b->data = data;
        b->capacity = capacity;
        data[b->size] = 0;
    }
    return b->data + b->size;
}

void buf_commit(struct buf *b, size_t size)
{
    CHECK(size == 0 || size < b->capacity - b->size);
    b->size += size;
    if (b->capacity) b->data[b->size] = 0;
}

enum err buf_add(struct buf *b, const void *data, size_t size)
{
    char *at = buf_reserve(b, size);
    if (!at) return b->error;
    if (size) memcpy(at, data, size);
    buf_commit(b, size);
    return OK;
}

enum err buf_add_text(struct buf *b, const char *text)
{
    return buf_add(b, text, strlen(text));
}

enum err buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

enum err buf_add_format(struct buf *b, const char *format, ...)
{
    if (b->error) return b->error;
    va_list args;
    size_t room = b->capacity - b->size;
    va_start(args, format);
    int size = vsnprintf(room ? b->data + b->size : NULL, room, format, args);
    va_end(args);
    CHECK(size >= 0);           /* a format that cannot be printed */
    if ((size_t)size >= room) { /* it did not fit: now its size is known */
        if (b->capacity) b->data[b->size] = 0;
        char *at = buf_reserve(b, (size_t)size);
        if (!at) return b->error;
        va_start(args, format);
        (void)vsnprintf(at, (size_t)size + 1, format, args);
        va_end(args);
    }
    buf_commit(b, (size_t)size);
    return OK;
}
