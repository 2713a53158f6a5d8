/*
 * The workers: a few threads that do what may block, so that no loop of the reactor has to. Work
 * belongs to an actor (a connection): its jobs run one at a time, in order, each on whichever
 * worker is free; actors take turns, so that one with many jobs keeps no other waiting.
 *
 * How much may wait is the poster's to bound. Thread-safe; only workers_free blocks.
 */
#ifndef GATEWAY_WORKERS_H
#define GATEWAY_WORKERS_H

#include "base/err.h"

#include <stdbool.h>

#define WORKERS_MAX 256

struct workers;
MUST_CHECK enum err workers_new(unsigned threads, struct workers **ret);
/* Accepts NULL. Nothing may be posted any more; what was posted runs first. */
void workers_free(struct workers *w);

struct job {
    struct job *next; /* private */
};

/* Embedded in its owner; zeroed but for ops. The owner lives until its jobs are done. */
struct actor {
    const struct actor_ops *ops;
    struct actor *next; /* private, as are the rest */
    struct job *first, *last;
    bool scheduled;
};
struct actor_ops {
    void (*run)(struct actor *a, struct job *own_job);
    void (*done)(struct actor *a); /* once per job, behind run: the actor may end here */
};

/* The job is the caller's until run gets it. */
void workers_post(struct workers *w, struct actor *a, struct job *own_job);

#endif
