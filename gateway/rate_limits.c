/* Counting, here or in the shared cache. */
#include "rate_limits.h"

#include "base/log.h"
#include "base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct limits {
    struct cache *shared, *local;
    atomic_bool alone; /* the shared one was away when it was last asked */
    struct gauge *alone_gauge;
    struct counter *refused;
    pthread_rwlock_t lock; /* of the rules */
    struct limits_rules rules;
};

enum err limits_new(const struct limits_rules *rules, struct cache *cache, struct limits **ret)
{
    struct limits *l = calloc(1, sizeof *l);
    if (!l) return ERR_NO_MEMORY;
    enum err e = cache_open(&(struct cache_options){.url = "memory:limits"}, &l->local, NULL);
    if (e) {
        free(l);
        return e;
    }
    l->shared = cache;
    l->rules = *rules;
    l->alone_gauge =
        metrics_gauge("tradepost_gateway_limits_local",
                      "1: the shared cache is away, rate limits are counted here only.", NULL);
    l->refused = metrics_counter("tradepost_gateway_limited_total",
                                 "Calls that a rate limit refused.", NULL);
    atomic_init(&l->alone, false);
    gauge_set(l->alone_gauge, 0);
    (void)pthread_rwlock_init(&l->lock, NULL);
    *ret = l;
    return OK;
}

void limits_free(struct limits *l)
{
    if (!l) return;
    cache_close(l->local);
    (void)pthread_rwlock_destroy(&l->lock);
    free(l);
}

void limits_set(struct limits *l, const struct limits_rules *rules)
{
    (void)pthread_rwlock_wrlock(&l->lock);
    l->rules = *rules;
    (void)pthread_rwlock_unlock(&l->lock);
}

static void note(struct limits *l, enum err e)
{
    bool alone = e != OK;
    if (atomic_load(&l->alone) == alone || atomic_exchange(&l->alone, alone) == alone) return;
    gauge_set(l->alone_gauge, alone);
    if (alone)
        LOG_LINE(LOG_WARN, "gateway", "rate limits are counted here only: the cache is away",
                 LOG_TEXT("error", err_word(e)));
    else
        LOG_LINE(LOG_INFO, "gateway", "rate limits are counted in the cache again");
}

/* A call takes part in what the cache says, and in its own windows only while that says nothing. */
static enum err count(struct limits *l, const char *key, const struct cache_rule *rule,
                      int64_t cost, struct cache_window *ret)
{
    enum err e = cache_hits(l->shared, key, rule, cost, ret);
    bool said = e == OK || e == ERR_EXHAUSTED;
    note(l, said ? OK : e);
    return said ? e : cache_hits(l->local, key, rule, cost, ret);
}

enum err limits_count(struct limits *l, const struct limits_caller *caller, unsigned class,
                      int64_t cost, struct limits_verdict *ret)
{
    char key[LIMITS_KEY_SIZE];
    struct cache_rule rule;
    struct cache_window window = {0};
    (void)pthread_rwlock_rdlock(&l->lock);
    bool limited = limits_choose(&l->rules, caller, class, key, &rule);
    (void)pthread_rwlock_unlock(&l->lock);
    *ret = (struct limits_verdict){.counted = limited};
    if (!limited) return OK;
    ret->limit = rule.limit;
    ret->window_ms = rule.window_ms;
    enum err e = cost > rule.limit ? ERR_RANGE : count(l, key, &rule, cost, &window);
    if (e) counter_add(l->refused, 1);
    ret->remaining = window.remaining;
    ret->reset_ms = window.reset_ms;
    return !e || e == ERR_EXHAUSTED || e == ERR_RANGE ? e : ERR_UNAVAILABLE;
}

int64_t limits_seconds(int64_t ms)
{
    return (ms + 999) / 1000;
}

void limits_explain(const struct limits_verdict *verdict, char ret[static LIMITS_TEXT_SIZE])
{
    (void)snprintf(ret, LIMITS_TEXT_SIZE, "at most %lld in %lld s; try again in %lld s",
                   (long long)verdict->limit, (long long)limits_seconds(verdict->window_ms),
                   (long long)limits_seconds(verdict->reset_ms));
}
