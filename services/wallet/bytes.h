/*
 * Little-endian fields, written one by one: no struct is ever persisted by its bytes. A reader
 * never passes its end: a short read gives zeros and sets `bad`, asked once at the end. Nothing
 * blocks.
 */
#ifndef WALLET_BYTES_H
#define WALLET_BYTES_H

#include "base/buf.h"
#include "base/id.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

/* The next size bytes, borrowed; NULL and bad: there are fewer. */
static inline const uint8_t *read_bytes(struct reader *r, size_t size)
{
    if ((size_t)(r->end - r->at) < size) {
        r->bad = true;
        r->at = r->end;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += size;
    return p;
}

static inline uint16_t get_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return le16toh(v);
}

static inline uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t get_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static inline int64_t get_i64(const uint8_t *p)
{
    return (int64_t)get_u64(p);
}

static inline struct id get_id(const uint8_t *p)
{
    return (struct id){.hi = get_u64(p), .lo = get_u64(p + 8)};
}

static inline uint8_t read_u8(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 1);
    return p ? *p : 0;
}

static inline uint16_t read_u16(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 2);
    return p ? get_u16(p) : 0;
}

static inline uint32_t read_u32(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 4);
    return p ? get_u32(p) : 0;
}

static inline uint64_t read_u64(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 8);
    return p ? get_u64(p) : 0;
}

static inline int64_t read_i64(struct reader *r)
{
    return (int64_t)read_u64(r);
}

static inline struct id read_id(struct reader *r)
{
    uint64_t hi = read_u64(r);
    return (struct id){.hi = hi, .lo = read_u64(r)};
}

static inline void put_u16(uint8_t *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof v);
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

/* The buffer's error sticks: ask it once at the end. */
static inline void write_u8(struct buf *b, uint8_t v)
{
    (void)buf_add(b, &v, sizeof v);
}

static inline void write_u16(struct buf *b, uint16_t v)
{
    v = htole16(v);
    (void)buf_add(b, &v, sizeof v);
}

static inline void write_u32(struct buf *b, uint32_t v)
{
    v = htole32(v);
    (void)buf_add(b, &v, sizeof v);
}

static inline void write_u64(struct buf *b, uint64_t v)
{
    v = htole64(v);
    (void)buf_add(b, &v, sizeof v);
}

static inline void write_i64(struct buf *b, int64_t v)
{
    write_u64(b, (uint64_t)v);
}

static inline void write_id(struct buf *b, struct id v)
{
    write_u64(b, v.hi);
    write_u64(b, v.lo);
}

#endif
