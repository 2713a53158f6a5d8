/*
 * Private to the hub: channels by name, each with its listeners. Not thread-safe: under the hub's
 * lock.
 */
#ifndef GATEWAY_CHANNELS_H
#define GATEWAY_CHANNELS_H

#include "base/err.h"
#include "hub.h"

struct entry;

struct channel {
    struct channel *next; /* in its bucket */
    struct subscription **listeners;
    size_t count, capacity;
    char name[];
};

/* One connection listens to one channel. */
struct subscription {
    struct subscription *next; /* of the connection */
    struct hub_connection *connection;
    struct channel *channel;
    size_t index;          /* in channel->listeners */
    struct entry *waiting; /* its conflated frame in the queue; under the connection's lock */
};

struct channels {
    struct channel **buckets;
    size_t bucket_count, count;
};

MUST_CHECK enum err channels_init(struct channels *c);
void channels_release(struct channels *c); /* must be empty */
struct channel *channels_find(const struct channels *c,
                              const char *name); /* NULL: nobody listens */
/* Makes the channel if it is new. ERR_EXHAUSTED: HUB_CHANNELS_MAX. */
MUST_CHECK enum err channels_add(struct channels *c, const char *name, struct subscription *s);
void channels_remove(struct channels *c,
                     struct subscription *s); /* the last one ends the channel */

#endif
