/* Users and sessions as documents. Errors are base/store's; every call may block on the store. */
#ifndef USERS_USERS_STORE_H
#define USERS_USERS_STORE_H

#include "base/store/store.h"
#include "users.h"

extern const struct store_collection users_collections[];

/* ERR_EXISTS: the e-mail or the username is taken (or the id, which does not happen). */
MUST_CHECK enum err users_store_add(struct store *s, const struct user *u);
MUST_CHECK enum err users_store_get(struct store *s, const char *user_id, struct user *ret);
MUST_CHECK enum err users_store_by_email(struct store *s, const char *email_key, struct user *ret);

MUST_CHECK enum err sessions_store_add(struct store *s, const struct session *session);
MUST_CHECK enum err sessions_store_get(struct store *s, const char *session_id,
                                       struct session *ret);
/* ERR_CONFLICT: somebody else changed it since it was read. */
MUST_CHECK enum err sessions_store_update(struct store *s, const struct session *session);
/*
 * Sessions that were revoked and need to be denied at now_ms, from the one after `after` on ("":
 * the first), at most SESSIONS_PAGE of them.
 */
#define SESSIONS_PAGE 256
MUST_CHECK enum err sessions_store_revoked(struct store *s, int64_t now_ms, const char *after,
                                           struct session *ret, size_t *ret_count);
/* Deletes up to `limit` sessions that expired before now_ms. */
MUST_CHECK enum err sessions_store_sweep(struct store *s, int64_t now_ms, unsigned limit,
                                         uint64_t *ret_deleted);

#endif
