/*
 * Lookups: a repeated request whose order is closed is answered with the stored order. The
 * read may block, so it has a thread and a bounded queue of its own.
 */
#ifndef TRADING_LOOKUP_H
#define TRADING_LOOKUP_H

#include "listings.h"
#include "pending.h"
#include "project.h"

#define LOOKUP_QUEUE_MAX  1024 /* beyond: ERR_EXHAUSTED */
#define LOOKUP_TIMEOUT_MS 5000 /* of an answer without a deadline of its own */

struct lookup;

MUST_CHECK enum err lookup_start(struct store *store, struct listings *listings,
                                 struct project *project, struct lookup **ret);
/* Answers what waits, with an error if need be. Accepts NULL. Blocks. */
void lookup_stop(struct lookup *l);

/*
 * Takes over a pending without its order, waits until the documents have all up to its
 * documents_seq, finds the order there, and answers.
 */
void lookup_order(struct lookup *l, struct pending *own_p);

#endif
