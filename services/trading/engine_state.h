/* The engine's inside, for its own files only. */
#ifndef TRADING_ENGINE_STATE_H
#define TRADING_ENGINE_STATE_H

#include "engine.h"

struct engine {
    struct engine_options options; /* no zeros left */
    struct pool orders, traders, levels;
    struct map orders_by_id, traders_by_id;
    struct clients clients;
    struct market *markets[MARKETS_MAX];
    size_t market_count;
    uint64_t last_order_id, last_trade_id;

    struct engine_result result;
    size_t executions_capacity, cancelled_capacity, releases_capacity, levels_capacity;
};

struct order *engine_order(const struct engine *e, uint64_t order_id); /* NULL: not open */
struct trader *engine_trader(const struct engine *e, struct id user);  /* NULL: no open orders */
struct order_view engine_view(const struct order *o);
struct market *engine_add_market(struct engine *e, const struct rules *rules);
/* A new order of the user, known by its id and to its trader, not in a book yet. */
struct order *engine_open_order(struct engine *e, uint64_t order_id, struct id user);
/* Takes an order out of everything and forgets it; its client order id is remembered as closed. */
void engine_close_order(struct engine *e, struct order *o);

/* Appends to the result; they grow as needed. */
struct execution *result_add_execution(struct engine *e);
void result_add_cancelled(struct engine *e, const struct order *o);
void result_add_release(struct engine *e, uint64_t order_id);
void result_add_level(struct engine *e, struct market *m, enum side side, int64_t price);

/* Matches a new order, and rests, finishes or cancels what is left of it. */
void engine_match(struct engine *e, struct market *m, struct order *taker);

#endif
