/*
 * A sorted array in chunks. Keys rise towards the best price: they are prices for bids and negated
 * prices for asks. No chunk is empty; a chunk that gets sparse is merged into its neighbour.
 */
#include "ladder.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_SPARSE (LADDER_CHUNK / 4)

struct ladder_chunk {
    size_t count;
    int64_t keys[LADDER_CHUNK];
    struct level *levels[LADDER_CHUNK];
};

/* Where a key is, or would be inserted. */
struct place {
    size_t chunk, at;
    bool found;
};

void ladder_init(struct ladder *l, bool falling, struct pool *levels)
{
    *l = (struct ladder){.falling = falling, .levels = levels};
}

void ladder_release(struct ladder *l)
{
    for (size_t i = 0; i < l->chunk_count; i++)
        free(l->chunks[i]);
    free(l->chunks);
    l->chunks = NULL;
    l->chunk_count = l->chunk_capacity = l->level_count = 0;
}

static int64_t key_of(const struct ladder *l, int64_t price)
{
    return l->falling ? -price : price;
}

/* The last chunk whose first key is not above the key, else the first. */
static size_t find_chunk(const struct ladder *l, int64_t key)
{
    size_t low = 0, high = l->chunk_count - 1;
    if (l->chunks[high]->keys[0] <= key) return high;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (l->chunks[middle]->keys[0] <= key)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static struct place find_place(const struct ladder *l, int64_t key)
{
    if (!l->chunk_count) return (struct place){0};
    struct place p = {.chunk = find_chunk(l, key)};
    const struct ladder_chunk *chunk = l->chunks[p.chunk];
    size_t low = 0, high = chunk->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (chunk->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    p.at = low;
    p.found = low < chunk->count && chunk->keys[low] == key;
    return p;
}

struct level *ladder_best(const struct ladder *l)
{
    if (!l->chunk_count) return NULL;
    const struct ladder_chunk *chunk = l->chunks[l->chunk_count - 1];
    return chunk->levels[chunk->count - 1];
}

struct level *ladder_find(const struct ladder *l, int64_t price)
{
    struct place p = find_place(l, key_of(l, price));
    return p.found ? l->chunks[p.chunk]->levels[p.at] : NULL;
}

static struct ladder_chunk *insert_chunk(struct ladder *l, size_t at)
{
    if (l->chunk_count == l->chunk_capacity) {
        size_t capacity = l->chunk_capacity ? 2 * l->chunk_capacity : 4;
        struct ladder_chunk **chunks = realloc(l->chunks, capacity * sizeof *chunks);
        CHECK(chunks);
        l->chunks = chunks;
        l->chunk_capacity = capacity;
    }
    struct ladder_chunk *chunk = malloc(sizeof *chunk);
    CHECK(chunk);
    chunk->count = 0;
    memmove(l->chunks + at + 1, l->chunks + at, (l->chunk_count - at) * sizeof *l->chunks);
    l->chunks[at] = chunk;
    l->chunk_count++;
    return chunk;
}

static void remove_chunk(struct ladder *l, size_t at)
{
    free(l->chunks[at]);
    l->chunk_count--;
    memmove(l->chunks + at, l->chunks + at + 1, (l->chunk_count - at) * sizeof *l->chunks);
}

/* Appends the entries of `from` starting at `start`. */
static void move_entries(struct ladder_chunk *to, struct ladder_chunk *from, size_t start)
{
    size_t moved = from->count - start;
    memcpy(to->keys + to->count, from->keys + start, moved * sizeof *to->keys);
    memcpy(to->levels + to->count, from->levels + start, moved * sizeof *to->levels);
    to->count += moved;
    from->count = start;
}

/* Makes room in a full chunk: at the end of all a new chunk, elsewhere two halves. */
static void split(struct ladder *l, struct place *p)
{
    bool at_the_end = p->chunk == l->chunk_count - 1 && p->at == LADDER_CHUNK;
    struct ladder_chunk *next = insert_chunk(l, p->chunk + 1);
    if (!at_the_end) move_entries(next, l->chunks[p->chunk], LADDER_CHUNK / 2);
    size_t left = l->chunks[p->chunk]->count;
    if (p->at > left || at_the_end) {
        p->chunk++;
        p->at -= left;
    }
}

struct level *ladder_add(struct ladder *l, int64_t price)
{
    int64_t key = key_of(l, price);
    struct place p = find_place(l, key);
    if (p.found) return l->chunks[p.chunk]->levels[p.at];
    if (!l->chunk_count) (void)insert_chunk(l, 0);
    if (l->chunks[p.chunk]->count == LADDER_CHUNK) split(l, &p);

    struct ladder_chunk *chunk = l->chunks[p.chunk];
    struct level *level = pool_take(l->levels);
    level->price = price;
    size_t behind = chunk->count - p.at;
    memmove(chunk->keys + p.at + 1, chunk->keys + p.at, behind * sizeof *chunk->keys);
    memmove(chunk->levels + p.at + 1, chunk->levels + p.at, behind * sizeof *chunk->levels);
    chunk->keys[p.at] = key;
    chunk->levels[p.at] = level;
    chunk->count++;
    l->level_count++;
    return level;
}

static void merge_sparse(struct ladder *l, size_t at)
{
    if (l->chunks[at]->count == 0) {
        remove_chunk(l, at);
    } else if (at + 1 < l->chunk_count && l->chunks[at]->count < CHUNK_SPARSE &&
               l->chunks[at + 1]->count < CHUNK_SPARSE) {
        move_entries(l->chunks[at], l->chunks[at + 1], 0);
        remove_chunk(l, at + 1);
    }
}

void ladder_remove(struct ladder *l, struct level *level)
{
    struct place p = find_place(l, key_of(l, level->price));
    CHECK(p.found);
    struct ladder_chunk *chunk = l->chunks[p.chunk];
    size_t behind = chunk->count - p.at - 1;
    memmove(chunk->keys + p.at, chunk->keys + p.at + 1, behind * sizeof *chunk->keys);
    memmove(chunk->levels + p.at, chunk->levels + p.at + 1, behind * sizeof *chunk->levels);
    chunk->count--;
    l->level_count--;
    pool_give(l->levels, level);
    if (chunk->count < CHUNK_SPARSE) merge_sparse(l, p.chunk);
}

struct ladder_cursor ladder_walk(const struct ladder *l)
{
    if (!l->chunk_count) return (struct ladder_cursor){0};
    return (struct ladder_cursor){l->chunk_count, l->chunks[l->chunk_count - 1]->count};
}

struct level *ladder_next(const struct ladder *l, struct ladder_cursor *c)
{
    if (!c->chunk) return NULL;
    struct level *level = l->chunks[c->chunk - 1]->levels[c->level - 1];
    if (--c->level == 0 && --c->chunk > 0) c->level = l->chunks[c->chunk - 1]->count;
    return level;
}
