/* What a server checks before a handler runs, and what it answers by itself. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "proto/contract.h"
#include "support/rpc/fixture.h"
#include "support/rpc/peer.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a server whose handlers say what they were called with ---- */

struct spy {
    struct gate gate;
    enum err fail_with;
    _Atomic unsigned calls;
};

static void who_am_i(Users__Users_Service *self, const Users__WhoAmIRequest *request,
                     Users__User_Closure reply, void *call)
{
    (void)self;
    (void)request;
    Users__User user = USERS__USER__INIT;
    user.user_id = (char *)rpc_call_principal(call)->user_id;
    user.username = (char *)rpc_call_idempotency_key(call);
    reply(&user, call);
}

static void log_out(Users__Users_Service *self, const Users__LogoutRequest *request,
                    Users__LogoutResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    Users__LogoutResponse response = USERS__LOGOUT_RESPONSE__INIT;
    reply(&response, call);
}

static void get_user(Users__Users_Service *self, const Users__GetUserRequest *request,
                     Users__User_Closure reply, void *call)
{
    (void)self;
    (void)request;
    Users__User user = USERS__USER__INIT;
    reply(&user, call);
}

static void create_admin(Users__Users_Service *self, const Users__CreateAdminRequest *request,
                         Users__User_Closure reply, void *call)
{
    (void)self;
    (void)request;
    Users__User user = USERS__USER__INIT;
    reply(&user, call);
}

/* Fails as the spy says. */
static void log_in(Users__Users_Service *self, const Users__LoginRequest *request,
                   Users__Tokens_Closure reply, void *call)
{
    (void)self;
    (void)request;
    struct spy *spy = rpc_call_context(call);
    const char *key = rpc_call_metadata(call, "a-key");
    spy->calls++;
    if (spy->fail_with) {
        rpc_fail_reason(call, spy->fail_with, "a_reason", "said %s", "so");
        return;
    }
    Users__Tokens tokens = USERS__TOKENS__INIT;
    tokens.access_token = (char *)(key ? key : "no metadata");
    reply(&tokens, call);
}

/* Waits at the spy's gate. */
static void jwks(Users__Users_Service *self, const Users__JwksRequest *request,
                 Users__JwksResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    struct spy *spy = rpc_call_context(call);
    gate_pass(&spy->gate);
    Users__JwksResponse response = USERS__JWKS_RESPONSE__INIT;
    reply(&response, call);
}

struct context {
    struct fixture f;
    struct spy spy;
};

static void start(struct context *c, const struct rpc_server_options *options)
{
    memset(&c->spy, 0, sizeof c->spy);
    gate_init(&c->spy.gate);
    fixture_init(&c->f, &c->spy);
    c->f.users.who_am_i = who_am_i;
    c->f.users.logout = log_out;
    c->f.users.get_user = get_user;
    c->f.users.create_admin = create_admin;
    c->f.users.login = log_in;
    c->f.users.jwks = jwks;
    fixture_start(&c->f, "tcp://127.0.0.1:0", options);
    fixture_connect(&c->f, NULL);
}

static int set_up(void **state)
{
    struct context *c = calloc(1, sizeof *c);
    assert_non_null(c);
    start(c, NULL);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    struct context *c = *state;
    gate_open(&c->spy.gate);
    fixture_stop(&c->f);
    gate_fini(&c->spy.gate);
    free(c);
    return 0;
}

/* Calls with raw bytes as payload; the reply's code. */
static unsigned raw_code(const struct context *c, Rpc__Request *request, const ProtobufCMessage *m)
{
    uint8_t payload[1024];
    if (m) {
        request->payload.data = payload;
        request->payload.len = protobuf_c_message_pack(m, payload);
    }
    Rpc__Response *response = raw_call(c->f.url, request);
    assert_non_null(response);
    unsigned code = response->code;
    assert_true(code == 0 || response->message[0]);
    rpc__response__free_unpacked(response, NULL);
    return code;
}

/* ---- codes ---- */

static enum err log_in_once(struct context *c, struct rpc_status *status)
{
    Users__LoginRequest request = USERS__LOGIN_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.email = "ann@example.com";
    request.password = "secret";
    enum err e = rpc_call(c->f.client, "users.Users/Login", &request.base, NULL, &reply, status);
    if (!e) protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

static void every_error_travels_as_its_grpc_code(void **state)
{
    struct context *c = *state;
    struct rpc_status status;
    for (int e = 1; e < ERR_COUNT; e++) {
        c->spy.fail_with = (enum err)e;
        assert_err(log_in_once(c, &status), err_from_grpc(err_grpc((enum err)e)));
        assert_string_equal(status.message, "said so");
        assert_string_equal(status.reason, "a_reason");
        assert_int_equal(status.error_count, 0);
    }
    assert_int_equal(c->spy.calls, ERR_COUNT - 1); /* a handler's error is never retried here */
}

static void a_field_beyond_its_limit_never_reaches_the_handler(void **state)
{
    struct context *c = *state;
    struct rpc_status status;
    char password[74];
    Users__LoginRequest request = USERS__LOGIN_REQUEST__INIT;
    ProtobufCMessage *reply;
    memset(password, 'x', sizeof password);
    password[73] = 0; /* 72 is the limit */
    request.email = "ann@example.com";
    request.password = password;
    assert_err(rpc_call(c->f.client, "users.Users/Login", &request.base, NULL, &reply, &status),
               ERR_INVALID);
    assert_int_equal(status.error_count, 1);
    assert_string_equal(status.errors[0].field, "password");
    assert_true(status.errors[0].reason[0]);
    assert_int_equal(c->spy.calls, 0);
    password[72] = 0;
    assert_ok(rpc_call(c->f.client, "users.Users/Login", &request.base, NULL, &reply, &status));
    protobuf_c_message_free_unpacked(reply, NULL);
    assert_int_equal(c->spy.calls, 1);
}

static void methods_that_are_not_here_are_unimplemented(void **state)
{
    struct context *c = *state;
    const char *methods[] = {
        "users.Users/Nothing",      "users.Users/",     "users.Users", "nobody.Nothing/Never",
        "users.Users/RegisterUser", /* in the contract, but its slot is empty */
        "wallet.Wallet/ListAssets", /* in the contract, but not on this server */
        "users.Users/LoginX",       "users.Users/Logi", "/",           "\xff\xfe",
    };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        Rpc__Request request = raw_request(methods[i]);
        assert_int_equal(raw_code(c, &request, NULL), GRPC_UNIMPLEMENTED);
    }
}

static void requests_that_are_none_are_invalid(void **state)
{
    struct context *c = *state;
    Rpc__Request request = raw_request(GUEST_METHOD);
    request.version = 2;
    assert_int_equal(raw_code(c, &request, NULL), GRPC_INVALID_ARGUMENT);
    request = raw_request(GUEST_METHOD);
    request.timeout_ms = 0;
    assert_int_equal(raw_code(c, &request, NULL), GRPC_INVALID_ARGUMENT);
    request = raw_request(GUEST_METHOD);
    request.payload = (ProtobufCBinaryData){4, (uint8_t *)"\xff\xff\xff\xff"};
    assert_int_equal(raw_code(c, &request, NULL), GRPC_INVALID_ARGUMENT);
    const char *garbage[] = {"", "garbage", "\x00", "\xff"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        Rpc__Response *response = raw_call_bytes(c->f.url, garbage[i], strlen(garbage[i]));
        assert_non_null(response);
        assert_int_equal(response->code, GRPC_INVALID_ARGUMENT);
        rpc__response__free_unpacked(response, NULL);
    }
}

static void metadata_reaches_the_handler(void **state)
{
    struct context *c = *state;
    Rpc__Metadata pair = RPC__METADATA__INIT, *metadata[] = {&pair};
    Rpc__Request request = raw_request("users.Users/Login");
    Users__LoginRequest login = USERS__LOGIN_REQUEST__INIT;
    uint8_t payload[64];
    login.email = "ann@example.com";
    login.password = "x";
    pair.key = "a-key";
    pair.value = (ProtobufCBinaryData){5, (uint8_t *)"value"};
    request.metadata = metadata;
    request.n_metadata = 1;
    request.payload = (ProtobufCBinaryData){users__login_request__pack(&login, payload), payload};
    Rpc__Response *response = raw_call(c->f.url, &request);
    assert_non_null(response);
    assert_int_equal(response->code, 0);
    Users__Tokens *tokens =
        users__tokens__unpack(NULL, response->payload.len, response->payload.data);
    assert_non_null(tokens);
    assert_string_equal(tokens->access_token, "value");
    users__tokens__free_unpacked(tokens, NULL);
    rpc__response__free_unpacked(response, NULL);
}

/* The value that the handler sees of "a-key". */
static enum err call_with_metadata(struct rpc_client *c, const struct rpc_metadata *metadata,
                                   size_t count, char *ret, size_t ret_size)
{
    Users__LoginRequest login = USERS__LOGIN_REQUEST__INIT;
    const struct rpc_options options = {.metadata = metadata, .metadata_count = count};
    ProtobufCMessage *reply = NULL;
    login.email = "ann@example.com";
    login.password = "x";
    enum err e = rpc_call(c, "users.Users/Login", &login.base, &options, &reply, NULL);
    if (e) return e;
    (void)snprintf(ret, ret_size, "%s", ((Users__Tokens *)reply)->access_token);
    protobuf_c_message_free_unpacked(reply, NULL);
    return OK;
}

static void a_client_sends_metadata_within_its_limits(void **state)
{
    struct context *c = *state;
    char seen[RPC_METADATA_SIZE_MAX + 1], value[RPC_METADATA_SIZE_MAX + 1];
    char long_key[RPC_METADATA_KEY_MAX + 2];
    struct rpc_metadata pairs[RPC_METADATA_MAX + 1];
    for (size_t i = 0; i <= RPC_METADATA_MAX; i++)
        pairs[i] = (struct rpc_metadata){i == RPC_METADATA_MAX - 1 ? "a-key" : "k", ""};
    pairs[RPC_METADATA_MAX - 1].value = "value";
    assert_ok(call_with_metadata(c->f.client, pairs, RPC_METADATA_MAX, seen, sizeof seen));
    assert_string_equal(seen, "value");
    assert_err(call_with_metadata(c->f.client, pairs, RPC_METADATA_MAX + 1, seen, sizeof seen),
               ERR_INVALID);

    memset(value, 'v', sizeof value);
    value[RPC_METADATA_SIZE_MAX - strlen("a-key")] = 0;
    struct rpc_metadata one = {"a-key", value};
    assert_ok(call_with_metadata(c->f.client, &one, 1, seen, sizeof seen));
    assert_string_equal(seen, value);
    value[RPC_METADATA_SIZE_MAX - strlen("a-key")] = 'v';
    value[RPC_METADATA_SIZE_MAX - strlen("a-key") + 1] = 0;
    assert_err(call_with_metadata(c->f.client, &one, 1, seen, sizeof seen), ERR_INVALID);

    memset(long_key, 'k', sizeof long_key);
    long_key[RPC_METADATA_KEY_MAX] = 0;
    one = (struct rpc_metadata){long_key, "v"};
    assert_ok(call_with_metadata(c->f.client, &one, 1, seen, sizeof seen));
    long_key[RPC_METADATA_KEY_MAX] = 'k';
    long_key[RPC_METADATA_KEY_MAX + 1] = 0;
    const char *const bad_keys[] = {long_key, "", "A-Key", "a key"};
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        one.key = bad_keys[i];
        assert_err(call_with_metadata(c->f.client, &one, 1, seen, sizeof seen), ERR_INVALID);
    }
}

/* ---- who may call ---- */

static struct principal principal(enum role role, uint64_t permissions)
{
    struct principal p = {.role = role, .permissions = permissions};
    if (role != ROLE_GUEST) (void)snprintf(p.user_id, sizeof p.user_id, "%032d", 7);
    return p;
}

static enum err call_as(struct context *c, const char *method, const struct principal *p)
{
    Users__WhoAmIRequest who = USERS__WHO_AM_IREQUEST__INIT;
    Users__LogoutRequest logout = USERS__LOGOUT_REQUEST__INIT;
    Users__GetUserRequest user = USERS__GET_USER_REQUEST__INIT;
    Users__CreateAdminRequest admin = USERS__CREATE_ADMIN_REQUEST__INIT;
    Users__RefreshRequest refresh = USERS__REFRESH_REQUEST__INIT;
    const ProtobufCMessage *const requests[] = {&who.base, &logout.base, &user.base, &admin.base,
                                                &refresh.base};
    struct rpc_options options = {.principal = p};
    ProtobufCMessage *reply = NULL;
    user.user_id = "0123456789abcdef0123456789abcdef";
    admin.email = "root@example.com";
    admin.username = "root";
    admin.password = "correct horse battery";
    const ProtobufCMessage *request = NULL;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        if (requests[i]->descriptor == contract_method(method)->input) request = requests[i];
    assert_non_null(request);
    enum err e = rpc_call(c->f.client, method, request, &options, &reply, NULL);
    if (!e) protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

static void the_contract_says_who_may_call_what(void **state)
{
    struct context *c = *state;
    const uint64_t session = UINT64_MAX, reader = 1u << PERMISSION_READ,
                   trader = 1u << PERMISSION_TRADE;
    const struct {
        struct principal caller;
        enum err guest, user, session, admin, service; /* what each kind of method answers */
    } cases[] = {
        {principal(ROLE_GUEST, 0), OK, ERR_UNAUTHENTICATED, ERR_UNAUTHENTICATED,
         ERR_UNAUTHENTICATED, ERR_UNAUTHENTICATED},
        {principal(ROLE_USER, session), OK, OK, OK, ERR_DENIED, ERR_DENIED},
        {principal(ROLE_USER, reader), OK, OK, ERR_DENIED, ERR_DENIED, ERR_DENIED},
        {principal(ROLE_USER, trader), OK, ERR_DENIED, ERR_DENIED, ERR_DENIED, ERR_DENIED},
        {principal(ROLE_SUPPORT, session), OK, OK, OK, ERR_DENIED, ERR_DENIED},
        {principal(ROLE_ADMIN, session), OK, OK, OK, OK, ERR_DENIED},
        {principal(ROLE_ADMIN, reader), OK, OK, ERR_DENIED, ERR_DENIED, ERR_DENIED},
        {principal_service("gateway"), OK, OK, OK, OK, OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct principal *p = &cases[i].caller;
        assert_err(call_as(c, GUEST_METHOD, p), cases[i].guest);
        assert_err(call_as(c, USER_METHOD, p), cases[i].user);
        assert_err(call_as(c, SESSION_METHOD, p), cases[i].session);
        assert_err(call_as(c, ADMIN_METHOD, p), cases[i].admin);
        assert_err(call_as(c, SERVICE_METHOD, p), cases[i].service);
    }
    assert_err(call_as(c, USER_METHOD, NULL), ERR_UNAUTHENTICATED);
}

static unsigned code_with_principal(struct context *c, const char *method, char *text)
{
    Rpc__Request request = raw_request(method);
    request.principal = text;
    return raw_code(c, &request, NULL);
}

static void a_forged_or_expired_principal_is_nobody(void **state)
{
    struct context *c = *state;
    char text[PRINCIPAL_TEXT_MAX];
    struct principal_key other = c->f.key;
    struct principal admin = principal(ROLE_ADMIN, UINT64_MAX);

    principal_sign(&admin, &c->f.key, clock_wall_ms(), text);
    assert_int_equal(code_with_principal(c, USER_METHOD, text), GRPC_OK);
    text[4] ^= 1;
    assert_int_equal(code_with_principal(c, USER_METHOD, text), GRPC_UNAUTHENTICATED);
    assert_int_equal(code_with_principal(c, GUEST_METHOD, text), GRPC_UNAUTHENTICATED);

    principal_sign(&admin, &c->f.key, clock_wall_ms() - PRINCIPAL_VALID_MS - 1, text);
    assert_int_equal(code_with_principal(c, USER_METHOD, text), GRPC_UNAUTHENTICATED);

    other.bytes[0] ^= 1;
    principal_sign(&admin, &other, clock_wall_ms(), text);
    assert_int_equal(code_with_principal(c, USER_METHOD, text), GRPC_UNAUTHENTICATED);
    assert_int_equal(code_with_principal(c, USER_METHOD, "x"), GRPC_UNAUTHENTICATED);
}

static void the_handler_sees_the_caller_and_the_key(void **state)
{
    struct context *c = *state;
    Users__WhoAmIRequest request = USERS__WHO_AM_IREQUEST__INIT;
    struct principal ann = principal(ROLE_USER, UINT64_MAX);
    struct rpc_options options = {.principal = &ann, .idempotency_key = "key-1"};
    ProtobufCMessage *reply = NULL;
    assert_ok(rpc_call(c->f.client, USER_METHOD, &request.base, &options, &reply, NULL));
    assert_string_equal(((Users__User *)reply)->user_id, ann.user_id);
    assert_string_equal(((Users__User *)reply)->username, "key-1");
    protobuf_c_message_free_unpacked(reply, NULL);
}

/* ---- admission and drain ---- */

static void start_waiting_call(struct context *c, struct result *r)
{
    Users__JwksRequest request = USERS__JWKS_REQUEST__INIT;
    result_init(r);
    rpc_call_async(c->f.client, IDEMPOTENT_METHOD, &request.base, NULL, result_done, r);
}

static void one_call_above_the_limit_is_refused_at_once(void **state)
{
    (void)state;
    enum { LIMIT = 3 };
    struct context c;
    struct result results[LIMIT];
    struct rpc_server_options options = {.inflight_max = LIMIT, .workers = 1};
    start(&c, &options);
    struct gauge *inflight = metrics_gauge("tradepost_rpc_server_inflight", "", "server=\"users\"");
    int64_t before = gauge_value(inflight);
    for (size_t i = 0; i < LIMIT; i++) /* one runs, on the only worker; the others are queued */
        start_waiting_call(&c, &results[i]);
    while (gauge_value(inflight) < before + LIMIT)
        (void)sched_yield();
    Rpc__Request one_more = raw_request(GUEST_METHOD);
    assert_int_equal(raw_code(&c, &one_more, NULL), GRPC_RESOURCE_EXHAUSTED);
    Rpc__Request check = raw_request("rpc.Health/Check"); /* still gets through */
    assert_int_equal(raw_code(&c, &check, NULL), GRPC_OK);

    Rpc__Response *response = raw_call(c.f.url, &one_more);
    assert_non_null(response);
    assert_int_equal(response->n_metadata, 2);
    assert_string_equal(response->metadata[0]->key, "x-refused");
    assert_string_equal(response->metadata[1]->key, "retry-pushback-ms");
    rpc__response__free_unpacked(response, NULL);

    gate_open(&c.spy.gate);
    for (size_t i = 0; i < LIMIT; i++) {
        assert_ok(result_await(&results[i]));
        result_fini(&results[i]);
    }
    assert_ok(fixture_call_echo(c.f.client, "again", NULL, NULL));
    fixture_stop(&c.f);
    gate_fini(&c.spy.gate);
}

static void *drain(void *server)
{
    enum err e = rpc_server_drain(server, 10000);
    return (void *)(intptr_t)e; // NOLINT(performance-no-int-to-ptr)
}

static void a_draining_server_finishes_what_it_has_and_refuses_the_rest(void **state)
{
    struct context *c = *state;
    struct result running;
    pthread_t drainer;
    void *drained;
    start_waiting_call(c, &running);
    gate_await(&c->spy.gate, 1);
    assert_err(rpc_server_drain(c->f.server, 1), ERR_TIMEOUT); /* it still runs */
    assert_int_equal(pthread_create(&drainer, NULL, drain, c->f.server), 0);

    Rpc__Request request = raw_request(GUEST_METHOD);
    Rpc__Response *response = raw_call(c->f.url, &request);
    assert_non_null(response);
    assert_int_equal(response->code, GRPC_UNAVAILABLE);
    assert_int_equal(response->n_metadata, 2);
    assert_string_equal(response->metadata[0]->key, "x-refused");
    assert_string_equal(response->metadata[1]->key, "x-drain");
    rpc__response__free_unpacked(response, NULL);

    gate_open(&c->spy.gate);
    assert_ok(result_await(&running));
    result_fini(&running);
    assert_int_equal(pthread_join(drainer, &drained), 0);
    assert_null(drained);
}

/* ---- metrics ---- */

static void every_answer_is_counted_by_method_and_code(void **state)
{
    struct context *c = *state;
    struct buf text;
    buf_init(&text, 1 << 20);
    assert_ok(fixture_call_echo(c->f.client, "x", NULL, NULL));
    c->spy.fail_with = ERR_CONFLICT;
    assert_err(log_in_once(c, NULL), ERR_CONFLICT);
    assert_ok(metrics_write(&text));
    const char *lines[] = {
        "tradepost_rpc_server_handled_total{method=\"users.Users/Refresh\",code=\"OK\"}",
        "tradepost_rpc_server_handled_total{method=\"users.Users/Login\",code=\"ABORTED\"}",
        "tradepost_rpc_server_seconds_count{method=\"users.Users/Refresh\"}",
        "tradepost_rpc_server_inflight{server=\"users\"}",
        "tradepost_rpc_client_retries_total{client=\"test\"}",
        "tradepost_rpc_client_breaker_open{replica=\"tcp://127.0.0.1:",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(text.data, lines[i])) fail_msg("no metric %s", lines[i]);
    buf_release(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_error_travels_as_its_grpc_code),
        TEST(a_field_beyond_its_limit_never_reaches_the_handler),
        TEST(methods_that_are_not_here_are_unimplemented),
        TEST(requests_that_are_none_are_invalid),
        TEST(metadata_reaches_the_handler),
        TEST(a_client_sends_metadata_within_its_limits),
        TEST(the_contract_says_who_may_call_what),
        TEST(a_forged_or_expired_principal_is_nobody),
        TEST(the_handler_sees_the_caller_and_the_key),
        cmocka_unit_test(one_call_above_the_limit_is_refused_at_once),
        TEST(a_draining_server_finishes_what_it_has_and_refuses_the_rest),
        TEST(every_answer_is_counted_by_method_and_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
