/*
 * A command on its way, with whoever waits for its answer. It is made by a handler, goes through
 * the replica's thread (machine.h), perhaps waits for the wallet (settle.h), and ends in its answer
 * hook, which frees it.
 */
#ifndef TRADING_PENDING_H
#define TRADING_PENDING_H

#include "base/journal/replica.h"
#include "base/metrics.h"
#include "command.h"
#include "engine.h"
#include "message.h"

struct pending {
    struct command command; /* first: what the replica knows of it; its err is the answer's */
    void (*answer)(struct pending *own); /* any thread; must not block for long */
    void *context;                       /* of the answer */
    struct request request;
    int64_t deadline_ms; /* monotonic; passed before its hold: dropped. 0: none */

    /* What became of it. */
    const char *reason, *text; /* of a refusal: the stable word and a sentence; static */
    bool has_order;            /* order is set; else, without an err, look it up by order_id */
    uint64_t order_id;
    uint64_t documents_seq; /* where the documents have it */
    struct order_view order;
    struct fill *fills; /* of this command; owned */
    size_t fill_count;
    uint32_t cancelled;  /* by cancel_all */
    uint64_t outbox_seq; /* the answer waits until the wallet has settled this; 0: nothing */

    /* The machine's. */
    uint8_t entry[COMMAND_SIZE_MAX];
    bool held;
    bool duplicate;        /* its client order id was there before, */
    struct pending *first; /* in this very batch: by this one */
    struct pending *next;  /* in a list of those that wait, */
    int64_t waits_us;      /* since then */
};

static inline void pending_refuse(struct pending *p, enum err e, const char *reason,
                                  const char *text)
{
    p->command.err = e;
    p->reason = reason;
    p->text = text;
}

/* How long one stage of the orders' way takes: stage="hold", "journal", "match" or "settle". */
static inline struct histogram *order_stage(const char *labels)
{
    return metrics_histogram("tradepost_order_stage_seconds",
                             "Time of one batch of commands in a stage of the orders' way", labels);
}

#endif
