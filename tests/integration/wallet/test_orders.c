/* What trading asks of the wallet, over RPC: batches of every size, repeated, cut and refused. */
#include "wallet_fixture.h"

#include <inttypes.h>
#include <string.h>

#define SHARD 3

/* ---- requests ---- */

struct user_bytes {
    uint8_t bytes[16];
};

static ProtobufCBinaryData user_data(uint64_t n, struct user_bytes *memory)
{
    struct id id = fixture_user(n);
    uint64_t words[2] = {htobe64(id.hi), htobe64(id.lo)};
    memcpy(memory->bytes, words, sizeof words);
    return (ProtobufCBinaryData){.len = 16, .data = memory->bytes};
}

struct hold_case {
    uint64_t order_id, user;
    const char *asset;
    int64_t amount;
};

static enum err hold_funds(struct wallet_fixture *f, const struct hold_case *cases, size_t count,
                           uint8_t *ret_results)
{
    Wallet__HoldRequest request = WALLET__HOLD_REQUEST__INIT;
    Wallet__Hold *holds = calloc(count + 1, sizeof *holds);
    Wallet__Hold **pointers = calloc(count + 1, sizeof *pointers);
    struct user_bytes *users = calloc(count + 1, sizeof *users);
    for (size_t i = 0; i < count; i++) {
        wallet__hold__init(&holds[i]);
        holds[i].order_id = cases[i].order_id;
        holds[i].user = user_data(cases[i].user, &users[i]);
        holds[i].asset = (char *)cases[i].asset;
        holds[i].amount_minor = cases[i].amount;
        pointers[i] = &holds[i];
    }
    request.shard = SHARD;
    request.holds = pointers;
    request.n_holds = count;
    struct principal trading = principal_service("trading");
    Wallet__HoldResponse *reply = NULL;
    enum err e = fixture_call(f, &trading, "wallet.Wallet/HoldFunds", &request, &reply);
    if (!e) {
        assert_int_equal(reply->results.len, count);
        if (count) memcpy(ret_results, reply->results.data, count);
    }
    fixture_reply_free(reply);
    free(holds);
    free(pointers);
    free(users);
    return e;
}

/* A settlement under construction. */
struct settling {
    uint64_t seq;
    size_t leg_count, release_count;
    Wallet__Leg *legs[70000];
    Wallet__Release *releases[8192];
};

static struct settling *settling_new(uint64_t seq)
{
    struct settling *s = calloc(1, sizeof *s);
    s->seq = seq;
    return s;
}

static void settling_free(struct settling *s)
{
    for (size_t i = 0; i < s->leg_count; i++) {
        free(s->legs[i]->user.data);
        free(s->legs[i]);
    }
    for (size_t i = 0; i < s->release_count; i++)
        free(s->releases[i]);
    free(s);
}

/* user 0: the house's fees. */
static void add_leg(struct settling *s, uint64_t order_id, uint64_t user, const char *asset,
                    int64_t amount, uint64_t trade_id)
{
    Wallet__Leg *leg = malloc(sizeof *leg);
    wallet__leg__init(leg);
    leg->order_id = order_id;
    leg->asset = (char *)asset;
    leg->amount_minor = amount;
    leg->trade_id = trade_id;
    leg->kind = user ? ENTRY_TRADE : ENTRY_FEE;
    if (user) leg->user = user_data(user, malloc(sizeof(struct user_bytes)));
    s->legs[s->leg_count++] = leg;
}

static void add_release(struct settling *s, uint64_t order_id)
{
    Wallet__Release *release = malloc(sizeof *release);
    wallet__release__init(release);
    release->order_id = order_id;
    s->releases[s->release_count++] = release;
}

/* User 1's order pays 10 USDT to user 2, who pays 1 BTC of his: 9 and 1 after fees of 1 USDT. */
static void add_trade(struct settling *s, uint64_t buy, uint64_t sell, uint64_t trade_id)
{
    add_leg(s, buy, 1, "USDT", -10, trade_id);
    add_leg(s, 0, 2, "USDT", 9, trade_id);
    add_leg(s, 0, 0, "USDT", 1, trade_id);
    add_leg(s, sell, 2, "BTC", -1, trade_id);
    add_leg(s, 0, 1, "BTC", 1, trade_id);
}

static enum err settle(struct wallet_fixture *f, struct settling *const *settlings, size_t count,
                       uint64_t *ret_seq)
{
    Wallet__SettleRequest request = WALLET__SETTLE_REQUEST__INIT;
    Wallet__Settlement *settlements = calloc(count + 1, sizeof *settlements);
    Wallet__Settlement **pointers = calloc(count + 1, sizeof *pointers);
    for (size_t i = 0; i < count; i++) {
        wallet__settlement__init(&settlements[i]);
        settlements[i].seq = settlings[i]->seq;
        settlements[i].legs = settlings[i]->legs;
        settlements[i].n_legs = settlings[i]->leg_count;
        settlements[i].releases = settlings[i]->releases;
        settlements[i].n_releases = settlings[i]->release_count;
        pointers[i] = &settlements[i];
    }
    request.shard = SHARD;
    request.settlements = pointers;
    request.n_settlements = count;
    struct principal trading = principal_service("trading");
    Wallet__SettleResponse *reply = NULL;
    enum err e = fixture_call(f, &trading, "wallet.Wallet/Settle", &request, &reply);
    if (!e) *ret_seq = reply->settled_seq;
    fixture_reply_free(reply);
    free(settlements);
    free(pointers);
    return e;
}

static enum err reconcile(struct wallet_fixture *f, uint64_t last, uint64_t fence,
                          uint64_t *ret_voided, uint64_t *ret_max)
{
    Wallet__ReconcileRequest request = WALLET__RECONCILE_REQUEST__INIT;
    request.shard = SHARD;
    request.last_order_id = last;
    request.fence_order_id = fence;
    struct principal trading = principal_service("trading");
    Wallet__ReconcileResponse *reply = NULL;
    enum err e = fixture_call(f, &trading, "wallet.Wallet/Reconcile", &request, &reply);
    if (!e) {
        *ret_voided = reply->voided;
        *ret_max = reply->max_order_id;
    }
    fixture_reply_free(reply);
    return e;
}

static void fund(struct wallet_fixture *f)
{
    assert_ok(fixture_credit(f, "usdt", 1, "USDT", "1000"));
    assert_ok(fixture_credit(f, "btc", 2, "BTC", "1000"));
}

/* ---- tests ---- */

static void each_order_gets_its_own_result(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    static const struct hold_case cases[] = {
        {1, 1, "USDT", 60000000000}, {2, 1, "USDT", 60000000000}, {3, 1, "USDT", 40000000000},
        {4, 1, "DOGE", 1},           {5, 9, "USDT", 1},           {6, 1, "USDT", 0},
    };
    static const uint8_t expected[] = {0, 1, 0, 3, 1, 4};
    uint8_t results[6];
    for (unsigned i = 0; i < 2; i++) { /* and again, as a retry would */
        assert_ok(hold_funds(f, cases, 6, results));
        assert_memory_equal(results, expected, 6);
        fixture_assert_balance(f, 1, "USDT", "1000.00000000", "0.00000000", "1000.00000000");
    }
    assert_ok(hold_funds(f, NULL, 0, results));
}

static void the_largest_batch_is_held_in_order(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    enum { ORDERS = 8192 };
    struct hold_case *cases = calloc(ORDERS + 1, sizeof *cases);
    uint8_t *results = malloc(ORDERS + 1);
    for (uint64_t i = 0; i <= ORDERS; i++) /* every third cannot be paid */
        cases[i] = (struct hold_case){i + 1, i % 3 == 2 ? 9 : 1, "USDT", 1};
    assert_err(hold_funds(f, cases, ORDERS + 1, results), ERR_INVALID);
    assert_ok(hold_funds(f, cases, ORDERS, results));
    size_t held = 0;
    for (size_t i = 0; i < ORDERS; i++) {
        assert_int_equal(results[i], i % 3 == 2 ? 1 : 0);
        held += results[i] == 0;
    }
    char text[32];
    (void)snprintf(text, sizeof text, "0.%08zu", held);
    char available[32];
    (void)snprintf(available, sizeof available, "999.%08zu", 100000000 - held);
    fixture_assert_balance(f, 1, "USDT", "1000.00000000", available, text);
    free(cases);
    free(results);
}

static void trades_and_releases_are_settled_once(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    static const struct hold_case holds[] = {{1, 1, "USDT", 15}, {2, 2, "BTC", 1}};
    uint8_t results[2];
    assert_ok(hold_funds(f, holds, 2, results));
    struct settling *one = settling_new(1);
    struct settling *two = settling_new(2);
    struct settling *four = settling_new(4);
    add_trade(one, 1, 2, 77);
    add_release(two, 1);
    add_release(two, 2);
    uint64_t seq = 0;
    assert_err(settle(f, &two, 1, &seq), ERR_PRECONDITION);
    assert_string_equal(f->status.reason, "settlement_gap");
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(settle(f, (struct settling *[]){one, two}, 2, &seq));
        assert_int_equal(seq, 2);
    }
    assert_err(settle(f, &four, 1, &seq), ERR_PRECONDITION);
    assert_ok(settle(f, NULL, 0, &seq));
    assert_int_equal(seq, 2);
    fixture_assert_balance(f, 1, "USDT", "999.99999990", "999.99999990", "0.00000000");
    fixture_assert_balance(f, 1, "BTC", "0.00000001", "0.00000001", "0.00000000");
    fixture_assert_balance(f, 2, "USDT", "0.00000009", "0.00000009", "0.00000000");
    fixture_assert_balance(f, 2, "BTC", "999.99999999", "999.99999999", "0.00000000");
    fixture_assert_balanced(f);
    char *history = fixture_history(f, 2);
    assert_string_equal(history, "credit 1000.00000000 1000.00000000 btc\n"
                                 "trade 0.00000009 0.00000009 77\n"
                                 "trade -0.00000001 999.99999999 77\n");
    free(history);
    settling_free(one);
    settling_free(two);
    settling_free(four);
}

static void a_settlement_that_is_wrong_changes_nothing(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    static const struct hold_case holds[] = {{1, 1, "USDT", 15}, {2, 2, "BTC", 1}};
    uint8_t results[2];
    assert_ok(hold_funds(f, holds, 2, results));
    uint64_t seq = 0;
    static const struct {
        uint64_t order, user;
        const char *asset;
        int64_t amount;
        enum err err;
    } cases[] = {
        {0, 1, "USDT", 1, ERR_INVALID},       /* money from nowhere */
        {1, 1, "USDT", -6, ERR_PRECONDITION}, /* more than the order holds */
        {9, 1, "USDT", -1, ERR_NOT_FOUND},    /* of no order */
        {0, 1, "DOGE", 1, ERR_INVALID},       /* of no asset */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settling *s = settling_new(1);
        add_trade(s, 1, 2, 77);
        add_leg(s, cases[i].order, cases[i].user, cases[i].asset, cases[i].amount, 78);
        assert_err(settle(f, &s, 1, &seq), cases[i].err);
        settling_free(s);
        fixture_assert_balance(f, 1, "USDT", "1000.00000000", "999.99999985", "0.00000015");
        fixture_assert_balanced(f);
    }
}

/* Far more than fits one journal entry: it travels in parts, and a repeat finds them all done. */
static void the_largest_settlement_is_settled_once(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    enum { TRADES = 13000, ORDERS = 8192 };
    struct hold_case *holds = calloc(ORDERS, sizeof *holds);
    uint8_t *results = malloc(ORDERS);
    holds[0] = (struct hold_case){1, 1, "USDT", TRADES * 10};
    holds[1] = (struct hold_case){2, 2, "BTC", TRADES};
    for (uint64_t i = 2; i < ORDERS; i++)
        holds[i] = (struct hold_case){i + 1, 1, "USDT", 1};
    assert_ok(hold_funds(f, holds, ORDERS, results));
    struct settling *small = settling_new(1);
    struct settling *large = settling_new(2);
    struct settling *after = settling_new(3);
    add_trade(small, 1, 2, 1);
    for (uint64_t i = 2; i < TRADES; i++)
        add_trade(large, 1, 2, i);
    for (uint64_t i = 2; i < ORDERS; i++)
        add_release(large, i + 1);
    add_trade(after, 1, 2, TRADES);
    add_release(after, 1);
    add_release(after, 2);
    uint64_t seq = 0;
    assert_ok(settle(f, (struct settling *[]){small, large}, 2, &seq));
    assert_int_equal(seq, 2);
    assert_ok(settle(f, (struct settling *[]){large, after}, 2, &seq));
    assert_int_equal(seq, 3);
    assert_ok(settle(f, (struct settling *[]){small, large, after}, 3, &seq));
    assert_int_equal(seq, 3);
    fixture_assert_balance(f, 1, "BTC", "0.00013000", "0.00013000", "0.00000000");
    fixture_assert_balance(f, 1, "USDT", "999.99870000", "999.99870000", "0.00000000");
    fixture_assert_balance(f, 2, "USDT", "0.00117000", "0.00117000", "0.00000000");
    fixture_assert_balanced(f);
    settling_free(small);
    settling_free(large);
    settling_free(after);
    free(holds);
    free(results);
}

static void a_movement_too_large_for_an_entry_is_refused(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    static const struct hold_case holds[] = {{1, 1, "USDT", 4000}};
    uint8_t results[1];
    assert_ok(hold_funds(f, holds, 1, results));
    struct settling *s = settling_new(1);
    add_leg(s, 1, 1, "USDT", -4000, 1);
    for (unsigned i = 0; i < 4000; i++)
        add_leg(s, 0, 2, "USDT", 1, 1);
    uint64_t seq = 0;
    assert_err(settle(f, &s, 1, &seq), ERR_INVALID);
    assert_string_equal(f->status.errors[0].field, "settlements");
    settling_free(s);
}

static void reconcile_voids_what_never_became_durable(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    static const struct hold_case holds[] = {
        {1, 1, "USDT", 1}, {2, 1, "USDT", 2}, {3, 1, "USDT", 4}};
    uint8_t results[3];
    uint64_t voided = 0;
    uint64_t max = 0;
    assert_ok(hold_funds(f, holds, 3, results));
    assert_ok(reconcile(f, 1, 4, &voided, &max));
    assert_int_equal(voided, 2);
    assert_int_equal(max, 3);
    fixture_assert_balance(f, 1, "USDT", "1000.00000000", "999.99999999", "0.00000001");
    assert_ok(hold_funds(f, holds, 3, results)); /* late: all are below the fence */
    assert_memory_equal(results, ((uint8_t[]){2, 2, 2}), 3);
    fixture_assert_balance(f, 1, "USDT", "1000.00000000", "999.99999999", "0.00000001");
}

static void holds_and_settlements_survive_a_restart(void **state)
{
    struct wallet_fixture *f = *state;
    fund(f);
    static const struct hold_case holds[] = {{1, 1, "USDT", 15}, {2, 2, "BTC", 1}};
    uint8_t results[2];
    uint64_t seq = 0;
    assert_ok(hold_funds(f, holds, 2, results));
    struct settling *s = settling_new(1);
    add_trade(s, 1, 2, 77);
    assert_ok(settle(f, &s, 1, &seq));
    wallet_fixture_stop(f);
    assert_ok(wallet_fixture_start(f));
    fixture_assert_balance(f, 1, "USDT", "999.99999990", "999.99999985", "0.00000005");
    assert_ok(settle(f, &s, 1, &seq));
    assert_int_equal(seq, 1);
    fixture_assert_balance(f, 1, "USDT", "999.99999990", "999.99999985", "0.00000005");
    settling_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        wallet_test(each_order_gets_its_own_result),
        wallet_test(the_largest_batch_is_held_in_order),
        wallet_test(trades_and_releases_are_settled_once),
        wallet_test(a_settlement_that_is_wrong_changes_nothing),
        wallet_test(the_largest_settlement_is_settled_once),
        wallet_test(a_movement_too_large_for_an_entry_is_refused),
        wallet_test(reconcile_voids_what_never_became_durable),
        wallet_test(holds_and_settlements_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
