/*
 * What other threads than the engine's know of the markets: names and scales, which never change,
 * and copies of rules and prices, renewed after each batch. Thread-safe; nothing blocks for long.
 */
#ifndef TRADING_LISTINGS_H
#define TRADING_LISTINGS_H

#include "engine.h"

#include <pthread.h>

struct ticker {
    int64_t last, volume;      /* last 0: no trade yet */
    int64_t bid, bid_quantity; /* 0: no bids */
    int64_t ask, ask_quantity;
    int64_t time_ms; /* of the last change */
};

/* A market's constants; valid as long as the listings. */
struct listing {
    uint16_t number;
    uint8_t base_scale, quote_scale;
    char symbol[SYMBOL_MAX + 1], base[ASSET_MAX + 1], quote[ASSET_MAX + 1];
};

struct listings {
    pthread_mutex_t mutex;
    size_t count;
    struct {
        struct listing constant;
        struct rules rules;
        struct ticker ticker;
    } * items[MARKETS_MAX];
};

void listings_init(struct listings *l);
void listings_release(struct listings *l);

/* Takes over what has become of a market. The engine's thread only. */
void listings_renew(struct listings *l, const struct market *m, int64_t now_ms);

size_t listings_count(struct listings *l);
const struct listing *listings_find(struct listings *l, const char *symbol); /* NULL: none */
const struct listing *listings_get(struct listings *l, size_t number);       /* number < count */
struct rules listings_rules(struct listings *l, const struct listing *market);
struct ticker listings_ticker(struct listings *l, const struct listing *market);

#endif
