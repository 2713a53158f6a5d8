/* Private to base/token*.c: P-256 keys as PEM for libjwt and as JWK for everybody else. */
#ifndef BASE_TOKEN_KEY_H
#define BASE_TOKEN_KEY_H

#include "base/token.h"

struct token_key {
    char *private_pem; /* NULL in a public set */
    char *public_pem;
    struct token_jwk jwk;
};

struct token_keys {
    size_t count;
    struct token_key keys[TOKEN_KEYS_MAX];
};

/* ERR_INVALID: not a point on P-256. */
MUST_CHECK enum err token_key_from_jwk(const struct token_jwk *jwk, struct token_key *ret);
void token_key_release(struct token_key *key);

#endif
