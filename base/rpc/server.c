/* Sockets, contexts, admission and the life of a server. Handlers and replies: call.c. */
#include "base/rpc/call.h"

#include "base/clock.h"
#include "base/rpc/socket.h"
#include "base/thread.h"

#include <nng/protocol/reqrep0/rep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_DEFAULT   4
#define WORKERS_MAX       256
#define WORKER_STACK_SIZE (1024 * 1024)
#define INFLIGHT_DEFAULT  512
#define CONTEXTS_AT_START 32
#define SWEEP_AFTER_MS    500 /* how long a peer may hold many contexts by not reading */
#define SWEEP_SHARE       8   /* "many": one of so many parts of them all */

/* ---- receiving: on nng's threads, never blocks ---- */

/* As strcmp, for a name that comes from the wire. */
static int compare_name(struct slice name, const char *candidate)
{
    size_t size = strlen(candidate);
    int order = memcmp(name.data, candidate, name.size < size ? name.size : size);
    return order ? order : (name.size > size) - (name.size < size);
}

static struct method *find_method(struct rpc_server *s, struct slice name)
{
    size_t low = 0, high = s->method_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_name(name, s->methods[middle].contract->name);
        if (order == 0) return &s->methods[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

void call_receive(struct rpc_call *call)
{
    call->state = CALL_RECEIVING;
    atomic_fetch_add(&call->server->armed, 1);
    nng_aio_set_timeout(call->aio, NNG_DURATION_INFINITE);
    nng_ctx_recv(call->context, call->aio);
}

static void call_event(void *arg);

/* One context more, if there may be one. */
static enum err add_context(struct rpc_server *s)
{
    struct rpc_call *call = calloc(1, sizeof *call);
    if (!call) return ERR_NO_MEMORY;
    call->server = s;
    arena_init(&call->arena);
    if (nng_aio_alloc(&call->aio, call_event, call)) {
        free(call);
        return ERR_NO_MEMORY;
    }
    if (nng_ctx_open(&call->context, s->socket)) {
        nng_aio_free(call->aio);
        free(call);
        return ERR_NO_MEMORY;
    }
    size_t count = atomic_load(&s->call_count);
    s->calls[count] = call;
    atomic_store(&s->call_count, count + 1);
    call_receive(call);
    return OK;
}

/* So few contexts wait for requests that the next burst would have to wait for one. */
static void open_more(struct rpc_server *s)
{
    if (pthread_mutex_trylock(&s->open_lock)) return; /* somebody is at it */
    if (atomic_load(&s->call_count) < s->calls_max) (void)add_context(s);
    pthread_mutex_unlock(&s->open_lock);
}

/* Takes the request out of the aio; false: it is nothing to serve, and has been answered. */
static bool take_request(struct rpc_call *call)
{
    struct err_detail detail;
    call->message = nng_aio_get_msg(call->aio);
    nng_aio_set_msg(call->aio, NULL);
    call->state = CALL_RUNNING;
    call->received_us = call->started_us = clock_mono_us();
    call->method = &call->server->unknown;
    call->principal = principal_guest();
    call->envelope = (struct envelope_request){0};
    if (envelope_request_decode(nng_msg_body(call->message), nng_msg_len(call->message),
                                &call->envelope, &detail)) {
        call_refuse(call, ERR_INVALID, detail.text);
        return false;
    }
    const struct envelope_request *e = &call->envelope;
    uint32_t timeout_ms = e->timeout_ms < RPC_TIMEOUT_MAX_MS ? e->timeout_ms : RPC_TIMEOUT_MAX_MS;
    call->deadline_ms = call->received_us / 1000 + timeout_ms;
    atomic_store_explicit(&call->pipe, nng_pipe_id(nng_msg_get_pipe(call->message)),
                          memory_order_relaxed);
    atomic_store_explicit(&call->id_hi, e->call_id_hi, memory_order_relaxed);
    atomic_store_explicit(&call->id_lo, e->call_id_lo, memory_order_relaxed);
    return true;
}

static void refuse_full(struct rpc_call *call)
{
    server_sweep(call->server);
    call_refuse(call, ERR_EXHAUSTED, "too many calls are in flight");
}

static void admit(struct rpc_call *call)
{
    struct rpc_server *s = call->server;
    struct method *m = find_method(s, call->envelope.method);
    if (!m) {
        call_refuse(call, ERR_UNIMPLEMENTED, "there is no such method here");
        return;
    }
    call->method = m;
    if (m->quick) {
        call_run(call);
        return;
    }
    /* Counted first, then asked: drain sets draining first, then waits for the count. */
    unsigned inflight = atomic_fetch_add(&s->inflight, 1) + 1;
    call->counted = true;
    gauge_add(s->inflight_gauge, 1);
    bool draining = atomic_load(&s->draining);
    if (!draining && inflight > s->inflight_max)
        refuse_full(call);
    else if (draining || queue_put(s->queue, call))
        call_refuse(call, ERR_UNAVAILABLE, "this server is shutting down");
}

static void received(struct rpc_call *call, int result)
{
    struct rpc_server *s = call->server;
    int armed = atomic_fetch_sub(&s->armed, 1) - 1;
    if (result == NNG_ECLOSED || result == NNG_ECANCELED) return;
    if (result) {
        call_receive(call);
        return;
    }
    if (armed < RPC_ARMED_MIN) open_more(s);
    if (armed == 0) server_sweep(s);
    if (take_request(call)) admit(call);
}

void call_uncount(struct rpc_call *call)
{
    struct rpc_server *s = call->server;
    if (!call->counted) return;
    call->counted = false;
    unsigned left = atomic_fetch_sub(&s->inflight, 1) - 1;
    gauge_add(s->inflight_gauge, -1);
    if (left || !atomic_load(&s->draining)) return;
    pthread_mutex_lock(&s->idle_lock);
    pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->idle_lock);
}

static void sent(struct rpc_call *call, int result)
{
    nng_msg *unsent = result ? nng_aio_get_msg(call->aio) : NULL;
    nng_aio_set_msg(call->aio, NULL);
    atomic_store_explicit(&call->sending_since_ms, 0, memory_order_relaxed);
    if (unsent) nng_msg_free(unsent);
    if (result == NNG_ETIMEDOUT) { /* it does not read its replies */
        nng_pipe peer = {.id = (uint32_t)atomic_load_explicit(&call->pipe, memory_order_relaxed)};
        (void)nng_pipe_close(peer);
    }
    call_uncount(call);
    if (result != NNG_ECLOSED && result != NNG_ECANCELED) call_receive(call);
}

static void call_event(void *arg)
{
    struct rpc_call *call = arg;
    int result = nng_aio_result(call->aio);
    if (call->state == CALL_RECEIVING)
        received(call, result);
    else
        sent(call, result);
}

static void pipe_event(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct rpc_server *s = arg;
    if (event == NNG_PIPE_EV_ADD_PRE) {
        if (atomic_fetch_add(&s->pipes, 1) >= RPC_PIPES_MAX) (void)nng_pipe_close(pipe);
        return;
    }
    atomic_fetch_sub(&s->pipes, 1);
    /* Who asked is gone: nobody waits for these replies. */
    int id = nng_pipe_id(pipe);
    size_t count = atomic_load(&s->call_count);
    for (size_t i = 0; i < count; i++)
        if (atomic_load_explicit(&s->calls[i]->pipe, memory_order_relaxed) == id)
            atomic_store_explicit(&s->calls[i]->gone_pipe, id, memory_order_relaxed);
}

/* ---- peers that ask and do not read ---- */

/* How many replies have waited for this connection since before since_ms. */
static size_t count_stuck(struct rpc_server *s, int pipe, int64_t since_ms)
{
    size_t stuck = 0, count = atomic_load(&s->call_count);
    for (size_t i = 0; i < count; i++) {
        struct rpc_call *call = s->calls[i];
        int64_t sending = atomic_load_explicit(&call->sending_since_ms, memory_order_relaxed);
        stuck += sending && sending < since_ms &&
                 atomic_load_explicit(&call->pipe, memory_order_relaxed) == pipe;
    }
    return stuck;
}

static void sweep_event(void *arg)
{
    struct rpc_server *s = arg;
    int64_t since_ms = clock_mono_ms() - SWEEP_AFTER_MS;
    size_t count = atomic_load(&s->call_count);
    atomic_store(&s->sweeping, false);
    if (nng_aio_result(s->sweep_aio)) return; /* the server stops */
    for (size_t i = 0; i < count; i++) {
        int pipe = atomic_load_explicit(&s->calls[i]->pipe, memory_order_relaxed);
        if (!atomic_load_explicit(&s->calls[i]->sending_since_ms, memory_order_relaxed)) continue;
        if (count_stuck(s, pipe, since_ms) * SWEEP_SHARE < count) continue;
        (void)nng_pipe_close((nng_pipe){.id = (uint32_t)pipe}); /* its replies are let go */
        break;
    }
    if (atomic_load(&s->armed) <= 0) server_sweep(s);
}

void server_sweep(struct rpc_server *s)
{
    if (!atomic_exchange(&s->sweeping, true)) nng_sleep_aio(SWEEP_AFTER_MS, s->sweep_aio);
}

static void *work(void *arg)
{
    struct rpc_server *s = arg;
    struct rpc_call *call;
    char name[RPC_NAME_MAX + 8];
    (void)snprintf(name, sizeof name, "%s-rpc", s->name);
    thread_name(name);
    while ((call = queue_take(s->queue, -1)))
        call_run(call);
    return NULL;
}

/* ---- life ---- */

static enum err check_options(const struct rpc_server_options *o, struct err_detail *detail)
{
    if (!o->name || !o->name[0] || strlen(o->name) >= RPC_NAME_MAX)
        return err_set(detail, ERR_INVALID, "a server's name has 1 to %d bytes", RPC_NAME_MAX - 1);
    if (o->listen_count == 0 || o->listen_count > RPC_LISTEN_MAX)
        return err_set(detail, ERR_INVALID, "%s: 1 to %d addresses to listen on, not %zu", o->name,
                       RPC_LISTEN_MAX, o->listen_count);
    if (o->inflight_max > RPC_INFLIGHT_MAX)
        return err_set(detail, ERR_INVALID, "%s: inflight_max is at most %d", o->name,
                       RPC_INFLIGHT_MAX);
    if (o->workers > WORKERS_MAX)
        return err_set(detail, ERR_INVALID, "%s: at most %d workers", o->name, WORKERS_MAX);
    for (size_t i = 0; i < o->listen_count; i++) {
        if (!socket_url_is_known(o->listen[i]))
            return err_set(detail, ERR_INVALID,
                           "%s: %.100s: an address is inproc://, tcp:// or tls+tcp://", o->name,
                           o->listen[i]);
        if (socket_url_is_tls(o->listen[i]) && !o->tls)
            return err_set(detail, ERR_INVALID, "%s: %.100s needs certificates", o->name,
                           o->listen[i]);
    }
    return OK;
}

static void init_locks(struct rpc_server *s)
{
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&s->idle, &attributes) == 0);
    CHECK(pthread_mutex_init(&s->idle_lock, NULL) == 0);
    CHECK(pthread_mutex_init(&s->open_lock, NULL) == 0);
    (void)pthread_condattr_destroy(&attributes);
    health_init(s);
}

static enum err copy_options(struct rpc_server *s, const struct rpc_server_options *o)
{
    (void)snprintf(s->name, sizeof s->name, "%s", o->name);
    s->tls = o->tls;
    s->has_key = o->principal_key != NULL;
    if (s->has_key) s->key = *o->principal_key;
    s->inflight_max = o->inflight_max ? o->inflight_max : INFLIGHT_DEFAULT;
    s->workers_wanted = o->workers ? o->workers : WORKERS_DEFAULT;
    s->calls_max = s->inflight_max + RPC_WATCHES_MAX + RPC_SPARE_CONTEXTS;
    for (; s->listen_count < o->listen_count; s->listen_count++) {
        s->listen[s->listen_count] = strdup(o->listen[s->listen_count]);
        if (!s->listen[s->listen_count]) return ERR_NO_MEMORY;
    }
    s->calls = calloc(s->calls_max, sizeof s->calls[0]);
    s->workers = calloc(s->workers_wanted, sizeof s->workers[0]);
    if (!s->calls || !s->workers) return ERR_NO_MEMORY;
    return queue_new(s->inflight_max, &s->queue);
}

enum err rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret,
                        struct err_detail *detail)
{
    enum err e = check_options(options, detail);
    if (e) return e;
    struct rpc_server *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    init_locks(s);
    e = copy_options(s, options);
    char labels[RPC_NAME_MAX + 16];
    (void)snprintf(labels, sizeof labels, "server=\"%s\"", s->name);
    s->inflight_gauge =
        metrics_gauge("tradepost_rpc_server_inflight", "Calls accepted and not answered.", labels);
    method_init(&s->unknown);
    for (size_t i = 0; !e && i < RPC_BUILTINS; i++)
        e = rpc_server_add(s, builtin_service(i), s);
    if (e) {
        rpc_server_free(s);
        return e;
    }
    *ret = s;
    return OK;
}

enum err rpc_server_add(struct rpc_server *s, ProtobufCService *service, void *context)
{
    const ProtobufCServiceDescriptor *d = service->descriptor;
    CHECK(!s->started);
    for (size_t i = 0; i < s->service_count; i++)
        if (strcmp(s->services[i]->descriptor->name, d->name) == 0) return ERR_EXISTS;
    CHECK(s->service_count < RPC_SERVICES_MAX + RPC_BUILTINS);
    CHECK(s->method_count + d->n_methods <= RPC_METHODS_MAX);
    s->services[s->service_count++] = service;
    for (unsigned i = 0; i < d->n_methods; i++) {
        char name[RPC_METHOD_MAX + 1];
        struct method *m = &s->methods[s->method_count++];
        (void)snprintf(name, sizeof name, "%s/%s", d->name, d->methods[i].name);
        *m = (struct method){.contract = contract_method(name),
                             .service = service,
                             .context = context,
                             .quick = builtin_is_quick(service)};
        CHECK(m->contract && m->contract->index == i); /* every method is in the contract */
        method_init(m);
    }
    s->health.services[s->health.service_count++].service = d->name;
    return OK;
}

static int compare_methods(const void *a, const void *b)
{
    return strcmp(((const struct method *)a)->contract->name,
                  ((const struct method *)b)->contract->name);
}

static enum err open_socket(struct rpc_server *s)
{
    if (nng_aio_alloc(&s->sweep_aio, sweep_event, s)) return ERR_NO_MEMORY;
    if (nng_rep0_open(&s->socket)) {
        nng_aio_free(s->sweep_aio);
        return ERR_NO_MEMORY;
    }
    s->started = true;
    CHECK(nng_socket_set_size(s->socket, NNG_OPT_RECVMAXSZ, RPC_MESSAGE_SIZE_MAX) == 0);
    CHECK(nng_pipe_notify(s->socket, NNG_PIPE_EV_ADD_PRE, pipe_event, s) == 0);
    CHECK(nng_pipe_notify(s->socket, NNG_PIPE_EV_REM_POST, pipe_event, s) == 0);
    enum err e = OK;
    for (size_t i = 0; !e && i < CONTEXTS_AT_START && i < s->calls_max; i++)
        e = add_context(s);
    return e;
}

static enum err listen_on(struct rpc_server *s, size_t i, struct err_detail *detail)
{
    const char *url = s->listen[i];
    nng_listener *listener = &s->listeners[i];
    int result = nng_listener_create(listener, s->socket, url);
    if (!result && socket_url_is_tls(url)) {
        nng_tls_config *config;
        enum err e = socket_tls(s->tls, NULL, &config, detail);
        if (e) return e;
        result = nng_listener_set_ptr(*listener, NNG_OPT_TLS_CONFIG, config);
        nng_tls_config_free(config);
    }
    if (!result) {
        (void)nng_listener_set_bool(*listener, NNG_OPT_TCP_KEEPALIVE, true); /* not for inproc */
        result = nng_listener_start(*listener, 0);
    }
    if (!result) return OK;
    enum err e = socket_err(result);
    return err_set(detail, e == ERR_NO_MEMORY ? e : ERR_UNAVAILABLE, "%s: cannot listen on %s: %s",
                   s->name, url, nng_strerror(result));
}

static enum err start_workers(struct rpc_server *s)
{
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, WORKER_STACK_SIZE) == 0);
    enum err e = OK;
    while (!e && s->worker_count < s->workers_wanted) {
        if (pthread_create(&s->workers[s->worker_count], &attributes, work, s))
            e = ERR_NO_MEMORY;
        else
            s->worker_count++;
    }
    (void)pthread_attr_destroy(&attributes);
    return e;
}

enum err rpc_server_start(struct rpc_server *s, struct err_detail *detail)
{
    CHECK(!s->started);
    qsort(s->methods, s->method_count, sizeof s->methods[0], compare_methods);
    enum err e = start_workers(s);
    if (!e) e = health_start(s);
    if (!e) e = open_socket(s);
    if (e) return err_set(detail, e, "%s: %s", s->name, err_text(e));
    for (size_t i = 0; !e && i < s->listen_count; i++)
        e = listen_on(s, i, detail);
    if (!e) health_set_all(s, true);
    return e;
}

unsigned rpc_server_port(const struct rpc_server *s, size_t listener)
{
    int port = 0;
    if (listener >= s->listen_count || !s->started) return 0;
    if (nng_listener_get_int(s->listeners[listener], NNG_OPT_TCP_BOUND_PORT, &port)) return 0;
    return (unsigned)port;
}

/* Waits until no call is in flight. -1: for ever. */
static bool wait_until_idle(struct rpc_server *s, int64_t timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int result = 0;
    pthread_mutex_lock(&s->idle_lock);
    while (atomic_load(&s->inflight) && result == 0)
        result = timeout_ms < 0 ? pthread_cond_wait(&s->idle, &s->idle_lock)
                                : pthread_cond_timedwait(&s->idle, &s->idle_lock, &until);
    bool idle = atomic_load(&s->inflight) == 0;
    pthread_mutex_unlock(&s->idle_lock);
    return idle;
}

enum err rpc_server_drain(struct rpc_server *s, int64_t grace_ms)
{
    health_set_all(s, false);
    atomic_store(&s->draining, true);
    return wait_until_idle(s, grace_ms) ? OK : ERR_TIMEOUT;
}

/* nng's maintainer's order (issue 1543): all aios first, then contexts, then the socket. */
static void close_socket(void *arg)
{
    struct rpc_server *s = arg;
    pthread_mutex_lock(&s->open_lock);
    size_t count = s->calls_max = atomic_load(&s->call_count); /* no more of them */
    pthread_mutex_unlock(&s->open_lock);
    nng_aio_stop(s->sweep_aio);
    for (size_t i = 0; i < count; i++)
        nng_aio_stop(s->calls[i]->watch_aio);
    for (size_t i = 0; i < count; i++)
        nng_aio_stop(s->calls[i]->aio);
    for (size_t i = 0; i < count; i++) {
        struct rpc_call *call = s->calls[i];
        nng_msg *left = nng_aio_get_msg(call->aio);
        if (left) nng_msg_free(left); /* an operation began after its aio was stopped */
        nng_aio_free(call->watch_aio);
        nng_aio_free(call->aio);
        (void)nng_ctx_close(call->context);
    }
    nng_aio_free(s->sweep_aio);
    (void)nng_close(s->socket);
}

static void free_memory(struct rpc_server *s)
{
    size_t count = atomic_load(&s->call_count);
    for (size_t i = 0; i < count; i++)
        free(s->calls[i]);
    for (size_t i = 0; i < s->listen_count; i++)
        free(s->listen[i]);
    free(s->calls);
    free(s->workers);
    queue_free(s->queue);
    health_fini(s);
    (void)pthread_cond_destroy(&s->idle);
    (void)pthread_mutex_destroy(&s->idle_lock);
    (void)pthread_mutex_destroy(&s->open_lock);
    free(s);
}

void rpc_server_free(struct rpc_server *s)
{
    if (!s) return;
    (void)rpc_server_drain(s, 0);
    atomic_store(&s->stopping, true);
    (void)wait_until_idle(s, -1);
    if (s->queue) queue_close(s->queue);
    for (size_t i = 0; i < s->worker_count; i++)
        (void)pthread_join(s->workers[i], NULL);
    health_stop(s);
    if (s->started && !socket_run_bounded(close_socket, s, SOCKET_CLOSE_MAX_MS))
        return; /* nng hangs: what it may still touch is left to it */
    free_memory(s);
}
