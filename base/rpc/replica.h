/*
 * One replica of a callee, from the client's inside: its REQ socket, its lanes (a context each, one
 * call at a time), and how well it does. Private to base/rpc. Everything is under the client's lock
 * unless it says otherwise.
 */
#ifndef BASE_RPC_REPLICA_H
#define BASE_RPC_REPLICA_H

#include "base/metrics.h"
#include "base/rpc/client.h"
#include "base/rpc/socket.h"

#include <nng/nng.h>
#include <stdatomic.h>

#define BREAKER_FAILURES         5   /* in a row, then the replica is left alone */
#define BREAKER_ISOLATION_MIN_MS 100 /* doubled each time it fails again */
#define BREAKER_ISOLATION_MAX_MS 30000
#define BREAKER_DRAIN_MS         1000 /* a replica that drains is left alone at once */

struct outgoing;

struct lane {
    struct lane *next; /* in free_lanes */
    struct replica *replica;
    nng_ctx context;
    nng_aio *aio;
    _Atomic bool receiving; /* the request has left */
    struct outgoing *call;  /* NULL: free */
    int64_t sent_us;
};

struct replica {
    struct rpc_client *client;
    size_t target; /* of the client: where its address came from */
    char url[SOCKET_URL_MAX];
    bool gone; /* its name no longer stands for it: closed when its calls have ended */
    nng_socket socket;
    int pipe, pipe_removed; /* the connection; 0: none. The last one lost. */

    struct lane *lanes[RPC_CLIENT_INFLIGHT_MAX];
    size_t lane_count;
    struct lane *free_lanes; /* last in, first out: warm ones first */
    unsigned inflight;

    int64_t latency_us; /* moving average */
    int64_t latency_at_ms;
    unsigned failures; /* in a row */
    bool open;         /* the breaker: left alone until ejected_until_ms, then one call tries */
    bool probing;
    int64_t ejected_until_ms, isolation_ms;
    struct gauge *breaker_gauge;
    void (*abandon)(struct outgoing *call); /* while it is closed */
};

/* Without the lock: dials in the background. server_config NULL: not TLS. */
MUST_CHECK enum err replica_new(struct rpc_client *client, size_t target, const char *url,
                                nng_tls_config *tls, struct replica **ret);
/*
 * Without the lock, and no new calls come: stops every lane, then hands calls that are still in
 * them to `abandon`. Blocks. False: nng hangs, and what it may still touch (the client too) is left
 * to it.
 */
MUST_CHECK bool replica_free(struct replica *r, void (*abandon)(struct outgoing *call));

/* ERR_EXHAUSTED: RPC_CLIENT_INFLIGHT_MAX calls are in flight. ERR_NO_MEMORY. */
MUST_CHECK enum err replica_take_lane(struct replica *r, struct outgoing *call, struct lane **ret);
void replica_give_lane(struct lane *lane);

enum replica_result {
    REPLICA_OK,      /* it answered */
    REPLICA_FAILED,  /* it did not, or said that it cannot */
    REPLICA_DRAINS,  /* it is going away */
    REPLICA_NOTHING, /* says nothing about it */
};

/* After a call sent at sent_us: keeps the average and the breaker. may_eject: enough others are
 * left. */
void replica_report(struct replica *r, enum replica_result result, int64_t sent_us, bool may_eject);
bool replica_connected(const struct replica *r);
bool replica_usable(const struct replica *r, int64_t now_ms);  /* connected and not ejected */
int64_t replica_cost(const struct replica *r, int64_t now_ms); /* less is better */

/* It has lost its connection: what waits to be sent must not wait for the next one. */
void replica_abort_unsent(struct replica *r);

/* client.c: on nng's threads. */
void client_lane_event(void *lane);
void client_pipe_event(nng_pipe pipe, nng_pipe_ev event, void *replica);

#endif
