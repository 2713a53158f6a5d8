/*
 * Load for the order path: so many clients, each a user of its own with one request in flight,
 * sending limit orders around one price for a time. About half of the orders rest and are filled
 * later, half fill at once; nothing is cancelled, so the book stays a few thousand deep. Who is
 * refused because too much waits tries again after 20 ms, as a client should.
 */
#ifndef BENCH_ORDERS_LOAD_H
#define BENCH_ORDERS_LOAD_H

#include "base/rpc/client.h"

#define LOAD_CLIENTS_MAX 256

struct load {
    struct rpc_client *trading;
    const struct principal *users; /* LOAD_CLIENTS_MAX of them, with money */
    unsigned clients, batch;       /* 1: PlaceOrder; more: PlaceOrders of so many */
    int64_t duration_ms;
    bool until_refused; /* or until an order is refused */
};

struct load_result {
    uint64_t orders, refused; /* acknowledged; refused by a rule or a limit */
    double orders_per_s;
    int64_t p50_us, p99_us; /* of a request */
};

/* Blocks for duration_ms and until the last answer. */
struct load_result load_run(const struct load *load);

#endif
