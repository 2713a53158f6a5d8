/* The full audit: recounts everything and trusts no running sum. */
#include "ledger_state.h"

#include <stdlib.h>

/* *sum += amount; false: it overflows, which no ledger of ours does, but damaged bytes may. */
static bool add(int64_t *sum, int64_t amount)
{
    return !__builtin_add_overflow(*sum, amount, sum);
}

/* What the holds say is held, per account. NULL: it overflows. */
static int64_t *held_by_holds(const struct ledger *l)
{
    AUTO_FREE int64_t *held = calloc((size_t)l->accounts.count + 1, sizeof *held);
    CHECK(held);
    for (uint32_t i = 0; i < l->holds.count; i++)
        if (!add(&held[l->holds.items[i].account], l->holds.items[i].amount)) return NULL;
    return TAKE(held);
}

static bool audit_account(const struct account *a, int64_t held, struct ledger_audit *ret)
{
    ret->accounts++;
    if (a->held != held || a->held < 0 || !add(&ret->held, a->held)) return false;
    if (owner_is_issued(a->owner))
        return a->held == 0 && !__builtin_sub_overflow(ret->issued, a->total, &ret->issued);
    if (a->held > a->total) return false;
    return add(owner_is_house(a->owner) ? &ret->fees : &ret->users, a->total);
}

bool ledger_audit(const struct ledger *l, struct ledger_audit *ret)
{
    AUTO_FREE int64_t *held = held_by_holds(l);
    AUTO_FREE __int128 *sums = calloc(l->asset_count + 1, sizeof *sums);
    CHECK(sums);
    for (size_t i = 0; i < l->asset_count; i++)
        ret[i] = (struct ledger_audit){.balanced = held};

    for (uint32_t i = 0; held && i < l->accounts.count; i++) {
        const struct account *a = &l->accounts.items[i];
        sums[a->asset] += a->total;
        if (!audit_account(a, held[i], &ret[a->asset])) ret[a->asset].balanced = false;
    }
    bool balanced = held;
    for (size_t i = 0; i < l->asset_count; i++) {
        if (sums[i] != 0 || l->assets[i].sum != 0) ret[i].balanced = false;
        balanced = balanced && ret[i].balanced;
    }
    return balanced;
}
