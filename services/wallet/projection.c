/*
 * The projection: blocks of encoded records between the machine's thread, which appends, and the
 * writer's, which turns them into documents. A block is never changed once it is committed.
 */
#include "projection.h"

#include "accounts.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "bytes.h"
#include "wallet_store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PROJECTION_MAGIC  UINT64_C(0x324a52504c415754) /* "TWALPRJ2" */
#define STAGED_SIZE_MAX   ((size_t)1 << 30)
#define RETRY_FIRST_MS    50
#define RETRY_LAST_MS     2000
#define GATHER_MS         100  /* between writes: many entries cost little more than few */
#define MARK_EVERY_MS     1000 /* a watermark that lags only makes a restart write a little again */
#define RECORD_ENTRY      1
#define RECORD_TRANSFER   2

#define TRANSFER_SIZE     66 /* of its record, behind the kind */
#define TRANSFER_ASSET_AT 56

struct block {
    struct block *next;
    uint64_t through; /* everything up to this seq is in it or before it */
    uint64_t entries;
    size_t size;
    uint8_t bytes[];
};

struct projection {
    struct store *store;
    const struct ledger *ledger;
    uint64_t waiting_max;
    struct buf staged; /* the machine's */
    uint64_t staged_entries;

    pthread_mutex_t lock;      /* of all below */
    pthread_cond_t work, done; /* on the monotonic clock */
    struct block *head, **tail;
    uint64_t waiting;   /* entries in blocks */
    uint64_t committed; /* seq */
    uint64_t written;   /* seq: nothing up to it waits */
    uint64_t marked;    /* seq of the watermark document */
    uint64_t unmarked;  /* seq written since; 0: none */
    uint64_t wanted;    /* seq that somebody waits for */
    bool failing, stopping;
    int64_t stop_at_ms, mark_at_ms, write_at_ms;

    pthread_t thread;
    bool started;
    struct pages *pages;            /* these are the writer's */
    bool unsure;                    /* there may be pages behind what is written */
    struct transfer_row *transfers; /* STORE_BULK_MAX */
    size_t transfer_count;
    struct gauge *waiting_gauge;
    struct counter *failures;
};

enum err projection_new(const struct projection_options *options, struct projection **ret)
{
    struct projection *p = calloc(1, sizeof *p);
    if (!p) return ERR_NO_MEMORY;
    p->store = options->store;
    p->ledger = options->ledger;
    p->waiting_max = options->waiting_max ? options->waiting_max : PROJECTION_WAITING_MAX;
    p->committed = p->written = p->marked = options->watermark;
    p->tail = &p->head;
    buf_init(&p->staged, STAGED_SIZE_MAX);
    p->waiting_gauge = metrics_gauge("tradepost_wallet_projection_entries",
                                     "Ledger entries not yet written as documents.", NULL);
    p->failures =
        metrics_counter("tradepost_wallet_projection_failures_total",
                        "Writes of ledger entries that failed and were tried again.", NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->work, &monotonic);
    (void)pthread_cond_init(&p->done, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    p->unsure = true;
    p->transfers = calloc(STORE_BULK_MAX, sizeof *p->transfers);
    if (!p->transfers || pages_new(&p->pages)) {
        projection_free(p);
        return ERR_NO_MEMORY;
    }
    *ret = p;
    return OK;
}

void projection_free(struct projection *p)
{
    if (!p) return;
    for (struct block *b = p->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    buf_release(&p->staged);
    pages_free(p->pages);
    free(p->transfers);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_cond_destroy(&p->done);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- records ---- */

static void write_transfer(struct buf *b, const struct ledger_command *c)
{
    const struct transfer_leg *leg = &c->transfer.legs[0];
    write_u8(b, RECORD_TRANSFER);
    write_id(b, c->transfer.id);
    write_i64(b, c->time_ms);
    write_id(b, leg->from);
    write_id(b, leg->to);
    write_u16(b, leg->asset);
    write_i64(b, leg->amount);
}

static const char *asset_name(const struct projection *p, uint16_t asset)
{
    return ledger_asset(p->ledger, asset).name;
}

static void read_transfer(const struct projection *p, struct reader *r, struct transfer_row *ret)
{
    *ret = (struct transfer_row){.id = read_id(r)};
    ret->time_ms = read_i64(r);
    ret->from = read_id(r);
    ret->to = read_id(r);
    (void)snprintf(ret->asset, sizeof ret->asset, "%s", asset_name(p, read_u16(r)));
    ret->amount = read_i64(r);
}

/* The shape of a snapshot's records: that reading them as above stays inside. */
static bool skip_record(struct reader *r, size_t asset_count, uint64_t *ret_entries)
{
    struct entry_whose whose;
    const uint8_t *body;
    size_t size;
    uint8_t kind = read_u8(r);
    if (kind == RECORD_TRANSFER) {
        body = read_bytes(r, TRANSFER_SIZE);
        return body && get_u16(body + TRANSFER_ASSET_AT) < asset_count;
    }
    (*ret_entries)++;
    return kind == RECORD_ENTRY && entry_read(r, &whose, &body, &size) && whose.asset < asset_count;
}

/* ---- the machine's side ---- */

static struct reference reference_of(const struct ledger_command *c)
{
    switch (c->kind) {
    case COMMAND_TRANSFER:
        return c->transfer.reference;
    case COMMAND_POST:
        return c->post.reference;
    default:
        return (struct reference){0};
    }
}

void projection_stage(struct projection *p, const struct ledger_command *command, uint64_t seq,
                      const struct ledger_output *out)
{
    if (seq <= p->committed || out->entry_count == 0) return;
    struct entry_where where = {.position = seq * PROJECTION_POSITIONS,
                                .time_ms = command->time_ms,
                                .reference = reference_of(command)};
    for (size_t i = 0; i < out->entry_count; i++, where.position++) {
        write_u8(&p->staged, RECORD_ENTRY);
        entry_write(&p->staged, &out->entries[i], &where);
    }
    p->staged_entries += out->entry_count;
    if (command->kind == COMMAND_TRANSFER) write_transfer(&p->staged, command);
    CHECK(!p->staged.error);
}

static void append(struct projection *p, uint64_t through, const void *bytes, size_t size,
                   uint64_t entries)
{
    struct block *b = malloc(sizeof *b + size);
    CHECK(b);
    *b = (struct block){.through = through, .entries = entries, .size = size};
    memcpy(b->bytes, bytes, size);
    *p->tail = b;
    p->tail = &b->next;
    p->waiting += entries;
    gauge_set(p->waiting_gauge, (int64_t)p->waiting);
    if (p->head == b || p->waiting >= PAGES_ENTRIES_MAX) (void)pthread_cond_signal(&p->work);
}

uint64_t projection_staged(const struct projection *p)
{
    return p->staged_entries;
}

uint64_t projection_committed(const struct projection *p)
{
    return p->committed;
}

/* p->committed is written by this thread only, so staging reads it without the lock. */
void projection_commit(struct projection *p, uint64_t seq)
{
    if (seq <= p->committed) return;
    (void)pthread_mutex_lock(&p->lock);
    if (p->staged.size) append(p, seq, p->staged.data, p->staged.size, p->staged_entries);
    p->committed = seq;
    if (!p->head) p->written = seq;
    (void)pthread_mutex_unlock(&p->lock);
    buf_clear(&p->staged);
    p->staged_entries = 0;
}

/* ---- the writer ---- */

static enum err put_pages(void *arg, const struct page *pages, size_t count)
{
    const struct projection *p = arg;
    return wallet_store_put_pages(p->store, p->ledger, pages, count);
}

static void forget_rows(struct projection *p)
{
    p->transfer_count = 0;
    pages_clear(p->pages);
}

static enum err flush(struct projection *p)
{
    /* Transfers first: whoever finds the entries finds the transfer too. */
    enum err e = wallet_store_put_transfers(p->store, p->transfers, p->transfer_count);
    if (!e) e = pages_write(p->pages, put_pages, p);
    forget_rows(p);
    return e;
}

static void add_record(struct projection *p, struct reader *r)
{
    struct entry_whose whose;
    const uint8_t *body;
    size_t size;
    if (read_u8(r) == RECORD_TRANSFER) {
        read_transfer(p, r, &p->transfers[p->transfer_count++]);
        return;
    }
    CHECK(entry_read(r, &whose, &body, &size));
    const struct page_key key = {whose.owner, whose.asset};
    pages_add(p->pages, &key, entry_position(body), body, size);
}

static enum err add_block(struct projection *p, const struct block *b)
{
    struct reader r = {.at = b->bytes, .end = b->bytes + b->size};
    enum err e = OK;
    while (!e && r.at < r.end) {
        add_record(p, &r);
        if (pages_full(p->pages, 1) || p->transfer_count == STORE_BULK_MAX) e = flush(p);
    }
    CHECK(!r.bad);
    return e;
}

/* As many blocks as make one batch of pages, at least one. */
static const struct block *last_of_bulk(const struct projection *p)
{
    const struct block *last = p->head;
    uint64_t entries = last->entries;
    while (last->next && entries + last->next->entries <= PAGES_ENTRIES_MAX) {
        last = last->next;
        entries += last->entries;
    }
    return last;
}

/*
 * The blocks up to `last` stay in the list until they are written: a snapshot may need them. What
 * an earlier attempt, perhaps of a process that died, has written behind `written` goes first: it
 * was batched otherwise.
 */
static enum err write_bulk(struct projection *p, const struct block *first,
                           const struct block *last, uint64_t written)
{
    enum err e = OK;
    if (p->unsure)
        e = wallet_store_forget_entries(p->store, (written + 1) * PROJECTION_POSITIONS - 1);
    p->unsure = true;
    for (const struct block *b = first; b && !e; b = b == last ? NULL : b->next)
        e = add_block(p, b);
    if (!e) e = flush(p);
    p->unsure = e;
    if (e) forget_rows(p);
    return e;
}

static void drop_through(struct projection *p, uint64_t seq)
{
    while (p->head && p->head->through <= seq) {
        struct block *b = p->head;
        p->head = b->next;
        if (!p->head) p->tail = &p->head;
        p->waiting -= b->entries;
        free(b);
    }
    p->written = p->head ? seq : p->committed;
    gauge_set(p->waiting_gauge, (int64_t)p->waiting);
}

static void wait_until(struct projection *p, pthread_cond_t *condition, int64_t at_ms)
{
    struct timespec at = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    (void)pthread_cond_timedwait(condition, &p->lock, &at);
}

/* After a failure: waits a while, longer each time. */
static void pause_writing(struct projection *p, int64_t *pause_ms)
{
    int64_t end_ms = clock_mono_ms() + *pause_ms;
    while (!p->stopping && clock_mono_ms() < end_ms)
        wait_until(p, &p->work, end_ms);
    *pause_ms = *pause_ms * 2 < RETRY_LAST_MS ? *pause_ms * 2 : RETRY_LAST_MS;
}

/* Lets entries gather, unless somebody waits for them or there are enough for now. */
static void gather(struct projection *p)
{
    while (!p->stopping && p->wanted <= p->written && p->waiting < PAGES_ENTRIES_MAX &&
           clock_mono_ms() < p->write_at_ms)
        wait_until(p, &p->work, p->write_at_ms);
    p->write_at_ms = clock_mono_ms() + GATHER_MS;
}

/* Writes the next bulk, and now and then the watermark. Called and returns with the lock. */
static enum err write_next(struct projection *p)
{
    const struct block *first = p->head;
    const struct block *last = last_of_bulk(p);
    uint64_t through = last->through;
    uint64_t written = p->written;
    bool mark = clock_mono_ms() >= p->mark_at_ms;
    (void)pthread_mutex_unlock(&p->lock);
    enum err e = write_bulk(p, first, last, written);
    if (!e && mark) e = wallet_store_put_watermark(p->store, through);
    (void)pthread_mutex_lock(&p->lock);
    if (e) return e;
    drop_through(p, through);
    p->unmarked = mark ? 0 : through;
    if (mark) p->marked = through;
    if (mark) p->mark_at_ms = clock_mono_ms() + MARK_EVERY_MS;
    return OK;
}

static void *run(void *arg)
{
    struct projection *p = arg;
    thread_name("wallet-docs");
    thread_background();
    int64_t pause_ms = RETRY_FIRST_MS;
    (void)pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->head && !p->stopping)
            (void)pthread_cond_wait(&p->work, &p->lock);
        gather(p);
        if (p->stopping && (!p->head || p->failing || clock_mono_ms() >= p->stop_at_ms)) break;
        p->failing = write_next(p);
        (void)pthread_cond_broadcast(&p->done);
        if (!p->failing) {
            pause_ms = RETRY_FIRST_MS;
            continue;
        }
        counter_add(p->failures, 1);
        pause_writing(p, &pause_ms);
    }
    uint64_t unmarked = p->failing ? 0 : p->unmarked;
    (void)pthread_mutex_unlock(&p->lock);
    if (unmarked) (void)!wallet_store_put_watermark(p->store, unmarked);
    return NULL;
}

enum err projection_start(struct projection *p)
{
    p->started = pthread_create(&p->thread, NULL, run, p) == 0;
    return p->started ? OK : ERR_NO_MEMORY;
}

void projection_stop(struct projection *p, int64_t grace_ms)
{
    if (!p || !p->started) return;
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    p->stop_at_ms = clock_mono_ms() + grace_ms;
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
    CHECK(pthread_join(p->thread, NULL) == 0);
    p->started = false;
}

/* ---- asking ---- */

bool projection_is_full(struct projection *p)
{
    return projection_waiting(p, NULL) >= p->waiting_max;
}

uint64_t projection_waiting(struct projection *p, bool *ret_failing)
{
    (void)pthread_mutex_lock(&p->lock);
    uint64_t waiting = p->waiting;
    if (ret_failing) *ret_failing = p->failing;
    (void)pthread_mutex_unlock(&p->lock);
    return waiting;
}

enum err projection_wait(struct projection *p, uint64_t seq, int64_t deadline_ms)
{
    enum err e = OK;
    (void)pthread_mutex_lock(&p->lock);
    if (p->wanted < seq) p->wanted = seq;
    if (p->written < seq) (void)pthread_cond_signal(&p->work);
    while (p->written < seq && !e) {
        if (p->failing)
            e = ERR_UNAVAILABLE;
        else if (clock_mono_ms() >= deadline_ms)
            e = ERR_TIMEOUT;
        else
            wait_until(p, &p->done, deadline_ms);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return e;
}

/* ---- snapshots ---- */

void projection_save(struct projection *p, struct buf *out)
{
    (void)pthread_mutex_lock(&p->lock);
    uint64_t size = 0;
    for (const struct block *b = p->head; b; b = b->next)
        size += b->size;
    write_u64(out, PROJECTION_MAGIC);
    write_u64(out, p->marked);
    write_u64(out, p->written);
    write_u64(out, p->committed);
    write_u64(out, size);
    for (const struct block *b = p->head; b; b = b->next)
        (void)buf_add(out, b->bytes, b->size);
    (void)pthread_mutex_unlock(&p->lock);
}

enum err projection_load(struct projection *p, const void *data, size_t size, uint64_t *ret_marked)
{
    struct reader r = {.at = data, .end = (const uint8_t *)data + size};
    bool ours = read_u64(&r) == PROJECTION_MAGIC;
    uint64_t marked = read_u64(&r);
    uint64_t written = read_u64(&r);
    uint64_t committed = read_u64(&r);
    uint64_t pending = read_u64(&r);
    const uint8_t *bytes = read_bytes(&r, pending);
    if (!ours || r.bad || r.at != r.end || marked > written || written > committed)
        return ERR_CORRUPT;

    uint64_t entries = 0;
    struct reader records = {.at = bytes, .end = bytes + pending};
    while (records.at < records.end)
        if (!skip_record(&records, ledger_asset_count(p->ledger), &entries)) return ERR_CORRUPT;
    *ret_marked = marked;
    if (committed <= p->committed) return OK; /* the documents are further than the snapshot */
    if (pending) append(p, committed, bytes, pending, entries);
    p->committed = committed;
    p->written = p->head ? written : committed;
    return OK;
}
