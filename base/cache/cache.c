/* Checks what callers give, adds the prefix, and hands over to the driver that the URL names. */
#include "base/cache/cache.h"

#include "base/cache/cache_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cache_ops *const drivers[] = {&cache_memory_ops, &cache_redis_ops};

struct cache {
    const struct cache_ops *ops;
    void *driver;
    size_t prefix_size;
    char prefix[CACHE_PREFIX_MAX + 1];
};

enum err cache_open(const struct cache_options *options, struct cache **ret,
                    struct err_detail *detail)
{
    const struct cache_ops *ops = NULL;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (!strncmp(options->url, drivers[i]->scheme, strlen(drivers[i]->scheme)))
            ops = drivers[i];
    if (!ops) return err_set(detail, ERR_INVALID, "a cache URL starts with memory: or redis://");
    const char *prefix = options->key_prefix ? options->key_prefix : "tp:";
    if (strlen(prefix) > CACHE_PREFIX_MAX)
        return err_set(detail, ERR_INVALID, "a key prefix has at most %d bytes", CACHE_PREFIX_MAX);

    AUTO_FREE struct cache *c = calloc(1, sizeof *c);
    if (!c) return ERR_NO_MEMORY;
    c->ops = ops;
    c->prefix_size = strlen(prefix);
    memcpy(c->prefix, prefix, c->prefix_size + 1);
    enum err e = ops->open(options, &c->driver, detail);
    if (e) return e;
    *ret = TAKE(c);
    return OK;
}

void cache_close(struct cache *c)
{
    if (!c) return;
    c->ops->close(c->driver);
    free(c);
}

enum err cache_ping(struct cache *c)
{
    return c->ops->ping(c->driver);
}

/* ---- keys ---- */

struct full_key {
    char text[CACHE_FULL_KEY_MAX];
    struct cache_bytes bytes; /* of text */
};

static enum err make_key(const struct cache *c, const char *key, struct full_key *ret)
{
    size_t size = strnlen(key, CACHE_KEY_MAX + 1);
    if (size == 0 || size > CACHE_KEY_MAX) return ERR_INVALID;
    memcpy(ret->text, c->prefix, c->prefix_size);
    memcpy(ret->text + c->prefix_size, key, size);
    ret->bytes = (struct cache_bytes){ret->text, c->prefix_size + size};
    return OK;
}

static enum err check_expiry(int64_t expire_ms)
{
    return expire_ms > 0 && expire_ms <= CACHE_EXPIRE_MAX_MS ? OK : ERR_INVALID;
}

/* ---- strings ---- */

static enum err put(struct cache *c, const char *key, const struct cache_put *values)
{
    struct full_key full;
    struct cache_put p = *values;
    enum err e = make_key(c, key, &full);
    if (!e) e = check_expiry(p.expire_ms);
    if (e) return e;
    if (p.value.size > CACHE_VALUE_MAX) return ERR_INVALID;
    p.key = full.bytes;
    return c->ops->put(c->driver, &p);
}

enum err cache_set(struct cache *c, const char *key, const void *value, size_t size,
                   int64_t expire_ms)
{
    return put(c, key, &(struct cache_put){.value = {value, size}, .expire_ms = expire_ms});
}

enum err cache_add(struct cache *c, const char *key, const void *value, size_t size,
                   int64_t expire_ms)
{
    const struct cache_put values = {
        .value = {value, size}, .expire_ms = expire_ms, .only_if_absent = true};
    return put(c, key, &values);
}

enum err cache_get(struct cache *c, const char *key, struct buf *ret)
{
    struct full_key full;
    enum err e = make_key(c, key, &full);
    return e ? e : c->ops->get(c->driver, full.bytes, ret);
}

enum err cache_delete(struct cache *c, const char *key)
{
    struct full_key full;
    enum err e = make_key(c, key, &full);
    return e ? e : c->ops->remove(c->driver, full.bytes);
}

enum err cache_delete_if(struct cache *c, const char *key, const void *value, size_t size)
{
    struct full_key full;
    enum err e = make_key(c, key, &full);
    if (e) return e;
    if (size > CACHE_VALUE_MAX) return ERR_INVALID;
    return c->ops->delete_if(c->driver, full.bytes, (struct cache_bytes){value, size});
}

/* ---- counters ---- */

enum err cache_increment(struct cache *c, const char *key, int64_t by, int64_t expire_ms,
                         int64_t *ret_value)
{
    struct full_key full;
    enum err e = make_key(c, key, &full);
    if (!e) e = check_expiry(expire_ms);
    return e ? e : c->ops->increment(c->driver, full.bytes, by, expire_ms, ret_value);
}

enum err cache_hits(struct cache *c, const char *key, const struct cache_rule *rule, int64_t hits,
                    struct cache_window *ret)
{
    struct full_key full;
    struct cache_counts counts;
    const struct cache_ask ask = {.hits = hits, .need = hits ? hits : 1, .rule = *rule};
    enum err e = make_key(c, key, &full);
    if (e) return e;
    if (rule->limit < 1 || rule->limit > CACHE_LIMIT_MAX) return ERR_INVALID;
    if (rule->window_ms < 1 || rule->window_ms > CACHE_WINDOW_MAX_MS) return ERR_INVALID;
    if (hits < 0 || hits > rule->limit) return ERR_INVALID;
    e = c->ops->hit(c->driver, full.bytes, &ask, &counts);
    if (e) return e == ERR_EXHAUSTED ? ERR_FULL : e;
    cache_window_tell(&counts, &ask, ret);
    return counts.allowed ? OK : ERR_EXHAUSTED;
}

enum err cache_hit(struct cache *c, const char *key, int64_t limit, int64_t window_ms,
                   struct cache_window *ret)
{
    return cache_hits(c, key, &(struct cache_rule){limit, window_ms}, 1, ret);
}

/* ---- sorted sets ---- */

static int64_t clamp_score(int64_t score)
{
    if (score < -CACHE_SCORE_MAX) return -CACHE_SCORE_MAX;
    return score > CACHE_SCORE_MAX ? CACHE_SCORE_MAX : score;
}

static enum err check_member(const char *member, struct cache_bytes *ret)
{
    size_t size = strnlen(member, CACHE_VALUE_MAX + 1);
    if (size > CACHE_VALUE_MAX) return ERR_INVALID;
    *ret = (struct cache_bytes){member, size};
    return OK;
}

enum err cache_sorted_add(struct cache *c, const char *key, const char *member, int64_t score,
                          int64_t expire_ms)
{
    struct full_key full;
    struct cache_bytes m;
    enum err e = make_key(c, key, &full);
    if (!e) e = check_expiry(expire_ms);
    if (!e) e = check_member(member, &m);
    if (e) return e;
    if (score != clamp_score(score)) return ERR_INVALID;
    return c->ops->sorted_add(c->driver, full.bytes, m, score, expire_ms);
}

enum err cache_sorted_remove(struct cache *c, const char *key, const char *member)
{
    struct full_key full;
    struct cache_bytes m;
    enum err e = make_key(c, key, &full);
    if (!e) e = check_member(member, &m);
    return e ? e : c->ops->sorted_remove(c->driver, full.bytes, m);
}

enum err cache_sorted_range(struct cache *c, const char *key, int64_t min, int64_t max,
                            size_t limit, struct cache_member **ret, size_t *ret_count)
{
    struct full_key full;
    enum err e = make_key(c, key, &full);
    if (e) return e;
    if (limit == 0 || limit > CACHE_RANGE_MAX) return ERR_INVALID;
    const struct cache_range range = {clamp_score(min), clamp_score(max), limit};
    if (min > CACHE_SCORE_MAX || max < -CACHE_SCORE_MAX || min > max) {
        *ret = NULL; /* no score is in there */
        *ret_count = 0;
        return OK;
    }
    return c->ops->sorted_range(c->driver, full.bytes, &range, ret, ret_count);
}

enum err cache_sorted_count(struct cache *c, const char *key, int64_t *ret)
{
    struct full_key full;
    enum err e = make_key(c, key, &full);
    return e ? e : c->ops->sorted_count(c->driver, full.bytes, ret);
}

enum err cache_sorted_trim(struct cache *c, const char *key, int64_t min)
{
    struct full_key full;
    enum err e = make_key(c, key, &full);
    if (e) return e;
    if (min > CACHE_SCORE_MAX) return c->ops->remove(c->driver, full.bytes);
    return c->ops->sorted_trim(c->driver, full.bytes, clamp_score(min));
}

void cache_members_free(struct cache_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(members[i].member);
    free(members);
}

/* ---- deny lists: a string per id ---- */

static enum err deny_key(const char *list, const char *id, char ret[static CACHE_KEY_MAX + 1])
{
    if (!*list || !*id) return ERR_INVALID;
    int size = snprintf(ret, CACHE_KEY_MAX + 1, "deny:%s:%s", list, id);
    return size < 0 || size > CACHE_KEY_MAX ? ERR_INVALID : OK;
}

enum err cache_deny(struct cache *c, const char *list, const char *id, int64_t expire_ms)
{
    char key[CACHE_KEY_MAX + 1];
    const struct cache_put values = {.value = {"1", 1}, .expire_ms = expire_ms, .reserved = true};
    enum err e = deny_key(list, id, key);
    return e ? e : put(c, key, &values);
}

enum err cache_denied(struct cache *c, const char *list, const char *id, bool *ret)
{
    char key[CACHE_KEY_MAX + 1];
    enum err e = deny_key(list, id, key);
    if (e) return e;
    AUTO_BUF struct buf value;
    buf_init(&value, 1);
    e = cache_get(c, key, &value);
    if (e && e != ERR_NOT_FOUND) return e;
    *ret = e == OK;
    return OK;
}
