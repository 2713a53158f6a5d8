/*
 * Properties over random flow: the engine does what a naive book does; money is neither made nor
 * lost and no order pays more than its hold; a replay and a loaded snapshot are the same machine.
 */
#include "naive.h"

#include <stdio.h>
#include <stdlib.h>

#define USERS     5
#define HOLDS_MAX 65536

struct flow {
    struct engine *engine;
    struct naive naive;
    struct numbers numbers;
    struct rules rules;
    uint64_t recent[64]; /* order ids, to cancel and replace */
    unsigned steps;
    /* By order number: what is held, and whether the hold is there. */
    int64_t held[HOLDS_MAX];
    bool holding[HOLDS_MAX];
    size_t holds;
};

static struct flow *flow_new(uint64_t seed, struct rules rules, struct engine_options options)
{
    struct flow *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->numbers.state = seed;
    f->rules = rules;
    f->engine = new_engine(options);
    define_market(f->engine, rules);
    f->naive.rules = &f->rules;
    f->naive.fills_max = options.fills_max ? options.fills_max : ENGINE_FILLS_MAX;
    return f;
}

static void flow_free(struct flow *f)
{
    engine_free(f->engine);
    free(f);
}

static struct request random_place(struct flow *f)
{
    struct numbers *n = &f->numbers;
    const struct rules *r = &f->rules;
    struct request q =
        limit_order(f->engine, (uint64_t)between(n, 1, USERS), number(n) % 2 ? SIDE_BUY : SIDE_SELL,
                    r->tick * between(n, 95, 105), r->lot * between(n, 1, 40));
    q.maker_ppm = (uint32_t)between(n, 0, 3000);
    q.taker_ppm = (uint32_t)between(n, 0, 3000);
    q.terms.lifetime = (uint8_t)(number(n) % 2 ? LIFETIME_GTC : between(n, 1, 3));
    if (number(n) % 8 == 0) {
        q.terms.type = TYPE_MARKET;
        q.terms.lifetime = (uint8_t)between(n, LIFETIME_IOC, LIFETIME_FOK);
        q.terms.price = q.terms.side == SIDE_SELL ? 0 : between(n, 1, 4000);
    }
    return q;
}

static struct request random_request(struct flow *f)
{
    struct numbers *n = &f->numbers;
    struct id user = user_number((uint64_t)between(n, 1, USERS));
    uint64_t known = f->recent[number(n) % 64];
    switch (number(n) % 8) {
    case 0:
        return (struct request){.kind = COMMAND_CANCEL, .user = user, .order_id = known};
    case 1: {
        struct request q = random_place(f);
        q.kind = COMMAND_REPLACE;
        q.old_order_id = known;
        return q;
    }
    case 2:
        if (number(n) % 16 == 0)
            return (struct request){.kind = COMMAND_CANCEL_ALL, .user = user, .market = MARKET_ALL};
        return random_place(f);
    default:
        return random_place(f);
    }
}

static struct naive_order naive_of(const struct request *r)
{
    return (struct naive_order){.id = r->order_id, .user = r->user, .terms = r->terms};
}

/* What the engine did, done again by the naive book. */
static void follow(struct naive *n, const struct request *r, enum refusal refusal)
{
    n->trade_count = 0;
    int known = naive_find(n, r->kind == COMMAND_REPLACE ? r->old_order_id : r->order_id, r->user);
    if (r->kind == COMMAND_CANCEL || r->kind == COMMAND_REPLACE)
        assert_true(known >= 0 || refusal == REFUSED_ORDER);
    if (refusal) return;
    struct naive_order taker = naive_of(r);
    switch (r->kind) {
    case COMMAND_PLACE:
        naive_place(n, taker);
        break;
    case COMMAND_CANCEL:
        naive_drop(n, (size_t)known);
        break;
    case COMMAND_REPLACE:
        taker.terms = n->orders[known].terms;
        taker.terms.price = r->terms.price;
        taker.terms.quantity = r->terms.quantity;
        naive_drop(n, (size_t)known);
        naive_place(n, taker);
        break;
    default:
        for (size_t i = n->count; i-- > 0;)
            if (id_equal(n->orders[i].user, r->user)) naive_drop(n, i);
    }
}

static void assert_same_trades(const struct naive *n, const struct engine_result *result)
{
    assert_int_equal(result->execution_count, n->trade_count);
    for (size_t i = 0; i < n->trade_count; i++) {
        const struct execution *x = &result->executions[i];
        assert_int_equal(x->maker.id, n->trades[i].maker);
        assert_int_equal(x->price, n->trades[i].price);
        assert_int_equal(x->quantity, n->trades[i].quantity);
        assert_int_equal(x->notional, n->trades[i].notional);
    }
}

static void assert_same_books(const struct flow *f)
{
    static struct level_change levels[NAIVE_MAX];
    const struct market *m = engine_market(f->engine, 0);
    assert_int_equal(engine_open_count(f->engine), f->naive.count);
    for (unsigned side = SIDE_BUY; side <= SIDE_SELL; side++) {
        size_t count = market_depth(m, side, levels, NAIVE_MAX);
        size_t orders = 0;
        for (size_t i = 0; i < count; i++) {
            int64_t total = 0;
            for (size_t j = 0; j < f->naive.count; j++) {
                const struct naive_order *o = &f->naive.orders[j];
                if (o->terms.side == side && o->terms.price == levels[i].price) total += o->left;
            }
            assert_int_equal(levels[i].quantity, total);
            orders += levels[i].orders;
            if (i == 0) continue;
            bool ordered = side == SIDE_BUY ? levels[i].price < levels[i - 1].price
                                            : levels[i].price > levels[i - 1].price;
            assert_true(ordered);
        }
        for (size_t j = 0; j < f->naive.count; j++)
            orders -= f->naive.orders[j].terms.side == side;
        assert_int_equal(orders, 0);
    }
}

/* ---- money ---- */

static int64_t *hold_of(struct flow *f, uint64_t order_id)
{
    uint64_t at = order_id & 0xffffffff;
    assert_true(at < HOLDS_MAX && f->holding[at]);
    return &f->held[at];
}

static void settle(struct flow *f, const struct engine_result *result)
{
    for (size_t i = 0; i < result->execution_count; i++) {
        struct leg legs[TRADE_LEGS_MAX];
        size_t count = execution_legs(&result->executions[i], &result->order, legs);
        int64_t sum[2] = {0, 0};
        for (size_t j = 0; j < count; j++) {
            sum[legs[j].quote] += legs[j].amount;
            assert_int_equal(legs[j].amount < 0, legs[j].order_id != 0);
            if (legs[j].order_id) *hold_of(f, legs[j].order_id) += legs[j].amount;
            if (legs[j].order_id) assert_true(*hold_of(f, legs[j].order_id) >= 0);
        }
        assert_int_equal(sum[0], 0);
        assert_int_equal(sum[1], 0);
    }
    for (size_t i = 0; i < result->release_count; i++) {
        (void)hold_of(f, result->releases[i]);
        f->holding[result->releases[i] & 0xffffffff] = false;
        f->holds--;
    }
}

static const struct engine_result *step(struct flow *f, const struct request *r)
{
    const char *asset;
    int64_t hold;
    enum refusal refusal = engine_judge(f->engine, r, &asset, &hold);
    uint64_t at = r->order_id & 0xffffffff;
    if (r->kind == COMMAND_PLACE || r->kind == COMMAND_REPLACE) {
        assert_true(at < HOLDS_MAX);
        f->held[at] = hold;
        f->holding[at] = true;
        f->holds++;
        f->recent[f->steps++ % 64] = r->order_id;
    }
    const struct engine_result *result = engine_apply(f->engine, r);
    assert_int_equal(result->refusal, refusal);
    settle(f, result);
    return result;
}

static void run_flow(uint64_t seed, struct rules rules, unsigned steps)
{
    struct flow *f = flow_new(seed, rules, (struct engine_options){.fills_max = 6});
    for (unsigned i = 0; i < steps; i++) {
        struct request r = random_request(f);
        const struct engine_result *result = step(f, &r);
        follow(&f->naive, &r, result->refusal);
        assert_same_trades(&f->naive, result);
        assert_int_equal(f->holds, engine_open_count(f->engine)); /* one hold for each open order */
        if (i % 64 == 0) assert_same_books(f);
    }
    assert_same_books(f);
    flow_free(f);
}

static void random_flow_is_matched_as_by_a_naive_book_and_money_stays_whole(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run_flow(seed, plain_rules("AAA-BBB"), 3000);
        struct rules real = real_rules("BTC-USDT");
        real.min_notional = 0;
        run_flow(seed + 100, real, 3000);
    }
}

static void a_replay_of_the_encoded_commands_is_the_same_machine(void **state)
{
    (void)state;
    struct flow *f =
        flow_new(7, plain_rules("AAA-BBB"), (struct engine_options){.closed_ids_max = 50});
    struct engine *copy =
        new_engine((struct engine_options){.closed_ids_max = 50, .hash_seed = 99});
    define_market(copy, f->rules);
    for (unsigned i = 0; i < 5000; i++) {
        struct request r = random_request(f), again;
        if (r.kind != COMMAND_CANCEL && i % 3 == 0) {
            char name[16];
            (void)snprintf(name, sizeof name, "id-%u", (unsigned)(number(&f->numbers) % 200));
            r.client_id = client_id(name);
        }
        uint8_t bytes[COMMAND_SIZE_MAX];
        size_t size = request_encode(&r, bytes);
        (void)step(f, &r);
        assert_ok(request_decode(bytes, size, &again));
        (void)engine_apply(copy, &again);
    }
    assert_same_state(f->engine, copy);
    engine_free(copy);
    flow_free(f);
}

static void a_loaded_snapshot_goes_on_as_the_machine_it_was_taken_from(void **state)
{
    (void)state;
    struct flow *f =
        flow_new(11, real_rules("BTC-USDT"), (struct engine_options){.closed_ids_max = 50});
    struct engine *copy = NULL;
    for (unsigned i = 0; i < 6000; i++) {
        struct request r = random_request(f);
        if (r.kind == COMMAND_PLACE && i % 2) {
            char name[16];
            (void)snprintf(name, sizeof name, "id-%u", i);
            r.client_id = client_id(name);
        }
        if (i % 1500 == 1400) {
            struct buf bytes;
            saved(f->engine, &bytes);
            engine_free(copy);
            copy = new_engine((struct engine_options){.closed_ids_max = 50, .hash_seed = i});
            assert_ok(engine_load(copy, bytes.data, bytes.size));
            buf_release(&bytes);
            assert_same_state(f->engine, copy);
        }
        (void)step(f, &r);
        if (copy) (void)engine_apply(copy, &r);
    }
    assert_same_state(f->engine, copy);
    engine_free(copy);
    flow_free(f);
}

static void level_changes_alone_keep_a_copy_of_the_book_right(void **state)
{
    (void)state;
    struct flow *f = flow_new(3, plain_rules("AAA-BBB"), (struct engine_options){0});
    int64_t copy[3][128] = {{0}}; /* by side and price */
    uint64_t update_id = 0;
    for (unsigned i = 0; i < 5000; i++) {
        struct request r = random_request(f);
        const struct engine_result *result = step(f, &r);
        for (size_t j = 0; j < result->level_count; j++) {
            const struct level_change *l = &result->levels[j];
            assert_int_equal(l->update_id, ++update_id);
            copy[l->side][l->price] = l->quantity;
        }
    }
    for (unsigned side = SIDE_BUY; side <= SIDE_SELL; side++) {
        struct level_change levels[128];
        size_t count = market_depth(engine_market(f->engine, 0), side, levels, 128);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(copy[side][levels[i].price], levels[i].quantity);
            copy[side][levels[i].price] = 0;
        }
        for (size_t price = 0; price < 128; price++)
            assert_int_equal(copy[side][price], 0);
    }
    flow_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_flow_is_matched_as_by_a_naive_book_and_money_stays_whole),
        cmocka_unit_test(a_replay_of_the_encoded_commands_is_the_same_machine),
        cmocka_unit_test(a_loaded_snapshot_goes_on_as_the_machine_it_was_taken_from),
        cmocka_unit_test(level_changes_alone_keep_a_copy_of_the_book_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
