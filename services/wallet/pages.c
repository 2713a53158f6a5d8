/* A hash table of the batch's accounts; the entries of each are a list through the batch. */
#include "pages.h"

#include <stdlib.h>

#define SLOTS (2 * PAGES_ENTRIES_MAX)
#define NONE  UINT32_MAX

_Static_assert((SLOTS & (SLOTS - 1)) == 0, "slots are found by a mask");

struct item {
    const uint8_t *body;
    uint32_t size, next; /* of the same account; NONE: the last */
};

struct group {
    struct entry_whose whose;
    uint32_t first, last;
};

struct pages {
    const struct ledger *names;
    size_t item_count, group_count, page_count;
    struct item items[PAGES_ENTRIES_MAX];
    struct group groups[PAGES_ENTRIES_MAX];
    uint32_t slots[SLOTS]; /* of groups; NONE: empty */
    struct entry_page pages[STORE_BULK_MAX];
    struct buf bytes[STORE_BULK_MAX]; /* of each page; they keep their memory */
};

void pages_clear(struct pages *p)
{
    p->item_count = p->group_count = p->page_count = 0;
    memset(p->slots, 0xff, sizeof p->slots);
}

enum err pages_new(const struct ledger *names, struct pages **ret)
{
    struct pages *p = calloc(1, sizeof *p);
    if (!p) return ERR_NO_MEMORY;
    p->names = names;
    for (size_t i = 0; i < STORE_BULK_MAX; i++)
        buf_init(&p->bytes[i], PAGE_SIZE_MAX);
    pages_clear(p);
    *ret = p;
    return OK;
}

void pages_free(struct pages *p)
{
    if (!p) return;
    for (size_t i = 0; i < STORE_BULK_MAX; i++)
        buf_release(&p->bytes[i]);
    free(p);
}

bool pages_full(const struct pages *p)
{
    return p->item_count == PAGES_ENTRIES_MAX;
}

/* Users' ids are of the service's making: nobody can choose colliding ones. */
static size_t slot_of(const struct entry_whose *w)
{
    uint64_t hash = (w->owner.hi ^ w->owner.lo * UINT64_C(0x9e3779b97f4a7c15)) + w->asset;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    return (hash >> 32) & (SLOTS - 1);
}

static bool same(const struct entry_whose *a, const struct entry_whose *b)
{
    return id_equal(a->owner, b->owner) && a->asset == b->asset;
}

static struct group *group_of(struct pages *p, const struct entry_whose *whose)
{
    size_t slot = slot_of(whose);
    while (p->slots[slot] != NONE) {
        struct group *g = &p->groups[p->slots[slot]];
        if (same(&g->whose, whose)) return g;
        slot = (slot + 1) & (SLOTS - 1);
    }
    struct group *g = &p->groups[p->group_count];
    *g = (struct group){*whose, NONE, NONE};
    p->slots[slot] = (uint32_t)p->group_count++;
    return g;
}

void pages_add(struct pages *p, const struct entry_whose *whose, const uint8_t *body, size_t size)
{
    CHECK(!pages_full(p));
    uint32_t at = (uint32_t)p->item_count++;
    struct group *g = group_of(p, whose);
    p->items[at] = (struct item){body, (uint32_t)size, NONE};
    if (g->last == NONE)
        g->first = at;
    else
        p->items[g->last].next = at;
    g->last = at;
}

static enum err flush(struct pages *p, struct store *s)
{
    enum err e = wallet_store_put_pages(s, p->pages, p->page_count);
    p->page_count = 0;
    return e;
}

/* The group's entries from item *at on, as many as a page has; moves *at behind them. */
static void add_page(struct pages *p, const struct group *g, uint64_t until, uint32_t *at)
{
    struct buf *bytes = &p->bytes[p->page_count];
    uint64_t first = entry_position(p->items[*at].body);
    buf_clear(bytes);
    for (size_t n = 0; n < PAGE_ENTRIES_MAX && *at != NONE; n++) {
        const struct item *item = &p->items[*at];
        (void)buf_add(bytes, item->body, item->size);
        *at = item->next;
    }
    CHECK(!bytes->error);
    p->pages[p->page_count++] = (struct entry_page){
        .first = first,
        .until = until,
        .owner = g->whose.owner,
        .asset = ledger_asset(p->names, g->whose.asset).name,
        .bytes = bytes->data,
        .size = bytes->size,
    };
}

enum err pages_write(struct pages *p, struct store *s)
{
    enum err e = OK;
    uint64_t until = p->item_count ? entry_position(p->items[p->item_count - 1].body) : 0;
    for (size_t i = 0; i < p->group_count && !e; i++)
        for (uint32_t at = p->groups[i].first; at != NONE && !e;) {
            add_page(p, &p->groups[i], until, &at);
            if (p->page_count == STORE_BULK_MAX) e = flush(p, s);
        }
    if (!e) e = flush(p, s);
    pages_clear(p);
    return e;
}
