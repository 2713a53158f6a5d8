/* From records to events. */
#include "announce.h"

#include "message.h"
#include "record.h"

#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

#define CHUNKS_TOGETHER 16 /* drawn together into one depth event, if they wait */

/* The level changes of one market since its last depth event. */
struct changes {
    bool touched;
    uint64_t first_update_id, last_update_id;
    size_t count;
    struct level_change *levels; /* ANNOUNCE_LEVELS_MAX of them, once there were any */
};

struct announce {
    struct stream *stream;
    struct listings *listings;
    struct bus_publisher *publisher;
    pthread_t thread;
    struct record record;
    struct buf packed;
    struct changes markets[MARKETS_MAX];
    struct fill_message fills[ANNOUNCE_FILLS_MAX]; /* of the event that is being made */
    Trading__Fill *fill_pointers[ANNOUNCE_FILLS_MAX];
    struct level_message levels[ANNOUNCE_LEVELS_MAX];
    Trading__Level *level_pointers[ANNOUNCE_LEVELS_MAX];
};

static void publish(struct announce *a, const char *topic, const char *key, const char *type,
                    const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    buf_clear(&a->packed);
    uint8_t *at = (uint8_t *)buf_reserve(&a->packed, size);
    CHECK(at);
    (void)protobuf_c_message_pack(message, at);
    bus_publish(a->publisher, topic, key, type, at, size);
}

/* ---- orders ---- */

static void publish_order(struct announce *a, const char *type, const struct order_view *o,
                          Trading__Fill **fills, size_t fill_count)
{
    struct order_message order;
    char key[ID_TEXT_SIZE];
    Trading__OrderEvent event = TRADING__ORDER_EVENT__INIT;
    order_message(&order, o, listings_get(a->listings, o->market));
    order.message.fills = fills;
    order.message.n_fills = fill_count;
    event.order = &order.message;
    id_format(o->user, key);
    publish(a, TOPIC_USER, key, type, &event.base);
}

static void publish_maker(struct announce *a, const struct execution *x,
                          const struct listing *market)
{
    struct fill_message message;
    Trading__Fill *pointer = &message.message;
    const struct fill fill = {x->trade_id, x->price, x->quantity, x->maker_fee, true};
    fill_message(&message, &fill, x->maker.terms.side, market);
    publish_order(a, "order.filled", &x->maker, &pointer, 1);
}

/* The taker's fills, so many to an event. */
static void publish_taker(struct announce *a, const struct engine_result *r,
                          const struct listing *market)
{
    size_t count = 0;
    for (size_t i = 0; i < r->execution_count; i++) {
        const struct execution *x = &r->executions[i];
        const struct fill fill = {x->trade_id, x->price, x->quantity, x->taker_fee, false};
        fill_message(&a->fills[count], &fill, r->order.terms.side, market);
        a->fill_pointers[count] = &a->fills[count].message;
        count++;
        if (count < ANNOUNCE_FILLS_MAX && i + 1 < r->execution_count) continue;
        publish_order(a, "order.filled", &r->order, a->fill_pointers, count);
        count = 0;
    }
}

static void publish_trade(struct announce *a, const struct execution *x,
                          const struct engine_result *r, const struct listing *market)
{
    struct trade_message message;
    const struct trade trade = {x->trade_id, x->price, x->quantity, r->now_ms, r->order.terms.side};
    Trading__TradeEvent event = TRADING__TRADE_EVENT__INIT;
    trade_message(&message, &trade, market);
    event.trade = &message.message;
    publish(a, TOPIC_MARKET, market->symbol, "market.trade", &event.base);
}

static void publish_placed(struct announce *a, const struct engine_result *r)
{
    const struct listing *market = listings_get(a->listings, r->order.market);
    struct order_view accepted = r->order;
    accepted.filled = accepted.filled_quote = accepted.fee = 0;
    accepted.status = ORDER_OPEN;
    accepted.reason = REASON_NONE;
    accepted.updated_ms = accepted.created_ms;
    publish_order(a, "order.accepted", &accepted, NULL, 0);
    for (size_t i = 0; i < r->execution_count; i++) {
        publish_trade(a, &r->executions[i], r, market);
        publish_maker(a, &r->executions[i], market);
    }
    publish_taker(a, r, market);
    if (r->order.status == ORDER_CANCELLED) publish_order(a, "order.cancelled", &r->order, NULL, 0);
}

/* ---- levels and prices ---- */

static int by_price_then_time(const void *left, const void *right)
{
    const struct level_change *a = left, *b = right;
    if (a->side != b->side) return a->side < b->side ? -1 : 1;
    if (a->price != b->price) {
        bool better = a->side == SIDE_BUY ? a->price > b->price : a->price < b->price;
        return better ? -1 : 1;
    }
    return a->update_id < b->update_id ? -1 : 1;
}

/* Sorted best first; of several changes of one price only the last is left. */
static size_t draw_together(struct level_change *levels, size_t count)
{
    size_t kept = 0;
    qsort(levels, count, sizeof *levels, by_price_then_time);
    for (size_t i = 0; i < count; i++) {
        bool again = i + 1 < count && levels[i + 1].side == levels[i].side &&
                     levels[i + 1].price == levels[i].price;
        if (!again) levels[kept++] = levels[i];
    }
    return kept;
}

static void publish_levels(struct announce *a, const struct listing *market)
{
    struct changes *c = &a->markets[market->number];
    Trading__DepthEvent event = TRADING__DEPTH_EVENT__INIT;
    size_t count = draw_together(c->levels, c->count);
    size_t bids = 0;
    for (size_t i = 0; i < count; i++) {
        level_message(&a->levels[i], &c->levels[i], market);
        a->level_pointers[i] = &a->levels[i].message;
        bids += c->levels[i].side == SIDE_BUY;
    }
    event.symbol = (char *)(uintptr_t)market->symbol;
    event.first_update_id = c->first_update_id;
    event.last_update_id = c->last_update_id;
    event.bids = a->level_pointers;
    event.n_bids = bids;
    event.asks = a->level_pointers + bids;
    event.n_asks = count - bids;
    publish(a, TOPIC_MARKET, market->symbol, "market.depth", &event.base);
    c->count = 0;
}

static void publish_ticker(struct announce *a, const struct listing *market)
{
    struct ticker_message message;
    const struct ticker ticker = listings_ticker(a->listings, market);
    ticker_message(&message, &ticker, market);
    publish(a, TOPIC_MARKET, market->symbol, "market.price", &message.message.base);
}

static void note_level(struct announce *a, const struct level_change *l)
{
    struct changes *c = &a->markets[l->market];
    if (!c->levels) {
        c->levels = malloc(ANNOUNCE_LEVELS_MAX * sizeof *c->levels);
        CHECK(c->levels);
    }
    if (c->count == ANNOUNCE_LEVELS_MAX) publish_levels(a, listings_get(a->listings, l->market));
    if (!c->count) c->first_update_id = l->update_id;
    c->last_update_id = l->update_id;
    c->levels[c->count++] = *l;
    c->touched = true;
}

static void publish_markets(struct announce *a)
{
    size_t count = listings_count(a->listings);
    for (size_t i = 0; i < count; i++) {
        if (!a->markets[i].touched) continue;
        const struct listing *market = listings_get(a->listings, i);
        publish_levels(a, market);
        publish_ticker(a, market);
        a->markets[i].touched = false;
    }
}

/* ---- the thread ---- */

static void publish_record(struct announce *a, const struct record *record)
{
    const struct engine_result *r = &record->result;
    bool placed = record->kind == COMMAND_PLACE || record->kind == COMMAND_REPLACE;
    for (size_t i = 0; i < r->cancelled_count; i++)
        publish_order(a, "order.cancelled", &r->cancelled[i], NULL, 0);
    if (placed && r->has_order) publish_placed(a, r);
    for (size_t i = 0; i < r->level_count; i++)
        note_level(a, &r->levels[i]);
}

static void publish_chunk(struct announce *a, const struct chunk *chunk)
{
    const uint8_t *at = chunk->data, *end = chunk->data + chunk->size;
    while (at < end) {
        enum err e = record_read(&at, end, &a->record);
        CHECK(e == OK); /* this process wrote it */
        publish_record(a, &a->record);
    }
    stream_done(a->stream, READER_EVENTS, chunk);
}

static void *loop(void *arg)
{
    struct announce *a = arg;
    thread_name("trading-events");
    const struct chunk *chunk;
    while ((chunk = stream_take(a->stream, READER_EVENTS, -1))) {
        for (unsigned i = 0; chunk; i++) {
            publish_chunk(a, chunk);
            chunk = i < CHUNKS_TOGETHER ? stream_take(a->stream, READER_EVENTS, 0) : NULL;
        }
        publish_markets(a);
    }
    return NULL;
}

enum err announce_start(struct stream *stream, struct listings *listings,
                        struct bus_publisher *publisher, struct announce **ret)
{
    struct announce *a = calloc(1, sizeof *a);
    if (!a) return ERR_NO_MEMORY;
    a->stream = stream;
    a->listings = listings;
    a->publisher = publisher;
    buf_init(&a->packed, BUS_EVENT_SIZE_MAX);
    if (pthread_create(&a->thread, NULL, loop, a) != 0) {
        free(a);
        return ERR_NO_MEMORY;
    }
    *ret = a;
    return OK;
}

void announce_stop(struct announce *a)
{
    if (!a) return;
    CHECK(pthread_join(a->thread, NULL) == 0);
    for (size_t i = 0; i < MARKETS_MAX; i++)
        free(a->markets[i].levels);
    record_release(&a->record);
    buf_release(&a->packed);
    free(a);
}
