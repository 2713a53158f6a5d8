/*
 * The engine as bytes and back. Orders are written in the order of their ids, which is also the
 * order of every queue (an order that loses its priority gets a new id), so loading is adding them
 * one by one.
 */
#include "engine_state.h"

#include <stdlib.h>

#define SNAPSHOT_VERSION 1
#define MARKET_SIZE_MAX  256
#define ORDER_SIZE_MAX   256
#define CLIENT_SIZE_MAX  128
#define HEADER_SIZE_MAX  64

static struct writer room(struct buf *out, size_t size)
{
    uint8_t *at = (uint8_t *)buf_reserve(out, size);
    return (struct writer){.at = at, .end = at ? at + size : at, .failed = !at};
}

static void done(struct buf *out, const struct writer *w)
{
    if (!w->failed) buf_commit(out, (size_t)((char *)w->at - (out->data + out->size)));
}

static void save_market(const struct market *m, struct buf *out)
{
    struct writer w = room(out, MARKET_SIZE_MAX);
    put_rules(&w, &m->rules);
    put_u64(&w, m->book.update_id);
    put_i64(&w, m->last_price);
    put_i64(&w, m->last_quantity);
    put_i64(&w, m->last_trade_ms);
    put_i64(&w, m->volume);
    done(out, &w);
}

static void load_market(struct engine *e, struct reader *r)
{
    struct rules rules = {0};
    get_rules(r, &rules);
    if (rules_check(&rules, NULL)) r->failed = true;
    if (r->failed) return;
    struct market *m = engine_add_market(e, &rules);
    m->book.update_id = get_u64(r);
    m->last_price = get_i64(r);
    m->last_quantity = get_i64(r);
    m->last_trade_ms = get_i64(r);
    m->volume = get_i64(r);
}

static void save_client(const struct client *c, struct buf *out)
{
    struct writer w = room(out, CLIENT_SIZE_MAX);
    put_text(&w, c->id.text, c->id.size);
    put_id(&w, c->user);
    put_u64(&w, c->body);
    put_u64(&w, c->order_id);
    done(out, &w);
}

static struct client *load_client(struct engine *e, struct reader *r)
{
    struct client_id id = {0};
    id.size = get_text(r, id.text, sizeof id.text);
    struct id user = get_id(r);
    uint64_t body = get_u64(r), order_id = get_u64(r);
    if (!id.size || clients_find(&e->clients, user, &id)) r->failed = true;
    if (r->failed) return NULL;
    struct client *c = clients_add(&e->clients, user, &id);
    c->body = body;
    c->order_id = order_id;
    return c;
}

static void save_order(const struct order *o, struct buf *out)
{
    struct writer w = room(out, ORDER_SIZE_MAX);
    put_u64(&w, o->id);
    put_id(&w, o->trader->id);
    put_u16(&w, o->market);
    put_u8(&w, o->terms.side);
    put_u8(&w, o->terms.type);
    put_u8(&w, o->terms.lifetime);
    put_u8(&w, o->status);
    put_i64(&w, o->terms.price);
    put_i64(&w, o->terms.quantity);
    put_i64(&w, o->filled);
    put_i64(&w, o->filled_quote);
    put_i64(&w, o->fee);
    put_i64(&w, o->created_ms);
    put_i64(&w, o->updated_ms);
    put_u32(&w, o->maker_ppm);
    put_u32(&w, o->taker_ppm);
    put_u8(&w, o->client != NULL);
    done(out, &w);
    if (o->client) save_client(o->client, out);
}

static bool order_sound(const struct engine *e, const struct order *o, uint64_t last_id)
{
    int64_t hold;
    return o->id > last_id && o->id <= e->last_order_id && o->market < e->market_count &&
           o->terms.type == TYPE_LIMIT && o->terms.lifetime == LIFETIME_GTC && o->filled >= 0 &&
           o->terms.side >= SIDE_BUY && o->terms.side <= SIDE_SELL && o->terms.price > 0 &&
           o->filled < o->terms.quantity &&
           rules_notional(&e->markets[o->market]->rules, o->terms.price, o->terms.quantity, &hold);
}

static void load_order(struct engine *e, struct reader *r, uint64_t *last_id)
{
    struct order o = {.id = get_u64(r)};
    struct id user = get_id(r);
    o.market = get_u16(r);
    o.terms.side = get_u8(r);
    o.terms.type = get_u8(r);
    o.terms.lifetime = get_u8(r);
    o.status = get_u8(r);
    o.terms.price = get_i64(r);
    o.terms.quantity = get_i64(r);
    o.filled = get_i64(r);
    o.filled_quote = get_i64(r);
    o.fee = get_i64(r);
    o.created_ms = get_i64(r);
    o.updated_ms = get_i64(r);
    o.maker_ppm = get_u32(r);
    o.taker_ppm = get_u32(r);
    uint8_t has_client = get_u8(r);
    if (has_client > 1) r->failed = true;
    if (!order_sound(e, &o, *last_id)) r->failed = true;
    o.client = has_client && !r->failed ? load_client(e, r) : NULL;
    if (r->failed) return;

    *last_id = o.id;
    struct order *open = engine_open_order(e, o.id, user);
    o.trader = open->trader;
    o.trader_older = open->trader_older;
    *open = o;
    if (!book_add(&e->markets[o.market]->book, open)) r->failed = true;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = (*(struct order *const *)a)->id, y = (*(struct order *const *)b)->id;
    return x < y ? -1 : x > y;
}

static enum err save_orders(const struct engine *e, struct buf *out)
{
    size_t count = 0;
    AUTO_FREE struct order **orders = malloc((e->orders.used + 1) * sizeof *orders);
    if (!orders) return ERR_NO_MEMORY;
    for (size_t i = 0; i < e->orders_by_id.capacity; i++)
        if (e->orders_by_id.slots[i].item) orders[count++] = e->orders_by_id.slots[i].item;
    qsort(orders, count, sizeof *orders, by_id);
    for (size_t i = 0; i < count; i++)
        save_order(orders[i], out);
    return out->error;
}

enum err engine_save(const struct engine *e, struct buf *out)
{
    struct writer w = room(out, HEADER_SIZE_MAX);
    put_u8(&w, SNAPSHOT_VERSION);
    put_u16(&w, e->options.shard);
    put_u64(&w, e->last_order_id);
    put_u64(&w, e->last_trade_id);
    put_u32(&w, (uint32_t)e->market_count);
    put_u64(&w, e->clients.closed);
    put_u64(&w, e->orders.used);
    done(out, &w);
    for (size_t i = 0; i < e->market_count; i++)
        save_market(e->markets[i], out);
    for (const struct client *c = e->clients.oldest_closed; c; c = c->next_closed)
        save_client(c, out);
    return save_orders(e, out);
}

enum err engine_load(struct engine *e, const void *data, size_t size)
{
    struct reader r = {.at = data, .end = (const uint8_t *)data + size};
    if (get_u8(&r) != SNAPSHOT_VERSION || get_u16(&r) != e->options.shard) return ERR_CORRUPT;
    e->last_order_id = get_u64(&r);
    e->last_trade_id = get_u64(&r);
    uint32_t markets = get_u32(&r);
    uint64_t closed = get_u64(&r), orders = get_u64(&r), last_id = 0;
    if (markets > MARKETS_MAX) return ERR_CORRUPT;

    for (uint32_t i = 0; i < markets && !r.failed; i++)
        load_market(e, &r);
    for (uint64_t i = 0; i < closed && !r.failed; i++) {
        struct client *c = load_client(e, &r);
        if (c) clients_close(&e->clients, c);
    }
    for (uint64_t i = 0; i < orders && !r.failed; i++)
        load_order(e, &r, &last_id);
    return r.failed || r.at != r.end ? ERR_CORRUPT : OK;
}
