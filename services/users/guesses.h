/*
 * Wrong passwords, counted per account (whether there is one or not) for an hour: beyond the limit
 * no password is tried any more, from however many addresses somebody guesses. So that nobody can
 * lock an owner out by guessing, a device that has been logged in, which its refresh token shows,
 * has a count of its own.
 *
 * What an address may try is the gateway's to limit. Counts are in the cache; while that is away
 * nothing is counted here. Thread-safe; blocks on the cache.
 */
#ifndef USERS_GUESSES_H
#define USERS_GUESSES_H

#include "base/cache/cache.h"

#define GUESSES_WINDOW_MS (60 * 60 * 1000)
#define GUESSES_WHO_SIZE  96

/* Who is counted: the account of that e-mail, or the device of that session. */
void guesses_of_account(const char *email_key, char ret[static GUESSES_WHO_SIZE]);
void guesses_of_device(const char *session_id, char ret[static GUESSES_WHO_SIZE]);

/* ERR_EXHAUSTED: no more now; *ret_wait_ms until one more will be tried. */
MUST_CHECK enum err guesses_left(struct cache *cache, const char *who, int64_t max,
                                 int64_t *ret_wait_ms);
void guesses_count(struct cache *cache, const char *who, int64_t max); /* one more was wrong */

#endif
