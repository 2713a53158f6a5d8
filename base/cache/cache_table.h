/*
 * The keys of the in-process cache: a hash table to find them and a heap to know who expires next.
 * The hash is keyed (SipHash-2-4), because keys come from clients. Not thread-safe; does not block.
 * A table that doubles moves all of its keys at once: about 30 ms at a million.
 */
#ifndef BASE_CACHE_TABLE_H
#define BASE_CACHE_TABLE_H

#include "base/cache/cache_driver.h"
#include "base/cache/cache_sorted.h"

enum entry_kind { ENTRY_TEXT, ENTRY_WINDOW, ENTRY_SORTED };

struct entry {
    struct entry *next; /* in its bucket */
    uint64_t hash;
    int64_t expires_ms;
    size_t heap_at;
    size_t bytes; /* what it takes to keep it; set by the owner of the table */
    enum entry_kind kind;
    union {
        struct {
            char *data; /* owned; may be NULL while size is 0 */
            size_t size;
        } text;
        struct {
            int64_t number, last, current; /* which window, its hits and those of the one before */
        } window;
        struct sorted sorted;
    };
    size_t key_size;
    char key[];
};

struct table {
    uint64_t secret[2];
    struct entry **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    struct entry **heap; /* the soonest first */
    size_t heap_capacity;
    size_t count;
};

void table_init(struct table *t);
void table_release(struct table *t); /* frees every entry */

struct entry *table_find(const struct table *t, struct cache_bytes key); /* NULL: none */
/* A new zeroed entry of a key that is not there. ERR_NO_MEMORY. */
MUST_CHECK enum err table_insert(struct table *t, struct cache_bytes key, int64_t expires_ms,
                                 struct entry **ret);
void table_expire(struct table *t, struct entry *e, int64_t expires_ms);
void table_remove(struct table *t, struct entry *e); /* and frees it */
struct entry *table_soonest(const struct table *t);  /* NULL: empty */

void entry_clear(struct entry *e); /* frees the value; an empty text remains */

/* SipHash-2-4 (Aumasson and Bernstein, 2012). */
uint64_t table_hash(const uint64_t secret[static 2], const void *data, size_t size);

#endif
