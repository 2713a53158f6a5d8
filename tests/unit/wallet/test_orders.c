/* Holds for orders, settlements of durable batches, fences. */
#include "ledger_fixture.h"

static enum ledger_result reconcile(struct fixture *f, uint64_t last, uint64_t fence)
{
    struct ledger_command c = {
        .kind = COMMAND_RECONCILE,
        .reconcile = {.shard = 7, .last_order_id = last, .fence_order_id = fence}};
    return apply(f, &c);
}

/* Order 1: user 1 buys for 100 USDT. Order 2: user 2 sells 10 BTC. */
static void place_two(struct fixture *f)
{
    assert_int_equal(credit(f, 1, user(1), USDT, 1000), LEDGER_OK);
    assert_int_equal(credit(f, 2, user(2), BTC, 50), LEDGER_OK);
    assert_int_equal(order_hold(f, 1, user(1), USDT, 100), ORDER_HELD);
    assert_int_equal(order_hold(f, 2, user(2), BTC, 10), ORDER_HELD);
}

static const struct settle_leg trade_legs[] = {
    {.order_id = 1, .amount = -90, .asset = USDT, .kind = ENTRY_TRADE, .trade_id = 5},
    {.amount = 89, .asset = USDT, .kind = ENTRY_TRADE, .trade_id = 5},
    {.amount = 1, .asset = USDT, .kind = ENTRY_FEE, .trade_id = 5},
    {.order_id = 2, .amount = -10, .asset = BTC, .kind = ENTRY_TRADE, .trade_id = 5},
    {.amount = 10, .asset = BTC, .kind = ENTRY_TRADE, .trade_id = 5},
};
enum { TRADE_LEGS = sizeof trade_legs / sizeof *trade_legs };

/* The trade of the two orders, with their users filled in. */
static void trade(struct settle_leg legs[static TRADE_LEGS])
{
    memcpy(legs, trade_legs, sizeof trade_legs);
    legs[0].owner = legs[4].owner = user(1);
    legs[1].owner = legs[3].owner = user(2);
    legs[2].owner = LEDGER_FEES;
}

struct settlement_case {
    uint64_t seq;
    uint16_t part;
    bool more; /* another part follows */
    const struct settle_leg *legs;
    size_t leg_count;
    const uint64_t *releases;
    size_t release_count;
};

static void add_settlement(struct buf *b, const struct settlement_case *s)
{
    size_t at = command_add_settlement(b, s->seq, s->part);
    for (size_t i = 0; i < s->leg_count; i++)
        command_add_leg(b, at, &s->legs[i]);
    for (size_t i = 0; i < s->release_count; i++)
        command_add_release(b, at, s->releases[i]);
    command_settlement_last(b, at, !s->more);
}

static enum ledger_result settle(struct fixture *f, const struct settlement_case *s)
{
    AUTO_BUF struct buf b = {0};
    buf_init(&b, COMMAND_SIZE_MAX);
    command_begin_settle(&b, 7);
    add_settlement(&b, s);
    return apply_bytes(f, &b);
}

static void each_order_of_a_batch_is_judged_alone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    assert_int_equal(reconcile(f, 0, 10), LEDGER_OK);
    static const struct {
        uint64_t order_id, user;
        uint16_t asset;
        int64_t amount;
        enum order_hold_result result;
    } cases[] = {
        {10, 1, USDT, 60, ORDER_HELD},         {9, 1, USDT, 1, ORDER_FENCED},
        {11, 1, USDT, 41, ORDER_INSUFFICIENT}, {12, 1, BTC, 1, ORDER_INSUFFICIENT},
        {13, 2, USDT, 1, ORDER_INSUFFICIENT},  {14, 1, 2, 1, ORDER_UNKNOWN_ASSET},
        {15, 1, USDT, 0, ORDER_INVALID},       {16, 1, USDT, INT64_MIN, ORDER_INVALID},
        {17, 1, USDT, 40, ORDER_HELD},         {18, 1, USDT, 1, ORDER_INSUFFICIENT},
    };
    size_t count = sizeof cases / sizeof *cases;
    AUTO_BUF struct buf b = {0};
    buf_init(&b, COMMAND_SIZE_MAX);
    command_begin_order_holds(&b, 7);
    for (size_t i = 0; i < count; i++)
        command_add_order_hold(&b, &(struct order_hold){.order_id = cases[i].order_id,
                                                        .owner = user(cases[i].user),
                                                        .asset = cases[i].asset,
                                                        .amount = cases[i].amount});
    assert_int_equal(apply_bytes(f, &b), LEDGER_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(f->out->hold_results[i], cases[i].result);
    assert_balance(f, user(1), USDT, 100, 100);
    size_t size = 0;
    AUTO_FREE char *before = state_bytes(f, &size);
    assert_int_equal(apply_bytes(f, &b), LEDGER_OK); /* again: the same answers, nothing more */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(f->out->hold_results[i], cases[i].result);
    AUTO_FREE char *after = state_bytes(f, &size);
    assert_memory_equal(before, after, size);
}

static void shards_do_not_share_order_ids(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    for (uint32_t shard = 0; shard < 2; shard++) {
        AUTO_BUF struct buf b = {0};
        buf_init(&b, COMMAND_SIZE_MAX);
        command_begin_order_holds(&b, shard);
        command_add_order_hold(
            &b, &(struct order_hold){.order_id = 1, .owner = user(1), .asset = USDT, .amount = 10});
        assert_int_equal(apply_bytes(f, &b), LEDGER_OK);
        assert_int_equal(f->out->hold_results[0], ORDER_HELD);
    }
    assert_balance(f, user(1), USDT, 100, 20);
}

static void shards_end_at_their_limit(void **state)
{
    struct fixture *f = *state;
    AUTO_BUF struct buf b = {0};
    for (uint32_t shard = 0; shard <= LEDGER_SHARDS_MAX; shard++) {
        buf_release(&b);
        buf_init(&b, COMMAND_SIZE_MAX);
        command_begin_settle(&b, shard);
        assert_int_equal(apply_bytes(f, &b), shard < LEDGER_SHARDS_MAX ? LEDGER_OK : LEDGER_FULL);
    }
}

static void another_hold_with_the_same_order_id_is_refused(void **state)
{
    struct fixture *f = *state;
    place_two(f);
    assert_int_equal(order_hold(f, 1, user(1), USDT, 101), ORDER_INVALID);
    assert_int_equal(order_hold(f, 1, user(2), USDT, 100), ORDER_INVALID);
    assert_int_equal(order_hold(f, 1, user(1), BTC, 100), ORDER_INVALID);
    assert_int_equal(order_hold(f, 1, user(1), USDT, 100), ORDER_HELD);
    assert_balance(f, user(1), USDT, 1000, 100);
}

static void a_late_hold_of_an_order_that_is_over_reserves_nothing(void **state)
{
    struct fixture *f = *state;
    place_two(f);
    uint64_t released = 1;
    assert_int_equal(
        settle(f, &(struct settlement_case){.seq = 1, .releases = &released, .release_count = 1}),
        LEDGER_OK);
    assert_balance(f, user(1), USDT, 1000, 0);
    assert_int_equal(order_hold(f, 1, user(1), USDT, 100), ORDER_INSUFFICIENT);
    assert_balance(f, user(1), USDT, 1000, 0);
}

static void a_trade_pays_from_the_holds_and_the_rest_goes_back(void **state)
{
    struct fixture *f = *state;
    place_two(f);
    struct settle_leg legs[TRADE_LEGS];
    trade(legs);
    uint64_t releases[] = {1, 2};
    struct settlement_case s = {1, 0, false, legs, TRADE_LEGS, releases, 2};
    assert_int_equal(settle(f, &s), LEDGER_OK);
    assert_int_equal(f->out->settled_seq, 1);
    assert_int_equal(f->out->entry_count, TRADE_LEGS);
    assert_int_equal(f->out->entries[0].order_id, 1);
    assert_int_equal(f->out->entries[0].trade_id, 5);
    assert_int_equal(f->out->entries[0].total_after, 910);
    assert_balance(f, user(1), USDT, 910, 0);
    assert_balance(f, user(1), BTC, 10, 0);
    assert_balance(f, user(2), USDT, 89, 0);
    assert_balance(f, user(2), BTC, 40, 0);
    assert_balance(f, LEDGER_FEES, USDT, 1, 0);
}

static void a_settlement_repeated_changes_nothing_and_a_gap_is_refused(void **state)
{
    struct fixture *f = *state;
    place_two(f);
    struct settle_leg legs[TRADE_LEGS];
    trade(legs);
    struct settlement_case s = {1, 0, false, legs, TRADE_LEGS, NULL, 0};
    assert_int_equal(settle(f, &s), LEDGER_OK);
    assert_refused(f, settle(f, &s), LEDGER_OK);
    assert_int_equal(f->out->settled_seq, 1);
    s.seq = 3;
    assert_refused(f, settle(f, &s), LEDGER_GAP);
    assert_int_equal(f->out->settled_seq, 1);
    s.seq = 0;
    assert_refused(f, settle(f, &s), LEDGER_OK);
}

static void a_batch_of_settlements_goes_on_where_it_had_come_to(void **state)
{
    struct fixture *f = *state;
    place_two(f);
    struct settle_leg legs[TRADE_LEGS];
    trade(legs);
    uint64_t releases[] = {1, 2};
    struct settlement_case first = {1, 0, false, legs, TRADE_LEGS, NULL, 0};
    struct settlement_case second = {2, 0, false, NULL, 0, releases, 2};
    struct settlement_case fourth = {4, 0, false, NULL, 0, NULL, 0};
    assert_int_equal(settle(f, &first), LEDGER_OK);
    AUTO_BUF struct buf b = {0};
    buf_init(&b, COMMAND_SIZE_MAX);
    command_begin_settle(&b, 7);
    add_settlement(&b, &first);
    add_settlement(&b, &second);
    add_settlement(&b, &fourth);
    assert_int_equal(apply_bytes(f, &b), LEDGER_GAP);
    assert_int_equal(f->out->settled_seq, 2);
    assert_balance(f, user(1), USDT, 910, 0);
}

static void a_large_settlement_travels_in_parts(void **state)
{
    struct fixture *f = *state;
    place_two(f);
    struct settle_leg legs[TRADE_LEGS];
    trade(legs);
    uint64_t releases[] = {1, 2};
    struct settlement_case one = {1, 0, true, legs, 3, NULL, 0};
    struct settlement_case two = {1, 1, true, legs + 3, 2, NULL, 0};
    struct settlement_case three = {1, 2, false, NULL, 0, releases, 2};
    assert_refused(f, settle(f, &two), LEDGER_GAP);
    assert_int_equal(settle(f, &one), LEDGER_OK);
    assert_int_equal(f->out->settled_seq, 0);
    assert_refused(f, settle(f, &one), LEDGER_OK);
    assert_refused(f, settle(f, &three), LEDGER_GAP);
    assert_int_equal(settle(f, &two), LEDGER_OK);
    assert_int_equal(settle(f, &three), LEDGER_OK);
    assert_int_equal(f->out->settled_seq, 1);
    assert_refused(f, settle(f, &one), LEDGER_OK);
    assert_refused(f, settle(f, &three), LEDGER_OK);
    assert_balance(f, user(1), USDT, 910, 0);
    assert_balance(f, user(2), BTC, 40, 0);
}

static void a_settlement_that_does_not_fit_applies_nothing(void **state)
{
    struct fixture *f = *state;
    place_two(f);
    static const struct {
        size_t leg;
        struct settle_leg change; /* non-zero fields replace */
        enum ledger_result result;
        const char *what;
    } cases[] = {
        {4, {.amount = 9}, LEDGER_UNBALANCED, "a unit is lost"},
        {4, {.amount = 11}, LEDGER_UNBALANCED, "a unit is made"},
        {4, {.asset = 2}, LEDGER_UNKNOWN_ASSET, "asset"},
        {3, {.amount = -11}, LEDGER_INSUFFICIENT, "more than the hold"},
        {3, {.order_id = 1}, LEDGER_NO_HOLD, "the hold of another"},
        {3, {.order_id = 3}, LEDGER_NO_HOLD, "no such hold"},
        {3, {.asset = USDT, .order_id = 99}, LEDGER_NO_HOLD, "no hold either"},
        {4, {.owner = {.hi = 0, .lo = 1}}, LEDGER_INVALID, "issued is not an owner"},
        {4, {.amount = INT64_MIN}, LEDGER_INVALID, "the least int64"},
        {4, {.amount = INT64_MAX}, LEDGER_UNBALANCED, "the largest int64"},
        {1, {.amount = INT64_MAX}, LEDGER_UNBALANCED, "likewise"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settle_leg legs[TRADE_LEGS];
        trade(legs);
        const struct settle_leg *change = &cases[i].change;
        struct settle_leg *leg = &legs[cases[i].leg];
        if (change->amount) leg->amount = change->amount;
        if (change->asset) leg->asset = change->asset;
        if (change->order_id) leg->order_id = change->order_id;
        if (change->owner.lo) leg->owner = change->owner;
        uint64_t releases[] = {1, 2};
        struct settlement_case s = {1, 0, false, legs, TRADE_LEGS, releases, 2};
        print_message("%s\n", cases[i].what);
        assert_refused(f, settle(f, &s), cases[i].result);
    }
}

static void a_balance_too_large_for_int64_refuses_the_settlement(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, INT64_MAX), LEDGER_OK);
    assert_int_equal(order_hold(f, 1, user(1), USDT, INT64_MAX), ORDER_HELD);
    struct settle_leg legs[] = {
        {.order_id = 1, .owner = user(1), .amount = -INT64_MAX, .asset = USDT},
        {.owner = user(2), .amount = INT64_MAX, .asset = USDT},
        {.owner = user(2), .amount = 1, .asset = USDT},
    };
    struct settlement_case s = {1, 0, false, legs, 3, NULL, 0};
    assert_refused(f, settle(f, &s), LEDGER_OVERFLOW);
    s.leg_count = 2;
    assert_int_equal(settle(f, &s), LEDGER_OK);
    assert_balance(f, user(2), USDT, INT64_MAX, 0);
}

static void a_trade_finds_its_accounts_beyond_their_limit(void **state)
{
    (void)state;
    struct fixture full, loaded = {.out = calloc(1, sizeof *loaded.out)};
    const struct ledger_options options = {.accounts_max = 4}; /* two users', two of the house */
    fixture_open(&full, &options);
    place_two(&full);
    assert_refused(&full, transfer(&full, 3, user(1), user(3), 1), LEDGER_FULL);
    struct settle_leg legs[TRADE_LEGS];
    trade(legs);
    struct settlement_case s = {1, 0, false, legs, TRADE_LEGS, NULL, 0};
    assert_int_equal(settle(&full, &s), LEDGER_OK);
    assert_balance(&full, user(1), BTC, 10, 0);
    assert_balance(&full, user(2), USDT, 89, 0);
    assert_balance(&full, LEDGER_FEES, USDT, 1, 0);
    assert_refused(&full, transfer(&full, 3, user(1), user(3), 1), LEDGER_FULL);

    AUTO_BUF struct buf snapshot = {0};
    buf_init(&snapshot, LEDGER_SNAPSHOT_SIZE_MAX);
    assert_ok(ledger_save(full.ledger, &snapshot));
    loaded.ledger = ledger_new(&options);
    assert_ok(ledger_load(loaded.ledger, snapshot.data, snapshot.size));
    assert_balance(&loaded, user(2), USDT, 89, 0);
    fixture_close(&full);
    fixture_close(&loaded);
}

static void reconcile_voids_exactly_what_never_became_durable(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(credit(f, 1, user(1), USDT, 100), LEDGER_OK);
    for (uint64_t order = 1; order <= 10; order++)
        assert_int_equal(order_hold(f, order, user(1), USDT, 1), ORDER_HELD);
    assert_int_equal(hold(f, 50, user(1), 5), LEDGER_OK); /* no order: not its business */
    assert_int_equal(reconcile(f, 4, 11), LEDGER_OK);
    assert_int_equal(f->out->voided, 6);
    assert_int_equal(f->out->max_order_id, 10);
    assert_int_equal(f->out->settled_seq, 0);
    assert_balance(f, user(1), USDT, 100, 9);
    assert_int_equal(order_hold(f, 10, user(1), USDT, 1), ORDER_FENCED);
    assert_int_equal(order_hold(f, 4, user(1), USDT, 1), ORDER_FENCED);
    assert_int_equal(order_hold(f, 11, user(1), USDT, 1), ORDER_HELD);
    assert_refused(f, reconcile(f, 4, 11),
                   LEDGER_OK); /* late, again: the new order keeps its hold */
    assert_int_equal(f->out->voided, 0);
    assert_refused(f, reconcile(f, 4, 3), LEDGER_OK); /* a fence never goes back */
    assert_int_equal(order_hold(f, 10, user(1), USDT, 1), ORDER_FENCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ledger_test(each_order_of_a_batch_is_judged_alone),
        ledger_test(shards_do_not_share_order_ids),
        ledger_test(shards_end_at_their_limit),
        ledger_test(another_hold_with_the_same_order_id_is_refused),
        ledger_test(a_late_hold_of_an_order_that_is_over_reserves_nothing),
        ledger_test(a_trade_pays_from_the_holds_and_the_rest_goes_back),
        ledger_test(a_settlement_repeated_changes_nothing_and_a_gap_is_refused),
        ledger_test(a_batch_of_settlements_goes_on_where_it_had_come_to),
        ledger_test(a_large_settlement_travels_in_parts),
        ledger_test(a_settlement_that_does_not_fit_applies_nothing),
        ledger_test(a_balance_too_large_for_int64_refuses_the_settlement),
        cmocka_unit_test(a_trade_finds_its_accounts_beyond_their_limit),
        ledger_test(reconcile_voids_exactly_what_never_became_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
