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
 * All functions are thread-safe; none blocks.
 */
#ifndef GATEWAY_HUB_H
#define GATEWAY_HUB_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_CHANNEL_MAX       128                   /* bytes of a channel's name */
#define HUB_SUBSCRIPTIONS_MAX 256                   /* channels of one connection */
#define HUB_CHANNELS_MAX      1000000               /* with at least one listener */
#define HUB_QUEUE_BYTES       ((size_t)1024 * 1024) /* default of a connection's queue */
#define HUB_QUEUE_FRAMES      8192                  /* of a connection's queue */

/* Close codes carry the verdict: 4000 to 4499 reconnect, 4500 and above do not (see the API's
 * rules). */
enum hub_close {
    HUB_CLOSE_NORMAL = 1000,
    HUB_CLOSE_GOING_AWAY = 1001,
    HUB_CLOSE_PROTOCOL = 1002,
    HUB_CLOSE_UNSUPPORTED = 1003,
    HUB_CLOSE_BAD_DATA = 1007,
    HUB_CLOSE_TOO_LATE = 1008,
    HUB_CLOSE_TOO_BIG = 1009,
    HUB_CLOSE_INTERNAL = 1011,
    HUB_CLOSE_AUTH_TIMEOUT = 4001,
    HUB_CLOSE_BAD_CREDENTIALS = 4003,
    HUB_CLOSE_SLOW = 4008,
    HUB_CLOSE_CROWDED = 4009,
};

/* A finished message: immutable, counted. Answers have no event: topic and type are "". */
struct frame;
struct frame_event {
    const char *topic, *type; /* "trading.market", "market.trade" */
    uint64_t epoch, seq;      /* where it stands in its topic */
};
struct frame_info {
    const char *text; /* JSON, size bytes, and a NUL behind it */
    size_t size;
    struct frame_event event;
};
/* Copies. event NULL: an answer. NULL: out of memory. */
struct frame *frame_new(const char *text, size_t size, const struct frame_event *event);
struct frame *frame_hold(struct frame *f);
void frame_release(struct frame *f); /* accepts NULL */
struct frame_info frame_look(const struct frame *f);

struct hub;
struct hub_connection; /* counted: the front and its running commands each hold one */

MUST_CHECK enum err hub_new(size_t connections_max, struct hub **ret);
void hub_free(struct hub *h); /* accepts NULL; every connection must have been left and released */

/*
 * A new connection with a queue of queue_bytes (0: HUB_QUEUE_BYTES). ERR_EXHAUSTED:
 * connections_max. ERR_CLOSED: after hub_close_all. ERR_NO_MEMORY.
 *
 * The wake is called, under a lock, when the queue is no longer empty and at a verdict; it must not
 * block nor call the hub. Never after hub_leave.
 */
struct hub_wake {
    void (*call)(void *arg); /* NULL: none */
    void *arg;
};
MUST_CHECK enum err hub_join(struct hub *h, size_t queue_bytes, struct hub_wake wake,
                             struct hub_connection **ret);
/* Ends all subscriptions, drops what is queued. What is sent later goes nowhere. */
void hub_leave(struct hub_connection *c);
struct hub_connection *hub_hold(struct hub_connection *c);
void hub_release(struct hub_connection *c); /* accepts NULL */

/* ERR_EXHAUSTED: HUB_SUBSCRIPTIONS_MAX or HUB_CHANNELS_MAX. ERR_CLOSED. A second time changes
 * nothing. */
MUST_CHECK enum err hub_subscribe(struct hub_connection *c, const char *channel);
/* What is queued already still arrives. */
void hub_unsubscribe(struct hub_connection *c, const char *channel);
bool hub_is_subscribed(struct hub_connection *c, const char *channel);

enum hub_delivery {
    HUB_KEEP,     /* in order, all of them: answers, private events, trades */
    HUB_CONFLATE, /* only the newest of the channel waits: prices */
    HUB_SHED,     /* first to go under pressure */
};
/* To one connection, and to all that listen to a channel. The frame stays the caller's. */
void hub_send(struct hub_connection *c, struct frame *f, enum hub_delivery how);
void hub_publish(struct hub *h, const char *channel, struct frame *f, enum hub_delivery how);
/* Does anybody listen? If not, a frame need not be made. */
bool hub_is_heard(struct hub *h, const char *channel);
/* To every channel that somebody listens to, the frame that make returns for it (NULL: nothing);
 * make must not call the hub. Kept and in order. */
void hub_publish_each(struct hub *h, struct frame *(*make)(void *arg, const char *channel),
                      void *arg);

/* Asks the front to close after what is queued has been written; the first verdict stays. */
void hub_close(struct hub_connection *c, enum hub_close code);
int hub_verdict(struct hub_connection *c); /* 0: none yet */
/* Closes all, and refuses who comes later. */
void hub_close_all(struct hub *h, enum hub_close code);

/*
 * For the front: the next frame that waits. After a verdict the queue is still handed out, unless
 * the verdict is that the client is too slow for it.
 */
struct hub_taken {
    struct frame *frame; /* to be released; NULL: none waits */
    int close;           /* frame NULL: the verdict, or 0 */
    /* Everything of the frame's topic up to here has been taken: the cursor to resume from. It is
     * the frame's own place, but for a conflated one, that of the first frame it replaced. */
    uint64_t epoch, seq;
};
struct hub_taken hub_take(struct hub_connection *c);

/* How many channels it listens to, and the bytes that wait for it. */
void hub_look(struct hub_connection *c, size_t *ret_channels, size_t *ret_queued_bytes);

struct hub_stats {
    size_t connections, channels, subscriptions, queued_bytes;
    uint64_t published, delivered, conflated, shed, closed_slow;
};
void hub_stats(struct hub *h, struct hub_stats *ret);
/* Brings the process's metrics (tradepost_gateway_...) up to date: before they are read. */
void hub_metrics(struct hub *h);

#endif
