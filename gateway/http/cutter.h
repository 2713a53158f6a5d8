/*
 * Cuts connections that take longer than they may: civetweb's time limits start again with every
 * byte, so a client that sends or takes one byte at a time would keep a thread for hours. Whoever
 * is about to wait for a client arms the cutter first; a socket that is cut ends the wait.
 *
 * One thread that sleeps until the next time that is due. Thread-safe; nothing blocks.
 */
#ifndef GATEWAY_CUTTER_H
#define GATEWAY_CUTTER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cutter;

/* waits_max: armed at once, at most one by each thread of a listener. */
MUST_CHECK enum err cutter_new(unsigned waits_max, struct cutter **ret);
void cutter_free(struct cutter *c); /* accepts NULL; nothing may be armed */

enum cut { CUT_READING, CUT_BOTH };

/* At the monotonic time at_ms the socket is shut down. It must stay open until disarmed. */
struct cutter_wait {
    struct cutter *cutter; /* NULL: not armed */
    size_t slot;
};
/* c NULL or socket -1: nothing happens. */
struct cutter_wait cutter_arm(struct cutter *c, int socket, enum cut cut, int64_t at_ms);
/* true: too late, it has been cut. */
bool cutter_disarm(struct cutter_wait wait);

#endif
