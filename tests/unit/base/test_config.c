/* Configuration: where values come from, which wins, and how every mistake is told. */
#include "support/temp.h"
#include "support/unit.h"

#include "base/config.h"

#include <stdio.h>
#include <string.h>

static const struct config_key schema[] = {
    {"log.level", CONFIG_STRING, "info", 1, 16, "least level that is logged", false},
    {"wallet.queue_max", CONFIG_INT, "512", 1, 4096, "commands that may wait", false},
    {"wallet.key", CONFIG_STRING, "", 0, 64, "key that signs", CONFIG_SECRET},
    {"wallet.pin", CONFIG_INT, "0", 0, 9999, "number that opens", CONFIG_SECRET},
    {"wallet.audit", CONFIG_BOOL, "true", 0, 0, "whether acts are recorded", false},
    {"users.mail.host", CONFIG_STRING, "localhost", 0, 0, "mail server", false},
    {"assets[]", CONFIG_LIST, "[{name: EUR, scale: 2}]", 0, 3, "assets that are kept", false},
    {"assets[].name", CONFIG_STRING, NULL, 1, 8, "name of the asset", false},
    {"assets[].scale", CONFIG_INT, "8", 0, 18, "decimals of the asset", false},
    {"assets[].fee.fixed", CONFIG_BOOL, "false", 0, 0, "whether its fee is fixed", false},
    {"markets[]", CONFIG_LIST, NULL, 0, 0, "markets that are open", false},
    {"markets[].symbol", CONFIG_STRING, NULL, 1, 16, "symbol of the market", false},
    {"signed", CONFIG_INT, "-1", INT64_MIN, INT64_MAX, "any number", false},
    {.key = NULL},
};

static char directory[TEMP_PATH_SIZE];

/* A file with that text; its path is valid until the next call for the same slot. */
static const char *file_with(int slot, const char *text, size_t size)
{
    static char paths[2][TEMP_PATH_SIZE + 8];
    (void)snprintf(paths[slot], sizeof paths[slot], "%s/%d", directory, slot);
    FILE *f = fopen(paths[slot], "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return paths[slot];
}

static int make_directory(void **state)
{
    (void)state;
    temp_make(directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    temp_remove(directory);
    return 0;
}

static enum err load_yaml(const char *yaml, struct config **ret, struct err_detail *detail)
{
    const struct config_sources from = {.file = file_with(0, yaml, strlen(yaml))};
    return config_load(schema, &from, ret, detail);
}

static struct config *loaded(const struct config_sources *from)
{
    struct config *c = NULL;
    struct err_detail detail = {0};
    enum err e = config_load(schema, from, &c, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
    return c;
}

static struct config *loaded_yaml(const char *yaml)
{
    const struct config_sources from = {.file = file_with(0, yaml, strlen(yaml))};
    return loaded(&from);
}

static void without_sources_every_key_has_its_default(void **state)
{
    (void)state;
    struct config *c = loaded(&(struct config_sources){0});
    assert_string_equal(config_string(c, "log.level"), "info");
    assert_int_equal(config_int(c, "wallet.queue_max"), 512);
    assert_string_equal(config_string(c, "wallet.key"), "");
    assert_true(config_bool(c, "wallet.audit"));
    assert_int_equal(config_int(c, "signed"), -1);
    assert_int_equal(config_count(c, "assets[]"), 1);
    assert_string_equal(config_item_string(c, "assets[].name", 0), "EUR");
    assert_int_equal(config_item_int(c, "assets[].scale", 0), 2);
    assert_int_equal(config_count(c, "markets[]"), 0);
    config_free(c);
    config_free(NULL);
}

static void nested_maps_and_dotted_keys_are_the_same(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "wallet: {queue_max: 9}\nusers: {mail: {host: mx}}\n",
        "wallet:\n  queue_max: 9\nusers:\n  mail:\n    host: mx\n",
        "wallet.queue_max: 9\nusers.mail.host: mx\n",
        "---\n# comment\n\"wallet\":\n  'queue_max': 9\nusers.mail: {host: \"mx\"}\n...\n",
        "{\"wallet\": {\"queue_max\": 9}, \"users\": {\"mail\": {\"host\": \"mx\"}}}",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        struct config *c = loaded_yaml(spellings[i]);
        assert_int_equal(config_int(c, "wallet.queue_max"), 9);
        assert_string_equal(config_string(c, "users.mail.host"), "mx");
        assert_string_equal(config_string(c, "log.level"), "info");
        config_free(c);
    }
}

static void a_file_may_say_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# only a comment\n", "---\n", "{}", "wallet:\n", "~"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config *c = loaded_yaml(texts[i]);
        assert_int_equal(config_int(c, "wallet.queue_max"), 512);
        config_free(c);
    }
}

static void a_given_list_replaces_the_default_whole(void **state)
{
    (void)state;
    struct config *c = loaded_yaml("assets:\n"
                                   "  - {name: BTC}\n"
                                   "  - name: USD\n"
                                   "    scale: 2\n"
                                   "    fee: {fixed: true}\n"
                                   "markets: [{symbol: BTC-USD}]\n");
    assert_int_equal(config_count(c, "assets[]"), 2);
    assert_string_equal(config_item_string(c, "assets[].name", 0), "BTC");
    assert_int_equal(config_item_int(c, "assets[].scale", 0), 8);
    assert_false(config_item_bool(c, "assets[].fee.fixed", 0));
    assert_string_equal(config_item_string(c, "assets[].name", 1), "USD");
    assert_int_equal(config_item_int(c, "assets[].scale", 1), 2);
    assert_true(config_item_bool(c, "assets[].fee.fixed", 1));
    assert_string_equal(config_item_string(c, "markets[].symbol", 0), "BTC-USD");
    config_free(c);

    c = loaded_yaml("assets: []\n");
    assert_int_equal(config_count(c, "assets[]"), 0);
    config_free(c);
}

static const struct {
    const char *yaml;
    enum err e;
    const char *says; /* after the file's name */
} mistakes[] = {
    /* keys */
    {"wallet:\n  queue_mx: 9\n", ERR_INVALID,
     ":2: there is no key \"wallet.queue_mx\"; \"wallet.queue_max\" is meant?"},
    {"colour: red\n", ERR_INVALID, ":1: there is no key \"colour\""},
    {"wallet: {}\n\n\nwalet: {}\n", ERR_INVALID, ":4: there is no key \"walet\""},
    {"wallet: {\"\": 1}", ERR_INVALID, ":1: there is no key \"wallet.\""},
    {"assets[]: []", ERR_INVALID, ":1: there is no key \"assets[]\""},
    {"assets[].name: x", ERR_INVALID, ":1: there is no key \"assets[].name\""},
    {"assets:\n- name: A\n  size: 2\n", ERR_INVALID, ":3: there is no key \"assets[].size\""},
    {"? [a, b]\n: 1\n", ERR_INVALID, ":1: a key must be a word"},
    {"log.level: a\nlog:\n  level: b\n", ERR_INVALID,
     ":3: log.level: is given twice, first on line 1"},
    {"assets: []\nassets: []\n", ERR_INVALID, ":2: assets[]: is given twice, first on line 1"},
    {"assets:\n- name: A\n  name: B\n", ERR_INVALID,
     ":3: assets[].name: is given twice, first on line 2"},
    /* types */
    {"wallet.queue_max: many\n", ERR_INVALID,
     ":1: wallet.queue_max: must be a whole number from 1 to 4096, not \"many\""},
    {"wallet.queue_max: 9.0", ERR_INVALID, "must be a whole number from 1 to 4096, not \"9.0\""},
    {"wallet.queue_max: 0x10", ERR_INVALID, "must be a whole number from 1 to 4096, not \"0x10\""},
    {"wallet.queue_max: 010", ERR_INVALID, "must be a whole number from 1 to 4096, not \"010\""},
    {"wallet.queue_max: +9", ERR_INVALID, "must be a whole number from 1 to 4096, not \"+9\""},
    {"wallet.queue_max: 1_000", ERR_INVALID, "not \"1_000\""},
    {"wallet.queue_max: '9'", ERR_INVALID, "must be a whole number, not a text in quotes"},
    {"wallet.queue_max:\n", ERR_INVALID, "must be a whole number, not empty"},
    {"wallet.queue_max: [9]\n", ERR_INVALID, "must be a whole number, not a list"},
    {"wallet.audit: yes", ERR_INVALID, ":1: wallet.audit: must be true or false, not \"yes\""},
    {"wallet.audit: 'true'", ERR_INVALID, "must be true or false, not a text in quotes"},
    {"wallet.audit: {}", ERR_INVALID, "must be true or false, not a map"},
    {"log.level: {x: 1}", ERR_INVALID, ":1: log.level: must be a text, not a map"},
    {"log.level: ~", ERR_INVALID, "must be a text, not empty (an empty text is \"\")"},
    {"log.level: \"a\\0b\"", ERR_INVALID, "must be a text, not one with a NUL in it"},
    {"log: 5", ERR_INVALID, ":1: log: must be a map of its keys"},
    {"assets: 5", ERR_INVALID, ":1: assets[]: must be a list of maps"},
    {"assets: {name: A}", ERR_INVALID, ":1: assets[]: must be a list of maps"},
    {"assets:", ERR_INVALID, ":1: assets[]: must be a list of maps"},
    {"assets: [A]", ERR_INVALID, ":1: assets[]: each element must be a map"},
    {"assets:\n- name: A\n- scale: 1\n", ERR_INVALID, ":3: assets[].name: must be given"},
    {"- 1", ERR_INVALID, ":1: must be a map of keys"},
    {"text", ERR_INVALID, ":1: must be a map of keys"},
    /* ranges: at the limit and one more is below */
    {"wallet.queue_max: 0", ERR_RANGE, "must be a whole number from 1 to 4096, not \"0\""},
    {"wallet.queue_max: 4097", ERR_RANGE, ":1: wallet.queue_max: must be a whole number from 1 to"},
    {"wallet.queue_max: 99999999999999999999", ERR_RANGE, "not \"99999999999999999999\""},
    {"log.level: ''", ERR_RANGE, ":1: log.level: must be 1 to 16 bytes long, not 0"},
    {"log.level: 12345678901234567", ERR_RANGE,
     ":1: log.level: must be 1 to 16 bytes long, not 17"},
    {"assets: [{name: A}, {name: B}, {name: C},\n {name: D}]", ERR_RANGE,
     ":2: assets[]: at most 3 elements are allowed"},
    /* secrets stay secret */
    {"wallet.pin: hunter2", ERR_INVALID,
     "wallet.pin: must be a whole number from 0 to 9999, not \"***\""},
    /* syntax */
    {"log.level: b: c\n", ERR_INVALID,
     ":1: not YAML: mapping values are not allowed in this context"},
    {"log:\n\tlevel: a\n", ERR_INVALID, ":2: not YAML: "},
    {"log: {level: a", ERR_INVALID, "not YAML: "},
    {"log.level: \"\xff\"\n", ERR_INVALID, "not YAML: invalid leading UTF-8 octet"},
    {"log.level: &a b\nusers.mail.host: *a\n", ERR_INVALID, ":2: aliases are not supported"},
    {"log: &a {<<: *a}\n", ERR_INVALID, "there is no key \"log.<<\""},
    {"log.level: !!str b\n", ERR_INVALID, ":1: tags are not supported"},
    {"log.level: a\n---\nlog.level: b\n", ERR_INVALID, ":2: must be one document"},
};

static void a_mistake_in_the_file_is_told_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct config *c = NULL;
        struct err_detail detail = {0};
        enum err e = load_yaml(mistakes[i].yaml, &c, &detail);
        bool names_file = strncmp(detail.text, directory, strlen(directory)) == 0;
        if (e != mistakes[i].e || c || !names_file || !strstr(detail.text, mistakes[i].says))
            fail_msg("%s: %s: %s", mistakes[i].yaml, err_name(e), detail.text);
        assert_null(strstr(detail.text, "hunter2"));
    }
}

static void a_value_at_its_limit_is_taken(void **state)
{
    (void)state;
    struct config *c = loaded_yaml("wallet.queue_max: 4096\nlog.level: 1234567890123456\n"
                                   "assets: [{name: A}, {name: B}, {name: C, scale: 18}]\n"
                                   "signed: -9223372036854775808\n");
    assert_int_equal(config_int(c, "wallet.queue_max"), 4096);
    assert_string_equal(config_string(c, "log.level"), "1234567890123456");
    assert_int_equal(config_count(c, "assets[]"), 3);
    assert_true(config_int(c, "signed") == INT64_MIN);
    config_free(c);
}

static void a_string_without_a_maximum_has_4096_bytes(void **state)
{
    (void)state;
    char yaml[5000];
    for (int size = 4096; size <= 4097; size++) {
        int start = snprintf(yaml, sizeof yaml, "users.mail.host: ");
        memset(yaml + start, 'x', (size_t)size);
        yaml[start + size] = 0;
        struct config *c = NULL;
        assert_err(load_yaml(yaml, &c, NULL), size == 4096 ? OK : ERR_RANGE);
        config_free(c);
    }
}

static void a_list_without_a_maximum_has_4096_elements(void **state)
{
    (void)state;
    static char yaml[32 * (CONFIG_LIST_MAX + 1)];
    for (size_t count = CONFIG_LIST_MAX; count <= CONFIG_LIST_MAX + 1; count++) {
        size_t at = (size_t)snprintf(yaml, sizeof yaml, "markets:\n");
        for (size_t i = 0; i < count; i++)
            at += (size_t)snprintf(yaml + at, sizeof yaml - at, "- symbol: M%zu\n", i);
        struct config *c = NULL;
        assert_err(load_yaml(yaml, &c, NULL), count == CONFIG_LIST_MAX ? OK : ERR_RANGE);
        if (c) assert_string_equal(config_item_string(c, "markets[].symbol", 4095), "M4095");
        config_free(c);
    }
}

static void a_file_has_at_most_a_megabyte(void **state)
{
    (void)state;
    char *text = malloc(CONFIG_FILE_SIZE_MAX + 1);
    assert_non_null(text);
    memset(text, '#', CONFIG_FILE_SIZE_MAX + 1);
    for (size_t size = CONFIG_FILE_SIZE_MAX; size <= CONFIG_FILE_SIZE_MAX + 1; size++) {
        const struct config_sources from = {.file = file_with(0, text, size)};
        struct config *c = NULL;
        assert_err(config_load(schema, &from, &c, NULL),
                   size == CONFIG_FILE_SIZE_MAX ? OK : ERR_EXHAUSTED);
        config_free(c);
    }
    free(text);
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum err e;
        const char *says;
    } cases[] = {
        {"/nowhere/tradepost.yml", ERR_NOT_FOUND, "/nowhere/tradepost.yml: no such file"},
        {"/tmp", ERR_IO, "/tmp: Is a directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        struct err_detail detail;
        const struct config_sources from = {.file = cases[i].path};
        assert_err(config_load(schema, &from, &c, &detail), cases[i].e);
        assert_string_equal(detail.text, cases[i].says);
    }
    struct config *c = NULL;
    const struct config_sources from = {.file = file_with(0, "log.level: a\0b\n", 15)};
    assert_err(config_load(schema, &from, &c, NULL), ERR_INVALID);
}

static void the_later_source_wins(void **state)
{
    (void)state;
    const char *yaml = "wallet.queue_max: 1\nlog.level: file\nusers.mail.host: file\n";
    char *environment[] = {(char[]){"HOME=/"}, (char[]){"TRADEPOST_WALLET_QUEUE_MAX=2"},
                           (char[]){"TRADEPOST_USERS_MAIL_HOST=environment"}, NULL};
    const char *overrides[] = {"wallet.queue_max=3", "wallet.key=a=b", "wallet.queue_max=4", NULL};
    struct config *c = loaded(&(struct config_sources){.file = file_with(0, yaml, strlen(yaml)),
                                                       .environment = environment,
                                                       .overrides = overrides});
    assert_int_equal(config_int(c, "wallet.queue_max"), 4);
    assert_string_equal(config_string(c, "users.mail.host"), "environment");
    assert_string_equal(config_string(c, "log.level"), "file");
    assert_string_equal(config_string(c, "wallet.key"), "a=b");
    config_free(c);
}

static const struct {
    const char *variable, *other; /* other may be NULL */
    enum err e;
    const char *says;
} wrong_variables[] = {
    {"TRADEPOST_WALLET_QUEUE_MX=9", NULL, ERR_INVALID,
     "TRADEPOST_WALLET_QUEUE_MX: there is no key \"WALLET_QUEUE_MX\"; \"wallet.queue_max\" is "
     "meant?"},
    {"TRADEPOST_=9", NULL, ERR_INVALID, "TRADEPOST_: there is no key \"\""},
    {"TRADEPOST__FILE=9", NULL, ERR_INVALID, "TRADEPOST__FILE: there is no key \"_FILE\""},
    {"TRADEPOST_FILE=9", NULL, ERR_INVALID, "TRADEPOST_FILE: there is no key \"FILE\""},
    {"TRADEPOST_wallet_audit=true", NULL, ERR_INVALID, "there is no key \"wallet_audit\""},
    {"TRADEPOST_ASSETS=[]", NULL, ERR_INVALID, "TRADEPOST_ASSETS: there is no key \"ASSETS\""},
    {"TRADEPOST_ASSETS[]=[]", NULL, ERR_INVALID, "there is no key \"ASSETS[]\""},
    {"TRADEPOST_ASSETS[]_NAME=A", NULL, ERR_INVALID, "there is no key \"ASSETS[]_NAME\""},
    {"TRADEPOST_WALLET_QUEUE_MAX=", NULL, ERR_INVALID,
     "TRADEPOST_WALLET_QUEUE_MAX: wallet.queue_max: must be a whole number from 1 to 4096, not "
     "\"\""},
    {"TRADEPOST_WALLET_QUEUE_MAX=4097", NULL, ERR_RANGE,
     "TRADEPOST_WALLET_QUEUE_MAX: wallet.queue"},
    {"TRADEPOST_WALLET_AUDIT=TRUE", NULL, ERR_INVALID, "must be true or false, not \"TRUE\""},
    {"TRADEPOST_WALLET_PIN=hunter2", NULL, ERR_INVALID, "not \"***\""},
    {"TRADEPOST_WALLET_QUEUE_MAX_FILE=/etc/hostname", NULL, ERR_INVALID,
     "TRADEPOST_WALLET_QUEUE_MAX_FILE: wallet.queue_max: only a text can come from a file"},
    {"TRADEPOST_WALLET_KEY_FILE=/nowhere", NULL, ERR_NOT_FOUND,
     "TRADEPOST_WALLET_KEY_FILE: wallet.key: cannot be read: /nowhere: no such file"},
    {"TRADEPOST_WALLET_KEY_FILE=/tmp", NULL, ERR_IO,
     "TRADEPOST_WALLET_KEY_FILE: wallet.key: cannot be read: /tmp: Is a directory"},
    {"TRADEPOST_WALLET_KEY_FILE=/dev/zero", NULL, ERR_EXHAUSTED,
     "wallet.key: cannot be read: /dev/zero: longer than 1048576 bytes"},
    {"TRADEPOST_WALLET_KEY_FILE=/nowhere", "TRADEPOST_WALLET_KEY=x", ERR_INVALID,
     "TRADEPOST_WALLET_KEY_FILE: wallet.key: is given twice: with and without _FILE"},
};

static void a_mistake_in_the_environment_is_told_with_the_variable(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong_variables / sizeof wrong_variables[0]; i++) {
        char first[128], second[128];
        (void)snprintf(first, sizeof first, "%s", wrong_variables[i].variable);
        const char *other = wrong_variables[i].other;
        (void)snprintf(second, sizeof second, "%s", other ? other : "PATH=/");
        char *environment[] = {second, first, NULL};
        struct config *c = NULL;
        struct err_detail detail = {0};
        const struct config_sources from = {.environment = environment};
        enum err e = config_load(schema, &from, &c, &detail);
        if (e != wrong_variables[i].e || !strstr(detail.text, wrong_variables[i].says))
            fail_msg("%s: %s: %s", first, err_name(e), detail.text);
        assert_null(strstr(detail.text, "hunter2"));
    }
}

static void a_secret_comes_from_a_file_without_its_last_newline(void **state)
{
    (void)state;
    static const struct {
        const char *content, *value;
    } cases[] = {
        {"s3cret\n", "s3cret"}, {"s3cret", "s3cret"}, {"a\nb\n\n", "a\nb\n"}, {"", ""}, {"\n", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char variable[128];
        (void)snprintf(variable, sizeof variable, "TRADEPOST_WALLET_KEY_FILE=%s",
                       file_with(1, cases[i].content, strlen(cases[i].content)));
        char *environment[] = {variable, NULL};
        struct config *c = loaded(&(struct config_sources){.environment = environment});
        assert_string_equal(config_string(c, "wallet.key"), cases[i].value);
        config_free(c);
    }
}

static void a_mistake_in_a_flag_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *override;
        enum err e;
        const char *says;
    } cases[] = {
        {"wallet.queue_max", ERR_INVALID, "--set: must be KEY=VALUE, not \"wallet.queue_max\""},
        {"wallet.quee_max=9", ERR_INVALID,
         "--set: there is no key \"wallet.quee_max\"; \"wallet.queue"},
        {"=9", ERR_INVALID, "--set: there is no key \"\""},
        {"assets[]=x", ERR_INVALID, "--set: assets[]: a list comes from the file only"},
        {"assets[].name=x", ERR_INVALID, "--set: assets[].name: a list comes from the file only"},
        {"wallet.queue_max=0", ERR_RANGE, "--set: wallet.queue_max: must be a whole number from 1"},
        {"wallet.queue_max= 9", ERR_INVALID, "not \" 9\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *overrides[] = {cases[i].override, NULL};
        struct config *c = NULL;
        struct err_detail detail = {0};
        const struct config_sources from = {.overrides = overrides};
        enum err e = config_load(schema, &from, &c, &detail);
        if (e != cases[i].e || !strstr(detail.text, cases[i].says))
            fail_msg("%s: %s: %s", cases[i].override, err_name(e), detail.text);
    }
}

static void what_differs_is_found_in_the_order_of_the_schema(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after, *changed;
    } cases[] = {
        {"", "", ""},
        {"", "log: {level: info}", ""}, /* the default, written out */
        {"", "log: {level: warn}", "log.level "},
        {"wallet: {audit: true}", "wallet: {audit: false}", "wallet.audit "},
        {"signed: 5", "log: {level: x}\nwallet: {key: k, pin: 7, queue_max: 9}",
         "log.level wallet.queue_max wallet.key wallet.pin signed "},
        {"assets: [{name: EUR, scale: 2}]", "", ""},
        {"assets: [{name: EUR, scale: 2}]", "assets: [{name: EUR, scale: 3}]", "assets[] "},
        {"assets: [{name: EUR}]", "assets: [{name: CHF}]", "assets[] "},
        {"assets: [{name: EUR}, {name: CHF}]", "assets: [{name: EUR}]", "assets[] "},
        {"assets: [{name: EUR}]", "assets: [{name: EUR, fee: {fixed: true}}]", "assets[] "},
        {"assets: []", "assets: [{name: EUR}]", "assets[] "},
        {"markets: []", "markets: [{symbol: A}, {symbol: B}]", "markets[] "},
        {"markets: [{symbol: A}, {symbol: B}]", "markets: [{symbol: A}, {symbol: B}]", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *before = loaded_yaml(cases[i].before), *after = loaded_yaml(cases[i].after);
        char found[256] = "";
        for (const struct config_key *k = NULL; (k = config_changed(before, after, k));)
            (void)snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", k->key);
        assert_string_equal(found, cases[i].changed);
        config_free(before);
        config_free(after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_sources_every_key_has_its_default),
        cmocka_unit_test(nested_maps_and_dotted_keys_are_the_same),
        cmocka_unit_test(a_file_may_say_nothing),
        cmocka_unit_test(a_given_list_replaces_the_default_whole),
        cmocka_unit_test(a_mistake_in_the_file_is_told_with_its_line),
        cmocka_unit_test(a_value_at_its_limit_is_taken),
        cmocka_unit_test(a_string_without_a_maximum_has_4096_bytes),
        cmocka_unit_test(a_list_without_a_maximum_has_4096_elements),
        cmocka_unit_test(a_file_has_at_most_a_megabyte),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(the_later_source_wins),
        cmocka_unit_test(a_mistake_in_the_environment_is_told_with_the_variable),
        cmocka_unit_test(a_secret_comes_from_a_file_without_its_last_newline),
        cmocka_unit_test(a_mistake_in_a_flag_is_told),
        cmocka_unit_test(what_differs_is_found_in_the_order_of_the_schema),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
