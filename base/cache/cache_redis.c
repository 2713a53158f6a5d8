/*
 * The Redis driver: one command per call, or a script where several steps must be one. Scripts are
 * named by their SHA-1; a server that does not know one yet gets its text. Expiry and windows are
 * counted by the server's clock, so that processes need not agree on theirs.
 */
#include "base/cache/cache_driver.h"
#include "base/cache/redis_pool.h"
#include "base/crypt.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define SHA1_SIZE 20

enum script { SCRIPT_DELETE_IF, SCRIPT_INCREMENT, SCRIPT_HIT, SCRIPT_SORTED_ADD, SCRIPT_COUNT };

static const char *const scripts[SCRIPT_COUNT] = {
    [SCRIPT_DELETE_IF] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
                         "return redis.call('DEL', KEYS[1])\n",

    /* by, expire_ms. The sum is read back as text: a number of Lua's is exact only to 2^53. */
    [SCRIPT_INCREMENT] = "redis.call('INCRBY', KEYS[1], ARGV[1])\n"
                         "if redis.call('PTTL', KEYS[1]) < 0 then\n"
                         "  redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
                         "end\n"
                         "return redis.call('GET', KEYS[1])\n",

    /* limit, window_ms, hits, need -> allowed, last, current, elapsed_ms: as cache_window.c */
    [SCRIPT_HIT] =
        "local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
        "local hits, need = tonumber(ARGV[3]), tonumber(ARGV[4])\n"
        "local time = redis.call('TIME')\n"
        "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
        "local number = math.floor(now / window)\n"
        "local elapsed = now - number * window\n"
        "local kept = redis.call('HMGET', KEYS[1], 'number', 'last', 'current')\n"
        "local last, current = 0, 0\n"
        "if tonumber(kept[1]) == number then\n"
        "  last, current = tonumber(kept[2]), tonumber(kept[3])\n"
        "elseif tonumber(kept[1]) == number - 1 then\n"
        "  last = tonumber(kept[3])\n"
        "end\n"
        "local weight = last * (window - elapsed) + current * window\n"
        "if weight + need * window > limit * window then\n"
        "  return {0, last, current, elapsed}\n"
        "end\n"
        "if hits == 0 then\n"
        "  return {1, last, current, elapsed}\n"
        "end\n"
        "current = current + hits\n"
        "redis.call('HSET', KEYS[1], 'number', number, 'last', last, 'current', current)\n"
        "redis.call('PEXPIRE', KEYS[1], 2 * window)\n"
        "return {1, last, current, elapsed}\n",

    /* member, score, expire_ms, members_max */
    [SCRIPT_SORTED_ADD] = "if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4])\n"
                          "  and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end\n"
                          "redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])\n"
                          "redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
                          "return 1\n",
};

struct redis {
    struct redis_pool *pool;
    char shas[SCRIPT_COUNT][2 * SHA1_SIZE + 1];
};

/* ---- life ---- */

static void redis_close(void *driver)
{
    struct redis *r = driver;
    redis_pool_free(r->pool);
    free(r);
}

static void name_scripts(struct redis *r)
{
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        uint8_t sha[SHA1_SIZE];
        CHECK(EVP_Digest(scripts[i], strlen(scripts[i]), sha, NULL, EVP_sha1(), NULL) == 1);
        hex_encode(sha, sizeof sha, r->shas[i]);
    }
}

static enum err redis_open(const struct cache_options *options, void **ret,
                           struct err_detail *detail)
{
    struct redis_url url;
    enum err e = redis_url_parse(options->url, &url, detail);
    if (e) return e;
    AUTO_FREE struct redis *r = calloc(1, sizeof *r);
    if (!r) return ERR_NO_MEMORY;
    name_scripts(r);
    e = redis_pool_new(&url, options->pool_max, options->timeout_ms, &r->pool);
    if (e) return e;
    *ret = TAKE(r);
    return OK;
}

/* ---- commands ---- */

/* What a Redis error means to a caller. */
static enum err error_of(const redisReply *reply)
{
    static const struct {
        const char *start;
        enum err err;
    } rows[] = {
        {"WRONGTYPE", ERR_INVALID},
        {"ERR value is not an integer", ERR_INVALID},
        {"ERR increment or decrement would overflow", ERR_INVALID},
        {"OOM", ERR_EXHAUSTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(reply->str, rows[i].start)) return rows[i].err;
    return ERR_UNAVAILABLE; /* loading, read-only, not allowed: not a Redis we can use */
}

/* The reply if it is of that type. ERR_NOT_FOUND: it is nil. */
static enum err expect(redisReply *own_reply, int type, redisReply **ret)
{
    enum err e = OK;
    if (own_reply->type == REDIS_REPLY_ERROR)
        e = error_of(own_reply);
    else if (own_reply->type == REDIS_REPLY_NIL)
        e = ERR_NOT_FOUND;
    else if (own_reply->type != type)
        e = ERR_UNAVAILABLE;
    if (e)
        freeReplyObject(own_reply);
    else
        *ret = own_reply;
    return e;
}

static enum err run(struct redis *r, const struct redis_command *command, int type,
                    redisReply **ret)
{
    redisReply *reply = NULL;
    enum err e = redis_pool_run(r->pool, command, &reply);
    return e ? e : expect(reply, type, ret);
}

/* By its name; if the server does not know that, by its text, which it then remembers. */
static enum err run_script(struct redis *r, enum script script, struct redis_command *command,
                           int type, redisReply **ret)
{
    redisReply *reply = NULL;
    command->args[0] = "EVALSHA";
    command->sizes[0] = strlen("EVALSHA");
    command->args[1] = r->shas[script];
    command->sizes[1] = sizeof r->shas[script] - 1;
    enum err e = redis_pool_run(r->pool, command, &reply);
    if (e) return e;
    if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOSCRIPT", 8) != 0)
        return expect(reply, type, ret);

    freeReplyObject(reply);
    command->args[0] = "EVAL";
    command->sizes[0] = strlen("EVAL");
    command->args[1] = scripts[script];
    command->sizes[1] = strlen(scripts[script]);
    return run(r, command, type, ret);
}

static struct redis_command command_of(const char *name, struct cache_bytes key)
{
    struct redis_command c = {0};
    redis_arg_text(&c, name);
    redis_arg_bytes(&c, key);
    return c;
}

/* run_script puts its name into the first two arguments. */
static struct redis_command script_of(struct cache_bytes key)
{
    struct redis_command c = {0};
    redis_arg_text(&c, "");
    redis_arg_text(&c, "");
    redis_arg_text(&c, "1"); /* key */
    redis_arg_bytes(&c, key);
    return c;
}

static enum err redis_ping(void *driver)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = {0};
    redis_arg_text(&c, "PING");
    return run(driver, &c, REDIS_REPLY_STATUS, &reply);
}

/* ---- strings ---- */

static enum err redis_put(void *driver, const struct cache_put *put)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = command_of("SET", put->key);
    redis_arg_bytes(&c, put->value);
    redis_arg_text(&c, "PX");
    redis_arg_number(&c, put->expire_ms);
    if (put->only_if_absent) redis_arg_text(&c, "NX");
    enum err e = run(driver, &c, REDIS_REPLY_STATUS, &reply);
    return e == ERR_NOT_FOUND ? ERR_EXISTS : e; /* nil: NX refused */
}

static enum err redis_get(void *driver, struct cache_bytes key, struct buf *ret)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = command_of("GET", key);
    enum err e = run(driver, &c, REDIS_REPLY_STRING, &reply);
    if (e) return e;
    buf_clear(ret);
    return buf_add(ret, reply->str, reply->len);
}

static enum err redis_remove(void *driver, struct cache_bytes key)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = command_of("DEL", key);
    return run(driver, &c, REDIS_REPLY_INTEGER, &reply);
}

static enum err redis_delete_if(void *driver, struct cache_bytes key, struct cache_bytes value)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = script_of(key);
    redis_arg_bytes(&c, value);
    enum err e = run_script(driver, SCRIPT_DELETE_IF, &c, REDIS_REPLY_INTEGER, &reply);
    if (e) return e;
    return reply->integer == 1 ? OK : ERR_CONFLICT;
}

/* ---- counters ---- */

static enum err parse_number(const redisReply *reply, int64_t *ret)
{
    if (reply->type != REDIS_REPLY_STRING) return ERR_UNAVAILABLE;
    char *end;
    errno = 0;
    long long value = strtoll(reply->str, &end, 10);
    if (errno || end == reply->str || *end) return ERR_UNAVAILABLE;
    *ret = value;
    return OK;
}

static enum err redis_increment(void *driver, struct cache_bytes key, int64_t by, int64_t expire_ms,
                                int64_t *ret)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = script_of(key);
    redis_arg_number(&c, by);
    redis_arg_number(&c, expire_ms);
    enum err e = run_script(driver, SCRIPT_INCREMENT, &c, REDIS_REPLY_STRING, &reply);
    return e ? e : parse_number(reply, ret);
}

static enum err redis_hit(void *driver, struct cache_bytes key, const struct cache_ask *ask,
                          struct cache_counts *ret)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = script_of(key);
    redis_arg_number(&c, ask->rule.limit);
    redis_arg_number(&c, ask->rule.window_ms);
    redis_arg_number(&c, ask->hits);
    redis_arg_number(&c, ask->need);
    enum err e = run_script(driver, SCRIPT_HIT, &c, REDIS_REPLY_ARRAY, &reply);
    if (e) return e;
    if (reply->elements != 4) return ERR_UNAVAILABLE;
    for (size_t i = 0; i < 4; i++)
        if (reply->element[i]->type != REDIS_REPLY_INTEGER) return ERR_UNAVAILABLE;
    *ret = (struct cache_counts){
        .allowed = reply->element[0]->integer == 1,
        .last = reply->element[1]->integer,
        .current = reply->element[2]->integer,
        .elapsed_ms = reply->element[3]->integer,
    };
    return OK;
}

/* ---- sorted sets ---- */

static enum err redis_sorted_add(void *driver, struct cache_bytes key, struct cache_bytes member,
                                 int64_t score, int64_t expire_ms)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = script_of(key);
    redis_arg_bytes(&c, member);
    redis_arg_number(&c, score);
    redis_arg_number(&c, expire_ms);
    redis_arg_number(&c, CACHE_MEMBERS_MAX);
    enum err e = run_script(driver, SCRIPT_SORTED_ADD, &c, REDIS_REPLY_INTEGER, &reply);
    if (e) return e;
    return reply->integer == 1 ? OK : ERR_EXHAUSTED;
}

static enum err redis_sorted_remove(void *driver, struct cache_bytes key, struct cache_bytes member)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = command_of("ZREM", key);
    redis_arg_bytes(&c, member);
    return run(driver, &c, REDIS_REPLY_INTEGER, &reply);
}

/* member, score, member, score ... */
static enum err copy_members(const redisReply *reply, struct cache_member **ret, size_t *ret_count)
{
    size_t count = reply->elements / 2;
    struct cache_member *members = count ? calloc(count, sizeof *members) : NULL;
    if (count && !members) return ERR_NO_MEMORY;
    enum err e = OK;
    for (size_t i = 0; !e && i < count; i++) {
        const redisReply *member = reply->element[2 * i];
        e = member->type == REDIS_REPLY_STRING ? OK : ERR_UNAVAILABLE;
        if (!e) e = parse_number(reply->element[2 * i + 1], &members[i].score);
        if (!e && !(members[i].member = strdup(member->str))) e = ERR_NO_MEMORY;
    }
    if (e) {
        cache_members_free(members, count);
        return e;
    }
    *ret = members;
    *ret_count = count;
    return OK;
}

static enum err redis_sorted_range(void *driver, struct cache_bytes key,
                                   const struct cache_range *range, struct cache_member **ret,
                                   size_t *ret_count)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = command_of("ZRANGEBYSCORE", key);
    redis_arg_number(&c, range->min);
    redis_arg_number(&c, range->max);
    redis_arg_text(&c, "WITHSCORES");
    redis_arg_text(&c, "LIMIT");
    redis_arg_text(&c, "0");
    redis_arg_number(&c, (int64_t)range->limit);
    enum err e = run(driver, &c, REDIS_REPLY_ARRAY, &reply);
    return e ? e : copy_members(reply, ret, ret_count);
}

static enum err redis_sorted_count(void *driver, struct cache_bytes key, int64_t *ret)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = command_of("ZCARD", key);
    enum err e = run(driver, &c, REDIS_REPLY_INTEGER, &reply);
    if (e) return e;
    *ret = reply->integer;
    return OK;
}

static enum err redis_sorted_trim(void *driver, struct cache_bytes key, int64_t min)
{
    AUTO_REPLY redisReply *reply = NULL;
    struct redis_command c = command_of("ZREMRANGEBYSCORE", key);
    redis_arg_text(&c, "-inf");
    redis_arg_number(&c, min - 1); /* scores are whole */
    return run(driver, &c, REDIS_REPLY_INTEGER, &reply);
}

const struct cache_ops cache_redis_ops = {
    .scheme = REDIS_SCHEME,
    .open = redis_open,
    .close = redis_close,
    .ping = redis_ping,
    .put = redis_put,
    .get = redis_get,
    .remove = redis_remove,
    .delete_if = redis_delete_if,
    .increment = redis_increment,
    .hit = redis_hit,
    .sorted_add = redis_sorted_add,
    .sorted_remove = redis_sorted_remove,
    .sorted_range = redis_sorted_range,
    .sorted_count = redis_sorted_count,
    .sorted_trim = redis_sorted_trim,
};
