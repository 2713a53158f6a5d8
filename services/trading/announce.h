/*
 * Announcements: one thread that publishes what the stream says, in its order: orders to their
 * users, trades, changed price levels and prices to everybody. Only what is durable is in the
 * stream. The more waits, the more level changes are drawn together into one event.
 */
#ifndef TRADING_ANNOUNCE_H
#define TRADING_ANNOUNCE_H

#include "base/bus/bus.h"
#include "listings.h"
#include "stream.h"

#define TOPIC_MARKET        "trading.market"
#define TOPIC_USER          "trading.user"

#define ANNOUNCE_LEVELS_MAX 1000 /* of one depth event, below 100 KB */
#define ANNOUNCE_FILLS_MAX  500  /* of one order event; more fills make more events */

struct announce;

MUST_CHECK enum err announce_start(struct stream *stream, struct listings *listings,
                                   struct bus_publisher *publisher, struct announce **ret);
/* After stream_close. Accepts NULL. Blocks. */
void announce_stop(struct announce *a);

#endif
