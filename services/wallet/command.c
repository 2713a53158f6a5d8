/* Commands to bytes and back. Refuses whatever is not exactly what encoding would have written. */
#include "command.h"

#include "bytes.h"

enum { HEAD_SIZE = 9 };            /* kind, time */
enum { COUNT_AT = HEAD_SIZE + 4 }; /* of holds and settlements: behind the shard */
enum { PART_LAST_AT = 10, LEGS_AT = 11, RELEASES_AT = 13 }; /* in a settlement's head */

static void head(struct buf *out, enum command_kind kind, int64_t time_ms)
{
    write_u8(out, (uint8_t)kind);
    write_i64(out, time_ms);
}

/* ---- asset ---- */

static void write_asset(const struct asset_command *c, struct buf *out)
{
    size_t size = strnlen(c->name, COMMAND_ASSET_NAME);
    write_u8(out, c->scale);
    write_u8(out, (uint8_t)size);
    (void)buf_add(out, c->name, size);
}

static void read_asset(struct reader *r, struct asset_command *ret)
{
    *ret = (struct asset_command){.scale = read_u8(r)};
    size_t size = read_u8(r);
    if (size == 0 || size > COMMAND_ASSET_NAME) r->bad = true;
    const uint8_t *name = r->bad ? NULL : read_bytes(r, size);
    if (!name) return;
    memcpy(ret->name, name, size);
    if (strlen(ret->name) != size) r->bad = true;
}

/* ---- transfers ---- */

static void write_reference(const struct reference *reference, struct buf *out)
{
    write_u8(out, reference->size);
    if (reference->size) (void)buf_add(out, reference->text, reference->size);
}

static struct reference read_reference(struct reader *r)
{
    uint8_t size = read_u8(r);
    if (size > COMMAND_REFERENCE_MAX) r->bad = true;
    const uint8_t *text = read_bytes(r, size);
    return (struct reference){.text = (const char *)text, .size = text ? size : 0};
}

static void write_transfer(const struct transfer_command *c, struct buf *out)
{
    write_id(out, c->id);
    write_id(out, c->actor);
    write_u8(out, c->kind);
    write_reference(&c->reference, out);
    write_u8(out, c->leg_count);
    for (uint8_t i = 0; i < c->leg_count; i++) {
        write_id(out, c->legs[i].from);
        write_id(out, c->legs[i].to);
        write_u16(out, c->legs[i].asset);
        write_i64(out, c->legs[i].amount);
    }
}

static void read_transfer(struct reader *r, struct transfer_command *ret)
{
    ret->id = read_id(r);
    ret->actor = read_id(r);
    ret->kind = read_u8(r);
    ret->reference = read_reference(r);
    ret->leg_count = read_u8(r);
    if (ret->leg_count == 0 || ret->leg_count > COMMAND_LEGS_MAX) {
        r->bad = true;
        return;
    }
    for (uint8_t i = 0; i < ret->leg_count; i++) {
        struct transfer_leg *leg = &ret->legs[i];
        leg->from = read_id(r);
        leg->to = read_id(r);
        leg->asset = read_u16(r);
        leg->amount = read_i64(r);
    }
}

static void write_hold(const struct hold_command *c, struct buf *out)
{
    write_id(out, c->id);
    write_id(out, c->owner);
    write_u16(out, c->asset);
    write_i64(out, c->amount);
}

static void read_hold(struct reader *r, struct hold_command *ret)
{
    ret->id = read_id(r);
    ret->owner = read_id(r);
    ret->asset = read_u16(r);
    ret->amount = read_i64(r);
}

static void write_post(const struct post_command *c, struct buf *out)
{
    write_id(out, c->id);
    write_id(out, c->hold);
    write_id(out, c->to);
    write_i64(out, c->amount);
    write_u8(out, c->kind);
    write_reference(&c->reference, out);
}

static void read_post(struct reader *r, struct post_command *ret)
{
    ret->id = read_id(r);
    ret->hold = read_id(r);
    ret->to = read_id(r);
    ret->amount = read_i64(r);
    ret->kind = read_u8(r);
    ret->reference = read_reference(r);
}

/* ---- batches of orders ---- */

static void count_one(struct buf *out, size_t at)
{
    if (out->error) return;
    uint8_t *p = (uint8_t *)out->data + at;
    put_u16(p, (uint16_t)(get_u16(p) + 1));
}

void command_begin_order_holds(struct buf *out, uint32_t shard)
{
    head(out, COMMAND_ORDER_HOLDS, 0);
    write_u32(out, shard);
    write_u16(out, 0);
}

void command_add_order_hold(struct buf *out, const struct order_hold *hold)
{
    write_u64(out, hold->order_id);
    write_id(out, hold->owner);
    write_u16(out, hold->asset);
    write_i64(out, hold->amount);
    count_one(out, COUNT_AT);
}

struct order_hold order_hold_get(const struct order_holds_command *command, uint16_t i)
{
    const uint8_t *p = command->items + (size_t)i * COMMAND_ORDER_HOLD_SIZE;
    return (struct order_hold){.order_id = get_u64(p),
                               .owner = get_id(p + 8),
                               .asset = get_u16(p + 24),
                               .amount = get_i64(p + 26)};
}

static void read_order_holds(struct reader *r, struct order_holds_command *ret)
{
    ret->shard = read_u32(r);
    ret->count = read_u16(r);
    ret->items = read_bytes(r, (size_t)ret->count * COMMAND_ORDER_HOLD_SIZE);
}

void command_begin_settle(struct buf *out, uint32_t shard)
{
    head(out, COMMAND_SETTLE, 0);
    write_u32(out, shard);
    write_u16(out, 0);
}

size_t command_add_settlement(struct buf *out, uint64_t seq, uint16_t part)
{
    size_t at = out->size;
    write_u64(out, seq);
    write_u16(out, part);
    write_u8(out, 1);
    write_u16(out, 0);
    write_u16(out, 0);
    count_one(out, COUNT_AT);
    return at;
}

void command_add_leg(struct buf *out, size_t settlement, const struct settle_leg *leg)
{
    write_u64(out, leg->order_id);
    write_id(out, leg->owner);
    write_u16(out, leg->asset);
    write_i64(out, leg->amount);
    write_u64(out, leg->trade_id);
    write_u8(out, leg->kind);
    count_one(out, settlement + LEGS_AT);
}

void command_add_release(struct buf *out, size_t settlement, uint64_t order_id)
{
    write_u64(out, order_id);
    count_one(out, settlement + RELEASES_AT);
}

void command_settlement_last(struct buf *out, size_t settlement, bool last)
{
    if (!out->error) out->data[settlement + PART_LAST_AT] = last ? 1 : 0;
}

struct settle_leg settle_leg_get(const struct settlement *s, uint16_t i)
{
    const uint8_t *p = s->legs + (size_t)i * COMMAND_LEG_SIZE;
    return (struct settle_leg){.order_id = get_u64(p),
                               .owner = get_id(p + 8),
                               .asset = get_u16(p + 24),
                               .amount = get_i64(p + 26),
                               .trade_id = get_u64(p + 34),
                               .kind = p[42]};
}

uint64_t settle_release_get(const struct settlement *s, uint16_t i)
{
    return get_u64(s->releases + (size_t)i * COMMAND_RELEASE_SIZE);
}

static bool read_settlement(struct reader *r, struct settlement *ret)
{
    ret->seq = read_u64(r);
    ret->part = read_u16(r);
    uint8_t last = read_u8(r);
    ret->last = last;
    ret->leg_count = read_u16(r);
    ret->release_count = read_u16(r);
    ret->legs = read_bytes(r, (size_t)ret->leg_count * COMMAND_LEG_SIZE);
    ret->releases = read_bytes(r, (size_t)ret->release_count * COMMAND_RELEASE_SIZE);
    if (last > 1) r->bad = true;
    return !r->bad;
}

bool settlement_next(const struct settle_command *command, size_t *offset, struct settlement *ret)
{
    struct reader r = {.at = command->items + *offset, .end = command->items + command->size};
    if (r.at == r.end) return false;
    CHECK(read_settlement(&r, ret)); /* decoding has seen all of them */
    *offset = (size_t)(r.at - command->items);
    return true;
}

static void read_settle(struct reader *r, struct settle_command *ret)
{
    ret->shard = read_u32(r);
    ret->count = read_u16(r);
    ret->items = r->at;
    struct settlement s;
    for (uint16_t i = 0; i < ret->count; i++)
        if (!read_settlement(r, &s)) return;
    ret->size = (size_t)(r->at - ret->items);
}

static void write_reconcile(const struct reconcile_command *c, struct buf *out)
{
    write_u32(out, c->shard);
    write_u64(out, c->last_order_id);
    write_u64(out, c->fence_order_id);
}

static void read_reconcile(struct reader *r, struct reconcile_command *ret)
{
    ret->shard = read_u32(r);
    ret->last_order_id = read_u64(r);
    ret->fence_order_id = read_u64(r);
}

/* ---- all of them ---- */

void command_encode(const struct ledger_command *c, struct buf *out)
{
    head(out, c->kind, c->time_ms);
    switch (c->kind) {
    case COMMAND_ASSET:
        write_asset(&c->asset, out);
        return;
    case COMMAND_TRANSFER:
        write_transfer(&c->transfer, out);
        return;
    case COMMAND_HOLD:
        write_hold(&c->hold, out);
        return;
    case COMMAND_POST:
        write_post(&c->post, out);
        return;
    case COMMAND_VOID:
        write_id(out, c->void_hold.id);
        write_id(out, c->void_hold.hold);
        return;
    case COMMAND_ORDER_HOLDS:
        write_u32(out, c->order_holds.shard);
        write_u16(out, c->order_holds.count);
        (void)buf_add(out, c->order_holds.items,
                      (size_t)c->order_holds.count * COMMAND_ORDER_HOLD_SIZE);
        return;
    case COMMAND_SETTLE:
        write_u32(out, c->settle.shard);
        write_u16(out, c->settle.count);
        (void)buf_add(out, c->settle.items, c->settle.size);
        return;
    case COMMAND_RECONCILE:
        write_reconcile(&c->reconcile, out);
        return;
    }
    CHECK(false); /* not a kind */
}

void command_stamp(void *data, size_t size, int64_t time_ms)
{
    CHECK(size >= HEAD_SIZE);
    put_u64((uint8_t *)data + 1, (uint64_t)time_ms);
}

static void read_body(struct reader *r, struct ledger_command *ret)
{
    switch (ret->kind) {
    case COMMAND_ASSET:
        read_asset(r, &ret->asset);
        return;
    case COMMAND_TRANSFER:
        read_transfer(r, &ret->transfer);
        return;
    case COMMAND_HOLD:
        read_hold(r, &ret->hold);
        return;
    case COMMAND_POST:
        read_post(r, &ret->post);
        return;
    case COMMAND_VOID:
        ret->void_hold.id = read_id(r);
        ret->void_hold.hold = read_id(r);
        return;
    case COMMAND_ORDER_HOLDS:
        read_order_holds(r, &ret->order_holds);
        return;
    case COMMAND_SETTLE:
        read_settle(r, &ret->settle);
        return;
    case COMMAND_RECONCILE:
        read_reconcile(r, &ret->reconcile);
        return;
    }
    r->bad = true;
}

enum err command_decode(const void *data, size_t size, struct ledger_command *ret)
{
    if (size > COMMAND_SIZE_MAX) return ERR_INVALID;
    struct reader r = {.at = data, .end = (const uint8_t *)data + size};
    ret->kind = read_u8(&r);
    ret->time_ms = read_i64(&r);
    read_body(&r, ret);
    return r.bad || r.at != r.end ? ERR_INVALID : OK;
}
