/*
 * The server from inside: what server.c (sockets, contexts, admission, life), call.c (checks,
 * handler, reply) and builtin.c (Health, Reflection, Control) share. Private to base/rpc.
 */
#ifndef BASE_RPC_CALL_H
#define BASE_RPC_CALL_H

#include "base/metrics.h"
#include "base/queue.h"
#include "base/rpc/arena.h"
#include "base/rpc/envelope.h"
#include "base/rpc/server.h"
#include "base/trace.h"
#include "proto/contract.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

#define RPC_BUILTINS       3
#define RPC_METHODS_MAX    256 /* of one server */
#define RPC_WATCHES_MAX    64  /* Health.Watch calls that wait */
#define RPC_SPARE_CONTEXTS 16  /* beyond inflight_max: they say that the server is full */
#define RPC_CHECKS_MAX     8   /* Health.Check calls that wait for the part: half of the spare */
#define RPC_ARMED_MIN      16  /* contexts that wait for a request; below, another one is opened */
#define RPC_PUSHBACK_MS    50  /* what a full server asks its clients to wait */
#define RPC_CODES          17  /* gRPC's */

struct method {
    const struct contract_method *contract;
    ProtobufCService *service;
    void *context;
    bool quick; /* runs where it was received: never blocks, and answers also when the server is
                   full */
    struct histogram *seconds;
    _Atomic(struct counter *) handled[RPC_CODES]; /* by code; made when one is first seen */
};

enum call_state { CALL_IDLE, CALL_RECEIVING, CALL_RUNNING, CALL_SENDING };

/* One context of the REP socket, and the call that it is serving. */
struct rpc_call {
    struct rpc_server *server;
    nng_ctx context;
    nng_aio *aio;
    enum call_state state;
    bool counted; /* in server->inflight */

    nng_msg *message; /* the request; envelope points into it */
    struct envelope_request envelope;
    struct method *method;
    int64_t received_us, started_us, deadline_ms;
    struct principal principal;
    char traceparent[TRACE_TEXT_SIZE];
    char idempotency_key[ENVELOPE_KEY_MAX + 1];
    struct metadata {
        const char *key, *value;
    } * metadata; /* in the arena */
    size_t metadata_count;

    /* Cancelling writes what it cancels, so that it can never hit the context's next call. */
    _Atomic uint64_t id_hi, id_lo, cancelled_lo;
    _Atomic int pipe, gone_pipe;
    _Atomic int64_t sending_since_ms; /* 0: not sending */

    /* Health.Watch */
    nng_aio *watch_aio;
    struct rpc_call *watch_previous, *watch_next;
    size_t watched; /* index of the service's health */

    struct arena arena;
};

struct health {
    pthread_mutex_t lock;
    struct {
        const char *service; /* "" for the server */
        bool serving;
    } services[RPC_SERVICES_MAX + RPC_BUILTINS + 1];
    size_t service_count;
    struct rpc_call *watchers;
    size_t watcher_count;
    enum err (*ready)(void *arg, struct err_detail *detail); /* NULL: as services[0] says */
    void *ready_arg;
    struct queue *checks; /* calls that wait for ready's answer, which may take its time */
    pthread_t asker;
    bool asks;
};

struct rpc_server {
    char name[RPC_NAME_MAX];
    char *listen[RPC_LISTEN_MAX];
    size_t listen_count;
    nng_listener listeners[RPC_LISTEN_MAX];
    const struct rpc_tls *tls;
    bool has_key;
    struct principal_key key;
    unsigned inflight_max;

    ProtobufCService *services[RPC_SERVICES_MAX + RPC_BUILTINS];
    size_t service_count;
    struct method methods[RPC_METHODS_MAX]; /* sorted by name once started */
    size_t method_count;
    struct method unknown; /* stands for methods that are not here, in metrics */

    nng_socket socket;
    bool started;
    pthread_mutex_t open_lock; /* of calls while contexts are added */
    struct rpc_call **calls;
    size_t calls_max;
    _Atomic size_t call_count;
    _Atomic int armed;
    _Atomic unsigned inflight, pipes;
    nng_aio *sweep_aio; /* sleeps until the next look for peers that do not read */
    _Atomic bool sweeping;
    _Atomic bool draining, stopping; /* refuses calls; and those in flight are cancelled */
    pthread_mutex_t idle_lock;
    pthread_cond_t idle;

    struct queue *queue; /* of calls that wait for a worker */
    pthread_t *workers;
    size_t worker_count, workers_wanted;

    struct health health;
    struct gauge *inflight_gauge;
};

/* server.c */
void call_receive(struct rpc_call *call); /* the next request, please */
/* Soon looks for a connection that holds many contexts because it does not read its replies. */
void server_sweep(struct rpc_server *s);
void call_uncount(struct rpc_call *call); /* its reply has left: it is in flight no more */

/* call.c */
void method_init(struct method *m); /* its metrics; contract is set */
/* Checks, decodes, runs the handler, or refuses. The call may be over when it returns. */
void call_run(struct rpc_call *call);
/* Ends the call. status NULL: OK with reply. notes may be NULL. */
void call_end(struct rpc_call *call, const struct rpc_status *status,
              const struct envelope_notes *notes, const ProtobufCMessage *reply);
/* Ends the call before any handler has seen it. */
void call_refuse(struct rpc_call *call, enum err e, const char *message);

/* builtin.c */
ProtobufCService *builtin_service(size_t i); /* i < RPC_BUILTINS */
bool builtin_is_quick(const ProtobufCService *service);
void health_init(struct rpc_server *s);
MUST_CHECK enum err health_start(struct rpc_server *s); /* the thread that asks; ERR_NO_MEMORY */
void health_stop(struct rpc_server *s);                 /* answers what waits. Blocks */
void health_fini(struct rpc_server *s);
void health_set_all(struct rpc_server *s, bool serving);

#endif
