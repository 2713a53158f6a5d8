/*
 * The state machine of one trading shard: (state, command) -> result. Markets, books, open orders
 * by user, client order ids, order and trade ids. Deterministic: no I/O, no clock, no threads; it
 * allocates only to grow, and running out of memory is fatal (see pool.h). Not thread-safe.
 *
 * Matching is by price, then time, at the maker's price. Money: every order has one hold in the
 * wallet, made before its command is logged (engine_judge says how much); trades pay from it, and
 * every order that is finished, or that is refused in the end, is in the result's releases exactly
 * once.
 */
#ifndef TRADING_ENGINE_H
#define TRADING_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "book.h"
#include "command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINE_USER_OPEN_MAX  10000 /* open orders of a user: cancel_all stays one command */
#define ENGINE_OPEN_MAX       (8u * 1024 * 1024) /* open orders of a shard: about 2 GB */
#define ENGINE_FILLS_MAX      10000 /* of one order when it comes; what is left is cancelled */
#define ENGINE_CLOSED_IDS_MAX CLIENTS_CLOSED_MAX

struct engine;

/* Limits, smaller in tests; 0: the constant of that name. */
struct engine_options {
    uint16_t shard;
    uint32_t user_open_max, open_max, fills_max;
    size_t closed_ids_max;
    uint64_t hash_seed; /* any number nobody else knows; results do not depend on it */
};

/* An order as it is after a command: a copy that stays valid. */
struct order_view {
    uint64_t id;
    struct id user;
    struct terms terms;
    int64_t filled, filled_quote, fee;
    int64_t created_ms, updated_ms;
    uint16_t market;
    uint8_t status, reason;
    struct client_id client_id;
};

struct execution {
    uint64_t trade_id;
    int64_t price, quantity;
    int64_t notional;             /* price times quantity, in quote */
    int64_t maker_fee, taker_fee; /* each in what it receives */
    struct order_view maker;      /* after it */
};

struct level_change {
    uint64_t update_id;
    int64_t price, quantity; /* the new total; 0: the level is gone */
    uint32_t orders;
    uint16_t market;
    uint8_t side;
};

/* Valid until the next apply. */
struct engine_result {
    enum refusal refusal; /* REFUSED_DUPLICATE: order is the first one, if it is still open */
    uint64_t order_id;    /* of place, replace, cancel; of a duplicate: the first order's */
    int64_t now_ms;
    bool has_order;          /* order is set */
    struct order_view order; /* the taker, or the cancelled one; after the command */
    struct execution *executions;
    size_t execution_count;
    struct order_view *cancelled; /* by cancel, cancel_all and replace */
    size_t cancelled_count;
    uint64_t *releases; /* ids of orders whose hold is finished */
    size_t release_count;
    struct level_change
        *levels; /* in the order they happened; a later one of the same price counts */
    size_t level_count;
};

struct market {
    struct rules rules;
    uint16_t number;
    struct book book;
    int64_t last_price, last_quantity; /* 0: no trade yet */
    int64_t last_trade_ms;
    int64_t volume; /* base traded so far; stays at INT64_MAX when it gets there */
};

MUST_CHECK enum err engine_new(const struct engine_options *options, struct engine **ret);
void engine_free(struct engine *e); /* accepts NULL */

/*
 * Would the command be accepted now, and what must be held for it? Changes nothing. For place and
 * replace: ret_asset is the asset (borrowed from the market), ret_hold how much. Other kinds:
 * ret_hold 0.
 */
enum refusal engine_judge(const struct engine *e, const struct request *r, const char **ret_asset,
                          int64_t *ret_hold);

/* Never fails: what cannot be done is refused in the result. Order ids must grow (CHECK). */
const struct engine_result *engine_apply(struct engine *e, const struct request *r);

uint64_t engine_last_order_id(const struct engine *e); /* ORDER_ID(shard, 0) at first */
size_t engine_market_count(const struct engine *e);
const struct market *engine_market(const struct engine *e, size_t number); /* number < count */
const struct market *engine_find_market(const struct engine *e,
                                        const char *symbol); /* NULL: none */
size_t engine_open_count(const struct engine *e);

/* false: it is not open. */
bool engine_find_order(const struct engine *e, uint64_t order_id, struct order_view *ret);
/* The order that first carried the id. false: none that is remembered. */
bool engine_find_client(const struct engine *e, struct id user, const struct client_id *id,
                        uint64_t *ret_order_id, uint64_t *ret_body);
/* The user's open orders below before_id (0: all), newest first, at most max. Returns how many. */
size_t engine_open_orders(const struct engine *e, struct id user, uint16_t market,
                          uint64_t before_id, struct order_view *ret, size_t max);

/* At most max levels, best first. Returns how many. */
size_t market_depth(const struct market *m, enum side side, struct level_change *ret, size_t max);

/*
 * What a trade does to money, in the wallet's terms: amounts sum to zero per asset. Each asset is
 * paid before it is received: who owns nearly all there is, and trades with themselves, would else
 * own more than an int64 for a moment. Legs of zero are left out. Returns how many.
 */
#define TRADE_LEGS_MAX 6
enum leg_kind { LEG_TRADE = 1, LEG_FEE = 2 };
struct leg {
    uint64_t order_id; /* whose hold pays; 0 for a receiving leg */
    struct id user;
    bool house;     /* the house's fees; user is zero */
    bool quote;     /* in the quote asset, else the base asset */
    int64_t amount; /* < 0: paid from the hold; > 0: received */
    uint8_t kind;   /* enum leg_kind */
};
size_t execution_legs(const struct execution *x, const struct order_view *taker,
                      struct leg ret[static TRADE_LEGS_MAX]);

/* The whole state as explicit bytes: equal states are equal bytes. ERR_NO_MEMORY, ERR_EXHAUSTED. */
MUST_CHECK enum err engine_save(const struct engine *e, struct buf *out);
/* Into a fresh engine. ERR_CORRUPT: not what engine_save writes, or of another shard. */
MUST_CHECK enum err engine_load(struct engine *e, const void *data, size_t size);

#endif
