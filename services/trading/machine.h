/*
 * The shard behind the replica loop: commands are judged and held for, logged, applied to the
 * engine, written to the stream, and answered. Everything here but machine_init runs on the
 * replica's thread.
 */
#ifndef TRADING_MACHINE_H
#define TRADING_MACHINE_H

#include "base/journal/replica.h"
#include "base/metrics.h"
#include "engine.h"
#include "funds.h"
#include "listings.h"
#include "settle.h"
#include "stream.h"

struct machine {
    struct engine *engine;
    struct stream stream;
    struct listings listings;
    struct funds funds;
    struct settle *settle;    /* who answers what waits for the wallet */
    uint64_t seq;             /* of the last command */
    uint64_t outbox_seq;      /* of the last piece */
    int64_t now_ms;           /* never goes back */
    struct clients batch_ids; /* client order ids of the batch */
    bool touched[MARKETS_MAX];
    struct counter *done, *refused, *trades;
    struct histogram *hold, *journal, *match; /* of a batch's way: how long each stage took */
    int64_t prepared_us, journaled_us;        /* of the batch at hand; 0: not yet */
};

extern const struct machine_ops machine_ops;

/* The stream is told before the replica starts what the documents have. */
MUST_CHECK enum err machine_init(struct machine *m, const struct engine_options *options,
                                 size_t stream_size_max);
void machine_release(struct machine *m);
/* The replay is over: what it left in the stream can be taken, and events are wanted from now on.
 */
void machine_go_live(struct machine *m);

/* What the documents must have come to, to show all that the machine has done. */
uint64_t machine_documents_seq(const struct machine *m);

#endif
