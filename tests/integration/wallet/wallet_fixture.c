/* The wallet of the integration tests. */
#include "wallet_fixture.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_MAX 128

static const struct config_key *schema(void)
{
    static struct config_key keys[SCHEMA_MAX];
    size_t count = 0;
    const struct config_key *const tables[] = {part_common_keys, wallet_part.config};
    for (size_t t = 0; t < 2; t++)
        for (const struct config_key *k = tables[t]; k->key; k++) {
            assert_true(count < SCHEMA_MAX - 1);
            keys[count++] = *k;
        }
    keys[count] = (struct config_key){0};
    return keys;
}

void wallet_fixture_set(struct wallet_fixture *f, const char *override)
{
    assert_true(f->override_count < FIXTURE_OVERRIDES_MAX);
    size_t i = f->override_count++;
    (void)snprintf(f->texts[i], sizeof f->texts[i], "%s", override);
    f->overrides[i] = f->texts[i];
}

void wallet_fixture_init(struct wallet_fixture *f)
{
    char directory[TEMP_PATH_SIZE];
    temp_make(directory);
    wallet_fixture_at(f, directory);
}

void wallet_fixture_at(struct wallet_fixture *f, const char *directory)
{
    static atomic_uint number;
    unsigned n = atomic_fetch_add(&number, 1);
    *f = (struct wallet_fixture){0};
    (void)snprintf(f->directory, sizeof f->directory, "%s", directory);
    char text[2 * TEMP_PATH_SIZE];
    (void)snprintf(text, sizeof text, "data_dir=%s", f->directory);
    wallet_fixture_set(f, text);
    static const char *const keys[] = {"rpc", "listen"};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof text, "wallet.%s=inproc://wallet-test-%u", keys[i], n);
        wallet_fixture_set(f, text);
    }
    static const char *const event_keys[] = {"events", "events_listen"};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof text, "wallet.%s=inproc://wallet-test-%u.events", event_keys[i],
                       n);
        wallet_fixture_set(f, text);
    }
}

enum err wallet_fixture_start(struct wallet_fixture *f)
{
    const struct config_sources sources = {.file = f->config_file, .overrides = f->overrides};
    f->detail.text[0] = 0;
    enum err e = config_load(schema(), &sources, &f->config, &f->detail);
    if (!e) e = part_env_open(f->config, &f->env, &f->detail);
    void *part = NULL;
    if (!e) e = wallet_part.start(f->env, &part, &f->detail);
    f->wallet = part;
    if (!e) e = part_client(f->env, "test", "wallet", &f->client, &f->detail);
    if (e) wallet_fixture_stop(f);
    return e;
}

void wallet_fixture_stop(struct wallet_fixture *f)
{
    rpc_client_free(f->client);
    wallet_part.stop(f->wallet, 5000);
    part_env_close(f->env);
    config_free(f->config);
    f->client = NULL;
    f->wallet = NULL;
    f->env = NULL;
    f->config = NULL;
}

void wallet_fixture_free(struct wallet_fixture *f)
{
    wallet_fixture_stop(f);
    temp_remove(f->directory);
}

int wallet_fixture_setup(void **state)
{
    struct wallet_fixture *f = malloc(sizeof *f);
    wallet_fixture_init(f);
    if (wallet_fixture_start(f)) fail_msg("the wallet does not start: %s", f->detail.text);
    *state = f;
    return 0;
}

int wallet_fixture_teardown(void **state)
{
    wallet_fixture_free(*state);
    free(*state);
    return 0;
}

/* ---- calls ---- */

struct id fixture_user(uint64_t n)
{
    return (struct id){.hi = UINT64_C(0x019a3b5c7d8e7000) + n, .lo = UINT64_C(0x8000000000000000)};
}

struct principal fixture_principal(uint64_t user, enum role role)
{
    struct principal p = {.role = role, .permissions = UINT64_MAX};
    char text[ID_TEXT_SIZE];
    id_format(fixture_user(user), text);
    memcpy(p.user_id, text, sizeof text);
    return p;
}

enum err fixture_call(struct wallet_fixture *f, const struct principal *as, const char *method,
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

enum err fixture_credit(struct wallet_fixture *f, const char *id, uint64_t user, const char *asset,
                        const char *amount)
{
    char to[ID_TEXT_SIZE];
    id_format(fixture_user(user), to);
    Wallet__CreditRequest request = WALLET__CREDIT_REQUEST__INIT;
    request.transfer_id = (char *)id;
    request.user_id = to;
    request.asset = (char *)asset;
    request.amount = (char *)amount;
    struct principal admin = fixture_principal(999, ROLE_ADMIN);
    Wallet__Transfer *reply = NULL;
    enum err e = fixture_call(f, &admin, "wallet.Wallet/Credit", &request, &reply);
    fixture_reply_free(reply);
    return e;
}

enum err fixture_transfer(struct wallet_fixture *f, const char *id, uint64_t from, uint64_t to,
                          const char *asset, const char *amount)
{
    char to_text[ID_TEXT_SIZE];
    id_format(fixture_user(to), to_text);
    Wallet__TransferRequest request = WALLET__TRANSFER_REQUEST__INIT;
    request.transfer_id = (char *)id;
    request.to_user_id = to_text;
    request.asset = (char *)asset;
    request.amount = (char *)amount;
    struct principal user = fixture_principal(from, ROLE_USER);
    Wallet__Transfer *reply = NULL;
    enum err e = fixture_call(f, &user, "wallet.Wallet/TransferFunds", &request, &reply);
    fixture_reply_free(reply);
    return e;
}

void fixture_assert_balance(struct wallet_fixture *f, uint64_t user, const char *asset,
                            const char *total, const char *available, const char *held)
{
    Wallet__ListBalancesRequest request = WALLET__LIST_BALANCES_REQUEST__INIT;
    struct principal p = fixture_principal(user, ROLE_USER);
    Wallet__ListBalancesResponse *reply = NULL;
    assert_ok(fixture_call(f, &p, "wallet.Wallet/ListBalances", &request, &reply));
    const Wallet__Balance *found = NULL;
    for (size_t i = 0; i < reply->n_items; i++)
        if (strcmp(reply->items[i]->asset, asset) == 0) found = reply->items[i];
    assert_string_equal(found ? found->total : "", total);
    assert_string_equal(found ? found->available : "", available);
    assert_string_equal(found ? found->held : "", held);
    fixture_reply_free(reply);
}

void fixture_assert_balanced(struct wallet_fixture *f)
{
    Wallet__AuditRequest request = WALLET__AUDIT_REQUEST__INIT;
    struct principal admin = fixture_principal(999, ROLE_ADMIN);
    Wallet__AuditResponse *reply = NULL;
    assert_ok(fixture_call(f, &admin, "wallet.Wallet/Audit", &request, &reply));
    assert_true(reply->balanced);
    for (size_t i = 0; i < reply->n_items; i++)
        assert_string_equal(reply->items[i]->sum, "0.00000000");
    fixture_reply_free(reply);
}

enum err fixture_statement(struct wallet_fixture *f, uint64_t user, const char *asset,
                           unsigned limit, const char *cursor, Wallet__StatementResponse **ret)
{
    Wallet__StatementRequest request = WALLET__STATEMENT_REQUEST__INIT;
    request.asset = (char *)asset;
    request.limit = limit;
    request.cursor = (char *)cursor;
    struct principal p = fixture_principal(user, ROLE_USER);
    return fixture_call(f, &p, "wallet.Wallet/Statement", &request, ret);
}

char *fixture_history(struct wallet_fixture *f, uint64_t user)
{
    /* Pages come newest first: each line goes before the earlier ones. */
    char *history = calloc(1, 1);
    char cursor[128] = "";
    do {
        Wallet__StatementResponse *page = NULL;
        assert_ok(fixture_statement(f, user, "", 7, cursor, &page));
        for (size_t i = 0; i < page->n_items; i++) {
            const Wallet__Entry *e = page->items[i];
            char *longer = NULL;
            assert_true(asprintf(&longer, "%s %s %s %s\n%s", e->kind, e->amount, e->total_after,
                                 e->reference, history) > 0);
            free(history);
            history = longer;
        }
        (void)snprintf(cursor, sizeof cursor, "%s", page->next_cursor);
        fixture_reply_free(page);
    } while (cursor[0]);
    return history;
}
