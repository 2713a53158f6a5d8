/* Wiring: configuration, recovery, assets, start and stop, and the audit that never ends. */
#include "wallet.h"
#include "wallet_part.h"
#include "wallet_store.h"

#include "base/clock.h"
#include "base/crypt.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_SIZE 1024

static const struct config_key keys[] = {
    PART_KEYS("wallet", "3342"),
    {"wallet.statement_threads", CONFIG_INT, "2", 1, 64,
     "threads that read statements from the documents", false},
    {"wallet.queue_max", CONFIG_INT, "65536", 16, 1048576,
     "commands waiting for the ledger; beyond: refused", false},
    {"wallet.waiting_entries_max", CONFIG_INT, "1000000", 1, 100000000,
     "ledger entries waiting to be written as documents; beyond: commands are refused", false},
    {"wallet.snapshot_bytes", CONFIG_INT, "268435456", 4096, INT64_C(1) << 40,
     "bytes of journal between snapshots", false},
    {"wallet.transfer_ids_max", CONFIG_INT, "4194304", 16, 1 << 28,
     "ids of the newest transfers kept in memory; older ones are found in the documents", false},
    {"wallet.audit_seconds", CONFIG_INT, "60", 1, 86400, "seconds between full audits", false},
    {"wallet.accept_lost_history", CONFIG_BOOL, "false", 0, 0,
     "start although the documents lack entries that the journal no longer has", false},
    {"assets[]", CONFIG_LIST,
     "[{asset: BTC, scale: 8, title: Bitcoin}, {asset: ETH, scale: 8, title: Ether},"
     " {asset: USDT, scale: 8, title: Tether}]",
     0, LEDGER_ASSETS_MAX, "what can be owned; an asset is never removed and keeps its scale",
     false},
    {"assets[].asset", CONFIG_STRING, NULL, 1, COMMAND_ASSET_NAME,
     "capital letters and digits, as USDT", false},
    {"assets[].scale", CONFIG_INT, NULL, 0, LEDGER_SCALE_MAX, "decimals of its amounts", false},
    {"assets[].title", CONFIG_STRING, "", 0, WALLET_TITLE_MAX, "its name for people", false},
    {0},
};

/* ---- assets ---- */

static enum err check_asset(const struct wallet *w, const char *name, int64_t scale,
                            struct err_detail *detail)
{
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(name))
        return err_set(detail, ERR_INVALID,
                       "assets[].asset: \"%s\" must be capital letters and digits, as USDT", name);
    uint16_t asset = 0;
    if (!ledger_asset_find(w->ledger, name, &asset)) return OK;
    unsigned known = ledger_asset(w->ledger, asset).scale;
    if (known == scale) return OK;
    return err_set(detail, ERR_PRECONDITION,
                   "assets[].scale of %s is %" PRId64 ", but the ledger has it with %u: a scale "
                   "never changes; set it back, or define a new asset",
                   name, scale, known);
}

struct definition {
    sem_t done;
    enum err err;
};

static void answer_asset(struct submission *s)
{
    struct definition *d = s->arg;
    d->err = atomic_load(&s->err);
    if (!d->err) d->err = ledger_result_err(s->result);
    (void)sem_post(&d->done);
}

static enum err define_asset(struct wallet *w, const char *name, int64_t scale)
{
    struct submission *s = NULL;
    enum err e = submission_new(w, NULL, answer_asset, &s);
    if (e) return e;
    struct ledger_command c = {.kind = COMMAND_ASSET, .asset = {.scale = (uint8_t)scale}};
    (void)snprintf(c.asset.name, sizeof c.asset.name, "%s", name);
    command_encode(&c, &s->parts[0].bytes);
    struct definition d;
    CHECK(!sem_init(&d.done, 0, 0));
    s->arg = &d;
    submission_submit(s);
    while (sem_wait(&d.done) && errno == EINTR)
        ;
    (void)sem_destroy(&d.done);
    return d.err;
}

/* Defines what is new, by logged commands. Before anything else can submit. */
static enum err define_assets(struct wallet *w, const struct config *c, struct err_detail *detail)
{
    for (size_t i = 0; i < config_count(c, "assets[]"); i++) {
        const char *name = config_item_string(c, "assets[].asset", i);
        int64_t scale = config_item_int(c, "assets[].scale", i);
        enum err e = check_asset(w, name, scale, detail);
        if (e) return e;
        uint16_t asset = 0;
        if (!ledger_asset_find(w->ledger, name, &asset)) e = define_asset(w, name, scale);
        if (e || !ledger_asset_find(w->ledger, name, &asset))
            return err_set(detail, e ? e : ERR_EXHAUSTED, "the asset %s cannot be defined: %s",
                           name, e ? err_text(e) : "there are too many");
        const char *title = config_item_string(c, "assets[].title", i);
        (void)snprintf(w->titles[asset], sizeof w->titles[asset], "%s", title[0] ? title : name);
    }
    for (size_t i = 0; i < ledger_asset_count(w->ledger); i++)
        if (!w->titles[i][0]) /* no longer configured: it stays, under its own name */
            (void)snprintf(w->titles[i], sizeof w->titles[i], "%s",
                           ledger_asset(w->ledger, i).name);
    return OK;
}

/* ---- the audit ---- */

static void audit(struct wallet *w)
{
    AUTO_FREE struct ledger_audit *audits =
        calloc(ledger_asset_count(w->ledger) + 1, sizeof *audits);
    if (!audits) return;
    uint64_t accounts = 0;
    (void)pthread_rwlock_rdlock(&w->lock);
    bool balanced = ledger_audit(w->ledger, audits);
    uint64_t seq = ledger_seq(w->ledger);
    (void)pthread_rwlock_unlock(&w->lock);
    for (size_t i = 0; i < ledger_asset_count(w->ledger); i++)
        accounts += audits[i].accounts;
    gauge_set(w->balanced, balanced);
    gauge_set(w->accounts, (int64_t)accounts);
    if (!balanced) LOG_LINE(LOG_ERROR, "wallet", "the ledger is not balanced", LOG_INT("seq", seq));
}

static void *run_audits(void *arg)
{
    struct wallet *w = arg;
    thread_name("wallet-audit");
    int64_t next_ms = clock_mono_ms();
    (void)pthread_mutex_lock(&w->audit_lock);
    while (!w->stopping) {
        if (clock_mono_ms() >= next_ms) {
            (void)pthread_mutex_unlock(&w->audit_lock);
            audit(w);
            next_ms = clock_mono_ms() + w->audit_every_ms;
            (void)pthread_mutex_lock(&w->audit_lock);
            continue;
        }
        struct timespec at = {.tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000};
        (void)pthread_cond_timedwait(&w->audit_wake, &w->audit_lock, &at);
    }
    (void)pthread_mutex_unlock(&w->audit_lock);
    return NULL;
}

static enum err start_audits(struct wallet *w)
{
    w->balanced = metrics_gauge("tradepost_wallet_balanced",
                                "1 if every asset summed to zero at the last full audit.", NULL);
    w->accounts = metrics_gauge("tradepost_wallet_accounts", "Accounts of the ledger.", NULL);
    w->auditing = pthread_create(&w->auditor, NULL, run_audits, w) == 0;
    return w->auditing ? OK : ERR_NO_MEMORY;
}

static void stop_audits(struct wallet *w)
{
    if (!w->auditing) return;
    (void)pthread_mutex_lock(&w->audit_lock);
    w->stopping = true;
    (void)pthread_cond_signal(&w->audit_wake);
    (void)pthread_mutex_unlock(&w->audit_lock);
    CHECK(pthread_join(w->auditor, NULL) == 0);
}

/* ---- start and stop ---- */

static struct wallet *wallet_new(void)
{
    struct wallet *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->out = calloc(1, sizeof *w->out);
    if (!w->out) {
        free(w);
        return NULL;
    }
    /* A stream of readers never keeps the ledger from being written. */
    pthread_rwlockattr_t writer_first;
    (void)pthread_rwlockattr_init(&writer_first);
    (void)pthread_rwlockattr_setkind_np(&writer_first,
                                        PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&w->lock, &writer_first);
    (void)pthread_rwlockattr_destroy(&writer_first);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&w->audit_lock, NULL);
    (void)pthread_cond_init(&w->audit_wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return w;
}

static void wallet_stop(void *part, int64_t grace_ms)
{
    struct wallet *w = part;
    if (!w) return;
    int64_t end_ms = clock_mono_ms() + grace_ms;
    if (w->server) (void)rpc_server_drain(w->server, grace_ms);
    stop_audits(w);
    jobs_stop(w->jobs);
    replica_stop(w->replica);
    int64_t left_ms = end_ms - clock_mono_ms();
    projection_stop(w->projection, left_ms > 0 ? left_ms : 0);
    rpc_server_free(w->server);
    bus_publisher_free(w->publisher);
    projection_free(w->projection);
    store_close(w->store);
    ledger_free(w->ledger);
    (void)pthread_cond_destroy(&w->audit_wake);
    (void)pthread_mutex_destroy(&w->audit_lock);
    (void)pthread_rwlock_destroy(&w->lock);
    free(w->out);
    free(w);
}

static enum err open_documents(struct wallet *w, const struct part_env *env,
                               uint64_t *ret_watermark, struct err_detail *detail)
{
    enum err e = part_store(env, "wallet", wallet_collections, &w->store, detail);
    if (e) return e;
    e = wallet_store_watermark(w->store, ret_watermark);
    return e ? err_set(detail, e, "the wallet's watermark cannot be read: %s", err_text(e)) : OK;
}

static enum err make_state(struct wallet *w, const struct config *c, uint64_t watermark)
{
    uint64_t seed = 0;
    crypt_random(&seed, sizeof seed);
    w->transfer_ids_max = (uint32_t)config_int(c, "wallet.transfer_ids_max");
    const struct ledger_options options = {.seed = seed, .transfer_ids_max = w->transfer_ids_max};
    w->ledger = ledger_new(&options);
    w->accept_lost_history = config_bool(c, "wallet.accept_lost_history");
    w->audit_every_ms = 1000 * config_int(c, "wallet.audit_seconds");
    const struct projection_options projection = {
        .store = w->store,
        .ledger = w->ledger,
        .watermark = watermark,
        .waiting_max = (uint64_t)config_int(c, "wallet.waiting_entries_max")};
    return projection_new(&projection, &w->projection);
}

/* The journal and the documents must be of one history. */
static enum err check_history(const struct wallet *w, enum err e, uint64_t watermark,
                              struct err_detail *detail)
{
    if (e && w->history_lost)
        return err_set(detail, ERR_PRECONDITION,
                       "the wallet's documents end at seq %" PRIu64 ", but the journal has dropped "
                       "entries after it: restore the documents' backup, or set "
                       "wallet.accept_lost_history=true to go on without them",
                       watermark);
    if (e) return e;
    uint64_t seq = ledger_seq(w->ledger);
    if (watermark <= seq) return OK;
    return err_set(detail, ERR_PRECONDITION,
                   "the wallet's documents are at seq %" PRIu64 ", but its journal ends at %" PRIu64
                   ": the journal is not the one they were made from; restore it",
                   watermark, seq);
}

static enum err recover(struct wallet *w, const struct part_env *env, uint64_t watermark,
                        struct err_detail *detail)
{
    char directory[PATH_SIZE];
    if (snprintf(directory, sizeof directory, "%s/wallet", env->data_dir) >= PATH_SIZE)
        return err_set(detail, ERR_INVALID, "data_dir is too long");
    const struct replica_options options = {
        .directory = directory,
        .name = "wallet",
        .queue_max = (unsigned)config_int(env->config, "wallet.queue_max"),
        .snapshot_bytes = (uint64_t)config_int(env->config, "wallet.snapshot_bytes")};
    struct err_detail note = {0};
    enum err e = replica_start(&options, &wallet_machine, w, &w->replica, &note);
    if (e && detail) *detail = note;
    if (!e && note.text[0]) LOG_LINE(LOG_WARN, "wallet", note.text);
    e = check_history(w, e, watermark, detail);
    if (!e) wallet_machine_recovered(w);
    return e;
}

static enum err wallet_ready(void *part, struct err_detail *detail)
{
    struct wallet *w = part;
    struct replica_stats stats;
    replica_stats(w->replica, &stats);
    if (stats.failed)
        return err_set(detail, ERR_IO, "wallet: the journal failed; it needs a restart");
    if (projection_is_full(w->projection))
        return err_set(detail, ERR_UNAVAILABLE, "wallet: too many entries wait for the documents");
    enum err e = store_ping(w->store);
    return e ? err_set(detail, e, "wallet: the store: %s", err_text(e)) : OK;
}

static enum err start_serving(struct wallet *w, const struct part_env *env,
                              struct err_detail *detail)
{
    static const char *const topics[] = {"wallet.user", NULL};
    unsigned threads = (unsigned)config_int(env->config, "wallet.statement_threads");
    enum err e = projection_start(w->projection);
    if (!e) e = jobs_start(threads, &w->jobs);
    if (!e) e = start_audits(w);
    if (!e) e = part_server(env, "wallet", &w->server, detail);
    if (!e) e = part_publisher(env, "wallet", topics, w->server, &w->publisher, detail);
    if (!e) rpc_server_set_ready(w->server, wallet_ready, w);
    if (!e) e = rpc_server_add(w->server, &wallet_rpc_service.base, w);
    if (!e) e = rpc_server_start(w->server, detail);
    return e;
}

static enum err wallet_start(const struct part_env *env, void **ret, struct err_detail *detail)
{
    struct wallet *w = wallet_new();
    if (!w) return ERR_NO_MEMORY;
    uint64_t watermark = 0;
    enum err e = open_documents(w, env, &watermark, detail);
    if (!e) e = make_state(w, env->config, watermark);
    if (!e) e = recover(w, env, watermark, detail);
    if (!e) e = define_assets(w, env->config, detail);
    if (!e) e = start_serving(w, env, detail);
    if (e) {
        wallet_stop(w, 0);
        return e;
    }
    *ret = w;
    return OK;
}

const struct part_ops wallet_part = {.name = "wallet",
                                     .config = keys,
                                     .start = wallet_start,
                                     .ready = wallet_ready,
                                     .stop = wallet_stop};
