/* Handlers: decode, check, call the core and the store, reply. Whatever hashes goes to the pool
 * first. */
#include "guesses.h"
#include "users_service.h"
#include "users_store.h"

#include "base/clock.h"
#include "base/id.h"

#include <stdlib.h>
#include <string.h>

#define CONFLICTS_MAX 8 /* others that change a session at the same time */

/* ---- replies ---- */

Users__Role users_role_to_proto(enum role role)
{
    switch (role) {
    case ROLE_ADMIN:
        return USERS__ROLE__ROLE_ADMIN;
    case ROLE_SUPPORT:
        return USERS__ROLE__ROLE_SUPPORT;
    default:
        return USERS__ROLE__ROLE_USER;
    }
}

/* A user as a message; what it points to lives in the same struct, and in u. */
struct user_message {
    Users__User user;
    Google__Protobuf__Timestamp created_at;
};

static Users__User *user_to_proto(const struct user *u, struct user_message *m)
{
    users__user__init(&m->user);
    google__protobuf__timestamp__init(&m->created_at);
    m->created_at.seconds = u->created_ms / 1000;
    m->created_at.nanos = (int32_t)(u->created_ms % 1000) * 1000000;
    m->user.user_id = (char *)u->user_id;
    m->user.email = (char *)u->email;
    m->user.username = (char *)u->username;
    m->user.role = users_role_to_proto(u->role);
    m->user.created_at = &m->created_at;
    return &m->user;
}

void users_fail_store(struct rpc_call *call, enum err e)
{
    rpc_fail(call, e, "the users' documents: %s", err_text(e));
}

/* A session that is about to begin or go on, with its access token. */
struct grant {
    struct user user;
    struct session session;
    char access[TOKEN_TEXT_MAX];
};

/* Before the session is stored: what cannot be signed changes nothing. */
static enum err sign(struct users *users, struct grant *g)
{
    struct token_claims claims = {.role = g->user.role, .issued_s = clock_wall_ms() / 1000};
    claims.expires_s = claims.issued_s + TOKEN_VALID_S;
    memcpy(claims.user_id, g->user.user_id, sizeof g->user.user_id);
    memcpy(claims.session_id, g->session.session_id, sizeof g->session.session_id);
    return token_issue(users->keys, &claims, g->access);
}

static void reply_grant(struct users *users, struct grant *g, Users__Tokens_Closure reply,
                        struct rpc_call *call)
{
    char refresh[REFRESH_TEXT_SIZE];
    struct user_message message;
    refresh_format(users->principal_key, &g->session, refresh);
    Users__Tokens tokens = USERS__TOKENS__INIT;
    tokens.access_token = g->access;
    tokens.token_type = (char *)"Bearer";
    tokens.expires_in = TOKEN_VALID_S;
    tokens.refresh_token = refresh;
    tokens.user = user_to_proto(&g->user, &message);
    reply(&tokens, call);
}

/* ---- what waits for the pool ---- */

static void submit(struct users *users, struct hashing_job *own_job, struct rpc_call *call)
{
    enum err e = hashing_pool_submit(users->hashing, own_job);
    if (!e) return;
    free(own_job);
    if (e == ERR_EXHAUSTED)
        rpc_fail(call, e, "too many people are logging in right now; try again in a few seconds");
    else
        rpc_fail(call, e, "%s", err_text(e));
}

/* false: nobody waits for it any more, and its call has ended. */
static bool is_wanted(struct users *users, struct rpc_call *call)
{
    bool stopping = atomic_load(&users->stopping);
    if (stopping)
        rpc_fail(call, ERR_CLOSED, "%s", err_text(ERR_CLOSED));
    else if (rpc_call_cancelled(call))
        rpc_fail(call, ERR_CANCELLED, "nobody waits for this any more");
    else
        return true;
    return false;
}

/* ---- register, create an admin ---- */

struct registration {
    struct hashing_job job;
    struct users *users;
    struct rpc_call *call;
    Users__User_Closure reply;
    const char *password; /* the request's */
    struct user user;
};

static void finish_registration(struct registration *r)
{
    enum err e = hashing_make(r->password, r->users->bcrypt_cost, r->user.hash);
    if (!e) e = users_store_add(r->users->store, &r->user);
    if (e == ERR_EXISTS)
        return rpc_fail_reason(r->call, e, "user_exists", "the e-mail or the username is taken");
    if (e) return users_fail_store(r->call, e);
    struct user_message message;
    r->reply(user_to_proto(&r->user, &message), r->call);
}

static void run_registration(struct hashing_job *job)
{
    struct registration *r = (struct registration *)job;
    if (is_wanted(r->users, r->call)) finish_registration(r);
    free(r);
}

static void create_user(struct rpc_call *call, const Users__RegisterRequest *req, enum role role,
                        Users__User_Closure reply)
{
    struct user u = {.role = role, .created_ms = clock_wall_ms()};
    struct err_detail detail = {0};
    const char *field = "password";
    if (user_set_names(&u, req->email, req->username, &field, &detail) ||
        user_check_password(req->password, &detail))
        return rpc_fail_field(call, field, "%s", detail.text);

    struct registration *r = calloc(1, sizeof *r);
    if (!r) return rpc_fail(call, ERR_NO_MEMORY, "out of memory");
    id_format(id_new(), u.user_id);
    *r = (struct registration){
        {run_registration}, rpc_call_context(call), call, reply, req->password, u};
    submit(r->users, &r->job, call);
}

static void rpc_register_user(Users__Users_Service *self, const Users__RegisterRequest *req,
                              Users__User_Closure reply, void *closure_data)
{
    (void)self;
    create_user(closure_data, req, ROLE_USER, reply);
}

static void rpc_create_admin(Users__Users_Service *self, const Users__CreateAdminRequest *req,
                             Users__User_Closure reply, void *closure_data)
{
    (void)self;
    Users__RegisterRequest same = USERS__REGISTER_REQUEST__INIT;
    same.email = req->email;
    same.username = req->username;
    same.password = req->password;
    create_user(closure_data, &same, ROLE_ADMIN, reply);
}

/* ---- log in ---- */

struct login {
    struct hashing_job job;
    struct users *users;
    struct rpc_call *call;
    Users__Tokens_Closure reply;
    const Users__LoginRequest *req;
};

static enum err begin_session(struct users *users, struct grant *g)
{
    struct session *s = &g->session;
    *s = (struct session){.generation = 1, .created_ms = clock_wall_ms()};
    s->expires_ms = s->created_ms + SESSION_VALID_MS;
    id_format(id_random(), s->session_id);
    memcpy(s->user_id, g->user.user_id, sizeof g->user.user_id);
    enum err e = sign(users, g);
    return e ? e : sessions_store_add(users->store, s);
}

/* The account, or the device if it has been logged in there: by a refresh token of its, even one
 * that is not good any more. */
static void name_guesser(const struct login *l, const char *email_key, const char *user_id,
                         char ret[static GUESSES_WHO_SIZE])
{
    struct session session = {0};
    char session_id[USER_ID_SIZE];
    int64_t generation;
    guesses_of_account(email_key, ret);
    if (refresh_parse(l->users->principal_key, l->req->refresh_token, session_id, &generation) ||
        sessions_store_get(l->users->store, session_id, &session))
        return;
    if (strcmp(session.user_id, user_id) == 0) guesses_of_device(session_id, ret);
}

/* An e-mail that nobody has takes as long as a wrong password, and is counted as one. */
static bool check_password(const struct login *l, const char *hash, const char *guesser)
{
    int64_t wait_ms = 0, max = l->users->wrong_passwords_max;
    if (guesses_left(l->users->cache, guesser, max, &wait_ms)) {
        rpc_fail_reason(l->call, ERR_EXHAUSTED, "too_many_guesses",
                        "too many wrong passwords; try again in %lld s, or from a device where you "
                        "have been logged in",
                        (long long)(wait_ms + 999) / 1000);
        return false;
    }
    bool right = false;
    enum err e = hashing_matches(l->req->password, hash ? hash : l->users->dummy_hash, &right);
    if (e) {
        rpc_fail(l->call, e, "%s", err_text(e));
        return false;
    }
    if (right && hash) return true;
    guesses_count(l->users->cache, guesser, max);
    rpc_fail_reason(l->call, ERR_UNAUTHENTICATED, "bad_credentials",
                    "the e-mail or the password is wrong");
    return false;
}

static void finish_login(struct login *l)
{
    struct grant g = {0};
    char email_key[EMAIL_MAX + 1], guesser[GUESSES_WHO_SIZE];
    email_to_key(l->req->email, email_key);
    enum err e = users_store_by_email(l->users->store, email_key, &g.user);
    if (e && e != ERR_NOT_FOUND) return users_fail_store(l->call, e);
    name_guesser(l, email_key, g.user.user_id, guesser);
    if (!check_password(l, e ? NULL : g.user.hash, guesser)) return;
    e = begin_session(l->users, &g);
    if (e) return users_fail_store(l->call, e);
    reply_grant(l->users, &g, l->reply, l->call);
}

static void run_login(struct hashing_job *job)
{
    struct login *l = (struct login *)job;
    if (is_wanted(l->users, l->call)) finish_login(l);
    free(l);
}

static void rpc_login(Users__Users_Service *self, const Users__LoginRequest *req,
                      Users__Tokens_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct login *l = malloc(sizeof *l);
    if (!l) return rpc_fail(call, ERR_NO_MEMORY, "out of memory");
    *l = (struct login){{run_login}, rpc_call_context(call), call, reply, req};
    submit(l->users, &l->job, call);
}

/* ---- sessions ---- */

enum err users_deny(struct users *users, const char *session_id)
{
    enum err e = cache_deny(users->cache, DENY_LIST, session_id, SESSION_DENY_MS);
    if (e) atomic_store(&users->denied, false);
    return e;
}

/* Everything that may fail comes before the one update: a client whose refresh failed still has a
 * token that is good. */
static enum err refresh(struct users *users, const char *token, struct grant *g)
{
    char session_id[USER_ID_SIZE];
    int64_t generation = 0;
    enum err e = refresh_parse(users->principal_key, token, session_id, &generation);
    if (!e) e = sessions_store_get(users->store, session_id, &g->session);
    if (!e) e = users_store_get(users->store, g->session.user_id, &g->user);
    if (!e) e = sign(users, g);
    if (e) return e == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : e;

    enum refresh what = session_refresh(&g->session, generation, clock_wall_ms());
    if (what == REFRESH_ROTATED || what == REFRESH_REUSED)
        e = sessions_store_update(users->store, &g->session);
    if (e) return e;
    if (what == REFRESH_REUSED || what == REFRESH_REVOKED) (void)!users_deny(users, session_id);
    return what == REFRESH_ROTATED ? OK : ERR_UNAUTHENTICATED;
}

static void rpc_refresh(Users__Users_Service *self, const Users__RefreshRequest *req,
                        Users__Tokens_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct users *users = rpc_call_context(call);
    struct grant g = {0};
    enum err e = ERR_CONFLICT; /* somebody refreshed at the same time: then this is a reuse */
    for (int i = 0; i < CONFLICTS_MAX && e == ERR_CONFLICT; i++)
        e = refresh(users, req->refresh_token, &g);
    if (e == ERR_UNAUTHENTICATED)
        return rpc_fail_reason(call, e, "bad_refresh_token",
                               "the refresh token is not valid any more; log in again");
    if (e) return users_fail_store(call, e);
    reply_grant(users, &g, reply, call);
}

static enum err revoke_once(struct users *users, const char *session_id)
{
    struct session s = {0};
    enum err e = sessions_store_get(users->store, session_id, &s);
    if (e || s.revoked) return e == ERR_NOT_FOUND ? OK : e;
    session_end(&s, clock_wall_ms());
    return sessions_store_update(users->store, &s);
}

/* The document first: if the deny list fails then, the same access token can still ask again. */
static enum err end_session(struct users *users, const char *session_id)
{
    enum err e = ERR_CONFLICT;
    for (int i = 0; i < CONFLICTS_MAX && e == ERR_CONFLICT; i++)
        e = revoke_once(users, session_id);
    return e ? e : users_deny(users, session_id);
}

/* The caller's session, and the refresh token's if that is another. */
static void rpc_logout(Users__Users_Service *self, const Users__LogoutRequest *req,
                       Users__LogoutResponse_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct users *users = rpc_call_context(call);
    const char *own = rpc_call_principal(call)->session_id;
    char session_id[USER_ID_SIZE];
    int64_t generation = 0;
    bool refresh_token =
        refresh_parse(users->principal_key, req->refresh_token, session_id, &generation) == OK;
    if (!own[0] && !refresh_token)
        return rpc_fail_reason(call, ERR_UNAUTHENTICATED, "not_logged_in",
                               "there is no session: neither an access nor a refresh token");
    enum err e = own[0] ? end_session(users, own) : OK;
    if (!e && refresh_token && strcmp(own, session_id) != 0) e = end_session(users, session_id);
    if (e)
        return rpc_fail(call, e, "the session may not have ended everywhere; try again: %s",
                        err_text(e));
    Users__LogoutResponse response = USERS__LOGOUT_RESPONSE__INIT;
    reply(&response, call);
}

/* ---- reading ---- */

static void reply_user(struct rpc_call *call, const char *user_id, Users__User_Closure reply)
{
    struct users *users = rpc_call_context(call);
    struct user u = {0};
    struct user_message message;
    enum err e = users_store_get(users->store, user_id, &u);
    if (e == ERR_NOT_FOUND) return rpc_fail(call, e, "there is no user %s", user_id);
    if (e) return users_fail_store(call, e);
    reply(user_to_proto(&u, &message), call);
}

static void rpc_who_am_i(Users__Users_Service *self, const Users__WhoAmIRequest *req,
                         Users__User_Closure reply, void *closure_data)
{
    (void)self;
    (void)req;
    reply_user(closure_data, rpc_call_principal(closure_data)->user_id, reply);
}

static void rpc_get_user(Users__Users_Service *self, const Users__GetUserRequest *req,
                         Users__User_Closure reply, void *closure_data)
{
    (void)self;
    reply_user(closure_data, req->user_id, reply);
}

static void rpc_jwks(Users__Users_Service *self, const Users__JwksRequest *req,
                     Users__JwksResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)req;
    struct users *users = rpc_call_context(closure_data);
    Users__Jwk keys[TOKEN_KEYS_MAX], *pointers[TOKEN_KEYS_MAX];
    Users__JwksResponse response = USERS__JWKS_RESPONSE__INIT;
    response.keys = pointers;
    response.n_keys = token_keys_count(users->keys);
    for (size_t i = 0; i < response.n_keys; i++) {
        const struct token_jwk *jwk = token_keys_jwk(users->keys, i);
        users__jwk__init(&keys[i]);
        keys[i].kty = (char *)"EC";
        keys[i].crv = (char *)"P-256";
        keys[i].x = (char *)jwk->x;
        keys[i].y = (char *)jwk->y;
        keys[i].kid = (char *)jwk->kid;
        keys[i].use = (char *)"sig";
        keys[i].alg = (char *)"ES256";
        pointers[i] = &keys[i];
    }
    reply(&response, closure_data);
}

Users__Users_Service users_rpc_service = USERS__USERS__INIT(rpc_);
