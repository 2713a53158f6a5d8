/* The hash table and the expiry heap of the in-process cache. */
#include "base/cache/cache_table.h"

#include "base/crypt.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64
#define HEAP_MIN    64

/* ---- hash ---- */

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[static 4], unsigned rounds)
{
    while (rounds--) {
        v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
        v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
    }
}

static uint64_t little_endian(const uint8_t *at, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

uint64_t table_hash(const uint64_t secret[static 2], const void *data, size_t size)
{
    uint64_t v[4] = {0x736f6d6570736575 ^ secret[0], 0x646f72616e646f6d ^ secret[1],
                     0x6c7967656e657261 ^ secret[0], 0x7465646279746573 ^ secret[1]};
    const uint8_t *at = data;
    for (size_t left = size; left >= 8; left -= 8, at += 8) {
        uint64_t word = little_endian(at, 8);
        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
    }
    uint64_t word = (uint64_t)size << 56 | little_endian(at, size % 8);
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- heap ---- */

static void heap_set(struct table *t, size_t at, struct entry *e)
{
    t->heap[at] = e;
    e->heap_at = at;
}

static void heap_up(struct table *t, size_t at)
{
    struct entry *e = t->heap[at];
    while (at > 0 && t->heap[(at - 1) / 2]->expires_ms > e->expires_ms) {
        heap_set(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(t, at, e);
}

static void heap_down(struct table *t, size_t at)
{
    struct entry *e = t->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= t->count) break;
        if (child + 1 < t->count && t->heap[child + 1]->expires_ms < t->heap[child]->expires_ms)
            child++;
        if (t->heap[child]->expires_ms >= e->expires_ms) break;
        heap_set(t, at, t->heap[child]);
        at = child;
    }
    heap_set(t, at, e);
}

/* ---- table ---- */

void table_init(struct table *t)
{
    *t = (struct table){0};
    crypt_random(t->secret, sizeof t->secret);
}

void entry_clear(struct entry *e)
{
    if (e->kind == ENTRY_TEXT) free(e->text.data);
    if (e->kind == ENTRY_SORTED) sorted_release(&e->sorted);
    e->kind = ENTRY_TEXT;
    e->text.data = NULL;
    e->text.size = 0;
}

static void entry_free(struct entry *e)
{
    entry_clear(e);
    free(e);
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        entry_free(t->heap[i]);
    free(t->heap);
    free(t->buckets);
    *t = (struct table){0};
}

static struct entry **bucket(const struct table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->bucket_count - 1)];
}

struct entry *table_find(const struct table *t, struct cache_bytes key)
{
    if (!t->bucket_count) return NULL;
    uint64_t hash = table_hash(t->secret, key.data, key.size);
    for (struct entry *e = *bucket(t, hash); e; e = e->next)
        if (e->hash == hash && e->key_size == key.size && !memcmp(e->key, key.data, key.size))
            return e;
    return NULL;
}

static enum err grow_buckets(struct table *t)
{
    if (t->count < t->bucket_count) return OK;
    size_t count = t->bucket_count ? 2 * t->bucket_count : BUCKETS_MIN;
    struct entry **buckets = calloc(count, sizeof(*buckets));
    if (!buckets) return ERR_NO_MEMORY;
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = count;
    for (size_t i = 0; i < t->count; i++) { /* the heap has every entry */
        struct entry *e = t->heap[i], **to = bucket(t, e->hash);
        e->next = *to;
        *to = e;
    }
    return OK;
}

static enum err grow_heap(struct table *t)
{
    if (t->count < t->heap_capacity) return OK;
    size_t capacity = t->heap_capacity ? 2 * t->heap_capacity : HEAP_MIN;
    struct entry **heap = realloc(t->heap, capacity * sizeof(*heap));
    if (!heap) return ERR_NO_MEMORY;
    t->heap = heap;
    t->heap_capacity = capacity;
    return OK;
}

enum err table_insert(struct table *t, struct cache_bytes key, int64_t expires_ms,
                      struct entry **ret)
{
    enum err error = grow_buckets(t);
    if (!error) error = grow_heap(t);
    if (error) return error;
    struct entry *e = calloc(1, sizeof *e + key.size);
    if (!e) return ERR_NO_MEMORY;
    e->hash = table_hash(t->secret, key.data, key.size);
    e->expires_ms = expires_ms;
    e->key_size = key.size;
    memcpy(e->key, key.data, key.size);
    e->next = *bucket(t, e->hash);
    *bucket(t, e->hash) = e;
    t->heap[t->count] = e;
    heap_up(t, t->count++);
    *ret = e;
    return OK;
}

void table_expire(struct table *t, struct entry *e, int64_t expires_ms)
{
    e->expires_ms = expires_ms;
    heap_up(t, e->heap_at);
    heap_down(t, e->heap_at);
}

void table_remove(struct table *t, struct entry *e)
{
    struct entry **link = bucket(t, e->hash);
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;

    size_t hole = e->heap_at;
    struct entry *last = t->heap[--t->count];
    if (last != e) {
        heap_set(t, hole, last);
        heap_up(t, hole);
        heap_down(t, last->heap_at);
    }
    entry_free(e);
}

struct entry *table_soonest(const struct table *t)
{
    return t->count ? t->heap[0] : NULL;
}
