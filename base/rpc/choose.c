/* Which replica gets the next call: the better of two at random (Mitzenmacher, "The Power of Two
 * Choices in Randomized Load Balancing", 2001). */
#include "base/clock.h"
#include "base/rpc/client_state.h"

#include <string.h>

uint64_t client_random(struct rpc_client *c)
{
    c->random ^= c->random >> 12;
    c->random ^= c->random << 25;
    c->random ^= c->random >> 27;
    return c->random * UINT64_C(2685821657736338717);
}

struct replica *client_choose(struct rpc_client *c, const struct replica *avoid)
{
    struct replica *usable[RPC_REPLICAS_MAX], *connected[RPC_REPLICAS_MAX];
    size_t usable_count = 0, connected_count = 0;
    if (c->replica_count == 1) return replica_connected(c->replicas[0]) ? c->replicas[0] : NULL;
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < c->replica_count; i++) {
        struct replica *r = c->replicas[i];
        if (!replica_connected(r)) continue;
        connected[connected_count++] = r;
        if (r == avoid || !replica_usable(r, now_ms)) continue;
        if (r->open) return r;
        usable[usable_count++] = r;
    }
    if (!usable_count) { /* better a doubtful one than none */
        memcpy(usable, connected, sizeof connected);
        usable_count = connected_count;
    }
    if (usable_count < 2) return usable_count ? usable[0] : NULL;
    size_t first = client_random(c) % usable_count;
    size_t second = (first + 1 + client_random(c) % (usable_count - 1)) % usable_count;
    return replica_cost(usable[first], now_ms) <= replica_cost(usable[second], now_ms)
               ? usable[first]
               : usable[second];
}

bool client_may_eject(const struct rpc_client *c)
{
    size_t ejected = 0;
    for (size_t i = 0; i < c->replica_count; i++)
        ejected += c->replicas[i]->open;
    return (ejected + 1) * 2 <= c->replica_count;
}
