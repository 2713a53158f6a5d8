/*
 * The feed: events of the parts, from the bus to the hub. An event's payload becomes JSON once, in
 * an immutable frame that all listeners share:
 *
 *   {"type":"market.trade","channel":"trades:BTC-USDT","epoch":"1769..","seq":"42",
 *    "timestamp":"2026-01-31T23:59:59.123Z","data":{...}}
 *
 * Which channels there are is the contract's to say. "prices:{symbol}" is one channel per event
 * key; a channel that starts with "user." is everybody's own: the key is the user's id, and clients
 * never name it. An event of a type without a channel is counted and dropped.
 *
 * A place in a channel is its topic's (epoch, seq). Thread-safe; nothing here blocks but feed_new
 * and feed_free.
 */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include "base/part.h"
#include "calls.h"
#include "hub.h"
#include "recent.h"

#define FEED_TOPICS_MAX   16
#define FEED_CHANNELS_MAX 100                    /* of one feed_subscribe */
#define FEED_REPLAY_MAX   (HUB_QUEUE_FRAMES / 2) /* events of a resume; above: a resync */

struct feed;
struct feed_options {
    const struct part_env *env; /* all borrowed */
    struct calls *calls;        /* the parts, for their replays */
    struct hub *hub;
    struct recent *recent; /* forgets before an event for everybody is passed on; NULL: none */
    size_t queue_bytes;    /* of a connection: a resume fills at most half; 0: HUB_QUEUE_BYTES */
};
/* ERR_INVALID: a part's event URL; detail says which. ERR_NO_MEMORY. Connects in the background. */
MUST_CHECK enum err feed_new(const struct feed_options *options, struct feed **ret,
                             struct err_detail *detail);
void feed_free(struct feed *f); /* accepts NULL; blocks until its threads have ended */
/* Of resumes from now on. Any thread. */
void feed_set_queue_bytes(struct feed *f, size_t queue_bytes);

/* A channel that exists, as somebody named it. */
struct feed_channel {
    char name[HUB_CHANNEL_MAX + 1]; /* as the client knows it */
    char hub[HUB_CHANNEL_MAX + 1];  /* as the hub does: with the user's id */
    char key[BUS_KEY_MAX + 1];      /* of its events; "": all of its types */
    const char *template_name;      /* the contract's: "prices:{symbol}" */
    enum caller caller;             /* who may listen */
    unsigned topic;                 /* 0 to feed_topic_count() - 1 */
};
/*
 * Reads a name for a user ("" for a guest). Pure. ERR_INVALID: no such channel, or a key with more
 * than BUS_KEY_MAX bytes or others than letters, digits and _ . : - ; detail lists what would be
 * right. Whether the user may listen is left to the caller (channel->caller).
 */
MUST_CHECK enum err feed_channel(const char *name, const char *user_id, struct feed_channel *ret,
                                 struct err_detail *detail);

unsigned feed_topic_count(void);
const char *feed_topic(unsigned topic); /* "trading.market" */

struct feed_position {
    uint64_t epoch, seq;
};
/* Up to where a topic has been published to the hub; (0, 0): its part was never reached. */
struct feed_position feed_position(struct feed *f, unsigned topic);

/*
 * Subscribes a connection to channels of one topic (a bug otherwise), all at the same place. With
 * since, what it missed behind that place is queued first, then the live events follow: no gap, no
 * repeat; of a channel where only the newest matters (prices), the newest. *ret_recovered false:
 * the past is gone, and a resync frame is queued for each channel instead:
 *   {"type":"resync","channel":"..","epoch":"..","seq":".."}
 * *ret is the place from which live events follow. ERR_UNAVAILABLE: since was given, and the part
 * has not been reached since this gateway started: try again. Other errors as hub_subscribe, and
 * then the connection may be subscribed to some of the channels.
 */
MUST_CHECK enum err feed_subscribe(struct feed *f, struct hub_connection *c,
                                   const struct feed_channel *channels, size_t count,
                                   const struct feed_position *since, bool *ret_recovered,
                                   struct feed_position *ret);

#endif
