/*
 * Client order ids: which order of a user first carried which id, and what it asked for. A record
 * lives as long as its order is open, and then as one of the last CLIENTS_CLOSED_MAX closed ones:
 * within that window a repeated request is answered with the first order. Not thread-safe.
 */
#ifndef TRADING_CLIENTS_H
#define TRADING_CLIENTS_H

#include "base/id.h"
#include "map.h"
#include "pool.h"

#define CLIENT_ID_MAX      36
#define CLIENTS_CLOSED_MAX 1000000 /* about 100 MB */

/* The id of a request; size 0: it has none. */
struct client_id {
    char text[CLIENT_ID_MAX + 1];
    uint8_t size;
};

struct client {
    struct id user;
    struct client_id id;
    uint64_t body; /* a fingerprint of what the request asked for */
    uint64_t order_id;
    struct client *next_closed;
};

struct clients {
    struct pool pool;
    struct map map;
    struct client *oldest_closed, *newest_closed;
    size_t closed, closed_max;
    uint64_t seed; /* of the hash, so that nobody can choose ids that collide; results do not depend
                      on it */
};

void clients_init(struct clients *c, size_t closed_max, uint64_t seed);
void clients_release(struct clients *c);
struct client *clients_find(const struct clients *c, struct id user, const struct client_id *id);
/* It must not be there. */
struct client *clients_add(struct clients *c, struct id user, const struct client_id *id);
void clients_close(struct clients *c, struct client *client); /* may forget the oldest closed one */
void clients_clear(struct clients *c);                        /* forgets all, keeps the memory */

#endif
