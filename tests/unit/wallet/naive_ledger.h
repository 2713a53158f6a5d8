/*
 * The ledger once more, as simple as can be: every account in one array, every hold and id in a
 * list, and a refused command undone by going back to a copy. Slow, and written from ledger.h
 * alone.
 */
#ifndef TESTS_NAIVE_LEDGER_H
#define TESTS_NAIVE_LEDGER_H

#include "ledger_fixture.h"

enum { NAIVE_USERS = 6, NAIVE_ASSETS = 2, NAIVE_HOLDS = 4096, NAIVE_IDS = 65536 };
enum { NAIVE_ISSUED = NAIVE_USERS, NAIVE_FEES, NAIVE_OWNERS };

struct naive_hold {
    bool order;
    uint64_t id;
    unsigned owner, asset;
    int64_t amount, first;
};

/* What a command may change; copied before, copied back when it is refused. */
struct naive_state {
    int64_t total[NAIVE_OWNERS][NAIVE_ASSETS];
    struct naive_hold holds[NAIVE_HOLDS];
    size_t hold_count;
    uint64_t max_order_id, fence, settled_seq;
};

struct naive {
    struct naive_state now, before;
    struct naive_id {
        uint64_t id;
        size_t size;
        char body[256];
    } ids[NAIVE_IDS];
    size_t id_count;
};

static inline unsigned naive_owner(struct id owner)
{
    if (id_equal(owner, LEDGER_ISSUED)) return NAIVE_ISSUED;
    if (id_equal(owner, LEDGER_FEES)) return NAIVE_FEES;
    for (unsigned i = 0; i < NAIVE_USERS; i++)
        if (id_equal(owner, user(i + 1))) return i;
    fail_msg("an owner nobody knows");
    return 0;
}

static inline int64_t naive_held(const struct naive *n, unsigned owner, unsigned asset)
{
    int64_t held = 0;
    for (size_t i = 0; i < n->now.hold_count; i++)
        if (n->now.holds[i].owner == owner && n->now.holds[i].asset == asset)
            held += n->now.holds[i].amount;
    return held;
}

static inline struct naive_hold *naive_find(struct naive *n, bool order, uint64_t id)
{
    for (size_t i = 0; i < n->now.hold_count; i++)
        if (n->now.holds[i].order == order && n->now.holds[i].id == id) return &n->now.holds[i];
    return NULL;
}

static inline void naive_drop(struct naive *n, struct naive_hold *h)
{
    if (h) *h = n->now.holds[--n->now.hold_count];
}

static inline enum ledger_result naive_change(struct naive *n, unsigned owner, unsigned asset,
                                              int64_t amount)
{
    int64_t *total = &n->now.total[owner][asset];
    if (__builtin_add_overflow(*total, amount, total) || *total == INT64_MIN)
        return LEDGER_OVERFLOW;
    if (owner != NAIVE_ISSUED && *total < naive_held(n, owner, asset)) return LEDGER_INSUFFICIENT;
    return LEDGER_OK;
}

/* The body of a request with an id: its bytes without time and id. */
static inline struct naive_id naive_body(const struct ledger_command *c, struct id id)
{
    AUTO_BUF struct buf b = {0};
    buf_init(&b, COMMAND_SIZE_MAX);
    command_encode(c, &b);
    struct naive_id body = {.id = id.lo, .size = b.size - 24};
    assert_true(body.size <= sizeof body.body);
    body.body[0] = b.data[0];
    memcpy(body.body + 1, b.data + 25, body.size - 1);
    return body;
}

/* LEDGER_OK: a new id. */
static inline enum ledger_result naive_known(const struct naive *n, const struct naive_id *body)
{
    for (size_t i = 0; i < n->id_count; i++) {
        const struct naive_id *first = &n->ids[i];
        if (first->id != body->id) continue;
        bool same = first->size == body->size && !memcmp(first->body, body->body, body->size);
        return same ? LEDGER_REPEATED : LEDGER_ID_REUSED;
    }
    return LEDGER_OK;
}

static inline enum ledger_result naive_transfer(struct naive *n, const struct transfer_command *t)
{
    for (unsigned i = 0; i < t->leg_count; i++) {
        const struct transfer_leg *leg = &t->legs[i];
        if (leg->amount <= 0) return LEDGER_INVALID;
        if (id_equal(leg->from, leg->to)) return LEDGER_SAME_ACCOUNT;
        enum ledger_result r = naive_change(n, naive_owner(leg->from), leg->asset, -leg->amount);
        if (!r) r = naive_change(n, naive_owner(leg->to), leg->asset, leg->amount);
        if (r) return r;
    }
    return LEDGER_OK;
}

static inline enum ledger_result naive_add_hold(struct naive *n, struct naive_hold h)
{
    if (h.amount <= 0) return LEDGER_INVALID;
    if (n->now.total[h.owner][h.asset] - naive_held(n, h.owner, h.asset) < h.amount)
        return LEDGER_INSUFFICIENT;
    assert_true(n->now.hold_count < NAIVE_HOLDS);
    n->now.holds[n->now.hold_count++] = h;
    return LEDGER_OK;
}

static inline enum ledger_result naive_post(struct naive *n, const struct post_command *p)
{
    struct naive_hold *h = naive_find(n, false, p->hold.lo);
    if (!h) return LEDGER_NO_HOLD;
    if (p->amount <= 0) return LEDGER_INVALID;
    if (p->amount > h->amount) return LEDGER_INSUFFICIENT;
    unsigned from = h->owner;
    unsigned asset = h->asset;
    if (naive_owner(p->to) == from) return LEDGER_SAME_ACCOUNT;
    naive_drop(n, h);
    enum ledger_result r = naive_change(n, from, asset, -p->amount);
    return r ? r : naive_change(n, naive_owner(p->to), asset, p->amount);
}

static inline enum order_hold_result naive_order_hold(struct naive *n, const struct order_hold *o,
                                                      uint64_t seen)
{
    if (o->order_id < n->now.fence) return ORDER_FENCED;
    if (o->order_id == 0 || o->amount <= 0) return ORDER_INVALID;
    struct naive_hold *h = naive_find(n, true, o->order_id);
    unsigned owner = naive_owner(o->owner);
    if (h)
        return h->owner == owner && h->asset == o->asset && h->first == o->amount ? ORDER_HELD
                                                                                  : ORDER_INVALID;
    if (o->order_id <= seen) return ORDER_INSUFFICIENT;
    struct naive_hold new = {true, o->order_id, owner, o->asset, o->amount, o->amount};
    return naive_add_hold(n, new) ? ORDER_INSUFFICIENT : ORDER_HELD;
}

static inline enum ledger_result naive_leg(struct naive *n, const struct settle_leg *leg)
{
    unsigned owner = naive_owner(leg->owner);
    if (leg->amount == 0) return LEDGER_INVALID;
    if (leg->amount > 0) return naive_change(n, owner, leg->asset, leg->amount);
    struct naive_hold *h = naive_find(n, true, leg->order_id);
    if (!h || h->owner != owner || h->asset != leg->asset) return LEDGER_NO_HOLD;
    if (-leg->amount > h->amount) return LEDGER_INSUFFICIENT;
    h->amount += leg->amount;
    return naive_change(n, owner, leg->asset, leg->amount);
}

/* One settlement of one part. */
static inline enum ledger_result naive_settle(struct naive *n, const struct settlement *s)
{
    if (s->seq <= n->now.settled_seq) return LEDGER_OK;
    if (s->seq != n->now.settled_seq + 1) return LEDGER_GAP;
    int64_t sums[NAIVE_ASSETS] = {0};
    for (uint16_t i = 0; i < s->leg_count; i++) {
        struct settle_leg leg = settle_leg_get(s, i);
        enum ledger_result r = naive_leg(n, &leg);
        if (r) return r;
        sums[leg.asset] += leg.amount;
    }
    for (unsigned a = 0; a < NAIVE_ASSETS; a++)
        if (sums[a]) return LEDGER_UNBALANCED;
    for (uint16_t i = 0; i < s->release_count; i++)
        naive_drop(n, naive_find(n, true, settle_release_get(s, i)));
    n->now.settled_seq = s->seq;
    return LEDGER_OK;
}

static inline void naive_reconcile(struct naive *n, const struct reconcile_command *c)
{
    for (size_t i = n->now.hold_count; i-- > 0;) {
        struct naive_hold *h = &n->now.holds[i];
        if (h->order && h->id > c->last_order_id && h->id < c->fence_order_id) naive_drop(n, h);
    }
    if (c->fence_order_id > n->now.fence) n->now.fence = c->fence_order_id;
}

#endif
