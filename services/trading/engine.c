/* The shard's commands: judged, then applied. Matching is in match.c. */
#include "engine_state.h"

#include <stdlib.h>
#include <string.h>

#define ORDER_SLAB  1024
#define TRADER_SLAB 256
#define LEVEL_SLAB  512

/* ---- life ---- */

enum err engine_new(const struct engine_options *options, struct engine **ret)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e) return ERR_NO_MEMORY;
    e->options = *options;
    struct engine_options *o = &e->options;
    if (!o->user_open_max) o->user_open_max = ENGINE_USER_OPEN_MAX;
    if (!o->open_max) o->open_max = ENGINE_OPEN_MAX;
    if (!o->fills_max) o->fills_max = ENGINE_FILLS_MAX;
    if (!o->closed_ids_max) o->closed_ids_max = ENGINE_CLOSED_IDS_MAX;
    pool_init(&e->orders, sizeof(struct order), ORDER_SLAB);
    pool_init(&e->traders, sizeof(struct trader), TRADER_SLAB);
    pool_init(&e->levels, sizeof(struct level), LEVEL_SLAB);
    clients_init(&e->clients, o->closed_ids_max, o->hash_seed);
    e->last_order_id = e->last_trade_id = ORDER_ID(o->shard, 0);
    *ret = e;
    return OK;
}

void engine_free(struct engine *e)
{
    if (!e) return;
    for (size_t i = 0; i < e->market_count; i++) {
        book_release(&e->markets[i]->book);
        free(e->markets[i]);
    }
    clients_release(&e->clients);
    map_release(&e->orders_by_id);
    map_release(&e->traders_by_id);
    pool_release(&e->orders);
    pool_release(&e->traders);
    pool_release(&e->levels);
    free(e->result.executions);
    free(e->result.cancelled);
    free(e->result.releases);
    free(e->result.levels);
    free(e);
}

/* ---- the result ---- */

static void *grown(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) return items;
    *capacity = *capacity ? 2 * *capacity : 16;
    items = realloc(items, *capacity * item_size);
    CHECK(items);
    return items;
}

struct execution *result_add_execution(struct engine *e)
{
    struct engine_result *r = &e->result;
    r->executions =
        grown(r->executions, r->execution_count, &e->executions_capacity, sizeof *r->executions);
    return &r->executions[r->execution_count++];
}

void result_add_cancelled(struct engine *e, const struct order *o)
{
    struct engine_result *r = &e->result;
    r->cancelled =
        grown(r->cancelled, r->cancelled_count, &e->cancelled_capacity, sizeof *r->cancelled);
    r->cancelled[r->cancelled_count++] = engine_view(o);
}

void result_add_release(struct engine *e, uint64_t order_id)
{
    struct engine_result *r = &e->result;
    r->releases = grown(r->releases, r->release_count, &e->releases_capacity, sizeof *r->releases);
    r->releases[r->release_count++] = order_id;
}

void result_add_level(struct engine *e, struct market *m, enum side side, int64_t price)
{
    struct engine_result *r = &e->result;
    const struct level *level = ladder_find(book_side(&m->book, side), price);
    r->levels = grown(r->levels, r->level_count, &e->levels_capacity, sizeof *r->levels);
    r->levels[r->level_count++] = (struct level_change){
        .update_id = ++m->book.update_id,
        .price = price,
        .quantity = level ? level->quantity : 0,
        .orders = level ? level->orders : 0,
        .market = m->number,
        .side = (uint8_t)side,
    };
}

/* ---- what is there ---- */

struct order *engine_order(const struct engine *e, uint64_t order_id)
{
    return map_find(&e->orders_by_id, hash_mix(order_id), NULL, NULL);
}

static uint64_t hash_of_user(const struct engine *e, struct id user)
{
    return hash_mix(hash_mix(user.hi ^ e->options.hash_seed) ^ user.lo);
}

static bool is_trader(const void *item, const void *key)
{
    return id_equal(((const struct trader *)item)->id, *(const struct id *)key);
}

struct trader *engine_trader(const struct engine *e, struct id user)
{
    return map_find(&e->traders_by_id, hash_of_user(e, user), is_trader, &user);
}

struct order_view engine_view(const struct order *o)
{
    struct order_view v = {
        .id = o->id,
        .user = o->trader->id,
        .terms = o->terms,
        .filled = o->filled,
        .filled_quote = o->filled_quote,
        .fee = o->fee,
        .created_ms = o->created_ms,
        .updated_ms = o->updated_ms,
        .market = o->market,
        .status = o->status,
        .reason = o->reason,
    };
    if (o->client) v.client_id = o->client->id;
    return v;
}

struct order *engine_open_order(struct engine *e, uint64_t order_id, struct id user)
{
    struct trader *t = engine_trader(e, user);
    if (!t) {
        t = pool_take(&e->traders);
        t->id = user;
        map_add(&e->traders_by_id, hash_of_user(e, user), t);
    }
    struct order *o = pool_take(&e->orders);
    o->id = order_id;
    o->trader = t;
    o->trader_older = t->newest;
    if (t->newest) t->newest->trader_newer = o;
    t->newest = o;
    t->open++;
    map_add(&e->orders_by_id, hash_mix(order_id), o);
    return o;
}

void engine_close_order(struct engine *e, struct order *o)
{
    struct trader *t = o->trader;
    if (o->trader_newer)
        o->trader_newer->trader_older = o->trader_older;
    else
        t->newest = o->trader_older;
    if (o->trader_older) o->trader_older->trader_newer = o->trader_newer;
    t->open--;
    if (!t->open) {
        map_remove(&e->traders_by_id, hash_of_user(e, t->id), t);
        pool_give(&e->traders, t);
    }
    if (o->client) clients_close(&e->clients, o->client);
    map_remove(&e->orders_by_id, hash_mix(o->id), o);
    pool_give(&e->orders, o);
}

/* ---- judging ---- */

static enum refusal judge_client(const struct engine *e, const struct request *r)
{
    if (!r->client_id.size) return ACCEPTED;
    const struct client *first = clients_find(&e->clients, r->user, &r->client_id);
    if (!first) return ACCEPTED;
    return first->body == request_body(r) ? REFUSED_DUPLICATE : REFUSED_ID_REUSED;
}

static enum refusal judge_terms(const struct market *m, const struct terms *t,
                                const char **ret_asset, int64_t *ret_hold)
{
    if (m->rules.status != MARKET_TRADING) return REFUSED_HALTED;
    *ret_asset = t->side == SIDE_BUY ? m->rules.quote : m->rules.base;
    return rules_judge(&m->rules, t, ret_hold);
}

static enum refusal judge_place(const struct engine *e, const struct request *r,
                                const char **ret_asset, int64_t *ret_hold)
{
    enum refusal refusal = judge_client(e, r);
    if (refusal) return refusal;
    if (r->market >= e->market_count) return REFUSED_MARKET;
    refusal = judge_terms(e->markets[r->market], &r->terms, ret_asset, ret_hold);
    if (refusal) return refusal;
    if (e->orders.used >= e->options.open_max) return REFUSED_SHARD_FULL;
    const struct trader *t = engine_trader(e, r->user);
    return t && t->open >= e->options.user_open_max ? REFUSED_USER_FULL : ACCEPTED;
}

static struct order *own_order(const struct engine *e, uint64_t order_id, struct id user)
{
    struct order *o = engine_order(e, order_id);
    return o && id_equal(o->trader->id, user) ? o : NULL;
}

/* The old order's terms at the new price and quantity. */
static struct terms replaced_terms(const struct order *old, const struct request *r)
{
    struct terms terms = old->terms;
    terms.price = r->terms.price;
    terms.quantity = r->terms.quantity;
    return terms;
}

static enum refusal judge_replace(const struct engine *e, const struct request *r,
                                  const char **ret_asset, int64_t *ret_hold)
{
    enum refusal refusal = judge_client(e, r);
    if (refusal) return refusal;
    const struct order *old = own_order(e, r->old_order_id, r->user);
    if (!old) return REFUSED_ORDER;
    struct terms terms = replaced_terms(old, r);
    return judge_terms(e->markets[old->market], &terms, ret_asset, ret_hold);
}

/* Open orders must stay on the grid: prices times quantities have to stay exact. */
static bool grid_fits(const struct rules *now, const struct rules *next)
{
    return next->tick % now->tick == 0 && next->lot % now->lot == 0;
}

static enum refusal judge_market(const struct engine *e, const struct rules *next)
{
    if (rules_check(next, NULL)) return REFUSED_RULES;
    const struct market *m = engine_find_market(e, next->symbol);
    if (!m) return e->market_count < MARKETS_MAX ? ACCEPTED : REFUSED_SHARD_FULL;

    const struct rules *now = &m->rules;
    if (strcmp(now->base, next->base) != 0 || strcmp(now->quote, next->quote) != 0 ||
        now->base_scale != next->base_scale || now->quote_scale != next->quote_scale)
        return REFUSED_RULES;
    bool empty = !m->book.bids.level_count && !m->book.asks.level_count;
    return empty || grid_fits(now, next) ? ACCEPTED : REFUSED_RULES;
}

enum refusal engine_judge(const struct engine *e, const struct request *r, const char **ret_asset,
                          int64_t *ret_hold)
{
    *ret_hold = 0;
    switch (r->kind) {
    case COMMAND_PLACE:
        return judge_place(e, r, ret_asset, ret_hold);
    case COMMAND_REPLACE:
        return judge_replace(e, r, ret_asset, ret_hold);
    case COMMAND_CANCEL:
        return own_order(e, r->order_id, r->user) ? ACCEPTED : REFUSED_ORDER;
    case COMMAND_CANCEL_ALL:
        return r->market == MARKET_ALL || r->market < e->market_count ? ACCEPTED : REFUSED_MARKET;
    case COMMAND_MARKET:
        return judge_market(e, &r->rules);
    default:
        return ACCEPTED;
    }
}

/* ---- applying ---- */

struct market *engine_add_market(struct engine *e, const struct rules *rules)
{
    struct market *m = calloc(1, sizeof *m);
    CHECK(m);
    m->rules = *rules;
    m->number = (uint16_t)e->market_count;
    book_init(&m->book, &e->levels);
    e->markets[e->market_count++] = m;
    return m;
}

static void apply_market(struct engine *e, const struct rules *rules)
{
    for (size_t i = 0; i < e->market_count; i++) {
        if (strcmp(e->markets[i]->rules.symbol, rules->symbol) != 0) continue;
        e->markets[i]->rules = *rules;
        return;
    }
    (void)engine_add_market(e, rules);
}

static void cancel(struct engine *e, struct order *o, enum reason reason)
{
    struct market *m = e->markets[o->market];
    enum side side = o->terms.side;
    int64_t price = o->terms.price;
    o->status = ORDER_CANCELLED;
    o->reason = (uint8_t)reason;
    o->updated_ms = e->result.now_ms;
    result_add_cancelled(e, o);
    result_add_release(e, o->id);
    book_remove(&m->book, o);
    result_add_level(e, m, side, price);
    engine_close_order(e, o);
}

static void cancel_all(struct engine *e, const struct request *r)
{
    const struct trader *t = engine_trader(e, r->user);
    struct order *o = t ? t->newest : NULL;
    while (o) {
        struct order *older = o->trader_older;
        if (r->market == MARKET_ALL || o->market == r->market) cancel(e, o, REASON_USER);
        o = older;
    }
}

static void place(struct engine *e, const struct request *r, uint16_t market, struct terms terms)
{
    struct order *o = engine_open_order(e, r->order_id, r->user);
    o->terms = terms;
    o->market = market;
    o->maker_ppm = r->maker_ppm;
    o->taker_ppm = r->taker_ppm;
    o->created_ms = o->updated_ms = r->now_ms;
    o->status = ORDER_OPEN;
    if (r->client_id.size) {
        o->client = clients_add(&e->clients, r->user, &r->client_id);
        o->client->order_id = r->order_id;
        o->client->body = request_body(r);
    }
    engine_match(e, e->markets[market], o);
}

static void replace(struct engine *e, const struct request *r)
{
    struct order *old = own_order(e, r->old_order_id, r->user);
    struct terms terms = replaced_terms(old, r);
    uint16_t market = old->market;
    cancel(e, old, REASON_REPLACED);
    place(e, r, market, terms);
}

/* A place or replace whose order was there first: the first one is the answer. */
static void answer_duplicate(struct engine *e, const struct request *r)
{
    struct engine_result *result = &e->result;
    result->order_id = clients_find(&e->clients, r->user, &r->client_id)->order_id;
    result->has_order = engine_find_order(e, result->order_id, &result->order);
}

static void execute(struct engine *e, const struct request *r)
{
    switch (r->kind) {
    case COMMAND_MARKET:
        apply_market(e, &r->rules);
        break;
    case COMMAND_PLACE:
        place(e, r, r->market, r->terms);
        break;
    case COMMAND_REPLACE:
        replace(e, r);
        break;
    case COMMAND_CANCEL_ALL:
        cancel_all(e, r);
        break;
    case COMMAND_CANCEL:
        cancel(e, own_order(e, r->order_id, r->user), REASON_USER);
        e->result.order = e->result.cancelled[0];
        e->result.has_order = true;
        break;
    default:
        break;
    }
}

const struct engine_result *engine_apply(struct engine *e, const struct request *r)
{
    struct engine_result *result = &e->result;
    bool new_order = r->kind == COMMAND_PLACE || r->kind == COMMAND_REPLACE;
    const char *asset;
    int64_t hold;

    result->order_id = r->order_id;
    result->now_ms = r->now_ms;
    result->has_order = false;
    result->execution_count = result->cancelled_count = 0;
    result->release_count = result->level_count = 0;
    if (new_order) {
        CHECK(r->order_id > e->last_order_id);
        e->last_order_id = r->order_id;
    }
    result->refusal = engine_judge(e, r, &asset, &hold);
    if (!result->refusal) {
        execute(e, r);
    } else {
        if (new_order) result_add_release(e, r->order_id);
        if (result->refusal == REFUSED_DUPLICATE) answer_duplicate(e, r);
    }
    return result;
}
