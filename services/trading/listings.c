/* Copies under one mutex. */
#include "listings.h"

#include <stdlib.h>
#include <string.h>

void listings_init(struct listings *l)
{
    *l = (struct listings){0};
    CHECK(pthread_mutex_init(&l->mutex, NULL) == 0);
}

void listings_release(struct listings *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i]);
    (void)pthread_mutex_destroy(&l->mutex);
}

/* Holding the mutex. Markets are numbered from 0 without gaps. */
static void add(struct listings *l, const struct market *m)
{
    const struct rules *r = &m->rules;
    CHECK(m->number == l->count);
    l->items[l->count] = calloc(1, sizeof **l->items);
    CHECK(l->items[l->count]);
    struct listing *c = &l->items[l->count]->constant;
    c->number = m->number;
    c->base_scale = r->base_scale;
    c->quote_scale = r->quote_scale;
    memcpy(c->symbol, r->symbol, sizeof c->symbol);
    memcpy(c->base, r->base, sizeof c->base);
    memcpy(c->quote, r->quote, sizeof c->quote);
    l->count++;
}

void listings_renew(struct listings *l, const struct market *m, int64_t now_ms)
{
    const struct level *bid = ladder_best(&m->book.bids), *ask = ladder_best(&m->book.asks);
    struct ticker t = {.last = m->last_price, .volume = m->volume, .time_ms = now_ms};
    if (bid) {
        t.bid = bid->price;
        t.bid_quantity = bid->quantity;
    }
    if (ask) {
        t.ask = ask->price;
        t.ask_quantity = ask->quantity;
    }
    (void)pthread_mutex_lock(&l->mutex);
    if (m->number >= l->count) add(l, m);
    l->items[m->number]->rules = m->rules;
    l->items[m->number]->ticker = t;
    (void)pthread_mutex_unlock(&l->mutex);
}

size_t listings_count(struct listings *l)
{
    (void)pthread_mutex_lock(&l->mutex);
    size_t count = l->count;
    (void)pthread_mutex_unlock(&l->mutex);
    return count;
}

const struct listing *listings_find(struct listings *l, const char *symbol)
{
    const struct listing *found = NULL;
    (void)pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; i < l->count && !found; i++)
        if (strcmp(l->items[i]->constant.symbol, symbol) == 0) found = &l->items[i]->constant;
    (void)pthread_mutex_unlock(&l->mutex);
    return found;
}

const struct listing *listings_get(struct listings *l, size_t number)
{
    (void)pthread_mutex_lock(&l->mutex);
    CHECK(number < l->count);
    const struct listing *market = &l->items[number]->constant;
    (void)pthread_mutex_unlock(&l->mutex);
    return market;
}

struct rules listings_rules(struct listings *l, const struct listing *market)
{
    (void)pthread_mutex_lock(&l->mutex);
    struct rules rules = l->items[market->number]->rules;
    (void)pthread_mutex_unlock(&l->mutex);
    return rules;
}

struct ticker listings_ticker(struct listings *l, const struct listing *market)
{
    (void)pthread_mutex_lock(&l->mutex);
    struct ticker ticker = l->items[market->number]->ticker;
    (void)pthread_mutex_unlock(&l->mutex);
    return ticker;
}
