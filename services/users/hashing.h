/*
 * Passwords: bcrypt by libxcrypt, a quarter of a second of CPU each, so it happens here only: on a
 * few threads of its own behind a bounded queue. A flood of logins fills that queue and is refused;
 * nothing else waits for it.
 */
#ifndef USERS_HASHING_H
#define USERS_HASHING_H

#include "base/err.h"
#include "users.h"

#include <stdbool.h>

#define HASHING_COST_MIN 4 /* bcrypt's own; for tests */
#define HASHING_COST_MAX 16

/* Both burn CPU on the calling thread: only from a job of the pool, or at start. */
MUST_CHECK enum err hashing_make(const char *password, unsigned cost, char ret[static HASH_SIZE]);
/* A well-formed hash that no password has: verifying against it takes as long as any other. Quick.
 */
void hashing_make_dummy(unsigned cost, char ret[static HASH_SIZE]);
/* ERR_NO_MEMORY: not known. */
MUST_CHECK enum err hashing_matches(const char *password, const char *hash, bool *ret);

struct hashing_pool;

/* A job runs on a thread of the pool and may block. */
struct hashing_job {
    void (*run)(struct hashing_job *job);
};

MUST_CHECK enum err hashing_pool_new(unsigned threads, unsigned queue_max,
                                     struct hashing_pool **ret);
/* ERR_EXHAUSTED: queue_max wait already. ERR_CLOSED: stopped. The job stays the caller's until it
 * runs. */
MUST_CHECK enum err hashing_pool_submit(struct hashing_pool *p, struct hashing_job *job);
/* Takes no more jobs, runs those that wait, then returns; accepts NULL. Blocks as long as they
 * take.
 */
void hashing_pool_stop(struct hashing_pool *p);
void hashing_pool_free(struct hashing_pool *p); /* stops first; accepts NULL */

#endif
