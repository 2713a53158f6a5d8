/* From records to wallet.Wallet/Settle. */
#include "settle.h"

#include "base/clock.h"
#include "base/thread.h"
#include "record.h"

#include "wallet.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define NOTE_EVERY 4096 /* pieces between two notes: what a replay may have to skip again */

/* One call's request, built in memory that is there once. */
struct basket {
    Wallet__Settlement settlements[SETTLE_PIECES_MAX];
    Wallet__Settlement *settlement_pointers[SETTLE_PIECES_MAX];
    Wallet__Leg legs[SETTLE_LEGS_MAX];
    Wallet__Leg *leg_pointers[SETTLE_LEGS_MAX];
    uint8_t users[SETTLE_LEGS_MAX][USER_SIZE];
    Wallet__Release releases[SETTLE_RELEASES_MAX];
    Wallet__Release *release_pointers[SETTLE_RELEASES_MAX];
    size_t pieces, leg_count, release_count;
};

struct settle {
    struct settle_options options;
    struct basket *basket;
    struct record record;
    uint64_t taken_seq; /* the thread's: the last piece in the basket or settled */
    uint64_t noted_seq;
    pthread_t thread;
    bool started;
    struct histogram *stage;

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t stopped;
    bool stopping, healthy;
    struct err_detail refusal; /* empty: the last call was not refused */
    uint64_t settled_seq;
    struct pending *first, *last; /* waiting, in the order of their seqs */
};

enum err settle_new(const struct settle_options *options, struct settle **ret)
{
    struct settle *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    s->options = *options;
    s->basket = calloc(1, sizeof *s->basket);
    if (!s->basket) {
        free(s);
        return ERR_NO_MEMORY;
    }
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&s->stopped, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    CHECK(pthread_mutex_init(&s->mutex, NULL) == 0);
    s->healthy = true;
    s->stage = order_stage("stage=\"settle\"");
    *ret = s;
    return OK;
}

void settle_free(struct settle *s)
{
    if (!s) return;
    record_release(&s->record);
    (void)pthread_cond_destroy(&s->stopped);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s->basket);
    free(s);
}

/* ---- answers ---- */

static void answer_list(struct pending *list)
{
    while (list) {
        struct pending *next = list->next;
        list->answer(list);
        list = next;
    }
}

void settle_answer(struct settle *s, struct pending **pendings, size_t count)
{
    struct pending *now = NULL, **end = &now;
    int64_t now_us = clock_mono_us();
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < count; i++) {
        struct pending *p = pendings[i];
        p->next = NULL;
        p->waits_us = now_us;
        if (p->outbox_seq <= s->settled_seq || s->stopping) {
            *end = p;
            end = &p->next;
            continue;
        }
        if (s->last)
            s->last->next = p;
        else
            s->first = p;
        s->last = p;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    answer_list(now);
}

static void settled(struct settle *s, uint64_t settled_seq)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->settled_seq = settled_seq;
    struct pending *ready = s->first, *last = NULL;
    while (s->first && s->first->outbox_seq <= settled_seq) {
        last = s->first;
        s->first = last->next;
    }
    if (!s->first) s->last = NULL;
    if (last) last->next = NULL;
    (void)pthread_mutex_unlock(&s->mutex);
    if (last) {
        histogram_observe_us(s->stage, clock_mono_us() - ready->waits_us);
        answer_list(ready);
    }
    if (settled_seq - s->noted_seq < NOTE_EVERY) return;
    s->noted_seq = settled_seq;
    s->options.note(s->options.arg, settled_seq);
}

/* ---- the basket ---- */

static void add_leg(struct basket *b, const struct leg *leg, const struct listing *market,
                    uint64_t trade_id)
{
    Wallet__Leg *l = &b->legs[b->leg_count];
    wallet__leg__init(l);
    l->order_id = leg->order_id;
    if (!leg->house) {
        user_bytes(leg->user, b->users[b->leg_count]);
        l->user = (ProtobufCBinaryData){USER_SIZE, b->users[b->leg_count]};
    }
    l->asset = (char *)(uintptr_t)(leg->quote ? market->quote : market->base);
    l->amount_minor = leg->amount;
    l->trade_id = trade_id;
    l->kind = leg->kind;
    b->leg_pointers[b->leg_count++] = l;
}

static void add_trades(struct settle *s, const struct piece *piece)
{
    const struct engine_result *r = &s->record.result;
    const struct listing *market = NULL;
    if (piece->trades) market = listings_get(s->options.listings, r->order.market);
    for (size_t i = 0; i < piece->trades; i++) {
        const struct execution *x = &r->executions[piece->first_trade + i];
        struct leg legs[TRADE_LEGS_MAX];
        size_t count = execution_legs(x, &r->order, legs);
        for (size_t j = 0; j < count; j++)
            add_leg(s->basket, &legs[j], market, x->trade_id);
    }
}

static void add_releases(struct settle *s, const struct piece *piece)
{
    struct basket *b = s->basket;
    for (size_t i = 0; i < piece->releases; i++) {
        Wallet__Release *release = &b->releases[b->release_count];
        wallet__release__init(release);
        release->order_id = s->record.result.releases[piece->first_release + i];
        b->release_pointers[b->release_count++] = release;
    }
}

static void add_piece(struct settle *s, uint64_t seq, uint32_t number)
{
    struct basket *b = s->basket;
    struct piece piece = record_piece(&s->record, number);
    Wallet__Settlement *settlement = &b->settlements[b->pieces];
    wallet__settlement__init(settlement);
    settlement->seq = seq;
    settlement->legs = &b->leg_pointers[b->leg_count];
    settlement->releases = &b->release_pointers[b->release_count];
    size_t legs_before = b->leg_count, releases_before = b->release_count;
    add_trades(s, &piece);
    add_releases(s, &piece);
    settlement->n_legs = b->leg_count - legs_before;
    settlement->n_releases = b->release_count - releases_before;
    b->settlement_pointers[b->pieces++] = settlement;
    s->taken_seq = seq;
}

static bool basket_full(const struct basket *b)
{
    return b->pieces == SETTLE_PIECES_MAX ||
           b->leg_count + PIECE_TRADES_MAX * TRADE_LEGS_MAX > SETTLE_LEGS_MAX ||
           b->release_count + PIECE_RELEASES_MAX > SETTLE_RELEASES_MAX;
}

/* ---- the call ---- */

static bool is_stopping(struct settle *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    bool stopping = s->stopping;
    (void)pthread_mutex_unlock(&s->mutex);
    return stopping;
}

/* Waits so long, or until the stop. */
static void pause_ms(struct settle *s, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    (void)pthread_mutex_lock(&s->mutex);
    for (int result = 0; !s->stopping && result == 0;)
        result = pthread_cond_timedwait(&s->stopped, &s->mutex, &until);
    (void)pthread_mutex_unlock(&s->mutex);
}

/* A refusal is the wallet's word on the settlement itself, not on how it is just now. */
static void set_health(struct settle *s, enum err e, const struct rpc_status *status)
{
    bool refused =
        e == ERR_PRECONDITION || e == ERR_NOT_FOUND || e == ERR_INVALID || e == ERR_RANGE;
    (void)pthread_mutex_lock(&s->mutex);
    s->healthy = e == OK;
    s->refusal.text[0] = 0;
    if (refused)
        (void)err_set(&s->refusal, e,
                      "the wallet refuses the settlements after %" PRIu64
                      ": %s: restore the wallet that belongs to this journal",
                      s->settled_seq, status->message);
    (void)pthread_mutex_unlock(&s->mutex);
}

static enum err call(struct settle *s, struct rpc_status *status)
{
    const struct principal self = principal_service("trading");
    const struct rpc_options options = {.deadline_ms = clock_mono_ms() + SETTLE_TIMEOUT_MS,
                                        .principal = &self};
    Wallet__SettleRequest request = WALLET__SETTLE_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.shard = s->options.shard;
    request.n_settlements = s->basket->pieces;
    request.settlements = s->basket->settlement_pointers;
    enum err e = rpc_call(s->options.wallet, "wallet.Wallet/Settle", &request.base, &options,
                          &reply, status);
    if (e) return e;
    uint64_t settled_seq = ((const Wallet__SettleResponse *)reply)->settled_seq;
    protobuf_c_message_free_unpacked(reply, NULL);
    return settled_seq >= s->taken_seq ? OK : ERR_UNAVAILABLE;
}

/* Until the wallet has all of the basket. false: stopped before. */
static bool flush(struct settle *s)
{
    struct basket *b = s->basket;
    int64_t backoff_ms = SETTLE_BACKOFF_MS;
    while (b->pieces) {
        struct rpc_status status = {0};
        enum err e = call(s, &status);
        set_health(s, e, &status);
        if (!e) break;
        pause_ms(s, backoff_ms);
        if (is_stopping(s)) return false;
        backoff_ms =
            backoff_ms * 2 < SETTLE_BACKOFF_MAX_MS ? backoff_ms * 2 : SETTLE_BACKOFF_MAX_MS;
    }
    if (b->pieces) settled(s, s->taken_seq);
    b->pieces = b->leg_count = b->release_count = 0;
    return true;
}

/* false: stopped before all of it was in the basket. */
static bool add_chunk(struct settle *s, const struct chunk *chunk)
{
    const uint8_t *at = chunk->data, *end = chunk->data + chunk->size;
    while (at < end) {
        enum err e = record_read(&at, end, &s->record);
        CHECK(e == OK); /* this process wrote or checked it */
        uint64_t first = s->record.outbox_seq - s->record.pieces + 1;
        for (uint32_t i = 0; i < s->record.pieces; i++) {
            if (first + i <= s->taken_seq) continue; /* settled before the start */
            if (basket_full(s->basket) && !flush(s)) return false;
            add_piece(s, first + i, i);
        }
    }
    return true;
}

static void *loop(void *arg)
{
    struct settle *s = arg;
    thread_name("trading-settle");
    const struct chunk *chunks[SETTLE_CHUNKS_MAX];
    bool going = true;
    while (going) {
        size_t count = 0;
        const struct chunk *chunk = stream_take(s->options.stream, READER_SETTLE, -1);
        if (!chunk) break;
        while (chunk && going) {
            going = add_chunk(s, chunk);
            chunks[count++] = chunk;
            chunk = NULL;
            if (count < SETTLE_CHUNKS_MAX) chunk = stream_take(s->options.stream, READER_SETTLE, 0);
        }
        going = going && flush(s);
        for (size_t i = 0; going && i < count; i++)
            stream_done(s->options.stream, READER_SETTLE, chunks[i]);
    }
    return NULL;
}

/* ---- life ---- */

enum err settle_start(struct settle *s, uint64_t settled_seq)
{
    s->taken_seq = s->noted_seq = settled_seq;
    (void)pthread_mutex_lock(&s->mutex);
    s->settled_seq = settled_seq;
    (void)pthread_mutex_unlock(&s->mutex);
    if (pthread_create(&s->thread, NULL, loop, s) != 0) return ERR_NO_MEMORY;
    s->started = true;
    return OK;
}

void settle_stop(struct settle *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    struct pending *rest = s->first;
    s->first = s->last = NULL;
    (void)pthread_cond_broadcast(&s->stopped);
    (void)pthread_mutex_unlock(&s->mutex);
    answer_list(rest);
    if (s->started) CHECK(pthread_join(s->thread, NULL) == 0);
    s->started = false;
}

uint64_t settle_seq(struct settle *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    uint64_t seq = s->settled_seq;
    (void)pthread_mutex_unlock(&s->mutex);
    return seq;
}

enum err settle_ready(struct settle *s, struct err_detail *detail)
{
    enum err e = OK;
    (void)pthread_mutex_lock(&s->mutex);
    if (s->refusal.text[0])
        e = err_set(detail, ERR_CONFLICT, "%s", s->refusal.text);
    else if (!s->healthy)
        e = err_set(detail, ERR_UNAVAILABLE, "the wallet does not settle");
    (void)pthread_mutex_unlock(&s->mutex);
    return e;
}
