/*
 * The hub: who is connected, who listens to which channel, and what is queued for whom. It knows no
 * HTTP, no JSON and no bus; what it queues are finished, immutable frames, encoded once and shared
 * by all queues.
 *
 * A connection is fed by its front (WebSocket, SSE), which takes frames from its queue and writes
 * them. The queue is bounded in bytes: frames that may be shed (typing, presence) are dropped once
 * it is half full; a frame that does not fit closes the connection with HUB_CLOSE_SLOW; a conflated
 * frame (prices) replaces the waiting one of its channel. A slow connection never makes a publisher
 * wait.
 *
 * All functions are thread-safe; only hub_take blocks.
 */
#ifndef GATEWAY_HUB_H
#define GATEWAY_HUB_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_CHANNEL_MAX       128           /* bytes of a channel's name */
#define HUB_SUBSCRIPTIONS_MAX 256           /* channels of one connection */
#define HUB_CHANNELS_MAX      1000000       /* with at least one listener */
#define HUB_QUEUE_BYTES       (1024 * 1024) /* default of a connection's queue */
#define HUB_QUEUE_FRAMES      8192          /* of a connection's queue */

/* Close codes carry the verdict: 4000 to 4499 reconnect, 4500 and above do not (see the API's
 * rules). */
enum hub_close {
    HUB_CLOSE_NORMAL = 1000,
    HUB_CLOSE_GOING_AWAY = 1001,
    HUB_CLOSE_PROTOCOL = 1002,
    HUB_CLOSE_BAD_DATA = 1007,
    HUB_CLOSE_TOO_BIG = 1009,
    HUB_CLOSE_AUTH_TIMEOUT = 4001,
    HUB_CLOSE_BAD_CREDENTIALS = 4003,
    HUB_CLOSE_SLOW = 4008,
};

/* A finished message: immutable, counted. `event_id` is "epoch-seq" for events, "" for answers. */
struct frame;
struct frame_info {
    const char *text; /* JSON, size bytes, and a NUL behind it */
    size_t size;
    const char *event_id;   /* "epoch-seq", or "" */
    const char *event_type; /* "market.trade", or "" */
};
/* Copies. NULL: out of memory. */
struct frame *frame_new(const char *text, size_t size, const char *event_id,
                        const char *event_type);
struct frame *frame_hold(struct frame *f);
void frame_release(struct frame *f); /* accepts NULL */
struct frame_info frame_look(const struct frame *f);

struct hub;
struct hub_connection; /* counted: the front and its running commands each hold one */

MUST_CHECK enum err hub_new(size_t connections_max, struct hub **ret);
void hub_free(struct hub *h); /* accepts NULL; every connection must have been left and released */

/* A new connection with a queue of queue_bytes (0: HUB_QUEUE_BYTES). ERR_EXHAUSTED:
 * connections_max. */
MUST_CHECK enum err hub_join(struct hub *h, size_t queue_bytes, struct hub_connection **ret);
/* Ends all subscriptions, drops what is queued, wakes hub_take. What is sent later goes nowhere. */
void hub_leave(struct hub_connection *c);
struct hub_connection *hub_hold(struct hub_connection *c);
void hub_release(struct hub_connection *c); /* accepts NULL */

/* ERR_EXHAUSTED: HUB_SUBSCRIPTIONS_MAX or HUB_CHANNELS_MAX. ERR_CLOSED. A second time changes
 * nothing. */
MUST_CHECK enum err hub_subscribe(struct hub_connection *c, const char *channel);
void hub_unsubscribe(struct hub_connection *c,
                     const char *channel); /* also what is conflated of it */
bool hub_is_subscribed(struct hub_connection *c, const char *channel);

enum hub_delivery {
    HUB_KEEP,     /* in order, all of them: answers, private events, trades */
    HUB_CONFLATE, /* only the newest of the channel waits: prices */
    HUB_SHED,     /* first to go under pressure */
};
/* To one connection, and to all that listen to a channel. The frame stays the caller's. */
void hub_send(struct hub_connection *c, struct frame *f, enum hub_delivery how);
void hub_publish(struct hub *h, const char *channel, struct frame *f, enum hub_delivery how);

/* Asks the front to close after what is queued has been written; the first verdict stays. */
void hub_close(struct hub_connection *c, enum hub_close code);
void hub_close_all(struct hub *h, enum hub_close code);

/*
 * For the front's writer: the next frame (to be released), or NULL with *ret_code the verdict when
 * the connection is to be closed and nothing is queued any more, or 0 when the monotonic deadline
 * passed.
 */
struct frame *hub_take(struct hub_connection *c, int64_t deadline_ms, int *ret_code);

struct hub_stats {
    size_t connections, channels, subscriptions, queued_bytes;
    uint64_t published, delivered, conflated, shed, closed_slow;
};
void hub_stats(struct hub *h, struct hub_stats *ret);

#endif
