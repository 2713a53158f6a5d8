/* HoldFunds and Reconcile, from the shard's side. */
#include "funds.h"

#include "base/clock.h"

#include "wallet.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>

/* What a process that died may have asked for beyond all that is known: its last batch. */
#define LATE_HOLDS_MAX JOURNAL_BATCH_MAX

/* HoldResponse's results. */
enum hold_result { HOLD_OK = 0, HOLD_INSUFFICIENT = 1, HOLD_FENCED = 2, HOLD_UNKNOWN_ASSET = 3 };

struct hold_memory {
    struct pending *items[JOURNAL_BATCH_MAX];
    Wallet__Hold holds[JOURNAL_BATCH_MAX];
    Wallet__Hold *pointers[JOURNAL_BATCH_MAX];
    uint8_t users[JOURNAL_BATCH_MAX][USER_SIZE];
};

enum err funds_init(struct funds *f, struct rpc_client *wallet, uint16_t shard)
{
    *f = (struct funds){.wallet = wallet, .shard = shard};
    f->memory = calloc(1, sizeof *f->memory);
    if (!f->memory) return ERR_NO_MEMORY;
    f->items = f->memory->items;
    return OK;
}

void funds_release(struct funds *f)
{
    free(f->memory);
    f->memory = NULL;
}

bool funds_ready(const struct funds *f)
{
    return atomic_load(&f->ready);
}

static enum err call(struct funds *f, const char *method, const ProtobufCMessage *request,
                     ProtobufCMessage **ret, struct rpc_status *status)
{
    const struct principal self = principal_service("trading");
    const struct rpc_options options = {.deadline_ms = clock_mono_ms() + HOLD_TIMEOUT_MS,
                                        .principal = &self};
    return rpc_call(f->wallet, method, request, &options, ret, status);
}

static enum err reconcile(struct funds *f, uint64_t last_order_id, uint64_t fence_order_id,
                          uint64_t *ret_max_order_id, uint64_t *ret_settled_seq,
                          struct rpc_status *status)
{
    Wallet__ReconcileRequest request = WALLET__RECONCILE_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.shard = f->shard;
    request.last_order_id = last_order_id;
    request.fence_order_id = fence_order_id;
    enum err e = call(f, "wallet.Wallet/Reconcile", &request.base, &reply, status);
    if (e) return e;
    const Wallet__ReconcileResponse *response = (const Wallet__ReconcileResponse *)reply;
    *ret_max_order_id = response->max_order_id;
    *ret_settled_seq = response->settled_seq;
    protobuf_c_message_free_unpacked(reply, NULL);
    return OK;
}

/* Holds may only be voided by the journal that knows which orders are durable. */
static enum err check_belongs(const struct funds_position *journal, uint64_t settled_seq,
                              struct err_detail *detail)
{
    if (settled_seq > journal->outbox_seq)
        return err_set(detail, ERR_CONFLICT,
                       "the wallet has settled %" PRIu64 " but the journal ends at %" PRIu64
                       ": restore the journal that belongs to it",
                       settled_seq, journal->outbox_seq);
    if (settled_seq < journal->kept_seq)
        return err_set(detail, ERR_CONFLICT,
                       "the wallet has settled %" PRIu64 " but had settled %" PRIu64
                       ": restore the wallet that belongs to this journal",
                       settled_seq, journal->kept_seq);
    return OK;
}

/*
 * Twice: the first, which voids nothing, tells how far the ids and the settlements went; the second
 * fences all that a process that died may have asked for.
 */
enum err funds_reconcile_start(struct funds *f, const struct funds_position *journal,
                               uint64_t *ret_settled_seq, struct err_detail *detail)
{
    struct rpc_status status = {0};
    uint64_t last = journal->last_order_id, highest = 0, settled_seq = 0;
    enum err e = reconcile(f, last, last + 1, &highest, &settled_seq, &status);
    if (e) return err_set(detail, e, "the wallet does not reconcile: %s", status.message);
    e = check_belongs(journal, settled_seq, detail);
    if (e) return e;
    f->next_order_id = (highest > last ? highest : last) + LATE_HOLDS_MAX + 1;
    e = reconcile(f, last, f->next_order_id, &highest, &settled_seq, &status);
    if (e) return err_set(detail, e, "the wallet does not reconcile: %s", status.message);
    *ret_settled_seq = settled_seq;
    atomic_store(&f->ready, true);
    return OK;
}

void funds_add(struct funds *f, struct pending *p, const char *asset, int64_t amount)
{
    CHECK(f->count < JOURNAL_BATCH_MAX);
    struct hold_memory *m = f->memory;
    Wallet__Hold *hold = &m->holds[f->count];
    p->request.order_id = f->next_order_id++;
    wallet__hold__init(hold);
    hold->order_id = p->request.order_id;
    user_bytes(p->request.user, m->users[f->count]);
    hold->user = (ProtobufCBinaryData){USER_SIZE, m->users[f->count]};
    hold->asset = (char *)(uintptr_t)asset;
    hold->amount_minor = amount;
    m->pointers[f->count] = hold;
    f->items[f->count++] = p;
}

static void refuse_all(struct funds *f)
{
    for (size_t i = 0; i < f->count; i++)
        pending_refuse(f->items[i], ERR_UNAVAILABLE, "wallet_unavailable",
                       "the wallet is not available right now; the order was not placed");
}

static void take_result(struct funds *f, struct pending *p, uint8_t result)
{
    switch (result) {
    case HOLD_OK:
        p->held = true;
        break;
    case HOLD_INSUFFICIENT:
        pending_refuse(p, ERR_PRECONDITION, "insufficient_funds", "not enough is available");
        break;
    case HOLD_UNKNOWN_ASSET:
        pending_refuse(p, ERR_PRECONDITION, "unknown_asset", "the wallet does not know the asset");
        break;
    case HOLD_FENCED:
        f->unclean = true; /* fallthrough */
    default:
        pending_refuse(p, ERR_UNAVAILABLE, "wallet_unavailable",
                       "the wallet could not hold the order's cost; it was not placed");
    }
}

static enum err ask(struct funds *f)
{
    Wallet__HoldRequest request = WALLET__HOLD_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.shard = f->shard;
    request.n_holds = f->count;
    request.holds = f->memory->pointers;
    enum err e = call(f, "wallet.Wallet/HoldFunds", &request.base, &reply, NULL);
    if (e) return e;
    const Wallet__HoldResponse *response = (const Wallet__HoldResponse *)reply;
    if (response->results.len == f->count)
        for (size_t i = 0; i < f->count; i++)
            take_result(f, f->items[i], response->results.data[i]);
    else
        e = ERR_INTERNAL;
    protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

void funds_ask(struct funds *f, uint64_t last_order_id)
{
    if (!f->count) return;
    enum err e = OK;
    uint64_t highest, settled_seq;
    if (f->unclean)
        e = reconcile(f, last_order_id, f->items[0]->request.order_id, &highest, &settled_seq,
                      NULL);
    if (!e) {
        f->unclean = false;
        e = ask(f);
    }
    if (e) {
        f->unclean = true;
        refuse_all(f);
    }
    f->count = 0;
}

void funds_lost(struct funds *f)
{
    f->unclean = true;
}
