/*
 * The ledger's snapshot: magic, version, seq, then assets, accounts, holds, shards and transfer
 * ids, each with its count, in the order of their tables. What wraps it (the journal) proves that
 * no bit has changed; loading proves that it is a ledger: no duplicates, no dangling position,
 * every asset balanced.
 */
#include "bytes.h"
#include "ledger_state.h"

#define SNAPSHOT_MAGIC   UINT64_C(0x3152474c50544c54) /* "TLTPLGR1" */
#define SNAPSHOT_VERSION 1

enum { ACCOUNT_SIZE = 34, HOLD_SIZE = 40, TRANSFER_ID_SIZE = 40, SHARD_SIZE = 30 };

static void save_accounts(const struct ledger *l, struct buf *out)
{
    write_u32(out, l->accounts.count);
    for (uint32_t i = 0; i < l->accounts.count; i++) {
        const struct account *a = &l->accounts.items[i];
        write_id(out, a->owner);
        write_u16(out, a->asset);
        write_i64(out, a->total);
        write_i64(out, a->held);
    }
}

static void save_holds(const struct ledger *l, struct buf *out)
{
    write_u32(out, l->holds.count);
    for (uint32_t i = 0; i < l->holds.count; i++) {
        const struct hold *h = &l->holds.items[i];
        write_u32(out, h->space);
        write_id(out, h->id);
        write_u32(out, h->account);
        write_i64(out, h->amount);
        write_i64(out, h->amount_first);
    }
}

static void save_shards(const struct ledger *l, struct buf *out)
{
    write_u32(out, (uint32_t)l->shard_count);
    for (size_t i = 0; i < l->shard_count; i++) {
        const struct shard *s = &l->shards[i];
        write_u32(out, s->id);
        write_u64(out, s->fence);
        write_u64(out, s->max_order_id);
        write_u64(out, s->settled_seq);
        write_u16(out, s->settled_parts);
    }
}

static void save_transfer_ids(const struct ledger *l, struct buf *out)
{
    write_u32(out, l->ids.count);
    write_u64(out, l->ids.forgotten);
    for (uint32_t i = 0; i < l->ids.count; i++) {
        const struct transfer_id *t = transfer_ids_at(&l->ids, i);
        write_id(out, t->id);
        write_u64(out, t->fingerprint);
        write_i64(out, t->time_ms);
        write_u64(out, t->seq);
    }
}

enum err ledger_save(const struct ledger *l, struct buf *out)
{
    write_u64(out, SNAPSHOT_MAGIC);
    write_u32(out, SNAPSHOT_VERSION);
    write_u64(out, l->seq);
    write_u32(out, (uint32_t)l->asset_count);
    for (size_t i = 0; i < l->asset_count; i++) {
        (void)buf_add(out, l->assets[i].name, COMMAND_ASSET_NAME);
        write_u8(out, l->assets[i].scale);
    }
    save_accounts(l, out);
    save_holds(l, out);
    save_shards(l, out);
    save_transfer_ids(l, out);
    return out->error;
}

/* A count whose rows are all there, at most max; else bad and 0. */
static uint32_t read_count(struct reader *r, size_t row_size, uint32_t max)
{
    uint32_t count = read_u32(r);
    if (count <= max && count <= (size_t)(r->end - r->at) / row_size) return count;
    r->bad = true;
    return 0;
}

static void load_assets(struct ledger *l, struct reader *r)
{
    uint32_t count = read_count(r, COMMAND_ASSET_NAME + 1, LEDGER_ASSETS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct asset *asset = &l->assets[i];
        memcpy(asset->name, read_bytes(r, COMMAND_ASSET_NAME), COMMAND_ASSET_NAME);
        asset->scale = read_u8(r);
        uint16_t there = 0;
        if (ledger_asset_find(l, asset->name, &there) || asset->scale > LEDGER_SCALE_MAX)
            r->bad = true;
        l->asset_count++;
    }
}

static void load_accounts(struct ledger *l, struct reader *r)
{
    uint32_t count = read_count(r, ACCOUNT_SIZE, INDEX_POSITIONS_MAX);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct id owner = read_id(r);
        uint16_t asset = read_u16(r);
        if (asset >= l->asset_count || accounts_find(&l->accounts, owner, asset)) {
            r->bad = true;
            return;
        }
        struct account *a = accounts_get_promised(&l->accounts, owner, asset);
        a->total = read_i64(r);
        a->held = read_i64(r);
        l->assets[asset].sum += a->total;
    }
}

static void load_holds(struct ledger *l, struct reader *r)
{
    uint32_t count = read_count(r, HOLD_SIZE, l->holds.max);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct hold h = {.space = read_u32(r)};
        h.id = read_id(r);
        h.account = read_u32(r);
        h.amount = read_i64(r);
        h.amount_first = read_i64(r);
        if (h.account >= l->accounts.count || h.amount < 0 || h.amount > h.amount_first ||
            holds_find(&l->holds, h.space, h.id))
            r->bad = true;
        else
            (void)holds_add(&l->holds, &h);
    }
}

static void load_shards(struct ledger *l, struct reader *r)
{
    uint32_t count = read_count(r, SHARD_SIZE, LEDGER_SHARDS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct shard *s = &l->shards[l->shard_count++];
        s->id = read_u32(r);
        s->fence = read_u64(r);
        s->max_order_id = read_u64(r);
        s->settled_seq = read_u64(r);
        s->settled_parts = read_u16(r);
        for (uint32_t k = 0; k < i; k++)
            if (l->shards[k].id == s->id) r->bad = true;
    }
}

static void load_transfer_ids(struct ledger *l, struct reader *r)
{
    uint32_t count = read_u32(r);
    l->ids.forgotten = read_u64(r);
    if (count > (size_t)(r->end - r->at) / TRANSFER_ID_SIZE) r->bad = true;
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct transfer_id t = {.id = read_id(r)};
        t.fingerprint = read_u64(r);
        t.time_ms = read_i64(r);
        t.seq = read_u64(r);
        if (transfer_ids_find(&l->ids, t.id))
            r->bad = true;
        else
            transfer_ids_add(&l->ids, &t); /* a smaller table forgets the oldest */
    }
}

static bool is_balanced(const struct ledger *l)
{
    AUTO_FREE struct ledger_audit *audit = calloc(l->asset_count + 1, sizeof *audit);
    CHECK(audit);
    return ledger_audit(l, audit);
}

enum err ledger_load(struct ledger *l, const void *data, size_t size)
{
    struct reader r = {.at = data, .end = (const uint8_t *)data + size};
    if (read_u64(&r) != SNAPSHOT_MAGIC || read_u32(&r) != SNAPSHOT_VERSION) return ERR_CORRUPT;
    l->seq = read_u64(&r);
    load_assets(l, &r);
    load_accounts(l, &r);
    load_holds(l, &r);
    load_shards(l, &r);
    load_transfer_ids(l, &r);
    return r.bad || r.at != r.end || !is_balanced(l) ? ERR_CORRUPT : OK;
}
