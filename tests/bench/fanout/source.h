/*
 * Where the events come from: for Tradepost the bus, as the trading part would publish them; for a
 * peer its standard input, a line "CHANNEL JSON" an event, which it sends to all who listen to the
 * channel.
 */
#ifndef TESTS_BENCH_FANOUT_SOURCE_H
#define TESTS_BENCH_FANOUT_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct source;
/* As the part trading: settings are KEY=VALUE, NULL-terminated: data_dir, trading.listen, ... */
struct source *source_bus(const char *const *settings);
/* Starts `node PROGRAM PORT`; it says "ready" on its standard output. */
struct source *source_peer(const char *program, const char *port);
pid_t source_pid(const struct source *s); /* of the peer; 0: the bus */
void source_publish(struct source *s, const char *market, uint64_t number, int64_t at_us);
void source_free(struct source *s);

#endif
