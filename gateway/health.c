/* Health: asked of the parts by rpc.Health/Check, told as JSON. */
#include "health.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/metrics.h"
#include "gateway.pb-c.h"
#include "rpc.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_MAX       65536
#define METRICS_TEXT_MAX (4 * 1024 * 1024)

/* What was seen of a dependency. */
struct seen {
    bool serves;
    char detail[ERR_DETAIL_MAX]; /* why not */
};

struct health {
    struct calls *calls;
    struct cache *cache;
    struct hub *hub;
    int64_t started_ms;
    atomic_bool draining;
    pthread_mutex_t look_lock; /* who has it looks; the others take what was seen last */
    pthread_mutex_t lock;      /* of what was seen last */
    int64_t looked_ms;
    struct seen parts[PARTS_MAX], of_cache;
};

enum err health_new(struct calls *calls, struct cache *cache, struct hub *hub, struct health **ret)
{
    struct health *h = calloc(1, sizeof *h);
    if (!h) return ERR_NO_MEMORY;
    h->calls = calls;
    h->cache = cache;
    h->hub = hub;
    h->started_ms = clock_mono_ms();
    h->looked_ms = -HEALTH_KEPT_MS;
    (void)pthread_mutex_init(&h->look_lock, NULL);
    (void)pthread_mutex_init(&h->lock, NULL);
    *ret = h;
    return OK;
}

void health_free(struct health *h)
{
    if (!h) return;
    (void)pthread_mutex_destroy(&h->look_lock);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}

void health_drain(struct health *h)
{
    atomic_store(&h->draining, true);
}

static struct seen seen(enum err e, const char *detail)
{
    struct seen s = {.serves = !e};
    if (e) (void)snprintf(s.detail, sizeof s.detail, "%s", *detail ? detail : err_text(e));
    return s;
}

static struct seen ask(struct rpc_client *client)
{
    if (!rpc_client_ready(client)) return seen(ERR_UNAVAILABLE, "it cannot be reached");
    Rpc__HealthCheckRequest request = RPC__HEALTH_CHECK_REQUEST__INIT;
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + HEALTH_TIMEOUT_MS};
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(client, "rpc.Health/Check", &request.base, &options, &reply, NULL);
    const Rpc__HealthCheckResponse *response = (const Rpc__HealthCheckResponse *)reply;
    if (!e && response->status != RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
        e = ERR_UNAVAILABLE;
    struct seen s = seen(e, response ? response->detail : "");
    protobuf_c_message_free_unpacked(reply, NULL);
    return s;
}

static void look(struct health *h)
{
    struct seen parts[PARTS_MAX];
    size_t count = calls_count(h->calls);
    for (size_t i = 0; i < count; i++) {
        struct rpc_client *client = NULL;
        (void)calls_part(h->calls, i, &client);
        parts[i] = ask(client);
    }
    struct seen cache = seen(cache_ping(h->cache), "");
    (void)pthread_mutex_lock(&h->lock);
    memcpy(h->parts, parts, count * sizeof parts[0]);
    h->of_cache = cache;
    h->looked_ms = clock_mono_ms();
    (void)pthread_mutex_unlock(&h->lock);
}

/* However many ask, the parts are asked twice a second, and only one waits for a part that hangs.
 */
static void look_if_old(struct health *h)
{
    if (pthread_mutex_trylock(&h->look_lock)) return;
    (void)pthread_mutex_lock(&h->lock);
    bool old = clock_mono_ms() - h->looked_ms >= HEALTH_KEPT_MS;
    (void)pthread_mutex_unlock(&h->lock);
    if (old) look(h);
    (void)pthread_mutex_unlock(&h->look_lock);
}

enum err health_ready(struct health *h, struct err_detail *detail)
{
    if (atomic_load(&h->draining)) return err_set(detail, ERR_UNAVAILABLE, "draining");
    enum err e = OK;
    look_if_old(h);
    (void)pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < calls_count(h->calls) && !e; i++) {
        struct rpc_client *client = NULL;
        const char *part = calls_part(h->calls, i, &client);
        if (!h->parts[i].serves) e = err_set(detail, ERR_UNAVAILABLE, "%s does not serve", part);
    }
    if (!e && !h->of_cache.serves) e = err_set(detail, ERR_UNAVAILABLE, "the cache is away");
    (void)pthread_mutex_unlock(&h->lock);
    return e;
}

/* ---- answers ---- */

static void answer(struct http_exchange *x, int status, const char *text)
{
    AUTO_BUF struct buf out;
    buf_init(&out, REPORT_MAX);
    (void)buf_add_text(&out, "{\"status\":");
    (void)json_add_string(&out, text, strlen(text));
    (void)buf_add_char(&out, '}');
    http_answer(x, status, "application/json", out.data, out.size);
}

/* What was seen last, the cache behind the parts; returns how many. */
static size_t copy_seen(struct health *h, struct seen ret[static PARTS_MAX + 1])
{
    size_t count = calls_count(h->calls);
    (void)pthread_mutex_lock(&h->lock);
    memcpy(ret, h->parts, count * sizeof ret[0]);
    ret[count] = h->of_cache;
    (void)pthread_mutex_unlock(&h->lock);
    return count + 1;
}

static void fill_dependencies(const struct health *h, struct seen *seen, size_t count,
                              Gateway__Dependency *ret)
{
    for (size_t i = 0; i < count; i++) {
        struct rpc_client *client = NULL;
        gateway__dependency__init(&ret[i]);
        ret[i].name = (char *)(i < count - 1 ? calls_part(h->calls, i, &client) : "cache");
        ret[i].status = (char *)(seen[i].serves ? "SERVING" : "NOT_SERVING");
        ret[i].detail = seen[i].detail;
    }
}

static void handle_ready(struct health *h, struct http_exchange *x)
{
    struct err_detail detail = {0};
    enum err e = health_ready(h, &detail);
    answer(x, e ? 503 : 200, e ? detail.text : "ready");
}

/* The contract's gateway.Status; its dependencies and counts only for those who may know. */
static void answer_status(struct health *h, struct http_exchange *x, bool details)
{
    struct seen seen[PARTS_MAX + 1];
    Gateway__Dependency dependencies[PARTS_MAX + 1], *pointers[PARTS_MAX + 1];
    Gateway__Status status = GATEWAY__STATUS__INIT;
    struct hub_stats hub = {0};
    AUTO_BUF struct buf out;
    buf_init(&out, REPORT_MAX);
    enum err e = health_ready(h, NULL);
    hub_stats(h->hub, &hub);
    status.status = (char *)(e ? "NOT_SERVING" : "SERVING");
    status.version = (char *)TRADEPOST_VERSION;
    status.uptime_s = (uint64_t)(clock_mono_ms() - h->started_ms) / 1000;
    status.dependencies = pointers;
    if (details) {
        status.connections = (uint32_t)hub.connections;
        status.n_dependencies = copy_seen(h, seen);
        fill_dependencies(h, seen, status.n_dependencies, dependencies);
        for (size_t i = 0; i < status.n_dependencies; i++)
            pointers[i] = &dependencies[i];
    }
    if (json_write(&status.base, &out))
        http_problem_text(x, ERR_INTERNAL, "the status does not fit");
    else
        http_answer(x, e ? 503 : 200, "application/json", out.data, out.size);
}

void health_handle_public(struct health *h, struct http_exchange *x, bool details)
{
    answer_status(h, x, details);
}

static void handle_metrics(struct health *h, struct http_exchange *x)
{
    AUTO_BUF struct buf out;
    buf_init(&out, METRICS_TEXT_MAX);
    hub_metrics(h->hub);
    if (metrics_write(&out))
        http_problem_text(x, ERR_INTERNAL, "the metrics do not fit");
    else
        http_answer(x, 200, "text/plain; version=0.0.4", out.data, out.size);
}

bool health_handle_internal(struct health *h, struct http_exchange *x)
{
    const char *path = http_path(x);
    if (strcmp(http_verb(x), "GET") != 0) return false;
    if (strcmp(path, "/healthz") == 0)
        answer(x, 200, "alive");
    else if (strcmp(path, "/readyz") == 0)
        handle_ready(h, x);
    else if (strcmp(path, "/health") == 0)
        answer_status(h, x, true);
    else if (strcmp(path, "/metrics") == 0)
        handle_metrics(h, x);
    else
        return false;
    return true;
}
