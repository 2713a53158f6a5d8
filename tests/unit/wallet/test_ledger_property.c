/*
 * Random commands against the naive ledger: the same results and balances after every one of them,
 * every asset sums to zero, nothing available is negative, and a snapshot changes nothing.
 */
#include "naive_ledger.h"

enum { STEPS = 4000, RECENT = 64, SNAPSHOT_EVERY = 500 };

struct world {
    struct fixture f;
    struct naive *n;
    uint64_t random;
    uint64_t next_id, next_order, next_seq;
};

static uint64_t pick(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

static struct id pick_user(struct world *w)
{
    return user(pick(w, NAIVE_USERS) + 1);
}

/* Mostly small, now and then absurd. */
static int64_t pick_amount(struct world *w)
{
    switch (pick(w, 40)) {
    case 0:
        return 0;
    case 1:
        return -1;
    case 2:
        return INT64_MAX;
    default:
        return (int64_t)pick(w, 200) + 1;
    }
}

/* New, or one that may have been used. */
static uint64_t pick_id(struct world *w)
{
    return w->next_id > RECENT && pick(w, 4) == 0 ? w->next_id - pick(w, RECENT) : w->next_id++;
}

/* ---- requests with an id ---- */

static enum ledger_result naive_request(struct naive *n, const struct ledger_command *c)
{
    switch (c->kind) {
    case COMMAND_TRANSFER:
        return naive_transfer(n, &c->transfer);
    case COMMAND_HOLD:
        return naive_add_hold(n, (struct naive_hold){.id = c->hold.id.lo,
                                                     .owner = naive_owner(c->hold.owner),
                                                     .asset = c->hold.asset,
                                                     .amount = c->hold.amount,
                                                     .first = c->hold.amount});
    case COMMAND_POST:
        return naive_post(n, &c->post);
    default:
        break;
    }
    struct naive_hold *h = naive_find(n, false, c->void_hold.hold.lo);
    if (!h) return LEDGER_NO_HOLD;
    naive_drop(n, h);
    return LEDGER_OK;
}

static void request_both(struct world *w, const struct ledger_command *c, struct id id)
{
    struct naive *n = w->n;
    struct naive_id body = naive_body(c, id);
    enum ledger_result expected = naive_known(n, &body);
    if (!expected) {
        n->before = n->now;
        expected = naive_request(n, c);
        if (expected)
            n->now = n->before;
        else
            n->ids[n->id_count++] = body;
    }
    assert_int_equal(apply(&w->f, c), expected);
}

static void step_transfer(struct world *w)
{
    struct ledger_command c = transfer_command(pick_id(w), pick_user(w), pick_user(w),
                                               (uint16_t)pick(w, NAIVE_ASSETS), pick_amount(w));
    if (pick(w, 3) == 0) c.transfer.legs[0].from = LEDGER_ISSUED;
    c.transfer.leg_count = (uint8_t)(pick(w, 3) + 1);
    for (unsigned i = 1; i < c.transfer.leg_count; i++)
        c.transfer.legs[i] = (struct transfer_leg){.from = pick_user(w),
                                                   .to = pick_user(w),
                                                   .asset = (uint16_t)pick(w, NAIVE_ASSETS),
                                                   .amount = pick_amount(w)};
    request_both(w, &c, c.transfer.id);
}

static void step_two_phase(struct world *w)
{
    struct id id = request(pick_id(w));
    struct id other = request(w->next_id - pick(w, RECENT));
    struct ledger_command c = {.time_ms = 1};
    switch (pick(w, 3)) {
    case 0:
        c.kind = COMMAND_HOLD;
        c.hold = (struct hold_command){.id = id,
                                       .owner = pick_user(w),
                                       .asset = (uint16_t)pick(w, NAIVE_ASSETS),
                                       .amount = pick_amount(w)};
        break;
    case 1:
        c.kind = COMMAND_POST;
        c.post = (struct post_command){.id = id,
                                       .hold = other,
                                       .to = pick_user(w),
                                       .amount = pick_amount(w),
                                       .kind = ENTRY_TRANSFER};
        break;
    default:
        c.kind = COMMAND_VOID;
        c.void_hold = (struct void_command){.id = id, .hold = other};
    }
    request_both(w, &c, id);
}

/* ---- orders ---- */

static void step_order_holds(struct world *w)
{
    AUTO_BUF struct buf b = {0};
    buf_init(&b, COMMAND_SIZE_MAX);
    command_begin_order_holds(&b, 7);
    uint64_t count = pick(w, 5);
    uint8_t expected[5];
    uint64_t seen = w->n->now.max_order_id;
    for (uint64_t i = 0; i < count; i++) {
        bool again = w->next_order > RECENT && pick(w, 5) == 0;
        uint64_t id = again ? w->next_order - pick(w, RECENT) : w->next_order++;
        struct order_hold h = {.order_id = id,
                               .owner = pick_user(w),
                               .asset = (uint16_t)pick(w, NAIVE_ASSETS),
                               .amount = pick_amount(w)};
        expected[i] = (uint8_t)naive_order_hold(w->n, &h, seen);
        if (id > w->n->now.max_order_id) w->n->now.max_order_id = id;
        command_add_order_hold(&b, &h);
    }
    assert_int_equal(apply_bytes(&w->f, &b), LEDGER_OK);
    assert_memory_equal(w->f.out->hold_results, expected, count);
}

/* A payer's leg, its receiver's and the house's: mostly balanced. */
static void add_movement(struct world *w, struct buf *b, size_t at)
{
    const struct naive_state *n = &w->n->now;
    if (n->hold_count == 0) return;
    const struct naive_hold *h = &n->holds[pick(w, n->hold_count)];
    int64_t amount = h->amount ? (int64_t)pick(w, (uint64_t)h->amount) + 1 : 1;
    if (pick(w, 20) == 0) amount++;
    struct settle_leg leg = {.order_id = h->id,
                             .owner = user(h->owner + 1),
                             .amount = -amount,
                             .asset = (uint16_t)h->asset,
                             .trade_id = 1,
                             .kind = ENTRY_TRADE};
    command_add_leg(b, at, &leg);
    leg.owner = pick_user(w);
    leg.order_id = 0;
    int64_t fee = amount > 1 ? (int64_t)pick(w, 2) : 0;
    leg.amount = amount - fee + (pick(w, 30) == 0);
    command_add_leg(b, at, &leg);
    leg.owner = LEDGER_FEES;
    leg.amount = fee;
    if (fee) command_add_leg(b, at, &leg);
}

static void step_settle(struct world *w)
{
    AUTO_BUF struct buf b = {0};
    buf_init(&b, COMMAND_SIZE_MAX);
    command_begin_settle(&b, 7);
    uint64_t seq = w->n->now.settled_seq + 1;
    if (pick(w, 8) == 0) seq += pick(w, 3) - 1;
    size_t at = command_add_settlement(&b, seq, 0);
    for (uint64_t i = pick(w, 4); i > 0; i--)
        add_movement(w, &b, at);
    for (uint64_t i = pick(w, 3); i > 0; i--)
        command_add_release(&b, at, w->next_order - pick(w, RECENT));

    struct ledger_command c;
    struct settlement s;
    size_t offset = 0;
    assert_ok(command_decode(b.data, b.size, &c));
    assert_true(settlement_next(&c.settle, &offset, &s));
    w->n->before = w->n->now;
    enum ledger_result expected = naive_settle(w->n, &s);
    if (expected) w->n->now = w->n->before;
    assert_int_equal(apply(&w->f, &c), expected);
    assert_int_equal(w->f.out->settled_seq, w->n->now.settled_seq);
}

static void step_reconcile(struct world *w)
{
    struct ledger_command c = {.kind = COMMAND_RECONCILE, .reconcile = {.shard = 7}};
    c.reconcile.last_order_id = w->next_order - pick(w, 5);
    c.reconcile.fence_order_id = w->next_order;
    naive_reconcile(w->n, &c.reconcile);
    assert_int_equal(apply(&w->f, &c), LEDGER_OK);
    assert_int_equal(w->f.out->max_order_id, w->n->now.max_order_id);
}

/* ---- ---- */

static void compare(struct world *w)
{
    for (unsigned asset = 0; asset < NAIVE_ASSETS; asset++) {
        int64_t sum = 0;
        for (unsigned owner = 0; owner < NAIVE_OWNERS; owner++) {
            struct id id = owner == NAIVE_ISSUED ? LEDGER_ISSUED
                           : owner == NAIVE_FEES ? LEDGER_FEES
                                                 : user(owner + 1);
            struct ledger_balance b = balance(&w->f, id, (uint16_t)asset);
            assert_int_equal(b.total, w->n->now.total[owner][asset]);
            assert_int_equal(b.held, naive_held(w->n, owner, asset));
            if (owner != NAIVE_ISSUED) assert_true(b.total - b.held >= 0);
            sum += b.total;
        }
        assert_int_equal(sum, 0);
    }
}

static void reload(struct world *w)
{
    AUTO_BUF struct buf b = {0};
    buf_init(&b, LEDGER_SNAPSHOT_SIZE_MAX);
    assert_ok(ledger_save(w->f.ledger, &b));
    ledger_free(w->f.ledger);
    w->f.ledger = ledger_new(&(struct ledger_options){.seed = w->random});
    assert_ok(ledger_load(w->f.ledger, b.data, b.size));
}

static void step(struct world *w)
{
    switch (pick(w, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        step_transfer(w);
        return;
    case 4:
    case 5:
    case 6:
        step_two_phase(w);
        return;
    case 7:
    case 8:
    case 9:
    case 10:
        step_order_holds(w);
        return;
    case 11:
        pick(w, 10) ? step_settle(w) : step_reconcile(w);
        return;
    default:
        step_settle(w);
    }
}

static void it_agrees_with_a_naive_ledger(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world w = {.n = calloc(1, sizeof *w.n), .random = seed * 7919, .next_order = RECENT};
        w.next_id = RECENT;
        w.n->now.max_order_id = 0;
        fixture_open(&w.f, &(struct ledger_options){.seed = seed});
        for (unsigned i = 1; i <= STEPS; i++) {
            step(&w);
            compare(&w);
            if (i % SNAPSHOT_EVERY == 0) reload(&w);
        }
        fixture_close(&w.f);
        free(w.n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_naive_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
