/* A call's life: its deadline, its trace, who gives it up, who ends it. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/trace.h"
#include "support/rpc/fixture.h"
#include "support/rpc/peer.h"

#include <nng/protocol/reqrep0/req.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 4000

/* ---- two hops: the front's handler calls the back and passes on what it was called with ---- */

struct seen {
    int64_t deadline_ms;
    char traceparent[TRACE_TEXT_SIZE];
    char user_id[40];
};

struct hops {
    struct fixture front, back;
    struct seen front_saw, back_saw;
    struct gate gate;
    _Atomic bool cancelled;
};

static void note(struct seen *seen, const struct rpc_call *call)
{
    seen->deadline_ms = rpc_call_deadline_ms(call);
    (void)snprintf(seen->traceparent, sizeof seen->traceparent, "%s", rpc_call_traceparent(call));
    (void)snprintf(seen->user_id, sizeof seen->user_id, "%s", rpc_call_principal(call)->user_id);
}

static void back_who_am_i(Users__Users_Service *self, const Users__WhoAmIRequest *request,
                          Users__User_Closure reply, void *call)
{
    (void)self;
    (void)request;
    struct hops *h = rpc_call_context(call);
    note(&h->back_saw, call);
    Users__User user = USERS__USER__INIT;
    user.username = "from the back";
    reply(&user, call);
}

static void front_who_am_i(Users__Users_Service *self, const Users__WhoAmIRequest *request,
                           Users__User_Closure reply, void *call)
{
    (void)self;
    struct hops *h = rpc_call_context(call);
    struct rpc_options options = rpc_options_from(call);
    struct rpc_status status;
    ProtobufCMessage *answer;
    note(&h->front_saw, call);
    if (rpc_call(h->back.client, USER_METHOD, &request->base, &options, &answer, &status)) {
        rpc_fail_status(call, &status);
        return;
    }
    reply((Users__User *)answer, call);
    protobuf_c_message_free_unpacked(answer, NULL);
}

/* Waits until nobody wants its answer any more. */
static void wait_for_cancel(Users__Users_Service *self, const Users__JwksRequest *request,
                            Users__JwksResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    (void)reply;
    struct hops *h = rpc_call_context(call);
    gate_open(&h->gate); /* it runs */
    while (!rpc_call_cancelled(call))
        (void)sched_yield();
    h->cancelled = clock_mono_ms() < rpc_call_deadline_ms(call);
    rpc_fail(call, ERR_CANCELLED, "as asked");
}

static int set_up(void **state)
{
    struct hops *h = calloc(1, sizeof *h);
    assert_non_null(h);
    gate_init(&h->gate);
    fixture_init(&h->back, h);
    h->back.users.who_am_i = back_who_am_i;
    h->back.users.jwks = wait_for_cancel;
    fixture_start(&h->back, "inproc://back", NULL);
    fixture_connect(&h->back, NULL);
    fixture_init(&h->front, h);
    h->front.users.who_am_i = front_who_am_i;
    h->front.users.jwks = wait_for_cancel;
    fixture_start(&h->front, "tcp://127.0.0.1:0", NULL);
    fixture_connect(&h->front, NULL);
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    struct hops *h = *state;
    fixture_stop(&h->front);
    fixture_stop(&h->back);
    gate_fini(&h->gate);
    free(h);
    return 0;
}

static void deadline_caller_and_trace_travel_over_two_hops(void **state)
{
    struct hops *h = *state;
    struct principal ann = {.role = ROLE_USER, .user_id = "ann", .permissions = UINT64_MAX};
    char traceparent[TRACE_TEXT_SIZE];
    struct trace trace = trace_new(), front, back;
    trace_format(trace, traceparent);
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + DEADLINE_MS,
                                  .principal = &ann,
                                  .traceparent = traceparent};
    Users__WhoAmIRequest request = USERS__WHO_AM_IREQUEST__INIT;
    ProtobufCMessage *reply;
    assert_ok(rpc_call(h->front.client, USER_METHOD, &request.base, &options, &reply, NULL));
    assert_string_equal(((Users__User *)reply)->username, "from the back");
    protobuf_c_message_free_unpacked(reply, NULL);

    assert_string_equal(h->front_saw.user_id, "ann");
    assert_string_equal(h->back_saw.user_id, "ann");

    /* What is left travels, so each hop gains its own way's time; without it there were 5 s from
     * now. */
    assert_in_range(h->front_saw.deadline_ms, options.deadline_ms - 1, options.deadline_ms + 900);
    assert_in_range(h->back_saw.deadline_ms, options.deadline_ms - 2, options.deadline_ms + 900);

    assert_true(trace_parse(h->front_saw.traceparent, &front));
    assert_true(trace_parse(h->back_saw.traceparent, &back));
    assert_true(front.trace_hi == trace.trace_hi && front.trace_lo == trace.trace_lo);
    assert_true(back.trace_hi == trace.trace_hi && back.trace_lo == trace.trace_lo);
    assert_true(front.span != trace.span && back.span != front.span && back.span != trace.span);
}

static void without_a_trace_a_new_one_begins(void **state)
{
    struct hops *h = *state;
    struct principal ann = {.role = ROLE_USER, .user_id = "ann", .permissions = UINT64_MAX};
    const char *wrong[] = {NULL, "", "nonsense", "00-00000000000000000000000000000000-1-01"};
    Users__WhoAmIRequest request = USERS__WHO_AM_IREQUEST__INIT;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rpc_options options = {.principal = &ann, .traceparent = wrong[i]};
        struct trace trace;
        ProtobufCMessage *reply;
        assert_ok(rpc_call(h->back.client, USER_METHOD, &request.base, &options, &reply, NULL));
        protobuf_c_message_free_unpacked(reply, NULL);
        assert_true(trace_parse(h->back_saw.traceparent, &trace));
    }
}

/* ---- giving up ---- */

static void a_call_that_times_out_is_cancelled_at_the_server(void **state)
{
    (void)state;
    struct peer silent;
    struct fixture f;
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + 1000};
    fixture_init(&f, NULL);
    peer_start(&silent, PEER_IS_SILENT);
    (void)snprintf(f.url, sizeof f.url, "%s", silent.url);
    fixture_connect(&f, NULL);
    assert_err(fixture_call_echo(f.client, "x", &options, NULL), ERR_TIMEOUT);
    assert_true(clock_mono_ms() >= options.deadline_ms);
    peer_await(&silent, 2);
    assert_string_equal(silent.requests[0].method, GUEST_METHOD);
    assert_string_equal(silent.requests[1].method, "rpc.Control/Cancel");
    fixture_stop(&f);
    peer_stop(&silent);
}

static void a_deadline_that_has_passed_is_not_even_sent(void **state)
{
    struct hops *h = *state;
    struct rpc_options options = {.deadline_ms = clock_mono_ms() - 1};
    assert_err(fixture_call_echo(h->front.client, "x", &options, NULL), ERR_TIMEOUT);
}

/* Sends a request by bare nng, so that the test can cancel it, or vanish. */
static nng_socket send_raw(const char *url, uint64_t id)
{
    nng_socket socket;
    uint8_t data[256];
    Rpc__Request request = raw_request(IDEMPOTENT_METHOD);
    request.timeout_ms = 30000;
    request.call_id_hi = 5;
    request.call_id_lo = id;
    assert_int_equal(nng_req0_open(&socket), 0);
    assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
    size_t size = rpc__request__pack(&request, data);
    assert_int_equal(nng_send(socket, data, size, 0), 0);
    return socket;
}

static bool cancel(const char *url, uint64_t hi, uint64_t lo)
{
    uint8_t payload[64];
    Rpc__CancelRequest cancel = RPC__CANCEL_REQUEST__INIT;
    Rpc__Request request = raw_request("rpc.Control/Cancel");
    cancel.call_id_hi = hi;
    cancel.call_id_lo = lo;
    request.payload = (ProtobufCBinaryData){rpc__cancel_request__pack(&cancel, payload), payload};
    Rpc__Response *response = raw_call(url, &request);
    assert_non_null(response);
    Rpc__CancelResponse *found =
        rpc__cancel_response__unpack(NULL, response->payload.len, response->payload.data);
    assert_non_null(found);
    bool ret = found->found;
    rpc__cancel_response__free_unpacked(found, NULL);
    rpc__response__free_unpacked(response, NULL);
    return ret;
}

static void a_running_call_can_be_cancelled_by_its_id(void **state)
{
    struct hops *h = *state;
    nng_socket socket = send_raw(h->front.url, 77);
    gate_pass(&h->gate);
    assert_false(cancel(h->front.url, 5, 78));
    assert_false(cancel(h->front.url, 6, 77));
    assert_false(cancel(h->front.url, 0, 0));
    assert_true(cancel(h->front.url, 5, 77));
    void *reply;
    size_t size;
    assert_int_equal(nng_recv(socket, &reply, &size, NNG_FLAG_ALLOC), 0);
    Rpc__Response *response = rpc__response__unpack(NULL, size, reply);
    assert_non_null(response);
    assert_int_equal(response->code, GRPC_CANCELLED);
    rpc__response__free_unpacked(response, NULL);
    nng_free(reply, size);
    assert_int_equal(nng_close(socket), 0);
    assert_true(h->cancelled);
    assert_false(cancel(h->front.url, 5, 77)); /* it is over */
}

static void the_call_of_a_peer_that_vanished_is_cancelled(void **state)
{
    struct hops *h = *state;
    nng_socket socket = send_raw(h->front.url, 77);
    gate_pass(&h->gate);
    assert_int_equal(nng_close(socket), 0);
    rpc_client_free(h->front.client);
    h->front.client = NULL;
    assert_ok(rpc_server_drain(h->front.server, 20000));
    assert_true(h->cancelled);
}

static void freeing_a_client_cancels_its_calls(void **state)
{
    struct hops *h = *state;
    enum { CALLS = 20 };
    struct result results[CALLS];
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    for (size_t i = 0; i < CALLS; i++) {
        result_init(&results[i]);
        rpc_call_async(h->front.client, IDEMPOTENT_METHOD, &request.base, NULL, result_done,
                       &results[i]);
    }
    gate_pass(&h->gate);
    rpc_client_free(h->front.client);
    h->front.client = NULL;
    for (size_t i = 0; i < CALLS; i++) {
        assert_err(result_await(&results[i]), ERR_CANCELLED);
        result_fini(&results[i]);
    }
}

static void freeing_a_server_cancels_its_calls(void **state)
{
    struct hops *h = *state;
    struct result result;
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    result_init(&result);
    rpc_call_async(h->front.client, IDEMPOTENT_METHOD, &request.base, NULL, result_done, &result);
    gate_pass(&h->gate);
    rpc_server_free(h->front.server);
    h->front.server = NULL;
    assert_err(result_await(&result), ERR_CANCELLED);
    result_fini(&result);
}

/* ---- a handler that answers later, from another thread ---- */

struct later {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rpc_call *call;
    Users__Tokens_Closure reply;
    char *text;
    bool stop;
};

static void defer(Users__Users_Service *self, const Users__RefreshRequest *request,
                  Users__Tokens_Closure reply, void *call)
{
    (void)self;
    struct later *l = rpc_call_context(call);
    pthread_mutex_lock(&l->lock);
    while (l->call)
        pthread_cond_wait(&l->changed, &l->lock);
    l->call = call;
    l->reply = reply;
    l->text = request->refresh_token; /* stays valid until the call ends */
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static void *answer_later(void *arg)
{
    struct later *l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->call && !l->stop)
            pthread_cond_wait(&l->changed, &l->lock);
        if (!l->call) break;
        Users__Tokens tokens = USERS__TOKENS__INIT;
        tokens.access_token = l->text;
        l->reply(&tokens, l->call);
        l->call = NULL;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void *call_often(void *client)
{
    char text[32];
    for (int i = 0; i < 50; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        assert_ok(fixture_call_echo(client, text, NULL, NULL));
    }
    return NULL;
}

static void a_handler_may_answer_later_from_another_thread(void **state)
{
    (void)state;
    enum { CALLERS = 4 };
    struct fixture f;
    struct later later = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pthread_t answerer, callers[CALLERS];
    fixture_init(&f, &later);
    f.users.refresh = defer;
    fixture_start(&f, "inproc://later", NULL);
    fixture_connect(&f, NULL);
    assert_int_equal(pthread_create(&answerer, NULL, answer_later, &later), 0);
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, call_often, f.client), 0);
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(callers[i], NULL), 0);
    pthread_mutex_lock(&later.lock);
    later.stop = true;
    pthread_cond_broadcast(&later.changed);
    pthread_mutex_unlock(&later.lock);
    assert_int_equal(pthread_join(answerer, NULL), 0);
    fixture_stop(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(deadline_caller_and_trace_travel_over_two_hops),
        TEST(without_a_trace_a_new_one_begins),
        cmocka_unit_test(a_call_that_times_out_is_cancelled_at_the_server),
        TEST(a_deadline_that_has_passed_is_not_even_sent),
        TEST(a_running_call_can_be_cancelled_by_its_id),
        TEST(the_call_of_a_peer_that_vanished_is_cancelled),
        TEST(freeing_a_client_cancels_its_calls),
        TEST(freeing_a_server_cancels_its_calls),
        cmocka_unit_test(a_handler_may_answer_later_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
