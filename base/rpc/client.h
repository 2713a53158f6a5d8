/*
 * The RPC client of one part: a REQ socket per replica, power-of-two-choices over them, a circuit
 * breaker per replica, retries with jitter and a budget.
 *
 * A call that was certainly not sent is retried freely; one that may have been executed only when
 * the contract says the method is idempotent or the call carries an idempotency key. Never past the
 * deadline. While no replica is connected a call fails with ERR_UNAVAILABLE, except that before a
 * client's first connection it waits for it, at most a second: parts may start in any order.
 * Thread-safe.
 */
#ifndef BASE_RPC_CLIENT_H
#define BASE_RPC_CLIENT_H

#include "base/rpc/rpc.h"
#include "base/rpc/server.h"

#include <protobuf-c/protobuf-c.h>

#define RPC_REPLICAS_MAX        32
#define RPC_CLIENT_INFLIGHT_MAX 1024 /* per replica; beyond: ERR_EXHAUSTED at once */
#define RPC_RETRIES_MAX         3

struct rpc_client;

struct rpc_client_options {
    const char *name;        /* of the caller, for metrics */
    const char *const *urls; /* replicas; a tcp host name stands for all of its addresses */
    size_t url_count;
    const struct rpc_tls *tls;
    const struct principal_key *principal_key; /* NULL: calls carry no principal */
};

/*
 * Connects in the background: a server that is not there yet is no error. A host name is looked up
 * again every 10 s. ERR_INVALID: an address or a certificate (detail says which). ERR_NO_MEMORY.
 */
MUST_CHECK enum err rpc_client_new(const struct rpc_client_options *options,
                                   struct rpc_client **ret, struct err_detail *detail);
/* Accepts NULL. Pending calls end with ERR_CANCELLED; no new ones may come. Blocks. */
void rpc_client_free(struct rpc_client *c);

struct rpc_metadata {
    const char *key, *value; /* [0-9a-z_.-]+; text */
};

/* What a call carries besides its request. Zeroed: a guest's call with the default timeout. */
struct rpc_options {
    int64_t deadline_ms;               /* monotonic; 0: now + RPC_TIMEOUT_DEFAULT_MS */
    const struct principal *principal; /* signed by the client; NULL: guest */
    const char *idempotency_key;       /* NULL or "": none */
    const char *traceparent;           /* NULL: a new trace */
    /* For the handler (rpc_call_metadata), not passed on by it. Beyond the limits of rpc.h the call
     * fails with ERR_INVALID. */
    const struct rpc_metadata *metadata;
    size_t metadata_count;
};

/* Of a call made while serving another: its principal, deadline and trace go on. */
struct rpc_options rpc_options_from(const struct rpc_call *call);

/*
 * Calls `method` ("wallet.Wallet/Hold", which must be in the contract) and waits. On OK *ret is the
 * reply, freed by the caller with protobuf_c_message_free_unpacked. Otherwise status (may be NULL)
 * says more. ERR_TIMEOUT and ERR_UNAVAILABLE after sending mean that the outcome is unknown. Blocks
 * at most until the deadline.
 */
MUST_CHECK enum err rpc_call(struct rpc_client *c, const char *method,
                             const ProtobufCMessage *request, const struct rpc_options *options,
                             ProtobufCMessage **ret, struct rpc_status *status);

/*
 * The same for a method that this program was not compiled with, described by the caller (see
 * dynamic.h): its name, input, output and whether it is idempotent. Borrowed for the call.
 */
struct contract_method;
MUST_CHECK enum err rpc_call_method(struct rpc_client *c, const struct contract_method *method,
                                    const ProtobufCMessage *request,
                                    const struct rpc_options *options, ProtobufCMessage **ret,
                                    struct rpc_status *status);

/*
 * The same without waiting: done runs once, on a library thread, and must not block. The reply,
 * NULL on failure, is done's to free. The request is packed before rpc_call_async returns. (Out of
 * memory for the call itself: done runs within rpc_call_async.)
 */
typedef void rpc_done(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status);
void rpc_call_async(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                    const struct rpc_options *options, rpc_done *done, void *arg);

/* True while at least one replica is connected and not ejected. */
bool rpc_client_ready(const struct rpc_client *c);

#endif
