/*
 * Settlement: one thread that gives the wallet what the stream says, in the outbox's order, as much
 * as waits in each call, and tries for ever while the wallet is away. Answers that must not be
 * given before a client's balances show its trades wait here.
 */
#ifndef TRADING_SETTLE_H
#define TRADING_SETTLE_H

#include "base/rpc/client.h"
#include "listings.h"
#include "pending.h"
#include "stream.h"

#define SETTLE_TIMEOUT_MS     5000
#define SETTLE_BACKOFF_MS     20 /* after a failure; doubles */
#define SETTLE_BACKOFF_MAX_MS 2000
#define SETTLE_LEGS_MAX       24576 /* of one call: below 2 MB */
#define SETTLE_RELEASES_MAX   16384
#define SETTLE_PIECES_MAX     4096
#define SETTLE_CHUNKS_MAX     64

struct settle;

struct settle_options {
    struct stream *stream; /* all borrowed */
    struct listings *listings;
    struct rpc_client *wallet;
    uint16_t shard;
    /* Now and then: everything up to this seq is settled, it may be logged. Must not block. */
    void (*note)(void *arg, uint64_t settled_seq);
    void *arg;
};

MUST_CHECK enum err settle_new(const struct settle_options *options, struct settle **ret);
/* The wallet has everything up to settled_seq. */
MUST_CHECK enum err settle_start(struct settle *s, uint64_t settled_seq);
/* Gives up on what is not settled (it stays in the stream) and answers what waits. Blocks. */
void settle_stop(struct settle *s);
void settle_free(struct settle *s); /* accepts NULL; stopped or never started */

/* Answers each of a batch now, or as soon as its outbox_seq is settled. Takes them over. */
void settle_answer(struct settle *s, struct pending **pendings, size_t count);

uint64_t settle_seq(struct settle *s);
/*
 * Did the last call to the wallet succeed? ERR_UNAVAILABLE: it did not. ERR_CONFLICT: the wallet
 * refuses what it must accept, so it is not the one of this journal; detail says why.
 */
MUST_CHECK enum err settle_ready(struct settle *s, struct err_detail *detail);

#endif
