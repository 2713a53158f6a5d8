/* The same calls over every transport: a part cannot tell which one it runs on. */
#include "support/unit.h"

#include "base/clock.h"
#include "support/rpc/fixture.h"

#include <stdio.h>
#include <string.h>

static void assert_echoes(struct fixture *f)
{
    char text[257];
    memset(text, 'x', sizeof text);
    text[256] = 0;
    assert_ok(fixture_call_echo(f->client, "hello", NULL, NULL));
    assert_ok(fixture_call_echo(f->client, "", NULL, NULL));
    assert_ok(fixture_call_echo(f->client, text, NULL, NULL));
}

static void echo_comes_back_in_process(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_start(&f, "inproc://echo", NULL);
    fixture_connect(&f, NULL);
    assert_echoes(&f);
    assert_true(rpc_client_ready(f.client));
    fixture_stop(&f);
}

static void echo_comes_back_over_tcp(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_start(&f, "tcp://127.0.0.1:0", NULL);
    fixture_connect(&f, NULL);
    assert_echoes(&f);
    fixture_stop(&f);
}

static void a_name_stands_for_its_addresses(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_start(&f, "tcp://127.0.0.1:0", NULL);
    (void)snprintf(f.url, sizeof f.url, "tcp://localhost:%u", rpc_server_port(f.server, 0));
    fixture_connect(&f, NULL);
    assert_echoes(&f);
    fixture_stop(&f);
}

static void a_server_listens_on_several_addresses(void **state)
{
    (void)state;
    struct fixture f;
    struct err_detail detail;
    const char *listen[] = {"inproc://several", "tcp://127.0.0.1:0"};
    fixture_init(&f, NULL);
    struct rpc_server_options o = {.name = "users", .listen = listen, .listen_count = 2};
    assert_ok(rpc_server_new(&o, &f.server, &detail));
    assert_ok(rpc_server_add(f.server, &f.users.base, NULL));
    assert_err(rpc_server_add(f.server, &f.users.base, NULL), ERR_EXISTS);
    assert_ok(rpc_server_start(f.server, &detail));
    assert_int_equal(rpc_server_port(f.server, 0), 0);
    assert_int_not_equal(rpc_server_port(f.server, 1), 0);
    assert_int_equal(rpc_server_port(f.server, 2), 0);
    (void)snprintf(f.url, sizeof f.url, "inproc://several");
    fixture_connect(&f, NULL);
    assert_echoes(&f);
    rpc_client_free(f.client);
    (void)snprintf(f.url, sizeof f.url, "tcp://127.0.0.1:%u", rpc_server_port(f.server, 1));
    fixture_connect(&f, NULL);
    assert_echoes(&f);
    fixture_stop(&f);
}

static void a_client_may_start_before_its_server(void **state)
{
    (void)state;
    struct fixture f;
    struct result result;
    Users__RefreshRequest request = USERS__REFRESH_REQUEST__INIT;
    fixture_init(&f, NULL);
    (void)snprintf(f.url, sizeof f.url, "inproc://late");
    fixture_connect(&f, NULL);
    assert_false(rpc_client_ready(f.client));
    result_init(&result);
    rpc_call_async(f.client, GUEST_METHOD, &request.base, NULL, result_done, &result);
    fixture_start(&f, "inproc://late", NULL);
    assert_ok(result_await(&result));
    result_fini(&result);
    fixture_stop(&f);
}

static void without_a_server_a_call_fails_before_its_deadline(void **state)
{
    (void)state;
    struct fixture f;
    struct rpc_status status;
    fixture_init(&f, NULL);
    (void)snprintf(f.url, sizeof f.url, "inproc://nobody");
    fixture_connect(&f, NULL);
    int64_t before_ms = clock_mono_ms();
    assert_err(fixture_call_echo(f.client, "x", NULL, &status), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - before_ms < RPC_TIMEOUT_DEFAULT_MS / 2);
    assert_string_equal(status.message, "no replica is connected");
    struct rpc_options soon = {.deadline_ms = clock_mono_ms() + 50};
    assert_err(fixture_call_echo(f.client, "x", &soon, &status), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - soon.deadline_ms < 2000);
    fixture_stop(&f);
}

/* ---- mutual TLS ---- */

static struct certificates certificates;

static int make_certificates(void **state)
{
    (void)state;
    certificates_make(&certificates);
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    certificates_remove(&certificates);
    return 0;
}

static struct rpc_tls trusted(void)
{
    return (struct rpc_tls){certificates.ca, certificates.cert, certificates.key};
}

static void start_tls(struct fixture *f, const struct rpc_tls *tls)
{
    struct rpc_server_options o = {.tls = tls};
    fixture_init(f, NULL);
    fixture_start(f, "tls+tcp://127.0.0.1:0", &o);
    (void)snprintf(f->url, sizeof f->url, "tls+tcp://localhost:%u", rpc_server_port(f->server, 0));
}

static void echo_comes_back_over_mutual_tls(void **state)
{
    (void)state;
    struct fixture f;
    struct rpc_tls tls = trusted();
    start_tls(&f, &tls);
    fixture_connect(&f, &tls);
    assert_echoes(&f);
    fixture_stop(&f);
}

static void assert_no_connection(struct fixture *f, const struct rpc_tls *tls)
{
    struct rpc_options soon = {.deadline_ms = clock_mono_ms() + 300};
    fixture_connect(f, tls);
    assert_err(fixture_call_echo(f->client, "x", &soon, NULL), ERR_UNAVAILABLE);
    rpc_client_free(f->client);
    f->client = NULL;
}

static void strangers_do_not_get_in_and_do_not_disturb(void **state)
{
    (void)state;
    struct fixture f;
    struct rpc_tls tls = trusted();
    struct rpc_tls stranger = {certificates.ca, certificates.other_cert, certificates.other_key};
    struct rpc_tls distrustful = {certificates.other_ca, certificates.cert, certificates.key};
    start_tls(&f, &tls);
    assert_no_connection(&f, &stranger);
    assert_no_connection(&f, &distrustful);

    char name[FIXTURE_TEXT_SIZE]; /* the certificate is for localhost */
    memcpy(name, f.url, sizeof name);
    (void)snprintf(f.url, sizeof f.url, "tls+tcp://127.0.0.1:%u", rpc_server_port(f.server, 0));
    assert_no_connection(&f, &tls);
    (void)snprintf(f.url, sizeof f.url, "tcp://127.0.0.1:%u", rpc_server_port(f.server, 0));
    assert_no_connection(&f, NULL);

    memcpy(f.url, name, sizeof name);
    fixture_connect(&f, &tls);
    assert_echoes(&f);
    fixture_stop(&f);
}

static void a_certificate_that_cannot_be_used_is_named(void **state)
{
    (void)state;
    const char *url = "tls+tcp://127.0.0.1:0", *no_host = "tcp://nowhere";
    const struct {
        struct rpc_tls tls;
        const char *named;
    } cases[] = {
        {{"/nowhere/ca.pem", certificates.cert, certificates.key}, "/nowhere/ca.pem"},
        {{certificates.ca, "/nowhere/cert.pem", certificates.key}, "/nowhere/cert.pem"},
        {{certificates.ca, certificates.cert, NULL}, "(no file)"},
        {{certificates.ca, certificates.cert, certificates.other_key}, certificates.cert},
        {{certificates.key, certificates.cert, certificates.key}, certificates.key},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rpc_client *c = NULL;
        struct err_detail detail = {""};
        struct rpc_client_options o = {
            .name = "test", .urls = &url, .url_count = 1, .tls = &cases[i].tls};
        assert_err(rpc_client_new(&o, &c, &detail), ERR_INVALID);
        assert_non_null(strstr(detail.text, cases[i].named));
    }
    struct rpc_client *c = NULL;
    struct err_detail detail = {""};
    struct rpc_client_options o = {.name = "test", .urls = &url, .url_count = 1};
    assert_err(rpc_client_new(&o, &c, &detail), ERR_INVALID);
    o.urls = &no_host;
    assert_err(rpc_client_new(&o, &c, &detail), ERR_INVALID);
}

static void options_that_cannot_work_are_refused(void **state)
{
    (void)state;
    const char *ipc = "ipc:///tmp/x", *tls = "tls+tcp://127.0.0.1:0", *ok = "inproc://x";
    const struct rpc_server_options cases[] = {
        {.name = "", .listen = &ok, .listen_count = 1},
        {.name = "x", .listen = &ok, .listen_count = 0},
        {.name = "x", .listen = &ipc, .listen_count = 1},
        {.name = "x", .listen = &tls, .listen_count = 1},
        {.name = "x", .listen = &ok, .listen_count = 1, .inflight_max = RPC_INFLIGHT_MAX + 1},
        {.name = "x", .listen = &ok, .listen_count = 1, .workers = 257},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rpc_server *s = NULL;
        struct err_detail detail = {""};
        assert_err(rpc_server_new(&cases[i], &s, &detail), ERR_INVALID);
        assert_null(s);
        assert_true(detail.text[0]);
    }
}

static void an_address_that_is_taken_is_named(void **state)
{
    (void)state;
    struct fixture f;
    struct rpc_server *s;
    struct err_detail detail = {""};
    fixture_init(&f, NULL);
    fixture_start(&f, "tcp://127.0.0.1:0", NULL);
    const char *url = f.url;
    struct rpc_server_options o = {.name = "second", .listen = &url, .listen_count = 1};
    assert_ok(rpc_server_new(&o, &s, &detail));
    assert_err(rpc_server_start(s, &detail), ERR_UNAVAILABLE);
    assert_non_null(strstr(detail.text, url));
    rpc_server_free(s);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_stands_for_its_addresses),
        cmocka_unit_test(a_server_listens_on_several_addresses),
        cmocka_unit_test(a_client_may_start_before_its_server),
        cmocka_unit_test(without_a_server_a_call_fails_before_its_deadline),
        cmocka_unit_test(echo_comes_back_over_mutual_tls),
        cmocka_unit_test(strangers_do_not_get_in_and_do_not_disturb),
        cmocka_unit_test(a_certificate_that_cannot_be_used_is_named),
        cmocka_unit_test(options_that_cannot_work_are_refused),
        cmocka_unit_test(an_address_that_is_taken_is_named),
        cmocka_unit_test(echo_comes_back_in_process),
        cmocka_unit_test(echo_comes_back_over_tcp),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
