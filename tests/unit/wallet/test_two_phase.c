/* Hold, post, void: what is held cannot be spent otherwise, and goes exactly one way. */
#include "ledger_fixture.h"

static void what_is_held_cannot_be_sent(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(hold(f, 2, user(1), 60), LEDGER_OK);
    assert_int_equal(f->out->entry_count, 0);
    assert_balance(f, user(1), USDT, 100, 60);
    assert_refused(f, transfer(f, 3, user(1), user(2), 41), LEDGER_INSUFFICIENT);
    assert_int_equal(transfer(f, 3, user(1), user(2), 40), LEDGER_OK);
    assert_refused(f, hold(f, 4, user(1), 1), LEDGER_INSUFFICIENT);
}

static void a_post_moves_at_most_the_hold_and_gives_the_rest_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(hold(f, 2, user(1), 60), LEDGER_OK);
    assert_refused(f, post(f, 3, 2, user(2), 61), LEDGER_INSUFFICIENT);
    assert_refused(f, post(f, 3, 2, user(2), 0), LEDGER_INVALID);
    assert_refused(f, post(f, 3, 2, user(1), 1), LEDGER_SAME_ACCOUNT);
    assert_int_equal(post(f, 3, 2, user(2), 50), LEDGER_OK);
    assert_int_equal(f->out->entry_count, 2);
    assert_balance(f, user(1), USDT, 50, 0);
    assert_balance(f, user(2), USDT, 50, 0);
}

static void a_hold_ends_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(hold(f, 2, user(1), 60), LEDGER_OK);
    assert_int_equal(hold(f, 3, user(1), 40), LEDGER_OK);
    assert_int_equal(post(f, 4, 2, user(2), 60), LEDGER_OK);
    assert_int_equal(void_hold(f, 5, 3), LEDGER_OK);
    assert_refused(f, post(f, 6, 2, user(2), 60), LEDGER_NO_HOLD);
    assert_refused(f, void_hold(f, 6, 2), LEDGER_NO_HOLD);
    assert_refused(f, post(f, 6, 3, user(2), 40), LEDGER_NO_HOLD);
    assert_refused(f, void_hold(f, 6, 99), LEDGER_NO_HOLD);
    assert_balance(f, user(1), USDT, 40, 0);
}

static void each_request_repeats_its_first_result(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(hold(f, 2, user(1), 60), LEDGER_OK);
    assert_refused(f, hold(f, 2, user(1), 60), LEDGER_REPEATED);
    assert_refused(f, hold(f, 2, user(1), 61), LEDGER_ID_REUSED);
    assert_int_equal(post(f, 3, 2, user(2), 60), LEDGER_OK);
    assert_refused(f, post(f, 3, 2, user(2), 60), LEDGER_REPEATED);
    assert_refused(f, post(f, 3, 2, user(2), 59), LEDGER_ID_REUSED);
    assert_refused(f, hold(f, 2, user(1), 60), LEDGER_REPEATED); /* long over, made once */
    assert_int_equal(hold(f, 4, user(1), 10), LEDGER_OK);
    assert_int_equal(void_hold(f, 5, 4), LEDGER_OK);
    assert_refused(f, void_hold(f, 5, 4), LEDGER_REPEATED);
    assert_refused(f, void_hold(f, 5, 2), LEDGER_ID_REUSED);
}

static void a_hold_whose_id_was_forgotten_is_not_made_twice(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &(struct ledger_options){.transfer_ids_max = 2});
    assert_int_equal(credit(&f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(hold(&f, 2, user(1), 10), LEDGER_OK);
    assert_int_equal(credit(&f, 3, user(1), USDT, 1), LEDGER_OK);
    assert_int_equal(credit(&f, 4, user(1), USDT, 1), LEDGER_OK);
    assert_refused(&f, hold(&f, 2, user(1), 10), LEDGER_ID_REUSED);
    fixture_close(&f);
}

static void the_house_holds_nothing_and_a_hold_has_an_amount(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, LEDGER_FEES, USDT, 100), LEDGER_OK);
    assert_refused(f, hold(f, 2, LEDGER_FEES, 1), LEDGER_INVALID);
    assert_refused(f, hold(f, 2, LEDGER_ISSUED, 1), LEDGER_INVALID);
    assert_int_equal(credit(f, 3, user(1), USDT, 100), LEDGER_OK);
    assert_refused(f, hold(f, 2, user(1), 0), LEDGER_INVALID);
    assert_refused(f, hold(f, 2, user(1), -1), LEDGER_INVALID);
    assert_refused(f, hold(f, 2, user(1), INT64_MIN), LEDGER_INVALID);
}

static void holds_end_at_their_limit(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &(struct ledger_options){.holds_max = 2});
    assert_int_equal(credit(&f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(hold(&f, 2, user(1), 1), LEDGER_OK);
    assert_int_equal(hold(&f, 3, user(1), 1), LEDGER_OK);
    assert_refused(&f, hold(&f, 4, user(1), 1), LEDGER_FULL);
    assert_int_equal(order_hold(&f, 1, user(1), USDT, 1), ORDER_FULL);
    assert_int_equal(void_hold(&f, 5, 2), LEDGER_OK);
    assert_int_equal(hold(&f, 4, user(1), 1), LEDGER_OK);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ledger_test(what_is_held_cannot_be_sent),
        ledger_test(a_post_moves_at_most_the_hold_and_gives_the_rest_back),
        ledger_test(a_hold_ends_once),
        ledger_test(each_request_repeats_its_first_result),
        cmocka_unit_test(a_hold_whose_id_was_forgotten_is_not_made_twice),
        ledger_test(the_house_holds_nothing_and_a_hold_has_an_amount),
        cmocka_unit_test(holds_end_at_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
