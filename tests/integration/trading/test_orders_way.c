/* Orders through the running parts: what a client sees, in orders, balances and history. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static struct house *house;

static int open_house(void **state)
{
    house = calloc(1, sizeof *house);
    assert_non_null(house);
    house_open(house, NULL);
    house_start(house);
    credit(house, ANN, "USDT", "100000");
    credit(house, BOB, "BTC", "10");
    *state = house;
    return 0;
}

static int close_house(void **state)
{
    (void)state;
    house_remove(house);
    free(house);
    return 0;
}

static void a_resting_order_holds_its_cost_and_gives_it_back_when_cancelled(void **state)
{
    (void)state;
    Trading__Order *o = place(house, ANN, BUY("0.5", "60000"));
    assert_int_equal(o->status, TRADING__ORDER_STATUS__OPEN);
    assert_string_equal(o->filled, "0.00000000");
    assert_string_equal(o->fee_asset, "BTC");
    assert_balance(house, ANN, "USDT", "70000.00000000", "30000.00000000");

    Trading__Order *cancelled = NULL;
    assert_ok(try_cancel(house, ANN, o->order_id, &cancelled, NULL));
    assert_int_equal(cancelled->status, TRADING__ORDER_STATUS__CANCELLED);
    assert_string_equal(cancelled->reason, "user");
    assert_balance(house, ANN, "USDT", "100000.00000000", "0.00000000");
    free_order(cancelled);

    struct rpc_status status = {0};
    assert_err(try_cancel(house, ANN, o->order_id, &cancelled, &status), ERR_NOT_FOUND);
    assert_string_equal(status.reason, "unknown_order");
    free_order(o);
}

static void balances_show_the_trade_when_the_reply_is_there(void **state)
{
    (void)state;
    free_order(place(house, BOB, SELL("0.5", "59000")));
    assert_balance(house, BOB, "BTC", "9.50000000", "0.50000000");
    Trading__Order *o = place(house, ANN, BUY("1", "60000")); /* half at a better price */
    assert_int_equal(o->status, TRADING__ORDER_STATUS__PARTIALLY_FILLED);
    assert_string_equal(o->filled, "0.50000000");
    assert_string_equal(o->filled_quote, "29500.00000000");
    assert_int_equal(o->n_fills, 1);
    assert_string_equal(o->fills[0]->price, "59000.00000000");
    assert_string_equal(o->fills[0]->fee, "0.00100000"); /* 0.2% of 0.5 BTC */
    assert_balance(house, ANN, "BTC", "0.49900000", "0.00000000");
    assert_balance(house, ANN, "USDT", "40000.00000000", "30500.00000000");
    assert_balance(house, BOB, "USDT", "29470.50000000", "0.00000000"); /* less 0.1% */
    assert_balance(house, BOB, "BTC", "9.50000000", "0.00000000");

    Trading__Order *cancelled = NULL;
    assert_ok(try_cancel(house, ANN, o->order_id, &cancelled, NULL));
    assert_balance(house, ANN, "USDT", "70500.00000000", "0.00000000");
    assert_balanced(house);
    free_order(cancelled);
    free_order(o);
}

static void an_order_that_cannot_be_paid_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    assert_refused(house, EVE, BUY("1", "60000"), ERR_PRECONDITION, "insufficient_funds");
    assert_refused(house, ANN, BUY("2", "60000"), ERR_PRECONDITION, "insufficient_funds");
    assert_refused(house, ANN, SELL("1", "60000"), ERR_PRECONDITION, "insufficient_funds");
    assert_balance(house, ANN, "USDT", "100000.00000000", "0.00000000");
    free_order(place(house, ANN, BUY("1", "100000"))); /* exactly all of it */
    assert_balance(house, ANN, "USDT", "0.00000000", "100000.00000000");
    assert_refused(house, ANN, BUY("0.001", "6000"), ERR_PRECONDITION, "insufficient_funds");
}

static void every_wrong_field_is_named(void **state)
{
    (void)state;
    static const struct {
        struct ticket ticket;
        enum err err;
        const char *field, *reason;
    } cases[] = {
        {{.symbol = "NOT-HERE", .side = 1, .quantity = "1", .price = "1"},
         ERR_NOT_FOUND,
         NULL,
         "unknown_market"},
        {{.side = 0, .quantity = "1", .price = "1"}, ERR_INVALID, "side", ""},
        {{.side = 1, .type = 7, .quantity = "1", .price = "1"}, ERR_INVALID, "type", ""},
        {{.side = 1, .lifetime = 9, .quantity = "1", .price = "1"}, ERR_INVALID, "timeInForce", ""},
        {{.side = 1, .type = 2, .lifetime = 1, .quantity = "1", .price = "10"},
         ERR_INVALID,
         "timeInForce",
         ""},
        {{.side = 1, .quantity = "0", .price = "1"}, ERR_INVALID, "quantity", ""},
        {{.side = 1, .quantity = "-1", .price = "1"}, ERR_INVALID, "quantity", ""},
        {{.side = 1, .quantity = "0.000000001", .price = "1"}, ERR_INVALID, "quantity", ""},
        {{.side = 1, .quantity = "1"}, ERR_INVALID, "price", ""},
        {{.side = 1, .type = 2, .quantity = "1"}, ERR_INVALID, "price", ""},
        {{.side = 2, .type = 2, .quantity = "1", .price = "1"}, ERR_INVALID, "price", ""},
        {{.side = 1, .quantity = "0.000001", .price = "60000"}, ERR_INVALID, NULL, "lot_size"},
        {{.side = 1, .quantity = "1", .price = "60000.001"}, ERR_INVALID, NULL, "tick_size"},
        {{.side = 1, .quantity = "0.00001", .price = "60000"}, ERR_INVALID, NULL, "min_notional"},
        {{.side = 1, .quantity = "90000000000", .price = "60000"}, ERR_RANGE, NULL, "too_large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rpc_status status = {0};
        Trading__Order *order = NULL;
        enum err e = try_place(house, ANN, cases[i].ticket, &order, &status);
        if (e != cases[i].err) fail_msg("case %zu: %s: %s", i, err_name(e), status.message);
        if (cases[i].field) {
            assert_int_equal(status.error_count, 1);
            assert_string_equal(status.errors[0].field, cases[i].field);
        }
        if (cases[i].reason) assert_string_equal(status.reason, cases[i].reason);
    }
    assert_balance(house, ANN, "USDT", "100000.00000000", "0.00000000");
}

static void a_market_buy_spends_at_most_what_it_may_and_gives_the_rest_back(void **state)
{
    (void)state;
    free_order(place(house, BOB, SELL("1", "50000")));
    struct ticket t = BUY("1", "25000.5");
    t.type = TRADING__ORDER_TYPE__MARKET;
    Trading__Order *o = place(house, ANN, t);
    assert_int_equal(o->status, TRADING__ORDER_STATUS__CANCELLED);
    assert_string_equal(o->reason, "spend_limit");
    assert_string_equal(o->filled_quote, "25000.50000000");
    assert_string_equal(o->filled, "0.50001000");
    assert_balance(house, ANN, "USDT", "74999.50000000", "0.00000000");
    free_order(o);
}

static void a_repeated_client_order_id_is_the_first_order_open_or_closed(void **state)
{
    (void)state;
    struct ticket t = BUY("0.1", "50000");
    t.client_id = "mine-1";
    Trading__Order *first = place(house, ANN, t);
    Trading__Order *again = place(house, ANN, t);
    assert_string_equal(again->order_id, first->order_id);
    assert_string_equal(again->client_order_id, "mine-1");
    assert_balance(house, ANN, "USDT", "95000.00000000", "5000.00000000");

    struct ticket other = t;
    other.price = "50001";
    assert_refused(house, ANN, other, ERR_EXISTS, "client_order_id_reused");
    free_order(place(house, BOB, SELL("0.1", "50000")));
    free_order(again);
    again = place(house, ANN, t); /* closed by now: from the documents */
    assert_string_equal(again->order_id, first->order_id);
    assert_int_equal(again->status, TRADING__ORDER_STATUS__FILLED);
    assert_balance(house, ANN, "USDT", "95000.00000000", "0.00000000");
    free_order(again);
    free_order(first);
}

static void an_idempotency_key_makes_a_repeat_the_first_order(void **state)
{
    (void)state;
    Trading__Order *orders[3] = {NULL};
    Trading__PlaceOrderRequest q = ticket_request(BUY("0.1", "50000"));
    static const char *const keys[] = {"key-1", "key-1", "key-2"};
    for (size_t i = 0; i < 3; i++)
        assert_ok(house_call(house->to_trading, "trading.Trading/PlaceOrder",
                             (struct caller){.user = ANN, .key = keys[i]}, &q.base,
                             (ProtobufCMessage **)&orders[i], NULL));
    assert_string_equal(orders[0]->order_id, orders[1]->order_id);
    assert_string_not_equal(orders[0]->order_id, orders[2]->order_id);
    assert_string_equal(orders[0]->client_order_id, "");
    for (size_t i = 0; i < 3; i++)
        free_order(orders[i]);
}

static void a_cancel_and_a_replacement_can_be_repeated_with_their_keys(void **state)
{
    (void)state;
    const struct caller keyed = {.user = ANN, .key = "again"};
    Trading__Order *old = place(house, ANN, BUY("0.1", "50000"));
    Trading__Order *fresh[2] = {NULL}, *cancelled[2] = {NULL};
    Trading__ReplaceOrderRequest replace = TRADING__REPLACE_ORDER_REQUEST__INIT;
    replace.order_id = old->order_id;
    replace.quantity = (char *)(uintptr_t) "0.2";
    replace.price = (char *)(uintptr_t) "50000";
    for (size_t i = 0; i < 2; i++)
        assert_ok(house_call(house->to_trading, "trading.Trading/ReplaceOrder", keyed,
                             &replace.base, (ProtobufCMessage **)&fresh[i], NULL));
    assert_string_equal(fresh[0]->order_id, fresh[1]->order_id);
    assert_string_equal(fresh[1]->quantity, "0.20000000");
    assert_balance(house, ANN, "USDT", "90000.00000000", "10000.00000000");

    Trading__CancelOrderRequest cancel = TRADING__CANCEL_ORDER_REQUEST__INIT;
    cancel.order_id = fresh[0]->order_id;
    for (size_t i = 0; i < 2; i++)
        assert_ok(house_call(house->to_trading, "trading.Trading/CancelOrder", keyed, &cancel.base,
                             (ProtobufCMessage **)&cancelled[i], NULL));
    assert_string_equal(cancelled[1]->reason, "user");
    cancel.order_id = old->order_id; /* was replaced: nobody cancelled it */
    Trading__Order *none = NULL;
    assert_err(house_call(house->to_trading, "trading.Trading/CancelOrder", keyed, &cancel.base,
                          (ProtobufCMessage **)&none, NULL),
               ERR_NOT_FOUND);
    for (size_t i = 0; i < 2; i++) {
        free_order(fresh[i]);
        free_order(cancelled[i]);
    }
    free_order(old);
}

static void a_batch_judges_each_order_alone(void **state)
{
    (void)state;
    struct ticket named = BUY("0.1", "50000");
    named.client_id = "twice";
    Trading__PlaceOrderRequest requests[6] = {
        ticket_request(BUY("1", "50000")),
        ticket_request(BUY("1.000001", "50000")),
        ticket_request(BUY("2", "50000")),
        ticket_request(named),
        ticket_request(named),
        ticket_request(BUY("x", "50000")),
    };
    static const char *const codes[] = {"", "lot_size", "insufficient_funds",
                                        "", "",         "invalid_argument"};
    requests[5].quantity = (char *)(uintptr_t) "0";
    Trading__PlaceOrderRequest *pointers[6];
    for (size_t i = 0; i < 6; i++)
        pointers[i] = &requests[i];
    Trading__PlaceOrdersRequest q = TRADING__PLACE_ORDERS_REQUEST__INIT;
    Trading__PlaceOrdersResponse *r = NULL;
    q.n_orders = 6;
    q.orders = pointers;
    assert_ok(house_call(house->to_trading, "trading.Trading/PlaceOrders",
                         (struct caller){.user = ANN}, &q.base, (ProtobufCMessage **)&r, NULL));
    assert_int_equal(r->n_items, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(r->items[i]->code, codes[i]);
        assert_int_equal(r->items[i]->order == NULL, codes[i][0] != 0);
    }
    assert_string_equal(r->items[3]->order->order_id, r->items[4]->order->order_id);
    assert_balance(house, ANN, "USDT", "45000.00000000", "55000.00000000");
    protobuf_c_message_free_unpacked(&r->base, NULL);
}

static enum err replace(const char *user, const char *order_id, const char *quantity,
                        const char *price, Trading__Order **ret, struct rpc_status *status)
{
    Trading__ReplaceOrderRequest q = TRADING__REPLACE_ORDER_REQUEST__INIT;
    q.order_id = (char *)(uintptr_t)order_id;
    q.quantity = (char *)(uintptr_t)quantity;
    q.price = (char *)(uintptr_t)price;
    return house_call(house->to_trading, "trading.Trading/ReplaceOrder",
                      (struct caller){.user = user}, &q.base, (ProtobufCMessage **)ret, status);
}

static void a_replacement_is_a_new_order_and_fails_without_harm(void **state)
{
    (void)state;
    Trading__Order *old = place(house, ANN, BUY("1", "40000")), *fresh = NULL;
    struct rpc_status status = {0};
    assert_err(replace(ANN, old->order_id, "1", "70000", &fresh, &status), ERR_PRECONDITION);
    assert_string_equal(status.reason, "insufficient_funds"); /* both would not fit */
    assert_balance(house, ANN, "USDT", "60000.00000000", "40000.00000000");
    assert_err(replace(BOB, old->order_id, "1", "50000", &fresh, &status), ERR_NOT_FOUND);

    assert_ok(replace(ANN, old->order_id, "1", "50000", &fresh, &status));
    assert_string_not_equal(fresh->order_id, old->order_id);
    assert_balance(house, ANN, "USDT", "50000.00000000", "50000.00000000");
    Trading__Order *before = get_order(house, ANN, old->order_id);
    assert_string_equal(before->reason, "replaced");
    free_order(before);
    free_order(fresh);
    free_order(old);
}

static void cancel_all_gives_everything_back(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        free_order(place(house, ANN, BUY("0.1", "50000")));
    struct ticket eth = BUY("1", "1000");
    eth.symbol = "ETH-USDT";
    free_order(place(house, ANN, eth));
    Trading__CancelAllRequest q = TRADING__CANCEL_ALL_REQUEST__INIT;
    Trading__CancelAllResponse *r = NULL;
    static const struct {
        const char *symbol;
        unsigned cancelled;
    } cases[] = {{"ETH-USDT", 1}, {"", 5}, {"", 0}};
    for (size_t i = 0; i < 3; i++) {
        q.symbol = (char *)(uintptr_t)cases[i].symbol;
        assert_ok(house_call(house->to_trading, "trading.Trading/CancelAll",
                             (struct caller){.user = ANN}, &q.base, (ProtobufCMessage **)&r, NULL));
        assert_int_equal(r->cancelled, cases[i].cancelled);
        protobuf_c_message_free_unpacked(&r->base, NULL);
    }
    assert_balance(house, ANN, "USDT", "100000.00000000", "0.00000000");
}

/* ---- reading ---- */

static Trading__ListOrdersResponse *list_orders(const char *symbol, unsigned limit,
                                                const char *cursor)
{
    Trading__ListOrdersRequest q = TRADING__LIST_ORDERS_REQUEST__INIT;
    Trading__ListOrdersResponse *r = NULL;
    q.symbol = (char *)(uintptr_t)symbol;
    q.limit = limit;
    q.cursor = (char *)(uintptr_t)cursor;
    assert_ok(house_call(house->to_trading, "trading.Trading/ListOrders",
                         (struct caller){.user = ANN}, &q.base, (ProtobufCMessage **)&r, NULL));
    return r;
}

static Trading__ListOrdersResponse *list_open_orders(unsigned limit, const char *cursor)
{
    Trading__ListOpenOrdersRequest q = TRADING__LIST_OPEN_ORDERS_REQUEST__INIT;
    Trading__ListOrdersResponse *r = NULL;
    q.limit = limit;
    q.cursor = (char *)(uintptr_t)cursor;
    assert_ok(house_call(house->to_trading, "trading.Trading/ListOpenOrders",
                         (struct caller){.user = ANN}, &q.base, (ProtobufCMessage **)&r, NULL));
    return r;
}

static void history_has_open_and_closed_orders_newest_first_in_pages(void **state)
{
    (void)state;
    char ids[7][24];
    for (int i = 0; i < 7; i++) {
        struct ticket t = BUY("0.1", "50000");
        if (i % 3 == 1) t.symbol = "ETH-USDT";
        if (i % 2) t.lifetime = TRADING__TIME_IN_FORCE__IOC; /* closed at once */
        Trading__Order *o = place(house, ANN, t);
        (void)snprintf(ids[i], sizeof ids[i], "%s", o->order_id);
        free_order(o);
    }
    char cursor[64] = "";
    int seen = 7;
    do {
        Trading__ListOrdersResponse *r = list_orders("", 3, cursor);
        assert_true(r->n_items <= 3);
        for (size_t i = 0; i < r->n_items; i++) {
            assert_string_equal(r->items[i]->order_id, ids[--seen]);
            assert_int_equal(r->items[i]->status, seen % 2 ? TRADING__ORDER_STATUS__CANCELLED
                                                           : TRADING__ORDER_STATUS__OPEN);
        }
        (void)snprintf(cursor, sizeof cursor, "%s", r->next_cursor);
        protobuf_c_message_free_unpacked(&r->base, NULL);
    } while (cursor[0]);
    assert_int_equal(seen, 0);

    Trading__ListOrdersResponse *eth = list_orders("ETH-USDT", 0, "");
    assert_int_equal(eth->n_items, 2);
    protobuf_c_message_free_unpacked(&eth->base, NULL);
    Trading__ListOrdersResponse *open = list_open_orders(3, "");
    assert_int_equal(open->n_items, 3);
    assert_string_equal(open->items[2]->order_id, ids[2]);
    Trading__ListOrdersResponse *rest = list_open_orders(3, open->next_cursor);
    assert_int_equal(rest->n_items, 1);
    assert_string_equal(rest->items[0]->order_id, ids[0]);
    protobuf_c_message_free_unpacked(&open->base, NULL);
    protobuf_c_message_free_unpacked(&rest->base, NULL);
}

static void trades_are_shown_to_everybody_and_each_side_to_its_user(void **state)
{
    (void)state;
    free_order(place(house, BOB, SELL("0.3", "50000")));
    for (int i = 0; i < 3; i++)
        free_order(place(house, ANN, BUY("0.1", "50000")));
    Trading__ListTradesRequest q = TRADING__LIST_TRADES_REQUEST__INIT;
    Trading__ListTradesResponse *r = NULL;
    q.symbol = (char *)(uintptr_t) "BTC-USDT";
    q.limit = 2;
    assert_ok(house_call(house->to_trading, "trading.Trading/ListTrades",
                         (struct caller){.user = EVE}, &q.base, (ProtobufCMessage **)&r, NULL));
    assert_int_equal(r->n_items, 2);
    assert_int_equal(r->items[0]->taker_side, TRADING__SIDE__BUY);
    assert_true(strtoull(r->items[0]->trade_id, NULL, 10) >
                strtoull(r->items[1]->trade_id, NULL, 10));
    assert_string_not_equal(r->next_cursor, "");
    protobuf_c_message_free_unpacked(&r->base, NULL);

    static const struct {
        const char *user, *fee, *fee_asset;
        int side;
        bool maker;
    } sides[] = {{ANN, "0.00020000", "BTC", TRADING__SIDE__BUY, false},
                 {BOB, "5.00000000", "USDT", TRADING__SIDE__SELL, true}};
    for (size_t i = 0; i < 2; i++) {
        Trading__ListMyTradesRequest m = TRADING__LIST_MY_TRADES_REQUEST__INIT;
        Trading__ListMyTradesResponse *mine = NULL;
        assert_ok(house_call(house->to_trading, "trading.Trading/ListMyTrades",
                             (struct caller){.user = sides[i].user}, &m.base,
                             (ProtobufCMessage **)&mine, NULL));
        assert_int_equal(mine->n_items, 3);
        assert_string_equal(mine->items[0]->fee, sides[i].fee);
        assert_string_equal(mine->items[0]->fee_asset, sides[i].fee_asset);
        assert_int_equal(mine->items[0]->side, sides[i].side);
        assert_int_equal(mine->items[0]->maker, sides[i].maker);
        protobuf_c_message_free_unpacked(&mine->base, NULL);
    }
}

static void a_trade_with_oneself_is_two_items_even_across_pages(void **state)
{
    (void)state;
    credit(house, ANN, "BTC", "1");
    free_order(place(house, ANN, SELL("1", "50000")));
    free_order(place(house, ANN, BUY("0.5", "50000")));
    free_order(place(house, ANN, BUY("0.5", "50000")));
    char cursor[64] = "";
    unsigned sides[3] = {0}, pages = 0;
    do {
        Trading__ListMyTradesRequest m = TRADING__LIST_MY_TRADES_REQUEST__INIT;
        Trading__ListMyTradesResponse *r = NULL;
        m.limit = 1;
        m.cursor = cursor;
        assert_ok(house_call(house->to_trading, "trading.Trading/ListMyTrades",
                             (struct caller){.user = ANN}, &m.base, (ProtobufCMessage **)&r, NULL));
        assert_int_equal(r->n_items, 1);
        sides[r->items[0]->side]++;
        (void)snprintf(cursor, sizeof cursor, "%s", r->next_cursor);
        protobuf_c_message_free_unpacked(&r->base, NULL);
        pages++;
    } while (cursor[0]);
    assert_int_equal(pages, 4);
    assert_int_equal(sides[TRADING__SIDE__BUY], 2);
    assert_balanced(house);
}

static void a_wrong_cursor_is_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {"x", "AAAAAAAAAAA", "AQAAAAAAAAAA", "!!!!"};
    for (size_t i = 0; i < 4; i++) {
        Trading__ListOrdersRequest q = TRADING__LIST_ORDERS_REQUEST__INIT;
        ProtobufCMessage *r = NULL;
        struct rpc_status status = {0};
        q.cursor = (char *)(uintptr_t)wrong[i];
        assert_err(house_call(house->to_trading, "trading.Trading/ListOrders",
                              (struct caller){.user = ANN}, &q.base, &r, &status),
                   ERR_INVALID);
        assert_string_equal(status.errors[0].field, "cursor");
    }
}

static void somebody_elses_order_is_not_found(void **state)
{
    (void)state;
    Trading__Order *open = place(house, ANN, BUY("0.1", "50000"));
    struct ticket t = BUY("0.1", "50000");
    t.lifetime = TRADING__TIME_IN_FORCE__FOK;
    Trading__Order *closed = place(house, ANN, t);
    const char *ids[] = {open->order_id, closed->order_id, "1"};
    for (size_t i = 0; i < 3; i++) {
        Trading__GetOrderRequest q = TRADING__GET_ORDER_REQUEST__INIT;
        ProtobufCMessage *r = NULL;
        struct rpc_status status = {0};
        q.order_id = (char *)(uintptr_t)ids[i];
        assert_err(house_call(house->to_trading, "trading.Trading/GetOrder",
                              (struct caller){.user = BOB}, &q.base, &r, &status),
                   ERR_NOT_FOUND);
        assert_string_equal(status.reason, "unknown_order");
    }
    Trading__Order *mine = get_order(house, ANN, closed->order_id);
    assert_string_equal(mine->reason, "fok");
    free_order(mine);
    free_order(closed);
    free_order(open);
}

static void depth_and_prices_show_the_book(void **state)
{
    (void)state;
    free_order(place(house, ANN, BUY("0.1", "50000")));
    free_order(place(house, ANN, BUY("0.2", "50000")));
    free_order(place(house, ANN, BUY("0.1", "49999.99")));
    free_order(place(house, BOB, SELL("0.4", "51000")));
    Trading__DepthRequest q = TRADING__DEPTH_REQUEST__INIT;
    Trading__Depth *d = NULL;
    q.symbol = (char *)(uintptr_t) "BTC-USDT";
    assert_ok(house_call(house->to_trading, "trading.Trading/GetDepth",
                         (struct caller){.user = EVE}, &q.base, (ProtobufCMessage **)&d, NULL));
    assert_int_equal(d->last_update_id, 4);
    assert_int_equal(d->n_bids, 2);
    assert_string_equal(d->bids[0]->price, "50000.00000000");
    assert_string_equal(d->bids[0]->quantity, "0.30000000");
    assert_int_equal(d->bids[0]->orders, 2);
    assert_int_equal(d->n_asks, 1);
    protobuf_c_message_free_unpacked(&d->base, NULL);

    Trading__QuotesRequest quotes = TRADING__QUOTES_REQUEST__INIT;
    Trading__QuotesResponse *r = NULL;
    quotes.symbols = (char *)(uintptr_t) "ETH-USDT,BTC-USDT";
    assert_ok(house_call(house->to_trading, "trading.Trading/GetQuotes",
                         (struct caller){.user = EVE}, &quotes.base, (ProtobufCMessage **)&r,
                         NULL));
    assert_string_equal(r->items[0]->bid, "");
    assert_string_equal(r->items[1]->bid, "50000.00000000");
    assert_string_equal(r->items[1]->ask_quantity, "0.40000000");
    assert_string_equal(r->items[1]->last, "");
    protobuf_c_message_free_unpacked(&r->base, NULL);
}

static void the_markets_are_those_of_the_configuration(void **state)
{
    (void)state;
    Trading__ListMarketsRequest q = TRADING__LIST_MARKETS_REQUEST__INIT;
    Trading__ListMarketsResponse *r = NULL;
    assert_ok(house_call(house->to_trading, "trading.Trading/ListMarkets",
                         (struct caller){.user = EVE}, &q.base, (ProtobufCMessage **)&r, NULL));
    assert_int_equal(r->n_items, 2);
    assert_string_equal(r->items[0]->symbol, "BTC-USDT");
    assert_string_equal(r->items[0]->tick_size, "0.01000000");
    assert_string_equal(r->items[0]->taker_fee, "0.002000");
    assert_string_equal(r->items[1]->status, "TRADING");
    protobuf_c_message_free_unpacked(&r->base, NULL);
}

#define HOUSE_TEST(name) cmocka_unit_test_setup_teardown(name, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(a_resting_order_holds_its_cost_and_gives_it_back_when_cancelled),
        HOUSE_TEST(balances_show_the_trade_when_the_reply_is_there),
        HOUSE_TEST(an_order_that_cannot_be_paid_is_refused_and_changes_nothing),
        HOUSE_TEST(every_wrong_field_is_named),
        HOUSE_TEST(a_market_buy_spends_at_most_what_it_may_and_gives_the_rest_back),
        HOUSE_TEST(a_repeated_client_order_id_is_the_first_order_open_or_closed),
        HOUSE_TEST(an_idempotency_key_makes_a_repeat_the_first_order),
        HOUSE_TEST(a_cancel_and_a_replacement_can_be_repeated_with_their_keys),
        HOUSE_TEST(a_batch_judges_each_order_alone),
        HOUSE_TEST(a_replacement_is_a_new_order_and_fails_without_harm),
        HOUSE_TEST(cancel_all_gives_everything_back),
        HOUSE_TEST(history_has_open_and_closed_orders_newest_first_in_pages),
        HOUSE_TEST(trades_are_shown_to_everybody_and_each_side_to_its_user),
        HOUSE_TEST(a_trade_with_oneself_is_two_items_even_across_pages),
        HOUSE_TEST(a_wrong_cursor_is_named),
        HOUSE_TEST(somebody_elses_order_is_not_found),
        HOUSE_TEST(depth_and_prices_show_the_book),
        HOUSE_TEST(the_markets_are_those_of_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
