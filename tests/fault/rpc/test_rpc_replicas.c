/* Several replicas: the slow one gets less, the broken one is left alone, the dead one is not
 * missed. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "support/rpc/fixture.h"
#include "support/rpc/peer.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLICAS 3

struct node {
    struct fixture f;
    _Atomic unsigned calls;
    _Atomic bool stuck;
    struct gate gate;
};

static void jwks(Users__Users_Service *self, const Users__JwksRequest *request,
                 Users__JwksResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    struct node *n = rpc_call_context(call);
    n->calls++;
    if (n->stuck) gate_pass(&n->gate);
    Users__JwksResponse response = USERS__JWKS_RESPONSE__INIT;
    reply(&response, call);
}

static void start_nodes(struct node nodes[static REPLICAS])
{
    for (size_t i = 0; i < REPLICAS; i++) {
        memset(&nodes[i], 0, sizeof nodes[i]);
        gate_init(&nodes[i].gate);
        fixture_init(&nodes[i].f, &nodes[i]);
        nodes[i].f.users.jwks = jwks;
        fixture_start(&nodes[i].f, "tcp://127.0.0.1:0", NULL);
    }
}

static void stop_nodes(struct node nodes[static REPLICAS])
{
    for (size_t i = 0; i < REPLICAS; i++) {
        fixture_stop(&nodes[i].f);
        gate_fini(&nodes[i].gate);
    }
}

static struct rpc_client *connect_to(const char *const *urls, size_t count)
{
    struct rpc_client *c;
    struct err_detail detail;
    struct rpc_client_options o = {.name = "test", .urls = urls, .url_count = count};
    assert_ok(rpc_client_new(&o, &c, &detail));
    return c;
}

static enum err call_once(struct rpc_client *c)
{
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(c, IDEMPOTENT_METHOD, &request.base, NULL, &reply, NULL);
    if (!e) protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

/* Calls until every node has been called: all are connected. */
static void reach_all(struct rpc_client *c, struct node nodes[static REPLICAS])
{
    for (size_t i = 0; i < REPLICAS;) {
        assert_ok(call_once(c));
        if (nodes[i].calls) i++;
    }
}

static void calls_are_spread_over_all_replicas(void **state)
{
    (void)state;
    struct node nodes[REPLICAS];
    start_nodes(nodes);
    const char *urls[] = {nodes[0].f.url, nodes[1].f.url, nodes[2].f.url};
    struct rpc_client *c = connect_to(urls, REPLICAS);
    reach_all(c, nodes);
    assert_true(rpc_client_ready(c));
    rpc_client_free(c);
    stop_nodes(nodes);
}

/* Until it has ended, or seems to be stuck. */
static void await_a_moment(struct result *r)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_nsec += 20000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->lock);
    while (!r->done && pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&r->lock);
}

/* By chance it would get a third. What it gets depends on how slow the others have been. */
static void a_stuck_replica_gets_fewer_calls(void **state)
{
    (void)state;
    enum { CALLS = 200 };
    const struct rpc_options options = {.deadline_ms = clock_mono_ms() + RPC_TIMEOUT_MAX_MS};
    struct node nodes[REPLICAS];
    struct result results[CALLS];
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    start_nodes(nodes);
    const char *urls[] = {nodes[0].f.url, nodes[1].f.url, nodes[2].f.url};
    struct rpc_client *c = connect_to(urls, REPLICAS);
    reach_all(c, nodes);
    unsigned before = nodes[0].calls;
    nodes[0].stuck = true;
    for (size_t i = 0; i < CALLS; i++) {
        result_init(&results[i]);
        rpc_call_async(c, IDEMPOTENT_METHOD, &request.base, &options, result_done, &results[i]);
        await_a_moment(&results[i]);
    }
    gate_open(&nodes[0].gate);
    for (size_t i = 0; i < CALLS; i++) {
        assert_ok(result_await(&results[i]));
        result_fini(&results[i]);
    }
    assert_true(nodes[0].calls - before < CALLS / 4);
    rpc_client_free(c);
    stop_nodes(nodes);
}

static void the_death_of_a_replica_costs_no_idempotent_call(void **state)
{
    (void)state;
    struct node nodes[REPLICAS];
    start_nodes(nodes);
    const char *urls[] = {nodes[0].f.url, nodes[1].f.url, nodes[2].f.url};
    struct rpc_client *c = connect_to(urls, REPLICAS);
    reach_all(c, nodes);
    for (int i = 0; i < 300; i++) {
        if (i == 100) {
            rpc_server_free(nodes[0].f.server);
            nodes[0].f.server = NULL;
        }
        assert_ok(call_once(c));
    }
    assert_true(rpc_client_ready(c));
    rpc_client_free(c);
    stop_nodes(nodes);
}

static void a_draining_replica_is_left_without_a_failed_call(void **state)
{
    (void)state;
    struct node nodes[REPLICAS];
    start_nodes(nodes);
    const char *urls[] = {nodes[0].f.url, nodes[1].f.url, nodes[2].f.url};
    struct rpc_client *c = connect_to(urls, REPLICAS);
    reach_all(c, nodes);
    assert_ok(rpc_server_drain(nodes[1].f.server, 1000));
    unsigned before = nodes[1].calls;
    for (int i = 0; i < 100; i++)
        assert_ok(fixture_call_echo(c, "not idempotent, but refused ones are safe", NULL, NULL));
    assert_int_equal(nodes[1].calls, before);
    rpc_client_free(c);
    stop_nodes(nodes);
}

static int64_t breaker_of(const char *url)
{
    char labels[128];
    (void)snprintf(labels, sizeof labels, "replica=\"%s\"", url);
    return gauge_value(metrics_gauge("tradepost_rpc_client_breaker_open", "", labels));
}

/* Not idempotent: each call is one attempt at one replica. */
static enum err call_plainly(struct rpc_client *c)
{
    Users__RefreshRequest request = USERS__REFRESH_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(c, GUEST_METHOD, &request.base, NULL, &reply, NULL);
    if (!e) protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

static void the_breaker_opens_after_failures_and_closes_after_a_success(void **state)
{
    (void)state;
    struct peer peers[2];
    peer_start(&peers[0], PEER_FAILS);
    peer_start(&peers[1], PEER_FAILS);
    const char *urls[] = {peers[0].url, peers[1].url};
    struct rpc_client *c = connect_to(urls, 2);
    unsigned failures = 0;
    for (; !breaker_of(urls[0]) && !breaker_of(urls[1]); failures++)
        assert_err(call_plainly(c), ERR_UNAVAILABLE);
    assert_in_range(failures, 5, 5 + 4); /* five of one of them */
    size_t open = breaker_of(urls[1]) ? 1 : 0;
    assert_true(peer_count(&peers[open]) == 5);

    /* Healed: after its isolation one call tries it, and it is back. */
    peer_set(&peers[0], PEER_ECHOES);
    peer_set(&peers[1], PEER_ECHOES);
    while (breaker_of(urls[open]))
        assert_ok(call_plainly(c));
    assert_int_equal(peer_count(&peers[open]), 6);
    rpc_client_free(c);
    peer_stop(&peers[0]);
    peer_stop(&peers[1]);
}

static void an_ejected_replica_that_is_still_ill_is_left_alone_for_longer(void **state)
{
    (void)state;
    struct peer peers[2];
    peer_start(&peers[0], PEER_ECHOES);
    peer_start(&peers[1], PEER_ECHOES);
    const char *urls[] = {peers[0].url, peers[1].url};
    struct rpc_client *c = connect_to(urls, 2);
    while (!peer_count(&peers[0]) || !peer_count(&peers[1]))
        assert_ok(call_plainly(c)); /* one alone would not be left alone */
    peer_set(&peers[0], PEER_FAILS);
    peer_set(&peers[1], PEER_FAILS);
    /* Before the call that ejected it: the gauge may tell only after one more. */
    int64_t from_ms = clock_mono_ms(), last_ms = from_ms;
    while (!breaker_of(urls[0]) && !breaker_of(urls[1])) {
        from_ms = last_ms;
        last_ms = clock_mono_ms();
        assert_err(call_plainly(c), ERR_UNAVAILABLE);
    }
    size_t ill = breaker_of(urls[1]) ? 1 : 0;
    peer_set(&peers[1 - ill], PEER_ECHOES);
    for (int64_t isolation_ms = 100; isolation_ms <= 200;) {
        unsigned before = peer_count(&peers[ill]);
        int64_t before_ms = clock_mono_ms();
        (void)call_plainly(c);
        if (peer_count(&peers[ill]) == before) continue;
        assert_true(clock_mono_ms() - from_ms >= isolation_ms); /* the call tried it */
        from_ms = before_ms;
        isolation_ms *= 2;
    }
    assert_int_equal(breaker_of(urls[ill]), 1);
    rpc_client_free(c);
    peer_stop(&peers[0]);
    peer_stop(&peers[1]);
}

static void at_most_half_of_the_replicas_are_ejected(void **state)
{
    (void)state;
    struct peer peers[2];
    peer_start(&peers[0], PEER_FAILS);
    peer_start(&peers[1], PEER_FAILS);
    const char *urls[] = {peers[0].url, peers[1].url};
    struct rpc_client *c = connect_to(urls, 2);
    for (int i = 0; i < 40; i++) {
        assert_err(call_plainly(c), ERR_UNAVAILABLE);
        assert_true(breaker_of(urls[0]) + breaker_of(urls[1]) <= 1);
    }
    assert_int_equal(breaker_of(urls[0]) + breaker_of(urls[1]), 1);
    assert_true(rpc_client_ready(c));
    rpc_client_free(c);

    c = connect_to(urls, 1); /* one alone is never left alone */
    for (int i = 0; i < 10; i++)
        assert_err(call_plainly(c), ERR_UNAVAILABLE);
    assert_true(rpc_client_ready(c));
    rpc_client_free(c);
    peer_stop(&peers[0]);
    peer_stop(&peers[1]);
}

static void calls_that_wait_to_be_sent_do_not_wait_for_a_dead_server(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_start(&f, "tcp://127.0.0.1:0", NULL);
    fixture_connect(&f, NULL);
    assert_ok(fixture_call_echo(f.client, "x", NULL, NULL));
    rpc_server_free(f.server);
    f.server = NULL;
    int64_t before_ms = clock_mono_ms();
    assert_err(fixture_call_echo(f.client, "x", NULL, NULL), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - before_ms < RPC_TIMEOUT_DEFAULT_MS / 2);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_spread_over_all_replicas),
        cmocka_unit_test(a_stuck_replica_gets_fewer_calls),
        cmocka_unit_test(the_death_of_a_replica_costs_no_idempotent_call),
        cmocka_unit_test(a_draining_replica_is_left_without_a_failed_call),
        cmocka_unit_test(the_breaker_opens_after_failures_and_closes_after_a_success),
        cmocka_unit_test(an_ejected_replica_that_is_still_ill_is_left_alone_for_longer),
        cmocka_unit_test(at_most_half_of_the_replicas_are_ejected),
        cmocka_unit_test(calls_that_wait_to_be_sent_do_not_wait_for_a_dead_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
