/* A first block that is always there, and malloc for what does not fit. */
#include "base/rpc/arena.h"

#include <stdlib.h>

struct arena_extra {
    struct arena_extra *next;
    _Alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *a)
{
    a->used = a->extra_size = 0;
    a->extras = NULL;
}

static void *alloc_extra(struct arena *a, size_t size)
{
    if (size > ARENA_SIZE_MAX - a->extra_size) return NULL;
    struct arena_extra *extra = malloc(sizeof *extra + size);
    if (!extra) return NULL;
    extra->next = a->extras;
    a->extras = extra;
    a->extra_size += size;
    return extra->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > ARENA_SIZE_MAX) return NULL;
    size_t rounded = (size + align - 1) / align * align;
    if (rounded > sizeof a->first - a->used) return alloc_extra(a, rounded);
    void *piece = a->first + a->used;
    a->used += rounded;
    return piece;
}

void arena_clear(struct arena *a)
{
    while (a->extras) {
        struct arena_extra *next = a->extras->next;
        free(a->extras);
        a->extras = next;
    }
    a->used = a->extra_size = 0;
}

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void keep(void *arena, void *piece)
{
    (void)arena;
    (void)piece;
}

ProtobufCAllocator arena_allocator(struct arena *a)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = keep, .allocator_data = a};
}
