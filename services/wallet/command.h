/*
 * The ledger's logged commands and their bytes in the journal: little-endian fields in a fixed
 * order, exactly as long as they say. What a command means is in ledger.h; here is only its shape.
 *
 * Every entry starts with the kind (1 byte) and the time (8 bytes, ms since 1970). The format is
 * append-only: a kind is never changed, a new meaning gets a new kind, so that old journals replay.
 * Pure; nothing blocks. A decoded command borrows the bytes it was decoded from.
 */
#ifndef WALLET_COMMAND_H
#define WALLET_COMMAND_H

#include "base/buf.h"
#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_SIZE_MAX        65536 /* a journal entry's limit */
#define COMMAND_ASSET_NAME      16    /* bytes of an asset's name */
#define COMMAND_LEGS_MAX        32    /* linked legs of one transfer */
#define COMMAND_REFERENCE_MAX   64    /* bytes: a caller's transfer id */

#define COMMAND_ORDER_HOLD_SIZE 34 /* bytes of one hold, leg, release */
#define COMMAND_LEG_SIZE        43
#define COMMAND_RELEASE_SIZE    8
#define COMMAND_SETTLEMENT_SIZE 15 /* the head of one settlement */

enum command_kind {
    COMMAND_ASSET = 1,
    COMMAND_TRANSFER = 2,
    COMMAND_HOLD = 3,
    COMMAND_POST = 4,
    COMMAND_VOID = 5,
    COMMAND_ORDER_HOLDS = 6,
    COMMAND_SETTLE = 7,
    COMMAND_RECONCILE = 8,
};

struct asset_command {
    char name[COMMAND_ASSET_NAME + 1];
    uint8_t scale;
};

/* The caller's words for a movement; not NUL-terminated. */
struct reference {
    const char *text;
    uint8_t size;
};

struct transfer_leg {
    struct id from, to;
    int64_t amount;
    uint16_t asset;
};

struct transfer_command {
    struct id id;    /* once per id */
    struct id actor; /* who ordered it; zero: a service */
    struct reference reference;
    uint8_t kind; /* enum entry_kind of both entries of each leg */
    uint8_t leg_count;
    struct transfer_leg legs[COMMAND_LEGS_MAX];
};

struct hold_command {
    struct id id; /* of this request, once per id; also the hold's name */
    struct id owner;
    int64_t amount;
    uint16_t asset;
};

struct post_command {
    struct id id;   /* of this request, once per id */
    struct id hold; /* the id that made it */
    struct id to;
    int64_t amount; /* at most the hold; the rest goes back */
    struct reference reference;
    uint8_t kind;
};

struct void_command {
    struct id id, hold;
};

struct order_hold {
    uint64_t order_id;
    struct id owner;
    int64_t amount;
    uint16_t asset;
};

struct order_holds_command {
    uint32_t shard;
    uint16_t count;
    const uint8_t *items; /* order_hold_get */
};

struct settle_leg {
    uint64_t order_id; /* whose hold pays; 0: receives */
    struct id owner;
    int64_t amount;
    uint64_t trade_id;
    uint16_t asset;
    uint8_t kind; /* ENTRY_TRADE, ENTRY_FEE */
};

/* One part of one settlement: a settlement too large for an entry travels in parts 0, 1, ... last.
 */
struct settlement {
    uint64_t seq;
    uint16_t part;
    bool last;
    uint16_t leg_count, release_count;
    const uint8_t *legs, *releases; /* settle_leg_get, settle_release_get */
};

struct settle_command {
    uint32_t shard;
    uint16_t count;
    const uint8_t *items; /* settlement_next */
    size_t size;
};

struct reconcile_command {
    uint32_t shard;
    uint64_t last_order_id, fence_order_id;
};

struct ledger_command {
    enum command_kind kind;
    int64_t time_ms;
    union {
        struct asset_command asset;
        struct transfer_command transfer;
        struct hold_command hold;
        struct post_command post;
        struct void_command void_hold;
        struct order_holds_command order_holds;
        struct settle_command settle;
        struct reconcile_command reconcile;
    };
};

/* ERR_INVALID: not exactly one well-formed command. */
MUST_CHECK enum err command_decode(const void *data, size_t size, struct ledger_command *ret);

/* Appends the command's bytes; `out`'s error tells of failure. Within COMMAND_SIZE_MAX by the
 * caller. */
void command_encode(const struct ledger_command *command, struct buf *out);

/* Sets the time of encoded bytes: the writer's clock, once per batch. */
void command_stamp(void *data, size_t size, int64_t time_ms);

/* Batches are written piece by piece; the counts are kept right in place. */
void command_begin_order_holds(struct buf *out, uint32_t shard);
void command_add_order_hold(struct buf *out, const struct order_hold *hold);
void command_begin_settle(struct buf *out, uint32_t shard);
/* The head; returns its offset, which the legs and releases of this settlement need. */
size_t command_add_settlement(struct buf *out, uint64_t seq, uint16_t part);
void command_add_leg(struct buf *out, size_t settlement, const struct settle_leg *leg);
void command_add_release(struct buf *out, size_t settlement,
                         uint64_t order_id); /* after the legs */
void command_settlement_last(struct buf *out, size_t settlement, bool last);

struct order_hold order_hold_get(const struct order_holds_command *command, uint16_t i);
struct settle_leg settle_leg_get(const struct settlement *s, uint16_t i);
uint64_t settle_release_get(const struct settlement *s, uint16_t i);
/* The settlement at *offset, which starts at 0. false: no more. */
bool settlement_next(const struct settle_command *command, size_t *offset, struct settlement *ret);

#endif
