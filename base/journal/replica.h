/*
 * The replica loop: a deterministic state machine behind a bounded queue, made durable by a
 * journal.
 *
 * One thread does everything, in the order of the order's way: take all that waits (at most a
 * batch), prepare (decide, stamp, ask others), append and sync once, apply each in order, finish
 * (replies leave). While one batch is being written the next collects; there are no timers.
 *
 * The machine's time, ids and rates come from its entries: prepare writes them into the entry,
 * apply reads them there, so a replay is the same. Replay calls apply only.
 */
#ifndef BASE_JOURNAL_REPLICA_H
#define BASE_JOURNAL_REPLICA_H

#include "base/buf.h"
#include "base/err.h"
#include "base/journal/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLICA_QUEUE_MAX 65536 /* commands waiting; beyond: ERR_EXHAUSTED at once */

/*
 * One command on its way. The submitter allocates it, usually inside of a larger struct that also
 * holds the call to answer; the machine's finish (or drop) hook ends it and frees it.
 */
struct command {
    const void
        *entry; /* what is journaled; set by the submitter or by prepare; must live until finish */
    size_t
        entry_size; /* 0 after prepare: nothing is journaled or applied, finish runs all the same */
    enum err err;   /* OK at first; set by prepare to refuse (then not journaled), or by the loop */
};

struct machine_ops {
    /* May block and change nothing of the machine. May set entries and refuse commands. NULL: none.
     */
    void (*prepare)(void *machine, struct command **commands, size_t count);
    /*
     * Deterministic, no I/O. command is NULL in a replay; otherwise results may be left in what is
     * around it. The entry was valid when it was journaled; if it cannot be applied that is a bug
     * (CHECK).
     */
    void (*apply)(void *machine, uint64_t seq, const void *entry, size_t size,
                  struct command *command);
    /*
     * Each command is durable and applied, or refused: its err says. Beside what prepare set:
     * ERR_FULL, ERR_NO_MEMORY: could not be journaled, not applied, may be tried again; ERR_IO: the
     * journal failed for good, now (then a new start may find it applied) or before (then prepare
     * did not run); ERR_INVALID: an entry beyond JOURNAL_ENTRY_SIZE_MAX. A batch of more than
     * JOURNAL_BATCH_SIZE_MAX bytes goes in several records, so these may differ within it. Answers
     * and frees every command. May block (but then all wait).
     */
    void (*finish)(void *machine, struct command **commands, size_t count);
    /* Serialises the whole machine; loads it into a fresh one. */
    enum err (*save)(void *machine, struct buf *out);
    enum err (*load)(void *machine, const void *data, size_t size);
    /* What a snapshot must not delete: the seq up to which readers of the journal are done. NULL:
     * all. */
    uint64_t (*keep_after)(void *machine);
};

struct replica;

struct replica_options {
    const char *directory, *name; /* of the journal */
    unsigned queue_max;           /* 0: REPLICA_QUEUE_MAX */
    unsigned batch_max;           /* 0: JOURNAL_BATCH_MAX */
    uint64_t snapshot_bytes;      /* journal bytes between snapshots; 0: 64 MiB */
    uint64_t segment_size;        /* of the journal */
};

/*
 * Recovers the machine (blocks), then starts the thread. Errors, and what detail tells with OK: see
 * journal_open. ops and machine must outlive the replica.
 */
MUST_CHECK enum err replica_start(const struct replica_options *options,
                                  const struct machine_ops *ops, void *machine,
                                  struct replica **ret, struct err_detail *detail);
/*
 * Refuses what is new, finishes what waits, snapshots if anything changed since the last, closes.
 * No other call may still run when it returns. Accepts NULL. Blocks.
 */
void replica_stop(struct replica *r);

/*
 * Thread-safe, never blocks. ERR_EXHAUSTED: the queue is full. ERR_CLOSED: it is being stopped.
 * With an error the command stays the caller's.
 */
MUST_CHECK enum err replica_submit(struct replica *r, struct command *command);

/*
 * Runs look(machine, arg) on the machine's thread between two batches: a consistent read that sees
 * every command finished before. Not from the machine's own hooks. Blocks until done. ERR_CLOSED,
 * ERR_EXHAUSTED, ERR_NO_MEMORY; ERR_TIMEOUT: not begun by the monotonic time deadline_ms. With an
 * error it does not run.
 */
MUST_CHECK enum err replica_look(struct replica *r, void (*look)(void *machine, void *arg),
                                 void *arg, int64_t deadline_ms);

struct replica_stats {
    uint64_t last_seq, batches, syncs, queued;
    uint64_t snapshots,
        snapshots_failed; /* a failed one is tried again after snapshot_bytes more */
    bool failed;          /* the journal failed for good: a restart is needed */
};
void replica_stats(struct replica *r, struct replica_stats *ret);

#endif
