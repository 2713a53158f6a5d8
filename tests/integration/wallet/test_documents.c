/* The documents behind the ledger: whatever happens to the store, no money and no history is lost.
 */
#include "support/eventually.h"
#include "wallet_fixture.h"
#include "wallet_store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static uint64_t waiting(struct wallet_fixture *f)
{
    return projection_waiting(f->wallet->projection, NULL);
}

static bool failing(struct wallet_fixture *f)
{
    bool is = false;
    (void)projection_waiting(f->wallet->projection, &is);
    return is;
}

/* Somebody else keeps the documents locked for writing: to the wallet the store is away. */
static sqlite3 *lock_store(struct wallet_fixture *f)
{
    char path[2 * TEMP_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/wallet.db", f->directory);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void unlock_store(sqlite3 *db)
{
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void restart_with(struct wallet_fixture *f, const char *override)
{
    wallet_fixture_stop(f);
    if (override) wallet_fixture_set(f, override);
    if (wallet_fixture_start(f)) fail_msg("the wallet does not start: %s", f->detail.text);
}

static void assert_history(struct wallet_fixture *f, uint64_t user, const char *expected)
{
    char *history = fixture_history(f, user);
    assert_string_equal(history, expected);
    free(history);
}

static void every_entry_is_written_whichever_store_call_fails(void **state)
{
    struct wallet_fixture *f = *state;
    enum { CALLS = 10 };
    char expected[2048] = "";
    for (unsigned n = 1; n <= CALLS; n++) {
        store_fail_nth(f->wallet->store, n);
        for (unsigned i = 0; i < 3; i++) {
            char id[16];
            char line[64];
            (void)snprintf(id, sizeof id, "c%u-%u", n, i);
            assert_ok(fixture_credit(f, id, 1, "USDT", "1"));
            assert_eventually(waiting(f) == 0);
            (void)snprintf(line, sizeof line, "credit 1.00000000 %u.00000000 %s\n",
                           (n - 1) * 3 + i + 1, id);
            strncat(expected, line, sizeof expected - strlen(expected) - 1);
        }
        store_fail_nth(f->wallet->store, 0);
        fixture_assert_balanced(f);
    }
    assert_history(f, 1, expected);
}

static void money_moves_while_the_store_is_away_and_statements_say_so(void **state)
{
    struct wallet_fixture *f = *state;
    restart_with(f, "store.timeout_ms=100");
    assert_ok(fixture_credit(f, "a", 1, "USDT", "10"));
    sqlite3 *db = lock_store(f);
    assert_ok(fixture_transfer(f, "b", 1, 2, "USDT", "1"));
    fixture_assert_balance(f, 1, "USDT", "9.00000000", "9.00000000", "0.00000000");
    assert_eventually(failing(f));
    Wallet__StatementResponse *page = NULL;
    assert_err(fixture_statement(f, 1, "", 10, "", &page), ERR_UNAVAILABLE);
    assert_ok(fixture_transfer(f, "c", 1, 2, "USDT", "2"));
    unlock_store(db);
    assert_eventually(waiting(f) == 0);
    assert_history(f, 2, "transfer 1.00000000 1.00000000 b\ntransfer 2.00000000 3.00000000 c\n");
}

static void too_many_waiting_entries_refuse_new_ones_until_they_are_written(void **state)
{
    struct wallet_fixture *f = *state;
    wallet_fixture_set(f, "store.timeout_ms=100");
    restart_with(f, "wallet.waiting_entries_max=4");
    sqlite3 *db = lock_store(f);
    assert_ok(fixture_credit(f, "a", 1, "USDT", "10")); /* two entries each */
    assert_ok(fixture_credit(f, "b", 1, "USDT", "10"));
    assert_err(fixture_credit(f, "c", 1, "USDT", "10"), ERR_EXHAUSTED);
    struct err_detail detail;
    assert_err(wallet_part.ready(f->wallet, &detail), ERR_UNAVAILABLE);
    fixture_assert_balance(f, 1, "USDT", "20.00000000", "20.00000000", "0.00000000");
    unlock_store(db);
    assert_eventually(waiting(f) == 0);
    assert_ok(wallet_part.ready(f->wallet, &detail));
    assert_ok(fixture_credit(f, "c", 1, "USDT", "10"));
    fixture_assert_balance(f, 1, "USDT", "30.00000000", "30.00000000", "0.00000000");
}

static void what_was_not_written_before_the_stop_is_written_after_the_start(void **state)
{
    struct wallet_fixture *f = *state;
    restart_with(f, "store.timeout_ms=100");
    assert_ok(fixture_credit(f, "a", 1, "USDT", "10"));
    assert_eventually(waiting(f) == 0);
    sqlite3 *db = lock_store(f);
    assert_ok(fixture_credit(f, "b", 1, "USDT", "10"));
    assert_ok(fixture_transfer(f, "c", 1, 2, "USDT", "3"));
    assert_eventually(failing(f));
    wallet_fixture_stop(f); /* its snapshot has them */
    unlock_store(db);
    assert_ok(wallet_fixture_start(f));
    assert_history(f, 1,
                   "credit 10.00000000 10.00000000 a\ncredit 10.00000000 20.00000000 b\n"
                   "transfer -3.00000000 17.00000000 c\n");
    restart_with(f, NULL);
    assert_history(f, 2, "transfer 3.00000000 3.00000000 c\n");
    fixture_assert_balanced(f);
}

static void forgotten_ids_are_found_in_the_documents(void **state)
{
    struct wallet_fixture *f = *state;
    restart_with(f, "wallet.transfer_ids_max=16");
    char id[16];
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "c%u", i);
        assert_ok(fixture_credit(f, id, 1, "USDT", "1"));
    }
    assert_eventually(waiting(f) == 0);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "c%u", i);
        assert_ok(fixture_credit(f, id, 1, "USDT", "1"));
        assert_err(fixture_credit(f, id, 1, "USDT", "2"), ERR_EXISTS);
        assert_err(fixture_credit(f, id, 2, "USDT", "1"), ERR_EXISTS);
        assert_err(fixture_credit(f, id, 1, "BTC", "1"), ERR_EXISTS);
    }
    fixture_assert_balance(f, 1, "USDT", "40.00000000", "40.00000000", "0.00000000");
    store_fail_nth(f->wallet->store,
                   1); /* nobody knows the id: it is not done, the client retries */
    assert_ok(fixture_credit(f, "new", 1, "USDT", "1"));
    fixture_assert_balance(f, 1, "USDT", "41.00000000", "41.00000000", "0.00000000");
}

/* ---- a start that must not be ---- */

static void documents_that_lost_history_stop_the_start(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "a", 1, "USDT", "10"));
    assert_eventually(waiting(f) == 0);
    wallet_fixture_stop(f);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[2 * TEMP_PATH_SIZE];
        (void)snprintf(path, sizeof path, "%s/wallet.db%s", f->directory, suffixes[i]);
        (void)remove(path);
    }
    assert_err(wallet_fixture_start(f), ERR_PRECONDITION);
    assert_non_null(strstr(f->detail.text, "wallet.accept_lost_history"));
    wallet_fixture_set(f, "wallet.accept_lost_history=true");
    assert_ok(wallet_fixture_start(f));
    fixture_assert_balance(f, 1, "USDT", "10.00000000", "10.00000000", "0.00000000");
    assert_ok(fixture_credit(f, "b", 1, "USDT", "1"));
    assert_history(f, 1, "credit 1.00000000 11.00000000 b\n");
}

static void documents_of_another_journal_stop_the_start(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(wallet_store_put_watermark(f->wallet->store, 1000000));
    wallet_fixture_stop(f);
    assert_err(wallet_fixture_start(f), ERR_PRECONDITION);
    assert_non_null(strstr(f->detail.text, "1000000"));
}

static void write_config(struct wallet_fixture *f, const char *text, char path[static 512])
{
    (void)snprintf(path, 512, "%s/tradepost.yml", f->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    f->config_file = path;
}

static void a_changed_scale_stops_the_start_and_a_removed_asset_stays(void **state)
{
    struct wallet_fixture *f = *state;
    char path[512];
    assert_ok(fixture_credit(f, "a", 1, "ETH", "10"));
    wallet_fixture_stop(f);
    write_config(f, "assets:\n  - {asset: USDT, scale: 6, title: Tether}\n", path);
    assert_err(wallet_fixture_start(f), ERR_PRECONDITION);
    assert_non_null(strstr(f->detail.text, "assets[].scale of USDT"));
    write_config(f, "assets:\n  - {asset: usdt, scale: 6, title: Tether}\n", path);
    assert_err(wallet_fixture_start(f), ERR_INVALID);
    write_config(f, "assets:\n  - {asset: EUR, scale: 2}\n  - {asset: USDT, scale: 8}\n", path);
    assert_ok(wallet_fixture_start(f));
    fixture_assert_balance(f, 1, "ETH", "10.00000000", "10.00000000", "0.00000000");
    assert_ok(fixture_credit(f, "b", 1, "EUR", "0.01"));
    assert_err(fixture_credit(f, "c", 1, "EUR", "0.001"), ERR_INVALID);
    Wallet__ListAssetsRequest request = WALLET__LIST_ASSETS_REQUEST__INIT;
    Wallet__ListAssetsResponse *reply = NULL;
    assert_ok(fixture_call(f, NULL, "wallet.Wallet/ListAssets", &request, &reply));
    assert_int_equal(reply->n_items, 4);
    assert_string_equal(reply->items[0]->name, "BTC"); /* no longer configured */
    assert_string_equal(reply->items[3]->asset, "EUR");
    fixture_reply_free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        wallet_test(every_entry_is_written_whichever_store_call_fails),
        wallet_test(money_moves_while_the_store_is_away_and_statements_say_so),
        wallet_test(too_many_waiting_entries_refuse_new_ones_until_they_are_written),
        wallet_test(what_was_not_written_before_the_stop_is_written_after_the_start),
        wallet_test(forgotten_ids_are_found_in_the_documents),
        wallet_test(documents_that_lost_history_stop_the_start),
        wallet_test(documents_of_another_journal_stop_the_start),
        wallet_test(a_changed_scale_stops_the_start_and_a_removed_asset_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
