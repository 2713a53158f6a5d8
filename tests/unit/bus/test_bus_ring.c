/* The ring keeps the newest, contiguous, within its bytes. */
#include "support/unit.h"

#include "base/bus/ring.h"

#include <string.h>

static struct bus_record *record_of(const struct bus_ring *r, size_t payload_size)
{
    static const char payload[4096];
    const struct bus_event event = {
        .topic = "t",
        .key = "k",
        .type = "x",
        .epoch = r->epoch,
        .seq = r->next,
        .payload = payload,
        .payload_size = payload_size,
    };
    struct bus_record *record = bus_record_new(&event);
    assert_non_null(record);
    return record;
}

static size_t size_of(size_t payload_size)
{
    return sizeof(struct bus_record) + sizeof "k" + sizeof "x" + payload_size;
}

static void check(const struct bus_ring *r)
{
    size_t size = 0;
    for (uint64_t seq = r->first; seq < r->next; seq++) {
        assert_int_equal(bus_ring_at(r, seq)->event.seq, seq);
        size += bus_ring_at(r, seq)->size;
    }
    assert_int_equal(size, r->size);
    assert_true(size <= r->size_max);
}

static void it_holds_its_bytes_and_not_one_event_more(void **state)
{
    (void)state;
    struct bus_ring r;
    bus_ring_init(&r, 9, 10 * size_of(100));
    for (int i = 0; i < 10; i++)
        bus_ring_add(&r, record_of(&r, 100));
    assert_int_equal(r.first, 1);
    assert_int_equal(r.next, 11);
    bus_ring_add(&r, record_of(&r, 0)); /* one small one more: the oldest goes */
    assert_int_equal(r.first, 2);
    check(&r);
    bus_ring_release(&r);
}

static void any_sizes_keep_it_contiguous(void **state)
{
    (void)state;
    struct bus_ring r;
    uint64_t random = 3;
    bus_ring_init(&r, 9, 20000);
    for (int i = 0; i < 3000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        bus_ring_add(&r, record_of(&r, (random >> 40) % 4096));
        assert_int_equal(r.next, i + 2);
        assert_true(r.first < r.next);
        check(&r);
    }
    bus_ring_release(&r);
}

static void what_does_not_fit_takes_the_past_with_it(void **state)
{
    (void)state;
    struct bus_ring r;
    bus_ring_init(&r, 9, size_of(100));
    bus_ring_add(&r, record_of(&r, 100));
    assert_true(bus_ring_reaches(&r, 9, 0));
    bus_ring_add(&r, record_of(&r, 101)); /* seq 2 is larger than the ring */
    assert_int_equal(r.size, 0);
    assert_false(bus_ring_reaches(&r, 9, 1));
    assert_true(bus_ring_reaches(&r, 9, 2));
    bus_ring_add(&r, record_of(&r, 1));
    assert_int_equal(r.first, 3);
    bus_ring_add(&r, NULL); /* seq 4: there was no memory for it */
    assert_false(bus_ring_reaches(&r, 9, 3));
    assert_true(bus_ring_reaches(&r, 9, 4));
    bus_ring_release(&r);
}

static void it_reaches_from_before_its_first_to_its_last(void **state)
{
    static const struct {
        uint64_t epoch, seq;
        bool reaches;
    } rows[] = {
        {9, 5, false},  {9, 6, true},           {9, 8, true},  {9, 9, true},
        {9, 10, false}, {9, UINT64_MAX, false}, {8, 8, false}, {0, 0, false},
    };
    (void)state;
    struct bus_ring r;
    bus_ring_init(&r, 1, 10000);
    bus_ring_add(&r, record_of(&r, 10));
    bus_ring_reset(&r, 9, 7);
    assert_true(bus_ring_reaches(&r, 9, 6)); /* empty: it stands there */
    assert_false(bus_ring_reaches(&r, 9, 7));
    for (int i = 0; i < 3; i++)
        bus_ring_add(&r, record_of(&r, 10));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(bus_ring_reaches(&r, rows[i].epoch, rows[i].seq), rows[i].reaches);
    bus_ring_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_its_bytes_and_not_one_event_more),
        cmocka_unit_test(any_sizes_keep_it_contiguous),
        cmocka_unit_test(what_does_not_fit_takes_the_past_with_it),
        cmocka_unit_test(it_reaches_from_before_its_first_to_its_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
