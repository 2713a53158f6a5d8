/* The index finds what is there and nothing else, whatever was added, moved and removed before. */
#include "support/unit.h"

#include "index.h"

#include <stdlib.h>
#include <string.h>

enum { THINGS = 300, STEPS = 20000 };

static uint32_t hashes[THINGS];
static bool there[THINGS];

static bool found(const struct index *ix, uint32_t thing)
{
    uint32_t at = 0;
    unsigned times = 0;
    for (struct index_probe p = index_probe(ix, hashes[thing]); index_next(ix, &p, &at);)
        times += at == thing;
    assert_true(times <= 1);
    return times;
}

static void check_all(const struct index *ix)
{
    for (uint32_t i = 0; i < THINGS; i++)
        assert_int_equal(found(ix, i), there[i]);
}

/* Few different hashes make long runs, which is where shifting back goes wrong. */
static void it_agrees_with_a_plain_set_under_collisions(void **state)
{
    (void)state;
    static const uint32_t spread[] = {1, 3, 64, 1000003};
    for (size_t s = 0; s < sizeof spread / sizeof *spread; s++) {
        struct index ix;
        index_init(&ix);
        uint32_t random = 1;
        for (uint32_t i = 0; i < THINGS; i++)
            hashes[i] = (i * 2654435761U) % spread[s];
        memset(there, 0, sizeof there);
        for (unsigned step = 0; step < STEPS / (s ? 1 : 20); step++) {
            random = random * 1664525 + 1013904223;
            uint32_t i = (random >> 8) % THINGS;
            if (there[i])
                index_remove(&ix, hashes[i], i);
            else
                index_add(&ix, hashes[i], i);
            there[i] = !there[i];
            if (step % 100 == 0) check_all(&ix);
        }
        check_all(&ix);
        index_release(&ix);
    }
}

static void a_moved_thing_is_found_at_its_new_position_only(void **state)
{
    (void)state;
    struct index ix;
    index_init(&ix);
    for (uint32_t i = 0; i < 100; i++)
        index_add(&ix, 5, i);
    index_remove(&ix, 5, 10);
    index_move(&ix, 5, 99, 10);
    uint32_t at = 0;
    unsigned count = 0;
    for (struct index_probe p = index_probe(&ix, 5); index_next(&ix, &p, &at); count++)
        assert_true(at < 99);
    assert_int_equal(count, 99);
    index_release(&ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_plain_set_under_collisions),
        cmocka_unit_test(a_moved_thing_is_found_at_its_new_position_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
