/* Names of channels and cursors of streams. */
#include "support/unit.h"

#include "cursor.h"
#include "feed.h"

#include <string.h>

#define ANN "019a3b5c7d8e7f0192a3b4c5d6e7f809"

static void channels_are_named_as_the_contract_says(void **state)
{
    (void)state;
    static const struct {
        const char *name, *user, *hub, *key, *topic;
        enum caller caller;
    } cases[] = {
        {"prices:BTC-USDT", "", "prices:BTC-USDT", "BTC-USDT", "trading.market", CALLER_GUEST},
        {"prices:BTC-USDT", ANN, "prices:BTC-USDT", "BTC-USDT", "trading.market", CALLER_GUEST},
        {"trades:ETH-USDT", ANN, "trades:ETH-USDT", "ETH-USDT", "trading.market", CALLER_GUEST},
        {"user.orders", ANN, "user.orders/" ANN, ANN, "trading.user", CALLER_USER},
        {"user.balances", ANN, "user.balances/" ANN, ANN, "wallet.user", CALLER_USER},
        {"user.orders", "", "user.orders", "", "trading.user", CALLER_USER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct feed_channel c;
        assert_ok(feed_channel(cases[i].name, cases[i].user, &c, NULL));
        assert_string_equal(c.name, cases[i].name);
        assert_string_equal(c.hub, cases[i].hub);
        assert_string_equal(c.key, cases[i].key);
        assert_string_equal(feed_topic(c.topic), cases[i].topic);
        assert_int_equal(c.caller, cases[i].caller);
    }
}

static void other_names_are_refused_and_the_right_ones_listed(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "prices",
        "prices:",
        "prices:BTC/USDT",
        "prices:BTC-USDT:1m",
        "prices:{symbol}",
        "prices:BTC-USDT ",
        "prices:\xC3\xA9",
        "Prices:BTC-USDT",
        ("user.orders/" ANN),
        ("user.orders:" ANN),
        "user.",
        "user.secrets",
        "prices:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 65 */
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct feed_channel c;
        struct err_detail detail = {0};
        assert_err(feed_channel(names[i], ANN, &c, &detail), ERR_INVALID);
        assert_non_null(strstr(detail.text, "prices:{symbol}"));
        assert_non_null(strstr(detail.text, "user.orders"));
    }
}

static void a_key_may_have_as_many_bytes_as_the_bus_allows(void **state)
{
    (void)state;
    char name[128] = "prices:";
    struct feed_channel c;
    memset(name + 7, 'A', BUS_KEY_MAX);
    assert_ok(feed_channel(name, "", &c, NULL));
    assert_int_equal(strlen(c.key), BUS_KEY_MAX);
}

static void topics_are_numbered_once(void **state)
{
    (void)state;
    assert_true(feed_topic_count() >= 3 && feed_topic_count() <= FEED_TOPICS_MAX);
    assert_null(feed_topic(feed_topic_count()));
    for (unsigned i = 0; i < feed_topic_count(); i++)
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(feed_topic(i), feed_topic(k));
}

static void a_cursor_is_read_as_it_is_written(void **state)
{
    (void)state;
    static const char *const texts[] = {"0-0", "1769903999123-42", "1-2,3-4",
                                        "18446744073709551615-18446744073709551615"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cursor c;
        char text[CURSOR_TEXT_SIZE];
        assert_ok(cursor_parse(texts[i], &c));
        cursor_format(&c, text);
        assert_string_equal(text, texts[i]);
    }
}

static void other_cursors_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "-",
        "1",
        "1-",
        "-1",
        "1-2,",
        ",1-2",
        "01-2",
        "1-02",
        "+1-2",
        " 1-2",
        "1-2 ",
        "1 -2",
        "1--2",
        "1-2;3-4",
        "a-b",
        "0x1-2",
        "18446744073709551616-1",
        "1-99999999999999999999",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cursor c = {.count = 99};
        assert_err(cursor_parse(texts[i], &c), ERR_INVALID);
        assert_int_equal(c.count, 99);
    }
}

static void a_cursor_has_at_most_as_many_places_as_there_may_be_topics(void **state)
{
    (void)state;
    char text[(FEED_TOPICS_MAX + 1) * 4 + 1] = "";
    struct cursor c;
    for (size_t i = 0; i < FEED_TOPICS_MAX; i++)
        memcpy(text + 4 * i, i ? ",1-1" : "01-1", 5);
    assert_ok(cursor_parse(text + 1, &c));
    memcpy(text + (size_t)4 * FEED_TOPICS_MAX, ",1-1", 5);
    assert_err(cursor_parse(text + 1, &c), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_are_named_as_the_contract_says),
        cmocka_unit_test(other_names_are_refused_and_the_right_ones_listed),
        cmocka_unit_test(a_key_may_have_as_many_bytes_as_the_bus_allows),
        cmocka_unit_test(topics_are_numbered_once),
        cmocka_unit_test(a_cursor_is_read_as_it_is_written),
        cmocka_unit_test(other_cursors_are_refused),
        cmocka_unit_test(a_cursor_has_at_most_as_many_places_as_there_may_be_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
