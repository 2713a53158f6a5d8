/* A market's rules and arithmetic. */
#include "rules.h"

#include <stddef.h>
#include <string.h>

static const struct {
    enum err err;
    const char *word, *text;
} refusals[REFUSAL_COUNT] = {
#define REFUSAL_ROW(name, err, word, text) [name] = {err, word, text},
    REFUSAL_TABLE(REFUSAL_ROW)
#undef REFUSAL_ROW
};

static const int64_t powers[SCALE_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

enum err refusal_err(enum refusal r)
{
    return refusals[r].err;
}

const char *refusal_word(enum refusal r)
{
    return refusals[r].word;
}

const char *refusal_text(enum refusal r)
{
    return refusals[r].text;
}

static const char *rules_wrong(const struct rules *r)
{
    if (!r->symbol[0] || !r->base[0] || !r->quote[0]) return "symbol, base and quote are required";
    if (strcmp(r->base, r->quote) == 0) return "base and quote must differ";
    if (r->base_scale > SCALE_MAX || r->quote_scale > SCALE_MAX) return "a scale is at most 18";
    if (r->tick <= 0 || r->lot <= 0) return "tick and lot must be positive";
    if (r->min_notional < 0) return "the minimum notional must not be negative";
    if (r->maker_ppm > FEE_PPM_MAX || r->taker_ppm > FEE_PPM_MAX) return "a fee is at most 0.1";
    if (r->status != MARKET_TRADING && r->status != MARKET_HALTED) return "no such status";
    if ((__int128)r->tick * r->lot % powers[r->base_scale])
        return "a tick times a lot must be a whole number of the quote's smallest unit";
    return NULL;
}

enum refusal rules_check(const struct rules *r, const char **ret_why)
{
    const char *why = rules_wrong(r);
    if (!why) return ACCEPTED;
    if (ret_why) *ret_why = why;
    return REFUSED_RULES;
}

bool rules_notional(const struct rules *r, int64_t price, int64_t quantity, int64_t *ret)
{
    __int128 notional = (__int128)price * quantity / powers[r->base_scale];
    if (notional > INT64_MAX) return false;
    *ret = (int64_t)notional;
    return true;
}

int64_t rules_affordable(const struct rules *r, int64_t money, int64_t price)
{
    __int128 quantity = (__int128)money * powers[r->base_scale] / price;
    if (quantity > INT64_MAX) quantity = INT64_MAX;
    return (int64_t)quantity / r->lot * r->lot;
}

int64_t rules_fee(int64_t amount, uint32_t ppm)
{
    return (int64_t)(((__int128)amount * ppm + 999999) / 1000000);
}

static bool kind_known(const struct terms *t)
{
    if (t->side != SIDE_BUY && t->side != SIDE_SELL) return false;
    if (t->lifetime < LIFETIME_GTC || t->lifetime > LIFETIME_FOK) return false;
    return t->type == TYPE_LIMIT || (t->type == TYPE_MARKET && t->lifetime != LIFETIME_GTC);
}

static enum refusal judge_market(const struct rules *r, const struct terms *t, int64_t *ret_hold)
{
    bool buy = t->side == SIDE_BUY;
    if (buy ? t->price <= 0 : t->price != 0) return REFUSED_SPEND;
    if (buy && t->price < r->min_notional) return REFUSED_NOTIONAL;
    *ret_hold = buy ? t->price : t->quantity;
    return ACCEPTED;
}

enum refusal rules_judge(const struct rules *r, const struct terms *t, int64_t *ret_hold)
{
    if (!kind_known(t)) return REFUSED_KIND;
    if (t->quantity <= 0 || t->quantity % r->lot) return REFUSED_LOT;
    if (t->type == TYPE_MARKET) return judge_market(r, t, ret_hold);

    int64_t notional;
    if (t->price <= 0 || t->price % r->tick) return REFUSED_TICK;
    if (!rules_notional(r, t->price, t->quantity, &notional)) return REFUSED_OVERFLOW;
    if (notional < r->min_notional) return REFUSED_NOTIONAL;
    *ret_hold = t->side == SIDE_BUY ? notional : t->quantity;
    return ACCEPTED;
}
