/*
 * The ledger: its parts, the one way to change an account, assets, reading. What moves money is in
 * transfers.c and orders.c. Refuses to know where its commands come from.
 */
#include "ledger_state.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    enum err err;
    const char *word, *text;
} results[LEDGER_RESULT_COUNT] = {
#define LEDGER_RESULT_ROW(name, err, word, text) [name] = {err, word, text},
    LEDGER_RESULTS(LEDGER_RESULT_ROW)
#undef LEDGER_RESULT_ROW
};

enum err ledger_result_err(enum ledger_result r)
{
    return results[r].err;
}

const char *ledger_result_word(enum ledger_result r)
{
    return results[r].word;
}

const char *ledger_result_text(enum ledger_result r)
{
    return results[r].text;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

struct ledger *ledger_new(const struct ledger_options *options)
{
    struct ledger *l = calloc(1, sizeof *l);
    CHECK(l);
    accounts_init(&l->accounts, options->seed, or_default(options->accounts_max, ACCOUNTS_MAX));
    holds_init(&l->holds, options->seed, or_default(options->holds_max, HOLDS_MAX));
    transfer_ids_init(&l->ids, options->seed,
                      or_default(options->transfer_ids_max, TRANSFER_IDS_MAX));
    return l;
}

void ledger_free(struct ledger *l)
{
    if (!l) return;
    accounts_release(&l->accounts);
    holds_release(&l->holds);
    transfer_ids_release(&l->ids);
    free(l->touched);
    free(l);
}

uint64_t ledger_seq(const struct ledger *l)
{
    return l->seq;
}

/* ---- changing an account ---- */

void ledger_touch(struct ledger *l, uint32_t account)
{
    struct account *a = &l->accounts.items[account];
    if (a->touched) return;
    a->touched = true;
    if (l->touched_count == l->touched_capacity) {
        uint32_t capacity = l->touched_capacity ? 2 * l->touched_capacity : 64;
        uint32_t *touched = reallocarray(l->touched, capacity, sizeof *touched);
        CHECK(touched);
        l->touched = touched;
        l->touched_capacity = capacity;
    }
    l->touched[l->touched_count++] = account;
}

enum ledger_result ledger_post(struct ledger *l, const struct ledger_entry *entry,
                               struct ledger_output *out)
{
    struct account *a = &l->accounts.items[entry->account];
    int64_t total = 0;
    if (__builtin_add_overflow(a->total, entry->amount, &total)) return LEDGER_OVERFLOW;
    if (owner_is_issued(a->owner)) {
        if (total == INT64_MIN) return LEDGER_OVERFLOW; /* so that minus it fits */
    } else if (total < a->held) {
        return LEDGER_INSUFFICIENT;
    }
    CHECK(out->entry_count < LEDGER_ENTRIES_MAX);
    a->total = total;
    l->assets[a->asset].sum += entry->amount;
    struct ledger_entry *e = &out->entries[out->entry_count++];
    *e = *entry;
    e->owner = a->owner;
    e->asset = a->asset;
    e->total_after = total;
    ledger_touch(l, entry->account);
    return LEDGER_OK;
}

void ledger_hold_back(struct ledger *l, uint32_t account, int64_t amount)
{
    struct account *a = &l->accounts.items[account];
    a->held += amount;
    CHECK(a->held >= 0 && a->held <= a->total);
    ledger_touch(l, account);
}

struct mark ledger_mark(const struct ledger *l, const struct ledger_output *out)
{
    return (struct mark){
        .accounts = l->accounts.count, .touched = l->touched_count, .entries = out->entry_count};
}

void ledger_undo(struct ledger *l, struct mark mark, uint32_t space, struct ledger_output *out)
{
    while (out->entry_count > mark.entries) {
        const struct ledger_entry *e = &out->entries[--out->entry_count];
        struct account *a = &l->accounts.items[e->account];
        a->total -= e->amount;
        l->assets[a->asset].sum -= e->amount;
        if (!e->from_hold) continue;
        struct hold *hold = holds_find(&l->holds, space, order_key(e->order_id));
        CHECK(hold);
        hold->amount -= e->amount;
        a->held -= e->amount;
    }
    while (l->touched_count > mark.touched)
        l->accounts.items[l->touched[--l->touched_count]].touched = false;
    accounts_truncate(&l->accounts, mark.accounts);
}

void ledger_check_sum(const struct ledger *l, uint16_t asset)
{
    CHECK(l->assets[asset].sum == 0);
}

/* ---- assets ---- */

bool ledger_asset_find(const struct ledger *l, const char *name, uint16_t *ret)
{
    for (size_t i = 0; i < l->asset_count; i++) {
        if (strcmp(l->assets[i].name, name) != 0) continue;
        *ret = (uint16_t)i;
        return true;
    }
    return false;
}

static enum ledger_result define_asset(struct ledger *l, const struct asset_command *c)
{
    uint16_t at = 0;
    if (ledger_asset_find(l, c->name, &at))
        return l->assets[at].scale == c->scale ? LEDGER_REPEATED : LEDGER_ASSET_FIXED;
    if (c->scale > LEDGER_SCALE_MAX) return LEDGER_INVALID;
    if (l->asset_count == LEDGER_ASSETS_MAX) return LEDGER_FULL;
    struct asset *asset = &l->assets[l->asset_count++];
    memcpy(asset->name, c->name, sizeof asset->name);
    asset->scale = c->scale;
    return LEDGER_OK;
}

size_t ledger_asset_count(const struct ledger *l)
{
    return l->asset_count;
}

struct ledger_asset ledger_asset(const struct ledger *l, size_t asset)
{
    CHECK(asset < l->asset_count);
    return (struct ledger_asset){.name = l->assets[asset].name, .scale = l->assets[asset].scale};
}

/* ---- reading ---- */

static struct ledger_balance balance_of(const struct account *a)
{
    return (struct ledger_balance){
        .owner = a->owner, .asset = a->asset, .total = a->total, .held = a->held};
}

bool ledger_balance(const struct ledger *l, struct id owner, uint16_t asset,
                    struct ledger_balance *ret)
{
    const struct account *a = accounts_find(&l->accounts, owner, asset);
    if (a) *ret = balance_of(a);
    return a;
}

bool ledger_owner_is_house(struct id owner)
{
    return owner_is_house(owner);
}

uint64_t ledger_forgotten_ids(const struct ledger *l)
{
    return l->ids.forgotten;
}

size_t ledger_touched_count(const struct ledger *l)
{
    return l->touched_count;
}

struct ledger_balance ledger_touched(const struct ledger *l, size_t i)
{
    CHECK(i < l->touched_count);
    return balance_of(&l->accounts.items[l->touched[i]]);
}

void ledger_touched_clear(struct ledger *l)
{
    for (uint32_t i = 0; i < l->touched_count; i++)
        l->accounts.items[l->touched[i]].touched = false;
    l->touched_count = 0;
}

/* ---- commands ---- */

void ledger_prefetch(const struct ledger *l, const struct ledger_command *c)
{
    if (c->kind == COMMAND_TRANSFER) ledger_prefetch_transfer(l, &c->transfer);
}

enum ledger_result ledger_apply(struct ledger *l, uint64_t seq, const struct ledger_command *c,
                                struct ledger_output *out)
{
    CHECK(seq > l->seq);
    l->seq = seq;
    out->entry_count = 0;
    switch (c->kind) {
    case COMMAND_ASSET:
        return define_asset(l, &c->asset);
    case COMMAND_TRANSFER:
        return ledger_transfer(l, c, out);
    case COMMAND_HOLD:
        return ledger_hold(l, c, out);
    case COMMAND_POST:
        return ledger_post_hold(l, c, out);
    case COMMAND_VOID:
        return ledger_void_hold(l, c, out);
    case COMMAND_ORDER_HOLDS:
        return ledger_order_holds(l, &c->order_holds, out);
    case COMMAND_SETTLE:
        return ledger_settle(l, &c->settle, out);
    case COMMAND_RECONCILE:
        return ledger_reconcile(l, &c->reconcile, out);
    }
    CHECK(false); /* not a kind: decoding has seen to that */
    return LEDGER_INVALID;
}
