/* From records to documents. */
#include "project.h"

#include "base/clock.h"
#include "base/thread.h"
#include "record.h"
#include "trading_store.h"

#include <stdlib.h>
#include <time.h>

/* Documents of one collection that wait to be written together. */
struct pile {
    const char *collection;
    size_t count;
    bson_t documents[STORE_BULK_MAX];
    const bson_t *pointers[STORE_BULK_MAX];
};

struct project {
    struct stream *stream;
    struct listings *listings;
    struct store *store;
    uint16_t shard;
    pthread_t thread;
    struct record record;
    struct pile orders;
    struct pages *trades;
    struct watermark gathered; /* what the documents have when those at hand are written */
    const struct chunk *chunks[PROJECT_CHUNKS_MAX]; /* whose documents are being gathered */

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    uint64_t seq;        /* what the documents have */
    uint64_t wanted_seq; /* what somebody waits for */
    bool stopping, healthy;
};

static bool is_stopping(struct project *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    bool stopping = p->stopping;
    (void)pthread_mutex_unlock(&p->mutex);
    return stopping;
}

static struct timespec monotonic(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

/* Waits so long, or until the stop. */
static void pause_ms(struct project *p, int64_t ms)
{
    struct timespec until = monotonic(clock_mono_ms() + ms);
    (void)pthread_mutex_lock(&p->mutex);
    for (int result = 0; !p->stopping && result == 0;)
        result = pthread_cond_timedwait(&p->changed, &p->mutex, &until);
    (void)pthread_mutex_unlock(&p->mutex);
}

static void set_healthy(struct project *p, bool healthy)
{
    (void)pthread_mutex_lock(&p->mutex);
    p->healthy = healthy;
    (void)pthread_mutex_unlock(&p->mutex);
}

/* Says how a write went; after a failure waits, longer each time. false: try again. */
static bool written(struct project *p, enum err e, int64_t *backoff_ms)
{
    set_healthy(p, e == OK);
    if (!e) return true;
    pause_ms(p, *backoff_ms);
    *backoff_ms =
        *backoff_ms * 2 < PROJECT_BACKOFF_MAX_MS ? *backoff_ms * 2 : PROJECT_BACKOFF_MAX_MS;
    return false;
}

/* Until it is written. false: stopped before. */
static bool flush(struct project *p, struct pile *pile)
{
    int64_t backoff_ms = PROJECT_BACKOFF_MS;
    while (pile->count) {
        if (is_stopping(p)) return false;
        enum err e = store_put_many(p->store, pile->collection, pile->pointers, pile->count);
        if (written(p, e, &backoff_ms)) pile->count = 0;
    }
    return true;
}

/* Likewise. */
static bool flush_trades(struct project *p)
{
    int64_t backoff_ms = PROJECT_BACKOFF_MS;
    do
        if (is_stopping(p)) return false;
    while (!written(p, trade_pages_write(p->trades, p->store, p->listings), &backoff_ms));
    pages_clear(p->trades);
    return true;
}

/*
 * What a process that died has written behind its watermark is going to be written again, in other
 * pages. Until it is gone; false: stopped before.
 */
static bool forget_trades(struct project *p)
{
    int64_t backoff_ms = PROJECT_BACKOFF_MS;
    do
        if (is_stopping(p)) return false;
    while (!written(p, trade_pages_forget(p->store, p->shard, p->gathered.trade_id), &backoff_ms));
    return true;
}

static bool set_watermark(struct project *p)
{
    int64_t backoff_ms = PROJECT_BACKOFF_MS;
    do
        if (is_stopping(p)) return false;
    while (!written(p, trading_store_set_watermark(p->store, p->shard, p->gathered), &backoff_ms));
    (void)pthread_mutex_lock(&p->mutex);
    p->seq = p->gathered.seq;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->mutex);
    return true;
}

/* ---- documents ---- */

/* The next free document of a pile; NULL: stopped before there was one. */
static bson_t *next_document(struct project *p, struct pile *pile)
{
    if (pile->count == STORE_BULK_MAX && !flush(p, pile)) return NULL;
    return &pile->documents[pile->count++];
}

/* An order is written once: when it is closed. Open ones are the engine's. */
static bool add_order(struct project *p, const struct order_view *o)
{
    if (o->status != ORDER_FILLED && o->status != ORDER_CANCELLED) return true;
    bson_t *document = next_document(p, &p->orders);
    if (document) order_to_bson(o, listings_get(p->listings, o->market), document);
    return document;
}

static bool add_trade(struct project *p, const struct execution *x, const struct order_view *taker)
{
    if (pages_full(p->trades, TRADE_ENTRIES) && !flush_trades(p)) return false;
    trade_pages_add(p->trades, x, taker);
    p->gathered.trade_id = x->trade_id;
    return true;
}

static bool add_record(struct project *p)
{
    const struct engine_result *r = &p->record.result;
    bool placed = p->record.kind == COMMAND_PLACE || p->record.kind == COMMAND_REPLACE;
    bool going = true;
    for (size_t i = 0; i < r->cancelled_count && going; i++)
        going = add_order(p, &r->cancelled[i]);
    for (size_t i = 0; i < r->execution_count && going; i++)
        going = add_trade(p, &r->executions[i], &r->order) && add_order(p, &r->executions[i].maker);
    if (placed && r->has_order && going) going = add_order(p, &r->order);
    return going;
}

static bool add_chunk(struct project *p, const struct chunk *chunk)
{
    const uint8_t *at = chunk->data, *end = chunk->data + chunk->size;
    bool going = true;
    while (at < end && going) {
        enum err e = record_read(&at, end, &p->record);
        CHECK(e == OK); /* this process wrote or checked it */
        if (p->record.seq > p->gathered.seq) going = add_record(p); /* else: before the start */
    }
    return going;
}

/* Does somebody wait for what is not written yet? */
static bool in_a_hurry(struct project *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    bool hurry = p->wanted_seq > p->seq;
    (void)pthread_mutex_unlock(&p->mutex);
    return hurry;
}

/* Takes what comes in a while, or what is there if somebody waits. false: stopped meanwhile. */
static bool gather(struct project *p, size_t *ret_count)
{
    bool going = true;
    size_t count = 0;
    const struct chunk *chunk = stream_take(p->stream, READER_DOCUMENTS, -1);
    int64_t until_ms = clock_mono_ms() + PROJECT_LINGER_MS;
    while (chunk && going) {
        going = add_chunk(p, chunk);
        p->chunks[count++] = chunk;
        p->gathered.seq = chunk->last_seq;
        if (count == PROJECT_CHUNKS_MAX) break;
        chunk = stream_take(p->stream, READER_DOCUMENTS, in_a_hurry(p) ? 0 : until_ms);
    }
    *ret_count = count;
    return going;
}

static void *loop(void *arg)
{
    struct project *p = arg;
    thread_name("trading-docs");
    thread_background();
    bool ready = forget_trades(p);
    while (ready && !stream_closed(p->stream)) {
        size_t count = 0;
        bool going = gather(p, &count);
        if (!count) continue;
        going = going && flush_trades(p) && flush(p, &p->orders) && set_watermark(p);
        for (size_t i = 0; going && i < count; i++)
            stream_done(p->stream, READER_DOCUMENTS, p->chunks[i]);
    }
    return NULL;
}

/* ---- life ---- */

static void pile_init(struct pile *pile, const char *collection)
{
    pile->collection = collection;
    for (size_t i = 0; i < STORE_BULK_MAX; i++) {
        bson_init(&pile->documents[i]);
        pile->pointers[i] = &pile->documents[i];
    }
}

static void pile_release(struct pile *pile)
{
    for (size_t i = 0; i < STORE_BULK_MAX; i++)
        bson_destroy(&pile->documents[i]);
}

static void project_free(struct project *p)
{
    pile_release(&p->orders);
    pages_free(p->trades);
    record_release(&p->record);
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->mutex);
    free(p);
}

enum err project_start(struct stream *stream, struct listings *listings, struct store *store,
                       uint16_t shard, struct watermark watermark, struct project **ret)
{
    struct project *p = aligned_alloc(128, (sizeof *p + 127) / 128 * 128); /* as bson_t asks for */
    if (!p) return ERR_NO_MEMORY;
    memset(p, 0, sizeof *p);
    if (pages_new(&p->trades)) {
        free(p);
        return ERR_NO_MEMORY;
    }
    p->stream = stream;
    p->listings = listings;
    p->store = store;
    p->shard = shard;
    p->gathered = watermark;
    p->seq = watermark.seq;
    p->healthy = true;
    pile_init(&p->orders, "orders");
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&p->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    CHECK(pthread_mutex_init(&p->mutex, NULL) == 0);
    if (pthread_create(&p->thread, NULL, loop, p) != 0) {
        project_free(p);
        return ERR_NO_MEMORY;
    }
    *ret = p;
    return OK;
}

void project_stop(struct project *p)
{
    if (!p) return;
    (void)pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->mutex);
    CHECK(pthread_join(p->thread, NULL) == 0);
    project_free(p);
}

enum err project_wait(struct project *p, uint64_t seq, int64_t deadline_ms)
{
    struct timespec until = monotonic(deadline_ms);
    (void)pthread_mutex_lock(&p->mutex);
    bool wake = p->wanted_seq < seq && p->seq < seq;
    if (wake) p->wanted_seq = seq;
    (void)pthread_mutex_unlock(&p->mutex);
    if (wake) stream_wake(p->stream, READER_DOCUMENTS);
    (void)pthread_mutex_lock(&p->mutex);
    for (int result = 0; p->seq < seq && !p->stopping && result == 0;)
        result = pthread_cond_timedwait(&p->changed, &p->mutex, &until);
    enum err e = p->seq < seq ? ERR_UNAVAILABLE : OK;
    (void)pthread_mutex_unlock(&p->mutex);
    return e;
}

bool project_healthy(struct project *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    bool healthy = p->healthy;
    (void)pthread_mutex_unlock(&p->mutex);
    return healthy;
}

uint64_t project_seq(struct project *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    uint64_t seq = p->seq;
    (void)pthread_mutex_unlock(&p->mutex);
    return seq;
}
