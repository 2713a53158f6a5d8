/*
 * Documents: closed orders and trades, written once each when they happen and again after a restart
 * (by _id, so that a repeat changes nothing), and how far they go. Amounts are minor units at the
 * scales of the market's assets. Thread-safe but for the writer's functions; every call may block
 * on the store.
 *
 *   orders      _id user and order id (32 and 16 hex digits), m symbol, and the order's fields: a
 *               user's orders are a range of _id, so they need no other index
 *   trades      pages of trades: trade_pages.h
 *   watermarks  _id "trading-<shard>", seq: everything up to this of the journal is in the
 *               documents; trade: the last trade there
 */
#ifndef TRADING_STORE_H
#define TRADING_STORE_H

#include "base/store/store.h"
#include "listings.h"
#include "message.h"
#include "trade_pages.h"

extern const struct store_collection trading_collections[];

/* How far the documents are. */
struct watermark {
    uint64_t seq;      /* of the journal */
    uint64_t trade_id; /* of the last trade up to there; 0: none yet */
};
/* ERR_NOT_FOUND becomes zeros: nothing is there yet. */
MUST_CHECK enum err trading_store_watermark(struct store *s, uint16_t shard, struct watermark *ret);
MUST_CHECK enum err trading_store_set_watermark(struct store *s, uint16_t shard,
                                                struct watermark w);

/* Into a document that is made ready to be used again (bson_reinit). */
void order_to_bson(const struct order_view *o, const struct listing *market, bson_t *ret);

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

#endif
