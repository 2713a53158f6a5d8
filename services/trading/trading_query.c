/*
 * Handlers that only read. Prices come from copies, books and open orders from between two batches
 * of the shard, closed orders and trades from the documents, once those have all that the shard had
 * when it was asked: so who has its answer to an order finds that order.
 */
#include "base/crypt.h"
#include "trading.h"
#include "trading_store.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_DEFAULT  50
#define PAGE_MAX      200
#define DEPTH_DEFAULT 50
#define DEPTH_MAX     500
#define QUOTES_MAX    100
#define SCAN_PAGE     500 /* documents read at once to find those of one market, */
#define SCAN_PAGES    8   /* so often in one call */

/* ---- pages ---- */

#define CURSOR_TEXT_SIZE BASE64URL_SIZE(sizeof(uint64_t))

static size_t page_size(uint32_t limit, uint32_t fallback, uint32_t max)
{
    if (!limit) return fallback;
    return limit < max ? limit : max;
}

static void cursor_format(uint64_t position, char ret[static CURSOR_TEXT_SIZE])
{
    uint64_t bytes = htole64(position);
    base64url_encode(&bytes, sizeof bytes, ret);
}

/* 0 for no cursor. false: the call is ended. */
static bool cursor_parse(struct rpc_call *call, const char *text, uint64_t *ret)
{
    uint64_t bytes = 0;
    size_t size = sizeof bytes;
    *ret = 0;
    if (!text[0]) return true;
    enum err e = base64url_decode(text, &bytes, &size);
    *ret = le64toh(bytes);
    if (!e && size == sizeof bytes && *ret) return true;
    rpc_fail_field(call, "cursor", "a nextCursor of a page before");
    return false;
}

static void fail(struct rpc_call *call, enum err e)
{
    rpc_fail(call, e, "%s", err_text(e));
}

/* An optional market. false: the call is ended. */
static bool market_or_all(struct trading *t, struct rpc_call *call, const char *symbol,
                          const struct listing **ret)
{
    *ret = NULL;
    return !symbol[0] || (*ret = trading_market(t, call, symbol));
}

/* ---- markets ---- */

void rpc_list_markets(Trading__Trading_Service *self, const Trading__ListMarketsRequest *q,
                      Trading__ListMarketsResponse_Closure reply, void *data)
{
    (void)self, (void)q;
    struct trading *t = rpc_call_context(data);
    struct listings *listings = &t->machine.listings;
    size_t count = listings_count(listings);
    Trading__ListMarketsResponse response = TRADING__LIST_MARKETS_RESPONSE__INIT;
    AUTO_FREE struct market_message *messages = calloc(count + 1, sizeof *messages);
    AUTO_FREE Trading__Market **pointers = calloc(count + 1, sizeof(Trading__Market *));
    if (!messages || !pointers) {
        fail(data, ERR_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct listing *market = listings_get(listings, i);
        const struct rules rules = listings_rules(listings, market);
        market_message(&messages[i], &rules, market);
        pointers[i] = &messages[i].message;
    }
    response.n_items = count;
    response.items = pointers;
    reply(&response, data);
}

void rpc_get_ticker(Trading__Trading_Service *self, const Trading__TickerRequest *q,
                    Trading__Ticker_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    struct ticker_message message;
    const struct listing *market = trading_market(t, data, q->symbol);
    if (!market) return;
    const struct ticker ticker = listings_ticker(&t->machine.listings, market);
    ticker_message(&message, &ticker, market);
    reply(&message.message, data);
}

void rpc_get_quotes(Trading__Trading_Service *self, const Trading__QuotesRequest *q,
                    Trading__QuotesResponse_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    Trading__QuotesResponse response = TRADING__QUOTES_RESPONSE__INIT;
    AUTO_FREE struct ticker_message *messages = calloc(QUOTES_MAX, sizeof *messages);
    AUTO_FREE char *symbols = strdup(q->symbols);
    Trading__Ticker *pointers[QUOTES_MAX];
    if (!messages || !symbols) {
        fail(data, ERR_NO_MEMORY);
        return;
    }
    char *rest = symbols;
    for (char *symbol; (symbol = strsep(&rest, ","));) {
        if (response.n_items == QUOTES_MAX) {
            rpc_fail_field(data, "symbols", "at most %d symbols", QUOTES_MAX);
            return;
        }
        const struct listing *market = trading_market(t, data, symbol);
        if (!market) return;
        const struct ticker ticker = listings_ticker(&t->machine.listings, market);
        ticker_message(&messages[response.n_items], &ticker, market);
        pointers[response.n_items] = &messages[response.n_items].message;
        response.n_items++;
    }
    response.items = pointers;
    reply(&response, data);
}

/* ---- depth ---- */

struct depth_look {
    uint16_t market;
    size_t max, counts[2];
    uint64_t update_id;
    struct level_change levels[2][DEPTH_MAX]; /* bids, asks */
    struct level_message messages[2][DEPTH_MAX];
    Trading__Level *pointers[2][DEPTH_MAX];
};

static void look_at_depth(void *machine, void *arg)
{
    struct depth_look *d = arg;
    const struct market *m = engine_market(((struct machine *)machine)->engine, d->market);
    d->update_id = m->book.update_id;
    d->counts[0] = market_depth(m, SIDE_BUY, d->levels[0], d->max);
    d->counts[1] = market_depth(m, SIDE_SELL, d->levels[1], d->max);
}

void rpc_get_depth(Trading__Trading_Service *self, const Trading__DepthRequest *q,
                   Trading__Depth_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    const struct listing *market = trading_market(t, data, q->symbol);
    if (!market) return;
    AUTO_FREE struct depth_look *d = malloc(sizeof *d);
    if (!d) {
        fail(data, ERR_NO_MEMORY);
        return;
    }
    d->market = market->number;
    d->max = page_size(q->limit, DEPTH_DEFAULT, DEPTH_MAX);
    enum err e = replica_look(t->replica, look_at_depth, d, rpc_call_deadline_ms(data));
    if (e) {
        fail(data, e);
        return;
    }
    for (unsigned side = 0; side < 2; side++)
        for (size_t i = 0; i < d->counts[side]; i++) {
            level_message(&d->messages[side][i], &d->levels[side][i], market);
            d->pointers[side][i] = &d->messages[side][i].message;
        }
    Trading__Depth depth = TRADING__DEPTH__INIT;
    depth.symbol = (char *)(uintptr_t)market->symbol;
    depth.last_update_id = d->update_id;
    depth.n_bids = d->counts[0];
    depth.bids = d->pointers[0];
    depth.n_asks = d->counts[1];
    depth.asks = d->pointers[1];
    reply(&depth, data);
}

/* ---- orders ---- */

/* One order if it is open, and where the documents must be to have it if it is not. */
struct one_look {
    uint64_t order_id; /* 0: only the position is wanted */
    bool open;
    uint64_t documents_seq;
    struct order_view order;
};

static void look_at_one(void *machine, void *arg)
{
    const struct machine *m = machine;
    struct one_look *l = arg;
    l->documents_seq = machine_documents_seq(m);
    l->open = engine_find_order(m->engine, l->order_id, &l->order);
}

/* Until the documents have what the engine has now, unless the order is open. */
static enum err look_and_wait(struct trading *t, const struct rpc_call *call, struct one_look *l)
{
    int64_t deadline_ms = rpc_call_deadline_ms(call);
    enum err e = replica_look(t->replica, look_at_one, l, deadline_ms);
    return e || l->open ? e : project_wait(t->project, l->documents_seq, deadline_ms);
}

enum err trading_find_order(struct trading *t, const struct rpc_call *call, struct id user,
                            uint64_t order_id, struct order_view *ret)
{
    struct one_look l = {.order_id = order_id};
    enum err e = look_and_wait(t, call, &l);
    if (!e && !l.open)
        e = trading_store_order(t->store, &t->machine.listings, user, order_id, &l.order);
    if (e) return e;
    if (!id_equal(l.order.user, user)) return ERR_NOT_FOUND;
    *ret = l.order;
    return OK;
}

void rpc_get_order(Trading__Trading_Service *self, const Trading__GetOrderRequest *q,
                   Trading__Order_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    struct order_message message;
    struct order_view order;
    struct id user;
    uint64_t order_id;
    if (!trading_caller(data, &user)) return;
    if (!number_parse(q->order_id, &order_id)) {
        rpc_fail_field(data, "orderId", "a number");
        return;
    }
    enum err e = trading_find_order(t, data, user, order_id, &order);
    if (e == ERR_NOT_FOUND) {
        rpc_fail_reason(data, e, refusal_word(REFUSED_ORDER), "the caller has no such order");
    } else if (e) {
        fail(data, e);
    } else {
        order_message(&message, &order, listings_get(&t->machine.listings, order.market));
        reply(&message.message, data);
    }
}

/* A user's open orders, and what the documents must have for the rest. */
struct order_look {
    struct id user;
    uint16_t market;
    uint64_t before;
    uint64_t documents_seq;
    size_t max, count;
    struct order_view orders[PAGE_MAX + 1];
};

static void look_at_orders(void *machine, void *arg)
{
    const struct machine *m = machine;
    struct order_look *l = arg;
    l->documents_seq = machine_documents_seq(m);
    l->count = engine_open_orders(m->engine, l->user, l->market, l->before, l->orders, l->max + 1);
}

/*
 * Replies with the first `max` of count orders. There is a next page if there are more, or if
 * nobody has looked at what is below `rest` (0: everything was looked at).
 */
static void reply_orders(struct rpc_call *call, const struct order_view *orders, size_t count,
                         size_t max, uint64_t rest, Trading__ListOrdersResponse_Closure reply)
{
    struct trading *t = rpc_call_context(call);
    Trading__ListOrdersResponse response = TRADING__LIST_ORDERS_RESPONSE__INIT;
    char cursor[CURSOR_TEXT_SIZE] = "";
    Trading__Order *pointers[PAGE_MAX];
    CHECK(max <= PAGE_MAX);
    AUTO_FREE struct order_message *messages = malloc((max + 1) * sizeof *messages);
    if (!messages) {
        fail(call, ERR_NO_MEMORY);
        return;
    }
    response.n_items = count < max ? count : max;
    for (size_t i = 0; i < response.n_items; i++) {
        order_message(&messages[i], &orders[i],
                      listings_get(&t->machine.listings, orders[i].market));
        pointers[i] = &messages[i].message;
    }
    if (count > max) rest = orders[max - 1].id;
    if (rest) cursor_format(rest, cursor);
    response.items = pointers;
    response.next_cursor = cursor;
    reply(&response, call);
}

/* What both lists of orders begin with. NULL: the call is ended. */
static struct order_look *begin_list(struct rpc_call *call, const char *symbol, uint32_t limit,
                                     const char *cursor)
{
    const struct listing *market;
    struct trading *t = rpc_call_context(call);
    AUTO_FREE struct order_look *l = calloc(1, sizeof *l);
    if (!l) {
        fail(call, ERR_NO_MEMORY);
        return NULL;
    }
    if (!trading_caller(call, &l->user) || !cursor_parse(call, cursor, &l->before) ||
        !market_or_all(t, call, symbol, &market))
        return NULL;
    l->market = market ? market->number : MARKET_ALL;
    l->max = page_size(limit, PAGE_DEFAULT, PAGE_MAX);
    enum err e = replica_look(t->replica, look_at_orders, l, rpc_call_deadline_ms(call));
    if (e) {
        fail(call, e);
        return NULL;
    }
    return TAKE(l);
}

void rpc_list_open_orders(Trading__Trading_Service *self, const Trading__ListOpenOrdersRequest *q,
                          Trading__ListOrdersResponse_Closure reply, void *data)
{
    (void)self;
    AUTO_FREE struct order_look *l = begin_list(data, q->symbol, q->limit, q->cursor);
    if (l) reply_orders(data, l->orders, l->count, l->max, 0, reply);
}

/* Closed orders, of one market or all: how far the documents were read, too. */
struct closed_orders {
    size_t count;
    uint64_t rest; /* nobody has looked below this; 0: there is nothing more, or enough was found */
    struct order_view found[PAGE_MAX + 1], page[SCAN_PAGE], merged[2 * (PAGE_MAX + 1)];
};

/* One page of documents is read for all markets, up to SCAN_PAGES for one that is rare among them.
 */
static enum err find_closed(struct trading *t, const struct order_look *l, struct closed_orders *c)
{
    bool all = l->market == MARKET_ALL;
    size_t wanted = l->max + 1, size = all ? wanted : SCAN_PAGE;
    uint64_t before = l->before;
    for (unsigned i = 0; i < (all ? 1 : SCAN_PAGES); i++) {
        size_t count = 0;
        enum err e = trading_store_orders(t->store, &t->machine.listings, l->user, before, c->page,
                                          size, &count);
        if (e) return e;
        for (size_t j = 0; j < count && c->count < wanted; j++)
            if (all || c->page[j].market == l->market) c->found[c->count++] = c->page[j];
        if (c->count == wanted || count < size) return OK;
        before = c->page[count - 1].id;
    }
    c->rest = before;
    return OK;
}

/*
 * With the open ones, which are the engine's. Who was open at the look and is in the documents by
 * now is in both: the closed one is newer. Open ones below the part that was read belong to a later
 * page.
 */
static size_t merge_orders(const struct order_look *l, struct closed_orders *c)
{
    size_t count = 0, i = 0, j = 0, open = l->count;
    while (open && l->orders[open - 1].id < c->rest)
        open--;
    while (i < open || j < c->count) {
        bool closed = i == open || (j < c->count && c->found[j].id >= l->orders[i].id);
        if (closed && i < open && c->found[j].id == l->orders[i].id) i++;
        c->merged[count++] = closed ? c->found[j++] : l->orders[i++];
    }
    return count;
}

void rpc_list_orders(Trading__Trading_Service *self, const Trading__ListOrdersRequest *q,
                     Trading__ListOrdersResponse_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    AUTO_FREE struct order_look *l = begin_list(data, q->symbol, q->limit, q->cursor);
    if (!l) return;
    AUTO_FREE struct closed_orders *c = malloc(sizeof *c);
    enum err e = c ? OK : ERR_NO_MEMORY;
    if (!e) e = project_wait(t->project, l->documents_seq, rpc_call_deadline_ms(data));
    if (!e) {
        c->count = 0;
        c->rest = 0;
        e = find_closed(t, l, c);
    }
    if (e)
        fail(data, e);
    else
        reply_orders(data, c->merged, merge_orders(l, c), l->max, c->rest, reply);
}

/* ---- trades ---- */

static enum err wait_for_documents(struct trading *t, const struct rpc_call *call)
{
    struct one_look l = {0};
    return look_and_wait(t, call, &l);
}

void rpc_list_trades(Trading__Trading_Service *self, const Trading__ListTradesRequest *q,
                     Trading__ListTradesResponse_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    Trading__ListTradesResponse response = TRADING__LIST_TRADES_RESPONSE__INIT;
    struct trade trades[PAGE_MAX + 1];
    Trading__Trade *pointers[PAGE_MAX];
    char cursor[CURSOR_TEXT_SIZE] = "";
    uint64_t before;
    size_t max = page_size(q->limit, PAGE_DEFAULT, PAGE_MAX), count = 0;
    const struct listing *market = trading_market(t, data, q->symbol);
    if (!market || !cursor_parse(data, q->cursor, &before)) return;
    AUTO_FREE struct trade_message *messages = malloc(max * sizeof *messages);
    enum err e = messages ? wait_for_documents(t, data) : ERR_NO_MEMORY;
    if (!e) e = trade_pages_market(t->store, market, before, trades, max + 1, &count);
    if (e) {
        fail(data, e);
        return;
    }
    response.n_items = count < max ? count : max;
    for (size_t i = 0; i < response.n_items; i++) {
        trade_message(&messages[i], &trades[i], market);
        pointers[i] = &messages[i].message;
    }
    if (count > max) cursor_format(trades[max - 1].id, cursor);
    response.items = pointers;
    response.next_cursor = cursor;
    reply(&response, data);
}

struct my_trades {
    struct stored_trade sides[PAGE_MAX + 1];
    struct own_trade_message messages[PAGE_MAX];
    Trading__MyTrade *pointers[PAGE_MAX];
    size_t count;
};

void rpc_list_my_trades(Trading__Trading_Service *self, const Trading__ListMyTradesRequest *q,
                        Trading__ListMyTradesResponse_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    Trading__ListMyTradesResponse response = TRADING__LIST_MY_TRADES_RESPONSE__INIT;
    struct own_query query = {0};
    char cursor[CURSOR_TEXT_SIZE] = "";
    size_t max = page_size(q->limit, PAGE_DEFAULT, PAGE_MAX);
    if (!trading_caller(data, &query.user) || !cursor_parse(data, q->cursor, &query.before) ||
        !market_or_all(t, data, q->symbol, &query.market))
        return;
    AUTO_FREE struct my_trades *m = calloc(1, sizeof *m);
    enum err e = m ? wait_for_documents(t, data) : ERR_NO_MEMORY;
    if (!e)
        e = trade_pages_own(t->store, &t->machine.listings, &query, m->sides, max + 1, &m->count);
    if (e) {
        fail(data, e);
        return;
    }
    response.n_items = m->count < max ? m->count : max;
    for (size_t i = 0; i < response.n_items; i++) {
        own_trade_message(&m->messages[i], &m->sides[i].trade, m->sides[i].market);
        m->pointers[i] = &m->messages[i].message;
    }
    if (m->count > max) cursor_format(own_position(&m->sides[max - 1].trade), cursor);
    response.items = m->pointers;
    response.next_cursor = cursor;
    reply(&response, data);
}
