/* Prepare, apply, finish: the order's way on the shard's side. */
#include "machine.h"

#include "base/clock.h"
#include "codec.h"
#include "record.h"

#include <stdlib.h>

#define SLOW_DOWN_MS    25 /* a batch, while the readers of the stream are far behind */
#define MACHINE_VERSION 1

/* ---- prepare: judge, stamp, hold ---- */

uint64_t machine_documents_seq(const struct machine *m)
{
    return m->stream.open_seq;
}

static bool makes_order(const struct request *r)
{
    return r->kind == COMMAND_PLACE || r->kind == COMMAND_REPLACE;
}

static void refuse(struct pending *p, enum refusal refusal)
{
    pending_refuse(p, refusal_err(refusal), refusal_word(refusal), refusal_text(refusal));
}

/* A client order id that came before in this batch: true, and the first one decides. */
static bool follows_another(struct machine *m, struct command **commands, size_t at,
                            struct pending *p)
{
    if (!p->request.client_id.size) return false;
    struct client *c = clients_find(&m->batch_ids, p->request.user, &p->request.client_id);
    if (!c) {
        c = clients_add(&m->batch_ids, p->request.user, &p->request.client_id);
        c->order_id = at;
        return false;
    }
    p->first = (struct pending *)commands[c->order_id];
    p->duplicate = request_body(&p->request) == request_body(&p->first->request);
    if (!p->duplicate) refuse(p, REFUSED_ID_REUSED);
    return true;
}

static void judge_order(struct machine *m, struct command **commands, size_t at, bool full)
{
    struct pending *p = (struct pending *)commands[at];
    const char *asset = NULL;
    int64_t hold = 0;

    if (!funds_ready(&m->funds)) {
        pending_refuse(p, ERR_UNAVAILABLE, "starting", "the exchange is not ready yet");
        return;
    }
    if (full) {
        pending_refuse(p, ERR_EXHAUSTED, "busy", "too much waits to be settled or stored");
        return;
    }
    enum refusal refusal = engine_judge(m->engine, &p->request, &asset, &hold);
    if (refusal == REFUSED_DUPLICATE)
        p->duplicate = true;
    else if (refusal)
        refuse(p, refusal);
    else if (!follows_another(m, commands, at, p))
        funds_add(&m->funds, p, asset, hold);
}

/* Cancels need no hold; what is not open any more is told without being logged. */
static void judge_other(struct machine *m, struct pending *p)
{
    const char *asset;
    int64_t hold;
    enum refusal refusal = engine_judge(m->engine, &p->request, &asset, &hold);
    if (refusal) refuse(p, refusal);
    p->documents_seq = machine_documents_seq(m);
}

static void stamp(struct machine *m, struct pending *p)
{
    p->request.now_ms = m->now_ms;
    p->command.entry_size = 0;
    if (p->command.err || p->duplicate) return;
    p->command.entry_size = request_encode(&p->request, p->entry);
    p->command.entry = p->entry;
}

/* Fee rates are those of the moment, and stay with the order. */
static void stamp_rates(const struct machine *m, struct request *r)
{
    struct order_view old;
    uint16_t market = r->market;
    if (r->kind == COMMAND_REPLACE && engine_find_order(m->engine, r->old_order_id, &old))
        market = old.market;
    const struct rules *rules = &engine_market(m->engine, market)->rules;
    r->maker_ppm = rules->maker_ppm;
    r->taker_ppm = rules->taker_ppm;
}

static void ask_funds(struct machine *m)
{
    if (!m->funds.count) return;
    int64_t begin_us = clock_mono_us();
    funds_ask(&m->funds, engine_last_order_id(m->engine));
    histogram_observe_us(m->hold, clock_mono_us() - begin_us);
}

static void prepare(void *machine, struct command **commands, size_t count)
{
    struct machine *m = machine;
    int64_t mono_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
    stream_slow_down(&m->stream, mono_ms + SLOW_DOWN_MS);
    bool full = stream_full(&m->stream);

    if (wall_ms > m->now_ms) m->now_ms = wall_ms;
    clients_clear(&m->batch_ids);
    for (size_t i = 0; i < count; i++) {
        struct pending *p = (struct pending *)commands[i];
        if (p->deadline_ms && p->deadline_ms <= mono_ms)
            pending_refuse(p, ERR_TIMEOUT, "too_late", "the deadline passed; nothing was done");
        else if (makes_order(&p->request))
            judge_order(m, commands, i, full);
        else
            judge_other(m, p);
    }
    for (size_t i = 0; i < m->funds.count; i++)
        stamp_rates(m, &m->funds.items[i]->request);
    ask_funds(m);
    for (size_t i = 0; i < count; i++)
        stamp(m, (struct pending *)commands[i]);
    m->prepared_us = clock_mono_us();
    m->journaled_us = 0;
}

/* ---- apply ---- */

static void keep_fills(struct pending *p, const struct engine_result *result)
{
    if (!result->execution_count) return;
    p->fills = malloc(result->execution_count * sizeof *p->fills);
    CHECK(p->fills);
    for (size_t i = 0; i < result->execution_count; i++) {
        const struct execution *x = &result->executions[i];
        p->fills[i] = (struct fill){x->trade_id, x->price, x->quantity, x->taker_fee, false};
    }
    p->fill_count = result->execution_count;
}

static void keep_result(const struct machine *m, struct pending *p,
                        const struct engine_result *result, uint64_t outbox_seq)
{
    p->outbox_seq = outbox_seq;
    p->order_id = result->order_id;
    p->documents_seq = machine_documents_seq(m);
    p->has_order = result->has_order;
    if (result->has_order) p->order = result->order;
    if (result->refusal == REFUSED_DUPLICATE) return;
    if (result->refusal) refuse(p, result->refusal);
    p->cancelled = (uint32_t)result->cancelled_count;
    keep_fills(p, result);
}

static void touch(struct machine *m, const struct request *r, const struct engine_result *result)
{
    for (size_t i = 0; i < result->level_count; i++)
        m->touched[result->levels[i].market] = true;
    if (r->kind == COMMAND_MARKET)
        m->touched[engine_find_market(m->engine, r->rules.symbol)->number] = true;
}

/* Who announces reads the prices from there: they are renewed before what led to them is sealed. */
static void seal(struct machine *m)
{
    for (size_t i = 0; i < engine_market_count(m->engine); i++) {
        if (!m->touched[i]) continue;
        listings_renew(&m->listings, engine_market(m->engine, i), m->now_ms);
        m->touched[i] = false;
    }
    stream_seal(&m->stream);
}

static void apply(void *machine, uint64_t seq, const void *entry, size_t size,
                  struct command *command)
{
    struct machine *m = machine;
    struct request r;
    if (command && !m->journaled_us) {
        m->journaled_us = clock_mono_us();
        histogram_observe_us(m->journal, m->journaled_us - m->prepared_us);
    }
    enum err e = request_decode(entry, size, &r);
    CHECK(e == OK);
    const struct engine_result *result = engine_apply(m->engine, &r);
    uint32_t pieces = result_pieces(result);
    m->seq = seq;
    m->outbox_seq += pieces;
    if (r.now_ms > m->now_ms) m->now_ms = r.now_ms;
    bool said = pieces || result->cancelled_count || (result->has_order && !result->refusal);
    if (said) stream_write(&m->stream, seq, m->outbox_seq, r.kind, result);
    if (!result->refusal) touch(m, &r, result);
    if (stream_is_long(&m->stream)) seal(m);
    counter_add(m->trades, command ? result->execution_count : 0);
    if (command)
        keep_result(m, (struct pending *)command, result, pieces ? m->outbox_seq : 0);
    else if (r.kind == COMMAND_SETTLED)
        stream_skip_settled(&m->stream, r.settled_seq);
}

/* ---- finish ---- */

/* A repeat is answered as the first one: with its order as it is now, or with its refusal. */
static void resolve_duplicate(struct machine *m, struct pending *p)
{
    uint64_t body;
    p->duplicate = false;
    if (p->first && p->first->command.err) {
        pending_refuse(p, p->first->command.err, p->first->reason, p->first->text);
        return;
    }
    if (!engine_find_client(m->engine, p->request.user, &p->request.client_id, &p->order_id,
                            &body)) {
        pending_refuse(p, ERR_UNAVAILABLE, "try_again", "the first request was not carried out");
        return;
    }
    p->has_order = engine_find_order(m->engine, p->order_id, &p->order);
    p->documents_seq = machine_documents_seq(m);
    p->outbox_seq = m->outbox_seq; /* the first one's balances are settled before it is answered */
}

static void finish(void *machine, struct command **commands, size_t count)
{
    struct machine *m = machine;
    uint64_t refused = 0;
    seal(m);
    if (m->journaled_us) histogram_observe_us(m->match, clock_mono_us() - m->journaled_us);
    for (size_t i = 0; i < count; i++) {
        struct pending *p = (struct pending *)commands[i];
        if (p->held && p->command.err && !p->outbox_seq) funds_lost(&m->funds);
        if (p->duplicate) resolve_duplicate(m, p);
        refused += p->command.err != OK;
    }
    counter_add(m->refused, refused);
    counter_add(m->done, count - refused);
    settle_answer(m->settle, (struct pending **)commands, count);
}

/* ---- snapshots: the machine's numbers, the engine, what is left of the stream ---- */

static enum err save(void *machine, struct buf *out)
{
    struct machine *m = machine;
    uint8_t head[1 + 4 * sizeof(uint64_t)];
    AUTO_BUF struct buf engine;
    buf_init(&engine, out->size_max);
    enum err e = engine_save(m->engine, &engine);
    if (e) return e;
    struct writer w = {.at = head, .end = head + sizeof head};
    put_u8(&w, MACHINE_VERSION);
    put_u64(&w, m->seq);
    put_u64(&w, m->outbox_seq);
    put_i64(&w, m->now_ms);
    put_u64(&w, engine.size);
    CHECK(!w.failed);
    (void)buf_add(out, head, sizeof head);
    (void)buf_add(out, engine.data, engine.size);
    stream_save(&m->stream, out);
    return out->error;
}

static enum err load(void *machine, const void *data, size_t size)
{
    struct machine *m = machine;
    struct reader r = {.at = data, .end = (const uint8_t *)data + size};
    uint8_t version = get_u8(&r);
    m->seq = get_u64(&r);
    m->outbox_seq = get_u64(&r);
    m->now_ms = get_i64(&r);
    uint64_t engine_size = get_u64(&r);
    if (r.failed || version != MACHINE_VERSION || engine_size > (size_t)(r.end - r.at))
        return ERR_CORRUPT;
    enum err e = engine_load(m->engine, r.at, engine_size);
    if (e) return e;
    return stream_load(&m->stream, r.at + engine_size, (size_t)(r.end - r.at) - engine_size);
}

const struct machine_ops machine_ops = {
    .prepare = prepare,
    .apply = apply,
    .finish = finish,
    .save = save,
    .load = load,
};

/* ---- life ---- */

enum err machine_init(struct machine *m, const struct engine_options *options,
                      size_t stream_size_max)
{
    *m = (struct machine){0};
    stream_init(&m->stream, stream_size_max);
    listings_init(&m->listings);
    clients_init(&m->batch_ids, 1, options->hash_seed);
    m->done = metrics_counter("tradepost_trading_commands_total",
                              "Commands of clients and the shard", "result=\"done\"");
    m->refused = metrics_counter("tradepost_trading_commands_total",
                                 "Commands of clients and the shard", "result=\"refused\"");
    m->trades = metrics_counter("tradepost_trading_trades_total", "Trades made", NULL);
    m->hold = order_stage("stage=\"hold\"");
    m->journal = order_stage("stage=\"journal\"");
    m->match = order_stage("stage=\"match\"");
    m->stream.gauge = metrics_gauge("tradepost_trading_stream_bytes",
                                    "Bytes that wait to be settled, announced or stored", NULL);
    return engine_new(options, &m->engine);
}

void machine_release(struct machine *m)
{
    engine_free(m->engine);
    clients_release(&m->batch_ids);
    listings_release(&m->listings);
    stream_release(&m->stream);
}

void machine_go_live(struct machine *m)
{
    for (size_t i = 0; i < engine_market_count(m->engine); i++)
        m->touched[i] = true;
    seal(m);
    m->stream.live = true;
}
