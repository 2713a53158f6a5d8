/* Accounts: found, made, taken back. */
#include "accounts.h"

#include <stdlib.h>

void accounts_init(struct accounts *a, uint64_t seed, uint32_t max)
{
    *a = (struct accounts){.seed = seed, .max = max};
    index_init(&a->index);
}

void accounts_release(struct accounts *a)
{
    free(a->items);
    index_release(&a->index);
    *a = (struct accounts){0};
}

struct account *accounts_find(const struct accounts *a, struct id owner, uint16_t asset)
{
    uint32_t at = 0;
    struct index_probe p = index_probe(&a->index, account_hash(a, owner, asset));
    while (index_next(&a->index, &p, &at)) {
        struct account *account = &a->items[at];
        if (id_equal(account->owner, owner) && account->asset == asset) return account;
    }
    return NULL;
}

static void grow(struct accounts *a)
{
    uint32_t capacity = a->capacity ? 2 * a->capacity : 64;
    struct account *items = reallocarray(a->items, capacity, sizeof *items);
    CHECK(items);
    a->items = items;
    a->capacity = capacity;
}

static struct account *add(struct accounts *a, struct id owner, uint16_t asset)
{
    if (a->count == a->capacity) grow(a);
    index_add(&a->index, account_hash(a, owner, asset), a->count);
    struct account *account = &a->items[a->count++];
    *account = (struct account){.owner = owner, .asset = asset};
    return account;
}

struct account *accounts_get(struct accounts *a, struct id owner, uint16_t asset)
{
    struct account *account = accounts_find(a, owner, asset);
    if (account) return account;
    return a->count < a->max ? add(a, owner, asset) : NULL;
}

struct account *accounts_get_promised(struct accounts *a, struct id owner, uint16_t asset)
{
    struct account *account = accounts_find(a, owner, asset);
    return account ? account : add(a, owner, asset);
}

void accounts_truncate(struct accounts *a, uint32_t count)
{
    while (a->count > count) {
        const struct account *last = &a->items[--a->count];
        index_remove(&a->index, account_hash(a, last->owner, last->asset), a->count);
    }
}
