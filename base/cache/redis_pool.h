/*
 * Connections to one Redis server: a bounded pool, pipelines with a deadline, and a short memory
 * for failure. hiredis formats and parses; reading and writing is done here, so that a deadline
 * holds for the whole exchange and a vanished server raises no SIGPIPE. Thread-safe; redis_pool_run
 * blocks.
 */
#ifndef BASE_CACHE_REDIS_POOL_H
#define BASE_CACHE_REDIS_POOL_H

#include "base/auto.h"
#include "base/cache/cache_driver.h"
#include "base/cache/redis_url.h"
#include "base/err.h"

#include <hiredis/hiredis.h>

#define REDIS_POOL_DEFAULT       8
#define REDIS_TIMEOUT_DEFAULT_MS 1000
#define REDIS_BACKOFF_MIN_MS                                                                       \
    50 /* after a failure calls fail at once for so long, doubling up to                           \
        */
#define REDIS_BACKOFF_MAX_MS 1000
#define REDIS_ARGS_MAX       10
#define REDIS_NUMBERS_MAX    4

/* One command; its arguments are borrowed, except for the numbers. Zeroed: empty. */
struct redis_command {
    int count, number_count;
    const char *args[REDIS_ARGS_MAX];
    size_t sizes[REDIS_ARGS_MAX];
    char numbers[REDIS_NUMBERS_MAX][24];
};
void redis_arg_text(struct redis_command *c, const char *text);
void redis_arg_bytes(struct redis_command *c, struct cache_bytes bytes);
void redis_arg_number(struct redis_command *c, int64_t number);

struct redis_pool;

/* pool_max and timeout_ms as in cache_options; connects to nothing yet. ERR_NO_MEMORY. */
MUST_CHECK enum err redis_pool_new(const struct redis_url *url, unsigned pool_max,
                                   int64_t timeout_ms, struct redis_pool **ret);
void redis_pool_free(struct redis_pool *p); /* accepts NULL; no call may be running */

/*
 * Runs a command and waits for its reply, which may be a Redis error: freed by the caller with
 * freeReplyObject. ERR_UNAVAILABLE: no connection, no answer in time, or within the pause that
 * follows a failure; what the command does may have been done. Blocks at most timeout_ms (a slow
 * resolver apart).
 */
MUST_CHECK enum err redis_pool_run(struct redis_pool *p, const struct redis_command *command,
                                   redisReply **ret);

static inline void auto_free_reply(redisReply **reply)
{
    freeReplyObject(*reply);
}
#define AUTO_REPLY AUTO(auto_free_reply)

#endif
