/* A hash table of the batch's keys; the entries of each are a list through the batch. */
#include "base/store/pages.h"

#include "base/buf.h"
#include "base/store/store.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (2 * PAGES_ENTRIES_MAX)
#define NONE  UINT32_MAX

_Static_assert((SLOTS & (SLOTS - 1)) == 0, "slots are found by a mask");
_Static_assert(PAGE_ENTRIES_MAX *PAGE_ENTRY_SIZE_MAX < STORE_DOCUMENT_SIZE_MAX / 2,
               "a page is a document");

struct item {
    uint64_t position;
    uint32_t at, size; /* of its body */
    uint32_t next;     /* of the same key; NONE: the last */
};

struct group {
    struct page_key key;
    uint32_t first, last;
};

struct pages {
    size_t item_count, group_count;
    struct item items[PAGES_ENTRIES_MAX];
    struct group groups[PAGES_ENTRIES_MAX];
    uint32_t slots[SLOTS]; /* of groups; NONE: empty */
    struct buf bodies;     /* of all items */

    size_t page_count; /* of those that are put together */
    struct page pages[STORE_BULK_MAX];
    size_t page_at[STORE_BULK_MAX]; /* of their bytes */
    struct buf bytes;
};

void pages_clear(struct pages *p)
{
    p->item_count = p->group_count = 0;
    memset(p->slots, 0xff, sizeof p->slots);
    buf_clear(&p->bodies);
}

enum err pages_new(struct pages **ret)
{
    struct pages *p = calloc(1, sizeof *p);
    if (!p) return ERR_NO_MEMORY;
    buf_init(&p->bodies, PAGES_ENTRIES_MAX * PAGE_ENTRY_SIZE_MAX + 1);
    buf_init(&p->bytes, PAGES_ENTRIES_MAX * PAGE_ENTRY_SIZE_MAX + 1);
    pages_clear(p);
    *ret = p;
    return OK;
}

void pages_free(struct pages *p)
{
    if (!p) return;
    buf_release(&p->bodies);
    buf_release(&p->bytes);
    free(p);
}

bool pages_full(const struct pages *p, size_t more)
{
    return p->item_count + more > PAGES_ENTRIES_MAX;
}

/* Owners' ids are of our making: nobody can choose colliding ones. */
static size_t slot_of(const struct page_key *key)
{
    uint64_t hash = (key->owner.hi ^ key->owner.lo * UINT64_C(0x9e3779b97f4a7c15)) + key->of;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    return (hash >> 32) & (SLOTS - 1);
}

static bool same(const struct page_key *a, const struct page_key *b)
{
    return id_equal(a->owner, b->owner) && a->of == b->of;
}

static struct group *group_of(struct pages *p, const struct page_key *key)
{
    size_t slot = slot_of(key);
    while (p->slots[slot] != NONE) {
        struct group *g = &p->groups[p->slots[slot]];
        if (same(&g->key, key)) return g;
        slot = (slot + 1) & (SLOTS - 1);
    }
    struct group *g = &p->groups[p->group_count];
    *g = (struct group){*key, NONE, NONE};
    p->slots[slot] = (uint32_t)p->group_count++;
    return g;
}

void pages_add(struct pages *p, const struct page_key *key, uint64_t position, const void *body,
               size_t size)
{
    CHECK(!pages_full(p, 1) && size <= PAGE_ENTRY_SIZE_MAX);
    uint32_t at = (uint32_t)p->item_count++;
    struct group *g = group_of(p, key);
    p->items[at] = (struct item){position, (uint32_t)p->bodies.size, (uint32_t)size, NONE};
    (void)buf_add(&p->bodies, body, size);
    if (g->last == NONE)
        g->first = at;
    else
        p->items[g->last].next = at;
    g->last = at;
}

/* The group's entries from item *at on, as many as a page has; moves *at behind them. */
static void add_page(struct pages *p, const struct group *g, uint32_t *at)
{
    p->page_at[p->page_count] = p->bytes.size;
    struct page *page = &p->pages[p->page_count++];
    *page = (struct page){.key = g->key,
                          .first = p->items[*at].position,
                          .until = p->items[p->item_count - 1].position};
    for (size_t n = 0; n < PAGE_ENTRIES_MAX && *at != NONE; n++) {
        const struct item *item = &p->items[*at];
        (void)buf_add(&p->bytes, p->bodies.data + item->at, item->size);
        page->size += item->size;
        *at = item->next;
    }
}

enum err pages_write(struct pages *p,
                     enum err (*put)(void *arg, const struct page *pages, size_t count), void *arg)
{
    enum err e = p->bodies.error;
    uint32_t at = p->group_count ? p->groups[0].first : NONE;
    for (size_t i = 0; i < p->group_count && !e;) {
        p->page_count = 0;
        buf_clear(&p->bytes);
        while (i < p->group_count && p->page_count < STORE_BULK_MAX) {
            add_page(p, &p->groups[i], &at);
            if (at == NONE && ++i < p->group_count) at = p->groups[i].first;
        }
        e = p->bytes.error;
        for (size_t n = 0; n < p->page_count; n++)
            p->pages[n].bytes = p->bytes.data + p->page_at[n];
        if (!e) e = put(arg, p->pages, p->page_count);
    }
    return e;
}
