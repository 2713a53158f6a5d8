/*
 * Work that waits for the store, done by a few threads of its own, so that a store that is slow or
 * away never takes the workers that move money. Thread-safe.
 */
#ifndef WALLET_JOBS_H
#define WALLET_JOBS_H

#include "base/err.h"

#define JOBS_WAITING_MAX 512 /* as many as calls in flight by default; beyond: refused at once */

/* First in a larger struct; run ends it (and frees it). */
struct job {
    void (*run)(struct job *job);
};

struct jobs;

MUST_CHECK enum err jobs_start(unsigned threads, struct jobs **ret);
/* Runs what waits, then ends. Blocks. Accepts NULL. */
void jobs_stop(struct jobs *j);
/* ERR_EXHAUSTED, ERR_CLOSED: the job stays the caller's. Never blocks. */
MUST_CHECK enum err jobs_submit(struct jobs *j, struct job *job);

#endif
