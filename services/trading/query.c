/* What can be asked of the engine; nothing here changes it. */
#include "engine_state.h"

#include <string.h>

uint64_t engine_last_order_id(const struct engine *e)
{
    return e->last_order_id;
}

size_t engine_market_count(const struct engine *e)
{
    return e->market_count;
}

const struct market *engine_market(const struct engine *e, size_t number)
{
    CHECK(number < e->market_count);
    return e->markets[number];
}

const struct market *engine_find_market(const struct engine *e, const char *symbol)
{
    for (size_t i = 0; i < e->market_count; i++)
        if (strcmp(e->markets[i]->rules.symbol, symbol) == 0) return e->markets[i];
    return NULL;
}

size_t engine_open_count(const struct engine *e)
{
    return e->orders.used;
}

bool engine_find_order(const struct engine *e, uint64_t order_id, struct order_view *ret)
{
    const struct order *o = engine_order(e, order_id);
    if (!o) return false;
    *ret = engine_view(o);
    return true;
}

bool engine_find_client(const struct engine *e, struct id user, const struct client_id *id,
                        uint64_t *ret_order_id, uint64_t *ret_body)
{
    const struct client *client = clients_find(&e->clients, user, id);
    if (!client) return false;
    *ret_order_id = client->order_id;
    *ret_body = client->body;
    return true;
}

size_t engine_open_orders(const struct engine *e, struct id user, uint16_t market,
                          uint64_t before_id, struct order_view *ret, size_t max)
{
    const struct trader *t = engine_trader(e, user);
    size_t count = 0;
    for (const struct order *o = t ? t->newest : NULL; o && count < max; o = o->trader_older) {
        if (before_id && o->id >= before_id) continue;
        if (market != MARKET_ALL && o->market != market) continue;
        ret[count++] = engine_view(o);
    }
    return count;
}

size_t market_depth(const struct market *m, enum side side, struct level_change *ret, size_t max)
{
    const struct ladder *ladder = side == SIDE_BUY ? &m->book.bids : &m->book.asks;
    struct ladder_cursor cursor = ladder_walk(ladder);
    size_t count = 0;
    const struct level *level;
    while (count < max && (level = ladder_next(ladder, &cursor)))
        ret[count++] = (struct level_change){
            .update_id = m->book.update_id,
            .price = level->price,
            .quantity = level->quantity,
            .orders = level->orders,
            .market = m->number,
            .side = (uint8_t)side,
        };
    return count;
}

static size_t add_leg(struct leg *legs, size_t count, struct leg leg)
{
    if (leg.amount) legs[count++] = leg;
    return count;
}

size_t execution_legs(const struct execution *x, const struct order_view *taker,
                      struct leg ret[static TRADE_LEGS_MAX])
{
    bool taker_buys = taker->terms.side == SIDE_BUY;
    const struct order_view *buyer = taker_buys ? taker : &x->maker;
    const struct order_view *seller = taker_buys ? &x->maker : taker;
    int64_t base_fee = taker_buys ? x->taker_fee : x->maker_fee;
    int64_t quote_fee = taker_buys ? x->maker_fee : x->taker_fee;
    size_t n = 0;

    n = add_leg(ret, n, (struct leg){buyer->id, buyer->user, false, true, -x->notional, LEG_TRADE});
    n = add_leg(ret, n,
                (struct leg){seller->id, seller->user, false, false, -x->quantity, LEG_TRADE});
    n = add_leg(ret, n,
                (struct leg){0, buyer->user, false, false, x->quantity - base_fee, LEG_TRADE});
    n = add_leg(ret, n,
                (struct leg){0, seller->user, false, true, x->notional - quote_fee, LEG_TRADE});
    n = add_leg(ret, n, (struct leg){0, {0, 0}, true, false, base_fee, LEG_FEE});
    return add_leg(ret, n, (struct leg){0, {0, 0}, true, true, quote_fee, LEG_FEE});
}
