/* One civetweb context, told to do nothing by itself: every request is checked here and handed on.
 */
#include "exchange.h"
#include "ws.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REQUEST_HEAD_MAX "16384" /* bytes of the request line and the headers */
#define KEEP_ALIVE_MS    "15000"

struct listener {
    struct listener_options options;
    struct mg_context *context;
    atomic_uint connections; /* each holds a thread, busy or not */
    pthread_t stopper;
    bool stopping; /* the stopper runs */
};

static void log_request(const struct http_exchange *x)
{
    char trace_id[33];
    trace_id_format(x->trace, trace_id);
    LOG_LINE(x->status >= 500 ? LOG_WARN : LOG_INFO, "gateway", "request",
             LOG_TEXT("trace_id", trace_id), LOG_TEXT("request_id", x->request_id),
             LOG_TEXT("listener", x->policy->name), LOG_TEXT("peer", x->info->remote_addr),
             LOG_TEXT("user", x->user_id), LOG_TEXT("verb", x->verb), LOG_TEXT("path", x->path),
             LOG_INT("status", x->status), LOG_INT("sent_bytes", (int64_t)x->sent),
             LOG_INT("duration_us", clock_mono_us() - x->begin_us));
}

static bool is_upgrade(const struct mg_connection *connection, const struct mg_request_info *info)
{
    const char *upgrade = mg_get_header(connection, "Upgrade");
    return upgrade && strcasecmp(upgrade, "websocket") == 0 && info->request_uri &&
           strcmp(info->request_uri, "/ws") == 0;
}

static struct listener *of(const struct mg_connection *connection)
{
    return mg_get_user_data(mg_get_context(connection));
}

static int on_connect(const struct mg_connection *connection, void **ret_data)
{
    (void)ret_data;
    atomic_fetch_add(&of(connection)->connections, 1);
    return 0;
}

static void on_disconnect(const struct mg_connection *connection)
{
    atomic_fetch_sub(&of(connection)->connections, 1);
}

/* An idle kept-alive connection holds its thread: from three quarters on nobody keeps one, so that
 * others do not wait for those who do nothing. */
static bool is_crowded(struct listener *l)
{
    return atomic_load(&l->connections) * 4 > l->options.threads * 3;
}

/* civetweb's callback for every request: > 0 says that it has been answered. */
static int on_request(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct listener *l = info->user_data;
    struct http_exchange x = {.connection = connection,
                              .info = info,
                              .policy = &l->options.policy,
                              .settings = l->options.http};
    buf_init(&x.headers, HTTP_OWN_HEADERS_MAX);
    x.close = is_crowded(l);
    const char *why = NULL;
    int refused = http_check(&x, &why);
    if (refused) {
        x.close = true;
        if (!x.path[0]) x.path[0] = '/';
        http_problem_status(&x, refused, "bad_request", why);
    } else if (l->options.ws && is_upgrade(connection, info)) {
        ws_handle(l->options.ws, &x);
    } else {
        l->options.handler(l->options.context, &x);
        CHECK(x.status != 0);
    }
    log_request(&x);
    buf_release(&x.headers);
    return x.status;
}

/* civetweb's own errors (it could not parse the request): problem JSON too. 0: the page is written.
 */
static int on_error(struct mg_connection *connection, int status, const char *message)
{
    (void)message;
    http_problem_bare(connection, status);
    return 0;
}

static int on_message(const struct mg_connection *connection, const char *message)
{
    (void)connection;
    LOG_LINE(LOG_DEBUG, "gateway", "civetweb", LOG_TEXT("message", message));
    return 1;
}

static struct mg_context *start_context(struct listener *l)
{
    char ports[128], threads[16], timeout[24];
    (void)snprintf(ports, sizeof ports, "%s:%u", l->options.address, l->options.port);
    (void)snprintf(threads, sizeof threads, "%u", l->options.threads);
    (void)snprintf(timeout, sizeof timeout, "%lld", (long long)l->options.http->request_ms);
    const char *const options[] = {
        "listening_ports", ports, "num_threads", threads, "request_timeout_ms", timeout,
        "max_request_size", REQUEST_HEAD_MAX, "enable_keep_alive", "yes", "keep_alive_timeout_ms",
        KEEP_ALIVE_MS, "tcp_nodelay", "1", "decode_url", "no", "enable_directory_listing", "no",
        "connection_queue", "256", "websocket_timeout_ms", "3600000", "enable_websocket_ping_pong",
        "no",
        /* Empty: otherwise civetweb answers every preflight itself, with "*". */
        "access_control_allow_origin", "", "access_control_allow_methods", "",
        "access_control_allow_headers", "", NULL};
    const struct mg_callbacks callbacks = {.begin_request = on_request,
                                           .http_error = on_error,
                                           .log_message = on_message,
                                           .init_connection = on_connect,
                                           .connection_closed = on_disconnect};
    return mg_start(&callbacks, l, (const char **)options);
}

enum err listener_start(const struct listener_options *options, struct listener **ret,
                        struct err_detail *detail)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l) return ERR_NO_MEMORY;
    l->options = *options;
    l->context = start_context(l);
    if (!l->context) {
        free(l);
        return err_set(detail, ERR_UNAVAILABLE, "cannot listen on %s:%u; is another process there?",
                       options->address, options->port);
    }
    *ret = l;
    return OK;
}

unsigned listener_port(const struct listener *l)
{
    struct mg_server_port port = {0};
    if (mg_get_server_ports(l->context, 1, &port) != 1) return 0;
    return (unsigned)port.port;
}

static void *stop_context(void *context)
{
    mg_stop(context);
    return NULL;
}

void listener_begin_stop(struct listener *l)
{
    if (!l || l->stopping) return;
    l->stopping = pthread_create(&l->stopper, NULL, stop_context, l->context) == 0;
}

void listener_stop(struct listener *l)
{
    if (!l) return;
    if (l->stopping)
        (void)pthread_join(l->stopper, NULL);
    else
        mg_stop(l->context);
    free(l);
}
