/* What the engine's tests share: a market, requests, and a generator of numbers that repeats. */
#ifndef TESTS_TRADING_HARNESS_H
#define TESTS_TRADING_HARNESS_H

#include "support/unit.h"

#include "engine.h"

#include <string.h>

/* Whole numbers: one tick, one lot, no scale, no fee. */
static inline struct rules plain_rules(const char *symbol)
{
    struct rules r = {.base = "AAA", .quote = "BBB", .status = MARKET_TRADING, .tick = 1, .lot = 1};
    (void)strncpy(r.symbol, symbol, SYMBOL_MAX);
    return r;
}

/* As a real market: tick 0.01 and lot 0.0001 at scales 6 and 8, fees 0.1% and 0.2%. */
static inline struct rules real_rules(const char *symbol)
{
    struct rules r = {.base = "BTC",
                      .quote = "USDT",
                      .base_scale = 8,
                      .quote_scale = 6,
                      .status = MARKET_TRADING,
                      .tick = 10000,
                      .lot = 10000,
                      .min_notional = 1000000,
                      .maker_ppm = 1000,
                      .taker_ppm = 2000};
    (void)strncpy(r.symbol, symbol, SYMBOL_MAX);
    return r;
}

static inline struct engine *new_engine(struct engine_options options)
{
    struct engine *e = NULL;
    if (!options.shard) options.shard = 1;
    assert_ok(engine_new(&options, &e));
    return e;
}

static inline void define_market(struct engine *e, struct rules rules)
{
    struct request r = {.kind = COMMAND_MARKET, .now_ms = 1, .rules = rules};
    assert_int_equal(engine_apply(e, &r)->refusal, ACCEPTED);
}

static inline struct id user_number(uint64_t n)
{
    return (struct id){0x1900000000000000u, n};
}

static inline uint64_t next_order_id(const struct engine *e)
{
    return engine_last_order_id(e) + 1;
}

static inline struct client_id client_id(const char *text)
{
    struct client_id id = {.size = (uint8_t)strlen(text)};
    memcpy(id.text, text, id.size);
    return id;
}

static inline struct request limit_order(const struct engine *e, uint64_t user, enum side side,
                                         int64_t price, int64_t quantity)
{
    return (struct request){
        .kind = COMMAND_PLACE,
        .now_ms = 1000,
        .user = user_number(user),
        .order_id = next_order_id(e),
        .terms = {(uint8_t)side, TYPE_LIMIT, LIFETIME_GTC, price, quantity},
    };
}

static inline const struct engine_result *place_limit(struct engine *e, uint64_t user,
                                                      enum side side, int64_t price,
                                                      int64_t quantity)
{
    struct request r = limit_order(e, user, side, price, quantity);
    return engine_apply(e, &r);
}

struct numbers {
    uint64_t state;
};

static inline uint64_t number(struct numbers *n)
{
    n->state += 0x9e3779b97f4a7c15u;
    return hash_mix(n->state);
}

static inline int64_t between(struct numbers *n, int64_t low, int64_t high)
{
    return low + (int64_t)(number(n) % (uint64_t)(high - low + 1));
}

static inline void saved(const struct engine *e, struct buf *ret)
{
    buf_init(ret, 256u << 20);
    assert_ok(engine_save(e, ret));
}

static inline void assert_same_state(const struct engine *a, const struct engine *b)
{
    struct buf x, y;
    saved(a, &x);
    saved(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_release(&x);
    buf_release(&y);
}

#endif
