/*
 * Events. A publisher numbers each topic's events (epoch, seq), contiguous, and keeps the last ones in a
 * ring. PUB/SUB is the doorbell, never the truth: a subscriber that sees a gap or a new epoch asks the
 * publisher's Replay; what even the ring has lost is told as a resync. Never a silent gap.
 *
 * A topic is a stream of one part ("trading.market", "wallet.user"); an event's key says whom or what it
 * is about (a symbol, a user id), so a reader of one key filters and its cursor is still the topic's.
 * Every topic sends a heartbeat with its last seq each second, so a lost tail is seen too.
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

#define BUS_TOPIC_MAX 64
#define BUS_KEY_MAX 64
#define BUS_TYPE_MAX 64
#define BUS_TOPICS_MAX 64                      /* of one publisher or subscriber */
#define BUS_EVENT_SIZE_MAX (256 * 1024)        /* payload bytes */
#define BUS_RING_SIZE (8 * 1024 * 1024)        /* bytes a topic keeps; the oldest go first */
#define BUS_REPLAY_MAX 1000                    /* events of one Replay reply */

struct bus_event {
    const char *topic, *key, *type; /* "trading.market", "BTC-USDT", "market.trade" */
    uint64_t epoch, seq;
    int64_t time_ms;                /* wall clock of the publisher */
    const void *payload;            /* a packed protobuf message of the type's kind */
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
/* Also adds rpc.Events/Replay to the server, which must not have been started. */
MUST_CHECK enum err bus_publisher_new(const struct bus_publisher_options *options,
                                      struct rpc_server *server, struct bus_publisher **ret,
                                      struct err_detail *detail);
void bus_publisher_free(struct bus_publisher *p); /* accepts NULL */
unsigned bus_publisher_port(const struct bus_publisher *p, size_t listener);

/* Numbers, keeps and sends. Thread-safe, never blocks; the order of seqs is the order of the calls. */
void bus_publish(struct bus_publisher *p, const char *topic, const char *key, const char *type,
                 const void *payload, size_t size);

/* ---- subscriber ---- */
struct bus_subscriber;

/* Both run on the subscriber's own thread, in order; they may block (then events wait in the ring). */
typedef void bus_on_event(void *arg, const struct bus_event *event);
/* The past of a topic is gone: forget what you built from it, take a snapshot, go on after (epoch, seq). */
typedef void bus_on_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq);

struct bus_subscriber_options {
    const char *const *urls;   /* PUB URLs of all replicas of a part */
    size_t url_count;
    const struct rpc_tls *tls;
    struct rpc_client *replay; /* the same part's RPC; borrowed */
    const char *const *topics; /* NULL-terminated */
    bus_on_event *on_event;
    bus_on_resync *on_resync;
    void *arg;
    size_t ring_size; /* bytes per topic kept for bus_replay; 0: BUS_RING_SIZE */
};
MUST_CHECK enum err bus_subscriber_new(const struct bus_subscriber_options *options,
                                       struct bus_subscriber **ret, struct err_detail *detail);
void bus_subscriber_free(struct bus_subscriber *s); /* accepts NULL; blocks */

/*
 * For a client that comes back: visits the topic's kept events after (epoch, seq), with that key (NULL:
 * all), in order, and returns where the topic stands. ERR_RANGE: the past is gone or the epoch is
 * another (resync). visit runs under the topic's lock: it must be quick and call nothing of the bus, so
 * that whoever queues the live events after it returns has no gap and no repeat.
 */
MUST_CHECK enum err bus_replay(struct bus_subscriber *s, const char *topic, const char *key,
                               uint64_t epoch, uint64_t seq,
                               void (*visit)(void *arg, const struct bus_event *event), void *arg,
                               uint64_t *ret_epoch, uint64_t *ret_seq);

#endif
