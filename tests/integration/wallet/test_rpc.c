/* What users and admins ask of the wallet, over RPC. */
#include "wallet_fixture.h"

#include <string.h>

static void assets_come_from_the_configuration(void **state)
{
    struct wallet_fixture *f = *state;
    Wallet__ListAssetsRequest request = WALLET__LIST_ASSETS_REQUEST__INIT;
    Wallet__ListAssetsResponse *reply = NULL;
    assert_ok(fixture_call(f, NULL, "wallet.Wallet/ListAssets", &request, &reply));
    assert_int_equal(reply->n_items, 3);
    assert_string_equal(reply->items[0]->asset, "BTC");
    assert_string_equal(reply->items[0]->name, "Bitcoin");
    assert_int_equal(reply->items[0]->scale, 8);
    fixture_reply_free(reply);
}

static void money_is_credited_and_sent_once(void **state)
{
    struct wallet_fixture *f = *state;
    fixture_assert_balance(f, 1, "USDT", "", "", "");
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(fixture_credit(f, "welcome", 1, "USDT", "100"));
        assert_ok(fixture_transfer(f, "rent", 1, 2, "USDT", "12.5"));
    }
    fixture_assert_balance(f, 1, "USDT", "87.50000000", "87.50000000", "0.00000000");
    fixture_assert_balance(f, 2, "USDT", "12.50000000", "12.50000000", "0.00000000");
    fixture_assert_balanced(f);
}

static void the_repeat_answers_as_the_first_did(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "welcome", 1, "USDT", "100"));
    char to[ID_TEXT_SIZE];
    id_format(fixture_user(2), to);
    Wallet__TransferRequest request = WALLET__TRANSFER_REQUEST__INIT;
    request.transfer_id = (char *)"rent";
    request.to_user_id = to;
    request.asset = (char *)"USDT";
    request.amount = (char *)"1.5";
    struct principal user = fixture_principal(1, ROLE_USER);
    Wallet__Transfer *first = NULL;
    Wallet__Transfer *again = NULL;
    assert_ok(fixture_call(f, &user, "wallet.Wallet/TransferFunds", &request, &first));
    assert_string_equal(first->transfer_id, "rent");
    assert_string_equal(first->asset, "USDT");
    assert_string_equal(first->amount, "1.50000000");
    int64_t age_s = clock_wall_ms() / 1000 - first->created_at->seconds;
    assert_true(age_s >= 0 && age_s < 60);
    request.amount = (char *)"1.50"; /* the same amount in other words */
    assert_ok(fixture_call(f, &user, "wallet.Wallet/TransferFunds", &request, &again));
    assert_int_equal(again->created_at->seconds, first->created_at->seconds);
    assert_int_equal(again->created_at->nanos, first->created_at->nanos);
    fixture_reply_free(first);
    fixture_reply_free(again);
}

static void another_transfer_with_the_same_id_is_refused(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "welcome", 1, "USDT", "100"));
    assert_ok(fixture_transfer(f, "rent", 1, 2, "USDT", "1"));
    assert_err(fixture_transfer(f, "rent", 1, 2, "USDT", "2"), ERR_EXISTS);
    assert_string_equal(f->status.reason, "transfer_id_reused");
    assert_err(fixture_transfer(f, "rent", 1, 3, "USDT", "1"), ERR_EXISTS);
    assert_err(fixture_credit(f, "welcome", 1, "USDT", "101"), ERR_EXISTS);
    fixture_assert_balance(f, 1, "USDT", "99.00000000", "99.00000000", "0.00000000");
}

static void ids_of_different_users_do_not_meet(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "rent", 1, "USDT", "10"));
    assert_ok(fixture_credit(f, "rent-2", 2, "USDT", "10"));
    assert_ok(fixture_transfer(f, "rent", 1, 3, "USDT", "1"));
    assert_ok(fixture_transfer(f, "rent", 2, 3, "USDT", "2"));
    fixture_assert_balance(f, 3, "USDT", "3.00000000", "3.00000000", "0.00000000");
}

static void a_refusal_leaves_the_id_free(void **state)
{
    struct wallet_fixture *f = *state;
    assert_err(fixture_transfer(f, "rent", 1, 2, "USDT", "5"), ERR_PRECONDITION);
    assert_string_equal(f->status.reason, "insufficient_funds");
    assert_ok(fixture_credit(f, "welcome", 1, "USDT", "5"));
    assert_ok(fixture_transfer(f, "rent", 1, 2, "USDT", "5"));
}

static void a_wrong_field_is_named(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "welcome", 1, "USDT", "100"));
    static const struct {
        const char *id, *asset, *amount;
        uint64_t to;
        const char *field;
    } cases[] = {
        {"x", "USDT", "0", 2, "amount"},
        {"x", "USDT", "0.00", 2, "amount"},
        {"x", "USDT", "-1", 2, "amount"},
        {"x", "USDT", "0.123456789", 2, "amount"},
        {"x", "USDT", "92233720368.54775808", 2, "amount"},
        {"x", "DOGE", "1", 2, "asset"},
        {"x", "USDT", "1", 1, "toUserId"},
        {"", "USDT", "1", 2, "transferId"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_err(
            fixture_transfer(f, cases[i].id, 1, cases[i].to, cases[i].asset, cases[i].amount),
            ERR_INVALID);
        assert_int_equal(f->status.error_count, 1);
        assert_string_equal(f->status.errors[0].field, cases[i].field);
    }
    assert_ok(fixture_transfer(f, "x", 1, 2, "USDT", "0.12345678"));
}

static void the_houses_accounts_are_nobodys(void **state)
{
    struct wallet_fixture *f = *state;
    Wallet__CreditRequest request = WALLET__CREDIT_REQUEST__INIT;
    request.transfer_id = (char *)"x";
    request.user_id = (char *)"00000000000000000000000000000002";
    request.asset = (char *)"USDT";
    request.amount = (char *)"1";
    struct principal admin = fixture_principal(999, ROLE_ADMIN);
    Wallet__Transfer *reply = NULL;
    assert_err(fixture_call(f, &admin, "wallet.Wallet/Credit", &request, &reply), ERR_INVALID);
    assert_string_equal(f->status.errors[0].field, "userId");
}

static void the_most_there_can_be_is_credited_and_not_one_more(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "a", 1, "BTC", "92233720368.54775807"));
    assert_err(fixture_credit(f, "b", 2, "BTC", "0.00000001"), ERR_RANGE);
    assert_string_equal(f->status.reason, "amount_too_large");
    fixture_assert_balanced(f);
}

static void only_those_may_call_whom_the_contract_names(void **state)
{
    struct wallet_fixture *f = *state;
    struct principal user = fixture_principal(1, ROLE_USER);
    struct principal service = principal_service("trading");
    void *reply = NULL;
    Wallet__ListBalancesRequest balances = WALLET__LIST_BALANCES_REQUEST__INIT;
    assert_err(fixture_call(f, NULL, "wallet.Wallet/ListBalances", &balances, &reply),
               ERR_UNAUTHENTICATED);
    assert_err(fixture_call(f, &service, "wallet.Wallet/ListBalances", &balances, &reply),
               ERR_DENIED);
    Wallet__AuditRequest audit = WALLET__AUDIT_REQUEST__INIT;
    assert_err(fixture_call(f, &user, "wallet.Wallet/Audit", &audit, &reply), ERR_DENIED);
    Wallet__SettleRequest settle = WALLET__SETTLE_REQUEST__INIT;
    assert_err(fixture_call(f, &user, "wallet.Wallet/Settle", &settle, &reply), ERR_DENIED);
}

static void a_statement_shows_every_movement_page_by_page(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "welcome", 1, "USDT", "100"));
    assert_ok(fixture_credit(f, "coins", 1, "BTC", "2"));
    char expected[2048] = "credit 100.00000000 100.00000000 welcome\n"
                          "credit 2.00000000 2.00000000 coins\n";
    for (unsigned i = 1; i <= 20; i++) {
        char id[16];
        char line[128];
        (void)snprintf(id, sizeof id, "t%u", i);
        assert_ok(fixture_transfer(f, id, 1, 2, "USDT", "1"));
        (void)snprintf(line, sizeof line, "transfer -1.00000000 %u.00000000 t%u\n", 100 - i, i);
        strncat(expected, line, sizeof expected - strlen(expected) - 1);
    }
    char *history = fixture_history(f, 1);
    assert_string_equal(history, expected);
    free(history);

    Wallet__StatementResponse *page = NULL;
    assert_ok(fixture_statement(f, 1, "BTC", 200, "", &page));
    assert_int_equal(page->n_items, 1);
    assert_string_equal(page->items[0]->reference, "coins");
    assert_string_equal(page->next_cursor, "");
    fixture_reply_free(page);
    assert_ok(fixture_statement(f, 1, "USDT", 21, "", &page)); /* exactly as many as there are */
    assert_int_equal(page->n_items, 21);
    assert_string_equal(page->next_cursor, "");
    fixture_reply_free(page);
    assert_ok(fixture_statement(f, 3, "", 0, "", &page));
    assert_int_equal(page->n_items, 0);
    fixture_reply_free(page);
}

static void a_statement_has_what_was_answered_before_it_was_asked(void **state)
{
    struct wallet_fixture *f = *state;
    for (unsigned i = 1; i <= 30; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", i);
        assert_ok(fixture_credit(f, id, 1, "USDT", "1"));
        Wallet__StatementResponse *page = NULL;
        assert_ok(fixture_statement(f, 1, "", 1, "", &page));
        assert_int_equal(page->n_items, 1);
        assert_string_equal(page->items[0]->reference, id);
        fixture_reply_free(page);
    }
}

static void a_statement_refuses_what_is_no_page(void **state)
{
    struct wallet_fixture *f = *state;
    Wallet__StatementResponse *page = NULL;
    static const char *const cursors[] = {"x",           "AAAAAAAAAAA", "AAAAAAAAAAAA",
                                          "__________8", "=",           "!"};
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        assert_err(fixture_statement(f, 1, "", 10, cursors[i], &page), ERR_INVALID);
        assert_string_equal(f->status.errors[0].field, "cursor");
    }
    assert_err(fixture_statement(f, 1, "", 201, "", &page), ERR_INVALID);
    assert_ok(fixture_statement(f, 1, "", 200, "", &page));
    fixture_reply_free(page);
}

static void the_audit_counts_what_is_where(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "a", 1, "USDT", "100"));
    assert_ok(fixture_transfer(f, "b", 1, 2, "USDT", "40"));
    Wallet__AuditRequest request = WALLET__AUDIT_REQUEST__INIT;
    struct principal admin = fixture_principal(999, ROLE_ADMIN);
    Wallet__AuditResponse *reply = NULL;
    assert_ok(fixture_call(f, &admin, "wallet.Wallet/Audit", &request, &reply));
    assert_true(reply->balanced);
    assert_int_equal(reply->entries, 5); /* three assets, a credit, a transfer */
    const Wallet__AssetAudit *usdt = reply->items[2];
    assert_string_equal(usdt->asset, "USDT");
    assert_string_equal(usdt->issued, "100.00000000");
    assert_string_equal(usdt->users, "100.00000000");
    assert_string_equal(usdt->fees, "0.00000000");
    assert_string_equal(usdt->sum, "0.00000000");
    assert_int_equal(usdt->accounts, 3);
    fixture_reply_free(reply);
}

/* ---- many at once ---- */

enum { CLIENTS = 4, TIMES = 40 };

struct saver {
    struct wallet_fixture *f;
    uint64_t user;
    const char *wrong; /* NULL: nothing was */
};

/* A client's own view: each credit is in the balance that is read after its answer. */
static void *save_money(void *arg)
{
    struct saver *s = arg;
    char user_id[ID_TEXT_SIZE];
    id_format(fixture_user(s->user), user_id);
    struct principal admin = fixture_principal(999, ROLE_ADMIN);
    struct principal user = fixture_principal(s->user, ROLE_USER);
    const struct rpc_options as_admin = {.principal = &admin,
                                         .deadline_ms = clock_mono_ms() + 20000};
    const struct rpc_options as_user = {.principal = &user, .deadline_ms = clock_mono_ms() + 20000};
    for (unsigned i = 1; i <= TIMES && !s->wrong; i++) {
        char id[32];
        char expected[32];
        (void)snprintf(id, sizeof id, "s%u-%u", (unsigned)s->user, i);
        (void)snprintf(expected, sizeof expected, "%u.00000000", i);
        Wallet__CreditRequest credit = WALLET__CREDIT_REQUEST__INIT;
        credit.transfer_id = id;
        credit.user_id = user_id;
        credit.asset = (char *)"USDT";
        credit.amount = (char *)"1";
        ProtobufCMessage *done = NULL;
        if (rpc_call(s->f->client, "wallet.Wallet/Credit", &credit.base, &as_admin, &done, NULL))
            s->wrong = "a credit failed";
        fixture_reply_free(done);
        Wallet__ListBalancesRequest list = WALLET__LIST_BALANCES_REQUEST__INIT;
        ProtobufCMessage *reply = NULL;
        if (rpc_call(s->f->client, "wallet.Wallet/ListBalances", &list.base, &as_user, &reply,
                     NULL))
            s->wrong = "a read failed";
        const Wallet__ListBalancesResponse *balances = (const Wallet__ListBalancesResponse *)reply;
        if (reply && (balances->n_items != 1 || strcmp(balances->items[0]->total, expected) != 0))
            s->wrong = "a balance lacks what was answered before";
        fixture_reply_free(reply);
    }
    return NULL;
}

static void a_balance_has_what_was_answered_before_it_was_read(void **state)
{
    struct wallet_fixture *f = *state;
    struct saver savers[CLIENTS];
    pthread_t threads[CLIENTS];
    for (uint64_t i = 0; i < CLIENTS; i++) {
        savers[i] = (struct saver){f, i + 1, NULL};
        assert_int_equal(pthread_create(&threads[i], NULL, save_money, &savers[i]), 0);
    }
    for (unsigned i = 0; i < TIMES; i++)
        fixture_assert_balanced(f); /* true at every moment in between */
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (savers[i].wrong) fail_msg("%s", savers[i].wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        wallet_test(assets_come_from_the_configuration),
        wallet_test(money_is_credited_and_sent_once),
        wallet_test(the_repeat_answers_as_the_first_did),
        wallet_test(another_transfer_with_the_same_id_is_refused),
        wallet_test(ids_of_different_users_do_not_meet),
        wallet_test(a_refusal_leaves_the_id_free),
        wallet_test(a_wrong_field_is_named),
        wallet_test(the_houses_accounts_are_nobodys),
        wallet_test(the_most_there_can_be_is_credited_and_not_one_more),
        wallet_test(only_those_may_call_whom_the_contract_names),
        wallet_test(a_statement_shows_every_movement_page_by_page),
        wallet_test(a_statement_has_what_was_answered_before_it_was_asked),
        wallet_test(a_statement_refuses_what_is_no_page),
        wallet_test(the_audit_counts_what_is_where),
        wallet_test(a_balance_has_what_was_answered_before_it_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
