/* A shared value: each reader sees one whole value, and the last one who lets go frees it. */
#include "support/unit.h"

#include "base/shared.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define WORDS   64
#define READERS 4
#define ROUNDS  2000

static uint64_t *all_of(uint64_t number)
{
    uint64_t *value = shared_alloc(WORDS * sizeof *value);
    assert_non_null(value);
    for (size_t i = 0; i < WORDS; i++)
        value[i] = number;
    return value;
}

static void who_holds_a_value_keeps_it_when_it_is_replaced(void **state)
{
    (void)state;
    struct shared_slot slot;
    shared_init(&slot, all_of(1));
    const uint64_t *first = shared_hold(&slot);
    shared_put(&slot, all_of(2));
    const uint64_t *second = shared_hold(&slot);
    assert_int_equal(first[0], 1);
    assert_int_equal(second[0], 2);
    shared_release(&slot);
    assert_int_equal(first[WORDS - 1], 1);
    assert_int_equal(second[WORDS - 1], 2);
    shared_rele(first);
    shared_rele(second);
    shared_rele(NULL);
}

static void a_value_that_was_never_put_is_let_go(void **state)
{
    (void)state;
    shared_rele(all_of(1)); /* freed: AddressSanitizer would tell */
}

struct crowd {
    struct shared_slot slot;
    atomic_bool over;
    atomic_uint torn;
};

static void *read_on(void *arg)
{
    struct crowd *c = arg;
    for (uint64_t before = 0; !atomic_load(&c->over);) {
        const uint64_t *value = shared_hold(&c->slot);
        for (size_t i = 1; i < WORDS; i++)
            if (value[i] != value[0]) atomic_fetch_add(&c->torn, 1);
        if (value[0] < before) atomic_fetch_add(&c->torn, 1); /* older than what was seen */
        before = value[0];
        shared_rele(value);
    }
    return NULL;
}

static void readers_see_whole_values_in_order(void **state)
{
    (void)state;
    struct crowd c = {0};
    pthread_t readers[READERS];
    shared_init(&c.slot, all_of(0));
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &c), 0);
    for (uint64_t n = 1; n <= ROUNDS; n++)
        shared_put(&c.slot, all_of(n));
    atomic_store(&c.over, true);
    for (size_t i = 0; i < READERS; i++)
        (void)pthread_join(readers[i], NULL);
    assert_int_equal(c.torn, 0);
    shared_release(&c.slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_holds_a_value_keeps_it_when_it_is_replaced),
        cmocka_unit_test(a_value_that_was_never_put_is_let_go),
        cmocka_unit_test(readers_see_whole_values_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
