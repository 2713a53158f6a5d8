/*
 * Events. A publisher numbers each topic's events (epoch, seq), contiguous, and keeps the last ones
 * in a ring. PUB/SUB is the doorbell, never the truth: a subscriber that sees a gap or a new epoch
 * asks the publisher's Replay; what even the ring has lost is told as a resync. Never a silent gap.
 *
 * A topic is a stream of one part ("trading.market", "wallet.user"); an event's key says whom or
 * what it is about (a symbol, a user id), so a reader of one key filters and its cursor is still
 * the topic's. Every topic sends a heartbeat with its last seq each second, so a lost tail is seen
 * too.
 */
#ifndef BASE_BUS_BUS_H
#define BASE_BUS_BUS_H

#include "base/err.h"
#include "base/rpc/client.h"
#include "base/rpc/rpc.h"
#include "base/rpc/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_TOPIC_MAX       64                /* bytes of a topic, */
#define BUS_KEY_MAX         64                /* of a key, which may be "", */
#define BUS_TYPE_MAX        64                /* and of a type, which may not: "" is a heartbeat */
#define BUS_TOPICS_MAX      64                /* of one publisher or subscriber */
#define BUS_EVENT_SIZE_MAX  (256 * 1024)      /* payload bytes */
#define BUS_RING_SIZE       (8 * 1024 * 1024) /* bytes a topic keeps; the oldest go first */
#define BUS_REPLAY_MAX      1000              /* events of one Replay reply, and */
#define BUS_REPLAY_SIZE_MAX (1024 * 1024)     /* their payload bytes, if there is more than one */
#define BUS_HEARTBEAT_MS    1000
/* Messages nng keeps for a subscriber; what is dropped beyond them a replay finds. */
#define BUS_QUEUE_MAX 8192

/* Pointers are borrowed for the call. Epochs are above 0 and below 2^53; so are seqs, from 1. */
struct bus_event {
    const char *topic, *key, *type; /* "trading.market", "BTC-USDT", "market.trade" */
    uint64_t epoch, seq;
    int64_t time_ms;     /* wall clock of the publisher */
    const void *payload; /* a packed protobuf message of the type's kind */
    size_t payload_size;
};

/* ---- publisher ---- */
struct bus_publisher;

struct bus_publisher_options {
    const char *const *listen; /* nng PUB URLs */
    size_t listen_count;
    const struct rpc_tls *tls;
    const char *const *topics; /* NULL-terminated; all that will ever be published */
    size_t ring_size;          /* bytes per topic; 0: BUS_RING_SIZE; small in tests */
};
/*
 * Also adds events.Events/Replay to the server, which must not have been started. A topic has one
 * living publisher: replicas that are equals need topics of their own. ERR_INVALID: a topic, a URL
 * or the TLS files; ERR_UNAVAILABLE: cannot listen; ERR_NO_MEMORY; detail says which.
 */
MUST_CHECK enum err bus_publisher_new(const struct bus_publisher_options *options,
                                      struct rpc_server *server, struct bus_publisher **ret,
                                      struct err_detail *detail);
/* Accepts NULL. After rpc_server_free, and when nobody publishes any more. Blocks. */
void bus_publisher_free(struct bus_publisher *p);
/* The port that a tcp listener got; 0: that listener is not tcp. */
unsigned bus_publisher_port(const struct bus_publisher *p, size_t listener);

/*
 * Numbers, keeps and sends. Thread-safe, never blocks; the order of seqs is the order of the calls.
 * The topic must be one of the options', and the sizes within their limits (CHECK). When memory is
 * short the event and the past are lost, and subscribers are told a resync.
 */
void bus_publish(struct bus_publisher *p, const char *topic, const char *key, const char *type,
                 const void *payload, size_t size);

/* ---- subscriber ---- */
struct bus_subscriber;

/*
 * Both run on the subscriber's own thread, in order; they may block (then events wait in the
 * publisher's ring). The life of a topic: a resync with (epoch, seq), then the events seq + 1, seq
 * + 2, ... each once, until the next resync.
 */
typedef void bus_on_event(void *arg, const struct bus_event *event);
/*
 * Comes first of all, when the publisher is first reached, and whenever the past is gone (a
 * publisher started anew, or its ring could not hold what was missed): forget what you built from
 * the topic, take a snapshot, go on after (epoch, seq). The snapshot may already contain some of
 * the events that follow.
 */
typedef void bus_on_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq);

struct bus_subscriber_options {
    const char *const *urls; /* PUB URLs of all replicas of a part */
    size_t url_count;
    const struct rpc_tls *tls;
    struct rpc_client
        *replay; /* the same part's RPC, with the platform's principal key; borrowed */
    const char *const *topics; /* NULL-terminated */
    bus_on_event *on_event;
    bus_on_resync *on_resync;
    void *arg;
    size_t ring_size; /* bytes per topic kept for bus_replay; 0: BUS_RING_SIZE */
};
/* Connects in the background. ERR_INVALID: a topic, a URL or the TLS files; ERR_NO_MEMORY. */
MUST_CHECK enum err bus_subscriber_new(const struct bus_subscriber_options *options,
                                       struct bus_subscriber **ret, struct err_detail *detail);
void bus_subscriber_free(struct bus_subscriber *s); /* accepts NULL; blocks, waits for a callback */

/*
 * For a client that comes back: visits the topic's kept events after (epoch, seq), with that key
 * (NULL: all), in order, and says where the topic stands; (0, 0) is a topic whose publisher was
 * never reached. ERR_RANGE: the past is gone or the epoch is another (resync); ret_epoch and
 * ret_seq are set then too. ERR_NOT_FOUND: no such topic. visit runs under the topic's lock: it
 * must be quick and call nothing of the bus.
 *
 * An event may be visited here just before on_event gets it. So whoever holds, over this call and
 * over making the client live, a lock that its on_event also takes, and then gives it only the
 * events with a higher seq than *ret_seq (or another epoch), has no gap and no repeat.
 */
MUST_CHECK enum err bus_replay(struct bus_subscriber *s, const char *topic, const char *key,
                               uint64_t epoch, uint64_t seq,
                               void (*visit)(void *arg, const struct bus_event *event), void *arg,
                               uint64_t *ret_epoch, uint64_t *ret_seq);

#endif
