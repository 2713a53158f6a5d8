/*
 * Handlers that change something: place, batch, cancel, replace. They decode, check what needs no
 * state, and submit; the answer leaves later, from whichever thread finds it durable and settled.
 */
#include "base/crypt.h"
#include "trading.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_FILLS_MAX                                                                            \
    100 /* shown of each order of a batch, so that the reply stays in one message */

/* Why a request cannot be carried out, before it was tried. */
struct problem {
    enum err err;
    const char *field, *reason; /* static; field is the JSON name */
    char text[128];
};

static bool fail_field(struct problem *p, const char *field, const char *format, ...)
    PRINTF_LIKE(3, 4);

static bool fail_field(struct problem *p, const char *field, const char *format, ...)
{
    va_list args;
    p->err = ERR_INVALID;
    p->field = field;
    va_start(args, format);
    (void)vsnprintf(p->text, sizeof p->text, format, args);
    va_end(args);
    return false;
}

bool trading_caller(struct rpc_call *call, struct id *ret)
{
    if (id_parse(rpc_call_principal(call)->user_id, ret)) return true;
    rpc_fail(call, ERR_DENIED, "only users have orders");
    return false;
}

const struct listing *trading_market(struct trading *t, struct rpc_call *call, const char *symbol)
{
    const struct listing *market = listings_find(&t->machine.listings, symbol);
    if (!market)
        rpc_fail_reason(call, ERR_NOT_FOUND, refusal_word(REFUSED_MARKET), "there is no market %s",
                        symbol);
    return market;
}

/* ---- reading requests ---- */

static bool read_amount(const char *text, unsigned scale, const char *field, int64_t *ret,
                        struct problem *problem)
{
    enum err e = decimal_parse(text, scale, ret);
    if (e == ERR_RANGE)
        return fail_field(problem, field, "at most %u decimals, and not so large", scale);
    if (e || *ret <= 0) return fail_field(problem, field, "a decimal number above zero");
    return true;
}

/* The caller's id of an order; else one that is derived from the call's idempotency key. */
static struct client_id read_client_id(const char *text, const struct rpc_call *call, size_t index)
{
    struct client_id id = {0};
    const char *key = rpc_call_idempotency_key(call);
    if (text[0]) {
        id.size = (uint8_t)strnlen(text, CLIENT_ID_MAX);
        memcpy(id.text, text, id.size);
    } else if (key[0]) {
        char named[512], hex[2 * SHA256_SIZE + 1];
        uint8_t hash[SHA256_SIZE];
        int size = snprintf(named, sizeof named, "%zu %s", index, key);
        crypt_sha256(named, (size_t)size < sizeof named ? (size_t)size : sizeof named - 1, hash);
        hex_encode(hash, sizeof hash, hex);
        id.size = CLIENT_ID_MAX;
        id.text[0] = DERIVED_ID_MARK;
        memcpy(id.text + 1, hex, CLIENT_ID_MAX - 1);
    }
    return id;
}

static bool read_kind(const Trading__PlaceOrderRequest *q, struct terms *ret,
                      struct problem *problem)
{
    if (q->side != TRADING__SIDE__BUY && q->side != TRADING__SIDE__SELL)
        return fail_field(problem, "side", "BUY or SELL");
    if (q->type != TRADING__ORDER_TYPE__LIMIT && q->type != TRADING__ORDER_TYPE__MARKET)
        return fail_field(problem, "type", "LIMIT or MARKET");
    bool market = q->type == TRADING__ORDER_TYPE__MARKET;
    if ((unsigned)q->time_in_force > LIFETIME_FOK ||
        (market && q->time_in_force == TRADING__TIME_IN_FORCE__GTC))
        return fail_field(problem, "timeInForce", market ? "IOC or FOK" : "GTC, IOC or FOK");
    ret->side = (uint8_t)q->side;
    ret->type = (uint8_t)q->type;
    ret->lifetime = (uint8_t)q->time_in_force;
    if (!ret->lifetime) ret->lifetime = market ? LIFETIME_IOC : LIFETIME_GTC;
    return true;
}

static bool read_place(struct trading *t, const Trading__PlaceOrderRequest *q, struct request *ret,
                       struct problem *problem)
{
    const struct listing *market = listings_find(&t->machine.listings, q->symbol);
    if (!market) {
        problem->err = ERR_NOT_FOUND;
        problem->reason = refusal_word(REFUSED_MARKET);
        (void)snprintf(problem->text, sizeof problem->text, "there is no market %s", q->symbol);
        return false;
    }
    ret->kind = COMMAND_PLACE;
    ret->market = market->number;
    if (!read_kind(q, &ret->terms, problem)) return false;
    if (!read_amount(q->quantity, market->base_scale, "quantity", &ret->terms.quantity, problem))
        return false;
    bool market_sell = ret->terms.type == TYPE_MARKET && ret->terms.side == SIDE_SELL;
    if (market_sell && q->price[0])
        return fail_field(problem, "price", "empty: a market sell has no price");
    return market_sell ||
           read_amount(q->price, market->quote_scale, "price", &ret->terms.price, problem);
}

/* ---- one command, one call ---- */

/* The field that a refusal is about; NULL: none alone. */
static const char *refused_field(const char *word)
{
    static const struct {
        enum refusal refusal;
        const char *field;
    } table[] = {{REFUSED_TICK, "price"}, {REFUSED_LOT, "quantity"}, {REFUSED_SPEND, "price"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(word, refusal_word(table[i].refusal)) == 0) return table[i].field;
    return NULL;
}

/* Both the word and the field that it is about. */
static void fail_refused_field(struct rpc_call *call, const struct pending *p, const char *field)
{
    struct rpc_status status = {.err = p->command.err, .error_count = 1};
    (void)snprintf(status.reason, sizeof status.reason, "%s", p->reason);
    (void)snprintf(status.message, sizeof status.message, "%s: %s", field, p->text);
    (void)snprintf(status.errors[0].field, sizeof status.errors[0].field, "%s", field);
    (void)snprintf(status.errors[0].reason, sizeof status.errors[0].reason, "%s", p->text);
    rpc_fail_status(call, &status);
}

static void fail(struct rpc_call *call, const struct pending *p)
{
    enum err e = p->command.err;
    const char *field = p->reason ? refused_field(p->reason) : NULL;
    if (field)
        fail_refused_field(call, p, field);
    else if (p->reason && p->reason[0])
        rpc_fail_reason(call, e, p->reason, "%s", p->text);
    else
        rpc_fail(call, e, "%s", p->text ? p->text : err_text(e));
}

static void fail_problem(struct rpc_call *call, const struct problem *problem)
{
    if (problem->field)
        rpc_fail_field(call, problem->field, "%s", problem->text);
    else
        rpc_fail_reason(call, problem->err, problem->reason, "%s", problem->text);
}

struct single {
    struct pending pending; /* first */
    struct trading *trading;
    struct rpc_call *call;
    Trading__Order_Closure reply;
    Trading__CancelAllResponse_Closure reply_all;
    bool repeatable, repeated; /* a cancel: may be, is a repeat of one that was done */
};

static struct single *new_single(struct rpc_call *call, void (*answer)(struct pending *own))
{
    struct id user;
    if (!trading_caller(call, &user)) return NULL;
    struct single *s = calloc(1, sizeof *s);
    if (!s) {
        rpc_fail(call, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    s->call = call;
    s->trading = rpc_call_context(call);
    s->pending.answer = answer;
    s->pending.deadline_ms = rpc_call_deadline_ms(call);
    s->pending.request.user = user;
    return s;
}

static void free_single(struct single *s)
{
    free(s->pending.fills);
    free(s);
}

static void submit(struct single *s)
{
    enum err e = replica_submit(s->trading->replica, &s->pending.command);
    if (!e) return;
    rpc_fail(s->call, e, "%s", err_text(e));
    free_single(s);
}

/* Fills into memory of their own; NULL where there are none, or no memory: the order says it all.
 */
static Trading__Fill **fill_messages(const struct pending *p, const struct listing *market,
                                     size_t max, struct fill_message **ret_own, size_t *ret_count)
{
    size_t count = p->fill_count < max ? p->fill_count : max;
    struct fill_message *messages = count ? malloc(count * sizeof *messages) : NULL;
    Trading__Fill **pointers = count ? malloc(count * sizeof(Trading__Fill *)) : NULL;
    if (!messages || !pointers) {
        free(messages);
        free(pointers);
        messages = NULL;
        pointers = NULL;
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        fill_message(&messages[i], &p->fills[i], p->order.terms.side, market);
        pointers[i] = &messages[i].message;
    }
    *ret_own = messages;
    *ret_count = count;
    return pointers;
}

static void answer_order(struct pending *own)
{
    struct single *s = (struct single *)own;
    if (!own->command.err && !own->has_order) {
        lookup_order(s->trading->lookup, own);
        return;
    }
    if (own->command.err) {
        fail(s->call, own);
    } else {
        struct order_message order;
        struct fill_message *fills;
        const struct listing *market =
            listings_get(&s->trading->machine.listings, own->order.market);
        order_message(&order, &own->order, market);
        order.message.fills = fill_messages(own, market, SIZE_MAX, &fills, &order.message.n_fills);
        s->reply(&order.message, s->call);
        free(order.message.fills);
        free(fills);
    }
    free_single(s);
}

static void rpc_place_order(Trading__Trading_Service *self, const Trading__PlaceOrderRequest *q,
                            Trading__Order_Closure reply, void *data)
{
    (void)self;
    struct problem problem = {0};
    struct single *s = new_single(data, answer_order);
    if (!s) return;
    s->reply = reply;
    if (!read_place(s->trading, q, &s->pending.request, &problem)) {
        fail_problem(s->call, &problem);
        free_single(s);
        return;
    }
    s->pending.request.client_id = read_client_id(q->client_order_id, s->call, 0);
    submit(s);
}

/* An order id of this shard. */
static bool read_order_id(struct single *s, const char *text, uint64_t *ret)
{
    if (number_parse(text, ret)) return true;
    rpc_fail_field(s->call, "orderId", "a number");
    free_single(s);
    return false;
}

/*
 * A cancel that is repeated with its idempotency key is answered as the first one: with the order,
 * if the user cancelled it.
 */
static void answer_cancel(struct pending *own)
{
    struct single *s = (struct single *)own;
    if (own->command.err == ERR_NOT_FOUND && s->repeatable) {
        s->repeatable = false;
        s->repeated = true;
        own->command.err = OK;
        own->order_id = own->request.order_id;
        lookup_order(s->trading->lookup, own);
        return;
    }
    bool other = own->order.status != ORDER_CANCELLED || own->order.reason != REASON_USER;
    if (s->repeated && !own->command.err && other)
        pending_refuse(own, ERR_NOT_FOUND, refusal_word(REFUSED_ORDER),
                       refusal_text(REFUSED_ORDER));
    answer_order(own);
}

static void rpc_cancel_order(Trading__Trading_Service *self, const Trading__CancelOrderRequest *q,
                             Trading__Order_Closure reply, void *data)
{
    (void)self;
    struct single *s = new_single(data, answer_cancel);
    if (!s || !read_order_id(s, q->order_id, &s->pending.request.order_id)) return;
    s->reply = reply;
    s->repeatable = rpc_call_idempotency_key(s->call)[0];
    s->pending.request.kind = COMMAND_CANCEL;
    submit(s);
}

static bool read_replacement(struct single *s, const Trading__ReplaceOrderRequest *q,
                             uint16_t number, struct problem *problem)
{
    const struct listing *market = listings_get(&s->trading->machine.listings, number);
    struct terms *t = &s->pending.request.terms;
    return read_amount(q->quantity, market->base_scale, "quantity", &t->quantity, problem) &&
           read_amount(q->price, market->quote_scale, "price", &t->price, problem);
}

static void rpc_replace_order(Trading__Trading_Service *self, const Trading__ReplaceOrderRequest *q,
                              Trading__Order_Closure reply, void *data)
{
    (void)self;
    struct problem problem = {0};
    struct single *s = new_single(data, answer_order);
    if (!s) return;
    struct request *r = &s->pending.request;
    if (!read_order_id(s, q->order_id, &r->old_order_id)) return;
    s->reply = reply;
    r->kind = COMMAND_REPLACE;
    r->client_id = read_client_id(q->client_order_id, s->call, 0);

    /* The scales are those of the old order's market; it may be closed if this is a repeat. */
    struct order_view old;
    enum err e = trading_find_order(s->trading, s->call, r->user, r->old_order_id, &old);
    if (e == ERR_NOT_FOUND) {
        rpc_fail_reason(s->call, e, refusal_word(REFUSED_ORDER), "%s", refusal_text(REFUSED_ORDER));
    } else if (e) {
        rpc_fail(s->call, e, "%s", err_text(e));
    } else if (read_replacement(s, q, old.market, &problem)) {
        submit(s);
        return;
    } else {
        fail_problem(s->call, &problem);
    }
    free_single(s);
}

static void answer_cancel_all(struct pending *own)
{
    struct single *s = (struct single *)own;
    Trading__CancelAllResponse response = TRADING__CANCEL_ALL_RESPONSE__INIT;
    response.cancelled = own->cancelled;
    if (own->command.err)
        fail(s->call, own);
    else
        s->reply_all(&response, s->call);
    free_single(s);
}

static void rpc_cancel_all(Trading__Trading_Service *self, const Trading__CancelAllRequest *q,
                           Trading__CancelAllResponse_Closure reply, void *data)
{
    (void)self;
    struct trading *t = rpc_call_context(data);
    const struct listing *market = NULL;
    if (q->symbol[0] && !(market = trading_market(t, data, q->symbol))) return;
    struct single *s = new_single(data, answer_cancel_all);
    if (!s) return;
    s->reply_all = reply;
    s->pending.request.kind = COMMAND_CANCEL_ALL;
    s->pending.request.market = market ? market->number : MARKET_ALL;
    submit(s);
}

/* ---- many commands, one call ---- */

struct batch;

struct item {
    struct pending pending; /* first */
    struct batch *batch;
    struct problem problem; /* err: it was not submitted */
};

struct batch {
    struct trading *trading;
    struct rpc_call *call;
    Trading__PlaceOrdersResponse_Closure reply;
    atomic_size_t open; /* not answered yet, and one for who submits */
    size_t count;
    struct item items[];
};

/* What an item's result is made of. */
struct item_message {
    Trading__PlaceResult message;
    struct order_message order;
    struct fill_message *fills;
};

static void item_message(struct item_message *ret, const struct item *item)
{
    const struct pending *p = &item->pending;
    Trading__PlaceResult *m = &ret->message;
    trading__place_result__init(m);
    ret->fills = NULL;
    ret->order.message.fills = NULL;
    if (item->problem.err) {
        const char *reason = item->problem.reason;
        m->code = (char *)(uintptr_t)(reason ? reason : err_word(item->problem.err));
        m->message = (char *)(uintptr_t)item->problem.text;
    } else if (p->command.err) {
        bool word = p->reason && p->reason[0];
        m->code = (char *)(uintptr_t)(word ? p->reason : err_word(p->command.err));
        m->message = (char *)(uintptr_t)(p->text ? p->text : err_text(p->command.err));
    } else {
        struct listings *listings = &item->batch->trading->machine.listings;
        const struct listing *market = listings_get(listings, p->order.market);
        Trading__Order *order = &ret->order.message;
        order_message(&ret->order, &p->order, market);
        order->fills = fill_messages(p, market, BATCH_FILLS_MAX, &ret->fills, &order->n_fills);
        m->order = order;
    }
}

static void reply_batch(struct batch *b)
{
    Trading__PlaceOrdersResponse response = TRADING__PLACE_ORDERS_RESPONSE__INIT;
    AUTO_FREE struct item_message *messages = malloc(b->count * sizeof *messages);
    AUTO_FREE Trading__PlaceResult **pointers = malloc(b->count * sizeof(Trading__PlaceResult *));
    if (!messages || !pointers) {
        rpc_fail(b->call, ERR_NO_MEMORY, "out of memory; the orders may be placed");
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        item_message(&messages[i], &b->items[i]);
        pointers[i] = &messages[i].message;
    }
    response.n_items = b->count;
    response.items = pointers;
    b->reply(&response, b->call);
    for (size_t i = 0; i < b->count; i++) {
        if (messages[i].message.order) free(messages[i].order.message.fills);
        free(messages[i].fills);
    }
}

/* One less to wait for; the last one replies. */
static void close_item(struct batch *b)
{
    if (atomic_fetch_sub(&b->open, 1) != 1) return;
    reply_batch(b);
    for (size_t i = 0; i < b->count; i++)
        free(b->items[i].pending.fills);
    free(b);
}

static void answer_item(struct pending *own)
{
    struct item *item = (struct item *)own;
    if (!own->command.err && !own->has_order)
        lookup_order(item->batch->trading->lookup, own);
    else
        close_item(item->batch);
}

static void submit_item(struct item *item, const Trading__PlaceOrderRequest *q, struct id user)
{
    struct batch *b = item->batch;
    struct pending *p = &item->pending;
    size_t index = (size_t)(item - b->items);
    p->answer = answer_item;
    p->deadline_ms = rpc_call_deadline_ms(b->call);
    p->request.user = user;
    if (!read_place(b->trading, q, &p->request, &item->problem)) return;
    p->request.client_id = read_client_id(q->client_order_id, b->call, index);
    (void)atomic_fetch_add(&b->open, 1);
    enum err e = replica_submit(b->trading->replica, &p->command);
    if (!e) return;
    p->command.err = e;
    (void)atomic_fetch_sub(&b->open, 1);
}

static void rpc_place_orders(Trading__Trading_Service *self, const Trading__PlaceOrdersRequest *q,
                             Trading__PlaceOrdersResponse_Closure reply, void *data)
{
    (void)self;
    struct id user;
    if (!trading_caller(data, &user)) return;
    struct batch *b = calloc(1, sizeof *b + q->n_orders * sizeof b->items[0]);
    if (!b) {
        rpc_fail(data, ERR_NO_MEMORY, "out of memory");
        return;
    }
    b->trading = rpc_call_context(data);
    b->call = data;
    b->reply = reply;
    b->count = q->n_orders;
    atomic_init(&b->open, 1);
    for (size_t i = 0; i < b->count; i++) {
        b->items[i].batch = b;
        submit_item(&b->items[i], q->orders[i], user);
    }
    close_item(b);
}

void trading_rpc_init(struct trading *t)
{
    const Trading__Trading_Service service = TRADING__TRADING__INIT(rpc_);
    t->service = service;
}
