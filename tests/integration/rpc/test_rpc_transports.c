/* The same calls over every transport: a part cannot tell which one it runs on. */
#include "support/unit.h"

#include "support/rpc/fixture.h"

#include <stdlib.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_comes_back_in_process),
        cmocka_unit_test(echo_comes_back_over_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
