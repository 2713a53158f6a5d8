/* The rules of users.h. */
#include "users.h"

#include "base/crypt.h"
#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void lower(const char *text, char *ret)
{
    size_t i = 0;
    for (; text[i]; i++)
        ret[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    ret[i] = 0;
}

void email_to_key(const char *email, char ret[static EMAIL_MAX + 1])
{
    CHECK(strlen(email) <= EMAIL_MAX);
    lower(email, ret);
}

/* One @ with something before it and a dotted name behind it; no blanks or control characters. */
static bool email_is_valid(const char *email)
{
    size_t size = strlen(email);
    const char *at = strchr(email, '@');
    if (size > EMAIL_MAX || !at || at == email || strchr(at + 1, '@')) return false;
    const char *dot = strrchr(at, '.');
    if (!dot || dot == at + 1 || !dot[1] || strstr(at, "..")) return false;
    for (const char *c = email; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f) return false;
    return true;
}

static bool username_is_valid(const char *username)
{
    size_t size = strlen(username);
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return size >= USERNAME_MIN && size <= USERNAME_MAX && strspn(username, letters) == size;
}

enum err user_set_names(struct user *u, const char *email, const char *username,
                        const char **ret_field, struct err_detail *detail)
{
    if (!email_is_valid(email)) {
        *ret_field = "email";
        return err_set(detail, ERR_INVALID, "must be an e-mail address like ann@example.com");
    }
    if (!username_is_valid(username)) {
        *ret_field = "username";
        return err_set(detail, ERR_INVALID, "must be %d to %d letters, digits, '_' or '-'",
                       USERNAME_MIN, USERNAME_MAX);
    }
    memcpy(u->email, email, strlen(email) + 1);
    memcpy(u->username, username, strlen(username) + 1);
    lower(email, u->email_key);
    lower(username, u->username_key);
    return OK;
}

enum err user_check_password(const char *password, struct err_detail *detail)
{
    size_t size = strlen(password);
    if (size >= PASSWORD_MIN && size <= PASSWORD_MAX) return OK;
    return err_set(detail, ERR_INVALID, "must have %d to %d bytes", PASSWORD_MIN, PASSWORD_MAX);
}

/* What is sealed is the readable part of the token, under a key of its own. */
static void seal(const struct principal_key *key, const char *text, size_t size,
                 char ret[static BASE64URL_SIZE(SHA256_SIZE)])
{
    uint8_t refresh_key[SHA256_SIZE], mac[SHA256_SIZE];
    crypt_hmac_sha256(key->bytes, sizeof key->bytes, "refresh token", 13, refresh_key);
    crypt_hmac_sha256(refresh_key, sizeof refresh_key, text, size, mac);
    base64url_encode(mac, sizeof mac, ret);
}

void refresh_format(const struct principal_key *key, const struct session *s,
                    char ret[static REFRESH_TEXT_SIZE])
{
    char text[64], mac[BASE64URL_SIZE(SHA256_SIZE)];
    int size = snprintf(text, sizeof text, "%s.%" PRId64, s->session_id, s->generation);
    CHECK(size > 0 && size < (int)sizeof text);
    seal(key, text, (size_t)size, mac);
    (void)snprintf(ret, REFRESH_TEXT_SIZE, "%s.%s", text, mac);
}

enum err refresh_parse(const struct principal_key *key, const char *text,
                       char ret_session_id[static USER_ID_SIZE], int64_t *ret_generation)
{
    char mac[BASE64URL_SIZE(SHA256_SIZE)];
    const char *dot = strchr(text, '.'), *last = strrchr(text, '.');
    if (!dot || dot == last || dot - text != USER_ID_SIZE - 1 || strlen(last + 1) != sizeof mac - 1)
        return ERR_UNAUTHENTICATED;
    seal(key, text, (size_t)(last - text), mac);
    if (!crypt_equal(mac, last + 1, sizeof mac - 1)) return ERR_UNAUTHENTICATED;

    /* Sealed, so it is what refresh_format wrote. */
    memcpy(ret_session_id, text, USER_ID_SIZE - 1);
    ret_session_id[USER_ID_SIZE - 1] = 0;
    *ret_generation = strtoll(dot + 1, NULL, 10);
    return OK;
}

void session_end(struct session *s, int64_t now_ms)
{
    int64_t denied_ms = now_ms + SESSION_DENY_MS;
    s->revoked = true;
    if (s->expires_ms > denied_ms) s->expires_ms = denied_ms;
}

enum refresh session_refresh(struct session *s, int64_t generation, int64_t now_ms)
{
    if (now_ms >= s->expires_ms) return REFRESH_EXPIRED;
    if (s->revoked) return REFRESH_REVOKED;
    if (generation != s->generation) {
        session_end(s, now_ms);
        return REFRESH_REUSED;
    }
    s->generation++;
    s->expires_ms = now_ms + SESSION_VALID_MS;
    return REFRESH_ROTATED;
}
