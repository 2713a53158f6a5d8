/* Transfers: money moves once, all legs or none, within int64. */
#include "ledger_fixture.h"

static void transfer_moves_money_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(transfer(f, 2, user(1), user(2), 30), LEDGER_OK);
    assert_int_equal(f->out->first_time_ms, 1002);
    uint64_t first = f->seq;
    assert_refused(f, transfer(f, 2, user(1), user(2), 30), LEDGER_REPEATED);
    assert_int_equal(f->out->first_seq, first);
    assert_int_equal(f->out->first_time_ms, 1002);
    assert_balance(f, user(1), USDT, 70, 0);
    assert_balance(f, user(2), USDT, 30, 0);
    assert_balance(f, LEDGER_ISSUED, USDT, -100, 0);
}

static void entries_tell_both_sides_and_the_totals_after(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(f->out->entry_count, 2);
    const struct ledger_entry *e = f->out->entries;
    assert_true(id_equal(e[0].owner, LEDGER_ISSUED));
    assert_int_equal(e[0].amount, -100);
    assert_int_equal(e[0].total_after, -100);
    assert_int_equal(e[0].kind, ENTRY_CREDIT);
    assert_true(id_equal(e[1].owner, user(1)));
    assert_int_equal(e[1].amount, 100);
    assert_int_equal(e[1].total_after, 100);
}

static void the_same_id_with_any_other_body_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(credit(f, 2, user(1), BTC, 100), LEDGER_OK);
    assert_int_equal(transfer(f, 3, user(1), user(2), 30), LEDGER_OK);
    assert_refused(f, transfer(f, 3, user(1), user(2), 31), LEDGER_ID_REUSED);
    assert_refused(f, transfer(f, 3, user(1), user(3), 30), LEDGER_ID_REUSED);
    assert_refused(f, transfer(f, 3, user(2), user(1), 30), LEDGER_ID_REUSED);
    assert_refused(f, credit(f, 3, user(2), USDT, 30), LEDGER_ID_REUSED);
    struct ledger_command c = transfer_command(3, user(1), user(2), BTC, 30);
    assert_refused(f, apply(f, &c), LEDGER_ID_REUSED);
    c = transfer_command(3, user(1), user(2), USDT, 30);
    c.transfer.legs[1] = c.transfer.legs[0];
    c.transfer.leg_count = 2;
    assert_refused(f, apply(f, &c), LEDGER_ID_REUSED);
    assert_refused(f, hold(f, 3, user(1), 30), LEDGER_ID_REUSED);
}

static void refusals_change_nothing_and_leave_the_id_free(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    static const struct {
        uint64_t from, to;
        uint16_t asset;
        int64_t amount;
        enum ledger_result result;
    } cases[] = {
        {1, 2, USDT, 101, LEDGER_INSUFFICIENT}, {9, 2, USDT, 1, LEDGER_INSUFFICIENT},
        {1, 2, BTC, 1, LEDGER_INSUFFICIENT},    {1, 2, USDT, 0, LEDGER_INVALID},
        {1, 2, USDT, -1, LEDGER_INVALID},       {1, 2, USDT, INT64_MIN, LEDGER_INVALID},
        {1, 1, USDT, 1, LEDGER_SAME_ACCOUNT},   {1, 2, 2, 1, LEDGER_UNKNOWN_ASSET},
        {1, 2, 9999, 1, LEDGER_UNKNOWN_ASSET},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ledger_command c = transfer_command(5, user(cases[i].from), user(cases[i].to),
                                                   cases[i].asset, cases[i].amount);
        assert_refused(f, apply(f, &c), cases[i].result);
    }
    assert_int_equal(transfer(f, 5, user(1), user(2), 100), LEDGER_OK);
}

static void the_last_unit_can_be_sent_and_not_one_more(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_refused(f, transfer(f, 2, user(1), user(2), 101), LEDGER_INSUFFICIENT);
    assert_int_equal(transfer(f, 2, user(1), user(2), 100), LEDGER_OK);
    assert_refused(f, transfer(f, 3, user(1), user(2), 1), LEDGER_INSUFFICIENT);
}

static void circulation_ends_at_the_largest_int64(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, INT64_MAX), LEDGER_OK);
    assert_refused(f, credit(f, 2, user(1), USDT, 1), LEDGER_OVERFLOW);
    assert_refused(f, credit(f, 2, user(2), USDT, 1), LEDGER_OVERFLOW);
    assert_refused(f, credit(f, 2, user(2), USDT, INT64_MAX), LEDGER_OVERFLOW);
    assert_int_equal(credit(f, 2, user(2), BTC, INT64_MAX), LEDGER_OK);
    assert_int_equal(transfer(f, 3, user(1), LEDGER_ISSUED, 1), LEDGER_OK);
    assert_int_equal(credit(f, 4, user(2), USDT, 1), LEDGER_OK);
    assert_int_equal(transfer(f, 5, user(1), user(2), INT64_MAX - 1), LEDGER_OK);
}

/* user 1 -> 2 -> 3, linked; the last leg decides. */
static struct ledger_command chain(uint64_t id, int64_t first, int64_t last)
{
    struct ledger_command c = transfer_command(id, user(1), user(2), USDT, first);
    c.transfer.leg_count = 3;
    c.transfer.legs[1] =
        (struct transfer_leg){.from = user(2), .to = user(3), .asset = USDT, .amount = first};
    c.transfer.legs[2] =
        (struct transfer_leg){.from = user(4), .to = user(5), .asset = BTC, .amount = last};
    return c;
}

static void linked_legs_apply_all_or_none(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(credit(f, 2, user(4), BTC, 10), LEDGER_OK);
    struct ledger_command c = chain(3, 100, 11);
    assert_refused(f, apply(f, &c), LEDGER_INSUFFICIENT);
    c = chain(3, 101, 10);
    assert_refused(f, apply(f, &c), LEDGER_INSUFFICIENT);
    c = chain(3, 100, 10);
    assert_int_equal(apply(f, &c), LEDGER_OK);
    assert_int_equal(f->out->entry_count, 6);
    assert_balance(f, user(1), USDT, 0, 0);
    assert_balance(f, user(2), USDT, 0, 0);
    assert_balance(f, user(3), USDT, 100, 0);
    assert_balance(f, user(5), BTC, 10, 0);
    assert_refused(f, apply(f, &c), LEDGER_REPEATED);
}

static void the_most_legs_apply(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, COMMAND_LEGS_MAX), LEDGER_OK);
    struct ledger_command c = transfer_command(2, user(1), user(2), USDT, 1);
    c.transfer.leg_count = COMMAND_LEGS_MAX;
    for (uint64_t i = 1; i < COMMAND_LEGS_MAX; i++)
        c.transfer.legs[i] =
            (struct transfer_leg){.from = user(1), .to = user(2 + i), .asset = USDT, .amount = 1};
    assert_int_equal(apply(f, &c), LEDGER_OK);
    assert_balance(f, user(1), USDT, 0, 0);
    assert_balance(f, user(1 + COMMAND_LEGS_MAX), USDT, 1, 0);
}

static void an_asset_is_defined_once_and_keeps_its_scale(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, define(f, "USDT", 8), LEDGER_REPEATED);
    assert_refused(f, define(f, "USDT", 6), LEDGER_ASSET_FIXED);
    assert_refused(f, define(f, "ETH", 19), LEDGER_INVALID);
    assert_int_equal(define(f, "ETH", 18), LEDGER_OK);
    assert_int_equal(ledger_asset_count(f->ledger), 3);
    assert_string_equal(ledger_asset(f->ledger, 2).name, "ETH");
    uint16_t at = 0;
    assert_true(ledger_asset_find(f->ledger, "ETH", &at));
    assert_int_equal(at, 2);
    assert_false(ledger_asset_find(f->ledger, "ETHX", &at));
}

static void assets_end_at_their_limit(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 2; i < LEDGER_ASSETS_MAX; i++) {
        char name[COMMAND_ASSET_NAME + 1];
        (void)snprintf(name, sizeof name, "A%u", i);
        assert_int_equal(define(f, name, 2), LEDGER_OK);
    }
    assert_refused(f, define(f, "ONEMORE", 2), LEDGER_FULL);
}

static void accounts_end_at_their_limit_and_the_refused_transfer_makes_none(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &(struct ledger_options){.accounts_max = 3});
    assert_int_equal(credit(&f, 1, user(1), USDT, 10), LEDGER_OK);
    assert_int_equal(transfer(&f, 2, user(1), user(2), 1), LEDGER_OK);
    assert_refused(&f, transfer(&f, 3, user(1), user(3), 1), LEDGER_FULL);
    assert_refused(&f, credit(&f, 3, user(3), BTC, 1), LEDGER_FULL);
    assert_int_equal(transfer(&f, 3, user(1), user(2), 1), LEDGER_OK);
    fixture_close(&f);
}

static void the_oldest_ids_are_forgotten_at_the_limit(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &(struct ledger_options){.transfer_ids_max = 100});
    for (uint64_t id = 1; id <= 100; id++)
        assert_int_equal(credit(&f, id, user(1), USDT, 1), LEDGER_OK);
    assert_int_equal(ledger_forgotten_ids(f.ledger), 0);
    assert_int_equal(credit(&f, 1, user(1), USDT, 1), LEDGER_REPEATED);
    for (uint64_t id = 101; id <= 250; id++)
        assert_int_equal(credit(&f, id, user(1), USDT, 1), LEDGER_OK);
    assert_int_equal(ledger_forgotten_ids(f.ledger), 150);
    for (uint64_t id = 151; id <= 250; id++)
        assert_int_equal(credit(&f, id, user(1), USDT, 1), LEDGER_REPEATED);
    assert_int_equal(credit(&f, 150, user(1), USDT, 1), LEDGER_OK);
    fixture_close(&f);
}

static void every_account_that_changed_is_told_once(void **state)
{
    struct fixture *f = *state;
    ledger_touched_clear(f->ledger);
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(transfer(f, 2, user(1), user(2), 10), LEDGER_OK);
    assert_int_equal(transfer(f, 3, user(1), user(2), 10), LEDGER_OK);
    assert_int_equal(hold(f, 4, user(1), 5), LEDGER_OK);
    assert_int_equal(ledger_touched_count(f->ledger), 3);
    struct ledger_balance b = ledger_touched(f->ledger, 1);
    assert_true(id_equal(b.owner, user(1)));
    assert_int_equal(b.total, 80);
    assert_int_equal(b.held, 5);
    ledger_touched_clear(f->ledger);
    assert_int_equal(ledger_touched_count(f->ledger), 0);
    assert_int_equal(void_hold(f, 5, 4), LEDGER_OK);
    assert_int_equal(ledger_touched_count(f->ledger), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ledger_test(transfer_moves_money_once),
        ledger_test(entries_tell_both_sides_and_the_totals_after),
        ledger_test(the_same_id_with_any_other_body_is_refused),
        ledger_test(refusals_change_nothing_and_leave_the_id_free),
        ledger_test(the_last_unit_can_be_sent_and_not_one_more),
        ledger_test(circulation_ends_at_the_largest_int64),
        ledger_test(linked_legs_apply_all_or_none),
        ledger_test(the_most_legs_apply),
        ledger_test(an_asset_is_defined_once_and_keeps_its_scale),
        ledger_test(assets_end_at_their_limit),
        cmocka_unit_test(accounts_end_at_their_limit_and_the_refused_transfer_makes_none),
        cmocka_unit_test(the_oldest_ids_are_forgotten_at_the_limit),
        ledger_test(every_account_that_changed_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
