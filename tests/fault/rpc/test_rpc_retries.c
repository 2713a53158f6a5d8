/* When a call fails: what is tried again, how often, and what never is. */
#include "support/unit.h"

#include "base/clock.h"
#include "support/rpc/fixture.h"
#include "support/rpc/peer.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    struct peer peer;
    struct fixture f; /* only its client */
};

static int set_up(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    peer_start(&p->peer, PEER_ECHOES);
    fixture_init(&p->f, NULL);
    memcpy(p->f.url, p->peer.url, sizeof p->peer.url);
    fixture_connect(&p->f, NULL);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;
    fixture_stop(&p->f);
    peer_stop(&p->peer);
    free(p);
    return 0;
}

static enum err call(struct pair *p, const char *method, const char *key)
{
    Users__JwksRequest jwks = USERS__JWKS_REQUEST__INIT;
    Users__RefreshRequest refresh = USERS__REFRESH_REQUEST__INIT;
    struct rpc_options options = {.idempotency_key = key};
    ProtobufCMessage *reply = NULL;
    bool idempotent = strcmp(method, IDEMPOTENT_METHOD) == 0;
    enum err e = rpc_call(p->f.client, method, idempotent ? &jwks.base : &refresh.base, &options,
                          &reply, NULL);
    if (!e) protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

static void only_what_may_be_repeated_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *what, *method, *key;
        enum peer_answer answer;
        enum err err;
        unsigned attempts;
    } cases[] = {
        {"a lost call", GUEST_METHOD, NULL, PEER_VANISHES, ERR_UNAVAILABLE, 1},
        {"a lost idempotent call", IDEMPOTENT_METHOD, NULL, PEER_VANISHES, ERR_UNAVAILABLE, 4},
        {"a lost call with a key", GUEST_METHOD, "key-1", PEER_VANISHES, ERR_UNAVAILABLE, 4},
        {"a failed call", GUEST_METHOD, NULL, PEER_FAILS, ERR_UNAVAILABLE, 1},
        {"a failed idempotent call", IDEMPOTENT_METHOD, NULL, PEER_FAILS, ERR_UNAVAILABLE, 4},
        {"a refused call", GUEST_METHOD, NULL, PEER_REFUSES, ERR_UNAVAILABLE, 4},
        {"a garbled reply", IDEMPOTENT_METHOD, NULL, PEER_GARBLES, ERR_INTERNAL, 1},
        {"a full server's rejection", GUEST_METHOD, NULL, PEER_IS_FULL, ERR_EXHAUSTED, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *p;
        assert_int_equal(set_up(&p), 0);
        struct pair *pair = p;
        peer_set(&pair->peer, cases[i].answer);
        if (call(pair, cases[i].method, cases[i].key) != cases[i].err)
            fail_msg("%s ends otherwise", cases[i].what);
        unsigned least = cases[i].attempts;
        if (cases[i].answer == PEER_VANISHES && least > 1)
            least = 2; /* some found nobody connected */
        if (peer_count(&pair->peer) < least || peer_count(&pair->peer) > cases[i].attempts)
            fail_msg("%s: %u attempts", cases[i].what, peer_count(&pair->peer));
        assert_int_equal(pair->peer.requests[0].attempt, 0);
        /* One that found nobody connected counts too, so the second to arrive may be a later one.
         */
        if (least > 1)
            assert_in_range(pair->peer.requests[1].attempt, 1,
                            least < cases[i].attempts ? cases[i].attempts - 1 : 1);
        assert_int_equal(pair->peer.requests[0].has_key, cases[i].key != NULL);
        assert_int_equal(tear_down(&p), 0);
    }
}

static void a_server_says_how_long_to_wait(void **state)
{
    struct pair *p = *state;
    static const struct {
        const char *pushback_ms;
        unsigned attempts;
        int64_t least_ms;
    } cases[] = {
        {"200", 4, 600},    /* three times */
        {"60000", 1, 0},    /* later than the deadline: not at all */
        {"nonsense", 4, 0}, /* the client's own backoff */
    };
    peer_set(&p->peer, PEER_IS_FULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned before = peer_count(&p->peer);
        int64_t before_ms = clock_mono_ms();
        p->peer.pushback_ms = cases[i].pushback_ms;
        assert_err(call(p, GUEST_METHOD, NULL), ERR_EXHAUSTED);
        assert_int_equal(peer_count(&p->peer) - before, cases[i].attempts);
        assert_true(clock_mono_ms() - before_ms >= cases[i].least_ms);
    }
}

static void retries_have_a_budget_that_successes_refill(void **state)
{
    struct pair *p = *state;
    peer_set(&p->peer, PEER_FAILS);
    for (int i = 0; i < 4; i++)
        assert_err(call(p, IDEMPOTENT_METHOD, NULL), ERR_UNAVAILABLE);
    assert_int_equal(peer_count(&p->peer), 4 + 10); /* ten retries, not twelve */
    assert_err(call(p, IDEMPOTENT_METHOD, NULL), ERR_UNAVAILABLE);
    assert_int_equal(peer_count(&p->peer), 15); /* none left */

    peer_set(&p->peer, PEER_ECHOES);
    for (int i = 0; i < 10; i++)
        assert_ok(call(p, IDEMPOTENT_METHOD, NULL));
    peer_set(&p->peer, PEER_FAILS);
    assert_err(call(p, IDEMPOTENT_METHOD, NULL), ERR_UNAVAILABLE);
    assert_int_equal(peer_count(&p->peer), 25 + 2); /* ten successes: one retry */
}

static void no_retry_goes_past_the_deadline(void **state)
{
    struct pair *p = *state;
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    ProtobufCMessage *reply;
    assert_ok(call(p, IDEMPOTENT_METHOD, NULL)); /* connected */
    peer_set(&p->peer, PEER_FAILS);
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + 20};
    enum err e = rpc_call(p->f.client, IDEMPOTENT_METHOD, &request.base, &options, &reply, NULL);
    assert_true(e == ERR_UNAVAILABLE || e == ERR_TIMEOUT);
    assert_true(peer_count(&p->peer) <= 2); /* the first backoff is 40 ms at least */
}

static void a_retry_that_succeeds_is_a_success(void **state)
{
    struct pair *p = *state;
    struct result result;
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    peer_set(&p->peer, PEER_FAILS);
    result_init(&result);
    rpc_call_async(p->f.client, IDEMPOTENT_METHOD, &request.base, NULL, result_done, &result);
    peer_await(&p->peer, 1);
    peer_set(&p->peer, PEER_ECHOES);
    assert_ok(result_await(&result));
    result_fini(&result);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_may_be_repeated_is_tried_again),
        TEST(a_server_says_how_long_to_wait),
        TEST(retries_have_a_budget_that_successes_refill),
        TEST(no_retry_goes_past_the_deadline),
        TEST(a_retry_that_succeeds_is_a_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
