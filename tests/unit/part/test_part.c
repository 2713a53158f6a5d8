/* What every part gets from the configuration: keys, files, addresses and connections. */
#include "support/unit.h"

#include "base/part.h"
#include "support/eventually.h"
#include "support/temp.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>

#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const struct config_key part_keys[] = {PART_KEYS("demo", "0"), {0}};
static struct config_key schema[64]; /* both tables */

static int join_tables(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct config_key *k = part_common_keys; k->key; k++)
        schema[count++] = *k;
    for (const struct config_key *k = part_keys; k->key; k++)
        schema[count++] = *k;
    assert_true(count < sizeof schema / sizeof *schema);
    return 0;
}

struct setting {
    char directory[TEMP_PATH_SIZE], data[TEMP_PATH_SIZE + 32];
    struct config *config;
    struct part_env *env;
};

/* With one key set ("" for none). */
static void configure(struct setting *s, const char *assignment)
{
    struct err_detail detail = {""};
    char data[sizeof s->data + 32];
    (void)snprintf(s->data, sizeof s->data, "%.200s/data", s->directory);
    (void)snprintf(data, sizeof data, "data_dir=%s", s->data);
    const char *overrides[] = {data, *assignment ? assignment : NULL, NULL};
    const struct config_sources from = {.overrides = overrides};
    enum err e = config_load(schema, &from, &s->config, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
}

static void open_setting(struct setting *s, const char *assignment)
{
    struct err_detail detail = {""};
    *s = (struct setting){0};
    temp_make(s->directory);
    configure(s, assignment);
    enum err e = part_env_open(s->config, &s->env, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
}

static void close_setting(struct setting *s)
{
    part_env_close(s->env);
    config_free(s->config);
    temp_remove(s->directory);
}

/* ---- the environment ---- */

static void the_data_directory_is_made_for_its_owner_only(void **state)
{
    (void)state;
    struct setting s;
    struct stat status;
    open_setting(&s, "");
    assert_int_equal(stat(s.data, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_string_equal(s.env->data_dir, s.data);
    assert_null(s.env->tls);
    close_setting(&s);
}

static void the_principal_key_is_made_once_and_kept_secret(void **state)
{
    (void)state;
    struct setting s;
    struct stat status;
    struct part_env *again;
    char path[sizeof s.data + 32];
    open_setting(&s, "");
    (void)snprintf(path, sizeof path, "%s/principal.key", s.data);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, 2 * PRINCIPAL_KEY_SIZE + 1);
    assert_ok(part_env_open(s.config, &again, NULL));
    assert_memory_equal(again->principal_key->bytes, s.env->principal_key->bytes,
                        PRINCIPAL_KEY_SIZE);
    part_env_close(again);
    close_setting(&s);
}

static void processes_that_start_at_once_agree_on_the_key(void **state)
{
    enum { PROCESSES = 8 };
    (void)state;
    struct setting s = {0};
    int ends[2];
    temp_make(s.directory);
    configure(&s, "");
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child) continue;
        struct part_env *env;
        if (part_env_open(s.config, &env, NULL)) _exit(1);
        _exit(write(ends[1], env->principal_key->bytes, PRINCIPAL_KEY_SIZE) != PRINCIPAL_KEY_SIZE);
    }
    for (int i = 0, status; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    uint8_t first[PRINCIPAL_KEY_SIZE], key[PRINCIPAL_KEY_SIZE];
    assert_int_equal(read(ends[0], first, sizeof first), sizeof first);
    for (int i = 1; i < PROCESSES; i++) {
        assert_int_equal(read(ends[0], key, sizeof key), sizeof key);
        assert_memory_equal(key, first, sizeof key);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    close_setting(&s);
}

static void a_key_from_the_configuration_needs_no_file(void **state)
{
    (void)state;
    struct setting s;
    char path[sizeof s.data + 32];
    open_setting(&s, "rpc.principal_key=" HEX64);
    for (unsigned i = 0; i < PRINCIPAL_KEY_SIZE; i++)
        assert_int_equal(s.env->principal_key->bytes[i], i);
    (void)snprintf(path, sizeof path, "%s/principal.key", s.data);
    assert_int_not_equal(access(path, F_OK), 0);
    close_setting(&s);
}

static void what_cannot_be_right_is_refused_with_its_name(void **state)
{
    static const struct {
        const char *assignment, *named;
    } rows[] = {
        {"rpc.principal_key=abc", "rpc.principal_key"},
        {"rpc.principal_key=zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         "rpc.principal_key"},
        {"rpc.tls_ca=ca.pem", "rpc.tls_ca"},
        {"rpc.tls_key=key.pem", "rpc.tls_key"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct setting s = {0};
        struct err_detail detail = {""};
        temp_make(s.directory);
        configure(&s, rows[i].assignment);
        assert_err(part_env_open(s.config, &s.env, &detail), ERR_INVALID);
        assert_non_null(strstr(detail.text, rows[i].named));
        assert_null(strstr(detail.text, "abc"));
        close_setting(&s);
    }
}

static void a_damaged_key_file_is_not_replaced(void **state)
{
    static const char *const contents[] = {"", "00", HEX64 "00", "zz"};
    (void)state;
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct setting s;
        struct part_env *env;
        struct err_detail detail = {""};
        char path[sizeof s.data + 32];
        open_setting(&s, "");
        (void)snprintf(path, sizeof path, "%s/principal.key", s.data);
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(contents[i], file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_err(part_env_open(s.config, &env, &detail), ERR_INVALID);
        assert_non_null(strstr(detail.text, path));
        close_setting(&s);
    }
}

static void a_data_directory_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    struct setting s = {0};
    struct err_detail detail = {""};
    const char *overrides[] = {"data_dir=/proc/nobody/can/make/this", NULL};
    const struct config_sources from = {.overrides = overrides};
    temp_make(s.directory);
    assert_ok(config_load(schema, &from, &s.config, &detail));
    assert_int_not_equal(part_env_open(s.config, &s.env, &detail), OK);
    assert_non_null(strstr(detail.text, "/proc/nobody/can/make/this"));
    close_setting(&s);
    part_env_close(NULL);
}

/* ---- connections ---- */

static void a_store_is_a_file_of_the_part_in_the_data_directory(void **state)
{
    static const struct store_collection none[] = {{0}};
    (void)state;
    struct setting s;
    struct store *store;
    struct err_detail detail = {""};
    char path[sizeof s.data + 32];
    open_setting(&s, "");
    enum err e = part_store(s.env, "demo", none, &store, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
    assert_ok(store_ping(store));
    (void)snprintf(path, sizeof path, "%s/demo.db", s.data);
    assert_int_equal(access(path, F_OK), 0);
    store_close(store);
    close_setting(&s);
}

static void parts_in_one_process_share_the_cache(void **state)
{
    (void)state;
    struct setting s;
    struct cache *a, *b;
    open_setting(&s, "");
    assert_ok(part_cache(s.env, &a, NULL));
    assert_ok(part_cache(s.env, &b, NULL));
    assert_ok(cache_add(a, "k", "v", 1, 60000));
    assert_err(cache_add(b, "k", "v", 1, 60000), ERR_EXISTS);
    cache_close(a);
    cache_close(b);
    close_setting(&s);
}

static void note_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq)
{
    (void)epoch;
    (void)seq;
    assert_string_equal(topic, "demo.topic");
    atomic_store((atomic_bool *)arg, true);
}

static void parts_find_each_other_by_configuration(void **state)
{
    static const char *const topics[] = {"demo.topic", NULL};
    (void)state;
    struct setting s;
    struct rpc_server *server;
    struct rpc_client *client;
    struct bus_publisher *publisher;
    struct bus_subscriber *subscriber;
    struct err_detail detail = {""};
    atomic_bool resynced = false;
    open_setting(&s, "demo.rpc=inproc://demo , inproc://demo.elsewhere");
    assert_ok(part_server(s.env, "demo", &server, &detail));
    assert_ok(part_publisher(s.env, "demo", topics, server, &publisher, &detail));
    assert_ok(rpc_server_start(server, &detail));
    assert_true(rpc_server_port(server, 1) > 0); /* also on loopback, for tools */
    assert_ok(part_client(s.env, "test", "demo", &client, &detail));
    struct bus_subscriber_options options = {
        .topics = topics, .replay = client, .on_resync = note_resync, .arg = &resynced};
    assert_ok(part_subscriber(s.env, "demo", &options, &subscriber, &detail));
    assert_eventually(atomic_load(&resynced));
    bus_subscriber_free(subscriber);
    rpc_client_free(client);
    rpc_server_free(server);
    bus_publisher_free(publisher);
    close_setting(&s);
}

static void a_list_of_urls_has_no_empty_place_and_an_end(void **state)
{
    (void)state;
    static const char *const rows[] = {"demo.rpc=inproc://a,", "demo.rpc=,inproc://a",
                                       "demo.rpc=inproc://a, ,inproc://b", "demo.rpc= "};
    struct rpc_client *client = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct setting s;
        struct err_detail detail = {""};
        open_setting(&s, rows[i]);
        assert_err(part_client(s.env, "test", "demo", &client, &detail), ERR_INVALID);
        assert_non_null(strstr(detail.text, "demo.rpc"));
        close_setting(&s);
    }

    char many[32 * (RPC_REPLICAS_MAX + 2)] = "demo.rpc=inproc://a";
    for (int count = 2; count <= RPC_REPLICAS_MAX + 1; count++) {
        size_t size = strlen(many);
        (void)snprintf(many + size, sizeof many - size, ",inproc://%d", count);
        if (count < RPC_REPLICAS_MAX) continue;
        struct setting s;
        struct err_detail detail = {""};
        open_setting(&s, many);
        enum err e = part_client(s.env, "test", "demo", &client, &detail);
        assert_err(e, count <= RPC_REPLICAS_MAX ? OK : ERR_INVALID);
        if (!e) rpc_client_free(client);
        close_setting(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_data_directory_is_made_for_its_owner_only),
        cmocka_unit_test(the_principal_key_is_made_once_and_kept_secret),
        cmocka_unit_test(processes_that_start_at_once_agree_on_the_key),
        cmocka_unit_test(a_key_from_the_configuration_needs_no_file),
        cmocka_unit_test(what_cannot_be_right_is_refused_with_its_name),
        cmocka_unit_test(a_damaged_key_file_is_not_replaced),
        cmocka_unit_test(a_data_directory_that_cannot_be_made_is_an_error),
        cmocka_unit_test(a_store_is_a_file_of_the_part_in_the_data_directory),
        cmocka_unit_test(parts_in_one_process_share_the_cache),
        cmocka_unit_test(parts_find_each_other_by_configuration),
        cmocka_unit_test(a_list_of_urls_has_no_empty_place_and_an_end),
    };
    return cmocka_run_group_tests(tests, join_tables, NULL);
}
