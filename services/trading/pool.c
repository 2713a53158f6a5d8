/* Slabs of items of one size, linked through themselves while free. */
#include "pool.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define ITEM_ALIGN 16u

void pool_init(struct pool *p, size_t item_size, size_t slab_items)
{
    size_t size = (item_size + ITEM_ALIGN - 1) / ITEM_ALIGN * ITEM_ALIGN;
    *p = (struct pool){.item_size = size, .slab_items = slab_items};
}

void pool_release(struct pool *p)
{
    void *slab = p->slabs;
    while (slab) {
        void *next = *(void **)slab;
        free(slab);
        slab = next;
    }
    p->slabs = p->free = NULL;
    p->used = 0;
}

static void add_slab(struct pool *p)
{
    char *slab = malloc(ITEM_ALIGN + p->slab_items * p->item_size);
    CHECK(slab);
    *(void **)(void *)slab = p->slabs;
    p->slabs = slab;
    for (size_t i = p->slab_items; i-- > 0;) {
        void *item = slab + ITEM_ALIGN + i * p->item_size;
        *(void **)item = p->free;
        p->free = item;
    }
    CHECK(p->free); /* a slab has items */
}

void *pool_take(struct pool *p)
{
    if (!p->free) add_slab(p);
    void *item = p->free;
    p->free = *(void **)item;
    p->used++;
    memset(item, 0, p->item_size);
    return item;
}

void pool_give(struct pool *p, void *item)
{
    *(void **)item = p->free;
    p->free = item;
    p->used--;
}
