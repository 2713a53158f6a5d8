/* Handlers that move users' money: decode, check, submit; the reply leaves when it is durable. */
#include "base/clock.h"
#include "base/crypt.h"
#include "bytes.h"
#include "wallet.h"
#include "wallet_store.h"

#include <stdlib.h>

#define KEY_SIZE_MAX (16 + COMMAND_REFERENCE_MAX)

bool wallet_caller(struct rpc_call *call, struct id *ret)
{
    const struct principal *p = rpc_call_principal(call);
    if (p->role != ROLE_SERVICE && id_parse(p->user_id, ret)) return true;
    rpc_fail(call, ERR_DENIED, "only a user has a wallet");
    return false;
}

/* ---- transfers ---- */

/*
 * A transfer's id: 128 bits of the SHA-256 of whose it is and what its caller calls it. Users have
 * each their own namespace; credits share the house's, so that two admins cannot credit the same
 * twice.
 */
static struct id transfer_key(struct id owner, const char *transfer_id)
{
    uint8_t key[KEY_SIZE_MAX];
    uint8_t hash[SHA256_SIZE];
    size_t size = strnlen(transfer_id, COMMAND_REFERENCE_MAX);
    put_u64(key, owner.hi);
    put_u64(key + 8, owner.lo);
    memcpy(key + 16, transfer_id, size);
    crypt_sha256(key, 16 + size, hash);
    return get_id(hash);
}

static void answer_transfer(struct submission *s)
{
    if (submission_failed(s)) return;
    struct ledger_asset asset = ledger_asset(s->wallet->ledger, s->leg.asset);
    char amount[DECIMAL_TEXT_SIZE];
    decimal_format(s->leg.amount, asset.scale, amount);
    Google__Protobuf__Timestamp created_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    created_at.seconds = s->first_time_ms / 1000;
    created_at.nanos = (int32_t)(s->first_time_ms % 1000) * 1000000;

    Wallet__Transfer transfer = WALLET__TRANSFER__INIT;
    transfer.transfer_id = (char *)s->transfer_id;
    transfer.asset = (char *)asset.name;
    transfer.amount = amount;
    transfer.created_at = &created_at;
    ((Wallet__Transfer_Closure)s->reply)(&transfer, s->call);
}

/* An id that the ledger may have forgotten is looked up in the documents first. */
struct lookup {
    struct job job;
    struct submission *s;
    struct id key;
};

/*
 * The documents must have every transfer that the ledger has forgotten. They do, unless so much
 * waits to be written that it may reach beyond the newest ids.
 */
static enum err wait_for_documents(struct wallet *w, int64_t deadline_ms)
{
    if (projection_waiting(w->projection, NULL) < w->transfer_ids_max / 2) return OK;
    (void)pthread_rwlock_rdlock(&w->lock);
    uint64_t seq = ledger_seq(w->ledger);
    (void)pthread_rwlock_unlock(&w->lock);
    return projection_wait(w->projection, seq, deadline_ms);
}

static void look_up(struct job *job)
{
    struct lookup *lookup = (struct lookup *)job;
    struct submission *s = lookup->s;
    struct transfer_row row;
    enum err e = wait_for_documents(s->wallet, rpc_call_deadline_ms(s->call));
    if (!e) e = wallet_store_transfer(s->wallet->store, lookup->key, &row);
    free(lookup);
    if (e == ERR_NOT_FOUND) {
        submission_submit(s);
        return;
    }
    if (e) {
        atomic_store(&s->err, e);
    } else {
        const char *asset = ledger_asset(s->wallet->ledger, s->leg.asset).name;
        bool same = id_equal(row.from, s->leg.from) && id_equal(row.to, s->leg.to) &&
                    row.amount == s->leg.amount && strcmp(row.asset, asset) == 0;
        s->result = same ? LEDGER_REPEATED : LEDGER_ID_REUSED;
        s->first_time_ms = row.time_ms;
    }
    submission_end(s);
}

static void submit_after_lookup(struct submission *s, struct id key)
{
    struct lookup *lookup = malloc(sizeof *lookup);
    enum err e = ERR_NO_MEMORY;
    if (lookup) {
        *lookup = (struct lookup){{look_up}, s, key};
        e = jobs_submit(s->wallet->jobs, &lookup->job);
    }
    if (!e) return;
    free(lookup);
    atomic_store(&s->err, e);
    submission_end(s);
}

static bool ids_were_forgotten(struct wallet *w)
{
    (void)pthread_rwlock_rdlock(&w->lock);
    bool forgotten = ledger_forgotten_ids(w->ledger) > 0;
    (void)pthread_rwlock_unlock(&w->lock);
    return forgotten;
}

/* What both requests say, checked. */
struct movement {
    const char *transfer_id, *asset, *amount;
    struct id from, to, actor;
    uint8_t kind;
};

static bool parse_amount(struct wallet *w, struct rpc_call *call, const struct movement *m,
                         struct transfer_leg *ret)
{
    *ret = (struct transfer_leg){.from = m->from, .to = m->to};
    if (!ledger_asset_find(w->ledger, m->asset, &ret->asset)) {
        rpc_fail_field(call, "asset", "one of this platform's assets; there is no %s", m->asset);
        return false;
    }
    unsigned scale = ledger_asset(w->ledger, ret->asset).scale;
    if (decimal_parse(m->amount, scale, &ret->amount)) {
        rpc_fail_field(call, "amount", "a number with at most %u decimals", scale);
        return false;
    }
    if (ret->amount > 0) return true;
    rpc_fail_field(call, "amount", "more than zero");
    return false;
}

static void submit_transfer(struct rpc_call *call, const struct movement *m,
                            Wallet__Transfer_Closure reply)
{
    struct wallet *w = rpc_call_context(call);
    struct transfer_leg leg;
    struct submission *s = NULL;
    if (!parse_amount(w, call, m, &leg)) return;
    enum err e = submission_new(w, call, answer_transfer, &s);
    if (e) return rpc_fail(call, e, "out of memory");
    s->reply = (void (*)(void))reply;
    s->transfer_id = m->transfer_id;
    s->leg = leg;

    struct id key = transfer_key(m->from, m->transfer_id);
    struct ledger_command c = {.kind = COMMAND_TRANSFER};
    c.transfer.id = key;
    c.transfer.actor = m->actor;
    c.transfer.kind = m->kind;
    c.transfer.reference.text = m->transfer_id;
    c.transfer.reference.size = (uint8_t)strnlen(m->transfer_id, COMMAND_REFERENCE_MAX);
    c.transfer.leg_count = 1;
    c.transfer.legs[0] = leg;
    command_encode(&c, &s->parts[0].bytes);
    if (ids_were_forgotten(w))
        submit_after_lookup(s, key);
    else
        submission_submit(s);
}

/* The wallet does not see users: any id of a user's shape has accounts. */
static bool parse_user(struct rpc_call *call, const char *field, const char *text, struct id *ret)
{
    if (id_parse(text, ret) && !ledger_owner_is_house(*ret)) return true;
    rpc_fail_field(call, field, "a user's id");
    return false;
}

static void rpc_transfer_funds(Wallet__Wallet_Service *self, const Wallet__TransferRequest *req,
                               Wallet__Transfer_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct movement m = {.transfer_id = req->transfer_id,
                         .asset = req->asset,
                         .amount = req->amount,
                         .kind = ENTRY_TRANSFER};
    if (!wallet_caller(call, &m.from)) return;
    if (!parse_user(call, "toUserId", req->to_user_id, &m.to)) return;
    if (id_equal(m.from, m.to))
        return rpc_fail_field(call, "toUserId", "another user: money cannot be sent to oneself");
    m.actor = m.from;
    submit_transfer(call, &m, reply);
}

static void rpc_credit(Wallet__Wallet_Service *self, const Wallet__CreditRequest *req,
                       Wallet__Transfer_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct movement m = {.transfer_id = req->transfer_id,
                         .asset = req->asset,
                         .amount = req->amount,
                         .from = LEDGER_ISSUED,
                         .kind = ENTRY_CREDIT};
    if (!parse_user(call, "userId", req->user_id, &m.to)) return;
    (void)id_parse(rpc_call_principal(call)->user_id, &m.actor); /* zero: a service */
    submit_transfer(call, &m, reply);
}

/* The slots of WALLET__WALLET__INIT(rpc_) that other files have. */
#define rpc_list_assets   wallet_rpc_list_assets
#define rpc_list_balances wallet_rpc_list_balances
#define rpc_statement     wallet_rpc_statement
#define rpc_audit         wallet_rpc_audit
#define rpc_hold_funds    wallet_rpc_hold_funds
#define rpc_settle        wallet_rpc_settle
#define rpc_reconcile     wallet_rpc_reconcile
Wallet__Wallet_Service wallet_rpc_service = WALLET__WALLET__INIT(rpc_);
