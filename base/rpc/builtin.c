/* What every server answers besides its own services: rpc.Health, rpc.Reflection, rpc.Control. */
#include "base/rpc/call.h"

#include "base/clock.h"
#include "base/thread.h"

#include "google/protobuf/descriptor.pb-c.h"
#include "rpc.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define STATUS(name)        RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name
#define WATCH_MARGIN_MAX_MS 500 /* a Watch answers this much before its deadline at most */

typedef Rpc__HealthCheckResponse__ServingStatus serving_status;

/* ---- health ---- */

void health_init(struct rpc_server *s)
{
    CHECK(pthread_mutex_init(&s->health.lock, NULL) == 0);
    s->health.services[0].service = "";
    s->health.service_count = 1;
}

void health_fini(struct rpc_server *s)
{
    queue_free(s->health.checks);
    (void)pthread_mutex_destroy(&s->health.lock);
}

/* Its index; service_count if there is none. Services are fixed once the server has started. */
static size_t find_service(const struct health *h, const char *service)
{
    size_t i = 0;
    while (i < h->service_count && strcmp(h->services[i].service, service) != 0)
        i++;
    return i;
}

/* Holding the lock. */
static serving_status status_of(const struct health *h, size_t i)
{
    if (i == h->service_count) return STATUS(SERVICE_UNKNOWN);
    return h->services[i].serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

/* Holding the lock. Their sleeps end now: watch_event answers them. */
static void wake_watchers(struct health *h, size_t service)
{
    for (struct rpc_call *call = h->watchers; call; call = call->watch_next)
        if (call->watched == service) nng_aio_abort(call->watch_aio, NNG_ECANCELED);
}

void rpc_server_set_serving(struct rpc_server *s, const char *service, bool serving)
{
    struct health *h = &s->health;
    size_t i = find_service(h, service);
    CHECK(i < h->service_count);
    pthread_mutex_lock(&h->lock);
    if (h->services[i].serving != serving) {
        h->services[i].serving = serving;
        wake_watchers(h, i);
    }
    pthread_mutex_unlock(&h->lock);
}

void health_set_all(struct rpc_server *s, bool serving)
{
    for (size_t i = 0; i < s->health.service_count; i++)
        rpc_server_set_serving(s, s->health.services[i].service, serving);
}

void rpc_server_set_ready(struct rpc_server *s,
                          enum err (*ready)(void *arg, struct err_detail *detail), void *arg)
{
    CHECK(!s->started);
    s->health.ready = ready;
    s->health.ready_arg = arg;
}

static void end_with_status(struct rpc_call *call, serving_status status, const char *detail)
{
    Rpc__HealthCheckResponse response = RPC__HEALTH_CHECK_RESPONSE__INIT;
    response.status = status;
    response.detail = (char *)detail;
    call_end(call, NULL, NULL, &response.base);
}

/* Asks the part on behalf of all who wait: not on nng's threads, which must never block. */
static void *ask_part(void *arg)
{
    struct health *h = arg;
    void *calls[RPC_CHECKS_MAX];
    size_t count;
    thread_name("rpc-health");
    while ((count = queue_take_many(h->checks, calls, RPC_CHECKS_MAX, -1)) > 0) {
        struct err_detail detail = {""};
        bool ready = h->ready(h->ready_arg, &detail) == OK;
        for (size_t i = 0; i < count; i++)
            end_with_status(calls[i], ready ? STATUS(SERVING) : STATUS(NOT_SERVING),
                            ready ? "" : detail.text);
    }
    return NULL;
}

enum err health_start(struct rpc_server *s)
{
    struct health *h = &s->health;
    if (!h->ready) return OK;
    enum err e = queue_new(RPC_CHECKS_MAX, &h->checks);
    if (e) return e;
    h->asks = pthread_create(&h->asker, NULL, ask_part, h) == 0;
    return h->asks ? OK : ERR_NO_MEMORY;
}

void health_stop(struct rpc_server *s)
{
    if (!s->health.asks) return;
    queue_close(s->health.checks);
    (void)pthread_join(s->health.asker, NULL);
}

static void rpc_check(Rpc__Health_Service *self, const Rpc__HealthCheckRequest *request,
                      Rpc__HealthCheckResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)reply;
    struct rpc_call *call = closure_data;
    struct health *h = &call->server->health;
    size_t i = find_service(h, request->service);
    if (i == h->service_count) {
        rpc_fail(call, ERR_NOT_FOUND, "there is no such service here");
        return;
    }
    pthread_mutex_lock(&h->lock);
    serving_status status = status_of(h, i);
    pthread_mutex_unlock(&h->lock);
    bool whole = i == 0;
    enum err e =
        whole && h->asks && status == STATUS(SERVING) ? queue_put(h->checks, call) : ERR_CLOSED;
    if (e == ERR_EXHAUSTED)
        rpc_fail(call, e, "%d calls wait already for the part's answer", RPC_CHECKS_MAX);
    else if (e)
        end_with_status(call, status, "");
}

/* The sleep of a Watch is over: its time has come, or health has changed. */
static void watch_event(void *arg)
{
    struct rpc_call *call = arg;
    struct health *h = &call->server->health;
    pthread_mutex_lock(&h->lock);
    if (call->watch_previous)
        call->watch_previous->watch_next = call->watch_next;
    else
        h->watchers = call->watch_next;
    if (call->watch_next) call->watch_next->watch_previous = call->watch_previous;
    h->watcher_count--;
    serving_status status = status_of(h, call->watched);
    pthread_mutex_unlock(&h->lock);
    end_with_status(call, status, "");
}

/* Holding the lock. Lets the call sleep, without a thread, until watch_event. */
static void park(struct health *h, struct rpc_call *call)
{
    int64_t left_ms = call->deadline_ms - clock_mono_ms();
    int64_t margin_ms = left_ms / 10 < WATCH_MARGIN_MAX_MS ? left_ms / 10 : WATCH_MARGIN_MAX_MS;
    call->watch_previous = NULL;
    call->watch_next = h->watchers;
    if (h->watchers) h->watchers->watch_previous = call;
    h->watchers = call;
    h->watcher_count++;
    /* An aio of its own: after a sleep, nng 1.5 takes an aio's timeouts for successes. */
    nng_sleep_aio((nng_duration)(left_ms > margin_ms ? left_ms - margin_ms : 1), call->watch_aio);
}

static void rpc_watch(Rpc__Health_Service *self, const Rpc__HealthWatchRequest *request,
                      Rpc__HealthCheckResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)reply;
    struct rpc_call *call = closure_data;
    struct health *h = &call->server->health;
    call->watched = find_service(h, request->service);
    if (!call->watch_aio && nng_aio_alloc(&call->watch_aio, watch_event, call)) {
        rpc_fail(call, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
        return;
    }
    pthread_mutex_lock(&h->lock);
    serving_status status = status_of(h, call->watched);
    bool full = h->watcher_count >= RPC_WATCHES_MAX;
    bool parked = status == request->last && !full && !atomic_load(&call->server->draining);
    if (parked) park(h, call);
    pthread_mutex_unlock(&h->lock);
    if (parked) return;
    if (status == request->last && full)
        rpc_fail(call, ERR_EXHAUSTED, "%d calls watch already", RPC_WATCHES_MAX);
    else
        end_with_status(call, status, "");
}

/* ---- reflection ---- */

static void rpc_list_services(Rpc__Reflection_Service *self,
                              const Rpc__ListServicesRequest *request,
                              Rpc__ListServicesResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)request;
    const struct rpc_server *s = rpc_call_context(closure_data);
    char *names[RPC_SERVICES_MAX + RPC_BUILTINS];
    Rpc__ListServicesResponse response = RPC__LIST_SERVICES_RESPONSE__INIT;
    response.services = names;
    for (; response.n_services < s->service_count; response.n_services++)
        names[response.n_services] = (char *)s->services[response.n_services]->descriptor->name;
    reply(&response, closure_data);
}

/* What follows `prefix` and a dot in `symbol`; symbol itself for an empty prefix; NULL: neither. */
static const char *after_prefix(const char *symbol, const char *prefix)
{
    size_t size = strlen(prefix);
    if (!size) return symbol;
    return strncmp(symbol, prefix, size) == 0 && symbol[size] == '.' ? symbol + size + 1 : NULL;
}

static bool message_has(const Google__Protobuf__DescriptorProto *message, const char *symbol)
{
    if (strcmp(message->name, symbol) == 0) return true;
    symbol = after_prefix(symbol, message->name);
    if (!symbol) return false;
    for (size_t i = 0; i < message->n_enum_type; i++)
        if (strcmp(message->enum_type[i]->name, symbol) == 0) return true;
    for (size_t i = 0; i < message->n_nested_type; i++)
        if (message_has(message->nested_type[i], symbol)) return true;
    return false;
}

static bool service_has(const Google__Protobuf__ServiceDescriptorProto *service, const char *symbol)
{
    if (strcmp(service->name, symbol) == 0) return true;
    symbol = after_prefix(symbol, service->name);
    for (size_t i = 0; symbol && i < service->n_method; i++)
        if (strcmp(service->method[i]->name, symbol) == 0) return true;
    return false;
}

static bool file_has(const Google__Protobuf__FileDescriptorProto *file, const char *symbol)
{
    symbol = after_prefix(symbol, file->package ? file->package : "");
    if (!symbol) return false;
    for (size_t i = 0; i < file->n_message_type; i++)
        if (message_has(file->message_type[i], symbol)) return true;
    for (size_t i = 0; i < file->n_enum_type; i++)
        if (strcmp(file->enum_type[i]->name, symbol) == 0) return true;
    for (size_t i = 0; i < file->n_service; i++)
        if (service_has(file->service[i], symbol)) return true;
    return false;
}

/* Marks the file and, before it, what it imports: protoc refuses cycles. */
static void need(const Google__Protobuf__FileDescriptorSet *set, size_t i, bool *needed)
{
    const Google__Protobuf__FileDescriptorProto *file = set->file[i];
    if (needed[i]) return;
    needed[i] = true;
    for (size_t d = 0; d < file->n_dependency; d++)
        for (size_t j = 0; j < set->n_file; j++)
            if (strcmp(set->file[j]->name, file->dependency[d]) == 0) need(set, j, needed);
}

/* In the contract's set, as protoc writes it, imports come before what imports them. */
static enum err pack_needed(const Google__Protobuf__FileDescriptorSet *set, const bool *needed,
                            struct arena *arena, Rpc__FileResponse *ret)
{
    ret->files = arena_alloc(arena, set->n_file * sizeof ret->files[0]);
    if (!ret->files) return ERR_NO_MEMORY;
    for (size_t i = 0; i < set->n_file; i++) {
        if (!needed[i]) continue;
        const ProtobufCMessage *file = &set->file[i]->base;
        ProtobufCBinaryData *data = &ret->files[ret->n_files++];
        data->len = protobuf_c_message_get_packed_size(file);
        data->data = arena_alloc(arena, data->len);
        if (!data->data) return ERR_NO_MEMORY;
        (void)protobuf_c_message_pack(file, data->data);
    }
    return OK;
}

static void rpc_file_containing_symbol(Rpc__Reflection_Service *self,
                                       const Rpc__FileRequest *request,
                                       Rpc__FileResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    ProtobufCAllocator allocator = arena_allocator(&call->arena);
    Google__Protobuf__FileDescriptorSet *set = google__protobuf__file_descriptor_set__unpack(
        &allocator, contract_descriptors_size, contract_descriptors);
    bool *needed = set ? arena_alloc(&call->arena, set->n_file) : NULL;
    if (!needed) {
        rpc_fail(call, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
        return;
    }
    memset(needed, 0, set->n_file);
    size_t i = 0;
    while (i < set->n_file && !file_has(set->file[i], request->symbol))
        i++;
    if (i == set->n_file) {
        rpc_fail(call, ERR_NOT_FOUND, "no file has this symbol");
        return;
    }
    need(set, i, needed);
    Rpc__FileResponse response = RPC__FILE_RESPONSE__INIT;
    if (pack_needed(set, needed, &call->arena, &response))
        rpc_fail(call, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
    else
        reply(&response, closure_data);
}

/* ---- control ---- */

static void rpc_cancel(Rpc__Control_Service *self, const Rpc__CancelRequest *request,
                       Rpc__CancelResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_server *s = rpc_call_context(closure_data);
    Rpc__CancelResponse response = RPC__CANCEL_RESPONSE__INIT;
    size_t count = request->call_id_lo ? atomic_load(&s->call_count) : 0;
    for (size_t i = 0; i < count; i++) {
        struct rpc_call *call = s->calls[i];
        if (call == closure_data) continue;
        if (atomic_load_explicit(&call->id_lo, memory_order_relaxed) != request->call_id_lo ||
            atomic_load_explicit(&call->id_hi, memory_order_relaxed) != request->call_id_hi)
            continue;
        atomic_store_explicit(&call->cancelled_lo, request->call_id_lo, memory_order_relaxed);
        response.found = true;
    }
    reply(&response, closure_data);
}

static void rpc_ping(Rpc__Control_Service *self, const Rpc__PingRequest *request,
                     Rpc__PingResponse_Closure reply, void *closure_data)
{
    (void)self;
    Rpc__PingResponse response = RPC__PING_RESPONSE__INIT;
    response.payload = request->payload;
    reply(&response, closure_data);
}

static Rpc__Health_Service health_service = RPC__HEALTH__INIT(rpc_);
static Rpc__Reflection_Service reflection_service = RPC__REFLECTION__INIT(rpc_);
static Rpc__Control_Service control_service = RPC__CONTROL__INIT(rpc_);

ProtobufCService *builtin_service(size_t i)
{
    ProtobufCService *const services[RPC_BUILTINS] = {
        &health_service.base, &reflection_service.base, &control_service.base};
    CHECK(i < RPC_BUILTINS);
    return services[i];
}

bool builtin_is_quick(const ProtobufCService *service)
{
    return service == &health_service.base || service == &control_service.base;
}
