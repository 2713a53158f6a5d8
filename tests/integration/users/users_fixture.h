/*
 * A whole users part for tests: SQLite documents and token keys in a directory of its own, a cache
 * in process, and a client over inproc. It can be stopped and started again over the same
 * directory.
 */
#ifndef TESTS_USERS_FIXTURE_H
#define TESTS_USERS_FIXTURE_H

#include "support/temp.h"
#include "support/unit.h"

#include "base/clock.h"
#include "users_part.h"
#include "users_service.h"

#define FIXTURE_OVERRIDES_MAX 16

struct users_fixture {
    char directory[TEMP_PATH_SIZE];
    char texts[FIXTURE_OVERRIDES_MAX][2 * TEMP_PATH_SIZE];
    const char *overrides[FIXTURE_OVERRIDES_MAX + 1];
    size_t override_count;

    struct config *config;
    struct part_env *env;
    struct users *users;
    struct rpc_client *client;
    struct rpc_status status; /* of the last call */
    struct err_detail detail; /* of the last start */
};

/* A directory, the addresses, bcrypt at its cheapest; nothing runs yet. */
void fixture_init(struct users_fixture *f);
void fixture_set(struct users_fixture *f, const char *override); /* "users.workers=1" */
MUST_CHECK enum err fixture_start(struct users_fixture *f);
void fixture_stop(struct users_fixture *f);
void fixture_free(struct users_fixture *f); /* stops, removes the directory */

/* cmocka's: a running one in *state. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
#define users_test(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

/* Calls as that principal (NULL: a guest); *ret is the reply, to be freed. f->status says more of a
 * failure. */
enum err fixture_call(struct users_fixture *f, const struct principal *as, const char *method,
                      const void *request, void *ret);
void fixture_reply_free(void *reply);

enum err fixture_register(struct users_fixture *f, const char *name); /* NAME@example.com */
enum err fixture_create_admin(struct users_fixture *f, const struct principal *as,
                              const char *name);
enum err fixture_login(struct users_fixture *f, const char *name, const char *password,
                       Users__Tokens **ret);
enum err fixture_refresh(struct users_fixture *f, const char *token, Users__Tokens **ret);
enum err fixture_logout(struct users_fixture *f, const struct principal *as, const char *refresh);
/* Logs in with the right password. Free with fixture_reply_free. */
Users__Tokens *fixture_tokens(struct users_fixture *f, const char *name);
/* What the gateway makes of an access token. */
struct principal fixture_principal(struct users_fixture *f, const Users__Tokens *tokens);
bool fixture_is_denied(struct users_fixture *f, const struct principal *p);

#define FIXTURE_PASSWORD "correct horse battery"

#endif
