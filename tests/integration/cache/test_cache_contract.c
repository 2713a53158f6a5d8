/* What every cache driver promises: the same tests against the one in process and against Redis. */
#include "support/unit.h"

#include "base/cache/cache.h"
#include "base/cache/cache_driver.h"
#include "support/eventually.h"
#include "support/redis.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_MS  60000
#define SHORT_MS 30
#define THREADS  8

static struct redis_server server; /* port 0: the driver under test is the one in process */
static unsigned tests_run;         /* every test has keys of its own */

static struct cache_options options_of_test(char url[static 64], char prefix[static 16])
{
    (void)snprintf(prefix, 16, "t%u:", tests_run);
    if (server.port)
        (void)snprintf(url, 64, "redis://127.0.0.1:%d", server.port);
    else
        (void)snprintf(url, 64, "memory:contract");
    return (struct cache_options){.url = url, .key_prefix = prefix, .timeout_ms = 10000};
}

static int open_cache(void **state)
{
    char url[64], prefix[16];
    struct cache *c = NULL;
    tests_run++;
    const struct cache_options options = options_of_test(url, prefix);
    assert_ok(cache_open(&options, &c, NULL));
    *state = c;
    return 0;
}

static int close_cache(void **state)
{
    cache_close(*state);
    return 0;
}

static void assert_value(struct cache *c, const char *key, const char *expected, size_t size)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    assert_ok(buf_add_text(&value, "what was there before"));
    assert_ok(cache_get(c, key, &value));
    assert_int_equal(value.size, size);
    assert_memory_equal(value.data, expected, size);
}

static enum err get(struct cache *c, const char *key)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    return cache_get(c, key, &value);
}

static int64_t count_of(struct cache *c, const char *key)
{
    int64_t count = -1;
    assert_ok(cache_sorted_count(c, key, &count));
    return count;
}

/* ---- strings ---- */

static void a_value_comes_back_byte_by_byte(void **state)
{
    struct cache *c = *state;
    static const char binary[] = "a\0b\r\n\xff$5";
    assert_ok(cache_ping(c));
    assert_ok(cache_set(c, "k", binary, sizeof binary, LONG_MS));
    assert_value(c, "k", binary, sizeof binary);
    assert_ok(cache_set(c, "k", "", 0, LONG_MS));
    assert_value(c, "k", "", 0);
    assert_ok(cache_set(c, "other key\r\n*1", "x", 1, LONG_MS));
    assert_value(c, "other key\r\n*1", "x", 1);
}

static void what_was_never_set_or_was_deleted_is_not_found(void **state)
{
    struct cache *c = *state;
    assert_err(get(c, "k"), ERR_NOT_FOUND);
    assert_ok(cache_delete(c, "k"));
    assert_ok(cache_set(c, "k", "v", 1, LONG_MS));
    assert_ok(cache_delete(c, "k"));
    assert_err(get(c, "k"), ERR_NOT_FOUND);
}

static void a_value_expires(void **state)
{
    struct cache *c = *state;
    int64_t before_ms = clock_mono_ms();
    assert_ok(cache_set(c, "k", "v", 1, SHORT_MS));
    assert_eventually(get(c, "k") == ERR_NOT_FOUND);
    assert_true(clock_mono_ms() - before_ms >= SHORT_MS - 1); /* servers round to milliseconds */
    assert_ok(cache_add(c, "k", "v", 1, SHORT_MS));
    assert_eventually(cache_add(c, "k", "v", 1, LONG_MS) == OK);
}

static void setting_again_replaces_value_kind_and_expiry(void **state)
{
    struct cache *c = *state;
    assert_ok(cache_set(c, "k", "short-lived", 11, SHORT_MS));
    assert_ok(cache_set(c, "k", "lasting", 7, LONG_MS));
    assert_ok(cache_set(c, "clock", "", 0, 2 * SHORT_MS));
    assert_eventually(get(c, "clock") == ERR_NOT_FOUND);
    assert_value(c, "k", "lasting", 7);
    assert_ok(cache_sorted_add(c, "set", "m", 1, LONG_MS));
    assert_ok(cache_set(c, "set", "text", 4, LONG_MS));
    assert_value(c, "set", "text", 4);
}

static void adding_succeeds_once(void **state)
{
    struct cache *c = *state;
    assert_ok(cache_add(c, "lock", "mine", 4, LONG_MS));
    assert_err(cache_add(c, "lock", "yours", 5, LONG_MS), ERR_EXISTS);
    assert_value(c, "lock", "mine", 4);
}

static void only_the_owner_unlocks(void **state)
{
    struct cache *c = *state;
    assert_err(cache_delete_if(c, "lock", "mine", 4), ERR_CONFLICT);
    assert_ok(cache_add(c, "lock", "mine", 4, LONG_MS));
    assert_err(cache_delete_if(c, "lock", "yours", 5), ERR_CONFLICT);
    assert_err(cache_delete_if(c, "lock", "", 0), ERR_CONFLICT);
    assert_ok(cache_delete_if(c, "lock", "mine", 4));
    assert_err(get(c, "lock"), ERR_NOT_FOUND);
}

static void a_buffer_too_small_is_told(void **state)
{
    struct cache *c = *state;
    AUTO_BUF struct buf value;
    buf_init(&value, 3);
    assert_ok(cache_set(c, "k", "four", 4, LONG_MS));
    assert_err(cache_get(c, "k", &value), ERR_EXHAUSTED);
}

/* ---- counters and windows ---- */

static void a_counter_counts_up_and_down(void **state)
{
    struct cache *c = *state;
    int64_t value = 0;
    assert_ok(cache_increment(c, "n", 5, LONG_MS, &value));
    assert_int_equal(value, 5);
    assert_ok(cache_increment(c, "n", -7, LONG_MS, &value));
    assert_int_equal(value, -2);
    assert_value(c, "n", "-2", 2);
}

static void a_counter_is_exact_to_the_last_of_64_bits(void **state)
{
    struct cache *c = *state;
    int64_t value = 0;
    assert_ok(cache_increment(c, "n", INT64_MAX - 1, LONG_MS, &value));
    assert_true(value == INT64_MAX - 1);
    assert_ok(cache_increment(c, "n", 1, LONG_MS, &value));
    assert_true(value == INT64_MAX);
    assert_err(cache_increment(c, "n", 1, LONG_MS, &value), ERR_INVALID);
    assert_ok(cache_increment(c, "m", INT64_MIN, LONG_MS, &value));
    assert_true(value == INT64_MIN);
    assert_err(cache_increment(c, "m", -1, LONG_MS, &value), ERR_INVALID);
}

static void the_first_increment_sets_the_expiry(void **state)
{
    struct cache *c = *state;
    int64_t value = 0, last_ms = clock_mono_ms(), longest_ms = 0;
    int64_t end_ms = clock_mono_ms() + EVENTUALLY_MS;
    bool proved = false;
    while (!proved && clock_mono_ms() < end_ms) { /* each renews nothing, so it starts anew soon */
        int64_t begin_ms = clock_mono_ms(), before = value;
        assert_ok(cache_increment(c, "n", 1, SHORT_MS, &value));
        int64_t gap_ms = clock_mono_ms() - last_ms;
        last_ms = begin_ms;
        if (gap_ms > longest_ms) longest_ms = gap_ms;
        bool anew = value <= before;
        proved = anew && longest_ms < SHORT_MS; /* we were never too slow */
        if (anew) longest_ms = 0;
    }
    assert_true(proved);
    assert_int_equal(value, 1);
}

static void only_numbers_are_counted(void **state)
{
    static const char *const rows[] = {"",
                                       "x",
                                       "1x",
                                       " 1",
                                       "1 ",
                                       "01",
                                       "+1",
                                       "1.0",
                                       "-",
                                       "-0",
                                       "9223372036854775808",
                                       "99999999999999999999999999"};
    struct cache *c = *state;
    int64_t value = 77;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_ok(cache_set(c, "n", rows[i], strlen(rows[i]), LONG_MS));
        if (cache_increment(c, "n", 1, LONG_MS, &value) != ERR_INVALID)
            fail_msg("counted: \"%s\"", rows[i]);
    }
    assert_int_equal(value, 77);
    assert_ok(cache_set(c, "n", "-5", 2, LONG_MS));
    assert_ok(cache_increment(c, "n", 1, LONG_MS, &value));
    assert_int_equal(value, -4);
}

static void a_window_takes_its_limit_and_not_one_more(void **state)
{
    struct cache *c = *state;
    struct cache_window w;
    for (int64_t left = 4; left >= 0; left--) {
        assert_ok(cache_hit(c, "w", 5, CACHE_WINDOW_MAX_MS, &w));
        assert_int_equal(w.limit, 5);
        assert_int_equal(w.remaining, left);
        assert_in_range(w.reset_ms, 1, 2 * CACHE_WINDOW_MAX_MS);
    }
    int64_t first_ms = w.reset_ms;
    assert_err(cache_hit(c, "w", 5, CACHE_WINDOW_MAX_MS, &w), ERR_EXHAUSTED);
    assert_int_equal(w.remaining, 0);
    assert_in_range(w.reset_ms, 1, first_ms);
    assert_ok(cache_hit(c, "another", 5, CACHE_WINDOW_MAX_MS, &w));
}

static void several_hits_are_counted_together_or_not_at_all(void **state)
{
    const struct cache_rule rule = {5, CACHE_WINDOW_MAX_MS};
    struct cache *c = *state;
    struct cache_window w;
    assert_ok(cache_hits(c, "w", &rule, 3, &w));
    assert_int_equal(w.remaining, 2);
    assert_err(cache_hits(c, "w", &rule, 3, &w), ERR_EXHAUSTED);
    assert_int_equal(w.remaining, 2);
    assert_ok(cache_hits(c, "w", &rule, 0, &w)); /* asks only */
    assert_int_equal(w.remaining, 2);
    assert_ok(cache_hits(c, "w", &rule, 2, &w));
    assert_int_equal(w.remaining, 0);
    assert_err(cache_hits(c, "w", &rule, 0, &w), ERR_EXHAUSTED);
    assert_in_range(w.reset_ms, 1, 2 * CACHE_WINDOW_MAX_MS);
    assert_ok(cache_hits(c, "fresh", &rule, 0, &w));
    assert_int_equal(w.remaining, 5);
    assert_ok(cache_hits(c, "fresh", &rule, 5, &w));
    assert_err(cache_hits(c, "v", &rule, 6, &w), ERR_INVALID); /* would never fit */
    assert_err(cache_hits(c, "v", &rule, -1, &w), ERR_INVALID);
}

static void a_refused_hit_may_come_again_after_the_told_time(void **state)
{
    struct cache *c = *state;
    struct cache_window w;
    for (int i = 0; i < 3; i++)
        (void)!cache_hit(c, "w", 3, 40, &w);
    enum err e;
    while ((e = cache_hit(c, "w", 3, 40, &w)) == OK) {
    }
    assert_err(e, ERR_EXHAUSTED);
    int64_t refused_ms = clock_mono_ms(), told_ms = w.reset_ms;
    assert_in_range(told_ms, 1, 80);
    assert_eventually(cache_hit(c, "w", 3, 40, &w) == OK);
    assert_true(clock_mono_ms() - refused_ms >= told_ms - 2); /* two clocks in milliseconds */
}

/* ---- sorted sets ---- */

static void assert_members(struct cache *c, int64_t min, int64_t max, size_t limit,
                           const char *expected)
{
    struct cache_member *members = NULL;
    size_t count = 0;
    AUTO_BUF struct buf text;
    buf_init(&text, 4096);
    assert_ok(cache_sorted_range(c, "s", min, max, limit, &members, &count));
    for (size_t i = 0; i < count; i++)
        (void)buf_add_format(&text, "%s=%lld ", members[i].member, (long long)members[i].score);
    cache_members_free(members, count);
    assert_string_equal(text.data, expected);
}

static void members_come_in_the_order_of_their_scores(void **state)
{
    struct cache *c = *state;
    assert_members(c, INT64_MIN, INT64_MAX, 10, "");
    assert_ok(cache_sorted_add(c, "s", "b", 2, LONG_MS));
    assert_ok(cache_sorted_add(c, "s", "a", 2, LONG_MS));
    assert_ok(cache_sorted_add(c, "s", "c", -1, LONG_MS));
    assert_ok(cache_sorted_add(c, "s", "", 5, LONG_MS));
    assert_members(c, INT64_MIN, INT64_MAX, 10, "c=-1 a=2 b=2 =5 ");
    assert_members(c, INT64_MIN, INT64_MAX, 2, "c=-1 a=2 ");
    assert_members(c, 2, 2, 10, "a=2 b=2 ");
    assert_members(c, 3, 4, 10, "");
    assert_members(c, 4, 3, 10, "");
    assert_ok(cache_sorted_add(c, "s", "b", -9, LONG_MS)); /* moves */
    assert_members(c, INT64_MIN, INT64_MAX, 10, "b=-9 c=-1 a=2 =5 ");
    assert_int_equal(count_of(c, "s"), 4);
}

static void members_leave_by_name_or_by_score(void **state)
{
    struct cache *c = *state;
    assert_ok(cache_sorted_remove(c, "s", "a"));
    assert_ok(cache_sorted_trim(c, "s", 5));
    for (int i = 0; i < 5; i++)
        assert_ok(cache_sorted_add(c, "s", (const char[]){(char)('a' + i), 0}, i, LONG_MS));
    assert_ok(cache_sorted_remove(c, "s", "b"));
    assert_ok(cache_sorted_remove(c, "s", "nobody"));
    assert_ok(cache_sorted_trim(c, "s", 2));
    assert_members(c, INT64_MIN, INT64_MAX, 10, "c=2 d=3 e=4 ");
    assert_ok(cache_sorted_trim(c, "s", INT64_MIN));
    assert_int_equal(count_of(c, "s"), 3);
    assert_ok(cache_sorted_trim(c, "s", INT64_MAX));
    assert_int_equal(count_of(c, "s"), 0);
    assert_err(get(c, "s"), ERR_NOT_FOUND); /* an empty set is no set */
}

static void scores_are_exact_up_to_their_limit(void **state)
{
    struct cache *c = *state;
    assert_ok(cache_sorted_add(c, "s", "max", CACHE_SCORE_MAX, LONG_MS));
    assert_ok(cache_sorted_add(c, "s", "almost", CACHE_SCORE_MAX - 1, LONG_MS));
    assert_ok(cache_sorted_add(c, "s", "min", -CACHE_SCORE_MAX, LONG_MS));
    assert_err(cache_sorted_add(c, "s", "x", CACHE_SCORE_MAX + 1, LONG_MS), ERR_INVALID);
    assert_err(cache_sorted_add(c, "s", "x", -CACHE_SCORE_MAX - 1, LONG_MS), ERR_INVALID);
    assert_members(c, CACHE_SCORE_MAX - 1, INT64_MAX, 10,
                   "almost=9007199254740991 max=9007199254740992 ");
    assert_members(c, CACHE_SCORE_MAX + 1, INT64_MAX, 10, "");
    assert_ok(cache_sorted_trim(c, "s", CACHE_SCORE_MAX));
    assert_members(c, INT64_MIN, INT64_MAX, 10, "max=9007199254740992 ");
}

static void a_set_expires_and_an_add_renews_it(void **state)
{
    struct cache *c = *state;
    assert_ok(cache_sorted_add(c, "s", "a", 1, SHORT_MS));
    assert_ok(cache_sorted_add(c, "s", "b", 1, LONG_MS));
    assert_ok(cache_sorted_add(c, "clock", "a", 1, 2 * SHORT_MS));
    assert_eventually(count_of(c, "clock") == 0);
    assert_int_equal(count_of(c, "s"), 2);
}

/* Only a driver that is asked a hundred thousand times can be full; Redis is filled in one go. */
static void fill_set(struct cache *c)
{
    if (!server.port) {
        char member[16];
        for (int i = 0; i < CACHE_MEMBERS_MAX; i++) {
            (void)snprintf(member, sizeof member, "m%06d", i);
            assert_ok(cache_sorted_add(c, "s", member, i, LONG_MS));
        }
        return;
    }
    redisContext *redis = redisConnect("127.0.0.1", server.port);
    assert_int_equal(redis->err, 0);
    for (int i = 0; i < CACHE_MEMBERS_MAX; i++)
        assert_int_equal(redisAppendCommand(redis, "ZADD t%u:s %d m%06d", tests_run, i, i), 0);
    for (int i = 0; i < CACHE_MEMBERS_MAX; i++) {
        void *reply = NULL;
        assert_int_equal(redisGetReply(redis, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
    redisFree(redis);
}

static void a_full_set_refuses_new_members_only(void **state)
{
    struct cache *c = *state;
    fill_set(c);
    assert_int_equal(count_of(c, "s"), CACHE_MEMBERS_MAX);
    assert_err(cache_sorted_add(c, "s", "one more", 1, LONG_MS), ERR_EXHAUSTED);
    assert_ok(cache_sorted_add(c, "s", "m000007", -1, LONG_MS));
    struct cache_member *members = NULL;
    size_t count = 0;
    assert_ok(cache_sorted_range(c, "s", INT64_MIN, INT64_MAX, CACHE_RANGE_MAX, &members, &count));
    assert_int_equal(count, CACHE_RANGE_MAX);
    assert_string_equal(members[0].member, "m000007");
    cache_members_free(members, count);
    assert_ok(cache_sorted_trim(c, "s", 0));
    assert_ok(cache_sorted_add(c, "s", "one more", 1, LONG_MS));
}

/* ---- deny lists ---- */

static void who_is_denied_is_refused_until_then(void **state)
{
    struct cache *c = *state;
    bool denied = true;
    assert_ok(cache_denied(c, "sessions", "anna", &denied));
    assert_false(denied);
    assert_ok(cache_deny(c, "sessions", "anna", SHORT_MS));
    assert_ok(cache_deny(c, "sessions", "bert", LONG_MS));
    assert_eventually(cache_denied(c, "sessions", "anna", &denied) == OK && !denied);
    assert_ok(cache_denied(c, "sessions", "bert", &denied));
    assert_true(denied);
    assert_ok(cache_denied(c, "users", "bert", &denied));
    assert_false(denied);
}

/* ---- limits ---- */

static void keys_and_values_have_limits(void **state)
{
    struct cache *c = *state;
    char key[CACHE_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[CACHE_KEY_MAX + 1] = 0;
    AUTO_FREE char *value = calloc(1, CACHE_VALUE_MAX + 2);
    memset(value, 'v', CACHE_VALUE_MAX + 1);
    int64_t n;
    bool denied;
    struct cache_window w;

    assert_err(cache_set(c, key, "v", 1, LONG_MS), ERR_INVALID);
    assert_err(get(c, key), ERR_INVALID);
    assert_err(cache_delete(c, key), ERR_INVALID);
    assert_err(cache_increment(c, key, 1, LONG_MS, &n), ERR_INVALID);
    assert_err(cache_hit(c, key, 1, 1000, &w), ERR_INVALID);
    assert_err(cache_sorted_add(c, key, "m", 1, LONG_MS), ERR_INVALID);
    assert_err(cache_set(c, "", "v", 1, LONG_MS), ERR_INVALID);
    assert_err(cache_deny(c, "list", key, LONG_MS), ERR_INVALID);
    assert_err(cache_denied(c, "list", "", &denied), ERR_INVALID);
    key[CACHE_KEY_MAX] = 0;
    assert_ok(cache_set(c, key, value, CACHE_VALUE_MAX, LONG_MS));
    assert_value(c, key, value, CACHE_VALUE_MAX);
    assert_err(cache_set(c, "k", value, CACHE_VALUE_MAX + 1, LONG_MS), ERR_INVALID);
    assert_err(cache_add(c, "k", value, CACHE_VALUE_MAX + 1, LONG_MS), ERR_INVALID);
    assert_err(cache_sorted_add(c, "s", value, 1, LONG_MS), ERR_INVALID);
    value[CACHE_VALUE_MAX] = 0;
    assert_ok(cache_sorted_add(c, "s", value, 1, LONG_MS));
    key[CACHE_KEY_MAX - strlen("deny:list:")] = 0;
    assert_ok(cache_deny(c, "list", key, LONG_MS));
}

static void numbers_have_limits(void **state)
{
    struct cache *c = *state;
    struct cache_member *members;
    struct cache_window w;
    size_t count;
    int64_t n;
    assert_err(cache_set(c, "k", "v", 1, 0), ERR_INVALID);
    assert_err(cache_set(c, "k", "v", 1, -1), ERR_INVALID);
    assert_err(cache_increment(c, "k", 1, 0, &n), ERR_INVALID);
    assert_err(cache_add(c, "k", "v", 1, CACHE_EXPIRE_MAX_MS + 1), ERR_INVALID);
    assert_ok(cache_add(c, "k", "v", 1, CACHE_EXPIRE_MAX_MS));
    assert_err(cache_hit(c, "w", 0, 1000, &w), ERR_INVALID);
    assert_err(cache_hit(c, "w", CACHE_LIMIT_MAX + 1, 1000, &w), ERR_INVALID);
    assert_err(cache_hit(c, "w", 1, 0, &w), ERR_INVALID);
    assert_err(cache_hit(c, "w", 1, CACHE_WINDOW_MAX_MS + 1, &w), ERR_INVALID);
    assert_ok(cache_hit(c, "w", CACHE_LIMIT_MAX, CACHE_WINDOW_MAX_MS, &w));
    assert_err(cache_sorted_range(c, "s", 0, 1, 0, &members, &count), ERR_INVALID);
    assert_err(cache_sorted_range(c, "s", 0, 1, CACHE_RANGE_MAX + 1, &members, &count),
               ERR_INVALID);
}

static void a_key_of_one_kind_is_not_read_as_another(void **state)
{
    struct cache *c = *state;
    struct cache_member *members;
    struct cache_window w;
    size_t count;
    int64_t n;
    assert_ok(cache_set(c, "text", "1", 1, LONG_MS));
    assert_ok(cache_sorted_add(c, "set", "m", 1, LONG_MS));
    assert_ok(cache_hit(c, "window", 5, 60000, &w));
    assert_err(cache_sorted_add(c, "text", "m", 1, LONG_MS), ERR_INVALID);
    assert_err(cache_sorted_remove(c, "text", "m"), ERR_INVALID);
    assert_err(cache_sorted_count(c, "text", &n), ERR_INVALID);
    assert_err(cache_sorted_trim(c, "text", 1), ERR_INVALID);
    assert_err(cache_sorted_range(c, "text", 0, 1, 1, &members, &count), ERR_INVALID);
    assert_err(cache_hit(c, "text", 5, 1000, &w), ERR_INVALID);
    assert_err(get(c, "set"), ERR_INVALID);
    assert_err(get(c, "window"), ERR_INVALID);
    assert_err(cache_increment(c, "set", 1, LONG_MS, &n), ERR_INVALID);
    assert_err(cache_delete_if(c, "set", "m", 1), ERR_INVALID);
    assert_ok(cache_delete(c, "set"));
    assert_ok(cache_delete(c, "window"));
    assert_ok(cache_increment(c, "set", 1, LONG_MS, &n));
}

/* ---- many at once ---- */

struct worker {
    struct cache *cache;
    int number;
    int locked, allowed;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    char name[16];
    (void)snprintf(name, sizeof name, "w%d", w->number);
    for (int i = 0; i < 50; i++) {
        int64_t value = 0;
        struct cache_window window;
        assert_ok(cache_increment(w->cache, "n", 1, LONG_MS, &value));
        w->allowed += cache_hit(w->cache, "w", 100, CACHE_WINDOW_MAX_MS, &window) == OK;
        if (cache_add(w->cache, "lock", name, strlen(name), LONG_MS)) continue;
        assert_ok(cache_increment(w->cache, "inside", 1, LONG_MS, &value));
        assert_int_equal(value, 1); /* nobody else is */
        assert_ok(cache_increment(w->cache, "inside", -1, LONG_MS, &value));
        assert_ok(cache_delete_if(w->cache, "lock", name, strlen(name)));
        w->locked++;
    }
    return NULL;
}

static void threads_lose_nothing_and_share_locks_and_windows(void **state)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    int allowed = 0, locked = 0;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cache = *state, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        allowed += workers[i].allowed;
        locked += workers[i].locked;
    }
    int64_t value = 0;
    assert_ok(cache_increment(*state, "n", 0, LONG_MS, &value));
    assert_int_equal(value, THREADS * 50);
    assert_int_equal(allowed, 100);
    assert_true(locked > 0);
}

#define CONTRACT_TEST(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)

static const struct CMUnitTest contract[] = {
    CONTRACT_TEST(a_value_comes_back_byte_by_byte),
    CONTRACT_TEST(what_was_never_set_or_was_deleted_is_not_found),
    CONTRACT_TEST(a_value_expires),
    CONTRACT_TEST(setting_again_replaces_value_kind_and_expiry),
    CONTRACT_TEST(adding_succeeds_once),
    CONTRACT_TEST(only_the_owner_unlocks),
    CONTRACT_TEST(a_buffer_too_small_is_told),
    CONTRACT_TEST(a_counter_counts_up_and_down),
    CONTRACT_TEST(a_counter_is_exact_to_the_last_of_64_bits),
    CONTRACT_TEST(the_first_increment_sets_the_expiry),
    CONTRACT_TEST(only_numbers_are_counted),
    CONTRACT_TEST(a_window_takes_its_limit_and_not_one_more),
    CONTRACT_TEST(several_hits_are_counted_together_or_not_at_all),
    CONTRACT_TEST(a_refused_hit_may_come_again_after_the_told_time),
    CONTRACT_TEST(members_come_in_the_order_of_their_scores),
    CONTRACT_TEST(members_leave_by_name_or_by_score),
    CONTRACT_TEST(scores_are_exact_up_to_their_limit),
    CONTRACT_TEST(a_set_expires_and_an_add_renews_it),
    CONTRACT_TEST(a_full_set_refuses_new_members_only),
    CONTRACT_TEST(who_is_denied_is_refused_until_then),
    CONTRACT_TEST(keys_and_values_have_limits),
    CONTRACT_TEST(numbers_have_limits),
    CONTRACT_TEST(a_key_of_one_kind_is_not_read_as_another),
    CONTRACT_TEST(threads_lose_nothing_and_share_locks_and_windows),
};

static int start_redis(void **state)
{
    (void)state;
    return redis_server_start(&server, NULL) ? 0 : -1;
}

static int stop_redis(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

int main(void)
{
    int failed = cmocka_run_group_tests_name("in process", contract, NULL, NULL);
    return failed + cmocka_run_group_tests_name("redis", contract, start_redis, stop_redis);
}
