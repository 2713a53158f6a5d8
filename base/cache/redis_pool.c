/* The pool of connections to a Redis server. */
#include "base/cache/redis_pool.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct redis_pool {
    struct redis_url url;
    unsigned size_max;
    int64_t timeout_ms;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a connection came back, or a slot became free */
    redisContext **idle;    /* the last used is the next used */
    unsigned idle_count, open_count;
    unsigned failures; /* in a row; 0: all is well */
    bool probing;      /* after a pause one call tries, the others still fail at once */
    int64_t retry_ms;  /* monotonic: the pause ends */
};

/* ---- commands ---- */

void redis_arg_bytes(struct redis_command *c, struct cache_bytes bytes)
{
    CHECK(c->count < REDIS_ARGS_MAX);
    c->args[c->count] = bytes.data ? bytes.data : "";
    c->sizes[c->count++] = bytes.size;
}

void redis_arg_text(struct redis_command *c, const char *text)
{
    redis_arg_bytes(c, (struct cache_bytes){text, strlen(text)});
}

void redis_arg_number(struct redis_command *c, int64_t number)
{
    CHECK(c->number_count < REDIS_NUMBERS_MAX);
    char *text = c->numbers[c->number_count++];
    (void)snprintf(text, sizeof c->numbers[0], "%" PRId64, number);
    redis_arg_text(c, text);
}

/* ---- one connection ---- */

static enum err wait_for(const redisContext *redis, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - clock_mono_ms();
        struct pollfd p = {.fd = redis->fd, .events = events};
        int ready = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
        if (ready > 0) return OK; /* an error shows itself in what follows */
        if (ready == 0) return ERR_UNAVAILABLE;
        if (errno != EINTR) return ERR_UNAVAILABLE;
    }
}

static enum err send_all(const redisContext *redis, const char *data, size_t size,
                         int64_t deadline_ms)
{
    while (size > 0) {
        ssize_t sent = send(redis->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EINTR && errno != EAGAIN) return ERR_UNAVAILABLE;
        if (sent < 0 && wait_for(redis, POLLOUT, deadline_ms)) return ERR_UNAVAILABLE;
        if (sent < 0) continue;
        data += sent;
        size -= (size_t)sent;
    }
    return OK;
}

static enum err receive(redisContext *redis, int64_t deadline_ms, redisReply **ret)
{
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) return ERR_UNAVAILABLE;
        if (reply) {
            *ret = reply;
            return OK;
        }
        if (wait_for(redis, POLLIN, deadline_ms)) return ERR_UNAVAILABLE;
        if (redisBufferRead(redis) != REDIS_OK) return ERR_UNAVAILABLE;
    }
}

static enum err send_commands(const redisContext *redis, const struct redis_command *commands,
                              size_t count, int64_t deadline_ms)
{
    AUTO_BUF struct buf out;
    buf_init(&out, count * (CACHE_FULL_KEY_MAX + 2 * CACHE_VALUE_MAX));
    for (size_t i = 0; i < count; i++) {
        struct redis_command c = commands[i];
        char *text = NULL;
        int size = redisFormatCommandArgv(&text, c.count, c.args, c.sizes);
        if (size < 0) return ERR_NO_MEMORY;
        (void)buf_add(&out, text, (size_t)size);
        redisFreeCommand(text);
    }
    if (out.error) return out.error;
    return send_all(redis, out.data, out.size, deadline_ms);
}

/* All commands leave in one write; then their replies are awaited. On failure none is returned. */
static enum err exchange(redisContext *redis, const struct redis_command *commands, size_t count,
                         int64_t deadline_ms, redisReply **ret)
{
    size_t got = 0;
    enum err e = send_commands(redis, commands, count, deadline_ms);
    while (!e && got < count) {
        e = receive(redis, deadline_ms, &ret[got]);
        if (!e) got++;
    }
    while (e && got > 0)
        freeReplyObject(ret[--got]);
    return e;
}

/* Logs in and selects the database, in one round trip. */
static enum err greet(redisContext *redis, const struct redis_url *url, int64_t deadline_ms)
{
    struct redis_command commands[2] = {0};
    redisReply *replies[2];
    size_t count = 0;
    if (*url->password) {
        struct redis_command *c = &commands[count++];
        redis_arg_text(c, "AUTH");
        if (*url->user) redis_arg_text(c, url->user);
        redis_arg_text(c, url->password);
    }
    if (url->db) {
        struct redis_command *c = &commands[count++];
        redis_arg_text(c, "SELECT");
        redis_arg_number(c, url->db);
    }
    enum err e = count ? exchange(redis, commands, count, deadline_ms, replies) : OK;
    if (e) return e;
    for (size_t i = 0; i < count; i++) {
        if (replies[i]->type == REDIS_REPLY_ERROR) e = ERR_UNAVAILABLE;
        freeReplyObject(replies[i]);
    }
    return e;
}

static enum err finish_connect(redisContext *redis, const struct redis_url *url,
                               int64_t deadline_ms)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (wait_for(redis, POLLOUT, deadline_ms)) return ERR_UNAVAILABLE;
    if (getsockopt(redis->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
        return ERR_UNAVAILABLE;
    if (redisEnableKeepAlive(redis) != REDIS_OK) return ERR_UNAVAILABLE;
    return greet(redis, url, deadline_ms);
}

static enum err open_connection(const struct redis_url *url, int64_t deadline_ms,
                                redisContext **ret)
{
    redisContext *redis = redisConnectNonBlock(url->host, url->port);
    if (!redis) return ERR_NO_MEMORY;
    enum err e = redis->err ? ERR_UNAVAILABLE : finish_connect(redis, url, deadline_ms);
    if (e)
        redisFree(redis);
    else
        *ret = redis;
    return e;
}

/* An idle connection has nothing to read: not even its end. */
static bool is_alive(const redisContext *redis)
{
    char byte;
    ssize_t size = recv(redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size < 0 && (errno == EAGAIN || errno == EINTR);
}

/* ---- the pool ---- */

enum err redis_pool_new(const struct redis_url *url, unsigned pool_max, int64_t timeout_ms,
                        struct redis_pool **ret)
{
    AUTO_FREE struct redis_pool *p = calloc(1, sizeof *p);
    if (!p) return ERR_NO_MEMORY;
    p->url = *url;
    p->size_max = pool_max ? pool_max : REDIS_POOL_DEFAULT;
    p->timeout_ms = timeout_ms ? timeout_ms : REDIS_TIMEOUT_DEFAULT_MS;
    p->idle = calloc(p->size_max, sizeof(*p->idle));
    if (!p->idle) return ERR_NO_MEMORY;

    pthread_condattr_t monotonic;
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&p->changed, &monotonic) == 0);
    CHECK(pthread_condattr_destroy(&monotonic) == 0);
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    *ret = TAKE(p);
    return OK;
}

/* Under the lock. */
static void close_idle(struct redis_pool *p)
{
    while (p->idle_count > 0) {
        redisFree(p->idle[--p->idle_count]);
        p->open_count--;
    }
}

void redis_pool_free(struct redis_pool *p)
{
    if (!p) return;
    close_idle(p);
    CHECK(p->open_count == 0);
    CHECK(pthread_cond_destroy(&p->changed) == 0);
    CHECK(pthread_mutex_destroy(&p->lock) == 0);
    free(p->idle);
    free(p);
}

/* Under the lock: after a failure all calls fail at once; after the pause one tries, as the probe.
 */
static bool is_paused(const struct redis_pool *p)
{
    return p->failures && (p->probing || clock_mono_ms() < p->retry_ms);
}

static enum err take_slot(struct redis_pool *p, int64_t deadline_ms, redisContext **ret,
                          bool *ret_probe)
{
    const struct timespec deadline = {.tv_sec = deadline_ms / 1000,
                                      .tv_nsec = deadline_ms % 1000 * 1000000};
    for (;;) {
        if (is_paused(p)) return ERR_UNAVAILABLE;
        if (p->idle_count > 0 || p->open_count < p->size_max) break;
        if (pthread_cond_timedwait(&p->changed, &p->lock, &deadline) == ETIMEDOUT)
            return ERR_UNAVAILABLE;
    }
    if (p->failures) *ret_probe = p->probing = true;
    if (p->idle_count > 0)
        *ret = p->idle[--p->idle_count];
    else
        p->open_count++;
    return OK;
}

static void give_back(struct redis_pool *p, redisContext *redis, enum err e, bool probe)
{
    CHECK(pthread_mutex_lock(&p->lock) == 0);
    if (probe) p->probing = false;
    if (!e) {
        p->idle[p->idle_count++] = redis;
        p->failures = 0;
    } else {
        if (redis) redisFree(redis);
        p->open_count--;
    }
    if (e == ERR_UNAVAILABLE && (probe || !p->failures)) { /* else it failed together with others */
        int64_t pause_ms = REDIS_BACKOFF_MIN_MS;
        for (unsigned i = 0; i < p->failures && pause_ms < REDIS_BACKOFF_MAX_MS; i++)
            pause_ms *= 2;
        if (pause_ms > REDIS_BACKOFF_MAX_MS) pause_ms = REDIS_BACKOFF_MAX_MS;
        p->failures++;
        p->retry_ms = clock_mono_ms() + pause_ms;
        close_idle(p);
    }
    if (e)
        CHECK(pthread_cond_broadcast(&p->changed) == 0);
    else
        CHECK(pthread_cond_signal(&p->changed) == 0);
    CHECK(pthread_mutex_unlock(&p->lock) == 0);
}

/* A master that became a replica: its name may lead to the new master now. */
static bool is_demoted(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "READONLY");
}

enum err redis_pool_run(struct redis_pool *p, const struct redis_command *command, redisReply **ret)
{
    int64_t deadline_ms = clock_mono_ms() + p->timeout_ms;
    redisContext *redis = NULL;
    bool probe = false;
    CHECK(pthread_mutex_lock(&p->lock) == 0);
    enum err e = take_slot(p, deadline_ms, &redis, &probe);
    CHECK(pthread_mutex_unlock(&p->lock) == 0);
    if (e) return e;

    if (redis && !is_alive(redis)) {
        redisFree(redis);
        redis = NULL;
    }
    redisReply *reply = NULL;
    if (!redis) e = open_connection(&p->url, deadline_ms, &redis);
    if (!e) e = exchange(redis, command, 1, deadline_ms, &reply);
    if (!e && is_demoted(reply)) {
        freeReplyObject(reply);
        e = ERR_UNAVAILABLE;
    }
    give_back(p, redis, e, probe);
    if (!e) *ret = reply;
    return e;
}
