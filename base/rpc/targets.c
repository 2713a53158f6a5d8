/*
 * The addresses of a client: parsed, looked up again every ten seconds, one replica each; and the
 * housekeeper, the one thread of a client, which does all of it that may block.
 */
#include "base/clock.h"
#include "base/crypt.h"
#include "base/rpc/client_state.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RESOLVE_EVERY_MS       10000
#define HOUSEKEEPER_STACK_SIZE (512 * 1024)

/* ---- URLs ---- */

/* "host:port" or "[v6]:port" in two. */
static bool split_host(const char *text, struct target *t)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !colon[1] || strlen(colon + 1) >= sizeof t->port) return false;
    if (colon[1 + strspn(colon + 1, "0123456789")]) return false;
    size_t size = (size_t)(colon - text);
    if (size > 1 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (!size) return false;
    (void)snprintf(t->host, sizeof t->host, "%.*s", (int)size, text);
    (void)snprintf(t->port, sizeof t->port, "%s", colon + 1);
    return true;
}

static bool is_address(const char *host)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static enum err parse_target(const char *url, const struct rpc_tls *tls, struct target *t,
                             struct err_detail *detail)
{
    if (!url || !socket_url_is_known(url))
        return err_set(detail, ERR_INVALID, "%.100s: an address is inproc://, tcp:// or tls+tcp://",
                       url ? url : "");
    (void)snprintf(t->url, sizeof t->url, "%s", url);
    const char *rest = strstr(url, "://") + 3;
    if (strncmp(url, "inproc", 6) == 0) return OK;
    (void)snprintf(t->scheme, sizeof t->scheme, "%.*s", (int)(rest - url), url);
    if (!split_host(rest, t))
        return err_set(detail, ERR_INVALID, "%.100s: an address ends with host:port", url);
    t->named = !is_address(t->host);
    if (!socket_url_is_tls(url)) return OK;
    if (!tls) return err_set(detail, ERR_INVALID, "%.100s needs certificates", url);
    return socket_tls(tls, t->host, &t->tls, detail);
}

/* ---- replicas come and go; on the housekeeper's thread or before it ---- */

static struct replica *find_replica(struct rpc_client *c, size_t target, const char *url)
{
    for (size_t i = 0; i < c->replica_count; i++)
        if (c->replicas[i]->target == target && strcmp(c->replicas[i]->url, url) == 0)
            return c->replicas[i];
    return NULL;
}

/* Only the housekeeper adds and removes, so it may read the list without the lock. */
static enum err add_replica(struct rpc_client *c, size_t target, const char *url)
{
    struct replica *r = find_replica(c, target, url);
    if (r) {
        pthread_mutex_lock(&c->lock);
        r->gone = false;
        pthread_mutex_unlock(&c->lock);
        return OK;
    }
    if (c->replica_count == RPC_REPLICAS_MAX) return ERR_EXHAUSTED;
    enum err e = replica_new(c, target, url, c->targets[target].tls, &r);
    if (e) return e;
    pthread_mutex_lock(&c->lock);
    c->replicas[c->replica_count++] = r;
    pthread_mutex_unlock(&c->lock);
    return OK;
}

static void address_url(const struct target *t, const struct addrinfo *a, char *ret,
                        size_t ret_size)
{
    char host[INET6_ADDRSTRLEN] = "";
    (void)getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    if (a->ai_family == AF_INET6)
        (void)snprintf(ret, ret_size, "%s[%s]:%s", t->scheme, host, t->port);
    else
        (void)snprintf(ret, ret_size, "%s%s:%s", t->scheme, host, t->port);
}

/* A name that cannot be looked up keeps the replicas that it had. */
static void resolve(struct rpc_client *c, size_t target)
{
    const struct target *t = &c->targets[target];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    if (getaddrinfo(t->host, t->port, &hints, &found) || !found) return;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->replica_count; i++)
        if (c->replicas[i]->target == target) c->replicas[i]->gone = true;
    pthread_mutex_unlock(&c->lock);
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        char url[SOCKET_URL_MAX];
        address_url(t, a, url, sizeof url);
        (void)add_replica(c, target, url); /* beyond the limit, or no memory: again next time */
    }
    freeaddrinfo(found);
}

static void resolve_all(struct rpc_client *c)
{
    for (size_t i = 0; i < c->target_count; i++)
        if (c->targets[i].named) resolve(c, i);
}

/* One that has gone and is idle; taken out of the list. */
static struct replica *take_gone(struct rpc_client *c)
{
    struct replica *found = NULL;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; !found && i < c->replica_count; i++) {
        if (!c->replicas[i]->gone || c->replicas[i]->inflight) continue;
        found = c->replicas[i];
        c->replicas[i] = c->replicas[--c->replica_count];
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* ---- the housekeeper ---- */

void client_pipe_event(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct replica *r = arg;
    struct rpc_client *c = r->client;
    int id = nng_pipe_id(pipe);
    pthread_mutex_lock(&c->lock);
    if (event == NNG_PIPE_EV_ADD_POST) {
        /* A connection that breaks at once may be removed before it has been added. */
        if (id != r->pipe_removed) {
            r->pipe = id;
            c->connected_once = true;
        }
    } else {
        r->pipe_removed = id;
        if (r->pipe == id) r->pipe = 0;
    }
    c->pipes_changed = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* Holding the lock. */
static void abort_unsent(struct rpc_client *c)
{
    for (size_t i = 0; i < c->replica_count; i++)
        if (c->replicas[i]->pipe == 0) replica_abort_unsent(c->replicas[i]);
}

/* Waits for something to do; false: the client closes. */
static bool wait_for_work(struct rpc_client *c, int64_t resolve_ms)
{
    pthread_mutex_lock(&c->lock);
    int result = 0;
    while (!c->closing && !c->pipes_changed && result == 0) {
        int64_t until_ms = c->wake_ms < resolve_ms ? c->wake_ms : resolve_ms;
        if (until_ms == INT64_MAX) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        if (until_ms <= clock_mono_ms()) break;
        struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
        result = pthread_cond_timedwait(&c->changed, &c->lock, &until);
    }
    if (c->pipes_changed) abort_unsent(c);
    c->pipes_changed = false;
    bool closing = c->closing;
    pthread_mutex_unlock(&c->lock);
    return !closing;
}

static void *keep_house(void *arg)
{
    struct rpc_client *c = arg;
    thread_name("rpc-client");
    bool named = false;
    for (size_t i = 0; i < c->target_count; i++)
        named |= c->targets[i].named;
    int64_t resolve_ms = named ? 0 : INT64_MAX;
    do {
        if (clock_mono_ms() >= resolve_ms) {
            resolve_all(c);
            resolve_ms = clock_mono_ms() + RESOLVE_EVERY_MS;
        }
        client_wake_due(c);
        for (struct replica *gone = take_gone(c); gone; gone = take_gone(c))
            if (!replica_free(gone, client_abandon)) c->hangs = true;
    } while (wait_for_work(c, resolve_ms));
    client_wake_due(c);
    return NULL;
}

static enum err start_housekeeper(struct rpc_client *c)
{
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, HOUSEKEEPER_STACK_SIZE) == 0);
    c->has_housekeeper = pthread_create(&c->housekeeper, &attributes, keep_house, c) == 0;
    (void)pthread_attr_destroy(&attributes);
    return c->has_housekeeper ? OK : ERR_NO_MEMORY;
}

/* ---- life ---- */

static void init_client(struct rpc_client *c, const struct rpc_client_options *o)
{
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&c->changed, &attributes) == 0);
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    (void)pthread_condattr_destroy(&attributes);
    c->has_key = o->principal_key != NULL;
    if (c->has_key) c->key = *o->principal_key;
    crypt_random(&c->id_hi, sizeof c->id_hi);
    crypt_random(&c->random, sizeof c->random);
    c->random |= 1;
    atomic_init(&c->next_id_lo, 1);
    c->budget = 100;
    c->wake_ms = INT64_MAX;
    char labels[RPC_NAME_MAX + 16];
    (void)snprintf(labels, sizeof labels, "client=\"%.63s\"", o->name);
    c->retries =
        metrics_counter("tradepost_rpc_client_retries_total", "Attempts after the first.", labels);
}

static enum err add_targets(struct rpc_client *c, const struct rpc_client_options *o,
                            struct err_detail *detail)
{
    if (!o->url_count || o->url_count > RPC_REPLICAS_MAX)
        return err_set(detail, ERR_INVALID, "%s: 1 to %d addresses, not %zu", o->name,
                       RPC_REPLICAS_MAX, o->url_count);
    for (size_t i = 0; i < o->url_count; i++) {
        struct target *t = &c->targets[c->target_count++];
        enum err e = parse_target(o->urls[i], o->tls, t, detail);
        if (!e && !t->named) e = add_replica(c, i, t->url);
        if (e == ERR_INVALID && t->url[0] && detail && !detail->text[0])
            (void)err_set(detail, e, "%.100s: not an address", t->url);
        if (e) return e;
    }
    return OK;
}

enum err rpc_client_new(const struct rpc_client_options *options, struct rpc_client **ret,
                        struct err_detail *detail)
{
    CHECK(options->name);
    struct rpc_client *c = calloc(1, sizeof *c);
    if (!c) return ERR_NO_MEMORY;
    init_client(c, options);
    enum err e = add_targets(c, options, detail);
    if (!e) e = start_housekeeper(c);
    if (e) {
        rpc_client_free(c);
        return e;
    }
    *ret = c;
    return OK;
}

bool rpc_client_ready(const struct rpc_client *client)
{
    struct rpc_client *c = (struct rpc_client *)client;
    int64_t now_ms = clock_mono_ms();
    bool ready = false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; !ready && i < c->replica_count; i++)
        ready = replica_usable(c->replicas[i], now_ms);
    pthread_mutex_unlock(&c->lock);
    return ready;
}

void rpc_client_free(struct rpc_client *c)
{
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (c->has_housekeeper) (void)pthread_join(c->housekeeper, NULL);
    for (size_t i = 0; i < c->replica_count; i++)
        if (!replica_free(c->replicas[i], client_abandon)) c->hangs = true;
    client_wake_due(c);
    if (c->hangs) return;
    for (size_t i = 0; i < c->target_count; i++)
        if (c->targets[i].tls) nng_tls_config_free(c->targets[i].tls);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}
