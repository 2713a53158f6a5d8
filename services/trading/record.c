/* Records as bytes: a length, the head, then the result's parts in the order of struct
 * engine_result. */
#include "record.h"

#include "codec.h"

#include <stdlib.h>

#define VIEW_SIZE_MAX 160
#define HEAD_SIZE     64

/* ---- pieces ---- */

static uint32_t pieces_of(size_t items, size_t max)
{
    return (uint32_t)((items + max - 1) / max);
}

uint32_t result_pieces(const struct engine_result *r)
{
    uint32_t trades = pieces_of(r->execution_count, PIECE_TRADES_MAX);
    uint32_t releases = pieces_of(r->release_count, PIECE_RELEASES_MAX);
    return trades + releases - (trades && releases);
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Releases follow the trades that pay from their holds: they begin with the last piece of trades.
 */
struct piece record_piece(const struct record *r, uint32_t n)
{
    const struct engine_result *result = &r->result;
    uint32_t trades = pieces_of(result->execution_count, PIECE_TRADES_MAX);
    uint32_t before_releases = trades ? trades - 1 : 0;
    struct piece p = {0};
    if (n < trades) {
        p.first_trade = (size_t)n * PIECE_TRADES_MAX;
        p.trades = at_most(PIECE_TRADES_MAX, result->execution_count - p.first_trade);
    }
    if (n >= before_releases) {
        p.first_release = (size_t)(n - before_releases) * PIECE_RELEASES_MAX;
        p.releases = at_most(PIECE_RELEASES_MAX, result->release_count - p.first_release);
    }
    return p;
}

/* ---- writing ---- */

static void put_view(struct writer *w, const struct order_view *v)
{
    put_u64(w, v->id);
    put_id(w, v->user);
    put_u8(w, v->terms.side);
    put_u8(w, v->terms.type);
    put_u8(w, v->terms.lifetime);
    put_u8(w, v->status);
    put_u8(w, v->reason);
    put_u16(w, v->market);
    put_i64(w, v->terms.price);
    put_i64(w, v->terms.quantity);
    put_i64(w, v->filled);
    put_i64(w, v->filled_quote);
    put_i64(w, v->fee);
    put_i64(w, v->created_ms);
    put_i64(w, v->updated_ms);
    put_text(w, v->client_id.text, v->client_id.size);
}

static void put_execution(struct writer *w, const struct execution *x)
{
    put_u64(w, x->trade_id);
    put_i64(w, x->price);
    put_i64(w, x->quantity);
    put_i64(w, x->notional);
    put_i64(w, x->maker_fee);
    put_i64(w, x->taker_fee);
    put_view(w, &x->maker);
}

static void put_level(struct writer *w, const struct level_change *l)
{
    put_u64(w, l->update_id);
    put_i64(w, l->price);
    put_i64(w, l->quantity);
    put_u32(w, l->orders);
    put_u16(w, l->market);
    put_u8(w, l->side);
}

void record_write(struct buf *out, uint64_t seq, uint64_t outbox_seq, uint8_t kind,
                  const struct engine_result *result)
{
    bool has_order = result->has_order && !result->refusal;
    size_t most = HEAD_SIZE + VIEW_SIZE_MAX * (1 + result->cancelled_count) +
                  (VIEW_SIZE_MAX + 48) * result->execution_count +
                  sizeof(uint64_t) * result->release_count + 32 * result->level_count;
    uint8_t *start = (uint8_t *)buf_reserve(out, most);
    if (!start) return;
    struct writer w = {.at = start + sizeof(uint32_t), .end = start + most};
    put_u64(&w, seq);
    put_u64(&w, outbox_seq);
    put_u32(&w, result_pieces(result));
    put_u8(&w, kind);
    put_i64(&w, result->now_ms);
    put_u8(&w, has_order);
    put_u32(&w, (uint32_t)result->execution_count);
    put_u32(&w, (uint32_t)result->cancelled_count);
    put_u32(&w, (uint32_t)result->release_count);
    put_u32(&w, (uint32_t)result->level_count);
    if (has_order) put_view(&w, &result->order);
    for (size_t i = 0; i < result->execution_count; i++)
        put_execution(&w, &result->executions[i]);
    for (size_t i = 0; i < result->cancelled_count; i++)
        put_view(&w, &result->cancelled[i]);
    for (size_t i = 0; i < result->release_count; i++)
        put_u64(&w, result->releases[i]);
    for (size_t i = 0; i < result->level_count; i++)
        put_level(&w, &result->levels[i]);
    CHECK(!w.failed);

    size_t size = (size_t)(w.at - start);
    struct writer head = {.at = start, .end = start + sizeof(uint32_t)};
    put_u32(&head, (uint32_t)size);
    buf_commit(out, size);
}

/* ---- reading ---- */

static void get_view(struct reader *r, struct order_view *ret)
{
    ret->id = get_u64(r);
    ret->user = get_id(r);
    ret->terms.side = get_u8(r);
    ret->terms.type = get_u8(r);
    ret->terms.lifetime = get_u8(r);
    ret->status = get_u8(r);
    ret->reason = get_u8(r);
    ret->market = get_u16(r);
    ret->terms.price = get_i64(r);
    ret->terms.quantity = get_i64(r);
    ret->filled = get_i64(r);
    ret->filled_quote = get_i64(r);
    ret->fee = get_i64(r);
    ret->created_ms = get_i64(r);
    ret->updated_ms = get_i64(r);
    ret->client_id.size = get_text(r, ret->client_id.text, sizeof ret->client_id.text);
    if (ret->reason >= REASON_COUNT || ret->status < ORDER_OPEN || ret->status > ORDER_CANCELLED)
        r->failed = true;
}

static void get_execution(struct reader *r, struct execution *ret)
{
    ret->trade_id = get_u64(r);
    ret->price = get_i64(r);
    ret->quantity = get_i64(r);
    ret->notional = get_i64(r);
    ret->maker_fee = get_i64(r);
    ret->taker_fee = get_i64(r);
    get_view(r, &ret->maker);
}

static void get_level(struct reader *r, struct level_change *ret)
{
    ret->update_id = get_u64(r);
    ret->price = get_i64(r);
    ret->quantity = get_i64(r);
    ret->orders = get_u32(r);
    ret->market = get_u16(r);
    ret->side = get_u8(r);
}

/* Room for count items, of which each takes at least one byte of what is left to read. */
static void *room(struct reader *r, void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count > (size_t)(r->end - r->at)) r->failed = true;
    if (r->failed || count <= *capacity) return items;
    void *bigger = realloc(items, count * item_size);
    CHECK(bigger);
    *capacity = count;
    return bigger;
}

static void get_parts(struct reader *r, struct record *ret)
{
    struct engine_result *p = &ret->result;
    size_t executions = get_u32(r), cancelled = get_u32(r);
    size_t releases = get_u32(r), levels = get_u32(r);
    if (p->has_order) get_view(r, &p->order);
    p->executions =
        room(r, p->executions, executions, &ret->executions_capacity, sizeof *p->executions);
    for (p->execution_count = 0; p->execution_count < executions && !r->failed;)
        get_execution(r, &p->executions[p->execution_count++]);
    p->cancelled = room(r, p->cancelled, cancelled, &ret->cancelled_capacity, sizeof *p->cancelled);
    for (p->cancelled_count = 0; p->cancelled_count < cancelled && !r->failed;)
        get_view(r, &p->cancelled[p->cancelled_count++]);
    p->releases = room(r, p->releases, releases, &ret->releases_capacity, sizeof *p->releases);
    for (p->release_count = 0; p->release_count < releases && !r->failed;)
        p->releases[p->release_count++] = get_u64(r);
    p->levels = room(r, p->levels, levels, &ret->levels_capacity, sizeof *p->levels);
    for (p->level_count = 0; p->level_count < levels && !r->failed;)
        get_level(r, &p->levels[p->level_count++]);
}

enum err record_read(const uint8_t **at, const uint8_t *end, struct record *ret)
{
    struct reader r = {.at = *at, .end = end};
    uint32_t size = get_u32(&r);
    if (r.failed || size < sizeof size || size > (size_t)(end - *at)) return ERR_CORRUPT;
    r.end = *at + size;
    ret->seq = get_u64(&r);
    ret->outbox_seq = get_u64(&r);
    ret->pieces = get_u32(&r);
    ret->kind = get_u8(&r);
    ret->result.now_ms = get_i64(&r);
    uint8_t has_order = get_u8(&r);
    if (has_order > 1) return ERR_CORRUPT;
    ret->result.has_order = has_order;
    get_parts(&r, ret);
    if (r.failed || r.at != r.end || ret->pieces != result_pieces(&ret->result)) return ERR_CORRUPT;
    *at = r.end;
    return OK;
}

void record_release(struct record *r)
{
    free(r->result.executions);
    free(r->result.cancelled);
    free(r->result.releases);
    free(r->result.levels);
    *r = (struct record){0};
}
