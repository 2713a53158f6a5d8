/*
 * What trading's shards do to money: holds for orders, settlements of durable batches, and the
 * reconciliation after a failure.
 */
#include "ledger_state.h"

/* NULL: there are LEDGER_SHARDS_MAX. */
static struct shard *shard_get(struct ledger *l, uint32_t id)
{
    for (size_t i = 0; i < l->shard_count; i++)
        if (l->shards[i].id == id) return &l->shards[i];
    if (id == UINT32_MAX || l->shard_count == LEDGER_SHARDS_MAX) return NULL;
    struct shard *shard = &l->shards[l->shard_count++];
    *shard = (struct shard){.id = id};
    return shard;
}

static uint32_t space_of(const struct shard *shard)
{
    return shard->id + 1;
}

/* ---- holds ---- */

static enum order_hold_result repeated(const struct ledger *l, const struct hold *hold,
                                       const struct order_hold *h)
{
    const struct account *a = &l->accounts.items[hold->account];
    bool same =
        id_equal(a->owner, h->owner) && a->asset == h->asset && hold->amount_first == h->amount;
    return same ? ORDER_HELD : ORDER_INVALID;
}

static enum order_hold_result hold_one(struct ledger *l, const struct shard *shard,
                                       uint64_t seen_order_id, const struct order_hold *h)
{
    if (h->order_id < shard->fence) return ORDER_FENCED;
    if (h->asset >= l->asset_count) return ORDER_UNKNOWN_ASSET;
    if (h->order_id == 0 || h->amount <= 0 || owner_is_house(h->owner)) return ORDER_INVALID;
    const struct hold *there = holds_find(&l->holds, space_of(shard), order_key(h->order_id));
    if (there) return repeated(l, there, h);
    if (h->order_id <= seen_order_id) return ORDER_INSUFFICIENT; /* refused before, or over */

    const struct account *a = accounts_find(&l->accounts, h->owner, h->asset);
    if (!a || a->total - a->held < h->amount) return ORDER_INSUFFICIENT;
    struct hold hold = {.id = order_key(h->order_id),
                        .space = space_of(shard),
                        .account = (uint32_t)(a - l->accounts.items),
                        .amount = h->amount,
                        .amount_first = h->amount};
    if (!holds_add(&l->holds, &hold)) return ORDER_FULL;
    ledger_hold_back(l, hold.account, h->amount);
    return ORDER_HELD;
}

enum ledger_result ledger_order_holds(struct ledger *l, const struct order_holds_command *c,
                                      struct ledger_output *out)
{
    struct shard *shard = shard_get(l, c->shard);
    if (!shard) return LEDGER_FULL;
    uint64_t seen_order_id = shard->max_order_id;
    for (uint16_t i = 0; i < c->count; i++) {
        struct order_hold h = order_hold_get(c, i);
        out->hold_results[i] = (uint8_t)hold_one(l, shard, seen_order_id, &h);
        if (h.order_id > shard->max_order_id) shard->max_order_id = h.order_id;
    }
    return LEDGER_OK;
}

/* ---- settlements ---- */

static enum ledger_result pay(struct ledger *l, const struct shard *shard,
                              const struct settle_leg *leg, struct ledger_output *out)
{
    struct hold *hold = holds_find(&l->holds, space_of(shard), order_key(leg->order_id));
    if (!hold) return LEDGER_NO_HOLD;
    const struct account *a = &l->accounts.items[hold->account];
    if (!id_equal(a->owner, leg->owner) || a->asset != leg->asset) return LEDGER_NO_HOLD;
    if (leg->amount < -hold->amount) return LEDGER_INSUFFICIENT;

    ledger_hold_back(l, hold->account, leg->amount);
    hold->amount += leg->amount;
    enum ledger_result r = ledger_post(l,
                                       &(struct ledger_entry){.account = hold->account,
                                                              .amount = leg->amount,
                                                              .order_id = leg->order_id,
                                                              .trade_id = leg->trade_id,
                                                              .kind = leg->kind,
                                                              .from_hold = true},
                                       out);
    CHECK(!r); /* what is held is there */
    return LEDGER_OK;
}

static enum ledger_result receive(struct ledger *l, const struct settle_leg *leg,
                                  struct ledger_output *out)
{
    if (owner_is_issued(leg->owner)) return LEDGER_INVALID;
    const struct account *a = accounts_get_promised(&l->accounts, leg->owner, leg->asset);
    struct ledger_entry entry = {.account = (uint32_t)(a - l->accounts.items),
                                 .amount = leg->amount,
                                 .order_id = leg->order_id,
                                 .trade_id = leg->trade_id,
                                 .kind = leg->kind};
    return ledger_post(l, &entry, out);
}

static enum ledger_result post_legs(struct ledger *l, const struct shard *shard,
                                    const struct settlement *s, struct ledger_output *out)
{
    for (uint16_t i = 0; i < s->leg_count; i++) {
        struct settle_leg leg = settle_leg_get(s, i);
        if (leg.asset >= l->asset_count) return LEDGER_UNKNOWN_ASSET;
        if (leg.amount == 0 || leg.amount == INT64_MIN) return LEDGER_INVALID;
        enum ledger_result r = leg.amount < 0 ? pay(l, shard, &leg, out) : receive(l, &leg, out);
        if (r) return r;
    }
    for (uint16_t i = 0; i < s->leg_count; i++)
        if (l->assets[settle_leg_get(s, i).asset].sum != 0) return LEDGER_UNBALANCED;
    return LEDGER_OK;
}

/* A hold that is not there has been released already: giving nothing back is right. */
static void release(struct ledger *l, const struct shard *shard, uint64_t order_id)
{
    struct hold *hold = holds_find(&l->holds, space_of(shard), order_key(order_id));
    if (!hold) return;
    ledger_hold_back(l, hold->account, -hold->amount);
    holds_remove(&l->holds, hold);
}

static enum ledger_result settle_one(struct ledger *l, struct shard *shard,
                                     const struct settlement *s, struct ledger_output *out)
{
    bool next = s->seq == shard->settled_seq + 1;
    if (s->seq <= shard->settled_seq || (next && s->part < shard->settled_parts))
        return LEDGER_REPEATED;
    if (!next || s->part != shard->settled_parts) return LEDGER_GAP;

    struct mark mark = ledger_mark(l, out);
    enum ledger_result r = post_legs(l, shard, s, out);
    if (r) {
        ledger_undo(l, mark, space_of(shard), out);
        return r;
    }
    for (uint16_t i = 0; i < s->release_count; i++)
        release(l, shard, settle_release_get(s, i));
    shard->settled_parts = s->last ? 0 : (uint16_t)(s->part + 1);
    if (s->last) shard->settled_seq = s->seq;
    return LEDGER_OK;
}

enum ledger_result ledger_settle(struct ledger *l, const struct settle_command *c,
                                 struct ledger_output *out)
{
    struct shard *shard = shard_get(l, c->shard);
    if (!shard) return LEDGER_FULL;
    struct settlement s;
    enum ledger_result r = LEDGER_OK;
    for (size_t offset = 0; settlement_next(c, &offset, &s);) {
        r = settle_one(l, shard, &s, out);
        if (ledger_result_err(r)) break;
        r = LEDGER_OK;
    }
    out->settled_seq = shard->settled_seq;
    return r;
}

/* ---- after a failure ---- */

enum ledger_result ledger_reconcile(struct ledger *l, const struct reconcile_command *c,
                                    struct ledger_output *out)
{
    struct shard *shard = shard_get(l, c->shard);
    if (!shard) return LEDGER_FULL;
    out->voided = 0;
    /* Downwards: removing moves the last one, already seen, into the gap. */
    for (uint32_t i = l->holds.count; i-- > 0;) {
        struct hold *hold = &l->holds.items[i];
        if (hold->space != space_of(shard)) continue;
        if (hold->id.lo <= c->last_order_id || hold->id.lo >= c->fence_order_id) continue;
        ledger_hold_back(l, hold->account, -hold->amount);
        holds_remove(&l->holds, hold);
        out->voided++;
    }
    if (c->fence_order_id > shard->fence) shard->fence = c->fence_order_id;
    out->max_order_id = shard->max_order_id;
    out->settled_seq = shard->settled_seq;
    return LEDGER_OK;
}
