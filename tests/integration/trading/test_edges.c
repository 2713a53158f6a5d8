/*
 * Where money could be lost or stuck: all the money there is, a journal that is not the wallet's, a
 * wallet that is not the journal's.
 */
#include "fixture.h"

#include "support/eventually.h"

#include <stdio.h>
#include <string.h>

extern const struct part_ops trading_part;

static struct house *house;

/* ---- all there is ---- */

/* 2^63 - 1 satoshis less a few: nobody can get more, not even for a moment. */
static void trading_all_there_is_with_oneself_is_settled(void **state)
{
    (void)state;
    struct house *h = house;
    credit(h, ANN, "BTC", "92233720358.5"); /* and 10 are Bob's */
    free_order(place(h, ANN, SELL("100", "500")));
    free_order(place(h, ANN, BUY("100", "500")));
    assert_balance(h, ANN, "BTC", "92233720358.30000000", "0.00000000");
    assert_balance(h, ANN, "USDT", "99950.00000000", "0.00000000");
    assert_balanced(h);
}

/* ---- journals that do not belong together ---- */

static void rename_in_house(const char *from, const char *to)
{
    char old[TEMP_PATH_SIZE + 64], new[TEMP_PATH_SIZE + 64];
    (void)snprintf(old, sizeof old, "%s/%s", house->directory, from);
    (void)snprintf(new, sizeof new, "%s/%s", house->directory, to);
    assert_int_equal(rename(old, new), 0);
}

static bool is_not_ready_because(const char *why)
{
    struct err_detail detail = {""};
    return trading_part.ready(house->trading, &detail) && strstr(detail.text, why);
}

/* Ann's order waits with half of it traded: 5000 of her money are held. */
static Trading__Order *trade_half(void)
{
    Trading__Order *order = place(house, ANN, BUY("0.2", "50000"));
    free_order(place(house, BOB, SELL("0.1", "50000")));
    assert_balance(house, ANN, "USDT", "90000.00000000", "5000.00000000");
    return order;
}

static void a_new_journal_frees_no_money_of_the_old_one(void **state)
{
    (void)state;
    struct house *h = house;
    Trading__Order *order = trade_half();
    house_stop_trading(h);
    rename_in_house("trading-0", "kept");
    rename_in_house("trading.db", "kept.db");
    house_start_trading(h);
    assert_eventually(is_not_ready_because("restore the journal"));
    assert_balance(h, ANN, "USDT", "90000.00000000", "5000.00000000");
    house_stop_trading(h);

    rename_in_house("trading-0", "new");
    rename_in_house("trading.db", "new.db");
    rename_in_house("kept", "trading-0");
    rename_in_house("kept.db", "trading.db");
    house_start_trading(h);
    house_wait_ready(h);
    free_order(place(h, BOB, SELL("0.1", "50000")));
    assert_balance(h, ANN, "USDT", "90000.00000000", "0.00000000");
    assert_balanced(h);
    free_order(order);
}

/* stored: the journal needs to keep nothing of the trade any more. */
static void lose_the_wallet(bool stored)
{
    struct house *h = house;
    Trading__Order *order = place(h, BOB, SELL("0.01", "50000"));
    if (stored) free_order(get_order(h, BOB, order->order_id));
    free_order(order);
    house_stop_trading(h);
    house_stop_wallet(h);
    rename_in_house("wallet", "kept");
    rename_in_house("wallet.db", "kept.db");
    house_start_wallet(h);
    house_start_trading(h);
    assert_eventually(is_not_ready_because("restore the wallet"));
    house_stop_trading(h);
    house_stop_wallet(h);

    rename_in_house("wallet", stored ? "new1" : "new2");
    rename_in_house("wallet.db", stored ? "new1.db" : "new2.db");
    rename_in_house("kept", "wallet");
    rename_in_house("kept.db", "wallet.db");
    house_start(h);
}

static void a_wallet_that_lacks_settlements_is_named_and_its_backup_goes_on(void **state)
{
    (void)state;
    free_order(trade_half());
    lose_the_wallet(true);
    lose_the_wallet(false);
    free_order(place(house, BOB, SELL("0.08", "50000")));
    assert_balance(house, ANN, "USDT", "90000.00000000", "0.00000000");
    assert_balanced(house);
}

static int open_house(void **state)
{
    (void)state;
    house = calloc(1, sizeof *house);
    assert_non_null(house);
    house_open(house, NULL);
    house_start(house);
    credit(house, ANN, "USDT", "100000");
    credit(house, BOB, "BTC", "10");
    return 0;
}

static int close_house(void **state)
{
    (void)state;
    house_remove(house);
    free(house);
    return 0;
}

#define HOUSE_TEST(name) cmocka_unit_test_setup_teardown(name, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(trading_all_there_is_with_oneself_is_settled),
        HOUSE_TEST(a_new_journal_frees_no_money_of_the_old_one),
        HOUSE_TEST(a_wallet_that_lacks_settlements_is_named_and_its_backup_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
