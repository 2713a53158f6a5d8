/*
 * Handlers that read. Balances and the audit come from the ledger itself, under the lock; a
 * statement comes from the documents, once they have all that the ledger had when it was asked for.
 */
#include "base/clock.h"
#include "base/crypt.h"
#include "bytes.h"
#include "wallet.h"
#include "wallet_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void fail_memory(struct rpc_call *call)
{
    rpc_fail(call, ERR_NO_MEMORY, "out of memory");
}

/* ---- assets ---- */

void wallet_rpc_list_assets(Wallet__Wallet_Service *self, const Wallet__ListAssetsRequest *req,
                            Wallet__ListAssetsResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)req;
    struct rpc_call *call = closure_data;
    struct wallet *w = rpc_call_context(call);
    size_t count = ledger_asset_count(w->ledger); /* constant once started */
    AUTO_FREE Wallet__Asset *assets = calloc(count + 1, sizeof *assets);
    AUTO_FREE Wallet__Asset **items = calloc(count + 1, sizeof *items);
    if (!assets || !items) return fail_memory(call);
    for (size_t i = 0; i < count; i++) {
        struct ledger_asset asset = ledger_asset(w->ledger, i);
        wallet__asset__init(&assets[i]);
        assets[i].asset = (char *)asset.name;
        assets[i].scale = asset.scale;
        assets[i].name = w->titles[i];
        items[i] = &assets[i];
    }
    Wallet__ListAssetsResponse response = WALLET__LIST_ASSETS_RESPONSE__INIT;
    response.items = items;
    response.n_items = count;
    reply(&response, call);
}

/* ---- balances ---- */

static size_t read_balances(struct wallet *w, struct id owner, struct ledger_balance *ret)
{
    size_t count = 0;
    (void)pthread_rwlock_rdlock(&w->lock);
    for (size_t asset = 0; asset < ledger_asset_count(w->ledger); asset++)
        if (ledger_balance(w->ledger, owner, (uint16_t)asset, &ret[count])) count++;
    (void)pthread_rwlock_unlock(&w->lock);
    return count;
}

void wallet_rpc_list_balances(Wallet__Wallet_Service *self, const Wallet__ListBalancesRequest *req,
                              Wallet__ListBalancesResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)req;
    struct rpc_call *call = closure_data;
    struct wallet *w = rpc_call_context(call);
    struct id owner;
    if (!wallet_caller(call, &owner)) return;
    size_t max = ledger_asset_count(w->ledger) + 1;
    AUTO_FREE struct ledger_balance *balances = calloc(max, sizeof *balances);
    AUTO_FREE struct balance_message *messages = calloc(max, sizeof *messages);
    AUTO_FREE Wallet__Balance **items = calloc(max, sizeof *items);
    if (!balances || !messages || !items) return fail_memory(call);
    size_t count = read_balances(w, owner, balances);
    for (size_t i = 0; i < count; i++) {
        balance_message(w->ledger, &balances[i], &messages[i]);
        items[i] = &messages[i].balance;
    }
    Wallet__ListBalancesResponse response = WALLET__LIST_BALANCES_RESPONSE__INIT;
    response.items = items;
    response.n_items = count;
    reply(&response, call);
}

/* ---- statement ---- */

/* One page, from the question to the answer. */
struct statement_job {
    struct job job;
    struct wallet *wallet;
    struct rpc_call *call;
    Wallet__StatementResponse_Closure reply;
    struct statement query; /* its limit is one more than the page has: is there another page? */
    uint64_t seq;           /* what the ledger had when it was asked */

    size_t count;
    struct entry_row rows[STATEMENT_ITEMS_MAX + 1];
    struct entry_message {
        Wallet__Entry entry;
        Google__Protobuf__Timestamp created_at;
        char id[24], amount[DECIMAL_TEXT_SIZE], total_after[DECIMAL_TEXT_SIZE];
    } messages[STATEMENT_ITEMS_MAX + 1];
    Wallet__Entry *items[STATEMENT_ITEMS_MAX + 1];
};

static const char *kind_text(uint8_t kind)
{
    switch (kind) {
    case ENTRY_TRADE:
        return "trade";
    case ENTRY_FEE:
        return "fee";
    case ENTRY_CREDIT:
        return "credit";
    default:
        return "transfer";
    }
}

static void entry_message(const struct wallet *w, struct entry_row *row, struct entry_message *ret)
{
    uint16_t asset = 0;
    unsigned scale =
        ledger_asset_find(w->ledger, row->asset, &asset) ? ledger_asset(w->ledger, asset).scale : 0;
    (void)snprintf(ret->id, sizeof ret->id, "%" PRIu64, row->position);
    decimal_format(row->amount, scale, ret->amount);
    decimal_format(row->total_after, scale, ret->total_after);
    google__protobuf__timestamp__init(&ret->created_at);
    ret->created_at.seconds = row->time_ms / 1000;
    ret->created_at.nanos = (int32_t)(row->time_ms % 1000) * 1000000;
    wallet__entry__init(&ret->entry);
    ret->entry.entry_id = ret->id;
    ret->entry.asset = row->asset;
    ret->entry.amount = ret->amount;
    ret->entry.total_after = ret->total_after;
    ret->entry.kind = (char *)kind_text(row->kind);
    ret->entry.reference = row->reference;
    ret->entry.created_at = &ret->created_at;
}

/* Opaque to clients: the position of the last entry they have seen. */
static void cursor_format(uint64_t position, char ret[static BASE64URL_SIZE(8)])
{
    uint8_t bytes[8];
    put_u64(bytes, position);
    base64url_encode(bytes, sizeof bytes, ret);
}

static bool cursor_parse(const char *text, uint64_t *ret)
{
    uint8_t bytes[8];
    size_t size = sizeof bytes;
    if (base64url_decode(text, bytes, &size) || size != sizeof bytes) return false;
    *ret = get_u64(bytes);
    return *ret > 0 && *ret <= INT64_MAX;
}

static void reply_statement(struct statement_job *j)
{
    Wallet__StatementResponse response = WALLET__STATEMENT_RESPONSE__INIT;
    char cursor[BASE64URL_SIZE(8)];
    size_t page = j->query.limit - 1;
    if (j->count > page) {
        j->count = page;
        cursor_format(j->rows[page - 1].position, cursor);
        response.next_cursor = cursor;
    }
    for (size_t i = 0; i < j->count; i++) {
        entry_message(j->wallet, &j->rows[i], &j->messages[i]);
        j->items[i] = &j->messages[i].entry;
    }
    response.items = j->items;
    response.n_items = j->count;
    j->reply(&response, j->call);
}

static void run_statement(struct job *job)
{
    struct statement_job *j = (struct statement_job *)job;
    struct wallet *w = j->wallet;
    /* What came since is perhaps half written. */
    uint64_t end = (j->seq + 1) * PROJECTION_POSITIONS;
    if (!j->query.before || j->query.before > end) j->query.before = end;
    enum err e = projection_wait(w->projection, j->seq, rpc_call_deadline_ms(j->call));
    if (!e) e = wallet_store_statement(w->store, &j->query, j->rows, &j->count);
    if (e)
        rpc_fail(j->call, e, "the entries' documents: %s", err_text(e));
    else
        reply_statement(j);
    free(j);
}

static bool parse_statement(struct rpc_call *call, const Wallet__StatementRequest *req,
                            struct statement *ret)
{
    *ret = (struct statement){.asset = req->asset};
    unsigned limit = req->limit ? req->limit : STATEMENT_ITEMS;
    ret->limit = limit + 1;
    if (!wallet_caller(call, &ret->owner)) return false;
    if (limit > STATEMENT_ITEMS_MAX) {
        rpc_fail_field(call, "limit", "1 to %d", STATEMENT_ITEMS_MAX);
        return false;
    }
    if (!req->cursor[0] || cursor_parse(req->cursor, &ret->before)) return true;
    rpc_fail_field(call, "cursor", "a nextCursor of this method");
    return false;
}

void wallet_rpc_statement(Wallet__Wallet_Service *self, const Wallet__StatementRequest *req,
                          Wallet__StatementResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct wallet *w = rpc_call_context(call);
    struct statement query;
    if (!parse_statement(call, req, &query)) return;
    struct statement_job *j = malloc(sizeof *j);
    if (!j) return fail_memory(call);
    j->job.run = run_statement;
    j->wallet = w;
    j->call = call;
    j->reply = reply;
    j->query = query;
    (void)pthread_rwlock_rdlock(&w->lock);
    j->seq = ledger_seq(w->ledger);
    (void)pthread_rwlock_unlock(&w->lock);
    enum err e = jobs_submit(w->jobs, &j->job);
    if (!e) return;
    free(j);
    rpc_fail(call, e, "too many statements are asked for right now; try again in a moment");
}

/* ---- audit ---- */

struct audit_message {
    Wallet__AssetAudit audit;
    char issued[DECIMAL_TEXT_SIZE], users[DECIMAL_TEXT_SIZE], fees[DECIMAL_TEXT_SIZE];
    char sum[DECIMAL_TEXT_SIZE];
};

static void audit_message(struct ledger_asset asset, const struct ledger_audit *audit,
                          struct audit_message *ret)
{
    uint64_t sum = (uint64_t)audit->users + (uint64_t)audit->fees - (uint64_t)audit->issued;
    decimal_format(audit->issued, asset.scale, ret->issued);
    decimal_format(audit->users, asset.scale, ret->users);
    decimal_format(audit->fees, asset.scale, ret->fees);
    decimal_format((int64_t)sum, asset.scale, ret->sum);
    wallet__asset_audit__init(&ret->audit);
    ret->audit.asset = (char *)asset.name;
    ret->audit.issued = ret->issued;
    ret->audit.users = ret->users;
    ret->audit.fees = ret->fees;
    ret->audit.sum = ret->sum;
    ret->audit.accounts = audit->accounts;
}

void wallet_rpc_audit(Wallet__Wallet_Service *self, const Wallet__AuditRequest *req,
                      Wallet__AuditResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)req;
    struct rpc_call *call = closure_data;
    struct wallet *w = rpc_call_context(call);
    size_t count = ledger_asset_count(w->ledger);
    AUTO_FREE struct ledger_audit *audit = calloc(count + 1, sizeof *audit);
    AUTO_FREE struct audit_message *messages = calloc(count + 1, sizeof *messages);
    AUTO_FREE Wallet__AssetAudit **items = calloc(count + 1, sizeof *items);
    if (!audit || !messages || !items) return fail_memory(call);
    Wallet__AuditResponse response = WALLET__AUDIT_RESPONSE__INIT;
    (void)pthread_rwlock_rdlock(&w->lock);
    response.balanced = ledger_audit(w->ledger, audit);
    response.entries = ledger_seq(w->ledger);
    (void)pthread_rwlock_unlock(&w->lock);
    for (size_t i = 0; i < count; i++) {
        audit_message(ledger_asset(w->ledger, i), &audit[i], &messages[i]);
        items[i] = &messages[i].audit;
    }
    response.items = items;
    response.n_items = count;
    reply(&response, call);
}
