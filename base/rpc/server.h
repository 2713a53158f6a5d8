/*
 * The RPC server: one REP socket, a context per call in flight, a bounded queue and a worker pool.
 *
 * Dispatch is protobuf-c's own: a service is the generated struct (`TRADING__TRADING__INIT(rpc_)`)
 * whose slots are handlers
 *
 *     static void rpc_cancel_order(Trading__Trading_Service *self,
 *                                  const Trading__CancelOrderRequest *req,
 *                                  Trading__Order_Closure reply, void *closure_data)
 *     {
 *         struct rpc_call *call = closure_data;
 *         struct trading *t = rpc_call_context(call);
 *         ...
 *         reply(&order, call);            // or rpc_fail(call, ERR_NOT_FOUND, "no order %s", id)
 *     }
 *
 * A handler runs on a worker and ends its call exactly once, by reply() or rpc_fail(), now or later
 * from any thread; until then the call and its request stay valid, afterwards neither. The message
 * given to reply() is packed before it returns and stays the caller's.
 *
 * Before a handler runs the server has checked: envelope and sizes, method, caller against the
 * contract (who may call), principal's signature, deadline, and the request's field limits from the
 * contract. Above inflight_max a call is refused with ERR_EXHAUSTED at once; one whose deadline
 * passed while it waited is answered ERR_TIMEOUT without running. Such a refusal says so (metadata
 * "x-refused"), and the client may send the call again whatever it is. Every server also answers
 * rpc.Health, rpc.Reflection and rpc.Control (Cancel, Ping); Health and Control also when it is
 * full. A connection whose peer does not read its replies is closed.
 */
#ifndef BASE_RPC_SERVER_H
#define BASE_RPC_SERVER_H

#include "base/rpc/rpc.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#define RPC_SERVICES_MAX 16 /* of one server */
#define RPC_LISTEN_MAX   8
#define RPC_INFLIGHT_MAX 4096
#define RPC_PIPES_MAX    1024 /* connections to one server; more are closed at once */

struct rpc_server;
struct rpc_call;

struct rpc_server_options {
    const char *name; /* the part, for metrics and health: "wallet" */
    /* inproc://name, tcp://host:port, tls+tcp://host:port; port 0 picks one */
    const char *const *listen;
    size_t listen_count;
    unsigned workers;                          /* threads that run handlers; 0: 4 */
    unsigned inflight_max;                     /* calls accepted and not answered; 0: 512 */
    const struct rpc_tls *tls;                 /* NULL: tls+tcp:// is refused with ERR_INVALID */
    const struct principal_key *principal_key; /* NULL: every caller is a guest */
};

/* ERR_INVALID: options (detail says which). ERR_NO_MEMORY. Nothing listens yet. */
MUST_CHECK enum err rpc_server_new(const struct rpc_server_options *options,
                                   struct rpc_server **ret, struct err_detail *detail);
/* Before start. The service and context are borrowed until free. ERR_EXISTS: the name is taken. */
MUST_CHECK enum err rpc_server_add(struct rpc_server *s, ProtobufCService *service, void *context);
/* ERR_UNAVAILABLE: an address cannot be listened on. Health becomes SERVING. */
MUST_CHECK enum err rpc_server_start(struct rpc_server *s, struct err_detail *detail);
/* The port that a tcp listener got; 0: that listener is not tcp. */
unsigned rpc_server_port(const struct rpc_server *s, size_t listener);

/*
 * Before start: Health/Check of the whole server ("") also asks this, on a thread of its own, so it
 * may block; one answer is for all who wait for it. An error is NOT_SERVING, with its detail. For
 * what a server cannot know: whether its part has what it needs.
 */
void rpc_server_set_ready(struct rpc_server *s,
                          enum err (*ready)(void *arg, struct err_detail *detail), void *arg);

/* Health of one service ("trading.Trading") or of all (""). Thread-safe. */
void rpc_server_set_serving(struct rpc_server *s, const char *service, bool serving);

/*
 * Says NOT_SERVING, refuses new calls with ERR_UNAVAILABLE, waits for those in flight, at most
 * grace_ms. ERR_TIMEOUT: some were still running. Blocks.
 */
enum err rpc_server_drain(struct rpc_server *s, int64_t grace_ms);
/*
 * Accepts NULL. Refuses new calls and waits until the ones in flight have ended: their handlers see
 * rpc_call_cancelled, and what a part keeps to answer later it must answer before. Then closes; if
 * nng hangs in that for 5 s, the server's memory is left to it. Blocks.
 */
void rpc_server_free(struct rpc_server *s);

/* Of a running call; valid until it has ended. Thread-safe. */
void *rpc_call_context(const struct rpc_call *call);
const struct principal *rpc_call_principal(const struct rpc_call *call); /* never NULL */
int64_t rpc_call_deadline_ms(const struct rpc_call *call);               /* monotonic */
/* The caller gave up or vanished, the deadline passed, or the server is being freed. */
bool rpc_call_cancelled(const struct rpc_call *call);
const char *rpc_call_idempotency_key(const struct rpc_call *call); /* "" for none */
const char *rpc_call_traceparent(const struct rpc_call *call);     /* this hop's; never empty */
const char *rpc_call_metadata(const struct rpc_call *call, const char *key); /* NULL: absent */

/* Ends the call with an error. */
void rpc_fail(struct rpc_call *call, enum err e, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with a domain reason ("insufficient_funds"). */
void rpc_fail_reason(struct rpc_call *call, enum err e, const char *reason, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* ERR_INVALID about one field: its JSON name and what would be right. */
void rpc_fail_field(struct rpc_call *call, const char *field, const char *format, ...)
    PRINTF_LIKE(3, 4);
void rpc_fail_status(struct rpc_call *call,
                     const struct rpc_status *status); /* passed on from a callee */

#endif
