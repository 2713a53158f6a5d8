/* Trading's wiring: configuration, start, readiness, stop. */
#include "trading_part.h"

#include "base/crypt.h"
#include "base/log.h"
#include "trading.h"
#include "trading_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PART          "trading"
#define DIRECTORY_MAX 1024

static const struct config_key keys[] = {
    PART_KEYS(PART, "3343"),
    {"trading.shard", CONFIG_INT, "0", 0, SHARD_MAX, "number of this shard of the exchange", false},
    {"trading.stream_size_max", CONFIG_INT, "134217728", 65536, 4294967296,
     "bytes that may wait to be settled or stored; beyond, new orders are refused", false},
    {"trading.snapshot_size", CONFIG_INT, "67108864", 4096, 4294967296,
     "bytes of journal between two snapshots", false},
    {"trading.markets[]", CONFIG_LIST,
     "[{symbol: BTC-USDT, base: BTC, quote: USDT, tick_size: '0.01', lot_size: '0.00001',"
     "  min_notional: '5'},"
     " {symbol: ETH-USDT, base: ETH, quote: USDT, tick_size: '0.01', lot_size: '0.0001',"
     "  min_notional: '5'}]",
     0, MARKETS_MAX, "the markets; one that is left out later keeps its rules", false},
    {"trading.markets[].symbol", CONFIG_STRING, NULL, 1, SYMBOL_MAX, "name, as BTC-USDT", false},
    {"trading.markets[].base", CONFIG_STRING, NULL, 1, ASSET_MAX, "asset that is traded", false},
    {"trading.markets[].quote", CONFIG_STRING, NULL, 1, ASSET_MAX, "asset it is paid with", false},
    {"trading.markets[].tick_size", CONFIG_STRING, NULL, 1, 32,
     "decimal, in the quote: prices are multiples of it", false},
    {"trading.markets[].lot_size", CONFIG_STRING, NULL, 1, 32,
     "decimal, in the base: quantities are multiples of it; a tick times a lot must be a whole "
     "number of the quote's smallest unit",
     false},
    {"trading.markets[].min_notional", CONFIG_STRING, "0", 1, 32,
     "decimal, in the quote: the least price times quantity", false},
    {"trading.markets[].maker_fee", CONFIG_STRING, "0.001", 1, 16,
     "decimal fraction of what an order that waited receives, at most 0.1", false},
    {"trading.markets[].taker_fee", CONFIG_STRING, "0.002", 1, 16,
     "decimal fraction of what an order that met a waiting one receives, at most 0.1", false},
    {0},
};

static void note_settled(void *arg, uint64_t settled_seq);
static enum err ready(void *part, struct err_detail *detail);

static void stop(void *part, int64_t grace_ms)
{
    struct trading *t = part;
    if (!t) return;
    /* Half: what waits for a wallet that is away is answered by settle_stop, and that takes a
     * while. */
    if (t->server) (void)rpc_server_drain(t->server, grace_ms / 2);
    markets_stop(t->markets);
    replica_stop(t->replica); /* a last snapshot has what settlement and documents still need */
    stream_close(&t->machine.stream);
    if (t->settle) settle_stop(t->settle);
    project_stop(t->project);
    announce_stop(t->announce);
    lookup_stop(t->lookup);
    rpc_server_free(t->server);
    bus_publisher_free(t->publisher);
    settle_free(t->settle);
    funds_release(&t->machine.funds);
    rpc_client_free(t->wallet);
    store_close(t->store);
    machine_release(&t->machine);
    free(t);
}

/* ---- start ---- */

static enum err start_connections(struct trading *t, const struct part_env *env,
                                  struct err_detail *detail)
{
    static const char *const topics[] = {TOPIC_MARKET, TOPIC_USER, NULL};
    enum err e = part_store(env, PART, trading_collections, &t->store, detail);
    if (!e) e = part_client(env, PART, "wallet", &t->wallet, detail);
    if (!e) e = part_server(env, PART, &t->server, detail);
    if (!e) e = part_publisher(env, PART, topics, t->server, &t->publisher, detail);
    if (e) return e;
    trading_rpc_init(t);
    rpc_server_set_ready(t->server, ready, t);
    return rpc_server_add(t->server, &t->service.base, t);
}

/* The shard as it was; what had not been settled or stored yet is in the stream again. */
static enum err recover(struct trading *t, const struct part_env *env,
                        struct watermark *ret_watermark, struct err_detail *detail)
{
    char directory[DIRECTORY_MAX], name[32];
    struct watermark watermark;
    enum err e = trading_store_watermark(t->store, t->shard, &watermark);
    if (e) return err_set(detail, e, "the store does not say how far the documents are");
    stream_skip_documents(&t->machine.stream, watermark.seq);

    (void)snprintf(name, sizeof name, "trading-%u", t->shard);
    if (snprintf(directory, sizeof directory, "%s/%s", env->data_dir, name) >= DIRECTORY_MAX)
        return err_set(detail, ERR_INVALID, "data_dir is too long");
    const struct replica_options options = {
        .directory = directory,
        .name = name,
        .snapshot_bytes = (uint64_t)config_int(env->config, "trading.snapshot_size"),
    };
    struct err_detail note = {""};
    e = replica_start(&options, &machine_ops, &t->machine, &t->replica, &note);
    if (e) return err_set(detail, e, "%s", note.text);
    if (note.text[0]) LOG_LINE(LOG_WARN, PART, note.text);
    if (watermark.seq > t->machine.seq)
        return err_set(detail, ERR_PRECONDITION,
                       "the documents are at seq %" PRIu64 ", but the journal ends at %" PRIu64
                       ": restore the journal that they were made from",
                       watermark.seq, t->machine.seq);
    machine_go_live(&t->machine);
    *ret_watermark = watermark;
    return OK;
}

static enum err start_threads(struct trading *t, const struct part_env *env,
                              struct watermark watermark, struct err_detail *detail)
{
    struct machine *m = &t->machine;
    const struct markets_options options = {
        .config = env->config,
        .machine = m,
        .replica = t->replica,
        .wallet = t->wallet,
        .journal = {.last_order_id = engine_last_order_id(m->engine),
                    .kept_seq = stream_kept_seq(&m->stream, m->outbox_seq),
                    .outbox_seq = m->outbox_seq},
    };
    enum err e =
        project_start(&m->stream, &m->listings, t->store, t->shard, watermark, &t->project);
    if (!e) e = announce_start(&m->stream, &m->listings, t->publisher, &t->announce);
    if (!e) e = lookup_start(t->store, &m->listings, t->project, &t->lookup);
    if (!e) e = markets_start(&options, &t->markets);
    return e ? err_set(detail, e, "no thread could be started") : OK;
}

static enum err init(struct trading *t, const struct part_env *env, struct err_detail *detail)
{
    t->shard = (uint16_t)config_int(env->config, "trading.shard");
    struct engine_options options = {.shard = t->shard};
    crypt_random(&options.hash_seed, sizeof options.hash_seed);
    enum err e = machine_init(&t->machine, &options,
                              (size_t)config_int(env->config, "trading.stream_size_max"));
    if (!e) e = start_connections(t, env, detail);
    if (!e) e = funds_init(&t->machine.funds, t->wallet, t->shard);
    if (e) return e;
    const struct settle_options settle = {
        .stream = &t->machine.stream,
        .listings = &t->machine.listings,
        .wallet = t->wallet,
        .shard = t->shard,
        .note = note_settled,
        .arg = t,
    };
    e = settle_new(&settle, &t->settle);
    t->machine.settle = t->settle;
    return e;
}

static enum err start(const struct part_env *env, void **ret, struct err_detail *detail)
{
    struct trading *t = calloc(1, sizeof *t);
    if (!t) return ERR_NO_MEMORY;
    struct watermark watermark = {0};
    enum err e = init(t, env, detail);
    if (!e) e = recover(t, env, &watermark, detail);
    if (!e) e = start_threads(t, env, watermark, detail);
    if (!e) e = rpc_server_start(t->server, detail);
    if (e) {
        stop(t, 0);
        return e;
    }
    *ret = t;
    return OK;
}

/* ---- the log learns what is settled, so that a replay can forget it ---- */

static void on_noted(struct pending *own)
{
    free(own);
}

static void note_settled(void *arg, uint64_t settled_seq)
{
    struct trading *t = arg;
    struct pending *p = calloc(1, sizeof *p);
    if (!p) return; /* the next note says it again */
    p->answer = on_noted;
    p->request.kind = COMMAND_SETTLED;
    p->request.settled_seq = settled_seq;
    if (replica_submit(t->replica, &p->command)) free(p);
}

/* ---- readiness ---- */

static enum err ready(void *part, struct err_detail *detail)
{
    struct trading *t = part;
    struct replica_stats stats;
    replica_stats(t->replica, &stats);
    if (stats.failed) return err_set(detail, ERR_IO, "the journal failed: a restart is needed");
    enum err e = markets_ready(t->markets, detail);
    if (e) return e;
    if (!rpc_client_ready(t->wallet))
        return err_set(detail, ERR_UNAVAILABLE, "the wallet cannot be reached");
    e = settle_ready(t->settle, detail);
    if (e) return e;
    if (!project_healthy(t->project))
        return err_set(detail, ERR_UNAVAILABLE, "the store takes no documents");
    if (stream_full(&t->machine.stream))
        return err_set(detail, ERR_EXHAUSTED, "too much waits to be settled or stored");
    return OK;
}

const struct part_ops trading_part = {
    .name = PART,
    .config = keys,
    .start = start,
    .ready = ready,
    .stop = stop,
};
