/* Wiring: configuration, the listeners and what stands behind them, start and stop. */
#include "gateway_part.h"

#include "auth.h"
#include "calls.h"
#include "command.h"
#include "feed.h"
#include "health.h"
#include "hub.h"
#include "listener.h"
#include "pages.h"
#include "policy.h"
#include "rate_limits.h"
#include "reactor.h"
#include "recent.h"
#include "rest.h"
#include "roster_rpc.h"
#include "settings.h"
#include "sse.h"
#include "workers.h"
#include "ws.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define FILES_BESIDE 512 /* descriptors for requests, stores, parts */

#define PORT_KEY(key, port, what)                                                                  \
    {                                                                                              \
        "gateway." key, CONFIG_INT, port, 0, 65535, what "; 0 picks one, see gateway.ports", false \
    }
#define THREADS_KEY(key, threads)                                                                  \
    {                                                                                              \
        "gateway." key, CONFIG_INT, threads, 1, 20000, "connections served at once there", false   \
    }
#define RATE_KEY(class, fallback, what)                                                            \
    {                                                                                              \
        "gateway.rate_" class, CONFIG_STRING, fallback, 4, 32, what, CONFIG_RELOAD                 \
    }

static const struct config_key keys[] = {
    PART_KEYS("gateway", "3344"),
    {"gateway.name", CONFIG_STRING, "gateway", 1, ROSTER_NAME_MAX,
     "which gateway it is, where there are several; its bus topic is NAME.presence", false},
    {"gateway.address", CONFIG_STRING, "127.0.0.1", 2, 64, "address to listen on", false},
    PORT_KEY("port", "8333", "REST, SSE and pages"),
    THREADS_KEY("threads", "32"),
    POLICY_KEYS("rest", "admin", ""),
    PORT_KEY("main_port", "8332", "WebSocket commands"),
    THREADS_KEY("main_threads", "16"),
    POLICY_KEYS("main", "admin", ""),
    POLICY_AUTHENTICATE_KEY("main", "true"),
    PORT_KEY("login_port", "8331", "WebSocket: register, log in, refresh only"),
    THREADS_KEY("login_threads", "8"),
    POLICY_KEYS("login", "user", "auth.*,authenticate,help,ping"),
    POLICY_AUTHENTICATE_KEY("login", "false"),
    PORT_KEY("guest_port", "8334", "REST and WebSocket for guests only"),
    THREADS_KEY("guest_threads", "32"),
    POLICY_KEYS("guest", "guest", ""),
    POLICY_AUTHENTICATE_KEY("guest", "false"),
    PORT_KEY("internal_port", "9090", "health and metrics"),
    THREADS_KEY("internal_threads", "4"),
    {"gateway.internal_address", CONFIG_STRING, "127.0.0.1", 2, 64,
     "address of health and metrics: not for the public", false},
    {"gateway.body_max", CONFIG_INT, "65536", 1024, HTTP_BODY_MAX, "bytes of a request's body",
     CONFIG_RELOAD},
    {"gateway.request_ms", CONFIG_INT, "10000", 100, 60000, "milliseconds a request may take",
     CONFIG_RELOAD},
    {"gateway.recent_ms", CONFIG_INT, "100", 0, 1000,
     "milliseconds old an answer may be that is the same for everybody, unless something was "
     "changed here; 0: none",
     CONFIG_RELOAD},
    {"gateway.drain_ms", CONFIG_INT, "0", 0, DRAIN_MS_MAX,
     "milliseconds from SIGTERM, when /readyz says no, until connections are refused",
     CONFIG_RELOAD},
    {"gateway.queue_bytes", CONFIG_INT, "1048576", 65536, 67108864,
     "bytes that may wait for one connection; beyond it is closed", CONFIG_RELOAD},
    {"gateway.connections_max", CONFIG_INT, "10000", 1, 100000, "WebSocket and SSE connections",
     false},
    {"gateway.address_connections_max", CONFIG_INT, "200", 1, 100000,
     "of them, from one client address", CONFIG_RELOAD},
    {"gateway.user_connections_max", CONFIG_INT, "20", 1, 100000, "of them, of one user",
     CONFIG_RELOAD},
    {"gateway.loops", CONFIG_INT, "0", 0, REACTOR_LOOPS_MAX,
     "threads that read and write WebSocket and SSE connections; 0: one per processor, at most 4",
     false},
    {"gateway.command_threads", CONFIG_INT, "8", 1, WORKERS_MAX,
     "threads that carry out WebSocket commands, as far as those may block", false},
    RATE_KEY("default", "100/1m",
             "calls of a user, or a guest's address, that no other rate counts"),
    RATE_KEY("login", "5/15m", "logins of an address"),
    RATE_KEY("register", "3/1h", "registrations of an address"),
    RATE_KEY("orders", "20/1m", "orders of a user"),
    RATE_KEY("withdrawals", "5/1h", "transfers and withdrawals of a user"),
    RATE_KEY("idempotency_keys", "10000/24h", "new Idempotency-Keys of a user"),
    {"gateway.rate_exempt", CONFIG_STRING, "", 0, 4096,
     "networks that are not limited, comma-separated, as 10.0.0.0/8,fd00::/8", CONFIG_RELOAD},
    {"gateway.tiers[]", CONFIG_LIST,
     "[{tier: pro, orders: 200, calls: 1000}, {tier: maker, orders: 1200, calls: 6000}]", 0,
     LIMITS_TIERS_MAX, "what API keys of a tier may do instead", CONFIG_RELOAD},
    {"gateway.tiers[].tier", CONFIG_STRING, NULL, 1, LIMITS_TIER_MAX, "its name", 0},
    {"gateway.tiers[].orders", CONFIG_INT, "0", 0, CACHE_LIMIT_MAX,
     "in rate_orders' time; 0: as everybody", 0},
    {"gateway.tiers[].calls", CONFIG_INT, "0", 0, CACHE_LIMIT_MAX,
     "in rate_default's time; 0: as everybody", 0},
    {"gateway.origins", CONFIG_STRING, "", 0, 4096,
     "origins that browsers may call from, exact, comma-separated", CONFIG_RELOAD},
    {"gateway.trusted_proxies", CONFIG_STRING, "127.0.0.1/32", 0, 4096,
     "networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, "
     "comma-separated",
     CONFIG_RELOAD},
    {"gateway.cookie_secure", CONFIG_BOOL, "true", 0, 0,
     "refresh cookies over TLS only; false for development without it: then only for who came over "
     "TLS",
     CONFIG_RELOAD},
    {"gateway.hsts", CONFIG_BOOL, "false", 0, 0,
     "tell every browser to insist on TLS; false: those that came over it, not to localhost",
     CONFIG_RELOAD},
    {0},
};

/* ---- listeners ---- */

enum { REST, MAIN, LOGIN, GUEST, INTERNAL, LISTENERS };

static const struct {
    const char *name, *port_key, *threads_key, *address_key;
    bool ws;
} table[LISTENERS] = {
    [REST] = {"rest", "gateway.port", "gateway.threads", "gateway.address", false},
    [MAIN] = {"main", "gateway.main_port", "gateway.main_threads", "gateway.address", true},
    [LOGIN] = {"login", "gateway.login_port", "gateway.login_threads", "gateway.address", true},
    [GUEST] = {"guest", "gateway.guest_port", "gateway.guest_threads", "gateway.address", true},
    [INTERNAL] = {"internal", "gateway.internal_port", "gateway.internal_threads",
                  "gateway.internal_address", false},
};

struct gateway {
    struct shared_slot http; /* of struct http_settings */
    _Atomic int64_t drain_ms;
    struct cache *cache;
    struct limits *limits;
    struct calls *calls;
    struct auth *auth;
    struct hub *hub;
    struct feed *feed;
    struct commands *commands;
    struct roster_rpc *roster;
    struct reactor *reactor;
    struct workers *workers;
    struct ws_front *ws;
    struct sse *sse;
    struct recent *recent;
    struct rest *rest;
    struct health *health;
    struct listener *listeners[LISTENERS];
};

/* ---- what the gateway answers itself ---- */

static void handle_local(void *context, struct http_exchange *x,
                         const struct contract_method *method, const struct principal *principal)
{
    struct gateway *g = context;
    const char *name = strchr(method->name, '/') + 1;
    if (strcmp(name, "Stream") == 0)
        sse_handle(g->sse, x, principal);
    else if (strcmp(name, "Help") == 0)
        http_answer(x, 200, method->content, contract_help, contract_help_size);
    else if (strcmp(name, "OpenApi") == 0)
        http_answer(x, 200, method->content, contract_openapi, contract_openapi_size);
    else if (strcmp(name, "AsyncApi") == 0)
        http_answer(x, 200, method->content, contract_asyncapi, contract_asyncapi_size);
    else if (strcmp(name, "Docs") == 0 || strcmp(name, "DocsPage") == 0)
        pages_handle(x);
    else if (strcmp(name, "GetStatus") == 0)
        health_handle_public(g->health, x, principal->role == ROLE_ADMIN);
    else
        http_problem_text(x, ERR_UNIMPLEMENTED, "this is a WebSocket command");
}

static void handle_public(void *context, struct http_exchange *x)
{
    struct gateway *g = context;
    if (!rest_handle(g->rest, x)) pages_not_found(x);
}

/* The WebSocket ports have no REST. */
static void handle_upgrade_only(void *context, struct http_exchange *x)
{
    (void)context;
    http_add_header(x, "Upgrade", "websocket");
    http_problem_status(x, 426, "upgrade_required", "this port speaks WebSocket, at /ws");
}

static void handle_internal(void *context, struct http_exchange *x)
{
    struct gateway *g = context;
    if (!health_handle_internal(g->health, x))
        http_problem_text(x, ERR_NOT_FOUND, "here are /healthz, /readyz, /health and /metrics");
}

static http_handler *const handlers[LISTENERS] = {
    handle_public, handle_upgrade_only, handle_upgrade_only, handle_public, handle_internal};

/* ---- start ---- */

static enum err start_listener(struct gateway *g, const struct config *c, unsigned i,
                               struct err_detail *detail)
{
    struct listener_policy policy = {.name = table[i].name, .caller_max = CALLER_GUEST};
    enum err e = i == INTERNAL ? OK : policy_read(c, table[i].name, table[i].ws, &policy, detail);
    if (e) return e;
    struct listener_options options = {
        .policy = policy,
        .address = config_string(c, table[i].address_key),
        .port = (unsigned)config_int(c, table[i].port_key),
        .threads = (unsigned)config_int(c, table[i].threads_key),
        .handler = handlers[i],
        .context = g,
        .settings = &g->http,
        .ws = table[i].ws ? g->ws : NULL,
    };
    return listener_start(&options, &g->listeners[i], detail);
}

/* data_dir/gateway.ports: where scripts and tests find us. Written whole or not at all. */
static enum err write_ports(const struct gateway *g, const struct part_env *env,
                            struct err_detail *detail)
{
    char path[1024], temporary[1040];
    (void)snprintf(path, sizeof path, "%s/gateway.ports", env->data_dir);
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "we");
    if (!file) return err_set(detail, ERR_IO, "cannot write %s", temporary);
    for (unsigned i = 0; i < LISTENERS; i++)
        (void)fprintf(file, "%s\"%s\": %u", i ? ", " : "{", table[i].name,
                      listener_port(g->listeners[i]));
    (void)fprintf(file, "}\n");
    if (fclose(file) || rename(temporary, path))
        return err_set(detail, ERR_IO, "cannot write %s", path);
    return OK;
}

/* The threads of what stays connected. */
static enum err start_threads(struct gateway *g, const struct part_env *env,
                              struct err_detail *detail)
{
    const struct config *c = env->config;
    struct roster_options roster = {
        .address_max = (size_t)config_int(c, "gateway.address_connections_max"),
        .user_max = (size_t)config_int(c, "gateway.user_connections_max"),
    };
    enum err e = roster_rpc_new(env, config_string(c, "gateway.name"), &roster, &g->roster, detail);
    if (!e) e = reactor_new((unsigned)config_int(c, "gateway.loops"), &g->reactor);
    if (!e) e = workers_new((unsigned)config_int(c, "gateway.command_threads"), &g->workers);
    return e;
}

static enum err start_fronts(struct gateway *g, const struct config *c)
{
    size_t queue_bytes = (size_t)config_int(c, "gateway.queue_bytes");
    struct commands_options commands = {.calls = g->calls,
                                        .auth = g->auth,
                                        .limits = g->limits,
                                        .hub = g->hub,
                                        .feed = g->feed,
                                        .recent = g->recent,
                                        .request_ms = config_int(c, "gateway.request_ms")};
    enum err e = commands_new(&commands, &g->commands);
    if (e) return e;
    struct ws_options ws = {.hub = g->hub,
                            .commands = g->commands,
                            .roster = roster_rpc_roster(g->roster),
                            .reactor = g->reactor,
                            .workers = g->workers,
                            .queue_bytes = queue_bytes};
    struct sse_options sse = {.hub = g->hub,
                              .feed = g->feed,
                              .auth = g->auth,
                              .roster = roster_rpc_roster(g->roster),
                              .reactor = g->reactor,
                              .workers = g->workers,
                              .queue_bytes = queue_bytes};
    e = ws_front_new(&ws, &g->ws);
    return e ? e : sse_new(&sse, &g->sse);
}

/* Everything that stays connected. */
static enum err start_realtime(struct gateway *g, const struct part_env *env,
                               struct err_detail *detail)
{
    size_t queue_bytes = (size_t)config_int(env->config, "gateway.queue_bytes");
    struct feed_options feed = {.env = env,
                                .calls = g->calls,
                                .hub = g->hub,
                                .recent = g->recent,
                                .queue_bytes = queue_bytes};
    enum err e = feed_new(&feed, &g->feed, detail);
    if (!e) e = start_threads(g, env, detail);
    if (!e) e = start_fronts(g, env->config);
    return e;
}

static enum err start_requests(struct gateway *g, const struct part_env *env,
                               const struct limits_rules *rates, struct err_detail *detail)
{
    const struct config *c = env->config;
    enum err e = part_cache(env, &g->cache, detail);
    if (!e) e = recent_new(&g->recent);
    if (!e) e = limits_new(rates, g->cache, &g->limits);
    if (!e) e = calls_new(env, &g->calls, detail);
    if (!e) e = auth_new(calls_client(g->calls, "users"), g->cache, &g->auth);
    if (!e) e = hub_new((size_t)config_int(c, "gateway.connections_max"), &g->hub);
    if (!e) e = start_realtime(g, env, detail);
    if (!e) e = health_new(g->calls, g->cache, g->hub, &g->health);
    if (!e)
        e = rest_new(&(struct rest_options){.calls = g->calls,
                                            .auth = g->auth,
                                            .cache = g->cache,
                                            .recent = g->recent,
                                            .limits = g->limits,
                                            .local = handle_local,
                                            .local_context = g},
                     &g->rest);
    return e;
}

/* Nothing new is accepted; WebSocket and SSE clients are told to come back; then all is released.
 */
static void gateway_stop(void *part, int64_t grace_ms)
{
    struct gateway *g = part;
    if (!g) return;
    if (g->health) health_drain(g->health);
    if (g->hub) hub_close_all(g->hub, HUB_CLOSE_GOING_AWAY);
    for (unsigned i = 0; i < LISTENERS; i++)
        listener_begin_stop(g->listeners[i], grace_ms);
    for (unsigned i = 0; i < LISTENERS; i++)
        listener_stop(g->listeners[i]);
    reactor_free(g->reactor); /* waits for the last of them */
    workers_free(g->workers);
    roster_rpc_free(g->roster);
    ws_front_free(g->ws);
    sse_free(g->sse);
    commands_free(g->commands);
    feed_free(g->feed);
    rest_free(g->rest);
    health_free(g->health);
    auth_free(g->auth);
    calls_free(g->calls);
    recent_free(g->recent); /* commands that ran until now have used it */
    hub_free(g->hub);
    limits_free(g->limits);
    cache_close(g->cache);
    shared_release(&g->http);
    free(g);
}

/* A descriptor per connection, and some for everything else. */
static void warn_of_files(const struct config *c)
{
    struct rlimit files;
    int64_t wanted = config_int(c, "gateway.connections_max") + FILES_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= (rlim_t)wanted) return;
    LOG_LINE(LOG_WARN, "gateway", "the limit of open files does not allow gateway.connections_max",
             LOG_INT("files", (int64_t)files.rlim_cur), LOG_INT("wanted", wanted));
}

static enum err gateway_start(const struct part_env *env, void **ret, struct err_detail *detail)
{
    struct gateway *g = calloc(1, sizeof *g);
    if (!g) return ERR_NO_MEMORY;
    struct settings settings = {0};
    enum err e = settings_read(env->config, &settings, detail);
    shared_init(&g->http, settings.http);
    atomic_init(&g->drain_ms, settings.drain_ms);
    if (!e) e = start_requests(g, env, &settings.rates, detail);
    for (unsigned i = 0; i < LISTENERS && !e; i++)
        e = start_listener(g, env->config, i, detail);
    if (!e) e = write_ports(g, env, detail);
    if (!e) warn_of_files(env->config);
    if (e) {
        gateway_stop(g, 0);
        return e;
    }
    *ret = g;
    return OK;
}

/* ---- while it runs ---- */

static enum err gateway_prepare(void *part, const struct config *next, void **ret_change,
                                struct err_detail *detail)
{
    (void)part;
    struct settings *change = calloc(1, sizeof *change);
    if (!change) return ERR_NO_MEMORY;
    enum err e = settings_read(next, change, detail);
    if (e)
        free(change);
    else
        *ret_change = change;
    return e;
}

static void gateway_finish(void *part, void *change, bool accept)
{
    struct gateway *g = part;
    struct settings *settings = change;
    if (accept) {
        commands_set_request_ms(g->commands, settings->http->request_ms);
        feed_set_queue_bytes(g->feed, settings->queue_bytes);
        ws_front_set_queue_bytes(g->ws, settings->queue_bytes);
        sse_set_queue_bytes(g->sse, settings->queue_bytes);
        roster_set_limits(roster_rpc_roster(g->roster), settings->address_connections_max,
                          settings->user_connections_max);
        shared_put(&g->http, TAKE(settings->http));
        limits_set(g->limits, &settings->rates);
        atomic_store(&g->drain_ms, settings->drain_ms);
    }
    settings_release(settings);
    free(settings);
}

static int64_t gateway_drain(void *part)
{
    struct gateway *g = part;
    health_drain(g->health);
    return atomic_load(&g->drain_ms);
}

static enum err gateway_ready(void *part, struct err_detail *detail)
{
    return health_ready(((struct gateway *)part)->health, detail);
}

const struct part_ops gateway_part = {.name = "gateway",
                                      .config = keys,
                                      .start = gateway_start,
                                      .ready = gateway_ready,
                                      .stop = gateway_stop,
                                      .reload_prepare = gateway_prepare,
                                      .reload_finish = gateway_finish,
                                      .drain = gateway_drain};
