/* The queue between threads: bounded, in order, nothing lost, nothing twice. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/queue.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define FOR_EVER (-1)
#define NOW      0 /* a deadline that is past */

static struct queue *new_queue(size_t items_max)
{
    struct queue *q = NULL;
    assert_ok(queue_new(items_max, &q));
    return q;
}

static void *item(uintptr_t number)
{
    return (void *)number; // NOLINT(performance-no-int-to-ptr)
}

static void items_leave_in_the_order_they_came(void **state)
{
    (void)state;
    struct queue *q = new_queue(3);
    uintptr_t in = 1, out = 1;
    for (int round = 0; round < 10; round++) { /* around the ring, with one, two and three inside */
        for (int i = 0; i <= round % 3; i++)
            assert_ok(queue_put(q, item(in++)));
        for (int i = 0; i <= round % 3; i++)
            assert_ptr_equal(queue_take(q, FOR_EVER), item(out++));
    }
    assert_int_equal(queue_size(q), 0);
    queue_free(q);
    queue_free(NULL);
}

static void a_full_queue_says_so_and_one_free_place_is_enough(void **state)
{
    (void)state;
    for (size_t max = 1; max <= 5; max++) {
        struct queue *q = new_queue(max);
        for (size_t i = 1; i <= max; i++)
            assert_ok(queue_put(q, item(i)));
        assert_err(queue_put(q, item(99)), ERR_EXHAUSTED);
        assert_int_equal(queue_size(q), max);
        assert_ptr_equal(queue_take(q, NOW), item(1));
        assert_ok(queue_put(q, item(100)));
        assert_err(queue_put(q, item(101)), ERR_EXHAUSTED);
        queue_free(q);
    }
}

static void many_are_taken_at_once_but_no_more_than_asked(void **state)
{
    (void)state;
    struct queue *q = new_queue(5);
    void *taken[5];
    for (uintptr_t i = 1; i <= 5; i++)
        assert_ok(queue_put(q, item(i)));
    assert_int_equal(queue_take_many(q, taken, 3, FOR_EVER), 3);
    assert_ptr_equal(taken[0], item(1));
    assert_ptr_equal(taken[2], item(3));
    assert_ok(queue_put(q, item(6))); /* the ring wraps */
    assert_int_equal(queue_take_many(q, taken, 5, FOR_EVER), 3);
    assert_ptr_equal(taken[0], item(4));
    assert_ptr_equal(taken[2], item(6));
    assert_int_equal(queue_take_many(q, taken, 5, NOW), 0);
    queue_free(q);
}

static void a_deadline_ends_the_wait(void **state)
{
    (void)state;
    struct queue *q = new_queue(1);
    assert_null(queue_take(q, NOW));
    int64_t deadline_ms = clock_mono_ms() + 20;
    assert_null(queue_take(q, deadline_ms));
    assert_true(clock_mono_ms() >= deadline_ms);
    assert_ok(queue_put(q, item(1))); /* what is there is taken, past the deadline too */
    assert_ptr_equal(queue_take(q, NOW), item(1));
    queue_free(q);
}

static void a_closed_queue_refuses_but_gives_what_it_has(void **state)
{
    (void)state;
    struct queue *q = new_queue(2);
    assert_ok(queue_put(q, item(1)));
    queue_close(q);
    queue_close(q);
    assert_err(queue_put(q, item(2)), ERR_CLOSED);
    assert_ptr_equal(queue_take(q, FOR_EVER), item(1));
    assert_null(queue_take(q, FOR_EVER));
    queue_free(q);
}

static void *take_for_ever(void *q)
{
    return queue_take(q, FOR_EVER);
}

static void closing_wakes_every_taker(void **state)
{
    (void)state;
    struct queue *q = new_queue(1);
    pthread_t takers[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_for_ever, q), 0);
    queue_close(q);
    for (int i = 0; i < 4; i++) {
        void *taken = q;
        assert_int_equal(pthread_join(takers[i], &taken), 0);
        assert_null(taken);
    }
    queue_free(q);
}

#define PRODUCERS 3
#define CONSUMERS 3
#define ITEMS     6000 /* of each producer */

struct traffic {
    struct queue *q;
    _Atomic unsigned next_producer;
    _Atomic uint8_t seen[PRODUCERS * ITEMS + 1];
    _Atomic unsigned out_of_order;
};

static void *produce(void *argument)
{
    struct traffic *t = argument;
    unsigned producer = atomic_fetch_add(&t->next_producer, 1);
    for (unsigned i = 0; i < ITEMS; i++)
        while (queue_put(t->q, item(1 + producer * ITEMS + i)) == ERR_EXHAUSTED)
            (void)sched_yield();
    return NULL;
}

/* Of one producer, every consumer sees a later item later. */
static void *consume(void *argument)
{
    struct traffic *t = argument;
    void *taken[7];
    uintptr_t last[PRODUCERS] = {0};
    for (size_t count; (count = queue_take_many(t->q, taken, 7, FOR_EVER)) > 0;) {
        for (size_t i = 0; i < count; i++) {
            uintptr_t number = (uintptr_t)taken[i], producer = (number - 1) / ITEMS;
            atomic_fetch_add(&t->seen[number], 1);
            if (number <= last[producer]) atomic_fetch_add(&t->out_of_order, 1);
            last[producer] = number;
        }
    }
    return NULL;
}

static void between_many_threads_every_item_arrives_once_and_in_order(void **state)
{
    (void)state;
    struct traffic *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->q = new_queue(16);
    pthread_t producers[PRODUCERS], consumers[CONSUMERS];
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_create(&consumers[i], NULL, consume, t), 0);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&producers[i], NULL, produce, t), 0);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_join(producers[i], NULL), 0);
    queue_close(t->q);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_join(consumers[i], NULL), 0);
    for (unsigned i = 1; i <= PRODUCERS * ITEMS; i++)
        assert_int_equal(t->seen[i], 1);
    assert_int_equal(t->out_of_order, 0);
    queue_free(t->q);
    free(t);
}

#define TAKERS 4

struct meeting {
    struct queue *q;
    pthread_barrier_t all_have_one;
};

static void *take_and_meet(void *arg)
{
    struct meeting *m = arg;
    for (int round = 0; round < 100; round++) {
        (void)queue_take(m->q, FOR_EVER);
        (void)pthread_barrier_wait(
            &m->all_have_one); /* busy until each of the others has an item */
    }
    return NULL;
}

static void as_many_takers_wake_as_there_are_items(void **state)
{
    (void)state;
    struct meeting m = {.q = new_queue(TAKERS)};
    pthread_t takers[TAKERS];
    assert_int_equal(pthread_barrier_init(&m.all_have_one, NULL, TAKERS + 1), 0);
    for (int i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_and_meet, &m), 0);
    for (int round = 0; round < 100; round++) {
        for (uintptr_t i = 1; i <= TAKERS; i++)
            assert_ok(queue_put(m.q, item(i)));
        (void)pthread_barrier_wait(&m.all_have_one);
    }
    for (int i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_join(takers[i], NULL), 0);
    (void)pthread_barrier_destroy(&m.all_have_one);
    queue_free(m.q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_leave_in_the_order_they_came),
        cmocka_unit_test(a_full_queue_says_so_and_one_free_place_is_enough),
        cmocka_unit_test(many_are_taken_at_once_but_no_more_than_asked),
        cmocka_unit_test(a_deadline_ends_the_wait),
        cmocka_unit_test(a_closed_queue_refuses_but_gives_what_it_has),
        cmocka_unit_test(closing_wakes_every_taker),
        cmocka_unit_test(as_many_takers_wake_as_there_are_items),
        cmocka_unit_test(between_many_threads_every_item_arrives_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
