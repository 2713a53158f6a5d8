/*
 * A whole wallet for tests: the real part, its journal and SQLite documents in a directory of its
 * own, and a client over inproc. It can be stopped and started again over the same directory.
 */
#ifndef TESTS_WALLET_FIXTURE_H
#define TESTS_WALLET_FIXTURE_H

#include "support/temp.h"
#include "support/unit.h"

#include "base/clock.h"
#include "base/id.h"
#include "wallet.h"
#include "wallet_part.h"

#include <protobuf-c/protobuf-c.h>

#define FIXTURE_OVERRIDES_MAX 16

struct wallet_fixture {
    char directory[TEMP_PATH_SIZE];
    char texts[FIXTURE_OVERRIDES_MAX][2 * TEMP_PATH_SIZE];
    const char *overrides[FIXTURE_OVERRIDES_MAX + 1];
    size_t override_count;
    const char *config_file; /* NULL: defaults */

    struct config *config;
    struct part_env *env;
    struct wallet *wallet;
    struct rpc_client *client;
    struct rpc_status status; /* of the last call */
    struct err_detail detail; /* of the last start */
};

/* A directory and the addresses; nothing runs yet. */
void wallet_fixture_init(struct wallet_fixture *f);
void wallet_fixture_at(struct wallet_fixture *f, const char *directory); /* one that is there */
void wallet_fixture_set(struct wallet_fixture *f, const char *override); /* "wallet.queue_max=16" */
MUST_CHECK enum err wallet_fixture_start(struct wallet_fixture *f);
void wallet_fixture_stop(struct wallet_fixture *f);
void wallet_fixture_free(struct wallet_fixture *f); /* stops, removes the directory */

/* cmocka's: a running one in *state. */
int wallet_fixture_setup(void **state);
int wallet_fixture_teardown(void **state);
#define wallet_test(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, wallet_fixture_setup, wallet_fixture_teardown)

/* Users, told apart by a number. */
struct id fixture_user(uint64_t n);
struct principal fixture_principal(uint64_t user, enum role role);

/* Calls as that principal; *ret is the reply, to be freed. f->status says more of a failure. */
enum err fixture_call(struct wallet_fixture *f, const struct principal *as, const char *method,
                      const void *request, void *ret);
void fixture_reply_free(void *reply);

enum err fixture_credit(struct wallet_fixture *f, const char *id, uint64_t user, const char *asset,
                        const char *amount);
enum err fixture_transfer(struct wallet_fixture *f, const char *id, uint64_t from, uint64_t to,
                          const char *asset, const char *amount);
/* Fails the test when it cannot be read or is not "total available held". No account: all "". */
void fixture_assert_balance(struct wallet_fixture *f, uint64_t user, const char *asset,
                            const char *total, const char *available, const char *held);
/* The audit says that everything sums to zero. */
void fixture_assert_balanced(struct wallet_fixture *f);

/* The caller frees with fixture_reply_free. asset and cursor: "" for none. */
enum err fixture_statement(struct wallet_fixture *f, uint64_t user, const char *asset,
                           unsigned limit, const char *cursor, Wallet__StatementResponse **ret);
/* All of a user's entries, oldest first, as "kind amount total reference\n" lines. The caller
 * frees. */
char *fixture_history(struct wallet_fixture *f, uint64_t user);

#endif
