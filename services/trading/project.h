/*
 * Projection: one thread that writes the stream's closed orders and trades into the store, in bulk,
 * behind everything else, and remembers how far it is. It lets documents gather for
 * PROJECT_LINGER_MS, unless somebody waits for them: a write of many costs little more than one of
 * few. It tries for ever while the store is away; what waits is bounded by the stream.
 */
#ifndef TRADING_PROJECT_H
#define TRADING_PROJECT_H

#include "base/store/store.h"
#include "listings.h"
#include "stream.h"
#include "trading_store.h"

#define PROJECT_LINGER_MS      200
#define PROJECT_CHUNKS_MAX     1024
#define PROJECT_BACKOFF_MS     20 /* after a failure; doubles */
#define PROJECT_BACKOFF_MAX_MS 2000

struct project;

/* watermark: what the documents have. */
MUST_CHECK enum err project_start(struct stream *stream, struct listings *listings,
                                  struct store *store, uint16_t shard, struct watermark watermark,
                                  struct project **ret);
/* After stream_close: gives up on what is not written (the journal has it). Accepts NULL. Blocks.
 */
void project_stop(struct project *p);

/*
 * Waits until the documents have everything up to seq. ERR_UNAVAILABLE: not before deadline_ms
 * (monotonic), or stopping.
 */
MUST_CHECK enum err project_wait(struct project *p, uint64_t seq, int64_t deadline_ms);
bool project_healthy(struct project *p); /* did the last write succeed? */
uint64_t project_seq(struct project *p);

#endif
