/* A replica's socket, lanes, average and breaker. Which replica gets a call: client.c. */
#include "base/rpc/replica.h"

#include "base/clock.h"

#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECONNECT_MIN_MS  20
#define RECONNECT_MAX_MS  1000
#define LATENCY_START_US  1000
#define LATENCY_FAILED_US 100000 /* what a failure counts as, at least */

static void set_options(nng_socket socket)
{
    /* Before any context is opened: by default a request is sent again after 60 s or a disconnect.
     */
    CHECK(nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE) == 0);
    CHECK(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, RPC_MESSAGE_SIZE_MAX) == 0);
    CHECK(nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS) == 0);
    CHECK(nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS) == 0);
}

static enum err dial(struct replica *r, nng_tls_config *tls)
{
    nng_dialer dialer;
    set_options(r->socket);
    CHECK(nng_pipe_notify(r->socket, NNG_PIPE_EV_ADD_POST, client_pipe_event, r) == 0);
    CHECK(nng_pipe_notify(r->socket, NNG_PIPE_EV_REM_POST, client_pipe_event, r) == 0);
    int result = nng_dialer_create(&dialer, r->socket, r->url);
    if (!result && tls) result = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls);
    if (result) return socket_err(result);
    (void)nng_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true); /* inproc has none */
    return socket_err(nng_dialer_start(dialer, NNG_FLAG_NONBLOCK));
}

enum err replica_new(struct rpc_client *client, size_t target, const char *url, nng_tls_config *tls,
                     struct replica **ret)
{
    struct replica *r = calloc(1, sizeof *r);
    if (!r) return ERR_NO_MEMORY;
    r->client = client;
    r->target = target;
    r->latency_us = LATENCY_START_US;
    (void)snprintf(r->url, sizeof r->url, "%s", url);
    char labels[SOCKET_URL_MAX + 32];
    (void)snprintf(labels, sizeof labels, "replica=\"%s\"", r->url);
    r->breaker_gauge = metrics_gauge("tradepost_rpc_client_breaker_open",
                                     "1 while a replica is left alone because it fails.", labels);
    if (nng_req0_open(&r->socket)) {
        free(r);
        return ERR_NO_MEMORY;
    }
    enum err e = dial(r, tls);
    if (e) {
        (void)nng_close(r->socket);
        free(r);
        return e;
    }
    *ret = r;
    return OK;
}

/* All aios first (nng issue 1543); then no callback runs any more. */
static void close_socket(void *arg)
{
    struct replica *r = arg;
    for (size_t i = 0; i < r->lane_count; i++)
        nng_aio_stop(r->lanes[i]->aio);
    for (size_t i = 0; i < r->lane_count; i++) {
        struct lane *lane = r->lanes[i];
        nng_msg *left = nng_aio_get_msg(lane->aio);
        if (left) nng_msg_free(left); /* an operation began after its aio was stopped */
        if (lane->call) r->abandon(lane->call);
        nng_aio_free(lane->aio);
        (void)nng_ctx_close(lane->context);
    }
    (void)nng_close(r->socket);
    for (size_t i = 0; i < r->lane_count; i++)
        free(r->lanes[i]);
    free(r);
}

bool replica_free(struct replica *r, void (*abandon)(struct outgoing *call))
{
    r->abandon = abandon;
    return socket_run_bounded(close_socket, r, SOCKET_CLOSE_MAX_MS);
}

/* ---- lanes ---- */

static enum err new_lane(struct replica *r, struct lane **ret)
{
    if (r->lane_count == RPC_CLIENT_INFLIGHT_MAX) return ERR_EXHAUSTED;
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane) return ERR_NO_MEMORY;
    lane->replica = r;
    if (nng_aio_alloc(&lane->aio, client_lane_event, lane)) {
        free(lane);
        return ERR_NO_MEMORY;
    }
    if (nng_ctx_open(&lane->context, r->socket)) {
        nng_aio_free(lane->aio);
        free(lane);
        return ERR_NO_MEMORY;
    }
    r->lanes[r->lane_count++] = lane;
    *ret = lane;
    return OK;
}

enum err replica_take_lane(struct replica *r, struct outgoing *call, struct lane **ret)
{
    struct lane *lane = r->free_lanes;
    enum err e = OK;
    if (lane)
        r->free_lanes = lane->next;
    else
        e = new_lane(r, &lane);
    if (e) return e;
    lane->call = call;
    atomic_store(&lane->receiving, false);
    r->inflight++;
    *ret = lane;
    return OK;
}

void replica_give_lane(struct lane *lane)
{
    struct replica *r = lane->replica;
    lane->call = NULL;
    lane->next = r->free_lanes;
    r->free_lanes = lane;
    r->inflight--;
}

void replica_abort_unsent(struct replica *r)
{
    for (size_t i = 0; i < r->lane_count; i++) {
        struct lane *lane = r->lanes[i];
        if (lane->call && !atomic_load(&lane->receiving))
            nng_aio_abort(lane->aio, NNG_ECONNREFUSED);
    }
}

/* ---- how well it does ---- */

static void eject(struct replica *r, int64_t now_ms, int64_t for_ms)
{
    r->open = true;
    r->probing = false;
    r->ejected_until_ms = now_ms + for_ms;
    gauge_set(r->breaker_gauge, 1);
}

static void report_failure(struct replica *r, int64_t now_ms, bool may_eject)
{
    r->failures++;
    bool again = r->open && r->probing;
    if (!again && (r->open || r->failures < BREAKER_FAILURES || !may_eject)) return;
    r->isolation_ms = r->isolation_ms ? r->isolation_ms * 2 : BREAKER_ISOLATION_MIN_MS;
    if (r->isolation_ms > BREAKER_ISOLATION_MAX_MS) r->isolation_ms = BREAKER_ISOLATION_MAX_MS;
    eject(r, now_ms, r->isolation_ms);
}

static void report_success(struct replica *r)
{
    r->failures = 0;
    if (!r->open) return;
    r->open = r->probing = false;
    r->isolation_ms = 0;
    r->latency_us = LATENCY_START_US;
    gauge_set(r->breaker_gauge, 0);
}

void replica_report(struct replica *r, enum replica_result result, int64_t sent_us, bool may_eject)
{
    int64_t now_us = clock_mono_us(), now_ms = now_us / 1000, latency_us = now_us - sent_us;
    if (result == REPLICA_NOTHING) {
        r->probing = false;
        return;
    }
    if (result != REPLICA_OK && latency_us < LATENCY_FAILED_US) latency_us = LATENCY_FAILED_US;
    r->latency_us += (latency_us - r->latency_us) / 8;
    r->latency_at_ms = now_ms;
    if (result == REPLICA_OK) report_success(r);
    if (result == REPLICA_FAILED) report_failure(r, now_ms, may_eject);
    if (result == REPLICA_DRAINS) eject(r, now_ms, BREAKER_DRAIN_MS);
}

bool replica_connected(const struct replica *r)
{
    return r->pipe != 0 && !r->gone;
}

bool replica_usable(const struct replica *r, int64_t now_ms)
{
    if (!replica_connected(r)) return false;
    return !r->open || (now_ms >= r->ejected_until_ms && !r->probing);
}

/* The average is halved for each second without news, so that a slow moment is not held for ever.
 */
int64_t replica_cost(const struct replica *r, int64_t now_ms)
{
    int64_t seconds = (now_ms - r->latency_at_ms) / 1000;
    int64_t latency_us = r->latency_us >> (seconds < 10 ? seconds : 10);
    return (latency_us + 1) * (r->inflight + 1);
}
