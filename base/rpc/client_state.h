/*
 * The client from inside: what client.c (calls) and targets.c (addresses, replicas, the
 * housekeeper, life) share. Private to base/rpc.
 */
#ifndef BASE_RPC_CLIENT_STATE_H
#define BASE_RPC_CLIENT_STATE_H

#include "base/rpc/envelope.h"
#include "base/rpc/replica.h"
#include "base/trace.h"
#include "proto/contract.h"

#include <pthread.h>

enum wake { WAKE_RETRY, WAKE_CONNECT, WAKE_FAIL };

/* A call, from rpc_call_async until its done. */
struct outgoing {
    struct outgoing *next; /* in waiting */
    struct rpc_client *client;
    const struct contract_method *method;
    rpc_done *done; /* NULL: nobody cares */
    void *arg;
    bool internal; /* a Cancel: no retries, says nothing about the replica */

    int64_t deadline_ms, connect_until_ms;
    uint64_t id_lo;
    unsigned attempts;           /* made before this one */
    const struct replica *avoid; /* the one that failed; only compared */
    char idempotency_key[ENVELOPE_KEY_MAX + 1];
    char traceparent[TRACE_TEXT_SIZE];
    char principal[PRINCIPAL_TEXT_MAX];
    enum wake why; /* while it waits */
    int64_t wake_ms;
    enum err failure; /* WAKE_FAIL */
    const char *failure_message;

    size_t payload_size, metadata_size;
    uint8_t payload[]; /* packed once, for all attempts; metadata behind it */
};

/* Where replicas come from: an address, or a name that stands for several and is looked up again.
 */
struct target {
    char scheme[16];                    /* "tcp://" */
    char host[SOCKET_URL_MAX], port[8]; /* of a name; "" otherwise */
    char url[SOCKET_URL_MAX];
    nng_tls_config *tls;
    bool named;
};

struct rpc_client {
    pthread_mutex_t lock; /* of everything that is not constant; never held while calling done */
    pthread_cond_t changed;
    pthread_t housekeeper;
    bool has_housekeeper;
    _Atomic bool closing;
    bool hangs; /* nng did not finish a close: the client's memory is left to it */

    struct target targets[RPC_REPLICAS_MAX];
    size_t target_count;
    struct replica *replicas[RPC_REPLICAS_MAX];
    size_t replica_count;
    bool connected_once, pipes_changed;

    bool has_key;
    struct principal_key key;
    uint64_t id_hi; /* of all calls: random, so that nobody else can name them */
    _Atomic uint64_t next_id_lo;
    uint64_t random;
    int budget; /* tenths of a retry */

    struct outgoing *waiting;
    int64_t wake_ms; /* when the housekeeper looks at waiting again */
    struct counter *retries;
};

/* choose.c; all of it holding the lock. */
uint64_t client_random(struct rpc_client *c); /* xorshift64*: only spreads load */
/*
 * NULL: none is connected. One that was left alone and whose time is over comes first: the call
 * shows whether it is well again. `avoid` (may be NULL) is chosen only if there is no other.
 */
struct replica *client_choose(struct rpc_client *c, const struct replica *avoid);
bool client_may_eject(const struct rpc_client *c); /* at most half of the replicas are ejected */

/* client.c: on the housekeeper's thread, calls whose time has come go on or end. */
void client_wake_due(struct rpc_client *c);
void client_abandon(struct outgoing *call); /* the client is being freed */

#endif
