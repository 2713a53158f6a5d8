/*
 * What the exchange needs fails while it runs: the wallet goes away, its answers get lost, the
 * journal and the store refuse. Nobody is told a lie, and when it is over the money is right.
 */
#include "fixture.h"

#include "support/eventually.h"

#include "base/bus/bus.h"
#include "base/clock.h"
#include "base/journal/journal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

extern const struct part_ops trading_part;

static struct house *house;

/* ---- failures: the next calls of a step, wrapped by the linker ---- */

static atomic_int lost_holds;     /* HoldFunds is carried out, its answer is lost */
static atomic_int lost_settles;   /* the same of Settle */
static atomic_int full_appends;   /* the journal is full */
static atomic_int failing_writes; /* documents cannot be written */

static bool strikes(atomic_int *failures)
{
    int left = atomic_load(failures);
    while (left > 0)
        if (atomic_compare_exchange_weak(failures, &left, left - 1)) return true;
    return false;
}

enum err __real_rpc_call(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                         const struct rpc_options *options, ProtobufCMessage **ret,
                         struct rpc_status *status);
enum err __wrap_rpc_call(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                         const struct rpc_options *options, ProtobufCMessage **ret,
                         struct rpc_status *status);
enum err __real_journal_append(struct journal *j, const struct iovec *entries, size_t count,
                               struct err_detail *detail);
enum err __wrap_journal_append(struct journal *j, const struct iovec *entries, size_t count,
                               struct err_detail *detail);
enum err __real_store_put_many(struct store *s, const char *collection,
                               const bson_t *const *documents, size_t count);
enum err __wrap_store_put_many(struct store *s, const char *collection,
                               const bson_t *const *documents, size_t count);

enum err __wrap_rpc_call(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                         const struct rpc_options *options, ProtobufCMessage **ret,
                         struct rpc_status *status)
{
    enum err e = __real_rpc_call(c, method, request, options, ret, status);
    bool lost = (strstr(method, "HoldFunds") && strikes(&lost_holds)) ||
                (strstr(method, "/Settle") && strikes(&lost_settles));
    if (!lost || e) return e;
    protobuf_c_message_free_unpacked(*ret, NULL);
    *ret = NULL;
    return ERR_TIMEOUT;
}

enum err __wrap_journal_append(struct journal *j, const struct iovec *entries, size_t count,
                               struct err_detail *detail)
{
    /* The wallet's journal is left alone: its entries begin with a kind, ours with a version and
     * one. */
    const uint8_t *entry = entries[0].iov_base;
    bool order = entry[0] == 1 && entry[1] == 2;
    if (order && strikes(&full_appends)) return ERR_FULL;
    return __real_journal_append(j, entries, count, detail);
}

enum err __wrap_store_put_many(struct store *s, const char *collection,
                               const bson_t *const *documents, size_t count)
{
    bool ours = strcmp(collection, "orders") == 0 || strcmp(collection, "trades") == 0;
    if (ours && strikes(&failing_writes)) return ERR_UNAVAILABLE;
    return __real_store_put_many(s, collection, documents, count);
}

/* ---- the wallet ---- */

static void an_order_without_a_wallet_is_not_placed(void **state)
{
    (void)state;
    house_stop_wallet(house);
    assert_refused(house, ANN, BUY("1", "50000"), ERR_UNAVAILABLE, "wallet_unavailable");
    house_start_wallet(house);
    assert_eventually(rpc_client_ready(house->to_wallet));
    assert_balance(house, ANN, "USDT", "100000.00000000", "0.00000000");
    Trading__Order *order = NULL;
    assert_eventually(try_place(house, ANN, BUY("1", "50000"), &order, NULL) == OK);
    free_order(order);
    assert_balance(house, ANN, "USDT", "50000.00000000", "50000.00000000");
}

static void a_cancel_without_a_wallet_is_answered_when_it_is_back(void **state)
{
    (void)state;
    Trading__Order *order = place(house, ANN, BUY("1", "50000")), *cancelled = NULL;
    Trading__CancelOrderRequest q = TRADING__CANCEL_ORDER_REQUEST__INIT;
    q.order_id = order->order_id;
    house_stop_wallet(house);
    assert_err(house_call(house->to_trading, "trading.Trading/CancelOrder",
                          (struct caller){.user = ANN, .timeout_ms = 200}, &q.base,
                          (ProtobufCMessage **)&cancelled, NULL),
               ERR_TIMEOUT); /* done, but its money is not back yet: the outcome is not told */
    house_start_wallet(house);
    house_wait_ready(house);
    assert_eventually(try_place(house, ANN, BUY("1", "40000"), &cancelled, NULL) == OK);
    free_order(cancelled);
    assert_eventually(try_cancel(house, ANN, order->order_id, &cancelled, NULL) == ERR_NOT_FOUND);
    Trading__Order *now = get_order(house, ANN, order->order_id);
    assert_int_equal(now->status, TRADING__ORDER_STATUS__CANCELLED);
    free_order(now);
    free_order(order);
    Trading__CancelAllRequest all = TRADING__CANCEL_ALL_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    assert_ok(house_call(house->to_trading, "trading.Trading/CancelAll",
                         (struct caller){.user = ANN}, &all.base, &reply, NULL));
    protobuf_c_message_free_unpacked(reply, NULL);
    assert_balance(house, ANN, "USDT", "100000.00000000", "0.00000000");
}

static atomic_int ended; /* 1 + the err with which a call ended */

static void on_end(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    (void)arg;
    if (own_reply) protobuf_c_message_free_unpacked(own_reply, NULL);
    atomic_store(&ended, 1 + (int)status->err);
}

static void who_waits_for_a_wallet_that_is_away_is_answered_at_the_stop(void **state)
{
    (void)state;
    const struct principal ann = {.role = ROLE_USER, .user_id = ANN, .permissions = UINT64_MAX};
    const struct rpc_options options = {.principal = &ann,
                                        .deadline_ms = clock_mono_ms() + EVENTUALLY_MS};
    Trading__Order *order = place(house, ANN, BUY("1", "50000"));
    Trading__CancelOrderRequest q = TRADING__CANCEL_ORDER_REQUEST__INIT;
    q.order_id = order->order_id;
    house_stop_wallet(house);
    atomic_store(&ended, 0);
    rpc_call_async(house->to_trading, "trading.Trading/CancelOrder", &q.base, &options, on_end,
                   NULL);
    Trading__Order *now = get_order(house, ANN, order->order_id);
    while (now->status != TRADING__ORDER_STATUS__CANCELLED) {
        free_order(now);
        now = get_order(house, ANN, order->order_id);
    }
    assert_int_equal(atomic_load(&ended), 0);
    house_stop_trading(house);
    assert_eventually(atomic_load(&ended) != 0);
    free_order(now);
    free_order(order);

    house_start(
        house); /* the release was not settled: it is made again, and all is free to spend */
    assert_eventually(try_place(house, ANN, BUY("2", "50000"), &order, NULL) == OK);
    free_order(order);
}

static void a_hold_whose_answer_is_lost_is_voided(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        atomic_store(&lost_holds, 1);
        assert_refused(house, ANN, BUY("1", "60000"), ERR_UNAVAILABLE, "wallet_unavailable");
        /* Only possible if what the lost answer held is free again. */
        Trading__Order *order = place(house, ANN, BUY("1", "60000")), *cancelled = NULL;
        assert_balance(house, ANN, "USDT", "40000.00000000", "60000.00000000");
        assert_ok(try_cancel(house, ANN, order->order_id, &cancelled, NULL));
        free_order(cancelled);
        free_order(order);
    }
    assert_balance(house, ANN, "USDT", "100000.00000000", "0.00000000");
}

static void a_settlement_whose_answer_is_lost_is_settled_once(void **state)
{
    (void)state;
    free_order(place(house, BOB, SELL("1", "50000")));
    for (int i = 0; i < 3; i++) {
        atomic_store(&lost_settles, 2);
        free_order(place(house, ANN, BUY("0.1", "50000")));
    }
    assert_balance(house, ANN, "USDT", "85000.00000000", "0.00000000");
    assert_balance(house, ANN, "BTC", "0.29940000", "0.00000000");
    assert_balance(house, BOB, "BTC", "9.00000000", "0.70000000");
    assert_balanced(house);
}

/* ---- the journal and the store ---- */

static void an_order_that_the_journal_refuses_is_not_placed_and_holds_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct rpc_status status = {0};
        Trading__Order *order = NULL, *cancelled = NULL;
        atomic_store(&full_appends, 1);
        enum err e = try_place(house, ANN, BUY("1", "60000"), &order, &status);
        assert_true(e == ERR_EXHAUSTED || e == ERR_FULL);
        order = place(house, ANN, BUY("1", "60000"));
        assert_balance(house, ANN, "USDT", "40000.00000000", "60000.00000000");
        assert_ok(try_cancel(house, ANN, order->order_id, &cancelled, NULL));
        free_order(cancelled);
        free_order(order);
    }
}

static void history_waits_until_the_store_takes_documents_again(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++) {
        struct ticket t = BUY("0.1", "50000");
        t.lifetime = TRADING__TIME_IN_FORCE__IOC;
        free_order(place(house, BOB, SELL("0.05", "50000")));
        atomic_store(&failing_writes, n);
        Trading__Order *order = place(house, ANN, t);
        Trading__Order *stored = get_order(house, ANN, order->order_id);
        assert_string_equal(stored->filled, "0.05000000");
        assert_string_equal(stored->reason, "ioc");
        assert_int_equal(atomic_load(&failing_writes), 0);
        free_order(stored);
        free_order(order);
    }
}

static void history_that_cannot_be_read_in_time_is_an_error_not_a_gap(void **state)
{
    (void)state;
    struct ticket t = BUY("0.1", "50000");
    t.lifetime = TRADING__TIME_IN_FORCE__IOC;
    atomic_store(&failing_writes, 1000000);
    Trading__Order *order = place(house, ANN, t);
    Trading__GetOrderRequest q = TRADING__GET_ORDER_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    q.order_id = order->order_id;
    enum err e = house_call(house->to_trading, "trading.Trading/GetOrder",
                            (struct caller){.user = ANN, .timeout_ms = 200}, &q.base, &reply, NULL);
    assert_true(e == ERR_UNAVAILABLE || e == ERR_TIMEOUT);
    struct err_detail detail = {""};
    assert_err(trading_part.ready(house->trading, &detail), ERR_UNAVAILABLE);
    assert_non_null(strstr(detail.text, "documents"));
    atomic_store(&failing_writes, 0);
    free_order(get_order(house, ANN, order->order_id));
    free_order(order);
}

static void too_much_that_waits_refuses_new_orders_but_no_cancels(void **state)
{
    (void)state;
    struct house *h = house;
    atomic_store(&failing_writes, 1000000);
    Trading__Order *first = place(h, ANN, BUY("0.01", "50000")), *order = NULL;
    struct rpc_status status = {0};
    struct ticket t = BUY("0.01", "50000");
    t.lifetime = TRADING__TIME_IN_FORCE__IOC;
    enum err e = OK;
    for (unsigned i = 0; i < 2000 && !e; i++) {
        e = try_place(h, ANN, t, &order, &status);
        if (!e) free_order(order);
    }
    assert_err(e, ERR_EXHAUSTED);
    assert_string_equal(status.reason, "busy");
    assert_ok(try_cancel(h, ANN, first->order_id, &order, NULL));
    free_order(order);
    free_order(first);
    atomic_store(&failing_writes, 0);
    assert_eventually(try_place(h, ANN, t, &order, NULL) == OK);
    free_order(order);
}

/* ---- a restart ---- */

static void a_restart_keeps_orders_ids_and_history(void **state)
{
    (void)state;
    struct ticket t = BUY("0.1", "50000");
    t.client_id = "before";
    Trading__Order *open = place(house, ANN, t);
    free_order(place(house, BOB, SELL("0.04", "50000")));
    for (int i = 0; i < 2; i++) {
        house_stop_trading(house);
        house_start_trading(house);
        house_wait_ready(house);
        Trading__Order *again = place(house, ANN, t);
        assert_string_equal(again->order_id, open->order_id);
        assert_string_equal(again->filled, "0.04000000");
        free_order(again);
    }
    Trading__Order *rest = place(house, BOB, SELL("0.06", "50000"));
    assert_int_equal(rest->status, TRADING__ORDER_STATUS__FILLED);
    assert_true(strtoull(rest->order_id, NULL, 10) > strtoull(open->order_id, NULL, 10));
    free_order(rest);
    free_order(open);
    assert_balance(house, ANN, "USDT", "95000.00000000", "0.00000000");
    assert_balanced(house);
}

static void reads_work_before_the_wallet_is_there(void **state)
{
    (void)state;
    Trading__Order *open = place(house, ANN, BUY("0.1", "50000"));
    house_stop_trading(house);
    house_stop_wallet(house);
    house_start_trading(house);
    assert_eventually(rpc_client_ready(house->to_trading));
    Trading__Order *same = get_order(house, ANN, open->order_id);
    assert_string_equal(same->order_id, open->order_id);
    assert_refused(house, ANN, BUY("0.1", "50000"), ERR_UNAVAILABLE, "starting");
    struct err_detail detail = {""};
    assert_err(trading_part.ready(house->trading, &detail), ERR_UNAVAILABLE);
    assert_non_null(strstr(detail.text, "wallet"));
    house_start_wallet(house);
    house_wait_ready(house);
    free_order(place(house, ANN, BUY("0.1", "50000")));
    free_order(same);
    free_order(open);
}

static int open_house(void **state)
{
    static const char *const overrides[] = {"trading.stream_size_max=65536", NULL};
    (void)state;
    house = calloc(1, sizeof *house);
    assert_non_null(house);
    house_open(house, overrides);
    house_start(house);
    credit(house, ANN, "USDT", "100000");
    credit(house, BOB, "BTC", "10");
    return 0;
}

static int close_house(void **state)
{
    (void)state;
    atomic_store(&failing_writes, 0);
    house_remove(house);
    free(house);
    return 0;
}

#define HOUSE_TEST(name) cmocka_unit_test_setup_teardown(name, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(an_order_without_a_wallet_is_not_placed),
        HOUSE_TEST(a_cancel_without_a_wallet_is_answered_when_it_is_back),
        HOUSE_TEST(who_waits_for_a_wallet_that_is_away_is_answered_at_the_stop),
        HOUSE_TEST(a_hold_whose_answer_is_lost_is_voided),
        HOUSE_TEST(a_settlement_whose_answer_is_lost_is_settled_once),
        HOUSE_TEST(an_order_that_the_journal_refuses_is_not_placed_and_holds_nothing),
        HOUSE_TEST(history_waits_until_the_store_takes_documents_again),
        HOUSE_TEST(history_that_cannot_be_read_in_time_is_an_error_not_a_gap),
        HOUSE_TEST(too_much_that_waits_refuses_new_orders_but_no_cancels),
        HOUSE_TEST(a_restart_keeps_orders_ids_and_history),
        HOUSE_TEST(reads_work_before_the_wallet_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
