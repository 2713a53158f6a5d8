/* Who waits for a client is woken when the time is over, and only then. */
#include "support/unit.h"

#include "base/clock.h"
#include "cutter.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS 4
#define LATER 600000

struct pair {
    struct cutter *cutter;
    int own, other;
};

static int start(void **state)
{
    static struct pair p;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    p = (struct pair){.own = ends[0], .other = ends[1]};
    assert_ok(cutter_new(SLOTS, &p.cutter));
    *state = &p;
    return 0;
}

static int stop(void **state)
{
    struct pair *p = *state;
    cutter_free(p->cutter);
    (void)close(p->own);
    (void)close(p->other);
    return 0;
}

static bool can_write(int socket)
{
    return send(socket, "x", 1, MSG_NOSIGNAL) == 1;
}

static void a_wait_that_is_over_in_time_is_not_cut(void **state)
{
    struct pair *p = *state;
    char c;
    struct cutter_wait wait = cutter_arm(p->cutter, p->own, CUT_BOTH, clock_mono_ms() + LATER);
    assert_true(can_write(p->other));
    assert_int_equal(read(p->own, &c, 1), 1);
    assert_false(cutter_disarm(wait));
    assert_true(can_write(p->own));
}

static void reading_is_cut_and_writing_goes_on(void **state)
{
    struct pair *p = *state;
    char c;
    struct cutter_wait wait = cutter_arm(p->cutter, p->own, CUT_READING, clock_mono_ms() + 5);
    assert_int_equal(read(p->own, &c, 1), 0); /* it would wait for ever */
    assert_true(cutter_disarm(wait));
    assert_true(can_write(p->own));
}

static void both_are_cut(void **state)
{
    struct pair *p = *state;
    char c;
    struct cutter_wait wait = cutter_arm(p->cutter, p->own, CUT_BOTH, clock_mono_ms());
    assert_int_equal(read(p->own, &c, 1), 0);
    assert_true(cutter_disarm(wait));
    assert_false(can_write(p->own));
}

static void an_earlier_time_is_kept_beside_later_ones(void **state)
{
    struct pair *p = *state;
    char c;
    struct cutter_wait later = cutter_arm(p->cutter, p->other, CUT_BOTH, clock_mono_ms() + LATER);
    struct cutter_wait sooner = cutter_arm(p->cutter, p->own, CUT_READING, clock_mono_ms() + 5);
    assert_int_equal(read(p->own, &c, 1), 0);
    assert_true(cutter_disarm(sooner));
    assert_false(cutter_disarm(later));
}

static void slots_are_used_again(void **state)
{
    struct pair *p = *state;
    struct cutter_wait waits[SLOTS];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SLOTS; i++)
            waits[i] = cutter_arm(p->cutter, p->own, CUT_BOTH, clock_mono_ms() + LATER);
        for (int i = 0; i < SLOTS; i++)
            assert_false(cutter_disarm(waits[round % 2 ? i : SLOTS - 1 - i]));
    }
}

static void without_a_socket_nothing_is_cut(void **state)
{
    struct pair *p = *state;
    assert_false(cutter_disarm(cutter_arm(p->cutter, -1, CUT_BOTH, 0)));
    assert_false(cutter_disarm(cutter_arm(NULL, p->own, CUT_BOTH, 0)));
    cutter_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wait_that_is_over_in_time_is_not_cut, start, stop),
        cmocka_unit_test_setup_teardown(reading_is_cut_and_writing_goes_on, start, stop),
        cmocka_unit_test_setup_teardown(both_are_cut, start, stop),
        cmocka_unit_test_setup_teardown(an_earlier_time_is_kept_beside_later_ones, start, stop),
        cmocka_unit_test_setup_teardown(slots_are_used_again, start, stop),
        cmocka_unit_test_setup_teardown(without_a_socket_nothing_is_cut, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
