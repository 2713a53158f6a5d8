/*
 * Documents: closed orders and trades, written once each when they happen and again after a restart
 * (by _id, so that a repeat changes nothing), and how far they go. Amounts are minor units at the
 * scales of the market's assets. Thread-safe but for the writer's functions; every call may block
 * on the store.
 *
 *   orders      _id user and order id (32 and 16 hex digits), m symbol, and the order's fields: a
 *               user's orders are a range of _id, so they need no other index
 *   trades      _id trade id (16 hex digits), m symbol, b buyer, e seller, and both sides' fields
 *   watermarks  _id "trading-<shard>", seq: everything up to this of the journal is in the
 * documents
 */
#ifndef TRADING_STORE_H
#define TRADING_STORE_H

#include "base/store/store.h"
#include "listings.h"
#include "message.h"

extern const struct store_collection trading_collections[];

/* ERR_NOT_FOUND becomes 0: nothing is there yet. */
MUST_CHECK enum err trading_store_watermark(struct store *s, uint16_t shard, uint64_t *ret_seq);
MUST_CHECK enum err trading_store_set_watermark(struct store *s, uint16_t shard, uint64_t seq);

/* Into documents that are made ready to be used again (bson_reinit). */
void order_to_bson(const struct order_view *o, const struct listing *market, bson_t *ret);
void trade_to_bson(const struct execution *x, const struct order_view *taker,
                   const struct listing *market, bson_t *ret);

/* ERR_NOT_FOUND. ERR_CORRUPT: not what order_to_bson writes, or of a market nobody knows. */
MUST_CHECK enum err trading_store_order(struct store *s, struct listings *listings, struct id user,
                                        uint64_t order_id, struct order_view *ret);

/*
 * Pages, newest first: at most max below before (0: all), at most STORE_FIND_MAX. How many in
 * ret_count.
 */
MUST_CHECK enum err trading_store_orders(struct store *s, struct listings *listings, struct id user,
                                         uint64_t before, struct order_view *ret, size_t max,
                                         size_t *ret_count);
MUST_CHECK enum err trading_store_trades(struct store *s, const struct listing *market,
                                         uint64_t before, struct trade *ret, size_t max,
                                         size_t *ret_count);
/* The user's trades on one side; a trade with oneself is on both. */
struct stored_trade {
    struct own_trade trade;
    const struct listing *market;
};
struct side_query {
    struct id user;
    enum side side;
    const struct listing *market;
    uint64_t before;
};
MUST_CHECK enum err trading_store_own_trades(struct store *s, struct listings *listings,
                                             const struct side_query *query,
                                             struct stored_trade *ret, size_t max,
                                             size_t *ret_count);

#endif
