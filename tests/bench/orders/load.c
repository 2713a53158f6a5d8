/* Each answer sends its client's next request; only a client that was refused waits, in a list. */
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
#define PAUSE_US    20000 /* of a client that was told that the exchange is busy */

struct shared {
    const struct load *load;
    int64_t end_us;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock: somebody pauses, or all have ended */
    unsigned running;
    struct client *paused; /* the latest first */
    atomic_uint_fast64_t orders, refused;
    atomic_uint samples;
    int64_t *latency_us;
};

struct client {
    struct shared *shared;
    const struct principal *user;
    uint32_t random;
    int64_t sent_us;
    struct client *next; /* of those that pause */
    int64_t pause_until_us;
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

/* How many of the request's orders were accepted. */
static uint64_t count(struct client *c, const ProtobufCMessage *reply)
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
    if (!accepted) return 0;
    unsigned at = atomic_fetch_add(&s->samples, 1);
    if (at < SAMPLES_MAX) s->latency_us[at] = clock_mono_us() - c->sent_us;
    return accepted;
}

static void end_client(struct shared *s)
{
    (void)pthread_mutex_lock(&s->lock);
    if (--s->running == 0) (void)pthread_cond_signal(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

static void pause_client(struct client *c)
{
    struct shared *s = c->shared;
    c->pause_until_us = clock_mono_us() + PAUSE_US;
    (void)pthread_mutex_lock(&s->lock);
    c->next = s->paused;
    s->paused = c;
    (void)pthread_cond_signal(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

static bool over(struct shared *s)
{
    return clock_mono_us() >= s->end_us || (s->load->until_refused && atomic_load(&s->refused));
}

static void done(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    struct client *c = arg;
    (void)status;
    uint64_t accepted = count(c, own_reply);
    protobuf_c_message_free_unpacked(own_reply, NULL);
    if (over(c->shared))
        end_client(c->shared);
    else if (accepted)
        send_next(c);
    else
        pause_client(c);
}

/* Holding the lock: takes who has paused long enough; NULL: nobody. */
static struct client *take_rested(struct shared *s)
{
    struct client *rested = NULL, **link = &s->paused;
    int64_t now_us = clock_mono_us();
    while (*link) {
        struct client *c = *link;
        if (c->pause_until_us > now_us) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        c->next = rested;
        rested = c;
    }
    return rested;
}

/* Wakes those that pause, until the last client has ended. */
static void attend(struct shared *s)
{
    (void)pthread_mutex_lock(&s->lock);
    while (s->running) {
        struct client *rested = take_rested(s);
        int64_t until_us = clock_mono_us() + PAUSE_US / 4;
        const struct timespec until = {.tv_sec = until_us / 1000000,
                                       .tv_nsec = until_us % 1000000 * 1000};
        if (!rested && s->paused)
            (void)pthread_cond_timedwait(&s->changed, &s->lock, &until);
        else if (!rested)
            (void)pthread_cond_wait(&s->changed, &s->lock);
        (void)pthread_mutex_unlock(&s->lock);
        for (struct client *next; rested; rested = next) {
            next = rested->next;
            if (over(s))
                end_client(s);
            else
                send_next(rested);
        }
        (void)pthread_mutex_lock(&s->lock);
    }
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

static void init_lock(struct shared *s)
{
    pthread_condattr_t monotonic;
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&s->changed, &monotonic) == 0);
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    (void)pthread_condattr_destroy(&monotonic);
}

struct load_result load_run(const struct load *load)
{
    struct shared s = {.load = load, .running = load->clients};
    struct client clients[LOAD_CLIENTS_MAX];
    CHECK(load->clients <= LOAD_CLIENTS_MAX && load->batch <= BATCH_MAX);
    s.latency_us = calloc(SAMPLES_MAX, sizeof *s.latency_us);
    CHECK(s.latency_us);
    init_lock(&s);

    int64_t begin_us = clock_mono_us();
    s.end_us = begin_us + load->duration_ms * 1000;
    for (unsigned i = 0; i < load->clients; i++) {
        clients[i] = (struct client){
            .shared = &s, .user = &load->users[i], .random = 2463534242u + i * 7919};
        send_next(&clients[i]);
    }
    attend(&s);
    struct load_result result = summarize(&s, clock_mono_us() - begin_us);
    free(s.latency_us);
    return result;
}
