/* Calls: which replica, what when it fails. Where replicas come from: targets.c. */
#include "base/rpc/client.h"

#include "base/clock.h"
#include "base/rpc/client_state.h"

#include "rpc.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CONNECTION_MS 1000 /* how long a call waits for a client's first connection */
#define BACKOFF_START_MS    50   /* doubled each time, times 0.8 to 1.2 */
#define BACKOFF_MAX_MS      1000
#define BUDGET_MAX          100 /* tenths: ten retries, and one for ten successes */
#define BUDGET_RETRY        10
#define BUDGET_SUCCESS      1
#define CANCEL_TIMEOUT_MS   1000

#define CANCEL_METHOD       "rpc.Control/Cancel"

/* How an attempt ended. */
struct outcome {
    enum err err;
    const char *message; /* where there is no response; static */
    bool not_sent;       /* it never left */
    bool not_executed;   /* no handler has seen it */
    bool drain;
    int64_t pushback_ms;
    nng_msg *own_message; /* NULL: there is no response */
    struct envelope_response response;
};

static void attempt(struct outgoing *o);
static void send_cancel(struct replica *r, uint64_t id_lo);

/* ---- calls ---- */

static void end_call(struct outgoing *o, ProtobufCMessage *own_reply,
                     const struct rpc_status *status)
{
    rpc_done *done = o->done;
    void *arg = o->arg;
    free(o);
    if (done)
        done(arg, own_reply, status);
    else if (own_reply)
        protobuf_c_message_free_unpacked(own_reply, NULL);
}

static void init_status(struct rpc_status *status, enum err e, const char *message)
{
    status->err = e;
    status->reason[0] = 0;
    status->error_count = 0;
    (void)snprintf(status->message, sizeof status->message, "%s", message);
}

static void fail_call(struct outgoing *o, enum err e, const char *message)
{
    struct rpc_status status;
    init_status(&status, e, message);
    end_call(o, NULL, &status);
}

/* ---- waiting: for a retry's time, for a connection, or to fail on a library thread ---- */

static void wait_until(struct outgoing *o, enum wake why, int64_t wake_ms)
{
    struct rpc_client *c = o->client;
    pthread_mutex_lock(&c->lock);
    o->why = why;
    o->wake_ms = wake_ms;
    o->next = c->waiting;
    c->waiting = o;
    if (wake_ms < c->wake_ms) {
        c->wake_ms = wake_ms;
        pthread_cond_signal(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
}

/* A call that cannot even start: its done must not run inside of rpc_call_async. */
static void fail_later(struct outgoing *o, enum err e, const char *message)
{
    o->failure = e;
    o->failure_message = message;
    wait_until(o, WAKE_FAIL, 0);
}

/* Holding the lock: the list of calls whose time has come, and when the next one's will. */
static struct outgoing *take_due(struct rpc_client *c, int64_t now_ms, int64_t *ret_next_ms)
{
    struct outgoing *due = NULL, **link = &c->waiting;
    while (*link) {
        struct outgoing *o = *link;
        bool connected = o->why == WAKE_CONNECT && c->connected_once;
        if (o->wake_ms <= now_ms || connected || c->closing) {
            *link = o->next;
            o->next = due;
            due = o;
            continue;
        }
        if (o->wake_ms < *ret_next_ms) *ret_next_ms = o->wake_ms;
        link = &o->next;
    }
    return due;
}

static void wake(struct outgoing *o)
{
    if (o->client->closing)
        fail_call(o, ERR_CANCELLED, "the client is closed");
    else if (o->why == WAKE_FAIL)
        fail_call(o, o->failure, o->failure_message);
    else
        attempt(o);
}

void client_wake_due(struct rpc_client *c)
{
    int64_t next_ms = INT64_MAX;
    pthread_mutex_lock(&c->lock);
    struct outgoing *due = take_due(c, clock_mono_ms(), &next_ms);
    c->wake_ms = next_ms;
    pthread_mutex_unlock(&c->lock);
    while (due) {
        struct outgoing *next = due->next;
        wake(due);
        due = next;
    }
}

/* ---- sending ---- */

static struct slice text_slice(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static nng_msg *build_request(const struct outgoing *o, int64_t left_ms)
{
    uint8_t head[ENVELOPE_REQUEST_HEAD_MAX];
    struct envelope_request e = {
        .version = ENVELOPE_VERSION,
        .method = text_slice(o->method->name),
        .call_id_hi = o->client->id_hi,
        .call_id_lo = o->id_lo,
        .timeout_ms = (uint32_t)left_ms,
        .traceparent = text_slice(o->traceparent),
        .idempotency_key = text_slice(o->idempotency_key),
        .attempt = o->attempts,
        .principal = text_slice(o->principal),
        .payload = {o->payload, o->payload_size},
    };
    size_t head_size = envelope_request_head(&e, head);
    size_t packed_size = o->payload_size + o->metadata_size;
    nng_msg *message; /* of its exact size: in nng 1.5, shrinking or inserting corrupts memory */
    if (nng_msg_alloc(&message, head_size + packed_size)) return NULL;
    uint8_t *body = nng_msg_body(message);
    memcpy(body, head, head_size);
    if (packed_size) memcpy(body + head_size, o->payload, packed_size);
    return message;
}

static void attempt_failed(struct outgoing *o, const struct outcome *outcome);

static void send_on(struct lane *lane, struct outgoing *o)
{
    int64_t now_us = clock_mono_us(), left_ms = o->deadline_ms - now_us / 1000;
    nng_msg *message = build_request(o, left_ms > 0 ? left_ms : 1);
    if (!message) {
        struct rpc_client *c = o->client;
        pthread_mutex_lock(&c->lock);
        replica_give_lane(lane);
        pthread_mutex_unlock(&c->lock);
        fail_later(o, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
        return;
    }
    lane->sent_us = now_us;
    nng_aio_set_timeout(lane->aio, (nng_duration)(left_ms > 0 ? left_ms : 1));
    nng_aio_set_msg(lane->aio, message);
    nng_ctx_send(lane->context, lane->aio);
}

/* Holding the lock: the lane to go by, NULL with ret_wait: a first connection may still come. */
static enum err choose_lane(struct outgoing *o, struct lane **ret, bool *ret_wait)
{
    struct rpc_client *c = o->client;
    *ret_wait = false;
    if (c->closing) return ERR_CANCELLED;
    struct replica *r = client_choose(c, o->avoid);
    if (!r) {
        *ret_wait = !c->connected_once && clock_mono_ms() < o->connect_until_ms;
        if (!c->connected_once && !*ret_wait) o->attempts = RPC_RETRIES_MAX; /* has waited */
        return ERR_UNAVAILABLE;
    }
    enum err e = replica_take_lane(r, o, ret);
    if (!e && r->open) r->probing = true;
    return e;
}

static void attempt(struct outgoing *o)
{
    struct rpc_client *c = o->client;
    struct lane *lane = NULL;
    bool wait;
    pthread_mutex_lock(&c->lock);
    enum err e = choose_lane(o, &lane, &wait);
    pthread_mutex_unlock(&c->lock);
    if (!e) {
        send_on(lane, o);
    } else if (wait) {
        wait_until(o, WAKE_CONNECT, o->connect_until_ms);
    } else if (e == ERR_UNAVAILABLE) {
        attempt_failed(o, &(struct outcome){.err = e,
                                            .message = "no replica is connected",
                                            .not_sent = true,
                                            .not_executed = true});
    } else {
        fail_later(o, e, e == ERR_CANCELLED ? "the client is closed" : err_text(e));
    }
}

/* ---- what came of it ---- */

static bool may_retry(const struct outgoing *o, const struct outcome *outcome)
{
    if (o->internal || o->attempts >= RPC_RETRIES_MAX) return false;
    if (outcome->err == ERR_EXHAUSTED) return outcome->not_executed;
    if (outcome->err != ERR_UNAVAILABLE) return false;
    return outcome->not_executed || o->method->idempotent || o->idempotency_key[0];
}

/* When to try again; -1: not at all. What never left is not counted against the budget. */
static int64_t retry_at_ms(struct outgoing *o, const struct outcome *outcome)
{
    struct rpc_client *c = o->client;
    if (!may_retry(o, outcome)) return -1;
    int64_t delay_ms = BACKOFF_START_MS << o->attempts;
    if (delay_ms > BACKOFF_MAX_MS) delay_ms = BACKOFF_MAX_MS;
    pthread_mutex_lock(&c->lock);
    delay_ms = delay_ms * (int64_t)(800 + client_random(c) % 401) / 1000;
    if (outcome->pushback_ms > delay_ms) delay_ms = outcome->pushback_ms;
    int64_t at_ms = clock_mono_ms() + delay_ms;
    bool allowed =
        !c->closing && at_ms < o->deadline_ms && (outcome->not_sent || c->budget >= BUDGET_RETRY);
    if (allowed && !outcome->not_sent) c->budget -= BUDGET_RETRY;
    pthread_mutex_unlock(&c->lock);
    return allowed ? at_ms : -1;
}

static void attempt_failed(struct outgoing *o, const struct outcome *outcome)
{
    int64_t at_ms = retry_at_ms(o, outcome);
    if (at_ms >= 0) {
        o->attempts++;
        counter_add(o->client->retries, 1);
        wait_until(o, WAKE_RETRY, at_ms);
        return;
    }
    struct rpc_status status;
    init_status(&status, outcome->err, outcome->message ? outcome->message : "");
    if (outcome->own_message)
        envelope_response_status(nng_msg_body(outcome->own_message),
                                 nng_msg_len(outcome->own_message), &status);
    end_call(o, NULL, &status);
}

static void attempt_succeeded(struct outgoing *o, const struct outcome *outcome)
{
    struct slice payload = outcome->response.payload;
    ProtobufCMessage *reply =
        protobuf_c_message_unpack(o->method->output, NULL, payload.size, payload.data);
    if (!reply) {
        fail_call(o, ERR_INTERNAL, "the reply cannot be decoded");
        return;
    }
    struct rpc_status status;
    init_status(&status, OK, "");
    end_call(o, reply, &status);
}

static bool has_note(nng_msg *message, const char *key, struct slice *ret)
{
    return envelope_response_metadata(nng_msg_body(message), nng_msg_len(message), key, ret);
}

static int64_t parse_pushback(struct slice text)
{
    int64_t value = 0;
    for (size_t i = 0; i < text.size && i < 6; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return 0;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static void read_response(nng_msg *own_message, struct outcome *ret)
{
    ret->own_message = own_message;
    if (envelope_response_decode(nng_msg_body(own_message), nng_msg_len(own_message),
                                 &ret->response)) {
        nng_msg_free(own_message);
        *ret = (struct outcome){.err = ERR_INTERNAL, .message = "the reply is not an envelope"};
        return;
    }
    ret->err = err_from_grpc(ret->response.code);
    if (!ret->response.metadata_count) return;
    struct slice value;
    ret->not_executed = has_note(own_message, ENVELOPE_REFUSED, &value);
    ret->drain = has_note(own_message, ENVELOPE_DRAIN, &value);
    if (has_note(own_message, ENVELOPE_PUSHBACK, &value)) ret->pushback_ms = parse_pushback(value);
}

static enum replica_result judge(const struct outcome *outcome)
{
    if (outcome->drain) return REPLICA_DRAINS;
    if (outcome->err == ERR_UNAVAILABLE || outcome->err == ERR_TIMEOUT) return REPLICA_FAILED;
    if (outcome->err == ERR_CANCELLED && !outcome->own_message) return REPLICA_NOTHING;
    return REPLICA_OK;
}

static void lane_done(struct lane *lane, const struct outcome *outcome)
{
    struct outgoing *o = lane->call;
    struct replica *r = lane->replica;
    struct rpc_client *c = r->client;
    bool cancel =
        outcome->err == ERR_TIMEOUT && !outcome->own_message && !outcome->not_sent && !o->internal;
    pthread_mutex_lock(&c->lock);
    if (!o->internal) replica_report(r, judge(outcome), lane->sent_us, client_may_eject(c));
    if (outcome->err == OK && c->budget < BUDGET_MAX) c->budget += BUDGET_SUCCESS;
    o->avoid = outcome->err ? r : NULL;
    replica_give_lane(lane);
    pthread_mutex_unlock(&c->lock);
    if (cancel) send_cancel(r, o->id_lo);
    if (outcome->err)
        attempt_failed(o, outcome);
    else
        attempt_succeeded(o, outcome);
    if (outcome->own_message) nng_msg_free(outcome->own_message);
}

/* In words that stay. nng's own timeouts can come early (it mixes up an aio's old and new one). */
static struct outcome failed_outcome(const struct lane *lane, int result, bool sent_before)
{
    struct outcome outcome = {.not_sent = !sent_before, .not_executed = !sent_before};
    switch (result) {
    case NNG_ETIMEDOUT:
        outcome.err =
            clock_mono_ms() + 1 >= lane->call->deadline_ms ? ERR_TIMEOUT : ERR_UNAVAILABLE;
        outcome.message = "no reply before the deadline";
        break;
    case NNG_ECANCELED:
    case NNG_ECLOSED:
        outcome.err = ERR_CANCELLED;
        outcome.message = "the client is closed";
        break;
    case NNG_ENOMEM:
        outcome.err = ERR_NO_MEMORY;
        outcome.message = err_text(ERR_NO_MEMORY);
        break;
    default:
        outcome.err = ERR_UNAVAILABLE;
        outcome.message = sent_before ? "the connection was lost; the outcome is unknown"
                                      : "the connection was lost";
    }
    return outcome;
}

void client_lane_event(void *arg)
{
    struct lane *lane = arg;
    bool sent_before = atomic_load(&lane->receiving);
    int result = nng_aio_result(lane->aio);
    nng_msg *message = nng_aio_get_msg(lane->aio);
    nng_aio_set_msg(lane->aio, NULL);
    if (!result && !sent_before) {
        /* Only now: nng 1.5 frees the request when a receive is cancelled before its send is over.
         */
        int64_t left_ms = lane->call->deadline_ms - clock_mono_ms();
        atomic_store(&lane->receiving, true);
        nng_aio_set_timeout(lane->aio, (nng_duration)(left_ms > 0 ? left_ms : 1));
        nng_ctx_recv(lane->context, lane->aio);
        return;
    }
    struct outcome outcome = {0};
    if (!result) {
        read_response(message, &outcome);
    } else {
        if (message) nng_msg_free(message);
        outcome = failed_outcome(lane, result, sent_before);
    }
    lane_done(lane, &outcome);
}

void client_abandon(struct outgoing *o)
{
    fail_call(o, ERR_CANCELLED, "the client is closed");
}

/* ---- starting ---- */

static void start_outgoing(struct outgoing *o, const struct rpc_options *options, int64_t now_ms)
{
    struct rpc_client *c = o->client;
    o->id_lo = atomic_fetch_add_explicit(&c->next_id_lo, 1, memory_order_relaxed);
    o->deadline_ms = options->deadline_ms ? options->deadline_ms : now_ms + RPC_TIMEOUT_DEFAULT_MS;
    if (o->deadline_ms > now_ms + RPC_TIMEOUT_MAX_MS) o->deadline_ms = now_ms + RPC_TIMEOUT_MAX_MS;
    o->connect_until_ms = now_ms + FIRST_CONNECTION_MS;
    if (o->connect_until_ms > o->deadline_ms) o->connect_until_ms = o->deadline_ms;
    if (options->idempotency_key)
        (void)snprintf(o->idempotency_key, sizeof o->idempotency_key, "%s",
                       options->idempotency_key);
    if (options->principal && c->has_key)
        principal_sign(options->principal, &c->key, clock_wall_ms(), o->principal);
    struct trace trace;
    if (options->traceparent && trace_parse(options->traceparent, &trace))
        (void)snprintf(o->traceparent, sizeof o->traceparent, "%s", options->traceparent);
    else
        trace_format(trace_new(), o->traceparent);
}

/* A call with its request packed; NULL: no memory. */
static struct outgoing *new_outgoing(struct rpc_client *c, const struct contract_method *method,
                                     const ProtobufCMessage *request, size_t payload_size,
                                     size_t metadata_size)
{
    struct outgoing *o = malloc(sizeof *o + payload_size + metadata_size);
    if (!o) return NULL;
    memset(o, 0, sizeof *o);
    o->client = c;
    o->method = method;
    o->payload_size = payload_size;
    o->metadata_size = metadata_size;
    if (payload_size) (void)protobuf_c_message_pack(request, o->payload);
    return o;
}

static void call_method(struct rpc_client *c, const struct contract_method *method,
                        const ProtobufCMessage *request, const struct rpc_options *options,
                        rpc_done *done, void *arg)
{
    static const struct rpc_options none;
    static const struct rpc_status no_memory = {.err = ERR_NO_MEMORY};
    if (!options) options = &none;
    CHECK(method && request->descriptor == method->input);
    bool metadata_good = envelope_metadata_good(options->metadata, options->metadata_count);
    size_t metadata_count = metadata_good ? options->metadata_count : 0;
    size_t metadata_size = envelope_metadata(options->metadata, metadata_count, NULL);
    size_t size = protobuf_c_message_get_packed_size(request);
    bool fits = size <= RPC_MESSAGE_SIZE_MAX - ENVELOPE_REQUEST_HEAD_MAX - metadata_size;
    struct outgoing *o = new_outgoing(c, method, request, fits ? size : 0, metadata_size);
    if (!o) {
        done(arg, NULL, &no_memory);
        return;
    }
    o->done = done;
    o->arg = arg;
    (void)envelope_metadata(options->metadata, metadata_count, o->payload + o->payload_size);
    int64_t now_ms = clock_mono_ms();
    start_outgoing(o, options, now_ms);
    if (!metadata_good)
        fail_later(o, ERR_INVALID, "the metadata has a bad key, or is too much");
    else if (!fits)
        fail_later(o, ERR_INVALID, "the request is too large");
    else if (options->idempotency_key && strlen(options->idempotency_key) > ENVELOPE_KEY_MAX)
        fail_later(o, ERR_INVALID, "the idempotency key is too long");
    else if (o->deadline_ms <= now_ms)
        fail_later(o, ERR_TIMEOUT, "the deadline had passed before the call");
    else
        attempt(o);
}

void rpc_call_async(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                    const struct rpc_options *options, rpc_done *done, void *arg)
{
    call_method(c, contract_method(method), request, options, done, arg);
}

/* Tells the replica that nobody waits for this call any more; nobody waits for its answer either.
 */
static void send_cancel(struct replica *r, uint64_t id_lo)
{
    struct rpc_client *c = r->client;
    Rpc__CancelRequest request = RPC__CANCEL_REQUEST__INIT;
    request.call_id_hi = c->id_hi;
    request.call_id_lo = id_lo;
    struct outgoing *o = new_outgoing(c, contract_method(CANCEL_METHOD), &request.base,
                                      rpc__cancel_request__get_packed_size(&request), 0);
    if (!o) return;
    int64_t now_ms = clock_mono_ms();
    struct rpc_options options = {.deadline_ms = now_ms + CANCEL_TIMEOUT_MS};
    struct lane *lane = NULL;
    start_outgoing(o, &options, now_ms);
    o->internal = true;
    pthread_mutex_lock(&c->lock);
    enum err e = c->closing || !replica_connected(r) ? ERR_UNAVAILABLE : OK;
    if (!e) e = replica_take_lane(r, o, &lane);
    pthread_mutex_unlock(&c->lock);
    if (e)
        free(o);
    else
        send_on(lane, o);
}

struct rpc_options rpc_options_from(const struct rpc_call *call)
{
    return (struct rpc_options){
        .deadline_ms = rpc_call_deadline_ms(call),
        .principal = rpc_call_principal(call),
        .traceparent = rpc_call_traceparent(call),
    };
}

/* ---- and waiting ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done_changed;
    bool done;
    ProtobufCMessage *reply;
    struct rpc_status *status; /* may be NULL */
    enum err err;
};

static void wake_waiter(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    struct waiter *w = arg;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    w->reply = own_reply;
    w->err = status->err;
    if (w->status) *w->status = *status;
    pthread_cond_signal(&w->done_changed);
    pthread_mutex_unlock(&w->lock);
}

enum err rpc_call(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                  const struct rpc_options *options, ProtobufCMessage **ret,
                  struct rpc_status *status)
{
    return rpc_call_method(c, contract_method(method), request, options, ret, status);
}

enum err rpc_call_method(struct rpc_client *c, const struct contract_method *method,
                         const ProtobufCMessage *request, const struct rpc_options *options,
                         ProtobufCMessage **ret, struct rpc_status *status)
{
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER,
                       .done_changed = PTHREAD_COND_INITIALIZER,
                       .status = status};
    call_method(c, method, request, options, wake_waiter, &w);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.done_changed, &w.lock);
    pthread_mutex_unlock(&w.lock);
    (void)pthread_cond_destroy(&w.done_changed);
    (void)pthread_mutex_destroy(&w.lock);
    if (!w.err) *ret = w.reply;
    return w.err;
}
