/* Numbers to messages. Prices have the quote's scale, quantities the base's. */
#include "message.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#define FEE_SCALE 6 /* parts per million */

/* The messages' strings are char *, but nothing writes to them. */
static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

void number_format(uint64_t number, char ret[static NUMBER_TEXT_SIZE])
{
    char digits[NUMBER_TEXT_SIZE];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    memcpy(ret, digits + at, sizeof digits - at);
}

bool number_parse(const char *digits, uint64_t *ret)
{
    uint64_t number = 0;
    if (!*digits) return false;
    for (; *digits; digits++) {
        if (*digits < '0' || *digits > '9') return false;
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*digits - '0'), &number))
            return false;
    }
    *ret = number;
    return true;
}

static void timestamp(Google__Protobuf__Timestamp *ret, int64_t ms)
{
    google__protobuf__timestamp__init(ret);
    ret->seconds = ms / 1000;
    ret->nanos = (int32_t)(ms % 1000) * 1000000;
}

static const char *fee_asset(const struct listing *market, enum side side)
{
    return side == SIDE_BUY ? market->base : market->quote;
}

static uint8_t fee_scale(const struct listing *market, enum side side)
{
    return side == SIDE_BUY ? market->base_scale : market->quote_scale;
}

void order_message(struct order_message *ret, const struct order_view *o,
                   const struct listing *market)
{
    Trading__Order *m = &ret->message;
    enum side side = o->terms.side;
    trading__order__init(m);
    number_format(o->id, ret->id);
    m->order_id = ret->id;
    bool derived = o->client_id.size && o->client_id.text[0] == DERIVED_ID_MARK;
    memcpy(ret->client_id, o->client_id.text, sizeof ret->client_id);
    m->client_order_id = derived ? text("") : ret->client_id;
    m->symbol = text(market->symbol);
    m->side = (Trading__Side)side;
    m->type = (Trading__OrderType)o->terms.type;
    m->time_in_force = (Trading__TimeInForce)o->terms.lifetime;
    decimal_format(o->terms.price, market->quote_scale, ret->price);
    m->price = o->terms.price ? ret->price : text("");
    decimal_format(o->terms.quantity, market->base_scale, ret->quantity);
    m->quantity = ret->quantity;
    decimal_format(o->filled, market->base_scale, ret->filled);
    m->filled = ret->filled;
    decimal_format(o->filled_quote, market->quote_scale, ret->filled_quote);
    m->filled_quote = ret->filled_quote;
    decimal_format(o->fee, fee_scale(market, side), ret->fee);
    m->fee = ret->fee;
    m->fee_asset = text(fee_asset(market, side));
    m->status = (Trading__OrderStatus)o->status;
    m->reason = text(reason_word(o->reason));
    timestamp(&ret->created, o->created_ms);
    timestamp(&ret->updated, o->updated_ms);
    m->created_at = &ret->created;
    m->updated_at = &ret->updated;
}

void fill_message(struct fill_message *ret, const struct fill *f, enum side side,
                  const struct listing *market)
{
    trading__fill__init(&ret->message);
    number_format(f->trade_id, ret->id);
    decimal_format(f->price, market->quote_scale, ret->price);
    decimal_format(f->quantity, market->base_scale, ret->quantity);
    decimal_format(f->fee, fee_scale(market, side), ret->fee);
    ret->message.trade_id = ret->id;
    ret->message.price = ret->price;
    ret->message.quantity = ret->quantity;
    ret->message.fee = ret->fee;
    ret->message.fee_asset = text(fee_asset(market, side));
    ret->message.maker = f->maker;
}

void trade_message(struct trade_message *ret, const struct trade *t, const struct listing *market)
{
    Trading__Trade *m = &ret->message;
    trading__trade__init(m);
    number_format(t->id, ret->id);
    decimal_format(t->price, market->quote_scale, ret->price);
    decimal_format(t->quantity, market->base_scale, ret->quantity);
    timestamp(&ret->executed, t->executed_ms);
    m->trade_id = ret->id;
    m->symbol = text(market->symbol);
    m->price = ret->price;
    m->quantity = ret->quantity;
    m->taker_side = (Trading__Side)t->taker_side;
    m->executed_at = &ret->executed;
}

void own_trade_message(struct own_trade_message *ret, const struct own_trade *t,
                       const struct listing *market)
{
    Trading__MyTrade *m = &ret->message;
    trading__my_trade__init(m);
    fill_message(&ret->fill, &t->fill, t->side, market);
    number_format(t->order_id, ret->order_id);
    timestamp(&ret->executed, t->executed_ms);
    m->trade_id = ret->fill.id;
    m->order_id = ret->order_id;
    m->symbol = text(market->symbol);
    m->side = (Trading__Side)t->side;
    m->price = ret->fill.price;
    m->quantity = ret->fill.quantity;
    m->fee = ret->fill.fee;
    m->fee_asset = ret->fill.message.fee_asset;
    m->maker = t->fill.maker;
    m->executed_at = &ret->executed;
}

void level_message(struct level_message *ret, const struct level_change *l,
                   const struct listing *market)
{
    trading__level__init(&ret->message);
    decimal_format(l->price, market->quote_scale, ret->price);
    decimal_format(l->quantity, market->base_scale, ret->quantity);
    ret->message.price = ret->price;
    ret->message.quantity = l->quantity ? ret->quantity : text("0");
    ret->message.orders = l->orders;
}

/* "" where there is no such price. */
static char *price_or_nothing(int64_t price, const struct listing *market,
                              char ret[static DECIMAL_TEXT_SIZE])
{
    ret[0] = 0;
    if (price) decimal_format(price, market->quote_scale, ret);
    return ret;
}

static char *quantity_or_nothing(int64_t quantity, const struct listing *market,
                                 char ret[static DECIMAL_TEXT_SIZE])
{
    ret[0] = 0;
    if (quantity) decimal_format(quantity, market->base_scale, ret);
    return ret;
}

void ticker_message(struct ticker_message *ret, const struct ticker *t,
                    const struct listing *market)
{
    Trading__Ticker *m = &ret->message;
    trading__ticker__init(m);
    m->symbol = text(market->symbol);
    m->last = price_or_nothing(t->last, market, ret->last);
    m->bid = price_or_nothing(t->bid, market, ret->bid);
    m->bid_quantity = quantity_or_nothing(t->bid_quantity, market, ret->bid_quantity);
    m->ask = price_or_nothing(t->ask, market, ret->ask);
    m->ask_quantity = quantity_or_nothing(t->ask_quantity, market, ret->ask_quantity);
    decimal_format(t->volume, market->base_scale, ret->volume);
    m->volume = ret->volume;
    timestamp(&ret->time, t->time_ms);
    m->time = &ret->time;
}

void market_message(struct market_message *ret, const struct rules *r, const struct listing *market)
{
    Trading__Market *m = &ret->message;
    trading__market__init(m);
    decimal_format(r->tick, r->quote_scale, ret->tick);
    decimal_format(r->lot, r->base_scale, ret->lot);
    decimal_format(r->min_notional, r->quote_scale, ret->min_notional);
    decimal_format(r->maker_ppm, FEE_SCALE, ret->maker_fee);
    decimal_format(r->taker_ppm, FEE_SCALE, ret->taker_fee);
    m->symbol = text(market->symbol);
    m->base_asset = text(market->base);
    m->quote_asset = text(market->quote);
    m->tick_size = ret->tick;
    m->lot_size = ret->lot;
    m->min_notional = ret->min_notional;
    m->maker_fee = ret->maker_fee;
    m->taker_fee = ret->taker_fee;
    m->status = text(r->status == MARKET_TRADING ? "TRADING" : "HALTED");
}

void user_bytes(struct id user, uint8_t ret[static USER_SIZE])
{
    uint64_t words[2] = {htobe64(user.hi), htobe64(user.lo)};
    memcpy(ret, words, USER_SIZE);
}
