/*
 * Users, the core: what a name, a session and a refresh token are. Pure: no I/O, no clock.
 *
 * A session is a login. Its refresh token is (session id, generation, seal): the seal is an HMAC
 * under the platform's key, so nothing secret is stored and every generation ever issued can be
 * told from a forgery. The current generation rotates; an older genuine one was stolen or replayed,
 * and ends the session; a forgery changes nothing.
 */
#ifndef USERS_USERS_H
#define USERS_USERS_H

#include "base/err.h"
#include "base/rpc/rpc.h"
#include "base/token.h"

#include <stdbool.h>
#include <stdint.h>

#define EMAIL_MAX         254 /* RFC 5321's path limit less the angle brackets */
#define USERNAME_MIN      3
#define USERNAME_MAX      32
#define PASSWORD_MIN      8
#define PASSWORD_MAX      72 /* bcrypt reads no further */
#define USER_ID_SIZE      33
#define HASH_SIZE         64 /* a bcrypt hash has 60 characters */
#define SESSION_VALID_MS  (30LL * 24 * 3600 * 1000)
#define REFRESH_TEXT_SIZE 160
/* After its end: the last access token has expired, and clocks may differ a little. */
#define SESSION_DENY_MS ((TOKEN_VALID_S + 60) * 1000LL)

struct user {
    char user_id[USER_ID_SIZE];
    char email[EMAIL_MAX + 1]; /* as given; email_key is what is compared */
    char email_key[EMAIL_MAX + 1];
    char username[USERNAME_MAX + 1]; /* likewise */
    char username_key[USERNAME_MAX + 1];
    char hash[HASH_SIZE];
    enum role role;
    int64_t created_ms;
    int64_t version;
};

struct session {
    char session_id[USER_ID_SIZE];
    char user_id[USER_ID_SIZE];
    int64_t generation; /* of the refresh token that is good now; the first is 1 */
    bool revoked;
    int64_t created_ms;
    int64_t expires_ms; /* moves with every refresh; revoked: it need not be denied any longer */
    int64_t version;
};

/*
 * Fills in a new user's names, or ERR_INVALID with the field ("email", "username", "password") and
 * what would be right. Names are compared in lower case (ASCII; an e-mail's other bytes as they
 * are).
 */
MUST_CHECK enum err user_set_names(struct user *u, const char *email, const char *username,
                                   const char **ret_field, struct err_detail *detail);
MUST_CHECK enum err user_check_password(const char *password, struct err_detail *detail);
void email_to_key(const char *email, char ret[static EMAIL_MAX + 1]);

/* "<session id>.<generation>.<seal>" */
void refresh_format(const struct principal_key *key, const struct session *s,
                    char ret[static REFRESH_TEXT_SIZE]);
/* ERR_UNAUTHENTICATED: not a token that was ever issued under this key. */
MUST_CHECK enum err refresh_parse(const struct principal_key *key, const char *text,
                                  char ret_session_id[static USER_ID_SIZE],
                                  int64_t *ret_generation);

/* What a genuine refresh token of this generation does to its session. */
enum refresh { REFRESH_ROTATED, REFRESH_EXPIRED, REFRESH_REVOKED, REFRESH_REUSED };
enum refresh session_refresh(struct session *s, int64_t generation, int64_t now_ms);
/* Revokes it, and keeps it only as long as somebody may have an access token of it. */
void session_end(struct session *s, int64_t now_ms);

#endif
