/*
 * Access tokens: JWTs (RFC 7519) signed with ES256 by libjwt, and the keys for them. Users issues,
 * the gateway verifies with the public keys (JWKS, RFC 7517) alone.
 *
 * A key set is immutable once built; issuing and verifying are thread-safe and do not block. Only
 * ES256 is ever accepted, whatever a token's header says.
 */
#ifndef BASE_TOKEN_H
#define BASE_TOKEN_H

#include "base/auto.h"
#include "base/err.h"
#include "base/rpc/rpc.h"

#include <stddef.h>
#include <stdint.h>

#define TOKEN_TEXT_MAX 1024
#define TOKEN_KEYS_MAX 8 /* of a set: the signing key and those that are being retired */
#define TOKEN_VALID_S  (15 * 60)
#define TOKEN_KID_SIZE 44 /* base64url of a SHA-256: the RFC 7638 thumbprint, and the NUL */
#define TOKEN_ISSUER   "tradepost"

struct token_claims {
    char user_id[40], session_id[40];
    enum role role;
    int64_t issued_s, expires_s; /* seconds since 1970 */
};

/* A public key, as in a JWKS: base64url coordinates on P-256. */
struct token_jwk {
    char kid[TOKEN_KID_SIZE], x[44], y[44];
};

struct token_keys;

/*
 * Private keys from the PEM files of a directory (each *.pem; the alphabetically last one signs, so
 * a newer key is rotated in by adding a file). An empty or missing directory gets a new key, mode
 * 0600. ERR_INVALID: a file is not a P-256 private key; ERR_IO, ERR_FULL: it cannot be read or
 * written.
 */
MUST_CHECK enum err token_keys_load(const char *directory, struct token_keys **ret,
                                    struct err_detail *detail);
/* Public keys from a JWKS. ERR_INVALID: not a point on P-256, or more than TOKEN_KEYS_MAX. */
MUST_CHECK enum err token_keys_public(const struct token_jwk *jwks, size_t count,
                                      struct token_keys **ret);
void token_keys_free(struct token_keys *keys); /* accepts NULL */

size_t token_keys_count(const struct token_keys *keys);
const struct token_jwk *token_keys_jwk(const struct token_keys *keys, size_t index);

/* Signs; the set must have private keys (CHECK). */
MUST_CHECK enum err token_issue(const struct token_keys *keys, const struct token_claims *claims,
                                char ret[static TOKEN_TEXT_MAX]);
/*
 * ERR_UNAUTHENTICATED: malformed, another algorithm or issuer, forged, or expired at now_s.
 * ERR_NOT_FOUND: signed with a key that is not in the set (it may be newer than the set).
 */
MUST_CHECK enum err token_verify(const struct token_keys *keys, const char *text, int64_t now_s,
                                 struct token_claims *ret);

AUTO_DEFINE(struct token_keys, token_keys_free)

#endif
