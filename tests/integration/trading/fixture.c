/* Parts by their ops tables, clients by their URLs. */
#include "fixture.h"

#include "support/eventually.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

extern const struct part_ops wallet_part, trading_part;

static size_t add_keys(struct house *h, size_t count, const struct config_key *keys)
{
    for (; keys->key; keys++)
        h->schema[count++] = *keys;
    return count;
}

static void override(char *ret, size_t size, const char *key, const char *value)
{
    (void)snprintf(ret, size, "%s=%s", key, value);
}

void house_reopen(struct house *h, const char *directory, const char *const *overrides)
{
    struct err_detail detail = {""};
    char own[5][TEMP_PATH_SIZE + 64];
    const char *all[OVERRIDES_MAX + 6] = {own[0], own[1], own[2], own[3], own[4]};
    if (h->directory != directory) (void)snprintf(h->directory, TEMP_PATH_SIZE, "%s", directory);
    if (!h->wallet_url[0]) (void)snprintf(h->wallet_url, sizeof h->wallet_url, "inproc://wallet");
    if (!h->trading_url[0])
        (void)snprintf(h->trading_url, sizeof h->trading_url, "inproc://trading");
    override(own[0], sizeof own[0], "data_dir", h->directory);
    override(own[1], sizeof own[1], "wallet.rpc", h->wallet_url);
    override(own[2], sizeof own[2], "wallet.listen", h->wallet_url);
    override(own[3], sizeof own[3], "trading.rpc", h->trading_url);
    override(own[4], sizeof own[4], "trading.listen", h->trading_url);
    for (size_t i = 0; overrides && overrides[i]; i++)
        all[5 + i] = overrides[i];

    size_t count = add_keys(h, 0, part_common_keys);
    count = add_keys(h, count, wallet_part.config);
    (void)add_keys(h, count, trading_part.config);
    const struct config_sources from = {.overrides = all};
    if (config_load(h->schema, &from, &h->config, &detail) ||
        part_env_open(h->config, &h->env, &detail) ||
        part_client(h->env, "test", "wallet", &h->to_wallet, &detail) ||
        part_client(h->env, "test", "trading", &h->to_trading, &detail))
        fail_msg("%s", detail.text);
}

void house_open(struct house *h, const char *const *overrides)
{
    temp_make(h->directory);
    house_reopen(h, h->directory, overrides);
}

void house_close(struct house *h)
{
    house_stop_trading(h);
    house_stop_wallet(h);
    rpc_client_free(h->to_wallet);
    rpc_client_free(h->to_trading);
    part_env_close(h->env);
    config_free(h->config);
    h->to_wallet = h->to_trading = NULL;
    h->env = NULL;
    h->config = NULL;
}

void house_remove(struct house *h)
{
    house_close(h);
    temp_remove(h->directory);
}

static void *start(struct house *h, const struct part_ops *ops)
{
    struct err_detail detail = {""};
    void *part = NULL;
    enum err e = ops->start(h->env, &part, &detail);
    if (e) fail_msg("%s: %s: %s", ops->name, err_name(e), detail.text);
    return part;
}

void house_start_wallet(struct house *h)
{
    h->wallet = start(h, &wallet_part);
}

void house_start_trading(struct house *h)
{
    h->trading = start(h, &trading_part);
}

void house_wait_ready(struct house *h)
{
    int64_t end_ms = clock_mono_ms() + EVENTUALLY_MS;
    struct err_detail detail = {""};
    while (trading_part.ready(h->trading, &detail)) {
        if (clock_mono_ms() > end_ms) fail_msg("not ready: %s", detail.text);
        (void)poll(NULL, 0, 1);
    }
    assert_eventually(rpc_client_ready(h->to_trading) && rpc_client_ready(h->to_wallet));
}

void house_stop_wallet(struct house *h)
{
    wallet_part.stop(h->wallet, 2000);
    h->wallet = NULL;
}

void house_stop_trading(struct house *h)
{
    trading_part.stop(h->trading, 2000);
    h->trading = NULL;
}

void house_start(struct house *h)
{
    house_start_wallet(h);
    house_start_trading(h);
    house_wait_ready(h);
}

/* ---- a client ---- */

enum err house_call(struct rpc_client *client, const char *method, struct caller caller,
                    const ProtobufCMessage *request, ProtobufCMessage **ret,
                    struct rpc_status *status)
{
    struct principal p = {.role = caller.user ? ROLE_USER : ROLE_ADMIN, .permissions = UINT64_MAX};
    (void)snprintf(p.user_id, sizeof p.user_id, "%s", caller.user ? caller.user : EVE);
    const struct rpc_options options = {
        .principal = &p,
        .idempotency_key = caller.key,
        .deadline_ms = clock_mono_ms() + (caller.timeout_ms ? caller.timeout_ms : EVENTUALLY_MS)};
    return rpc_call(client, method, request, &options, ret, status);
}

/* A call that must succeed. */
static ProtobufCMessage *must(struct rpc_client *client, const char *method, struct caller caller,
                              const ProtobufCMessage *request)
{
    ProtobufCMessage *reply = NULL;
    struct rpc_status status = {0};
    enum err e = house_call(client, method, caller, request, &reply, &status);
    if (e) fail_msg("%s: %s: %s", method, err_name(e), status.message);
    return reply;
}

static void free_reply(void *reply)
{
    if (reply) protobuf_c_message_free_unpacked(reply, NULL);
}

void credit(struct house *h, const char *user, const char *asset, const char *amount)
{
    Wallet__CreditRequest q = WALLET__CREDIT_REQUEST__INIT;
    char id[32];
    (void)snprintf(id, sizeof id, "credit-%u", h->transfers++);
    q.transfer_id = id;
    q.user_id = (char *)(uintptr_t)user;
    q.asset = (char *)(uintptr_t)asset;
    q.amount = (char *)(uintptr_t)amount;
    free_reply(must(h->to_wallet, "wallet.Wallet/Credit", (struct caller){0}, &q.base));
}

void assert_balance(struct house *h, const char *user, const char *asset, const char *available,
                    const char *held)
{
    Wallet__ListBalancesRequest q = WALLET__LIST_BALANCES_REQUEST__INIT;
    Wallet__ListBalancesResponse *r = (Wallet__ListBalancesResponse *)must(
        h->to_wallet, "wallet.Wallet/ListBalances", (struct caller){.user = user}, &q.base);
    const char *real_available = "0.00000000", *real_held = "0.00000000";
    for (size_t i = 0; i < r->n_items; i++) {
        if (strcmp(r->items[i]->asset, asset) != 0) continue;
        real_available = r->items[i]->available;
        real_held = r->items[i]->held;
    }
    if (strcmp(real_available, available) != 0 || strcmp(real_held, held) != 0)
        fail_msg("%s of %s: %s and %s held, not %s and %s held", asset, user, real_available,
                 real_held, available, held);
    free_reply(r);
}

void assert_balanced(struct house *h)
{
    Wallet__AuditRequest q = WALLET__AUDIT_REQUEST__INIT;
    Wallet__AuditResponse *r = (Wallet__AuditResponse *)must(h->to_wallet, "wallet.Wallet/Audit",
                                                             (struct caller){0}, &q.base);
    assert_true(r->balanced);
    free_reply(r);
}

static char *text(const char *constant)
{
    return constant ? (char *)(uintptr_t)constant : (char *)(uintptr_t) "";
}

Trading__PlaceOrderRequest ticket_request(struct ticket t)
{
    Trading__PlaceOrderRequest q = TRADING__PLACE_ORDER_REQUEST__INIT;
    q.symbol = text(t.symbol ? t.symbol : "BTC-USDT");
    q.side = t.side;
    q.type = t.type ? t.type : TRADING__ORDER_TYPE__LIMIT;
    q.time_in_force = t.lifetime;
    q.quantity = text(t.quantity);
    q.price = text(t.price);
    q.client_order_id = text(t.client_id);
    return q;
}

enum err try_place(struct house *h, const char *user, struct ticket t, Trading__Order **ret,
                   struct rpc_status *status)
{
    Trading__PlaceOrderRequest q = ticket_request(t);
    return house_call(h->to_trading, "trading.Trading/PlaceOrder", (struct caller){.user = user},
                      &q.base, (ProtobufCMessage **)ret, status);
}

Trading__Order *place(struct house *h, const char *user, struct ticket t)
{
    struct rpc_status status = {0};
    Trading__Order *order = NULL;
    enum err e = try_place(h, user, t, &order, &status);
    if (e) fail_msg("order refused: %s: %s (%s)", err_name(e), status.message, status.reason);
    return order;
}

void free_order(Trading__Order *o)
{
    free_reply(o);
}

void assert_refused(struct house *h, const char *user, struct ticket t, enum err expected,
                    const char *reason)
{
    struct rpc_status status = {0};
    Trading__Order *order = NULL;
    enum err e = try_place(h, user, t, &order, &status);
    free_order(order);
    if (e != expected || strcmp(status.reason, reason) != 0)
        fail_msg("%s (%s: %s), not %s (%s)", err_name(e), status.reason, status.message,
                 err_name(expected), reason);
}

enum err try_cancel(struct house *h, const char *user, const char *order_id, Trading__Order **ret,
                    struct rpc_status *status)
{
    Trading__CancelOrderRequest q = TRADING__CANCEL_ORDER_REQUEST__INIT;
    q.order_id = text(order_id);
    return house_call(h->to_trading, "trading.Trading/CancelOrder", (struct caller){.user = user},
                      &q.base, (ProtobufCMessage **)ret, status);
}

Trading__Order *get_order(struct house *h, const char *user, const char *order_id)
{
    Trading__GetOrderRequest q = TRADING__GET_ORDER_REQUEST__INIT;
    q.order_id = text(order_id);
    return (Trading__Order *)must(h->to_trading, "trading.Trading/GetOrder",
                                  (struct caller){.user = user}, &q.base);
}
