/* What only the Redis driver can meet: servers that die, freeze, forget, or want a password. */
#include "support/unit.h"

#include "base/cache/cache.h"
#include "base/cache/redis_pool.h"
#include "support/eventually.h"
#include "support/redis.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LONG_MS    60000
#define TIMEOUT_MS 200

static struct redis_server server;

static struct cache *open_cache(const char *login, const char *path, unsigned pool_max,
                                int64_t timeout_ms)
{
    char url[128];
    struct cache *c = NULL;
    (void)snprintf(url, sizeof url, "redis://%s127.0.0.1:%d%s", login, server.port, path);
    const struct cache_options options = {
        .url = url, .pool_max = pool_max, .timeout_ms = timeout_ms};
    assert_ok(cache_open(&options, &c, NULL));
    return c;
}

static enum err get(struct cache *c, const char *key, char ret[static 16])
{
    AUTO_BUF struct buf value;
    buf_init(&value, 15);
    enum err e = cache_get(c, key, &value);
    if (!e) (void)snprintf(ret, 16, "%s", value.data);
    return e;
}

/* One command on a connection of the test's own. */
static long long redis_says(const char *command)
{
    redisContext *redis = redisConnect("127.0.0.1", server.port);
    redisReply *reply = redisCommand(redis, command);
    assert_non_null(reply);
    long long number = reply->integer;
    freeReplyObject(reply);
    redisFree(redis);
    return number;
}

static int start(void **state)
{
    (void)state;
    return redis_server_start(&server, NULL) ? 0 : -1;
}

static int start_with_password(void **state)
{
    (void)state;
    return redis_server_start(&server, "p@ss word") ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static void a_killed_server_is_unavailable_and_a_restarted_one_serves(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 0, 5000);
    assert_ok(cache_set(c, "k", "v", 1, LONG_MS));
    redis_server_kill(&server);
    int64_t before_ms = clock_mono_ms();
    for (int i = 0; i < 100; i++)
        assert_err(cache_ping(c), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - before_ms < 5000); /* nobody waits for the dead */
    assert_true(redis_server_restart(&server));
    assert_eventually(cache_ping(c) == OK);
    assert_ok(cache_add(c, "k", "v", 1, LONG_MS)); /* it was empty: nothing here is for ever */
    cache_close(c);
}

static void an_idle_connection_that_died_is_replaced_unnoticed(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 0, 5000);
    for (int i = 0; i < 3; i++) {
        assert_ok(cache_set(c, "k", "v", 1, LONG_MS));
        redis_server_kill(&server);
        assert_true(redis_server_restart(&server));
    }
    assert_ok(cache_ping(c));
    cache_close(c);
}

static void a_server_that_is_not_there_yet_is_no_error_to_open(void **state)
{
    (void)state;
    redis_server_kill(&server);
    struct cache *c = open_cache("", "", 0, 1000);
    assert_err(cache_ping(c), ERR_UNAVAILABLE);
    assert_true(redis_server_restart(&server));
    assert_eventually(cache_ping(c) == OK);
    cache_close(c);
}

static void a_frozen_server_costs_one_timeout_and_its_late_answer_reaches_nobody(void **state)
{
    (void)state;
    char value[16] = "";
    struct cache *c = open_cache("", "", 1, TIMEOUT_MS);
    assert_ok(cache_set(c, "a", "first", 5, LONG_MS));
    assert_ok(cache_set(c, "b", "second", 6, LONG_MS));
    redis_server_freeze(&server);
    int64_t before_ms = clock_mono_ms();
    assert_err(get(c, "a", value), ERR_UNAVAILABLE);
    int64_t first_ms = clock_mono_ms() - before_ms;
    assert_in_range(first_ms, TIMEOUT_MS, TIMEOUT_MS + 5000);
    before_ms = clock_mono_ms();
    unsigned refused = 0;
    while (clock_mono_ms() - before_ms < REDIS_BACKOFF_MIN_MS / 2) {
        assert_err(get(c, "a", value), ERR_UNAVAILABLE);
        refused++;
    }
    assert_true(refused > 10); /* at once, not after a timeout each */
    redis_server_thaw(&server);
    assert_eventually(get(c, "b", value) == OK);
    assert_string_equal(value, "second");
    cache_close(c);
}

static void *ping_once(void *arg)
{
    return cache_ping(arg) == ERR_UNAVAILABLE ? arg : NULL;
}

static void while_one_call_probes_the_others_do_not_wait(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 2, TIMEOUT_MS);
    assert_ok(cache_ping(c));
    redis_server_freeze(&server);
    pthread_t threads[4];
    int64_t before_ms = clock_mono_ms();
    for (int i = 0; i < 4; i++) /* two use the connections, two wait for one */
        assert_int_equal(pthread_create(&threads[i], NULL, ping_once, c), 0);
    for (int i = 0; i < 4; i++) {
        void *unavailable = NULL;
        assert_int_equal(pthread_join(threads[i], &unavailable), 0);
        assert_ptr_equal(unavailable, c);
    }
    assert_true(clock_mono_ms() - before_ms < TIMEOUT_MS + 5000);
    redis_server_thaw(&server);
    assert_eventually(cache_ping(c) == OK);
    cache_close(c);
}

static void scripts_are_sent_again_when_the_server_forgot_them(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 0, 5000);
    int64_t value = 0;
    assert_ok(cache_increment(c, "n", 1, LONG_MS, &value));
    (void)redis_says("SCRIPT FLUSH");
    assert_ok(cache_increment(c, "n", 1, LONG_MS, &value));
    assert_int_equal(value, 2);
    cache_close(c);
}

static void nothing_is_kept_for_ever(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 0, 5000);
    struct cache_window w;
    int64_t value;
    assert_ok(cache_set(c, "set", "v", 1, LONG_MS));
    assert_ok(cache_add(c, "add", "v", 1, LONG_MS));
    assert_ok(cache_increment(c, "increment", 1, LONG_MS, &value));
    assert_ok(cache_hit(c, "hit", 1, LONG_MS, &w));
    assert_ok(cache_sorted_add(c, "sorted", "m", 1, LONG_MS));
    assert_ok(cache_deny(c, "list", "id", LONG_MS));
    static const char *const keys[] = {"set", "add", "increment", "hit", "sorted", "deny:list:id"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char command[64];
        (void)snprintf(command, sizeof command, "PTTL tp:%s", keys[i]);
        assert_in_range(redis_says(command), 1, 2 * LONG_MS);
    }
    cache_close(c);
}

static void *many_sets(void *arg)
{
    for (int i = 0; i < 50; i++)
        assert_ok(cache_set(arg, "k", "v", 1, LONG_MS));
    return NULL;
}

static long long connections(void)
{
    redisContext *redis = redisConnect("127.0.0.1", server.port);
    redisReply *reply = redisCommand(redis, "INFO clients");
    int count = 0;
    const char *line = strstr(reply->str, "connected_clients:");
    assert_int_equal(sscanf(line, "connected_clients:%d", &count), 1);
    freeReplyObject(reply);
    redisFree(redis);
    return count - 1; /* without this one */
}

static void the_pool_has_at_most_its_size(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 2, 10000);
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_sets, c), 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_in_range(connections(), 1, 2);
    cache_close(c);
    assert_eventually(connections() == 0);
}

static void a_full_server_says_so(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 0, 5000);
    (void)redis_says("CONFIG SET maxmemory 1");
    assert_err(cache_set(c, "k", "v", 1, LONG_MS), ERR_EXHAUSTED);
    (void)redis_says("CONFIG SET maxmemory 0");
    assert_ok(cache_set(c, "k", "v", 1, LONG_MS));
    cache_close(c);
}

static void a_read_only_replica_is_left(void **state)
{
    (void)state;
    struct cache *c = open_cache("", "", 0, 5000);
    assert_ok(cache_set(c, "k", "v", 1, LONG_MS));
    (void)redis_says("REPLICAOF 127.0.0.1 1");
    assert_err(cache_set(c, "k", "v", 1, LONG_MS), ERR_UNAVAILABLE);
    assert_int_equal(connections(), 0); /* the next call looks for the master by name */
    (void)redis_says("REPLICAOF NO ONE");
    assert_eventually(cache_set(c, "k", "v", 1, LONG_MS) == OK);
    cache_close(c);
}

static void password_and_database_come_from_the_url(void **state)
{
    (void)state;
    struct cache *right = open_cache(":p%40ss%20word@", "/3", 0, 5000);
    struct cache *elsewhere = open_cache("default:p%40ss%20word@", "", 0, 5000);
    struct cache *wrong = open_cache(":guess@", "", 0, 5000);
    struct cache *none = open_cache("", "", 0, 5000);
    assert_ok(cache_add(right, "k", "v", 1, LONG_MS));
    assert_ok(cache_add(elsewhere, "k", "v", 1, LONG_MS)); /* another database */
    assert_err(cache_ping(wrong), ERR_UNAVAILABLE);
    assert_err(cache_ping(none), ERR_UNAVAILABLE);
    cache_close(right);
    cache_close(elsewhere);
    cache_close(wrong);
    cache_close(none);
}

#define WITH_SERVER(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_killed_server_is_unavailable_and_a_restarted_one_serves),
        WITH_SERVER(an_idle_connection_that_died_is_replaced_unnoticed),
        WITH_SERVER(a_server_that_is_not_there_yet_is_no_error_to_open),
        WITH_SERVER(a_frozen_server_costs_one_timeout_and_its_late_answer_reaches_nobody),
        WITH_SERVER(while_one_call_probes_the_others_do_not_wait),
        WITH_SERVER(scripts_are_sent_again_when_the_server_forgot_them),
        WITH_SERVER(nothing_is_kept_for_ever),
        WITH_SERVER(the_pool_has_at_most_its_size),
        WITH_SERVER(a_full_server_says_so),
        WITH_SERVER(a_read_only_replica_is_left),
        cmocka_unit_test_setup_teardown(password_and_database_come_from_the_url,
                                        start_with_password, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
