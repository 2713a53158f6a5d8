/* Matching: price, then time, at the maker's price. */
#include "engine_state.h"

static bool crosses(const struct order *taker, int64_t price)
{
    if (taker->terms.type == TYPE_MARKET) return true;
    return taker->terms.side == SIDE_BUY ? price <= taker->terms.price
                                         : price >= taker->terms.price;
}

static bool is_market_buy(const struct order *o)
{
    return o->terms.type == TYPE_MARKET && o->terms.side == SIDE_BUY;
}

/* What of `wanted` the order can still pay for at that price: only a market buy has a budget. */
static int64_t affordable(const struct market *m, const struct order *o, int64_t spent,
                          int64_t price, int64_t wanted)
{
    if (!is_market_buy(o)) return wanted;
    int64_t most = rules_affordable(&m->rules, o->terms.price - spent, price);
    return most < wanted ? most : wanted;
}

/* How many orders at the front of the level fill `wanted`, at most max of them. */
static size_t fills_at(const struct level *level, int64_t wanted, size_t max)
{
    size_t fills = 0;
    for (const struct order *o = level->first; o && wanted > 0 && fills < max; o = o->newer) {
        wanted -= order_left(o);
        fills++;
    }
    return fills;
}

/* Fill or kill: could all of it be filled now, within the budget and the most fills? */
static bool fillable(const struct engine *e, struct market *m, const struct order *taker)
{
    enum side other = taker->terms.side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    const struct ladder *ladder = book_side(&m->book, other);
    struct ladder_cursor cursor = ladder_walk(ladder);
    int64_t left = taker->terms.quantity, spent = 0;
    size_t fills = 0, fills_max = e->options.fills_max;
    const struct level *level;

    while (left > 0 && (level = ladder_next(ladder, &cursor)) && crosses(taker, level->price)) {
        int64_t here = level->quantity < left ? level->quantity : left;
        int64_t notional;
        if (affordable(m, taker, spent, level->price, here) < here) return false;
        if (!rules_notional(&m->rules, level->price, here, &notional)) return false;
        if (__builtin_add_overflow(spent, notional, &spent)) return false;
        fills +=
            here == level->quantity ? level->orders : fills_at(level, here, fills_max - fills + 1);
        if (fills > fills_max) return false;
        left -= here;
    }
    return left == 0;
}

/* One side's part of a trade. Returns its fee: of what it receives. */
static int64_t fill(struct order *o, int64_t quantity, int64_t notional, uint32_t ppm,
                    int64_t now_ms)
{
    int64_t fee = rules_fee(o->terms.side == SIDE_BUY ? quantity : notional, ppm);
    o->filled += quantity;
    o->filled_quote += notional;
    o->fee += fee;
    o->updated_ms = now_ms;
    o->status = order_left(o) ? ORDER_PARTIALLY_FILLED : ORDER_FILLED;
    return fee;
}

static void note_trade(struct market *m, int64_t price, int64_t quantity, int64_t now_ms)
{
    m->last_price = price;
    m->last_quantity = quantity;
    m->last_trade_ms = now_ms;
    if (__builtin_add_overflow(m->volume, quantity, &m->volume)) m->volume = INT64_MAX;
}

static void trade(struct engine *e, struct market *m, struct order *taker, struct order *maker,
                  int64_t quantity)
{
    struct execution *x = result_add_execution(e);
    int64_t now_ms = e->result.now_ms;
    int64_t price = maker->terms.price;
    bool fits = rules_notional(&m->rules, price, quantity, &x->notional);
    CHECK(fits); /* the maker's whole order did */

    x->trade_id = ++e->last_trade_id;
    x->price = price;
    x->quantity = quantity;
    book_reduce(maker, quantity);
    x->maker_fee = fill(maker, quantity, x->notional, maker->maker_ppm, now_ms);
    x->taker_fee = fill(taker, quantity, x->notional, taker->taker_ppm, now_ms);
    x->maker = engine_view(maker);
    note_trade(m, price, quantity, now_ms);
    if (order_left(maker)) return;
    result_add_release(e, maker->id);
    book_remove(&m->book, maker);
    engine_close_order(e, maker);
}

/* What the taker trades with that maker now. 0: nothing, and why. */
static int64_t next_quantity(const struct engine *e, const struct market *m,
                             const struct order *taker, const struct order *maker,
                             enum reason *ret_stop)
{
    int64_t left = order_left(taker), offered = order_left(maker);
    int64_t price = maker->terms.price;
    int64_t quantity =
        affordable(m, taker, taker->filled_quote, price, offered < left ? offered : left);
    int64_t notional, total;

    *ret_stop = REASON_NONE;
    if (e->result.execution_count == e->options.fills_max)
        *ret_stop = REASON_TOO_MANY_FILLS;
    else if (quantity == 0)
        *ret_stop = REASON_SPEND_LIMIT;
    else if (!rules_notional(&m->rules, price, quantity, &notional) ||
             __builtin_add_overflow(taker->filled_quote, notional, &total))
        *ret_stop = REASON_TOO_LARGE;
    return *ret_stop ? 0 : quantity;
}

/* Trades as far as prices, budget and limits allow. Returns why it stopped before the end, or NONE.
 */
static enum reason sweep(struct engine *e, struct market *m, struct order *taker)
{
    enum side other = taker->terms.side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    struct ladder *ladder = book_side(&m->book, other);
    enum reason stop = REASON_NONE;
    int64_t touched = 0; /* the price traded at last; prices are positive */
    const struct level *level;

    while (order_left(taker) && (level = ladder_best(ladder)) && crosses(taker, level->price)) {
        int64_t quantity = next_quantity(e, m, taker, level->first, &stop);
        if (!quantity) break;
        if (touched && touched != level->price) result_add_level(e, m, other, touched);
        touched = level->price;
        trade(e, m, taker, level->first, quantity);
    }
    if (touched) result_add_level(e, m, other, touched);
    return stop;
}

/* Ends the taker: filled, or cancelled with a reason. */
static void finish(struct engine *e, struct order *taker, enum reason reason)
{
    if (order_left(taker)) {
        taker->status = ORDER_CANCELLED;
        taker->reason = (uint8_t)reason;
    }
    e->result.order = engine_view(taker);
    result_add_release(e, taker->id);
    engine_close_order(e, taker);
}

void engine_match(struct engine *e, struct market *m, struct order *taker)
{
    e->result.has_order = true;
    if (taker->terms.lifetime == LIFETIME_FOK && !fillable(e, m, taker)) {
        finish(e, taker, REASON_FOK);
        return;
    }
    enum reason stop = sweep(e, m, taker);
    if (!order_left(taker) || stop) {
        finish(e, taker, stop);
    } else if (taker->terms.lifetime != LIFETIME_GTC) {
        finish(e, taker, REASON_IOC);
    } else if (!book_add(&m->book, taker)) {
        finish(e, taker, REASON_TOO_LARGE);
    } else {
        e->result.order = engine_view(taker);
        result_add_level(e, m, taker->terms.side, taker->terms.price);
    }
}
