/* Commands survive the way to bytes and back, and nothing else is taken for one. */
#include "ledger_fixture.h"

enum { KINDS = 8 };

/* One of each kind; batches borrow from `batch`. */
static void encode_each(struct buf each[static KINDS])
{
    for (size_t i = 0; i < KINDS; i++)
        buf_init(&each[i], COMMAND_SIZE_MAX);
    struct ledger_command c = {.kind = COMMAND_ASSET, .asset = {.name = "USDT", .scale = 8}};
    command_encode(&c, &each[0]);
    c = transfer_command(1, user(1), user(2), USDT, 5);
    c.transfer.reference = (struct reference){.text = "rent", .size = 4};
    c.transfer.leg_count = 2;
    c.transfer.legs[1] = (struct transfer_leg){.from = user(3), .to = user(4), .amount = 9};
    command_encode(&c, &each[1]);
    c = (struct ledger_command){.kind = COMMAND_HOLD,
                                .hold = {.id = request(2), .owner = user(1), .amount = 3}};
    command_encode(&c, &each[2]);
    c = (struct ledger_command){
        .kind = COMMAND_POST,
        .post = {.id = request(3), .hold = request(2), .to = user(2), .amount = 3, .kind = 4}};
    command_encode(&c, &each[3]);
    c = (struct ledger_command){.kind = COMMAND_VOID,
                                .void_hold = {.id = request(3), .hold = request(2)}};
    command_encode(&c, &each[4]);
    command_begin_order_holds(&each[5], 7);
    for (uint64_t i = 1; i <= 3; i++)
        command_add_order_hold(&each[5],
                               &(struct order_hold){.order_id = i, .owner = user(i), .amount = 5});
    command_begin_settle(&each[6], 7);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        size_t s = command_add_settlement(&each[6], seq, 0);
        for (uint64_t i = 1; i <= seq; i++)
            command_add_leg(
                &each[6], s,
                &(struct settle_leg){.order_id = i, .owner = user(i), .amount = -5, .kind = 1});
        command_add_release(&each[6], s, seq);
    }
    c = (struct ledger_command){
        .kind = COMMAND_RECONCILE,
        .reconcile = {.shard = 7, .last_order_id = 9, .fence_order_id = 20}};
    command_encode(&c, &each[7]);
}

static void release_each(struct buf each[static KINDS])
{
    for (size_t i = 0; i < KINDS; i++)
        buf_release(&each[i]);
}

static void every_kind_comes_back_as_it_was(void **state)
{
    (void)state;
    struct buf each[KINDS];
    encode_each(each);
    for (size_t i = 0; i < KINDS; i++) {
        struct ledger_command c;
        assert_ok(command_decode(each[i].data, each[i].size, &c));
        assert_int_equal(c.kind, i + 1);
        AUTO_BUF struct buf again = {0};
        buf_init(&again, COMMAND_SIZE_MAX);
        command_encode(&c, &again);
        assert_int_equal(again.size, each[i].size);
        assert_memory_equal(again.data, each[i].data, again.size);
    }
    release_each(each);
}

static void a_command_cut_anywhere_or_longer_by_a_byte_is_refused(void **state)
{
    (void)state;
    struct buf each[KINDS];
    encode_each(each);
    for (size_t i = 0; i < KINDS; i++) {
        struct ledger_command c;
        for (size_t size = 0; size < each[i].size; size++) {
            /* A copy of exactly that size, so that reading one byte more is seen. */
            char *cut = malloc(size + 1);
            memcpy(cut, each[i].data, size);
            char *exact = realloc(cut, size ? size : 1);
            assert_err(command_decode(exact, size, &c), ERR_INVALID);
            free(exact);
        }
        assert_ok(buf_add_char(&each[i], 0));
        assert_err(command_decode(each[i].data, each[i].size, &c), ERR_INVALID);
    }
    release_each(each);
}

static void the_fields_of_batches_are_read_as_written(void **state)
{
    (void)state;
    struct buf each[KINDS];
    encode_each(each);
    struct ledger_command c;
    assert_ok(command_decode(each[5].data, each[5].size, &c));
    assert_int_equal(c.order_holds.shard, 7);
    assert_int_equal(c.order_holds.count, 3);
    struct order_hold h = order_hold_get(&c.order_holds, 2);
    assert_int_equal(h.order_id, 3);
    assert_true(id_equal(h.owner, user(3)));
    assert_int_equal(h.amount, 5);

    assert_ok(command_decode(each[6].data, each[6].size, &c));
    assert_int_equal(c.settle.count, 2);
    struct settlement s;
    size_t offset = 0;
    assert_true(settlement_next(&c.settle, &offset, &s));
    assert_true(settlement_next(&c.settle, &offset, &s));
    assert_int_equal(s.seq, 2);
    assert_true(s.last);
    assert_int_equal(s.leg_count, 2);
    assert_int_equal(settle_leg_get(&s, 1).amount, -5);
    assert_int_equal(settle_release_get(&s, 0), 2);
    assert_false(settlement_next(&c.settle, &offset, &s));
    release_each(each);
}

static void the_stamp_is_the_time(void **state)
{
    (void)state;
    struct buf each[KINDS];
    encode_each(each);
    for (size_t i = 0; i < KINDS; i++) {
        struct ledger_command c;
        command_stamp(each[i].data, each[i].size, 1234567890123);
        assert_ok(command_decode(each[i].data, each[i].size, &c));
        assert_int_equal(c.time_ms, 1234567890123);
    }
    release_each(each);
}

static void odd_shapes_are_refused(void **state)
{
    (void)state;
    struct buf each[KINDS];
    encode_each(each);
    struct ledger_command c;
    static const struct {
        size_t kind, at;
        char value;
        const char *what;
    } cases[] = {
        {0, 0, 0, "kind 0"},
        {0, 0, 9, "an unknown kind"},
        {0, 10, 0, "a name without letters"},
        {0, 10, 17, "a name of 17 bytes"},
        {0, 12, 0, "a NUL in a name"},
        {1, 42, 65, "a reference of 65 bytes"},
        {1, 47, 0, "a transfer without legs"},
        {1, 47, 33, "33 legs"},
        {6, 25, 2, "a part that is neither last nor not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char kept = each[cases[i].kind].data[cases[i].at];
        each[cases[i].kind].data[cases[i].at] = cases[i].value;
        if (command_decode(each[cases[i].kind].data, each[cases[i].kind].size, &c) != ERR_INVALID)
            fail_msg("taken: %s", cases[i].what);
        each[cases[i].kind].data[cases[i].at] = kept;
    }
    release_each(each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_as_it_was),
        cmocka_unit_test(a_command_cut_anywhere_or_longer_by_a_byte_is_refused),
        cmocka_unit_test(the_fields_of_batches_are_read_as_written),
        cmocka_unit_test(the_stamp_is_the_time),
        cmocka_unit_test(odd_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
