/* Each answer sends its client's next request: no thread waits. */
#include "load.h"

#include "base/clock.h"
#include "trading.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX   200
#define SAMPLES_MAX (1 << 20)
#define MIDDLE      40000 /* USDT */
#define SPREAD      50

struct shared {
    const struct load *load;
    int64_t end_us;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running;
    atomic_uint_fast64_t orders, refused;
    atomic_uint samples;
    int64_t *latency_us;
};

struct client {
    struct shared *shared;
    const struct principal *user;
    uint32_t random;
    int64_t sent_us;
};

static uint32_t next_random(struct client *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 17;
    c->random ^= c->random << 5;
    return c->random;
}

struct order_text {
    char price[16];
};

static void fill_order(struct client *c, Trading__PlaceOrderRequest *order, struct order_text *text)
{
    trading__place_order_request__init(order);
    order->symbol = (char *)"BTC-USDT";
    order->side = next_random(c) % 2 ? TRADING__SIDE__BUY : TRADING__SIDE__SELL;
    order->type = TRADING__ORDER_TYPE__LIMIT;
    order->quantity = (char *)"0.001";
    (void)snprintf(text->price, sizeof text->price, "%u",
                   MIDDLE - SPREAD + next_random(c) % (2 * SPREAD));
    order->price = text->price;
}

static void done(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status);

static void send_next(struct client *c)
{
    const struct load *load = c->shared->load;
    struct rpc_options options = {.principal = c->user};
    struct order_text texts[BATCH_MAX];
    Trading__PlaceOrderRequest orders[BATCH_MAX], *pointers[BATCH_MAX];
    c->sent_us = clock_mono_us();
    if (load->batch == 1) {
        fill_order(c, &orders[0], &texts[0]);
        rpc_call_async(load->trading, "trading.Trading/PlaceOrder", &orders[0].base, &options, done,
                       c);
        return;
    }
    Trading__PlaceOrdersRequest batch = TRADING__PLACE_ORDERS_REQUEST__INIT;
    batch.n_orders = load->batch;
    batch.orders = pointers;
    for (unsigned i = 0; i < load->batch; i++) {
        fill_order(c, &orders[i], &texts[i]);
        pointers[i] = &orders[i];
    }
    rpc_call_async(load->trading, "trading.Trading/PlaceOrders", &batch.base, &options, done, c);
}

static void count(struct client *c, const ProtobufCMessage *reply)
{
    struct shared *s = c->shared;
    uint64_t accepted = reply != NULL;
    if (reply && s->load->batch > 1) {
        const Trading__PlaceOrdersResponse *response = (const Trading__PlaceOrdersResponse *)reply;
        accepted = 0;
        for (size_t i = 0; i < response->n_items; i++)
            accepted += response->items[i]->order != NULL;
    }
    atomic_fetch_add(&s->orders, accepted);
    atomic_fetch_add(&s->refused, s->load->batch - accepted);
    unsigned at = atomic_fetch_add(&s->samples, 1);
    if (at < SAMPLES_MAX) s->latency_us[at] = clock_mono_us() - c->sent_us;
}

static void done(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    struct client *c = arg;
    struct shared *s = c->shared;
    (void)status;
    count(c, own_reply);
    protobuf_c_message_free_unpacked(own_reply, NULL);
    if (clock_mono_us() < s->end_us) return send_next(c);
    (void)pthread_mutex_lock(&s->lock);
    if (--s->running == 0) (void)pthread_cond_signal(&s->ended);
    (void)pthread_mutex_unlock(&s->lock);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static struct load_result summarize(struct shared *s, int64_t took_us)
{
    size_t n = atomic_load(&s->samples);
    if (n > SAMPLES_MAX) n = SAMPLES_MAX;
    qsort(s->latency_us, n, sizeof *s->latency_us, compare);
    struct load_result result = {.orders = atomic_load(&s->orders),
                                 .refused = atomic_load(&s->refused)};
    result.orders_per_s = (double)result.orders * 1e6 / (double)took_us;
    result.p50_us = n ? s->latency_us[n / 2] : 0;
    result.p99_us = n ? s->latency_us[n * 99 / 100] : 0;
    return result;
}

struct load_result load_run(const struct load *load)
{
    struct shared s = {.load = load, .running = load->clients};
    struct client clients[LOAD_CLIENTS_MAX];
    CHECK(load->clients <= LOAD_CLIENTS_MAX && load->batch <= BATCH_MAX);
    s.latency_us = calloc(SAMPLES_MAX, sizeof *s.latency_us);
    CHECK(s.latency_us);
    (void)pthread_mutex_init(&s.lock, NULL);
    (void)pthread_cond_init(&s.ended, NULL);

    int64_t begin_us = clock_mono_us();
    s.end_us = begin_us + load->duration_ms * 1000;
    for (unsigned i = 0; i < load->clients; i++) {
        clients[i] = (struct client){&s, &load->users[i], 2463534242u + i * 7919, 0};
        send_next(&clients[i]);
    }
    (void)pthread_mutex_lock(&s.lock);
    while (s.running)
        (void)pthread_cond_wait(&s.ended, &s.lock);
    (void)pthread_mutex_unlock(&s.lock);
    struct load_result result = summarize(&s, clock_mono_us() - begin_us);
    free(s.latency_us);
    return result;
}
