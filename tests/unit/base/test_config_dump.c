/* The dump: readable, complete, without secrets, and read back as what it was made from. */
#include "support/temp.h"
#include "support/unit.h"

#include "base/config.h"

#include <string.h>

static const struct config_key schema[] = {
    {"wallet.queue_max", CONFIG_INT, "512", 1, 4096, "commands that may wait", false},
    {"wallet.key", CONFIG_STRING, "", 0, 64, "key that signs", CONFIG_SECRET},
    {"wallet.pin", CONFIG_INT, "0", 0, 9999, "number that opens", CONFIG_SECRET},
    {"wallet.mail.host", CONFIG_STRING, "localhost", 0, 0, "mail server", false},
    {"audit", CONFIG_BOOL, "true", 0, 0, "whether acts are recorded", CONFIG_RELOAD},
    {"wallet.mail.port", CONFIG_INT, "25", 1, 65535, "port of the mail server", CONFIG_RELOAD},
    {"assets[]", CONFIG_LIST, "[{name: EUR}]", 0, 0, "assets that are kept", false},
    {"assets[].name", CONFIG_STRING, NULL, 1, 64, "name of the asset", false},
    {"assets[].scale", CONFIG_INT, "8", 0, 18, "decimals of the asset", false},
    {"assets[].fee.fixed", CONFIG_BOOL, "false", 0, 0, "whether its fee is fixed", false},
    {"assets[].token", CONFIG_STRING, "", 0, 64, "key of the asset's chain", CONFIG_SECRET},
    {"empty.markets[]", CONFIG_LIST, NULL, 0, 0, "markets that are open", false},
    {"empty.markets[].symbol", CONFIG_STRING, NULL, 1, 16, "symbol of the market", false},
    {.key = NULL},
};

static struct config *loaded(const struct config_key *keys, const struct config_sources *from)
{
    struct config *c = NULL;
    struct err_detail detail = {0};
    enum err e = config_load(keys, from, &c, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
    return c;
}

static char *dumped(const struct config *c)
{
    struct buf out;
    buf_init(&out, 1024 * 1024);
    assert_ok(config_dump(c, &out));
    char *text = buf_take(&out);
    assert_non_null(text);
    return text;
}

static void the_dump_shows_every_key_with_its_help(void **state)
{
    (void)state;
    struct config *c = loaded(schema, &(struct config_sources){0});
    char *text = dumped(c);
    assert_string_equal(text, "wallet:\n"
                              "  # commands that may wait (1 to 4096, default 512)\n"
                              "  queue_max: 512\n"
                              "  # key that signs\n"
                              "  key: \"\"\n"
                              "  # number that opens (0 to 9999, default 0)\n"
                              "  pin: \"***\"\n"
                              "  mail:\n"
                              "    # mail server\n"
                              "    host: \"localhost\"\n"
                              "    # port of the mail server (1 to 65535, default 25) (reload)\n"
                              "    port: 25\n"
                              "# whether acts are recorded (reload)\n"
                              "audit: true\n"
                              "# assets that are kept\n"
                              "#   name: name of the asset\n"
                              "#   scale: decimals of the asset (0 to 18, default 8)\n"
                              "#   fee.fixed: whether its fee is fixed\n"
                              "#   token: key of the asset's chain\n"
                              "assets:\n"
                              "  - name: \"EUR\"\n"
                              "    scale: 8\n"
                              "    fee.fixed: false\n"
                              "    token: \"\"\n"
                              "empty:\n"
                              "  # markets that are open\n"
                              "  #   symbol: symbol of the market\n"
                              "  markets: []\n");
    free(text);
    config_free(c);
}

static void no_secret_is_shown(void **state)
{
    (void)state;
    const char *overrides[] = {"wallet.key=hunter2", "wallet.pin=4711", NULL};
    struct config *c = loaded(schema, &(struct config_sources){.overrides = overrides});
    char *text = dumped(c);
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "4711"));
    assert_non_null(strstr(text, "  key: \"***\"\n"));
    free(text);
    config_free(c);
}

static const struct config_key open_schema[] = {
    {"a.text", CONFIG_STRING, "", 0, 0, "any text", false},
    {"a.number", CONFIG_INT, "0", INT64_MIN, INT64_MAX, "any number", false},
    {"list[]", CONFIG_LIST, NULL, 0, 0, "any list", false},
    {"list[].text", CONFIG_STRING, "", 0, 0, "any text", false},
    {.key = NULL},
};

static void what_is_dumped_is_read_back_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "plain",
        "two words",
        " blanks ",
        "null",
        "true",
        "12",
        "a: b # c",
        "\"quoted\"",
        "it's",
        "back\\slash",
        "a\nb\n",
        "\t\r\b",
        "\x01\x1b\x7f",
        "caf\xc3\xa9",
        "\xc2\x85\xc2\xa0",
        " \xe2\x80\xa8 \xe2\x80\xa9 ",
        "\xef\xbb\xbf",
        "\xef\xbf\xbe\xef\xbf\xbf",
        "\xf0\x9f\x98\x80",
        "*alias",
        "&anchor",
        "!tag",
        "%",
        "@",
        "`",
        "- x",
        "? x",
        "---",
        "...",
    };
    char directory[TEMP_PATH_SIZE], path[TEMP_PATH_SIZE + 8], override[64];
    temp_make(directory);
    (void)snprintf(path, sizeof path, "%s/yml", directory);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)snprintf(override, sizeof override, "a.text=%s", texts[i]);
        const char *overrides[] = {override, "a.number=-9223372036854775808", NULL};
        struct config *c = loaded(open_schema, &(struct config_sources){.overrides = overrides});
        char *text = dumped(c);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0 && fputs("\n# the end", f) >= 0);
        assert_int_equal(fclose(f), 0);

        struct config *again = loaded(open_schema, &(struct config_sources){.file = path});
        assert_string_equal(config_string(again, "a.text"), texts[i]);
        assert_true(config_int(again, "a.number") == INT64_MIN);
        char *text_again = dumped(again);
        assert_string_equal(text, text_again);
        free(text_again);
        config_free(again);
        free(text);
        config_free(c);
    }
    temp_remove(directory);
}

static void a_full_buffer_is_told(void **state)
{
    (void)state;
    struct config *c = loaded(schema, &(struct config_sources){0});
    struct buf out;
    buf_init(&out, 20);
    assert_err(config_dump(c, &out), ERR_EXHAUSTED);
    buf_release(&out);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dump_shows_every_key_with_its_help),
        cmocka_unit_test(no_secret_is_shown),
        cmocka_unit_test(what_is_dumped_is_read_back_the_same),
        cmocka_unit_test(a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
