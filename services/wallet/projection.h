/*
 * The projection: the ledger's entries, written as documents behind it, in order and in bulk.
 *
 * The machine stages the entries of each command and commits them once their batch is durable; a
 * thread lets them gather for a moment unless somebody waits for them, writes them, now and then
 * the watermark, and tries again for as long as the store is away. An entry's document is named by
 * its position, so writing it twice changes nothing. What has not been written yet is part of the
 * machine's snapshot, so that the journal may forget its entries.
 *
 * stage, commit, save and load are the machine's thread's; the rest is thread-safe.
 */
#ifndef WALLET_PROJECTION_H
#define WALLET_PROJECTION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/store/store.h"
#include "ledger.h"

#define PROJECTION_WAITING_MAX 1000000 /* entries: about 100 MB; beyond it commands are refused */
#define PROJECTION_POSITIONS   4096    /* of one journal seq: position = seq * 4096 + index */

_Static_assert(LEDGER_ENTRIES_MAX <= PROJECTION_POSITIONS, "every entry has a position");

struct projection;

struct projection_options {
    struct store *store;
    const struct ledger *ledger; /* for the names of assets, which are never changed once defined */
    uint64_t watermark;          /* everything up to this seq is written */
    uint64_t waiting_max;        /* 0: PROJECTION_WAITING_MAX */
};

/* Nothing is written before projection_start. ERR_NO_MEMORY. */
MUST_CHECK enum err projection_new(const struct projection_options *options,
                                   struct projection **ret);
MUST_CHECK enum err projection_start(struct projection *p);
/* Writes what waits, but for at most grace_ms; the rest is in the snapshot. Blocks. Accepts NULL.
 */
void projection_stop(struct projection *p, int64_t grace_ms);
void projection_free(struct projection *p); /* accepts NULL; stopped, or never started */

/* The entries and the transfer of a command that was done. No memory is a CHECK, as in the ledger.
 */
void projection_stage(struct projection *p, const struct ledger_command *command, uint64_t seq,
                      const struct ledger_output *out);
/* Everything up to seq is staged and durable. */
void projection_commit(struct projection *p, uint64_t seq);
uint64_t projection_staged(const struct projection *p);    /* entries not committed */
uint64_t projection_committed(const struct projection *p); /* seq; the machine's thread */

/* Too much waits: whoever makes more should be refused. */
bool projection_is_full(struct projection *p);
/* Entries waiting; ret_failing (may be NULL): the last write failed. */
uint64_t projection_waiting(struct projection *p, bool *ret_failing);
/*
 * Waits until everything up to seq is written. ERR_UNAVAILABLE: the store is away. ERR_TIMEOUT: not
 * by the monotonic time deadline_ms.
 */
MUST_CHECK enum err projection_wait(struct projection *p, uint64_t seq, int64_t deadline_ms);

/* Appends what is committed and not written; errors are the buffer's. */
void projection_save(struct projection *p, struct buf *out);
/*
 * Takes what a snapshot has, before anything is staged; the ledger is loaded already. ERR_CORRUPT.
 * *ret_marked is the seq that the watermark document had reached when it was saved.
 */
MUST_CHECK enum err projection_load(struct projection *p, const void *data, size_t size,
                                    uint64_t *ret_marked);

#endif
