/*
 * The contract on a MongoDB server (mongod, or FerretDB where there is none), and what happens when
 * the server dies, hangs and comes back.
 */
#include "contract.h"
#include "server.h"

#include "base/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static struct server server;

static void fresh_url(char ret[static URL_MAX])
{
    static unsigned count;
    (void)snprintf(ret, URL_MAX, "%sstore_%u", server.url, count++);
}

#define TIMEOUT_MS 2000
#define SLACK_MS   1500 /* of a machine that has other things to do, under a sanitizer */

static struct store *open_impatient(const char *url)
{
    const struct store_options options = {.url = url, .timeout_ms = TIMEOUT_MS};
    struct store *s = NULL;
    assert_ok(store_open(&options, contract_collections, &s, NULL));
    return s;
}

struct writer {
    struct store *store;
    atomic_uint acknowledged;
    enum err failed;
    int64_t failed_after_ms;
};

static void *write_until_it_fails(void *arg)
{
    struct writer *w = arg;
    while (!w->failed) {
        char id[16];
        (void)snprintf(id, sizeof id, "w%06u", atomic_load(&w->acknowledged));
        AUTO_BSON bson_t *document = order(id, "alice", 1);
        int64_t started_ms = clock_mono_ms();
        w->failed = store_insert(w->store, "orders", (const bson_t *const[]){document}, 1, NULL);
        w->failed_after_ms = clock_mono_ms() - started_ms;
        if (!w->failed) atomic_fetch_add(&w->acknowledged, 1);
    }
    return NULL;
}

/* Until the store answers again; what it promises is a second or two. */
static void wait_until_available(struct store *s)
{
    int64_t until_ms = clock_mono_ms() + 20000;
    enum err e;
    while ((e = store_ping(s)) && clock_mono_ms() < until_ms) {
    }
    assert_ok(e);
}

static void a_killed_server_is_unavailable_in_bounded_time_and_forgets_nothing(void **state)
{
    struct fixture *f = *state;
    struct store *s = open_impatient(f->url);
    struct writer w = {.store = s};
    pthread_t thread;
    uint64_t count;

    assert_int_equal(pthread_create(&thread, NULL, write_until_it_fails, &w), 0);
    while (atomic_load(&w.acknowledged) < 50)
        (void)sched_yield();
    server_kill(&server);
    pthread_join(thread, NULL);
    assert_err(w.failed, ERR_UNAVAILABLE);
    assert_true(w.failed_after_ms <= TIMEOUT_MS + SLACK_MS);

    int64_t started_ms = clock_mono_ms();
    assert_err(store_count(s, "orders", NULL, &count), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - started_ms <= TIMEOUT_MS + SLACK_MS);
    assert_string_not_equal(store_reason(), "");

    server_start(&server);
    wait_until_available(s);
    for (unsigned n = 0; n < atomic_load(&w.acknowledged); n += 7) {
        AUTO_BSON bson_t *found = NULL;
        char id[16];
        (void)snprintf(id, sizeof id, "w%06u", n);
        assert_ok(store_find_id(s, "orders", id, &found));
    }
    assert_ok(store_count(s, "orders", NULL, &count)); /* the last one's outcome was unknown */
    assert_true(count == w.acknowledged || count == w.acknowledged + 1U);
    store_close(s);
}

static void a_restarted_server_is_not_noticed_by_what_may_be_repeated(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *found = NULL;
    AUTO_BSON bson_t *document = order("o1", "bob", 2);

    insert_order(f->store, "o1", "alice", 1);
    server_kill(&server);
    server_start(&server);
    assert_ok(store_find_id(f->store, "orders", "o1", &found)); /* its connection is dead */
    server_kill(&server);
    server_start(&server);
    assert_ok(store_put_many(f->store, "orders", (const bson_t *const[]){document}, 1));
}

static void a_hanging_server_is_a_timeout_in_bounded_time(void **state)
{
    struct fixture *f = *state;
    struct store *s = open_impatient(f->url);
    AUTO_BSON bson_t *document = order("o1", "alice", 1);
    AUTO_BSON bson_t *found = NULL;

    assert_ok(store_ping(s));
    server_signal(&server, SIGSTOP);
    int64_t started_ms = clock_mono_ms();
    enum err e = store_insert(s, "orders", (const bson_t *const[]){document}, 1, NULL);
    int64_t took_ms = clock_mono_ms() - started_ms;
    server_signal(&server, SIGCONT);
    assert_err(e, ERR_TIMEOUT);
    assert_true(took_ms <= TIMEOUT_MS + SLACK_MS);
    wait_until_available(s);
    assert_ok(store_put_many(s, "orders", (const bson_t *const[]){document}, 1));
    assert_ok(store_find_id(s, "orders", "o1", &found));
    store_close(s);
}

static void a_server_that_is_not_there_stops_the_start_in_bounded_time(void **state)
{
    const struct store_options options = {.url = "mongodb://127.0.0.1:9/nothing",
                                          .timeout_ms = TIMEOUT_MS};
    struct err_detail detail = {""};
    struct store *s = NULL;

    (void)state;
    int64_t started_ms = clock_mono_ms();
    assert_err(store_open(&options, contract_collections, &s, &detail), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - started_ms <= TIMEOUT_MS + SLACK_MS);
    assert_string_not_equal(detail.text, "");
}

int main(void)
{
    const struct CMUnitTest faults[] = {
        CONTRACT_TEST(a_killed_server_is_unavailable_in_bounded_time_and_forgets_nothing),
        CONTRACT_TEST(a_restarted_server_is_not_noticed_by_what_may_be_repeated),
        CONTRACT_TEST(a_hanging_server_is_a_timeout_in_bounded_time),
        cmocka_unit_test(a_server_that_is_not_there_stops_the_start_in_bounded_time),
    };

    server_start(&server);
    contract_fresh_url = fresh_url;
    int failed = contract_run_writes();
    failed += contract_run_reads();
    failed += contract_run_races();
    failed += contract_run_open();
    failed += cmocka_run_group_tests_name("store on MongoDB: faults", faults, NULL, NULL);
    server_remove(&server);
    return failed;
}
