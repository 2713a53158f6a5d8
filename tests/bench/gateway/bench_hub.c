/* The hub alone: frames a second from one publisher into the queues of many listeners, and out of
 * them again, on one core. */
#include "base/clock.h"
#include "hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 2000000 /* into all queues together */
#define TEXT                                                                                       \
    "{\"type\":\"market.trade\",\"channel\":\"trades:BTC-USDT\",\"epoch\":\"1769903999123\"}"
#define PER_TURN 64 /* events between two turns of the takers */

static struct frame *make(uint64_t seq)
{
    struct frame_event event = {"trading.market", "market.trade", 1769903999123, seq};
    struct frame *f = frame_new(TEXT, sizeof TEXT - 1, &event);
    CHECK(f);
    return f;
}

static void take_all(struct hub_connection *c)
{
    struct frame *f;
    while ((f = hub_take(c).frame))
        frame_release(f);
}

static void measure(size_t listeners, enum hub_delivery how)
{
    struct hub *h;
    struct hub_connection **c = calloc(listeners, sizeof(struct hub_connection *));
    CHECK(c && hub_new(listeners, &h) == OK);
    for (size_t i = 0; i < listeners; i++) {
        CHECK(hub_join(h, 0, (struct hub_wake){0}, &c[i]) == OK);
        CHECK(hub_subscribe(c[i], "trades:BTC-USDT") == OK);
    }
    int64_t begin_us = clock_mono_us();
    size_t events = FRAMES / listeners;
    for (size_t i = 0; i < events; i++) {
        struct frame *f = make(i + 1);
        hub_publish(h, "trades:BTC-USDT", f, how);
        frame_release(f);
        for (size_t k = 0; k < listeners && i % PER_TURN == PER_TURN - 1; k++)
            take_all(c[k]);
    }
    int64_t us = clock_mono_us() - begin_us;
    printf("%6zu listeners, %-9s %10.0f events/s %12.0f frames/s\n", listeners,
           how == HUB_KEEP ? "all" : "conflated", (double)events * 1e6 / (double)us,
           (double)(events * listeners) * 1e6 / (double)us);
    for (size_t i = 0; i < listeners; i++) {
        hub_leave(c[i]);
        hub_release(c[i]);
    }
    hub_free(h);
    free(c);
}

int main(void)
{
    static const size_t listeners[] = {1, 10, 100, 1000, 10000};
    for (size_t i = 0; i < sizeof listeners / sizeof *listeners; i++) {
        measure(listeners[i], HUB_KEEP);
        measure(listeners[i], HUB_CONFLATE);
    }
    return 0;
}
