/* The users part of the integration tests. */
#include "users_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_MAX 64
#define TEXT_SIZE  64

static const struct config_key *schema(void)
{
    static struct config_key keys[SCHEMA_MAX];
    size_t count = 0;
    const struct config_key *const tables[] = {part_common_keys, users_part.config};
    for (size_t t = 0; t < 2; t++)
        for (const struct config_key *k = tables[t]; k->key; k++) {
            assert_true(count < SCHEMA_MAX - 1);
            keys[count++] = *k;
        }
    keys[count] = (struct config_key){0};
    return keys;
}

void fixture_set(struct users_fixture *f, const char *override)
{
    assert_true(f->override_count < FIXTURE_OVERRIDES_MAX);
    size_t i = f->override_count++;
    (void)snprintf(f->texts[i], sizeof f->texts[i], "%s", override);
    f->overrides[i] = f->texts[i];
}

void fixture_init(struct users_fixture *f)
{
    static atomic_uint number;
    unsigned n = atomic_fetch_add(&number, 1);
    *f = (struct users_fixture){0};
    temp_make(f->directory);
    char text[2 * TEMP_PATH_SIZE];
    (void)snprintf(text, sizeof text, "data_dir=%s", f->directory);
    fixture_set(f, text);
    (void)snprintf(text, sizeof text, "users.rpc=inproc://users-test-%u", n);
    fixture_set(f, text);
    (void)snprintf(text, sizeof text, "users.listen=inproc://users-test-%u", n);
    fixture_set(f, text);
    (void)snprintf(text, sizeof text, "cache.url=memory:users-test-%u", n);
    fixture_set(f, text);
    (void)snprintf(text, sizeof text, "users.bcrypt_cost=%d", HASHING_COST_MIN);
    fixture_set(f, text);
}

enum err fixture_start(struct users_fixture *f)
{
    const struct config_sources sources = {.overrides = f->overrides};
    f->detail.text[0] = 0;
    void *part = NULL;
    enum err e = config_load(schema(), &sources, &f->config, &f->detail);
    if (!e) e = part_env_open(f->config, &f->env, &f->detail);
    if (!e) e = users_part.start(f->env, &part, &f->detail);
    f->users = part;
    if (!e) e = part_client(f->env, "test", "users", &f->client, &f->detail);
    if (e) fixture_stop(f);
    return e;
}

void fixture_stop(struct users_fixture *f)
{
    rpc_client_free(f->client);
    users_part.stop(f->users, 5000);
    part_env_close(f->env);
    config_free(f->config);
    f->client = NULL;
    f->users = NULL;
    f->env = NULL;
    f->config = NULL;
}

void fixture_free(struct users_fixture *f)
{
    fixture_stop(f);
    temp_remove(f->directory);
}

int fixture_setup(void **state)
{
    struct users_fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    fixture_init(f);
    if (fixture_start(f)) fail_msg("users does not start: %s", f->detail.text);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_free(*state);
    free(*state);
    return 0;
}

/* ---- calls ---- */

enum err fixture_call(struct users_fixture *f, const struct principal *as, const char *method,
                      const void *request, void *ret)
{
    const struct rpc_options options = {.principal = as, .deadline_ms = clock_mono_ms() + 20000};
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(f->client, method, request, &options, &reply, &f->status);
    if (!e) *(ProtobufCMessage **)ret = reply;
    return e;
}

void fixture_reply_free(void *reply)
{
    if (reply) protobuf_c_message_free_unpacked(reply, NULL);
}

enum err fixture_register(struct users_fixture *f, const char *name)
{
    char email[TEXT_SIZE];
    (void)snprintf(email, sizeof email, "%s@example.com", name);
    Users__RegisterRequest request = USERS__REGISTER_REQUEST__INIT;
    request.email = email;
    request.username = (char *)name;
    request.password = (char *)FIXTURE_PASSWORD;
    Users__User *reply = NULL;
    enum err e = fixture_call(f, NULL, "users.Users/RegisterUser", &request, &reply);
    fixture_reply_free(reply);
    return e;
}

enum err fixture_create_admin(struct users_fixture *f, const struct principal *as, const char *name)
{
    char email[TEXT_SIZE];
    (void)snprintf(email, sizeof email, "%s@example.com", name);
    Users__CreateAdminRequest request = USERS__CREATE_ADMIN_REQUEST__INIT;
    request.email = email;
    request.username = (char *)name;
    request.password = (char *)FIXTURE_PASSWORD;
    Users__User *reply = NULL;
    enum err e = fixture_call(f, as, "users.Users/CreateAdmin", &request, &reply);
    if (!e) assert_int_equal(reply->role, USERS__ROLE__ROLE_ADMIN);
    fixture_reply_free(reply);
    return e;
}

enum err fixture_login(struct users_fixture *f, const char *name, const char *password,
                       Users__Tokens **ret)
{
    char email[TEXT_SIZE];
    (void)snprintf(email, sizeof email, "%s@example.com", name);
    Users__LoginRequest request = USERS__LOGIN_REQUEST__INIT;
    request.email = email;
    request.password = (char *)password;
    return fixture_call(f, NULL, "users.Users/Login", &request, ret);
}

enum err fixture_refresh(struct users_fixture *f, const char *token, Users__Tokens **ret)
{
    Users__RefreshRequest request = USERS__REFRESH_REQUEST__INIT;
    request.refresh_token = (char *)token;
    return fixture_call(f, NULL, "users.Users/Refresh", &request, ret);
}

enum err fixture_logout(struct users_fixture *f, const struct principal *as, const char *refresh)
{
    Users__LogoutRequest request = USERS__LOGOUT_REQUEST__INIT;
    request.refresh_token = (char *)refresh;
    Users__LogoutResponse *reply = NULL;
    enum err e = fixture_call(f, as, "users.Users/Logout", &request, &reply);
    fixture_reply_free(reply);
    return e;
}

Users__Tokens *fixture_tokens(struct users_fixture *f, const char *name)
{
    Users__Tokens *tokens = NULL;
    assert_ok(fixture_login(f, name, FIXTURE_PASSWORD, &tokens));
    return tokens;
}

struct principal fixture_principal(struct users_fixture *f, const Users__Tokens *tokens)
{
    struct token_claims claims = {0};
    assert_ok(token_verify(f->users->keys, tokens->access_token, clock_wall_ms() / 1000, &claims));
    struct principal p = {.role = claims.role, .permissions = UINT64_MAX};
    memcpy(p.user_id, claims.user_id, sizeof p.user_id);
    memcpy(p.session_id, claims.session_id, sizeof p.session_id);
    return p;
}

bool fixture_is_denied(struct users_fixture *f, const struct principal *p)
{
    bool denied = false;
    assert_ok(cache_denied(f->users->cache, "session", p->session_id, &denied));
    return denied;
}
