/* What the exchange announces: to each user about its orders, to everybody about the market. */
#include "fixture.h"

#include "support/eventually.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define EVENTS_MAX 4096

/* What was heard, in order. */
static struct {
    pthread_mutex_t mutex;
    size_t count;
    struct {
        char topic[32], key[40], type[32];
        ProtobufCMessage *message;
    } events[EVENTS_MAX];
} heard = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct house *house;
static struct bus_subscriber *subscriber;

static const ProtobufCMessageDescriptor *descriptor_of(const char *type)
{
    if (strncmp(type, "order.", 6) == 0) return &trading__order_event__descriptor;
    if (strcmp(type, "market.trade") == 0) return &trading__trade_event__descriptor;
    if (strcmp(type, "market.depth") == 0) return &trading__depth_event__descriptor;
    return &trading__ticker__descriptor;
}

static void on_event(void *arg, const struct bus_event *event)
{
    (void)arg;
    (void)pthread_mutex_lock(&heard.mutex);
    if (heard.count < EVENTS_MAX) {
        size_t i = heard.count++;
        (void)snprintf(heard.events[i].topic, 32, "%s", event->topic);
        (void)snprintf(heard.events[i].key, 40, "%s", event->key);
        (void)snprintf(heard.events[i].type, 32, "%s", event->type);
        heard.events[i].message = protobuf_c_message_unpack(descriptor_of(event->type), NULL,
                                                            event->payload_size, event->payload);
    }
    (void)pthread_mutex_unlock(&heard.mutex);
}

static void on_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq)
{
    (void)arg, (void)topic, (void)epoch, (void)seq;
}

static size_t count_of(const char *key, const char *type)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&heard.mutex);
    for (size_t i = 0; i < heard.count; i++)
        count += strcmp(heard.events[i].key, key) == 0 && strcmp(heard.events[i].type, type) == 0;
    (void)pthread_mutex_unlock(&heard.mutex);
    return count;
}

/* The n-th of that type for that key, from 0; it was counted before. */
static const ProtobufCMessage *nth(const char *key, const char *type, size_t n)
{
    const ProtobufCMessage *message = NULL;
    (void)pthread_mutex_lock(&heard.mutex);
    for (size_t i = 0; i < heard.count && !message; i++)
        if (strcmp(heard.events[i].key, key) == 0 && strcmp(heard.events[i].type, type) == 0 &&
            n-- == 0)
            message = heard.events[i].message;
    (void)pthread_mutex_unlock(&heard.mutex);
    assert_non_null(message);
    return message;
}

static void each_user_hears_of_its_own_orders(void **state)
{
    (void)state;
    free_order(place(house, BOB, SELL("0.5", "50000")));
    struct ticket t = BUY("0.8", "50000");
    t.lifetime = TRADING__TIME_IN_FORCE__IOC;
    Trading__Order *order = place(house, ANN, t);
    assert_eventually(count_of(ANN, "order.cancelled") == 1 && count_of(BOB, "order.filled") == 1);
    assert_int_equal(count_of(ANN, "order.accepted"), 1);
    assert_int_equal(count_of(ANN, "order.filled"), 1);
    assert_int_equal(count_of(BOB, "order.accepted"), 1);

    const Trading__Order *accepted =
        ((const Trading__OrderEvent *)nth(ANN, "order.accepted", 0))->order;
    assert_string_equal(accepted->order_id, order->order_id);
    assert_int_equal(accepted->status, TRADING__ORDER_STATUS__OPEN);
    assert_string_equal(accepted->filled, "0.00000000");
    const Trading__Order *filled =
        ((const Trading__OrderEvent *)nth(ANN, "order.filled", 0))->order;
    assert_string_equal(filled->filled, "0.50000000");
    assert_int_equal(filled->n_fills, 1);
    assert_false(filled->fills[0]->maker);
    const Trading__Order *maker = ((const Trading__OrderEvent *)nth(BOB, "order.filled", 0))->order;
    assert_int_equal(maker->status, TRADING__ORDER_STATUS__FILLED);
    assert_true(maker->fills[0]->maker);
    assert_string_equal(maker->fills[0]->trade_id, filled->fills[0]->trade_id);
    const Trading__Order *cancelled =
        ((const Trading__OrderEvent *)nth(ANN, "order.cancelled", 0))->order;
    assert_string_equal(cancelled->reason, "ioc");
    free_order(order);
}

/* Everybody can rebuild the book: the numbers are contiguous and the totals are the last ones. */
static void depth_events_alone_rebuild_the_book(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        char price[32];
        (void)snprintf(price, sizeof price, "%d", 50000 + i % 5 * 10);
        free_order(place(house, BOB, SELL("0.01", price)));
        free_order(place(house, ANN, BUY("0.005", price)));
    }
    Trading__DepthRequest q = TRADING__DEPTH_REQUEST__INIT;
    Trading__Depth *depth = NULL;
    q.symbol = (char *)(uintptr_t) "BTC-USDT";
    assert_ok(house_call(house->to_trading, "trading.Trading/GetDepth",
                         (struct caller){.user = EVE}, &q.base, (ProtobufCMessage **)&depth, NULL));

    struct {
        char price[32], quantity[32];
    } asks[64];
    size_t count = 0;
    uint64_t update_id =
        ((const Trading__DepthEvent *)nth("BTC-USDT", "market.depth", 0))->first_update_id - 1;
    for (size_t n = 0; update_id < depth->last_update_id; n++) {
        assert_eventually(count_of("BTC-USDT", "market.depth") > n);
        const Trading__DepthEvent *e =
            (const Trading__DepthEvent *)nth("BTC-USDT", "market.depth", n);
        assert_int_equal(e->first_update_id, update_id + 1);
        update_id = e->last_update_id;
        for (size_t i = 0; i < e->n_asks; i++) {
            size_t at = 0;
            while (at < count && strcmp(asks[at].price, e->asks[i]->price) != 0)
                at++;
            if (at == count) count++;
            (void)snprintf(asks[at].price, 32, "%s", e->asks[i]->price);
            (void)snprintf(asks[at].quantity, 32, "%s", e->asks[i]->quantity);
        }
    }
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        left += strcmp(asks[i].quantity, "0") != 0;
    assert_int_equal(left, depth->n_asks);
    for (size_t i = 0; i < depth->n_asks; i++) {
        size_t at = 0;
        while (strcmp(asks[at].price, depth->asks[i]->price) != 0)
            assert_true(++at < count);
        assert_string_equal(asks[at].quantity, depth->asks[i]->quantity);
    }
    protobuf_c_message_free_unpacked(&depth->base, NULL);
}

static void trades_and_prices_go_to_everybody(void **state)
{
    (void)state;
    free_order(place(house, BOB, SELL("0.5", "50000")));
    free_order(place(house, ANN, BUY("0.2", "50000")));
    assert_eventually(count_of("BTC-USDT", "market.trade") == 1);
    const Trading__Trade *trade =
        ((const Trading__TradeEvent *)nth("BTC-USDT", "market.trade", 0))->trade;
    assert_string_equal(trade->price, "50000.00000000");
    assert_string_equal(trade->quantity, "0.20000000");
    assert_int_equal(trade->taker_side, TRADING__SIDE__BUY);
    assert_eventually(
        strcmp(((const Trading__Ticker *)nth("BTC-USDT", "market.price",
                                             count_of("BTC-USDT", "market.price") - 1))
                   ->last,
               "50000.00000000") == 0);
}

/* A subscriber hears what is published once it is connected: asks until it is. */
static bool heard_an_order(void)
{
    Trading__Order *cancelled = NULL, *order = place(house, EVE, BUY("0.001", "10000"));
    assert_ok(try_cancel(house, EVE, order->order_id, &cancelled, NULL));
    free_order(cancelled);
    free_order(order);
    return count_of(EVE, "order.cancelled") > 0 && count_of("BTC-USDT", "market.depth") > 0;
}

static int open_house(void **state)
{
    static const char *const topics[] = {"trading.market", "trading.user", NULL};
    (void)state;
    house = calloc(1, sizeof *house);
    assert_non_null(house);
    house_open(house, NULL);
    house_start(house);
    struct bus_subscriber_options options = {.topics = topics,
                                             .replay = house->to_trading,
                                             .on_event = on_event,
                                             .on_resync = on_resync};
    struct err_detail detail = {""};
    if (part_subscriber(house->env, "trading", &options, &subscriber, &detail))
        fail_msg("%s", detail.text);
    credit(house, ANN, "USDT", "100000");
    credit(house, BOB, "BTC", "10");
    credit(house, EVE, "USDT", "100");
    assert_eventually(heard_an_order());
    return 0;
}

static int close_house(void **state)
{
    (void)state;
    bus_subscriber_free(subscriber);
    house_remove(house);
    free(house);
    for (size_t i = 0; i < heard.count; i++)
        protobuf_c_message_free_unpacked(heard.events[i].message, NULL);
    heard.count = 0;
    return 0;
}

#define HOUSE_TEST(name) cmocka_unit_test_setup_teardown(name, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(each_user_hears_of_its_own_orders),
        HOUSE_TEST(depth_events_alone_rebuild_the_book),
        HOUSE_TEST(trades_and_prices_go_to_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
