/* Documents in, documents out. */
#include "users_store.h"

#include "api_keys_store.h"

#include <string.h>

#define USERS    "users"
#define SESSIONS "sessions"

static const struct store_index users_indexes[] = {
    {"by_email", {"email_key"}, true},
    {"by_username", {"username_key"}, true},
    {0},
};
static const struct store_index sessions_indexes[] = {
    {"by_user", {"user_id"}, false},
    {"by_expiry", {"expires_ms"}, false},
    {"by_revoked", {"revoked"}, false},
    {0},
};
const struct store_collection users_collections[] = {
    {USERS, users_indexes},
    {SESSIONS, sessions_indexes},
    {API_KEYS, api_keys_indexes},
    {0},
};

static enum err user_from_bson(const bson_t *doc, struct user *ret)
{
    struct user u = {0};
    int64_t role = 0;
    if (!store_text(doc, "_id", u.user_id, sizeof u.user_id) ||
        !store_text(doc, "email", u.email, sizeof u.email) ||
        !store_text(doc, "email_key", u.email_key, sizeof u.email_key) ||
        !store_text(doc, "username", u.username, sizeof u.username) ||
        !store_text(doc, "username_key", u.username_key, sizeof u.username_key) ||
        !store_text(doc, "hash", u.hash, sizeof u.hash) || !store_int(doc, "role", &role) ||
        !store_int(doc, "created_ms", &u.created_ms) || !store_int(doc, "v", &u.version) ||
        role < ROLE_USER || role > ROLE_ADMIN)
        return ERR_CORRUPT;
    u.role = (enum role)role;
    *ret = u;
    return OK;
}

enum err users_store_add(struct store *s, const struct user *u)
{
    AUTO_BSON bson_t *doc =
        BCON_NEW("_id", BCON_UTF8(u->user_id), "email", BCON_UTF8(u->email), "email_key",
                 BCON_UTF8(u->email_key), "username", BCON_UTF8(u->username), "username_key",
                 BCON_UTF8(u->username_key), "hash", BCON_UTF8(u->hash), "role",
                 BCON_INT64(u->role), "created_ms", BCON_INT64(u->created_ms));
    return store_insert(s, USERS, (const bson_t *const[]){doc}, 1, NULL);
}

enum err users_store_get(struct store *s, const char *user_id, struct user *ret)
{
    AUTO_BSON bson_t *doc = NULL;
    enum err e = store_find_id(s, USERS, user_id, &doc);
    if (e) return e;
    return user_from_bson(doc, ret);
}

enum err users_store_by_email(struct store *s, const char *email_key, struct user *ret)
{
    AUTO_BSON bson_t *filter = BCON_NEW("email_key", BCON_UTF8(email_key));
    AUTO_BSON bson_t *doc = NULL;
    enum err e = store_find_one(s, USERS, filter, &doc);
    if (e) return e; /* ERR_NOT_FOUND when nobody has it */
    return user_from_bson(doc, ret);
}

static bson_t *session_to_bson(const struct session *session)
{
    return BCON_NEW("_id", BCON_UTF8(session->session_id), "user_id", BCON_UTF8(session->user_id),
                    "generation", BCON_INT64(session->generation), "revoked",
                    BCON_INT64(session->revoked), "created_ms", BCON_INT64(session->created_ms),
                    "expires_ms", BCON_INT64(session->expires_ms));
}

enum err sessions_store_add(struct store *s, const struct session *session)
{
    AUTO_BSON bson_t *doc = session_to_bson(session);
    return store_insert(s, SESSIONS, (const bson_t *const[]){doc}, 1, NULL);
}

static enum err session_from_bson(const bson_t *doc, struct session *ret)
{
    struct session session = {0};
    int64_t revoked = 0;
    if (!store_text(doc, "_id", session.session_id, sizeof session.session_id) ||
        !store_text(doc, "user_id", session.user_id, sizeof session.user_id) ||
        !store_int(doc, "generation", &session.generation) ||
        !store_int(doc, "revoked", &revoked) ||
        !store_int(doc, "created_ms", &session.created_ms) ||
        !store_int(doc, "expires_ms", &session.expires_ms) ||
        !store_int(doc, "v", &session.version))
        return ERR_CORRUPT;
    session.revoked = revoked != 0;
    *ret = session;
    return OK;
}

enum err sessions_store_get(struct store *s, const char *session_id, struct session *ret)
{
    AUTO_BSON bson_t *doc = NULL;
    enum err e = store_find_id(s, SESSIONS, session_id, &doc);
    if (e) return e;
    return session_from_bson(doc, ret);
}

enum err sessions_store_revoked(struct store *s, int64_t now_ms, const char *after,
                                struct session *ret, size_t *ret_count)
{
    AUTO_BSON bson_t *filter =
        BCON_NEW("revoked", BCON_INT64(1), "expires_ms", "{", "$gt", BCON_INT64(now_ms), "}", "_id",
                 "{", "$gt", BCON_UTF8(after), "}");
    const struct store_find find = {.filter = filter, .limit = SESSIONS_PAGE};
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    const bson_t *doc;
    size_t count = 0;
    enum err e = store_find(s, SESSIONS, &find, &cursor);
    if (e) return e;
    while (!(e = store_cursor_next(cursor, &doc)) && !(e = session_from_bson(doc, &ret[count])))
        count++;
    if (e != ERR_NOT_FOUND) return e;
    *ret_count = count;
    return OK;
}

enum err sessions_store_update(struct store *s, const struct session *session)
{
    AUTO_BSON bson_t *doc = session_to_bson(session);
    return store_update(s, SESSIONS, session->session_id, session->version, doc);
}

enum err sessions_store_sweep(struct store *s, int64_t now_ms, unsigned limit,
                              uint64_t *ret_deleted)
{
    AUTO_BSON bson_t *filter = BCON_NEW("expires_ms", "{", "$lt", BCON_INT64(now_ms), "}");
    return store_delete_many(s, SESSIONS, filter, limit, ret_deleted);
}
