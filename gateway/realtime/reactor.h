/*
 * The reactor: a few threads (loops), each of which looks after thousands of sockets by epoll. Its
 * owner embeds a source per socket and is given turns: when the socket may be read or written, when
 * somebody woke it, when its time has come. A source belongs to one loop for its life, so that its
 * turns never overlap and it needs no lock of its own.
 *
 * A turn must not block: what may, is for the workers (workers.h). Readiness is told once
 * (edge-triggered): who stops reading or writing before the socket has said EAGAIN must remember.
 */
#ifndef GATEWAY_REACTOR_H
#define GATEWAY_REACTOR_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REACTOR_LOOPS_MAX         16
#define REACTOR_LOOPS_DEFAULT_MAX 4 /* more would take the processors from what they wait for */
#define REACTOR_NEVER             INT64_MAX

enum reactor_why {
    REACTOR_READ = 1,   /* there is something to read, if only the end */
    REACTOR_WRITE = 2,  /* the socket takes something */
    REACTOR_HANGUP = 4, /* the other side sends nothing more, or the connection broke */
};

struct reactor;
struct reactor_loop;
struct reactor_source;

struct reactor_ops {
    /* On the loop. why: of reactor_why; 0: it was woken, or its time has come. */
    void (*turn)(struct reactor_source *s, unsigned why, int64_t now_ms);
    void (*release)(struct reactor_source *s); /* the last hold is gone; on any thread */
};

/* Embedded in its owner; private but for fd, to read and write. */
struct reactor_source {
    const struct reactor_ops *ops;
    struct reactor_loop *loop;
    int fd;
    atomic_uint holds;
    atomic_bool woken; /* it stands in the loop's list */
    struct reactor_source *next_woken;
    int64_t at_ms;
    size_t timer; /* its place in the loop's heap + 1; 0: none */
};

/* loops 0: one per processor, at most REACTOR_LOOPS_DEFAULT_MAX. ERR_NO_MEMORY: or no thread, no
 * descriptor. */
MUST_CHECK enum err reactor_new(unsigned loops, struct reactor **ret);
/* Accepts NULL. Waits until all sources have ended. Nothing may be started any more. */
void reactor_free(struct reactor *r);
/* Waits until all sources that were started have ended. */
void reactor_wait(struct reactor *r);

/* The owner's first hold is there from now on. */
void reactor_init(struct reactor_source *s, const struct reactor_ops *ops);
/*
 * The first turn comes at once, with why 0. The first hold becomes the loop's: whoever else needs
 * the source has taken one of their own before. own_fd does not block; it is closed when the source
 * ends. Thread-safe.
 */
void reactor_start(struct reactor *r, struct reactor_source *s, int own_fd);
/* A turn soon; many wakes may be one turn; none before the start and after the end. Thread-safe,
 * for who has a hold. */
void reactor_wake(struct reactor_source *s);
void reactor_hold(struct reactor_source *s); /* both are thread-safe */
void reactor_release(struct reactor_source *s);

/* Evenly over 0 to range_ms, neighbouring numbers far from each other (Fibonacci hashing): so that
 * what came at one time is not due at one time. Pure. */
int64_t reactor_spread(unsigned number, int64_t range_ms);

/* ---- in a turn ---- */

/* A turn at that monotonic time, whatever else comes; replaces the time before. */
void reactor_at(struct reactor_source *s, int64_t at_ms);
/* Closes the socket; no turn comes any more, and the loop's hold goes behind this one. */
void reactor_end(struct reactor_source *s);

#endif
