/*
 * A reference book that is too simple to be wrong: one array of orders, everything found by looking
 * at all of them. Same rules as the engine's, written apart from it.
 */
#ifndef TESTS_TRADING_NAIVE_H
#define TESTS_TRADING_NAIVE_H

#include "harness.h"

#define NAIVE_MAX 4096

struct naive_order {
    uint64_t id;
    struct id user;
    struct terms terms;
    int64_t left, spent, got, fee, held;
    uint16_t market;
};

struct naive_trade {
    uint64_t maker, taker;
    int64_t price, quantity, notional;
};

struct naive {
    const struct rules *rules;
    struct naive_order orders[NAIVE_MAX]; /* open ones, in the order of their coming */
    size_t count;
    struct naive_trade trades[NAIVE_MAX]; /* of the last command */
    size_t trade_count, fills_max;
};

static inline __int128 naive_worth(const struct naive *n, int64_t price, int64_t quantity)
{
    __int128 power = 1;
    for (unsigned i = 0; i < n->rules->base_scale; i++)
        power *= 10;
    return (__int128)price * quantity / power;
}

static inline bool naive_can_trade(const struct naive_order *taker, const struct naive_order *maker)
{
    if (maker->market != taker->market || maker->terms.side == taker->terms.side) return false;
    if (taker->terms.type == TYPE_MARKET) return true;
    return taker->terms.side == SIDE_BUY ? maker->terms.price <= taker->terms.price
                                         : maker->terms.price >= taker->terms.price;
}

/* The best maker: the better price, then the earlier one. -1: none. */
static inline int naive_best(const struct naive *n, const struct naive_order *taker)
{
    int best = -1;
    for (size_t i = 0; i < n->count; i++) {
        const struct naive_order *o = &n->orders[i];
        if (!naive_can_trade(taker, o)) continue;
        bool better = best < 0 || (taker->terms.side == SIDE_BUY
                                       ? o->terms.price < n->orders[best].terms.price
                                       : o->terms.price > n->orders[best].terms.price);
        if (better) best = (int)i;
    }
    return best;
}

static inline void naive_drop(struct naive *n, size_t i)
{
    memmove(&n->orders[i], &n->orders[i + 1], (n->count - i - 1) * sizeof n->orders[0]);
    n->count--;
}

static inline int64_t naive_amount(const struct naive *n, const struct naive_order *taker,
                                   const struct naive_order *maker)
{
    int64_t quantity = taker->left < maker->left ? taker->left : maker->left;
    if (taker->terms.type != TYPE_MARKET || taker->terms.side != SIDE_BUY) return quantity;
    /* One lot less at a time until it can be paid. */
    while (quantity > 0 && naive_worth(n, maker->terms.price, quantity) >
                               (__int128)taker->terms.price - taker->spent)
        quantity -= n->rules->lot;
    return quantity;
}

/* Matches taker against the open orders; what is left rests only if GTC and nothing stopped it. */
static inline void naive_match(struct naive *n, struct naive_order *taker)
{
    bool stopped = false;
    n->trade_count = 0;
    while (taker->left > 0) {
        int best = naive_best(n, taker);
        if (best < 0) break;
        struct naive_order *maker = &n->orders[best];
        int64_t quantity = naive_amount(n, taker, maker);
        stopped = quantity == 0 || n->trade_count == n->fills_max;
        if (stopped) break;
        int64_t worth = (int64_t)naive_worth(n, maker->terms.price, quantity);
        n->trades[n->trade_count++] =
            (struct naive_trade){maker->id, taker->id, maker->terms.price, quantity, worth};
        maker->left -= quantity;
        taker->left -= quantity;
        taker->spent += worth;
        maker->spent += worth;
        if (!maker->left) naive_drop(n, (size_t)best);
    }
    if (taker->left && !stopped && taker->terms.lifetime == LIFETIME_GTC)
        n->orders[n->count++] = *taker;
}

static inline void naive_place(struct naive *n, struct naive_order taker)
{
    static struct naive before;
    taker.left = taker.terms.quantity;
    if (taker.terms.lifetime == LIFETIME_FOK) before = *n;
    naive_match(n, &taker);
    if (taker.terms.lifetime != LIFETIME_FOK || !taker.left) return;
    *n = before; /* killed: as if nothing had been */
    n->trade_count = 0;
}

static inline int naive_find(const struct naive *n, uint64_t id, struct id user)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->orders[i].id == id && id_equal(n->orders[i].user, user)) return (int)i;
    return -1;
}

#endif
