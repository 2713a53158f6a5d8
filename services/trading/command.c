/* Commands as bytes: version, kind, time, then what the kind needs, in the order of struct request.
 */
#include "command.h"

#define COMMAND_VERSION 1

void put_rules(struct writer *w, const struct rules *r)
{
    put_text(w, r->symbol, strlen(r->symbol));
    put_text(w, r->base, strlen(r->base));
    put_text(w, r->quote, strlen(r->quote));
    put_u8(w, r->base_scale);
    put_u8(w, r->quote_scale);
    put_u8(w, r->status);
    put_i64(w, r->tick);
    put_i64(w, r->lot);
    put_i64(w, r->min_notional);
    put_u32(w, r->maker_ppm);
    put_u32(w, r->taker_ppm);
}

void get_rules(struct reader *r, struct rules *ret)
{
    get_text(r, ret->symbol, sizeof ret->symbol);
    get_text(r, ret->base, sizeof ret->base);
    get_text(r, ret->quote, sizeof ret->quote);
    ret->base_scale = get_u8(r);
    ret->quote_scale = get_u8(r);
    ret->status = get_u8(r);
    ret->tick = get_i64(r);
    ret->lot = get_i64(r);
    ret->min_notional = get_i64(r);
    ret->maker_ppm = get_u32(r);
    ret->taker_ppm = get_u32(r);
}

static void put_new_order(struct writer *w, const struct request *r)
{
    put_u64(w, r->order_id);
    put_id(w, r->user);
    put_i64(w, r->terms.price);
    put_i64(w, r->terms.quantity);
    put_u32(w, r->maker_ppm);
    put_u32(w, r->taker_ppm);
    put_text(w, r->client_id.text, r->client_id.size);
}

static void get_new_order(struct reader *r, struct request *ret)
{
    ret->order_id = get_u64(r);
    ret->user = get_id(r);
    ret->terms.price = get_i64(r);
    ret->terms.quantity = get_i64(r);
    ret->maker_ppm = get_u32(r);
    ret->taker_ppm = get_u32(r);
    ret->client_id.size = get_text(r, ret->client_id.text, sizeof ret->client_id.text);
}

size_t request_encode(const struct request *r, uint8_t ret[static COMMAND_SIZE_MAX])
{
    struct writer w = {.at = ret, .end = ret + COMMAND_SIZE_MAX};
    put_u8(&w, COMMAND_VERSION);
    put_u8(&w, r->kind);
    put_i64(&w, r->now_ms);
    switch (r->kind) {
    case COMMAND_MARKET:
        put_rules(&w, &r->rules);
        break;
    case COMMAND_PLACE:
        put_new_order(&w, r);
        put_u16(&w, r->market);
        put_u8(&w, r->terms.side);
        put_u8(&w, r->terms.type);
        put_u8(&w, r->terms.lifetime);
        break;
    case COMMAND_CANCEL:
        put_id(&w, r->user);
        put_u64(&w, r->order_id);
        break;
    case COMMAND_CANCEL_ALL:
        put_id(&w, r->user);
        put_u16(&w, r->market);
        break;
    case COMMAND_REPLACE:
        put_new_order(&w, r);
        put_u64(&w, r->old_order_id);
        break;
    case COMMAND_SETTLED:
        put_u64(&w, r->settled_seq);
        break;
    default:
        w.failed = true;
    }
    CHECK(!w.failed);
    return (size_t)(w.at - ret);
}

enum err request_decode(const void *data, size_t size, struct request *ret)
{
    struct reader r = {.at = data, .end = (const uint8_t *)data + size};
    struct request q = {0};
    if (get_u8(&r) != COMMAND_VERSION) return ERR_INVALID;
    q.kind = get_u8(&r);
    q.now_ms = get_i64(&r);
    switch (q.kind) {
    case COMMAND_MARKET:
        get_rules(&r, &q.rules);
        break;
    case COMMAND_PLACE:
        get_new_order(&r, &q);
        q.market = get_u16(&r);
        q.terms.side = get_u8(&r);
        q.terms.type = get_u8(&r);
        q.terms.lifetime = get_u8(&r);
        break;
    case COMMAND_CANCEL:
        q.user = get_id(&r);
        q.order_id = get_u64(&r);
        break;
    case COMMAND_CANCEL_ALL:
        q.user = get_id(&r);
        q.market = get_u16(&r);
        break;
    case COMMAND_REPLACE:
        get_new_order(&r, &q);
        q.old_order_id = get_u64(&r);
        break;
    case COMMAND_SETTLED:
        q.settled_seq = get_u64(&r);
        break;
    default:
        return ERR_INVALID;
    }
    if (r.failed || r.at != r.end) return ERR_INVALID;
    *ret = q;
    return OK;
}

uint64_t request_body(const struct request *r)
{
    const struct terms *t = &r->terms;
    uint64_t kinds = r->kind == COMMAND_PLACE
                         ? (uint64_t)r->market << 24 | (uint64_t)t->side << 16 |
                               (uint64_t)t->type << 8 | t->lifetime
                         : r->old_order_id;
    uint64_t hash = hash_mix(kinds + r->kind);
    hash = hash_mix(hash ^ (uint64_t)t->price);
    return hash_mix(hash + (uint64_t)t->quantity * 0x9e3779b97f4a7c15u);
}
