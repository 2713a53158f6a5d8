/*
 * One civetweb context, told to do nothing by itself: every request is checked here and handed on.
 *
 * What civetweb 1.15 does if it is let, and who does not let it (test_framing.py tries each):
 * - bare LFs, folded lines, blanks before colons are fine: http_check_lines
 * - headers after the 64th are dropped, those that stand twice both kept: check_headers
 * - Content-Length beside Transfer-Encoding, and "5x" or "+5": check_framing
 * - bodies of any length are read, also to be thrown away: http_body; end() closes instead
 * - each read has its own time limit: cutter.h
 * - the trailers of chunks become the next request: http_body closes after chunks
 * - behind blank lines the head is taken for the body: read_body, a head has NULs by then
 * - 100 Continue is never said: http_body
 * - %2f and %00 are decoded, dots resolved: "decode_url" no, and check_path
 * - absolute targets and "*" end the connection without a word: on_close
 * - errors have pages of its own: on_error
 * - every preflight is answered with "*": "access_control_..." are empty
 * - files, listings and CGI: on_request takes everything before
 * - forms are parsed badly (CVE-2025-9648): never called
 * - a full queue blocks the thread that accepts: connections end when most threads are taken, and
 *   health has a context of its own
 * - WebSocket's masks, lengths and fragments: ws_parser.h, on the socket itself
 */
#include "descriptor.h"
#include "door.h"
#include "exchange.h"
#include "visits.h"
#include "ws.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define KEEP_ALIVE_MS  15000
#define LINGER_MS      1000
#define STATUS_CLASSES 6 /* 1xx to 5xx by their first digit */
#define LINGER_BYTES   (1024 * 1024)

struct listener {
    struct listener_options options;
    struct mg_context *context;
    struct cutter *cutter;
    int64_t head_ms; /* civetweb's, for the first head of a connection */
    struct visits visits;
    struct door door;
    pthread_t stopper;
    bool stopping;        /* the stopper runs */
    int64_t stop_ms;      /* it waits for requests until then */
    atomic_bool draining; /* connections end with their answer */
    struct counter *answered[STATUS_CLASSES];
    struct histogram *seconds;
};

static void measure_by(struct listener *l)
{
    char labels[64];
    for (unsigned i = 1; i < STATUS_CLASSES; i++) {
        (void)snprintf(labels, sizeof labels, "listener=\"%s\",status=\"%uxx\"",
                       l->options.policy.name, i);
        l->answered[i] =
            metrics_counter("tradepost_gateway_requests_total", "Requests answered.", labels);
    }
    (void)snprintf(labels, sizeof labels, "listener=\"%s\"", l->options.policy.name);
    l->seconds =
        metrics_histogram("tradepost_gateway_request_seconds",
                          "From a request to its answer; not of what stays connected.", labels);
}

static void measure(const struct listener *l, const struct http_exchange *x, int64_t duration_us)
{
    CHECK(x->status >= 100 && x->status < 100 * STATUS_CLASSES);
    counter_add(l->answered[x->status / 100], 1);
    if (duration_us <= x->settings->request_ms * 1000)
        histogram_observe_us(l->seconds, duration_us);
}

static void log_request(const struct http_exchange *x)
{
    int64_t duration_us = clock_mono_us() - x->begin_us;
    measure(x->info->user_data, x, duration_us);
    char trace_id[33];
    trace_id_format(x->trace, trace_id);
    LOG_LINE(x->status >= 500 ? LOG_WARN : LOG_INFO, "gateway", "request",
             LOG_TEXT("trace_id", trace_id), LOG_TEXT("request_id", x->request_id),
             LOG_TEXT("listener", x->policy->name), LOG_TEXT("peer", x->peer),
             LOG_TEXT("user", x->user_id), LOG_TEXT("verb", x->verb), LOG_TEXT("path", x->path),
             LOG_INT("status", x->status), LOG_INT("sent_bytes", (int64_t)x->sent),
             LOG_INT("duration_us", duration_us),
             LOG_TEXT(x->key_id[0] ? "key" : NULL, x->key_id)); /* last: none ends the line */
}

/* ---- what civetweb calls, on the connection's thread ---- */

/* The connection that this thread serves. */
static _Thread_local struct {
    struct visit visit;
    bool refused;     /* civetweb itself has, or we have: what the client still sends is not read */
    int64_t waits_ms; /* for a head, since then, */
    int64_t limit_ms; /* and so long: then civetweb gives it up */
} here;

static int on_open(const struct mg_connection *connection, void **ret_data)
{
    const struct mg_context *context = mg_get_context(connection);
    struct listener *l = mg_get_user_data(context);
    (void)ret_data;
    here.refused = false;
    here.waits_ms = clock_mono_ms();
    here.limit_ms = l->head_ms;
    visits_open(&l->visits, &here.visit);
    return 0;
}

/* All but the last quarter of the threads may wait for somebody's next request. */
static bool enter(struct listener *l, int socket)
{
    return 4 * visits_enter(&l->visits, &here.visit, socket) > 3 * l->options.threads;
}

static struct http_exchange begin(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct listener *l = info->user_data;
    int socket = here.visit.socket >= 0 ? here.visit.socket : descriptor_of(info);
    struct http_exchange x = {.connection = connection,
                              .info = info,
                              .policy = &l->options.policy,
                              .settings = shared_hold(l->options.settings),
                              .cutter = l->cutter,
                              .socket = socket,
                              .last = &l->draining,
                              .close = enter(l, socket)};
    return x;
}

static void end(struct http_exchange *x)
{
    if (x->close && !x->body_read) here.refused = true;
    here.waits_ms = clock_mono_ms();
    here.limit_ms = KEEP_ALIVE_MS;
    log_request(x);
    buf_release(&x->headers);
    shared_rele(x->settings);
    visits_leave(&((struct listener *)x->info->user_data)->visits, &here.visit);
}

static bool is_upgrade(const struct http_exchange *x)
{
    const char *upgrade = http_header(x, "Upgrade");
    return upgrade && strcasecmp(upgrade, "websocket") == 0 && strcmp(x->path, "/ws") == 0;
}

/* Every request that civetweb could parse. > 0: it has been answered. */
static int on_request(struct mg_connection *connection)
{
    struct http_exchange x = begin(connection);
    const struct listener_options *options = &((struct listener *)x.info->user_data)->options;
    http_begin(&x);
    const char *why = NULL;
    int refused = http_check_lines(x.info, &why);
    if (!refused) refused = http_check(&x, &why);
    if (refused) {
        http_refuse(&x, refused, why);
    } else if (options->ws && is_upgrade(&x)) {
        ws_handle(options->ws, &x);
    } else {
        options->handler(options->context, &x);
        CHECK(x.status != 0);
    }
    end(&x);
    return x.status;
}

static void refuse_unparsed(struct mg_connection *connection, int status)
{
    struct http_exchange x = begin(connection);
    http_begin(&x);
    http_refuse(&x, status, "the request is malformed, too large or too slow");
    end(&x);
}

/* What civetweb could not parse. 0: the page is written. */
static int on_error(struct mg_connection *connection, int status, const char *message)
{
    (void)message;
    if (status == 411) status = 400; /* a Content-Length that is no number */
    if (status == 400 && clock_mono_ms() - here.waits_ms >= here.limit_ms) status = 408;
    refuse_unparsed(connection, status);
    return 0;
}

/* A client that is still sending would lose our answer to a reset: what it sends is thrown away
 * first, for a while. */
static void linger(int socket)
{
    char trash[4096];
    int64_t deadline_ms = clock_mono_ms() + LINGER_MS;
    (void)shutdown(socket, SHUT_WR);
    for (size_t size = 0; size < LINGER_BYTES;) {
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        int64_t left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0) return;
        ssize_t got = recv(socket, trash, sizeof trash, MSG_DONTWAIT);
        if (got <= 0) return;
        size += (size_t)got;
    }
}

/* A target in absolute form, or "*", makes civetweb close without a word: it is answered here. */
static void on_close(const struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct listener *l = mg_get_user_data(mg_get_context(connection));
    if (!here.refused && info && info->request_uri && !info->local_uri)
        refuse_unparsed((struct mg_connection *)connection, 400);
    if (here.refused && here.visit.socket >= 0) linger(here.visit.socket);
    visits_forget(&l->visits, &here.visit);
}

static void on_closed(const struct mg_connection *connection)
{
    struct listener *l = mg_get_user_data(mg_get_context(connection));
    visits_close(&l->visits, &here.visit);
}

static int on_message(const struct mg_connection *connection, const char *message)
{
    (void)connection;
    LOG_LINE(LOG_DEBUG, "gateway", "civetweb", LOG_TEXT("message", message));
    return 1;
}

static struct mg_context *start_context(struct listener *l)
{
    char ports[128], threads[16], timeout[24], keep_alive[16], head[16];
    const struct http_settings *settings = shared_hold(l->options.settings);
    l->head_ms = settings->request_ms;
    shared_rele(settings);
    (void)snprintf(ports, sizeof ports, "%s:%u", l->options.address, l->options.port);
    (void)snprintf(threads, sizeof threads, "%u", l->options.threads);
    (void)snprintf(timeout, sizeof timeout, "%lld", (long long)l->head_ms);
    (void)snprintf(keep_alive, sizeof keep_alive, "%d", KEEP_ALIVE_MS);
    (void)snprintf(head, sizeof head, "%d", 2 * HTTP_HEAD_MAX); /* so that we say 431 */
    const char *const options[] = {
        "listening_ports", ports, "num_threads", threads, "request_timeout_ms", timeout,
        "max_request_size", head, "enable_keep_alive", "yes", "keep_alive_timeout_ms", keep_alive,
        "tcp_nodelay", "1", "decode_url", "no", "enable_directory_listing", "no",
        "connection_queue", "256", "websocket_timeout_ms", "3600000", "enable_websocket_ping_pong",
        "no",
        /* Empty: otherwise civetweb answers every preflight itself, with "*". */
        "access_control_allow_origin", "", "access_control_allow_methods", "",
        "access_control_allow_headers", "", NULL};
    const struct mg_callbacks callbacks = {.begin_request = on_request,
                                           .http_error = on_error,
                                           .log_message = on_message,
                                           .init_connection = on_open,
                                           .connection_close = on_close,
                                           .connection_closed = on_closed};
    return mg_start(&callbacks, l, (const char **)options);
}

static void release(struct listener *l)
{
    cutter_free(l->cutter);
    visits_release(&l->visits);
    door_release(&l->door);
    free(l);
}

enum err listener_start(const struct listener_options *options, struct listener **ret,
                        struct err_detail *detail)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l) return ERR_NO_MEMORY;
    l->options = *options;
    measure_by(l);
    visits_init(&l->visits);
    enum err e = door_init(&l->door);
    if (!e) e = cutter_new(options->threads, &l->cutter);
    if (!e && !(l->context = start_context(l)))
        e = err_set(detail, ERR_UNAVAILABLE, "cannot listen on %s:%u; is another process there?",
                    options->address, options->port);
    if (e) {
        release(l);
        return e;
    }
    door_find(&l->door, listener_port(l));
    *ret = l;
    return OK;
}

unsigned listener_port(const struct listener *l)
{
    struct mg_server_port port = {0};
    if (mg_get_server_ports(l->context, 1, &port) != 1) return 0;
    return (unsigned)port.port;
}

/* civetweb writes nothing any more once it is told to stop, so what is being answered comes first.
 */
static void *stop_context(void *arg)
{
    struct listener *l = arg;
    visits_wait_answered(&l->visits, l->stop_ms);
    visits_cut(&l->visits, VISITS_IDLE);
    int64_t until_ms = clock_mono_ms() + LISTENER_STOP_MS;
    visits_wait_closed(&l->visits, until_ms < l->stop_ms ? until_ms : l->stop_ms);
    visits_cut(&l->visits, VISITS_ALL);
    door_wake(&l->door);
    mg_stop(l->context);
    return NULL;
}

void listener_begin_stop(struct listener *l, int64_t grace_ms)
{
    if (!l || l->stopping) return;
    l->stop_ms = clock_mono_ms() + (grace_ms > LISTENER_STOP_MS ? grace_ms - LISTENER_STOP_MS : 0);
    atomic_store(&l->draining, true);
    door_shut(&l->door);
    l->stopping = pthread_create(&l->stopper, NULL, stop_context, l) == 0;
}

void listener_stop(struct listener *l)
{
    if (!l) return;
    if (l->stopping)
        (void)pthread_join(l->stopper, NULL);
    else
        (void)stop_context(l);
    release(l);
}
