/*
 * One market's order book: price levels with a first-in, first-out queue of orders each, their
 * totals, and the number of the last change. The orders are the caller's. Not thread-safe.
 */
#ifndef TRADING_BOOK_H
#define TRADING_BOOK_H

#include "base/id.h"
#include "clients.h"
#include "ladder.h"
#include "rules.h"

/* All open orders of one user, newest first. */
struct trader {
    struct id id;
    struct order *newest;
    uint32_t open;
};

/* X(name, word): why an order is closed without having been filled. The numbers are in snapshots.
 */
#define REASON_TABLE(X)                                                                            \
    X(REASON_NONE, "")                                                                             \
    X(REASON_USER, "user")                                                                         \
    X(REASON_IOC, "ioc")                                                                           \
    X(REASON_FOK, "fok")                                                                           \
    X(REASON_REPLACED, "replaced")                                                                 \
    X(REASON_SPEND_LIMIT, "spend_limit")                                                           \
    X(REASON_TOO_MANY_FILLS, "too_many_fills")                                                     \
    X(REASON_TOO_LARGE, "too_large") /* a total would not fit its number */

enum reason {
#define REASON_ENUM(name, word) name,
    REASON_TABLE(REASON_ENUM)
#undef REASON_ENUM
        REASON_COUNT
};
const char *reason_word(enum reason r);

enum order_status {
    ORDER_OPEN = 1,
    ORDER_PARTIALLY_FILLED = 2,
    ORDER_FILLED = 3,
    ORDER_CANCELLED = 4,
};

/* Amounts are minor units: price and filled_quote of the quote, quantity and filled of the base. */
struct order {
    uint64_t id;
    struct terms terms;
    int64_t filled, filled_quote;
    int64_t fee; /* so far, in what the order receives: base for a buy, quote for a sell */
    int64_t created_ms, updated_ms;
    uint32_t maker_ppm, taker_ppm; /* frozen when it was accepted */
    uint16_t market;
    uint8_t status, reason;
    struct trader *trader;
    struct client
        *client;         /* NULL: it has no client order id, or the id belongs to nobody any more */
    struct level *level; /* NULL: not in the book */
    struct order *older, *newer; /* in its level */
    struct order *trader_older, *trader_newer;
};

static inline int64_t order_left(const struct order *o)
{
    return o->terms.quantity - o->filled;
}

struct book {
    struct ladder bids, asks;
    uint64_t update_id; /* one more with every change of a level; contiguous */
};

void book_init(struct book *b, struct pool *levels);
void book_release(struct book *b);
struct ladder *book_side(struct book *b, enum side side);

/* Appends the order to its price's queue. false: the level's total would not fit; nothing is done.
 */
bool book_add(struct book *b, struct order *o);
/* Takes an order out in O(1), and its level too when it was the last. */
void book_remove(struct book *b, struct order *o);
/* What is left of a resting order has become less by quantity. */
void book_reduce(struct order *o, int64_t quantity);

#endif
