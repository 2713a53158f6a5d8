/* JWTs by libjwt. */
#include "base/token.h"

#include "base/crypt.h"

#include <jansson.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#include "base/token_key.h"

static const char *const role_words[] = {
    [ROLE_GUEST] = "guest", [ROLE_USER] = "user",       [ROLE_SUPPORT] = "support",
    [ROLE_ADMIN] = "admin", [ROLE_SERVICE] = "service",
};

void token_keys_free(struct token_keys *keys)
{
    if (!keys) return;
    for (size_t i = 0; i < keys->count; i++)
        token_key_release(&keys->keys[i]);
    free(keys);
}

size_t token_keys_count(const struct token_keys *keys)
{
    return keys->count;
}

const struct token_jwk *token_keys_jwk(const struct token_keys *keys, size_t index)
{
    CHECK(index < keys->count);
    return &keys->keys[index].jwk;
}

enum err token_keys_public(const struct token_jwk *jwks, size_t count, struct token_keys **ret)
{
    if (count > TOKEN_KEYS_MAX) return ERR_INVALID;
    AUTO(auto_token_keys_free) struct token_keys *keys = calloc(1, sizeof *keys);
    if (!keys) return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        enum err e = token_key_from_jwk(&jwks[i], &keys->keys[i]);
        if (e) return e;
        keys->count++;
    }
    *ret = TAKE(keys);
    return OK;
}

static bool add_grants(jwt_t *jwt, const struct token_claims *claims)
{
    return jwt_add_grant(jwt, "iss", TOKEN_ISSUER) == 0 &&
           jwt_add_grant(jwt, "sub", claims->user_id) == 0 &&
           jwt_add_grant(jwt, "sid", claims->session_id) == 0 &&
           jwt_add_grant(jwt, "role", role_words[claims->role]) == 0 &&
           jwt_add_grant_int(jwt, "iat", (long)claims->issued_s) == 0 &&
           jwt_add_grant_int(jwt, "exp", (long)claims->expires_s) == 0;
}

enum err token_issue(const struct token_keys *keys, const struct token_claims *claims,
                     char ret[static TOKEN_TEXT_MAX])
{
    const struct token_key *key = &keys->keys[keys->count - 1];
    CHECK(keys->count > 0 && key->private_pem);

    jwt_t *jwt = NULL;
    if (jwt_new(&jwt)) return ERR_NO_MEMORY;
    char *text = NULL;
    if (add_grants(jwt, claims) && jwt_add_header(jwt, "kid", key->jwk.kid) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)key->private_pem,
                    (int)strlen(key->private_pem)) == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    if (!text) return ERR_NO_MEMORY;

    size_t size = strlen(text);
    CHECK(size < TOKEN_TEXT_MAX);
    memcpy(ret, text, size + 1);
    free(text);
    return OK;
}

/* Which key does the header name? Also refuses any algorithm but ES256 before a key is touched. */
static enum err find_key(const struct token_keys *keys, const char *text,
                         const struct token_key **ret)
{
    const char *dot = strchr(text, '.');
    char header[TOKEN_TEXT_MAX], json[TOKEN_TEXT_MAX];
    if (!dot || (size_t)(dot - text) >= sizeof header) return ERR_UNAUTHENTICATED;
    memcpy(header, text, (size_t)(dot - text));
    header[dot - text] = 0;
    size_t size = sizeof json;
    if (base64url_decode(header, json, &size)) return ERR_UNAUTHENTICATED;

    json_t *object = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
    const char *algorithm = json_string_value(json_object_get(object, "alg"));
    const char *kid = json_string_value(json_object_get(object, "kid"));
    enum err e = ERR_UNAUTHENTICATED;
    if (algorithm && kid && strcmp(algorithm, "ES256") == 0) {
        e = ERR_NOT_FOUND;
        for (size_t i = 0; i < keys->count && e; i++) {
            if (strcmp(keys->keys[i].jwk.kid, kid) != 0) continue;
            *ret = &keys->keys[i];
            e = OK;
        }
    }
    json_decref(object);
    return e;
}

static bool read_text(jwt_t *jwt, const char *name, char *ret, size_t ret_size)
{
    const char *value = jwt_get_grant(jwt, name);
    size_t size = value ? strlen(value) : 0;
    if (size == 0 || size >= ret_size) return false;
    memcpy(ret, value, size + 1);
    return true;
}

static bool read_role(jwt_t *jwt, enum role *ret)
{
    const char *word = jwt_get_grant(jwt, "role");
    for (enum role role = ROLE_USER; word && role <= ROLE_ADMIN; role++) {
        if (strcmp(role_words[role], word) != 0) continue;
        *ret = role;
        return true;
    }
    return false;
}

static enum err read_claims(jwt_t *jwt, int64_t now_s, struct token_claims *ret)
{
    struct token_claims claims = {0};
    const char *issuer = jwt_get_grant(jwt, "iss");
    claims.issued_s = jwt_get_grant_int(jwt, "iat");
    claims.expires_s = jwt_get_grant_int(jwt, "exp");
    if (jwt_get_alg(jwt) != JWT_ALG_ES256 || !issuer || strcmp(issuer, TOKEN_ISSUER) != 0 ||
        now_s >= claims.expires_s || !read_role(jwt, &claims.role) ||
        !read_text(jwt, "sub", claims.user_id, sizeof claims.user_id) ||
        !read_text(jwt, "sid", claims.session_id, sizeof claims.session_id))
        return ERR_UNAUTHENTICATED;
    *ret = claims;
    return OK;
}

/* libjwt takes other spellings of the same signature too; a token has one. */
static bool has_signature(const char *text)
{
    uint8_t signature[64]; /* r and s of P-256 (RFC 7518, section 3.4) */
    size_t size = sizeof signature;
    const char *dot = strrchr(text, '.');
    return dot && base64url_decode(dot + 1, signature, &size) == OK && size == sizeof signature;
}

enum err token_verify(const struct token_keys *keys, const char *text, int64_t now_s,
                      struct token_claims *ret)
{
    if (strlen(text) >= TOKEN_TEXT_MAX || !has_signature(text)) return ERR_UNAUTHENTICATED;
    const struct token_key *key = NULL;
    enum err e = find_key(keys, text, &key);
    if (e) return e;

    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, text, (const unsigned char *)key->public_pem,
                   (int)strlen(key->public_pem)))
        return ERR_UNAUTHENTICATED;
    e = read_claims(jwt, now_s, ret);
    jwt_free(jwt);
    return e;
}
