/* The service as a whole, for its handlers and its wiring. */
#ifndef TRADING_TRADING_H
#define TRADING_TRADING_H

#include "announce.h"
#include "base/part.h"
#include "lookup.h"
#include "machine.h"
#include "markets.h"
#include "project.h"
#include "settle.h"

struct trading {
    uint16_t shard;
    struct machine machine;
    struct replica *replica;
    struct rpc_client *wallet;
    struct rpc_server *server;
    struct bus_publisher *publisher;
    struct store *store;
    struct settle *settle;
    struct announce *announce;
    struct project *project;
    struct lookup *lookup;
    struct markets *markets; /* brings the wallet and the configured markets together at start */
    Trading__Trading_Service service;
};

/* The handlers; calls carry `t` as their context. */
void trading_rpc_init(struct trading *t);

/* ---- for the handlers, in trading_rpc.c and trading_query.c ---- */

/* The caller's id. false: the call is ended, only users have orders. */
bool trading_caller(struct rpc_call *call, struct id *ret);
/* The market of that name; NULL: the call is ended. */
const struct listing *trading_market(struct trading *t, struct rpc_call *call, const char *symbol);

/*
 * An order of the user, open or closed. ERR_NOT_FOUND; ERR_UNAVAILABLE, ERR_TIMEOUT: it could not
 * be read in time. Blocks at most until the call's deadline.
 */
MUST_CHECK enum err trading_find_order(struct trading *t, const struct rpc_call *call,
                                       struct id user, uint64_t order_id, struct order_view *ret);

void rpc_list_markets(Trading__Trading_Service *self, const Trading__ListMarketsRequest *q,
                      Trading__ListMarketsResponse_Closure reply, void *data);
void rpc_get_ticker(Trading__Trading_Service *self, const Trading__TickerRequest *q,
                    Trading__Ticker_Closure reply, void *data);
void rpc_get_quotes(Trading__Trading_Service *self, const Trading__QuotesRequest *q,
                    Trading__QuotesResponse_Closure reply, void *data);
void rpc_get_depth(Trading__Trading_Service *self, const Trading__DepthRequest *q,
                   Trading__Depth_Closure reply, void *data);
void rpc_list_trades(Trading__Trading_Service *self, const Trading__ListTradesRequest *q,
                     Trading__ListTradesResponse_Closure reply, void *data);
void rpc_get_order(Trading__Trading_Service *self, const Trading__GetOrderRequest *q,
                   Trading__Order_Closure reply, void *data);
void rpc_list_open_orders(Trading__Trading_Service *self, const Trading__ListOpenOrdersRequest *q,
                          Trading__ListOrdersResponse_Closure reply, void *data);
void rpc_list_orders(Trading__Trading_Service *self, const Trading__ListOrdersRequest *q,
                     Trading__ListOrdersResponse_Closure reply, void *data);
void rpc_list_my_trades(Trading__Trading_Service *self, const Trading__ListMyTradesRequest *q,
                        Trading__ListMyTradesResponse_Closure reply, void *data);

#endif
