/*
 * The ledger: the only owner of balances. Double entry, in int64 minor units at each asset's fixed
 * scale.
 *
 * A pure state machine: ledger_apply is the only way to change it, and time and ids come from the
 * command alone, so a replay of the same commands is the same ledger. No I/O, no clock; not
 * thread-safe: one thread writes, and whoever reads keeps the writer out meanwhile.
 *
 * What holds after every command, and is checked:
 *   - every asset sums to zero over all accounts (the house's "issued" account is minus what
 * circulates);
 *   - no account but "issued" has less than is held on it, and nothing held is negative;
 *   - a refused command has changed nothing, down to the accounts it would have made.
 *
 * Every request happens once. A transfer, hold, post or void carries a 128-bit id: the same id with
 * the same body is LEDGER_REPEATED and returns the first result; with another body
 * LEDGER_ID_REUSED. Only what happened takes an id: a refusal (insufficient funds) leaves it free,
 * so that a client may put money there and send the very same request again. (TigerBeetle burns the
 * id then, because its clients must not see two answers to one id; ours retry only what was not
 * answered, and an answered refusal is final for that attempt.)
 *
 * Orders: HoldFunds and Settle of a shard. Order ids only rise, from request to request, so that a
 * hold request that arrives again, or late, is told from a new one: at or below the highest id seen
 * from the shard, the hold is there (held), or it was refused or is over (refused again as
 * insufficient funds). Below the fence it is refused whatever it is. Settlements carry the shard's
 * outbox seq: done ones are skipped, a gap is refused.
 */
#ifndef WALLET_LEDGER_H
#define WALLET_LEDGER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_ASSETS_MAX        1024
#define LEDGER_SHARDS_MAX        256
#define LEDGER_SCALE_MAX         18
#define LEDGER_ENTRIES_MAX       2048 /* of one command: more than legs fit one journal entry */
#define LEDGER_HOLDS_MAX         2048 /* of one command, likewise */
#define LEDGER_SNAPSHOT_SIZE_MAX ((size_t)4 << 30)

_Static_assert(COMMAND_SIZE_MAX / COMMAND_LEG_SIZE < LEDGER_ENTRIES_MAX, "every leg is an entry");
_Static_assert(2 * COMMAND_LEGS_MAX < LEDGER_ENTRIES_MAX, "every leg is two entries");
_Static_assert(COMMAND_SIZE_MAX / COMMAND_ORDER_HOLD_SIZE < LEDGER_HOLDS_MAX,
               "every hold has a result");

/* X(name, err, word, text): how a command ended; word is the stable reason that clients see. */
#define LEDGER_RESULTS(X)                                                                          \
    X(LEDGER_OK, OK, "", "done")                                                                   \
    X(LEDGER_REPEATED, OK, "", "done before")                                                      \
    X(LEDGER_ID_REUSED, ERR_EXISTS, "transfer_id_reused",                                          \
      "another transfer has that transferId; use a new one")                                       \
    X(LEDGER_INSUFFICIENT, ERR_PRECONDITION, "insufficient_funds", "not enough is available")      \
    X(LEDGER_UNKNOWN_ASSET, ERR_NOT_FOUND, "unknown_asset", "there is no such asset")              \
    X(LEDGER_SAME_ACCOUNT, ERR_INVALID, "same_account", "money cannot be sent to its own account") \
    X(LEDGER_INVALID, ERR_INVALID, "invalid_amount", "an amount must be more than zero")           \
    X(LEDGER_OVERFLOW, ERR_RANGE, "amount_too_large", "a balance would exceed the largest amount") \
    X(LEDGER_NO_HOLD, ERR_NOT_FOUND, "hold_not_found", "there is no such hold, or it is over")     \
    X(LEDGER_GAP, ERR_PRECONDITION, "settlement_gap", "a settlement before it is missing")         \
    X(LEDGER_UNBALANCED, ERR_INVALID, "unbalanced", "the legs do not sum to zero")                 \
    X(LEDGER_ASSET_FIXED, ERR_PRECONDITION, "asset_fixed", "an asset's scale never changes")       \
    X(LEDGER_FULL, ERR_EXHAUSTED, "ledger_full", "a table of the ledger is full")

enum ledger_result {
#define LEDGER_RESULT_ENUM(name, err, word, text) name,
    LEDGER_RESULTS(LEDGER_RESULT_ENUM)
#undef LEDGER_RESULT_ENUM
        LEDGER_RESULT_COUNT
};

enum err ledger_result_err(enum ledger_result r);
const char *ledger_result_word(enum ledger_result r);
const char *ledger_result_text(enum ledger_result r);

enum entry_kind { ENTRY_TRADE = 1, ENTRY_FEE = 2, ENTRY_CREDIT = 3, ENTRY_TRANSFER = 4 };

/* What happened to one account: an output, immutable; the ledger keeps none of them. */
struct ledger_entry {
    struct id owner;
    int64_t amount; /* what the total changed by */
    int64_t total_after;
    uint64_t order_id, trade_id; /* of a settlement; else 0 */
    uint32_t account;            /* position; the ledger's own */
    uint16_t asset;
    uint8_t kind;
    bool from_hold;
};

/* Of one hold in a batch; the numbers are HoldResponse's. */
enum order_hold_result {
    ORDER_HELD = 0,
    ORDER_INSUFFICIENT = 1,
    ORDER_FENCED = 2,
    ORDER_UNKNOWN_ASSET = 3,
    ORDER_INVALID = 4, /* no amount, no user, or another hold has that order id */
    ORDER_FULL = 5,
};

/* What a command gave; valid until the next one. Large: allocate it once. */
struct ledger_output {
    struct ledger_entry entries[LEDGER_ENTRIES_MAX];
    size_t entry_count;
    int64_t first_time_ms; /* transfers: when it happened; of a repeat: the first time */
    uint64_t first_seq;
    uint64_t settled_seq;                   /* settle, reconcile: of the shard */
    uint64_t max_order_id;                  /* reconcile: the highest seen from the shard */
    uint64_t voided;                        /* reconcile */
    uint8_t hold_results[LEDGER_HOLDS_MAX]; /* enum order_hold_result */
};

struct ledger;

struct ledger_options {
    uint64_t seed;         /* of the hash tables: random in production; changes no result */
    uint32_t accounts_max; /* 0: ACCOUNTS_MAX, HOLDS_MAX, TRANSFER_IDS_MAX */
    uint32_t holds_max;
    uint32_t transfer_ids_max;
};

/* No memory is a CHECK here and whenever a table grows: see index.h. */
struct ledger *ledger_new(const struct ledger_options *options);
void ledger_free(struct ledger *l); /* accepts NULL */

/* seq must rise (CHECK). A refused command (any result but OK and REPEATED) has changed nothing;
 * only LEDGER_GAP and refusals of a later settlement leave the settlements before it done. */
enum ledger_result ledger_apply(struct ledger *l, uint64_t seq,
                                const struct ledger_command *command, struct ledger_output *out);
/* Asks the memory for what the command will need, which is most of its cost: some commands ahead.
 */
#define LEDGER_PREFETCH_AHEAD 16
void ledger_prefetch(const struct ledger *l, const struct ledger_command *command);
uint64_t ledger_seq(const struct ledger *l); /* of the last command */

/* ---- reading ---- */
struct ledger_asset {
    const char *name;
    uint8_t scale;
};
size_t ledger_asset_count(const struct ledger *l);
struct ledger_asset ledger_asset(const struct ledger *l, size_t asset);
bool ledger_asset_find(const struct ledger *l, const char *name, uint16_t *ret);

struct ledger_balance {
    struct id owner;
    uint16_t asset;
    int64_t total, held;
};
/* false: no such account. */
bool ledger_balance(const struct ledger *l, struct id owner, uint16_t asset,
                    struct ledger_balance *ret);
/* The house's accounts; no user's id is like them (a UUIDv7 starts with a time). */
#define LEDGER_ISSUED ((struct id){.hi = 0, .lo = 1}) /* minus what is in circulation */
#define LEDGER_FEES   ((struct id){.hi = 0, .lo = 2})
bool ledger_owner_is_house(struct id owner);           /* no user can have such an id */
uint64_t ledger_forgotten_ids(const struct ledger *l); /* ids that only the documents know */

/* Accounts whose total or held changed since the last ledger_touched_clear, each once. */
size_t ledger_touched_count(const struct ledger *l);
struct ledger_balance ledger_touched(const struct ledger *l, size_t i);
void ledger_touched_clear(struct ledger *l);

struct ledger_audit {
    int64_t issued; /* in circulation: minus the house's account */
    int64_t users, fees, held;
    bool balanced; /* sums to zero, and what is held is what the holds say */
    uint64_t accounts;
};
/* Recounts everything, into ledger_asset_count items. true: every asset is balanced. */
bool ledger_audit(const struct ledger *l, struct ledger_audit *ret);

/* ---- snapshots: ledger_snapshot.c ---- */
/* The whole state; equal ledgers give equal bytes. Fails with the buffer's error. */
MUST_CHECK enum err ledger_save(const struct ledger *l, struct buf *out);
/* Into a fresh ledger. ERR_CORRUPT: not a ledger's bytes, or not balanced; the ledger is to be
 * freed. */
MUST_CHECK enum err ledger_load(struct ledger *l, const void *data, size_t size);

#endif
