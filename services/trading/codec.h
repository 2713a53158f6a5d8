/*
 * Explicit little-endian bytes: what goes into the journal and snapshots is written and read field
 * by field with these, never as a struct. Errors stick: read or write freely and ask once at the
 * end.
 */
#ifndef TRADING_CODEC_H
#define TRADING_CODEC_H

#include "base/id.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
    uint8_t *at, *end;
    bool failed; /* there was no room */
};

struct reader {
    const uint8_t *at, *end;
    bool failed; /* it ended too early */
};

static inline void put_bytes(struct writer *w, const void *data, size_t size)
{
    if (w->failed || (size_t)(w->end - w->at) < size) {
        w->failed = true;
        return;
    }
    memcpy(w->at, data, size);
    w->at += size;
}

static inline void put_u8(struct writer *w, uint8_t v)
{
    put_bytes(w, &v, 1);
}

static inline void put_u16(struct writer *w, uint16_t v)
{
    v = htole16(v);
    put_bytes(w, &v, sizeof v);
}

static inline void put_u32(struct writer *w, uint32_t v)
{
    v = htole32(v);
    put_bytes(w, &v, sizeof v);
}

static inline void put_u64(struct writer *w, uint64_t v)
{
    v = htole64(v);
    put_bytes(w, &v, sizeof v);
}

static inline void put_i64(struct writer *w, int64_t v)
{
    put_u64(w, (uint64_t)v);
}

static inline void put_id(struct writer *w, struct id id)
{
    put_u64(w, id.hi);
    put_u64(w, id.lo);
}

/* Text of at most 255 bytes, its length before it. */
static inline void put_text(struct writer *w, const char *text, size_t size)
{
    put_u8(w, (uint8_t)size);
    put_bytes(w, text, size);
}

static inline void get_bytes(struct reader *r, void *ret, size_t size)
{
    if (r->failed || (size_t)(r->end - r->at) < size) {
        r->failed = true;
        memset(ret, 0, size);
        return;
    }
    memcpy(ret, r->at, size);
    r->at += size;
}

static inline uint8_t get_u8(struct reader *r)
{
    uint8_t v;
    get_bytes(r, &v, 1);
    return v;
}

static inline uint16_t get_u16(struct reader *r)
{
    uint16_t v;
    get_bytes(r, &v, sizeof v);
    return le16toh(v);
}

static inline uint32_t get_u32(struct reader *r)
{
    uint32_t v;
    get_bytes(r, &v, sizeof v);
    return le32toh(v);
}

static inline uint64_t get_u64(struct reader *r)
{
    uint64_t v;
    get_bytes(r, &v, sizeof v);
    return le64toh(v);
}

static inline int64_t get_i64(struct reader *r)
{
    return (int64_t)get_u64(r);
}

static inline struct id get_id(struct reader *r)
{
    struct id id;
    id.hi = get_u64(r);
    id.lo = get_u64(r);
    return id;
}

/* Into a NUL-terminated array of ret_size bytes; longer text and NULs in it fail. Returns its
 * length. */
static inline uint8_t get_text(struct reader *r, char *ret, size_t ret_size)
{
    uint8_t size = get_u8(r);
    if (size >= ret_size) r->failed = true;
    if (r->failed) size = 0;
    get_bytes(r, ret, size);
    if (memchr(ret, 0, size)) r->failed = true;
    if (r->failed) size = 0;
    ret[size] = 0;
    return size;
}

#endif
