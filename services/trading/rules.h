/*
 * The rules of a market, and its arithmetic. Pure and thread-safe.
 *
 * A price is quote minor units per one whole base unit, a quantity is base minor units. A market is
 * defined only if tick * lot / 10^base_scale is an integer, so every price times every quantity is
 * an exact number of quote minor units: nothing is ever rounded but fees, and those in the house's
 * favour.
 */
#ifndef TRADING_RULES_H
#define TRADING_RULES_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SYMBOL_MAX  32
#define ASSET_MAX   16
#define SCALE_MAX   18     /* 10^18 is the largest power of ten in an int64 */
#define FEE_PPM_MAX 100000 /* 10%: more is a typing error */
#define MARKETS_MAX 1024   /* of one shard */

enum side { SIDE_BUY = 1, SIDE_SELL = 2 };
enum order_type { TYPE_LIMIT = 1, TYPE_MARKET = 2 };
enum lifetime { LIFETIME_GTC = 1, LIFETIME_IOC = 2, LIFETIME_FOK = 3 };
enum market_status { MARKET_TRADING = 1, MARKET_HALTED = 2 /* cancels only */ };

/*
 * X(name, error, word, text): why a command was refused. The numbers are written to no disk.
 */
#define REFUSAL_TABLE(X)                                                                           \
    X(ACCEPTED, OK, "", "accepted")                                                                \
    X(REFUSED_DUPLICATE, OK, "", "the first order with this client order id")                      \
    X(REFUSED_ID_REUSED, ERR_EXISTS, "client_order_id_reused",                                     \
      "this client order id belongs to another order")                                             \
    X(REFUSED_MARKET, ERR_NOT_FOUND, "unknown_market", "there is no such market")                  \
    X(REFUSED_HALTED, ERR_PRECONDITION, "market_halted", "the market takes no orders now")         \
    X(REFUSED_ORDER, ERR_NOT_FOUND, "unknown_order", "there is no such open order of the caller")  \
    X(REFUSED_KIND, ERR_INVALID, "order_kind", "no such side, type and time in force together")    \
    X(REFUSED_TICK, ERR_INVALID, "tick_size", "the price must be a positive multiple of the tick") \
    X(REFUSED_LOT, ERR_INVALID, "lot_size", "the quantity must be a positive multiple of the lot") \
    X(REFUSED_SPEND, ERR_INVALID, "spend_limit",                                                   \
      "the price of a market buy is the most to spend; a market sell has none")                    \
    X(REFUSED_NOTIONAL, ERR_INVALID, "min_notional", "price times quantity is below the minimum")  \
    X(REFUSED_OVERFLOW, ERR_RANGE, "too_large", "price times quantity is too large")               \
    X(REFUSED_USER_FULL, ERR_EXHAUSTED, "too_many_open_orders",                                    \
      "the caller has too many open orders")                                                       \
    X(REFUSED_SHARD_FULL, ERR_EXHAUSTED, "book_full", "the exchange holds too many open orders")   \
    X(REFUSED_RULES, ERR_PRECONDITION, "market_rules",                                             \
      "these rules do not fit the market or its open orders")

enum refusal {
#define REFUSAL_ENUM(name, err, word, text) name,
    REFUSAL_TABLE(REFUSAL_ENUM)
#undef REFUSAL_ENUM
        REFUSAL_COUNT
};

enum err refusal_err(enum refusal r);
const char *refusal_word(enum refusal r);
const char *refusal_text(enum refusal r);

struct rules {
    char symbol[SYMBOL_MAX + 1];
    char base[ASSET_MAX + 1], quote[ASSET_MAX + 1];
    uint8_t base_scale, quote_scale;
    uint8_t status;                /* enum market_status */
    int64_t tick, lot;             /* in quote and base minor units, positive */
    int64_t min_notional;          /* in quote minor units; 0: none */
    uint32_t maker_ppm, taker_ppm; /* parts per million of what is received */
};

/* What an order asks for, before it is one. */
struct terms {
    uint8_t side, type, lifetime; /* enums above */
    int64_t price; /* of a limit order; of a market buy: the most to spend; of a market sell: 0 */
    int64_t quantity;
};

/* ACCEPTED or REFUSED_RULES; ret_why, if not NULL, says what is wrong in static text. */
enum refusal rules_check(const struct rules *r, const char **ret_why);

/* What the order reserves: quote minor units for a buy, base for a sell. Or why it is refused. */
enum refusal rules_judge(const struct rules *r, const struct terms *t, int64_t *ret_hold);

/* price * quantity in quote minor units, exact. false: it does not fit. */
bool rules_notional(const struct rules *r, int64_t price, int64_t quantity, int64_t *ret);

/* The largest quantity, in whole lots, that `money` pays for at `price`; may be 0. */
int64_t rules_affordable(const struct rules *r, int64_t money, int64_t price);

/* amount * ppm / 10^6, rounded up: never more than the amount. */
int64_t rules_fee(int64_t amount, uint32_t ppm);

#endif
