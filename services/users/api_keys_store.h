/* API keys as documents. Errors are base/store's; every call may block on the store. */
#ifndef USERS_API_KEYS_STORE_H
#define USERS_API_KEYS_STORE_H

#include "api_key.h"
#include "base/store/store.h"

#define API_KEYS "api_keys"
extern const struct store_index api_keys_indexes[];

/* ERR_EXISTS: the user's slot is taken (or the id, which does not happen). */
MUST_CHECK enum err api_keys_store_add(struct store *s, const struct api_key *k);
MUST_CHECK enum err api_keys_store_get(struct store *s, const char *key_id, struct api_key *ret);
/* All of a user, the oldest first. */
MUST_CHECK enum err api_keys_store_of_user(struct store *s, const char *user_id,
                                           struct api_key ret[static API_KEYS_MAX],
                                           size_t *ret_count);
/* ERR_CONFLICT: somebody else changed it since it was read. */
MUST_CHECK enum err api_keys_store_update(struct store *s, const struct api_key *k);
/* ERR_NOT_FOUND: somebody else was faster. */
MUST_CHECK enum err api_keys_store_delete(struct store *s, const char *key_id);

#endif
