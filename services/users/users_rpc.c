/* Handlers: decode, check, call the core and the store, reply. Whatever hashes goes to the pool
 * first. */
#include "users_service.h"
#include "users_store.h"

#include "base/clock.h"
#include "base/id.h"

#include <stdlib.h>
#include <string.h>

#define DENY_LIST "session" /* the gateway asks the same list */
#define DENY_MS   ((TOKEN_VALID_S + 60) * 1000LL)

/* ---- replies ---- */

static Users__Role role_to_proto(enum role role)
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
    m->user.role = role_to_proto(u->role);
    m->user.created_at = &m->created_at;
    return &m->user;
}

static void fail_store(struct rpc_call *call, enum err e)
{
    rpc_fail(call, e, "the users' documents: %s", err_text(e));
}

static void reply_tokens(struct users *users, const struct user *u, const struct session *s,
                         Users__Tokens_Closure reply, struct rpc_call *call)
{
    char access[TOKEN_TEXT_MAX], refresh[REFRESH_TEXT_SIZE];
    struct user_message message;
    struct token_claims claims = {.role = u->role, .issued_s = clock_wall_ms() / 1000};
    claims.expires_s = claims.issued_s + TOKEN_VALID_S;
    memcpy(claims.user_id, u->user_id, sizeof u->user_id);
    memcpy(claims.session_id, s->session_id, sizeof s->session_id);
    enum err e = token_issue(users->keys, &claims, access);
    if (e) return rpc_fail(call, e, "no token could be signed");

    refresh_format(users->principal_key, s, refresh);
    Users__Tokens tokens = USERS__TOKENS__INIT;
    tokens.access_token = access;
    tokens.token_type = (char *)"Bearer";
    tokens.expires_in = TOKEN_VALID_S;
    tokens.refresh_token = refresh;
    tokens.user = user_to_proto(u, &message);
    reply(&tokens, call);
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
    if (e) return fail_store(r->call, e);
    struct user_message message;
    r->reply(user_to_proto(&r->user, &message), r->call);
}

static void run_registration(struct hashing_job *job)
{
    struct registration *r = (struct registration *)job;
    if (rpc_call_cancelled(r->call))
        rpc_fail(r->call, ERR_CANCELLED, "nobody waits for this registration any more");
    else
        finish_registration(r);
    free(r);
}

static void submit(struct users *users, struct hashing_job *own_job, struct rpc_call *call)
{
    enum err e = hashing_pool_submit(users->hashing, own_job);
    if (!e) return;
    free(own_job);
    rpc_fail(call, e, "too many people are logging in right now; try again in a few seconds");
}

static void create_user(struct rpc_call *call, struct user *u, const char *password,
                        Users__User_Closure reply)
{
    struct err_detail detail = {0};
    if (user_check_password(password, &detail))
        return rpc_fail_field(call, "password", "%s", detail.text);

    struct registration *r = calloc(1, sizeof *r);
    if (!r) return rpc_fail(call, ERR_NO_MEMORY, "out of memory");
    u->created_ms = clock_wall_ms();
    id_format(id_new(), u->user_id);
    *r = (struct registration){
        {run_registration}, rpc_call_context(call), call, reply, password, *u};
    submit(r->users, &r->job, call);
}

static void rpc_register_user(Users__Users_Service *self, const Users__RegisterRequest *req,
                              Users__User_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct user u = {.role = ROLE_USER};
    struct err_detail detail = {0};
    const char *field = NULL;
    if (user_set_names(&u, req->email, req->username, &field, &detail))
        return rpc_fail_field(call, field, "%s", detail.text);
    create_user(call, &u, req->password, reply);
}

static void rpc_create_admin(Users__Users_Service *self, const Users__CreateAdminRequest *req,
                             Users__User_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct user u = {.role = ROLE_ADMIN};
    struct err_detail detail = {0};
    const char *field = NULL;
    if (user_set_names(&u, req->email, req->username, &field, &detail))
        return rpc_fail_field(call, field, "%s", detail.text);
    create_user(call, &u, req->password, reply);
}

/* ---- log in ---- */

struct login {
    struct hashing_job job;
    struct users *users;
    struct rpc_call *call;
    Users__Tokens_Closure reply;
    const Users__LoginRequest *req;
};

static void finish_login(struct login *l)
{
    struct user u = {0};
    char email_key[EMAIL_MAX + 1];
    email_to_key(l->req->email, email_key);
    enum err e = users_store_by_email(l->users->store, email_key, &u);
    if (e && e != ERR_NOT_FOUND) return fail_store(l->call, e);

    bool known = e == OK;
    bool right = hashing_matches(l->req->password, known ? u.hash : l->users->dummy_hash);
    if (!known || !right)
        return rpc_fail_reason(l->call, ERR_UNAUTHENTICATED, "bad_credentials",
                               "the e-mail or the password is wrong");

    struct session s = {.generation = 1, .created_ms = clock_wall_ms()};
    s.expires_ms = s.created_ms + SESSION_VALID_MS;
    id_format(id_random(), s.session_id);
    memcpy(s.user_id, u.user_id, sizeof u.user_id);
    e = sessions_store_add(l->users->store, &s);
    if (e) return fail_store(l->call, e);
    reply_tokens(l->users, &u, &s, l->reply, l->call);
}

static void run_login(struct hashing_job *job)
{
    struct login *l = (struct login *)job;
    if (rpc_call_cancelled(l->call))
        rpc_fail(l->call, ERR_CANCELLED, "nobody waits for this login any more");
    else
        finish_login(l);
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

static void deny(struct users *users, const char *session_id)
{
    /* The cache may be away: then the gateway, which fails closed, lets nobody in either. */
    (void)!cache_deny(users->cache, DENY_LIST, session_id, DENY_MS);
}

static enum err refresh(struct users *users, const char *token, struct session *ret)
{
    char session_id[USER_ID_SIZE];
    int64_t generation = 0;
    enum err e = refresh_parse(users->principal_key, token, session_id, &generation);
    if (e) return e;
    e = sessions_store_get(users->store, session_id, ret);
    if (e) return e == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : e;

    enum refresh what = session_refresh(ret, generation, clock_wall_ms());
    if (what == REFRESH_EXPIRED) return ERR_UNAUTHENTICATED;
    e = sessions_store_update(users->store, ret);
    if (e || what == REFRESH_ROTATED) return e;
    deny(users, session_id);
    return ERR_UNAUTHENTICATED;
}

static void rpc_refresh(Users__Users_Service *self, const Users__RefreshRequest *req,
                        Users__Tokens_Closure reply, void *closure_data)
{
    (void)self;
    struct rpc_call *call = closure_data;
    struct users *users = rpc_call_context(call);
    struct session s = {0};
    struct user u = {0};
    enum err e = refresh(users, req->refresh_token, &s);
    if (e == ERR_CONFLICT) e = refresh(users, req->refresh_token, &s); /* now it is a reuse */
    if (e == ERR_UNAUTHENTICATED)
        return rpc_fail_reason(call, e, "bad_refresh_token",
                               "the refresh token is not valid any more; log in again");
    if (!e) e = users_store_get(users->store, s.user_id, &u);
    if (e) return fail_store(call, e);
    reply_tokens(users, &u, &s, reply, call);
}

static void rpc_logout(Users__Users_Service *self, const Users__LogoutRequest *req,
                       Users__LogoutResponse_Closure reply, void *closure_data)
{
    (void)self;
    (void)req;
    struct rpc_call *call = closure_data;
    struct users *users = rpc_call_context(call);
    const char *session_id = rpc_call_principal(call)->session_id;
    struct session s = {0};
    enum err e = sessions_store_get(users->store, session_id, &s);
    if (!e && !s.revoked) {
        s.revoked = true;
        e = sessions_store_update(users->store, &s);
    }
    if (e && e != ERR_NOT_FOUND) return fail_store(call, e);

    e = cache_deny(users->cache, DENY_LIST, session_id, DENY_MS);
    if (e)
        return rpc_fail(call, e,
                        "the session is revoked, but access tokens of it may still be "
                        "valid for up to 15 minutes; try again");
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
    if (e) return fail_store(call, e);
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
