/*
 * Transfers: linked legs that apply all or none, and two-phase ones (hold, then post or void). Each
 * request has an id and happens once.
 */
#include "ledger_state.h"

/* A body's fingerprint is kept in snapshots: the same in every version and on every machine. */
static uint64_t mix(uint64_t fingerprint, uint64_t value)
{
    return hash_fold(fingerprint ^ value, UINT64_C(0xa0761d6478bd642f)) + value;
}

static uint64_t mix_id(uint64_t fingerprint, struct id id)
{
    return mix(mix(fingerprint, id.hi), id.lo);
}

static uint64_t transfer_fingerprint(const struct transfer_command *t)
{
    uint64_t f = mix(COMMAND_TRANSFER, t->kind);
    for (uint8_t i = 0; i < t->leg_count; i++) {
        f = mix_id(mix_id(f, t->legs[i].from), t->legs[i].to);
        f = mix(mix(f, t->legs[i].asset), (uint64_t)t->legs[i].amount);
    }
    return f;
}

/* Has the id been used? LEDGER_OK: no. */
static enum ledger_result known(const struct ledger *l, struct id id, uint64_t fingerprint,
                                struct ledger_output *out)
{
    const struct transfer_id *first = transfer_ids_find(&l->ids, id);
    if (!first) return LEDGER_OK;
    if (first->fingerprint != fingerprint) return LEDGER_ID_REUSED;
    out->first_time_ms = first->time_ms;
    out->first_seq = first->seq;
    return LEDGER_REPEATED;
}

static enum ledger_result remember(struct ledger *l, struct id id, uint64_t fingerprint,
                                   int64_t time_ms, struct ledger_output *out)
{
    transfer_ids_add(&l->ids,
                     &(struct transfer_id){
                         .id = id, .fingerprint = fingerprint, .time_ms = time_ms, .seq = l->seq});
    out->first_time_ms = time_ms;
    out->first_seq = l->seq;
    return LEDGER_OK;
}

static uint32_t position(const struct ledger *l, const struct account *a)
{
    return (uint32_t)(a - l->accounts.items);
}

/* Where a leg takes from: only the issued account may be made for it. */
static enum ledger_result payer(struct ledger *l, const struct transfer_leg *leg, uint32_t *ret)
{
    const struct account *from = owner_is_issued(leg->from)
                                     ? accounts_get(&l->accounts, leg->from, leg->asset)
                                     : accounts_find(&l->accounts, leg->from, leg->asset);
    if (!from) return owner_is_issued(leg->from) ? LEDGER_FULL : LEDGER_INSUFFICIENT;
    *ret = position(l, from);
    return LEDGER_OK;
}

static enum ledger_result move(struct ledger *l, const struct transfer_leg *leg, uint8_t kind,
                               struct ledger_output *out)
{
    if (leg->asset >= l->asset_count) return LEDGER_UNKNOWN_ASSET;
    if (leg->amount <= 0) return LEDGER_INVALID;
    if (id_equal(leg->from, leg->to)) return LEDGER_SAME_ACCOUNT;

    uint32_t from = 0;
    enum ledger_result r = payer(l, leg, &from);
    if (r) return r;
    r = ledger_post(
        l, &(struct ledger_entry){.account = from, .amount = -leg->amount, .kind = kind}, out);
    if (r) return r;
    const struct account *to = accounts_get(&l->accounts, leg->to, leg->asset);
    if (!to) return LEDGER_FULL;
    return ledger_post(
        l, &(struct ledger_entry){.account = position(l, to), .amount = leg->amount, .kind = kind},
        out);
}

void ledger_prefetch_transfer(const struct ledger *l, const struct transfer_command *t)
{
    index_prefetch(&l->ids.index, transfer_id_hash(&l->ids, t->id));
    transfer_ids_prefetch_oldest(&l->ids, LEDGER_PREFETCH_AHEAD);
    const struct transfer_leg *leg = &t->legs[0];
    index_prefetch(&l->accounts.index, account_hash(&l->accounts, leg->from, leg->asset));
    index_prefetch(&l->accounts.index, account_hash(&l->accounts, leg->to, leg->asset));
}

enum ledger_result ledger_transfer(struct ledger *l, const struct ledger_command *c,
                                   struct ledger_output *out)
{
    const struct transfer_command *t = &c->transfer;
    uint64_t fingerprint = transfer_fingerprint(t);
    enum ledger_result r = known(l, t->id, fingerprint, out);
    if (r) return r;

    struct mark mark = ledger_mark(l, out);
    for (uint8_t i = 0; i < t->leg_count; i++) {
        r = move(l, &t->legs[i], t->kind, out);
        if (!r) continue;
        ledger_undo(l, mark, 0, out);
        return r;
    }
    for (uint8_t i = 0; i < t->leg_count; i++)
        ledger_check_sum(l, t->legs[i].asset);
    return remember(l, t->id, fingerprint, c->time_ms, out);
}

/* ---- two-phase ---- */

static uint64_t hold_fingerprint(const struct hold_command *h)
{
    return mix(mix(mix_id(COMMAND_HOLD, h->owner), h->asset), (uint64_t)h->amount);
}

enum ledger_result ledger_hold(struct ledger *l, const struct ledger_command *c,
                               struct ledger_output *out)
{
    const struct hold_command *h = &c->hold;
    uint64_t fingerprint = hold_fingerprint(h);
    enum ledger_result r = known(l, h->id, fingerprint, out);
    if (r) return r;
    if (h->asset >= l->asset_count) return LEDGER_UNKNOWN_ASSET;
    if (h->amount <= 0 || owner_is_house(h->owner)) return LEDGER_INVALID;
    /* Its id may be older than the table of ids: then the hold itself still knows. */
    if (holds_find(&l->holds, 0, h->id)) return LEDGER_ID_REUSED;

    const struct account *a = accounts_find(&l->accounts, h->owner, h->asset);
    if (!a || a->total - a->held < h->amount) return LEDGER_INSUFFICIENT;
    struct hold hold = {
        .id = h->id, .account = position(l, a), .amount = h->amount, .amount_first = h->amount};
    if (!holds_add(&l->holds, &hold)) return LEDGER_FULL;
    ledger_hold_back(l, hold.account, h->amount);
    return remember(l, h->id, fingerprint, c->time_ms, out);
}

static enum ledger_result post(struct ledger *l, const struct post_command *p,
                               const struct hold *hold, struct ledger_output *out)
{
    const struct account *from = &l->accounts.items[hold->account];
    uint16_t asset = from->asset;
    if (id_equal(from->owner, p->to)) return LEDGER_SAME_ACCOUNT;

    const struct account *to = accounts_get(&l->accounts, p->to, asset);
    if (!to) return LEDGER_FULL;
    struct ledger_entry entry = {.account = position(l, to), .amount = p->amount, .kind = p->kind};
    enum ledger_result r = ledger_post(l, &entry, out);
    if (r) return r;
    /* Nothing can fail from here: what is held is there. */
    ledger_hold_back(l, hold->account, -hold->amount);
    entry.account = hold->account;
    entry.amount = -p->amount;
    r = ledger_post(l, &entry, out);
    CHECK(!r);
    ledger_check_sum(l, asset);
    return LEDGER_OK;
}

enum ledger_result ledger_post_hold(struct ledger *l, const struct ledger_command *c,
                                    struct ledger_output *out)
{
    const struct post_command *p = &c->post;
    uint64_t f = mix(mix_id(mix_id(COMMAND_POST, p->hold), p->to), p->kind);
    f = mix(f, (uint64_t)p->amount);
    enum ledger_result r = known(l, p->id, f, out);
    if (r) return r;
    struct hold *hold = holds_find(&l->holds, 0, p->hold);
    if (!hold) return LEDGER_NO_HOLD;
    if (p->amount <= 0) return LEDGER_INVALID;
    if (p->amount > hold->amount) return LEDGER_INSUFFICIENT;

    struct mark mark = ledger_mark(l, out);
    r = post(l, p, hold, out);
    if (r) {
        ledger_undo(l, mark, 0, out);
        return r;
    }
    holds_remove(&l->holds, hold);
    return remember(l, p->id, f, c->time_ms, out);
}

enum ledger_result ledger_void_hold(struct ledger *l, const struct ledger_command *c,
                                    struct ledger_output *out)
{
    const struct void_command *v = &c->void_hold;
    uint64_t fingerprint = mix_id(COMMAND_VOID, v->hold);
    enum ledger_result r = known(l, v->id, fingerprint, out);
    if (r) return r;
    struct hold *hold = holds_find(&l->holds, 0, v->hold);
    if (!hold) return LEDGER_NO_HOLD;
    ledger_hold_back(l, hold->account, -hold->amount);
    holds_remove(&l->holds, hold);
    return remember(l, v->id, fingerprint, c->time_ms, out);
}
