/* The ledger from inside, for its own files. */
#ifndef WALLET_LEDGER_STATE_H
#define WALLET_LEDGER_STATE_H

#include "accounts.h"
#include "holds.h"
#include "ledger.h"
#include "transfer_ids.h"

struct asset {
    char name[COMMAND_ASSET_NAME + 1];
    uint8_t scale;
    __int128 sum; /* over all accounts; zero between commands */
};

struct shard {
    uint32_t id;
    uint64_t fence;        /* holds below are refused */
    uint64_t max_order_id; /* the highest seen */
    uint64_t settled_seq;
    uint16_t settled_parts; /* of settled_seq + 1 */
};

struct ledger {
    uint64_t seq;
    struct asset assets[LEDGER_ASSETS_MAX];
    size_t asset_count;
    struct shard shards[LEDGER_SHARDS_MAX];
    size_t shard_count;
    struct accounts accounts;
    struct holds holds;
    struct transfer_ids ids;

    uint32_t *touched; /* account positions; as many as accounts fit */
    uint32_t touched_count, touched_capacity;
};

/* Where a command began, to take it back. */
struct mark {
    uint32_t accounts, touched;
    size_t entries;
};

struct mark ledger_mark(const struct ledger *l, const struct ledger_output *out);
/* Undoes the entries since the mark, and the accounts made. space: of the holds that paid. */
void ledger_undo(struct ledger *l, struct mark mark, uint32_t space, struct ledger_output *out);

void ledger_touch(struct ledger *l, uint32_t account);
/* Adds entry->amount to the account entry->account and emits the entry. Refused: nothing changed.
 */
enum ledger_result ledger_post(struct ledger *l, const struct ledger_entry *entry,
                               struct ledger_output *out);
void ledger_hold_back(struct ledger *l, uint32_t account, int64_t amount); /* held += amount */
void ledger_check_sum(const struct ledger *l, uint16_t asset);             /* CHECKs zero */

/* transfers.c */
void ledger_prefetch_transfer(const struct ledger *l, const struct transfer_command *t);
enum ledger_result ledger_transfer(struct ledger *l, const struct ledger_command *c,
                                   struct ledger_output *out);
enum ledger_result ledger_hold(struct ledger *l, const struct ledger_command *c,
                               struct ledger_output *out);
enum ledger_result ledger_post_hold(struct ledger *l, const struct ledger_command *c,
                                    struct ledger_output *out);
enum ledger_result ledger_void_hold(struct ledger *l, const struct ledger_command *c,
                                    struct ledger_output *out);

/* orders.c */
enum ledger_result ledger_order_holds(struct ledger *l, const struct order_holds_command *c,
                                      struct ledger_output *out);
enum ledger_result ledger_settle(struct ledger *l, const struct settle_command *c,
                                 struct ledger_output *out);
enum ledger_result ledger_reconcile(struct ledger *l, const struct reconcile_command *c,
                                    struct ledger_output *out);

#endif
