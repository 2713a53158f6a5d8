/*
 * What is logged: the commands of a shard as explicit little-endian bytes. Everything the engine
 * must not decide for itself (time, order ids, fee rates) is in the command, so that a replay is
 * the same. Pure and thread-safe.
 */
#ifndef TRADING_COMMAND_H
#define TRADING_COMMAND_H

#include "base/err.h"
#include "base/id.h"
#include "clients.h"
#include "codec.h"
#include "rules.h"

#include <stddef.h>
#include <stdint.h>

#define COMMAND_SIZE_MAX 192    /* bytes of an encoded one; asserted by a test */
#define MARKET_ALL       0xffff /* instead of a market's number: every market */

/* An order id is the shard and a number that only grows. */
#define ORDER_NUMBER_BITS       48
#define ORDER_ID(shard, number) (((uint64_t)(shard) << ORDER_NUMBER_BITS) | (number))
#define SHARD_MAX               0x7fff /* so that an order id fits an int64 */

enum command_kind {
    COMMAND_MARKET = 1, /* defines a market, or changes its rules */
    COMMAND_PLACE = 2,
    COMMAND_CANCEL = 3,
    COMMAND_CANCEL_ALL = 4,
    COMMAND_REPLACE = 5,
    COMMAND_SETTLED = 6, /* the wallet has everything up to settled_seq: the outbox may forget it */
};

struct request {
    uint8_t kind; /* enum command_kind */
    int64_t now_ms;
    struct id user;                /* not of market, settled */
    uint64_t order_id;             /* place, replace: the new one; cancel: the one to cancel */
    uint64_t old_order_id;         /* replace */
    uint16_t market;               /* place, cancel_all */
    struct terms terms;            /* place; replace: price and quantity only */
    uint32_t maker_ppm, taker_ppm; /* place, replace */
    struct client_id client_id;    /* place, replace */
    struct rules rules;            /* market */
    uint64_t settled_seq;          /* settled */
};

/* Returns the size written; what is given must be within the limits above (CHECK). */
size_t request_encode(const struct request *r, uint8_t ret[static COMMAND_SIZE_MAX]);

/* ERR_INVALID: not what request_encode writes: short, trailing, an unknown kind, a text too long.
 */
MUST_CHECK enum err request_decode(const void *data, size_t size, struct request *ret);

/* A market's rules, the same in commands and snapshots. What is read is not checked: see
 * rules_check. */
void put_rules(struct writer *w, const struct rules *r);
void get_rules(struct reader *r, struct rules *ret);

/* A fingerprint of what a place or replace asks for: equal for a repeat, 2^-64 for anything else.
 */
uint64_t request_body(const struct request *r);

#endif
