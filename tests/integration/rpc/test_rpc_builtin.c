/* What every server answers besides its own services: health, reflection, ping. */
#include "support/unit.h"

#include "base/clock.h"
#include "support/rpc/fixture.h"

#include "google/protobuf/descriptor.pb-c.h"
#include "rpc.pb-c.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_init(f, NULL);
    fixture_start(f, "inproc://builtin", NULL);
    fixture_connect(f, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

/* ---- health ---- */

static enum err check_health_detail(struct fixture *f, const char *service, int *ret,
                                    char detail[static ERR_DETAIL_MAX])
{
    Rpc__HealthCheckRequest request = RPC__HEALTH_CHECK_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.service = (char *)service;
    enum err e = rpc_call(f->client, "rpc.Health/Check", &request.base, NULL, &reply, NULL);
    if (e) return e;
    *ret = (int)((Rpc__HealthCheckResponse *)reply)->status;
    (void)snprintf(detail, ERR_DETAIL_MAX, "%s", ((Rpc__HealthCheckResponse *)reply)->detail);
    protobuf_c_message_free_unpacked(reply, NULL);
    return OK;
}

static enum err check_health(struct fixture *f, const char *service, int *ret)
{
    char detail[ERR_DETAIL_MAX];
    return check_health_detail(f, service, ret, detail);
}

static void health_is_known_for_the_server_and_each_service(void **state)
{
    struct fixture *f = *state;
    int status;
    const char *services[] = {"", "users.Users", "rpc.Health", "rpc.Control", "rpc.Reflection"};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        assert_ok(check_health(f, services[i], &status));
        assert_int_equal(status, RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    }
    assert_err(check_health(f, "wallet.Wallet", &status), ERR_NOT_FOUND);
    rpc_server_set_serving(f->server, "users.Users", false);
    assert_ok(check_health(f, "users.Users", &status));
    assert_int_equal(status, RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
    assert_ok(check_health(f, "", &status));
    assert_int_equal(status, RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
}

/* Starts f->server anew, on the same URL, asking the part. */
static void start_asking(struct fixture *f, enum err (*ready)(void *, struct err_detail *),
                         void *arg)
{
    fixture_stop(f);
    fixture_init(f, NULL);
    f->ready = ready;
    f->ready_arg = arg;
    fixture_start(f, "inproc://asking", NULL);
    fixture_connect(f, NULL);
}

static enum err ready_if(void *arg, struct err_detail *detail)
{
    return atomic_load((atomic_bool *)arg) ? OK
                                           : err_set(detail, ERR_UNAVAILABLE, "the store is away");
}

static void health_of_the_server_asks_whether_its_part_is_ready(void **state)
{
    struct fixture *f = *state;
    atomic_bool ready = false;
    int status;
    char detail[ERR_DETAIL_MAX] = "";
    start_asking(f, ready_if, &ready);
    assert_ok(check_health_detail(f, "", &status, detail));
    assert_int_equal(status, RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
    assert_string_equal(detail, "the store is away");
    assert_ok(check_health(f, "users.Users", &status));
    assert_int_equal(status, RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    atomic_store(&ready, true);
    assert_ok(check_health_detail(f, "", &status, detail));
    assert_int_equal(status, RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    assert_string_equal(detail, "");
    rpc_server_set_serving(f->server, "", false);
    assert_ok(check_health(f, "", &status));
    assert_int_equal(status, RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
}

static enum err ready_behind(void *gate, struct err_detail *detail)
{
    (void)detail;
    gate_pass(gate);
    return OK;
}

/* Many more checks than nng has threads: if it asked on those, nothing else would be served. */
static void a_part_that_is_slow_to_say_whether_it_is_ready_stops_nobody(void **state)
{
    struct fixture *f = *state;
    enum { CHECKS = 64 };
    struct result checks[CHECKS];
    struct gate gate;
    Rpc__HealthCheckRequest request = RPC__HEALTH_CHECK_REQUEST__INIT;
    size_t answered = 0;
    gate_init(&gate);
    start_asking(f, ready_behind, &gate);
    for (size_t i = 0; i < CHECKS; i++) {
        result_init(&checks[i]);
        rpc_call_async(f->client, "rpc.Health/Check", &request.base, NULL, result_done, &checks[i]);
    }
    gate_await(&gate, 1);
    assert_ok(fixture_call_echo(f->client, "still served", NULL, NULL));
    int status;
    assert_ok(check_health(f, "users.Users", &status));
    gate_open(&gate);
    for (size_t i = 0; i < CHECKS; i++) {
        enum err e = result_await(&checks[i]);
        if (e) assert_err(e, ERR_EXHAUSTED); /* beyond RPC_CHECKS_MAX at once */
        answered += e == OK;
        result_fini(&checks[i]);
    }
    assert_true(answered > 0);
    fixture_stop(f); /* nobody asks any more: the gate may go */
    gate_fini(&gate);
}

static void start_watch(struct fixture *f, const char *service, int64_t deadline_ms,
                        struct result *r)
{
    Rpc__HealthWatchRequest request = RPC__HEALTH_WATCH_REQUEST__INIT;
    struct rpc_options options = {.deadline_ms = deadline_ms};
    request.service = (char *)service;
    request.last = RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    result_init(r);
    rpc_call_async(f->client, "rpc.Health/Watch", &request.base, &options, result_done, r);
}

static int await_watch(struct result *r)
{
    assert_ok(result_await(r));
    int status = (int)((Rpc__HealthCheckResponse *)r->reply)->status;
    result_fini(r);
    return status;
}

static void a_watch_answers_when_health_changes_and_holds_no_worker(void **state)
{
    struct fixture *f = *state;
    enum { WATCHES = 16 }; /* more than there are workers */
    struct result watches[WATCHES], short_watch;
    for (size_t i = 0; i < WATCHES; i++)
        start_watch(f, i % 2 ? "" : "users.Users", 0, &watches[i]);
    assert_ok(fixture_call_echo(f->client, "still served", NULL, NULL));

    start_watch(f, "", clock_mono_ms() + 1000, &short_watch);
    assert_int_equal(await_watch(&short_watch),
                     RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);

    rpc_server_set_serving(f->server, "users.Users", false);
    for (size_t i = 0; i < WATCHES; i += 2)
        assert_int_equal(await_watch(&watches[i]),
                         RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
    assert_ok(rpc_server_drain(f->server, 1000)); /* the others hear of the end */
    for (size_t i = 1; i < WATCHES; i += 2)
        assert_int_equal(await_watch(&watches[i]),
                         RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
}

static void a_watch_of_an_unknown_service_says_so(void **state)
{
    struct fixture *f = *state;
    struct result watch;
    start_watch(f, "no.Such", 0, &watch);
    assert_int_equal(await_watch(&watch),
                     RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN);
}

/* ---- reflection and ping ---- */

static void reflection_lists_services_and_their_files(void **state)
{
    struct fixture *f = *state;
    Rpc__ListServicesRequest list = RPC__LIST_SERVICES_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    assert_ok(rpc_call(f->client, "rpc.Reflection/ListServices", &list.base, NULL, &reply, NULL));
    Rpc__ListServicesResponse *services = (Rpc__ListServicesResponse *)reply;
    assert_int_equal(services->n_services, 4);
    assert_string_equal(services->services[3], "users.Users");
    protobuf_c_message_free_unpacked(reply, NULL);

    const char *symbols[] = {"users.Users", "users.User", "users.Users.Login", "users.Role"};
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        Rpc__FileRequest request = RPC__FILE_REQUEST__INIT;
        request.symbol = (char *)symbols[i];
        assert_ok(rpc_call(f->client, "rpc.Reflection/FileContainingSymbol", &request.base, NULL,
                           &reply, NULL));
        Rpc__FileResponse *files = (Rpc__FileResponse *)reply;
        assert_true(files->n_files >= 3); /* imports come first */
        ProtobufCBinaryData last = files->files[files->n_files - 1];
        Google__Protobuf__FileDescriptorProto *file =
            google__protobuf__file_descriptor_proto__unpack(NULL, last.len, last.data);
        assert_non_null(file);
        assert_string_equal(file->name, "users.proto");
        google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    Rpc__FileRequest request = RPC__FILE_REQUEST__INIT;
    request.symbol = "users.Nothing";
    assert_err(rpc_call(f->client, "rpc.Reflection/FileContainingSymbol", &request.base, NULL,
                        &reply, NULL),
               ERR_NOT_FOUND);
}

static enum err ping(struct rpc_client *c, size_t size, struct rpc_status *status)
{
    Rpc__PingRequest request = RPC__PING_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    uint8_t *data = calloc(1, size + 1);
    assert_non_null(data);
    data[size / 2] = 7;
    request.payload = (ProtobufCBinaryData){size, data};
    enum err e = rpc_call(c, "rpc.Control/Ping", &request.base, NULL, &reply, status);
    if (!e) {
        assert_int_equal(((Rpc__PingResponse *)reply)->payload.len, size);
        assert_memory_equal(((Rpc__PingResponse *)reply)->payload.data, data, size);
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    free(data);
    return e;
}

static void ping_echoes_up_to_the_size_of_a_message(void **state)
{
    struct fixture *f = *state;
    struct rpc_status status;
    const size_t sizes[] = {0, 1, 127, 1024, 65536, RPC_MESSAGE_SIZE_MAX - 10000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_ok(ping(f->client, sizes[i], &status));
    assert_err(ping(f->client, RPC_MESSAGE_SIZE_MAX - 4096, &status), ERR_INTERNAL);
    assert_string_equal(status.message, "the reply is too large");
    assert_err(ping(f->client, RPC_MESSAGE_SIZE_MAX, &status), ERR_INVALID);
    assert_string_equal(status.message, "the request is too large");
    assert_ok(ping(f->client, 1, &status));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(health_is_known_for_the_server_and_each_service),
        TEST(health_of_the_server_asks_whether_its_part_is_ready),
        TEST(a_part_that_is_slow_to_say_whether_it_is_ready_stops_nobody),
        TEST(a_watch_answers_when_health_changes_and_holds_no_worker),
        TEST(a_watch_of_an_unknown_service_says_so),
        TEST(reflection_lists_services_and_their_files),
        TEST(ping_echoes_up_to_the_size_of_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
