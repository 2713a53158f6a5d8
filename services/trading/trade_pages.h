/*
 * Trades as documents: pages (base/store/pages.h) of a market's trades, of a user's own sides, and
 * of a user's own sides in one market, so that each list is one range of one index.
 *
 *   trades   _id "BTC-USDT/", "<user>/" or "<user>.BTC-USDT/" and the first position (16 hex
 * digits); n the first trade's id (16 hex digits), e the entries
 *
 * A market's positions are its trades' ids. A user's are twice that, and one more where he buys: so
 * a trade with oneself is two entries, the selling side first. Markets are numbered as in the
 * shard.
 */
#ifndef TRADING_TRADE_PAGES_H
#define TRADING_TRADE_PAGES_H

#include "base/store/pages.h"
#include "base/store/store.h"
#include "listings.h"
#include "message.h"

#define TRADES        "trades"
#define TRADE_ENTRIES 5 /* of one trade: its market's, and two of each side */

extern const struct store_index trade_indexes[];

/* ---- writing: one thread ---- */
/* The taker's fee and the maker's are those of the execution. Not when pages_full(TRADE_ENTRIES).
 */
void trade_pages_add(struct pages *p, const struct execution *x, const struct order_view *taker);
MUST_CHECK enum err trade_pages_write(struct pages *p, struct store *s, struct listings *listings);
/* Deletes every page of the shard that begins behind a trade: it is going to be written again. */
MUST_CHECK enum err trade_pages_forget(struct store *s, uint16_t shard, uint64_t last_trade_id);

/* ---- reading: newest first, at most max below a position (0: all); ERR_CORRUPT ---- */
MUST_CHECK enum err trade_pages_market(struct store *s, const struct listing *market,
                                       uint64_t before, struct trade *ret, size_t max,
                                       size_t *ret_count);

struct stored_trade {
    struct own_trade trade;
    const struct listing *market;
};
struct own_query {
    struct id user;
    const struct listing *market; /* NULL: all */
    uint64_t before;              /* position */
};
MUST_CHECK enum err trade_pages_own(struct store *s, struct listings *listings,
                                    const struct own_query *query, struct stored_trade *ret,
                                    size_t max, size_t *ret_count);
uint64_t own_position(const struct own_trade *t);

#endif
