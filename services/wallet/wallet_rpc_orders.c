/*
 * What trading calls: holds, settlements, reconciliation. A request becomes one journal entry, or
 * several where it does not fit one.
 */
#include "bytes.h"
#include "wallet.h"

#include <stdlib.h>

#define ASSET_UNKNOWN    UINT16_MAX /* no ledger has as many: it answers that there is none */
#define SETTLE_HEAD_SIZE 15         /* kind, time, shard, count */
#define PART_SIZE_MAX    (COMMAND_SIZE_MAX - SETTLE_HEAD_SIZE)

/* 16 bytes as in the 32 hex digits of a user's id. */
static bool read_user(const ProtobufCBinaryData *bytes, struct id *ret)
{
    if (bytes->len != 16) return false;
    uint64_t words[2];
    memcpy(words, bytes->data, sizeof words);
    *ret = (struct id){.hi = be64toh(words[0]), .lo = be64toh(words[1])};
    return true;
}

/* The assets of a batch are few: the last one is remembered. */
struct asset_memory {
    const struct ledger *ledger;
    const char *name;
    uint16_t asset;
};

static uint16_t find_asset(struct asset_memory *m, const char *name)
{
    if (m->name && strcmp(m->name, name) == 0) return m->asset;
    m->name = name;
    if (!ledger_asset_find(m->ledger, name, &m->asset)) m->asset = ASSET_UNKNOWN;
    return m->asset;
}

/* ---- holds ---- */

static void answer_hold(struct submission *s)
{
    if (submission_failed(s)) return;
    Wallet__HoldResponse response = WALLET__HOLD_RESPONSE__INIT;
    response.results.data = s->hold_results;
    response.results.len = *(const size_t *)s->arg;
    ((Wallet__HoldResponse_Closure)s->reply)(&response, s->call);
}

static struct part *hold_part(struct submission *s, uint32_t shard, size_t first_hold)
{
    struct part *part = first_hold ? submission_add_part(s) : &s->parts[0];
    if (!part) return NULL;
    part->first_hold = first_hold;
    command_begin_order_holds(&part->bytes, shard);
    return part;
}

static bool encode_holds(struct submission *s, const Wallet__HoldRequest *req)
{
    struct asset_memory memory = {.ledger = s->wallet->ledger};
    struct part *part = hold_part(s, req->shard, 0);
    for (size_t i = 0; part && i < req->n_holds; i++) {
        const Wallet__Hold *in = req->holds[i];
        struct order_hold hold = {.order_id = in->order_id,
                                  .amount = in->amount_minor,
                                  .asset = find_asset(&memory, in->asset)};
        (void)read_user(&in->user, &hold.owner); /* else the house's zero: refused by the ledger */
        if (part->bytes.size + COMMAND_ORDER_HOLD_SIZE > COMMAND_SIZE_MAX)
            part = hold_part(s, req->shard, i);
        if (part) command_add_order_hold(&part->bytes, &hold);
    }
    return part;
}

void wallet_rpc_hold_funds(Wallet__Wallet_Service *self, const Wallet__HoldRequest *req,
                           Wallet__HoldResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct submission *s = NULL;
    enum err e = submission_new(rpc_call_context(call), call, answer_hold, &s);
    if (e) return rpc_fail(call, e, "out of memory");
    s->reply = (void (*)(void))reply;
    s->arg = (void *)&req->n_holds;
    s->hold_results = calloc(req->n_holds + 1, 1);
    if (!s->hold_results || !encode_holds(s, req)) {
        submission_free(s);
        return rpc_fail(call, ERR_NO_MEMORY, "out of memory");
    }
    submission_submit(s);
}

/* ---- settlements ---- */

/*
 * Settlements into journal entries. One that fits an entry is never cut. A larger one is cut by a
 * rule that looks at nothing but itself, because after a crash the rest of it comes again in
 * another request: it begins an entry, and each part ends before the first movement (legs that sum
 * to zero) that does not fit. This rule can never change while a settlement may be half applied.
 */
struct packer {
    struct submission *s;
    struct part *part;
    uint32_t shard;
    struct asset_memory memory;
    struct settle_leg *legs; /* of the settlement at hand */
    size_t head;             /* of its part at hand */
    uint64_t seq;
    uint16_t part_number;
    __int128 *sums; /* per asset, of the movement at hand */
    const char *error;
};

static bool refuse(struct packer *p, const char *error)
{
    p->error = error;
    return false;
}

static size_t room(const struct packer *p)
{
    return COMMAND_SIZE_MAX - p->part->bytes.size;
}

static bool begin_entry(struct packer *p)
{
    if (p->part->bytes.size == SETTLE_HEAD_SIZE) return true; /* nothing in it yet */
    p->part = submission_add_part(p->s);
    if (!p->part) return refuse(p, "settlements of fewer bytes in one request");
    command_begin_settle(&p->part->bytes, p->shard);
    return true;
}

static void begin_part(struct packer *p)
{
    p->head = command_add_settlement(&p->part->bytes, p->seq, p->part_number++);
}

/* The part at hand is not the last: the next goes on in a new entry. */
static bool cut(struct packer *p)
{
    command_settlement_last(&p->part->bytes, p->head, false);
    if (!begin_entry(p)) return false;
    begin_part(p);
    return true;
}

/* Where the movement that begins at leg i ends; the rest when it does not balance (refused later).
 */
static size_t movement_end(struct packer *p, size_t i, size_t count)
{
    size_t unbalanced = 0;
    for (; i < count; i++) {
        __int128 *sum = &p->sums[p->legs[i].asset];
        unbalanced -= *sum != 0;
        *sum += p->legs[i].amount;
        unbalanced += *sum != 0;
        if (!unbalanced) return i + 1;
    }
    memset(p->sums, 0, LEDGER_ASSETS_MAX * sizeof *p->sums);
    return count;
}

static bool pack_large(struct packer *p, size_t leg_count, const Wallet__Settlement *in)
{
    if (!begin_entry(p)) return false;
    begin_part(p);
    for (size_t i = 0; i < leg_count;) {
        size_t end = movement_end(p, i, leg_count);
        size_t size = (end - i) * COMMAND_LEG_SIZE;
        if (size > PART_SIZE_MAX - COMMAND_SETTLEMENT_SIZE)
            return refuse(p, "legs that sum to zero after at most 1,500 of them");
        if (size > room(p) && !cut(p)) return false;
        for (; i < end; i++)
            command_add_leg(&p->part->bytes, p->head, &p->legs[i]);
    }
    for (size_t i = 0; i < in->n_releases; i++) {
        if (room(p) < COMMAND_RELEASE_SIZE && !cut(p)) return false;
        command_add_release(&p->part->bytes, p->head, in->releases[i]->order_id);
    }
    return true;
}

static bool pack(struct packer *p, size_t leg_count, const Wallet__Settlement *in)
{
    size_t size = COMMAND_SETTLEMENT_SIZE + leg_count * COMMAND_LEG_SIZE +
                  in->n_releases * COMMAND_RELEASE_SIZE;
    if (size > PART_SIZE_MAX) return pack_large(p, leg_count, in);
    if (size > room(p) && !begin_entry(p)) return false;
    begin_part(p);
    for (size_t i = 0; i < leg_count; i++)
        command_add_leg(&p->part->bytes, p->head, &p->legs[i]);
    for (size_t i = 0; i < in->n_releases; i++)
        command_add_release(&p->part->bytes, p->head, in->releases[i]->order_id);
    return true;
}

static bool read_leg(struct packer *p, const Wallet__Leg *in, struct settle_leg *ret)
{
    *ret = (struct settle_leg){.order_id = in->order_id,
                               .owner = LEDGER_FEES,
                               .amount = in->amount_minor,
                               .trade_id = in->trade_id,
                               .asset = find_asset(&p->memory, in->asset),
                               .kind = (uint8_t)in->kind};
    if (ret->asset == ASSET_UNKNOWN) return refuse(p, "an asset that the wallet has");
    if (in->user.len == 0) return true;
    if (!read_user(&in->user, &ret->owner) || ledger_owner_is_house(ret->owner))
        return refuse(p, "a user of 16 bytes, or none for the house's fees");
    return true;
}

static bool encode_settlement(struct packer *p, const Wallet__Settlement *in)
{
    AUTO_FREE struct settle_leg *legs = calloc(in->n_legs + 1, sizeof *legs);
    if (!legs) return refuse(p, "less than there is memory for");
    for (size_t i = 0; i < in->n_legs; i++)
        if (!read_leg(p, in->legs[i], &legs[i])) return false;
    p->legs = legs;
    p->seq = in->seq;
    p->part_number = 0;
    return pack(p, in->n_legs, in);
}

static bool encode_settlements(struct packer *p, const Wallet__SettleRequest *req)
{
    AUTO_FREE __int128 *sums = calloc(LEDGER_ASSETS_MAX, sizeof *sums);
    if (!sums) return refuse(p, "less than there is memory for");
    p->sums = sums;
    command_begin_settle(&p->part->bytes, req->shard);
    for (size_t i = 0; i < req->n_settlements; i++)
        if (!encode_settlement(p, req->settlements[i])) return false;
    return true;
}

static void answer_settle(struct submission *s)
{
    if (submission_failed(s)) return;
    Wallet__SettleResponse response = WALLET__SETTLE_RESPONSE__INIT;
    response.settled_seq = s->settled_seq;
    ((Wallet__SettleResponse_Closure)s->reply)(&response, s->call);
}

void wallet_rpc_settle(Wallet__Wallet_Service *self, const Wallet__SettleRequest *req,
                       Wallet__SettleResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct wallet *w = rpc_call_context(call);
    struct submission *s = NULL;
    enum err e = submission_new(w, call, answer_settle, &s);
    if (e) return rpc_fail(call, e, "out of memory");
    s->reply = (void (*)(void))reply;
    struct packer p = {
        .s = s, .part = &s->parts[0], .shard = req->shard, .memory = {.ledger = w->ledger}};
    if (!encode_settlements(&p, req)) {
        submission_free(s);
        return rpc_fail_field(call, "settlements", "%s", p.error);
    }
    submission_submit(s);
}

/* ---- after a failure ---- */

static void answer_reconcile(struct submission *s)
{
    if (submission_failed(s)) return;
    Wallet__ReconcileResponse response = WALLET__RECONCILE_RESPONSE__INIT;
    response.voided = s->voided;
    response.max_order_id = s->max_order_id;
    response.settled_seq = s->settled_seq;
    ((Wallet__ReconcileResponse_Closure)s->reply)(&response, s->call);
}

void wallet_rpc_reconcile(Wallet__Wallet_Service *self, const Wallet__ReconcileRequest *req,
                          Wallet__ReconcileResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct submission *s = NULL;
    enum err e = submission_new(rpc_call_context(call), call, answer_reconcile, &s);
    if (e) return rpc_fail(call, e, "out of memory");
    s->reply = (void (*)(void))reply;
    const struct ledger_command c = {.kind = COMMAND_RECONCILE,
                                     .reconcile = {.shard = req->shard,
                                                   .last_order_id = req->last_order_id,
                                                   .fence_order_id = req->fence_order_id}};
    command_encode(&c, &s->parts[0].bytes);
    submission_submit(s);
}
