/*
 * Many WebSocket clients on one thread, each of which listens to the same markets, checks the order
 * of what comes, and notes how old it is. Not thread-safe. Whatever goes wrong ends the program.
 *
 * An event is any text message with "tradeId":"N" and "quantity":"T": its number in its market, and
 * when it was published in monotonic microseconds.
 */
#ifndef TESTS_BENCH_FANOUT_CLIENTS_H
#define TESTS_BENCH_FANOUT_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKETS 2
extern const char *const market_names[MARKETS];

/* How a client subscribes and answers heartbeats, above RFC 6455. */
enum protocol { PROTOCOL_JSON, PROTOCOL_SOCKETIO };

struct clients;
struct clients_result {
    uint64_t delivered, disordered, lost_connections;
    double p50_ms, p99_ms;
};

/* Connects them one after the other and subscribes each to all markets. */
struct clients *clients_connect(unsigned port, enum protocol protocol, size_t count);
void clients_free(struct clients *c);
/* Reads what is there, waiting at most wait_ms for it. */
void clients_read(struct clients *c, int wait_ms);
/* The lowest number of a market that every client has had. Cheap. */
uint64_t clients_had(const struct clients *c, size_t market);
/* Forgets what was measured until now, not what was had. */
void clients_measure_anew(struct clients *c);
struct clients_result clients_result(const struct clients *c);

int64_t now_us(void);
void die_of(const char *what);

#endif
