/* The contract between threads: of those who race, exactly one wins. */
#include "contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define THREADS 4

struct racer {
    struct store *store;
    pthread_barrier_t *start;
    unsigned number;
    unsigned won, lost;
    enum err other; /* an error that nobody expects */
};

static void race(struct store *s, void *(*run)(void *), struct racer racers[THREADS])
{
    pthread_t threads[THREADS];
    pthread_barrier_t start;

    pthread_barrier_init(&start, NULL, THREADS);
    for (unsigned n = 0; n < THREADS; n++) {
        racers[n] = (struct racer){.store = s, .start = &start, .number = n};
        assert_int_equal(pthread_create(&threads[n], NULL, run, &racers[n]), 0);
    }
    for (unsigned n = 0; n < THREADS; n++)
        pthread_join(threads[n], NULL);
    pthread_barrier_destroy(&start);
    for (unsigned n = 0; n < THREADS; n++)
        assert_err(racers[n].other, OK);
}

static unsigned all_won(const struct racer racers[THREADS])
{
    unsigned won = 0;
    for (unsigned n = 0; n < THREADS; n++)
        won += racers[n].won;
    return won;
}

static void tally(struct racer *r, enum err e, enum err loses)
{
    if (e == OK)
        r->won++;
    else if (e == loses)
        r->lost++;
    else if (!r->other)
        r->other = e;
}

#define ROUNDS 20

static void *insert_same_key(void *arg)
{
    struct racer *r = arg;
    for (unsigned n = 0; n < ROUNDS; n++) {
        char id[16], key[16];
        (void)snprintf(id, sizeof id, "%u-%u", n, r->number);
        (void)snprintf(key, sizeof key, "key-%u", n);
        AUTO_BSON bson_t *document = BCON_NEW("_id", BCON_UTF8(id), "account", "a", "price",
                                              BCON_INT64(n), "key", BCON_UTF8(key));
        pthread_barrier_wait(r->start);
        tally(r, store_insert(r->store, "orders", (const bson_t *const[]){document}, 1, NULL),
              ERR_EXISTS);
    }
    return NULL;
}

static void a_unique_key_is_inserted_once_whoever_races(void **state)
{
    struct fixture *f = *state;
    struct racer racers[THREADS];
    uint64_t count;

    race(f->store, insert_same_key, racers);
    assert_int_equal(all_won(racers), ROUNDS);
    assert_ok(store_count(f->store, "orders", NULL, &count));
    assert_int_equal(count, ROUNDS);
}

/* Adds one, as often as ROUNDS; a conflict is read again. */
static void *add_one(void *arg)
{
    struct racer *r = arg;
    pthread_barrier_wait(r->start);
    while (r->won < ROUNDS && !r->other) {
        AUTO_BSON bson_t *now = NULL;
        enum err e = store_find_id(r->store, "orders", "o1", &now);
        if (e) {
            r->other = e;
            break;
        }
        AUTO_BSON bson_t *next = order("o1", "alice", int_of(now, "price") + 1);
        tally(r, store_update(r->store, "orders", "o1", int_of(now, "v"), next), ERR_CONFLICT);
    }
    return NULL;
}

static void no_update_is_lost_whoever_races(void **state)
{
    struct fixture *f = *state;
    struct racer racers[THREADS];
    AUTO_BSON bson_t *found = NULL;

    insert_order(f->store, "o1", "alice", 0);
    race(f->store, add_one, racers);
    assert_ok(store_find_id(f->store, "orders", "o1", &found));
    assert_int_equal(int_of(found, "price"), THREADS * ROUNDS);
    assert_int_equal(int_of(found, "v"), THREADS * ROUNDS + 1);
}

static void *claim_jobs(void *arg)
{
    struct racer *r = arg;
    AUTO_BSON bson_t *filter = BCON_NEW("state", "free");
    AUTO_BSON bson_t *set = BCON_NEW("state", "taken");
    enum err e = OK;

    pthread_barrier_wait(r->start);
    while (!e) {
        AUTO_BSON bson_t *claimed = NULL;
        e = store_find_and_modify(r->store, "jobs", filter, set, &claimed);
        if (!e && int_of(claimed, "v") != 2) r->other = ERR_CONFLICT; /* claimed before */
        tally(r, e, ERR_NOT_FOUND);
    }
    return NULL;
}

static void a_job_is_claimed_once_whoever_races(void **state)
{
    struct fixture *f = *state;
    struct racer racers[THREADS];
    bson_t *jobs[THREADS * ROUNDS];

    for (unsigned n = 0; n < THREADS * ROUNDS; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "j%03u", n);
        jobs[n] = BCON_NEW("_id", BCON_UTF8(id), "state", "free");
    }
    assert_ok(store_insert(f->store, "jobs", (const bson_t *const *)jobs, THREADS * ROUNDS, NULL));
    for (unsigned n = 0; n < THREADS * ROUNDS; n++)
        bson_destroy(jobs[n]);
    race(f->store, claim_jobs, racers);
    assert_int_equal(all_won(racers), THREADS * ROUNDS);
}

static void *delete_each(void *arg)
{
    struct racer *r = arg;
    for (unsigned n = 0; n < ROUNDS; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "o%03u", n);
        pthread_barrier_wait(r->start);
        tally(r, store_delete(r->store, "orders", id), ERR_NOT_FOUND);
    }
    return NULL;
}

static void a_document_is_deleted_by_one_whoever_races(void **state)
{
    struct fixture *f = *state;
    struct racer racers[THREADS];

    insert_orders(f->store, ROUNDS);
    race(f->store, delete_each, racers);
    assert_int_equal(all_won(racers), ROUNDS);
}

/* More threads than connections: they take turns. */
static void *read_and_write(void *arg)
{
    struct racer *r = arg;
    const struct store_find find = {.limit = 10};

    pthread_barrier_wait(r->start);
    for (unsigned n = 0; n < ROUNDS; n++) {
        AUTO_CURSOR struct store_cursor *cursor = NULL;
        char id[16];
        (void)snprintf(id, sizeof id, "%u-%u", n, r->number);
        AUTO_BSON bson_t *document = order(id, "alice", n);
        tally(r, store_insert(r->store, "orders", (const bson_t *const[]){document}, 1, NULL), OK);
        tally(r, store_find(r->store, "orders", &find, &cursor), OK);
    }
    return NULL;
}

static void more_threads_than_connections_take_turns(void **state)
{
    struct fixture *f = *state;
    struct racer racers[THREADS];
    const struct store_options options = {.url = f->url, .pool_max = 2};
    struct store *narrow;

    assert_ok(store_open(&options, contract_collections, &narrow, NULL));
    race(narrow, read_and_write, racers);
    store_close(narrow);
    assert_int_equal(all_won(racers), THREADS * ROUNDS * 2);
}

int contract_run_races(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(a_unique_key_is_inserted_once_whoever_races),
        CONTRACT_TEST(no_update_is_lost_whoever_races),
        CONTRACT_TEST(a_job_is_claimed_once_whoever_races),
        CONTRACT_TEST(a_document_is_deleted_by_one_whoever_races),
        CONTRACT_TEST(more_threads_than_connections_take_turns),
    };
    return cmocka_run_group_tests_name("store contract: races", tests, NULL, NULL);
}
