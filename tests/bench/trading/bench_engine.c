/* The engine alone on one core: commands and matches a second, and what an open order costs in
 * memory. */
#include "base/clock.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;

static uint64_t number(void)
{
    state += 0x9e3779b97f4a7c15u;
    return hash_mix(state);
}

static void define_market(struct engine *e)
{
    struct request r = {
        .kind = COMMAND_MARKET,
        .rules = {"BTC-USDT", "BTC", "USDT", 8, 6, MARKET_TRADING, 10000, 10000, 0, 1000, 2000}};
    CHECK(engine_apply(e, &r)->refusal == ACCEPTED);
}

static struct request order(const struct engine *e, enum side side, int64_t ticks, int64_t lots)
{
    return (struct request){.kind = COMMAND_PLACE,
                            .now_ms = 1,
                            .user = {1, number() % 1000},
                            .order_id = engine_last_order_id(e) + 1,
                            .terms = {side, TYPE_LIMIT, LIFETIME_GTC, ticks * 10000, lots * 10000},
                            .maker_ppm = 1000,
                            .taker_ppm = 2000};
}

static void say(const char *what, uint64_t count, int64_t start_us)
{
    int64_t us = clock_mono_us() - start_us;
    printf("%-28s %10.0f /s\n", what, (double)count * 1e6 / (double)us);
}

/* Half the orders rest near the best price, half take; every fourth is cancelled. */
static void mixed(struct engine *e, uint64_t count)
{
    uint64_t trades = 0;
    int64_t start = clock_mono_us();
    for (uint64_t i = 0; i < count; i++) {
        enum side side = number() % 2 ? SIDE_BUY : SIDE_SELL;
        int64_t ticks = 6000000 + (int64_t)(number() % 64) - 32;
        struct request r = order(e, side, ticks, (int64_t)(number() % 20) + 1);
        trades += engine_apply(e, &r)->execution_count;
    }
    say("mixed: orders", count, start);
    say("mixed: trades", trades, start);
}

static void pairs(struct engine *e, uint64_t count)
{
    uint64_t trades = 0;
    int64_t start = clock_mono_us();
    for (uint64_t i = 0; i < count; i++) {
        struct request r = order(e, i % 2 ? SIDE_BUY : SIDE_SELL, 7000000, 5);
        trades += engine_apply(e, &r)->execution_count;
    }
    say("pairs: orders", count, start);
    say("pairs: trades", trades, start);
}

static void resting(struct engine *e, uint64_t count)
{
    uint64_t first = engine_last_order_id(e) + 1;
    int64_t start = clock_mono_us();
    for (uint64_t i = 0; i < count; i++) {
        struct request r = order(e, SIDE_BUY, (int64_t)(number() % 1000000) + 1, 5);
        r.user.lo = i % 1000;
        CHECK(engine_apply(e, &r)->order.status == ORDER_OPEN);
    }
    say("far and wide: rests", count, start);
    start = clock_mono_us();
    for (uint64_t i = 0; i < count; i++) {
        struct request r = {.kind = COMMAND_CANCEL, .user = {1, i % 1000}, .order_id = first + i};
        CHECK(engine_apply(e, &r)->refusal == ACCEPTED);
    }
    say("far and wide: cancels", count, start);
}

int main(void)
{
    struct engine *e = NULL;
    const struct engine_options options = {.user_open_max = 1u << 30};
    CHECK(engine_new(&options, &e) == OK);
    define_market(e);
    mixed(e, 2000000);
    engine_free(e);

    CHECK(engine_new(&options, &e) == OK);
    define_market(e);
    pairs(e, 4000000);
    resting(e, 2000000);
    engine_free(e);
    return 0;
}
