/* The shard's start: wallet first, then markets. */
#include "markets.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "base/thread.h"

#include "wallet.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FEE_SCALE 6

struct markets {
    struct markets_options options;
    pthread_t thread;

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    bool stopping, done, answered;
    enum err answer;
    struct err_detail missing;
};

/* ---- one logged command, waited for ---- */

static void on_answer(struct pending *own)
{
    struct markets *m = own->context;
    (void)pthread_mutex_lock(&m->mutex);
    m->answer = own->command.err;
    m->answered = true;
    (void)pthread_cond_broadcast(&m->changed);
    (void)pthread_mutex_unlock(&m->mutex);
    free(own);
}

static enum err log_rules(struct markets *m, const struct rules *rules)
{
    struct pending *p = calloc(1, sizeof *p);
    if (!p) return ERR_NO_MEMORY;
    p->answer = on_answer;
    p->context = m;
    p->request.kind = COMMAND_MARKET;
    p->request.rules = *rules;
    m->answered = false;
    enum err e = replica_submit(m->options.replica, &p->command);
    if (e) {
        free(p);
        return e;
    }
    (void)pthread_mutex_lock(&m->mutex);
    while (!m->answered)
        (void)pthread_cond_wait(&m->changed, &m->mutex);
    e = m->answer;
    (void)pthread_mutex_unlock(&m->mutex);
    return e;
}

/* ---- configured rules ---- */

static enum err read_number(const struct config *c, const char *key, size_t i, unsigned scale,
                            int64_t *ret, struct err_detail *detail)
{
    const char *text = config_item_string(c, key, i);
    enum err e = decimal_parse(text, scale, ret);
    if (e || *ret < 0)
        return err_set(detail, ERR_INVALID, "%s %s of %s: not a decimal with at most %u decimals",
                       key, text, config_item_string(c, "trading.markets[].symbol", i), scale);
    return OK;
}

static enum err read_ppm(const struct config *c, const char *key, size_t i, uint32_t *ret,
                         struct err_detail *detail)
{
    int64_t ppm = 0;
    enum err e = read_number(c, key, i, FEE_SCALE, &ppm, detail);
    if (e) return e;
    *ret = ppm > FEE_PPM_MAX ? FEE_PPM_MAX + 1 : (uint32_t)ppm; /* refused by rules_check */
    return OK;
}

static bool asset_scale(const Wallet__ListAssetsResponse *assets, const char *name, uint8_t *ret)
{
    for (size_t i = 0; i < assets->n_items; i++) {
        if (strcmp(assets->items[i]->asset, name) != 0) continue;
        *ret = (uint8_t)assets->items[i]->scale;
        return true;
    }
    return false;
}

static enum err read_rules(const struct config *c, size_t i,
                           const Wallet__ListAssetsResponse *assets, struct rules *ret,
                           struct err_detail *detail)
{
    struct rules r = {.status = MARKET_TRADING};
    const char *why = NULL;
    strncpy(r.symbol, config_item_string(c, "trading.markets[].symbol", i), SYMBOL_MAX);
    strncpy(r.base, config_item_string(c, "trading.markets[].base", i), ASSET_MAX);
    strncpy(r.quote, config_item_string(c, "trading.markets[].quote", i), ASSET_MAX);
    if (!asset_scale(assets, r.base, &r.base_scale))
        return err_set(detail, ERR_UNAVAILABLE, "the wallet has no asset %s", r.base);
    if (!asset_scale(assets, r.quote, &r.quote_scale))
        return err_set(detail, ERR_UNAVAILABLE, "the wallet has no asset %s", r.quote);

    enum err e = read_number(c, "trading.markets[].tick_size", i, r.quote_scale, &r.tick, detail);
    if (!e) e = read_number(c, "trading.markets[].lot_size", i, r.base_scale, &r.lot, detail);
    if (!e)
        e = read_number(c, "trading.markets[].min_notional", i, r.quote_scale, &r.min_notional,
                        detail);
    if (!e) e = read_ppm(c, "trading.markets[].maker_fee", i, &r.maker_ppm, detail);
    if (!e) e = read_ppm(c, "trading.markets[].taker_fee", i, &r.taker_ppm, detail);
    if (e) return e;
    if (rules_check(&r, &why)) return err_set(detail, ERR_INVALID, "market %s: %s", r.symbol, why);
    *ret = r;
    return OK;
}

static bool same_rules(const struct rules *a, const struct rules *b)
{
    return a->tick == b->tick && a->lot == b->lot && a->min_notional == b->min_notional &&
           a->maker_ppm == b->maker_ppm && a->taker_ppm == b->taker_ppm &&
           a->base_scale == b->base_scale && a->quote_scale == b->quote_scale &&
           strcmp(a->base, b->base) == 0 && strcmp(a->quote, b->quote) == 0;
}

static enum err define(struct markets *m, size_t i, const Wallet__ListAssetsResponse *assets,
                       struct err_detail *detail)
{
    struct rules rules = {0};
    enum err e = read_rules(m->options.config, i, assets, &rules, detail);
    if (e) return e;
    struct listings *listings = &m->options.machine->listings;
    const struct listing *known = listings_find(listings, rules.symbol);
    if (known) {
        struct rules now = listings_rules(listings, known);
        if (same_rules(&now, &rules)) return OK;
        rules.status = now.status;
    }
    e = log_rules(m, &rules);
    if (e)
        return err_set(detail, e, "market %s cannot have the configured rules: %s", rules.symbol,
                       e == ERR_PRECONDITION ? refusal_text(REFUSED_RULES) : err_text(e));
    return OK;
}

static enum err define_all(struct markets *m, struct err_detail *detail)
{
    const struct principal self = principal_service("trading");
    const struct rpc_options options = {.deadline_ms = clock_mono_ms() + HOLD_TIMEOUT_MS,
                                        .principal = &self};
    Wallet__ListAssetsRequest request = WALLET__LIST_ASSETS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(m->options.wallet, "wallet.Wallet/ListAssets", &request.base, &options,
                          &reply, NULL);
    if (e) return err_set(detail, ERR_UNAVAILABLE, "the wallet does not say its assets");
    size_t count = config_count(m->options.config, "trading.markets[]");
    for (size_t i = 0; i < count && !e; i++)
        e = define(m, i, (const Wallet__ListAssetsResponse *)reply, detail);
    protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

/* ---- the thread ---- */

static enum err start_settling(struct markets *m, struct err_detail *detail)
{
    struct machine *machine = m->options.machine;
    uint64_t settled_seq;
    if (funds_ready(&machine->funds)) return OK;
    enum err e = funds_reconcile_start(&machine->funds, &m->options.journal, &settled_seq, detail);
    return e ? e : settle_start(machine->settle, settled_seq);
}

/* Says what is missing and waits. false: stopping. */
static bool wait_again(struct markets *m, const struct err_detail *missing, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    (void)pthread_mutex_lock(&m->mutex);
    m->missing = *missing;
    for (int result = 0; !m->stopping && result == 0;)
        result = pthread_cond_timedwait(&m->changed, &m->mutex, &until);
    bool going = !m->stopping;
    (void)pthread_mutex_unlock(&m->mutex);
    return going;
}

static void *run(void *arg)
{
    struct markets *m = arg;
    thread_name("trading-markets");
    int64_t wait_ms = MARKETS_RETRY_MS;
    for (;;) {
        struct err_detail missing = {""};
        enum err e = start_settling(m, &missing);
        if (!e) e = define_all(m, &missing);
        if (!e) break;
        if (!wait_again(m, &missing, wait_ms)) return NULL;
        wait_ms = wait_ms * 2 < MARKETS_RETRY_MAX_MS ? wait_ms * 2 : MARKETS_RETRY_MAX_MS;
    }
    (void)pthread_mutex_lock(&m->mutex);
    m->done = true;
    (void)pthread_mutex_unlock(&m->mutex);
    return NULL;
}

enum err markets_start(const struct markets_options *options, struct markets **ret)
{
    struct markets *m = calloc(1, sizeof *m);
    if (!m) return ERR_NO_MEMORY;
    m->options = *options;
    (void)err_set(&m->missing, OK, "the wallet was not reached yet");
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&m->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    CHECK(pthread_mutex_init(&m->mutex, NULL) == 0);
    if (pthread_create(&m->thread, NULL, run, m) != 0) {
        free(m);
        return ERR_NO_MEMORY;
    }
    *ret = m;
    return OK;
}

void markets_stop(struct markets *m)
{
    if (!m) return;
    (void)pthread_mutex_lock(&m->mutex);
    m->stopping = true;
    (void)pthread_cond_broadcast(&m->changed);
    (void)pthread_mutex_unlock(&m->mutex);
    CHECK(pthread_join(m->thread, NULL) == 0);
    (void)pthread_cond_destroy(&m->changed);
    (void)pthread_mutex_destroy(&m->mutex);
    free(m);
}

enum err markets_ready(struct markets *m, struct err_detail *detail)
{
    (void)pthread_mutex_lock(&m->mutex);
    bool done = m->done;
    if (!done && detail) *detail = m->missing;
    (void)pthread_mutex_unlock(&m->mutex);
    return done ? OK : ERR_UNAVAILABLE;
}
