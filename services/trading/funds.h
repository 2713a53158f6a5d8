/*
 * Holds: asks the wallet to reserve what a batch of orders may cost, in one call, and keeps orders
 * and holds together through failures. After a call whose outcome is unknown, or a batch that the
 * journal refused, the next one begins with Reconcile: holds of orders that never became durable
 * are voided, and requests for them that come late are refused. One thread, but for funds_ready.
 */
#ifndef TRADING_FUNDS_H
#define TRADING_FUNDS_H

#include "base/journal/journal.h"
#include "base/rpc/client.h"
#include "pending.h"

#include <stdatomic.h>

#define HOLD_TIMEOUT_MS 3000 /* of one call to the wallet */

struct funds {
    struct rpc_client *wallet; /* borrowed */
    uint16_t shard;
    atomic_bool ready;      /* reconciled after the start */
    uint64_t next_order_id; /* no hold was ever asked for it or for a later one */
    bool unclean;           /* reconcile first */
    size_t count;           /* of this batch */
    struct pending **items;
    struct hold_memory *memory; /* of the messages */
};

MUST_CHECK enum err funds_init(struct funds *f, struct rpc_client *wallet, uint16_t shard);
void funds_release(struct funds *f); /* accepts a zeroed one */

/* Where a shard's journal has come to. */
struct funds_position {
    uint64_t last_order_id; /* the last durable one */
    uint64_t kept_seq;      /* the outbox has what comes after this, */
    uint64_t outbox_seq;    /* and ends here */
};

/*
 * After the start, until it is OK. Tells what the wallet has settled. Blocks at most twice
 * HOLD_TIMEOUT_MS. ERR_CONFLICT: the wallet and the journal do not belong together, nothing was
 * changed: it has settled more than outbox_seq, so the journal has lost its end; or less than
 * kept_seq, so the wallet has.
 */
MUST_CHECK enum err funds_reconcile_start(struct funds *f, const struct funds_position *journal,
                                          uint64_t *ret_settled_seq, struct err_detail *detail);
bool funds_ready(const struct funds *f);

/* Into this batch; gives the order its id. At most JOURNAL_BATCH_MAX. */
void funds_add(struct funds *f, struct pending *p, const char *asset, int64_t amount);
/*
 * Asks for all that were added; refuses (pending_refuse) those that got nothing: all of them, if
 * the wallet does not answer. last_order_id is the last durable one. Blocks at most 2 *
 * HOLD_TIMEOUT_MS.
 */
void funds_ask(struct funds *f, uint64_t last_order_id);
/* The journal has refused what was held. */
void funds_lost(struct funds *f);

#endif
