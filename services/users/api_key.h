/*
 * API keys, the core: what a key is, and how its secret is kept. Pure: no I/O, no clock.
 *
 * A key acts through its grant, an id that is new whenever the key changes. The old one goes to the
 * deny list of sessions, so that whoever remembers the key as it was forgets it at once.
 */
#ifndef USERS_API_KEY_H
#define USERS_API_KEY_H

#include "base/crypt.h"
#include "base/err.h"
#include "base/rpc/rpc.h"
#include "users.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define API_KEYS_MAX          30 /* of a user: some for each bot, and a bound for the list */
#define API_KEY_NAME_MAX      64
#define API_KEY_NETWORKS_MAX  16
#define API_KEY_NETWORK_MAX   49 /* bytes of the longest IPv6 address with its prefix */
#define API_KEY_NETWORKS_SIZE (API_KEY_NETWORKS_MAX * (API_KEY_NETWORK_MAX + 1))
#define API_KEY_TIER_MAX      15
#define API_KEY_SECRET_SIZE                                                                        \
    64 /* hex digits of 256 random bits; they are the HMAC's key as text                           \
        */
#define API_KEY_VERIFIER_MAX (API_KEY_SECRET_SIZE + CRYPT_SEAL_SIZE)

enum api_key_kind { API_KEY_HMAC = 1, API_KEY_ED25519 = 2 };

struct api_key {
    char key_id[USER_ID_SIZE];
    char user_id[USER_ID_SIZE];
    char grant[USER_ID_SIZE];
    char name[API_KEY_NAME_MAX + 1];
    char networks[API_KEY_NETWORKS_SIZE]; /* between commas; "": anywhere */
    char tier[API_KEY_TIER_MAX + 1];
    enum api_key_kind kind;
    uint64_t permissions;                   /* bits of enum permission */
    uint8_t verifier[API_KEY_VERIFIER_MAX]; /* the sealed secret, or the public key */
    size_t verifier_size;
    int64_t slot; /* 0 to API_KEYS_MAX - 1: no two keys of a user have the same */
    int64_t created_ms;
    int64_t expires_ms; /* 0: never */
    int64_t version;
};

/* The networks as one text. ERR_INVALID: one of them is none; ret_item is which, detail says what
 * would be right. */
MUST_CHECK enum err api_key_set_networks(struct api_key *k, char *const *networks, size_t count,
                                         size_t *ret_item, struct err_detail *detail);
/* ERR_INVALID: not lower-case letters and digits, or too long. */
MUST_CHECK enum err api_key_set_tier(struct api_key *k, const char *tier);

/* Makes a secret, seals it into the key under the platform's, and returns it in clear, this once.
 */
void api_key_make_secret(struct api_key *k, const struct principal_key *platform,
                         char ret[static API_KEY_SECRET_SIZE + 1]);
/* ERR_CORRUPT: the document is damaged, or was written under another platform's key. */
MUST_CHECK enum err api_key_open_secret(const struct api_key *k,
                                        const struct principal_key *platform,
                                        char ret[static API_KEY_SECRET_SIZE + 1]);

#endif
