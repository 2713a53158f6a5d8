/* From a message to a call to an answer, top to bottom. */
#include "command.h"

#include "answer.h"
#include "command_message.h"
#include "deprecation.h"
#include "policy.h"
#include "recent.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/network.h"
#include "base/trace.h"
#include "gateway.pb-c.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct commands {
    struct commands_options options;
    _Atomic int64_t request_ms;
};

/* What the answer and the log line need of a command. */
struct asked {
    const char *listener;
    const char *notice; /* that the command will be gone, or NULL */
    char command[COMMAND_NAME_MAX + 1], msg_id[COMMAND_MSG_ID_MAX + 1];
    char user_id[40], key_id[40];
    struct trace trace;
    int64_t begin_us;
};

struct running {
    struct running *next;
    struct command_session *session; /* held */
    struct asked asked;
};

struct command_session {
    struct commands *commands;
    struct hub_connection *connection;
    struct member *member;
    struct listener_policy policy;
    struct principal principal;
    int64_t auth_deadline_ms; /* monotonic; 0: none is needed, or it was met */
    int64_t expires_s, next_tick_ms;
    atomic_uint holds; /* the front's, and one per running command */
    pthread_mutex_t lock;
    struct running *running; /* under the lock, at most COMMANDS_IN_FLIGHT */
    size_t running_count;
};

/* A command on its way. */
struct work {
    struct command_session *session;
    struct asked asked;
    const struct contract_method *method;
    ProtobufCMessage *request;
};

enum err commands_new(const struct commands_options *options, struct commands **ret)
{
    struct commands *c = malloc(sizeof *c);
    if (!c) return ERR_NO_MEMORY;
    c->options = *options;
    atomic_init(&c->request_ms, options->request_ms);
    if (!c->options.auth_ms) c->options.auth_ms = COMMAND_AUTH_MS;
    if (!c->options.tick_ms) c->options.tick_ms = COMMAND_TICK_MS;
    *ret = c;
    return OK;
}

void commands_set_request_ms(struct commands *c, int64_t request_ms)
{
    atomic_store(&c->request_ms, request_ms);
}

void commands_free(struct commands *c)
{
    free(c);
}

/* ---- sessions ---- */

enum err command_open(struct commands *commands, struct hub_connection *connection,
                      struct member *member, const struct listener_policy *policy,
                      struct command_session **ret)
{
    struct command_session *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    s->commands = commands;
    s->connection = hub_hold(connection);
    s->member = member;
    s->policy = *policy;
    s->principal = principal_guest();
    if (policy->needs_auth) s->auth_deadline_ms = clock_mono_ms() + commands->options.auth_ms;
    atomic_init(&s->holds, 1);
    (void)pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return OK;
}

void command_close(struct command_session *s)
{
    if (!s || atomic_fetch_sub(&s->holds, 1) != 1) return;
    hub_release(s->connection);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Is whoever authenticated still welcome? ERR_UNAUTHENTICATED, ERR_UNAVAILABLE: cannot be asked. */
static enum err check_session(struct command_session *s)
{
    if (s->principal.role == ROLE_GUEST) return OK;
    if (clock_wall_ms() / 1000 >= s->expires_s) return ERR_UNAUTHENTICATED;
    return auth_session(s->commands->options.auth, &s->principal);
}

int64_t command_tick(struct command_session *s, int64_t now_ms)
{
    if (s->auth_deadline_ms && now_ms >= s->auth_deadline_ms) {
        hub_close(s->connection, HUB_CLOSE_AUTH_TIMEOUT);
        s->auth_deadline_ms = 0;
    }
    if (s->principal.role == ROLE_GUEST)
        return s->auth_deadline_ms ? s->auth_deadline_ms : INT64_MAX;
    if (now_ms >= s->next_tick_ms) {
        /* The cache away is no reason to close: the next command asks again. */
        if (check_session(s) == ERR_UNAUTHENTICATED)
            hub_close(s->connection, HUB_CLOSE_BAD_CREDENTIALS);
        s->next_tick_ms = now_ms + s->commands->options.tick_ms;
    }
    return s->next_tick_ms;
}

/* ---- answers ---- */

static void log_command(const struct asked *a, enum err e)
{
    char trace_id[33];
    trace_id_format(a->trace, trace_id);
    LOG_LINE(err_http(e) >= 500 ? LOG_WARN : LOG_INFO, "gateway", "command",
             LOG_TEXT("trace_id", trace_id), LOG_TEXT("listener", a->listener),
             LOG_TEXT("user", a->user_id), LOG_TEXT("command", a->command),
             LOG_TEXT("result", err_word(e)), LOG_INT("duration_us", clock_mono_us() - a->begin_us),
             LOG_TEXT(a->key_id[0] ? "key" : NULL, a->key_id)); /* last: none ends the line */
}

static void set_caller(struct asked *a, const struct principal *principal)
{
    (void)snprintf(a->user_id, sizeof a->user_id, "%s", principal->user_id);
    (void)snprintf(a->key_id, sizeof a->key_id, "%s", principal->key_id);
}

static void fail(struct hub_connection *c, const struct asked *a, const struct rpc_status *status)
{
    AUTO_BUF struct buf out;
    buf_init(&out, ANSWER_WHOLE_MAX);
    answer_error(&out, a->msg_id, a->notice, status);
    answer_send(c, a->msg_id, &out);
    log_command(a, status->err);
}

static void fail_text(const struct work *w, enum err e, const char *reason, const char *format, ...)
    PRINTF_LIKE(4, 5);
static void fail_text(const struct work *w, enum err e, const char *reason, const char *format, ...)
{
    struct rpc_status status = {.err = e};
    (void)snprintf(status.reason, sizeof status.reason, "%s", reason);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(status.message, sizeof status.message, format, args);
    va_end(args);
    fail(w->session->connection, &w->asked, &status);
}

static void fail_limited(const struct work *w, enum err e, const struct limits_verdict *verdict)
{
    char text[LIMITS_TEXT_SIZE];
    AUTO_BUF struct buf out;
    if (e == ERR_RANGE)
        return fail_text(w, e, "", "more at once than may be in a time: at most %lld in %lld s",
                         (long long)verdict->limit, (long long)limits_seconds(verdict->window_ms));
    if (e != ERR_EXHAUSTED)
        return fail_text(w, e, "", "calls cannot be counted right now; try again");
    buf_init(&out, ANSWER_WHOLE_MAX);
    limits_explain(verdict, text);
    answer_limited(&out, w->asked.msg_id, text, verdict->reset_ms);
    answer_send(w->session->connection, w->asked.msg_id, &out);
    log_command(&w->asked, e);
}

static void fail_too_large(struct hub_connection *c, const struct asked *a)
{
    struct rpc_status status = {.err = ERR_EXHAUSTED, .reason = "answer_too_large"};
    (void)snprintf(status.message, sizeof status.message,
                   "the answer has more than %zu bytes; ask for less", ANSWER_MAX);
    fail(c, a, &status);
}

static void succeed(struct hub_connection *c, const struct asked *a, const char *json, size_t size)
{
    AUTO_BUF struct buf out;
    buf_init(&out, ANSWER_MAX);
    answer_result(&out, a->msg_id, a->notice, json, size);
    if (out.error == ERR_EXHAUSTED) return fail_too_large(c, a);
    answer_send(c, a->msg_id, &out);
    log_command(a, OK);
}

static void succeed_message(struct hub_connection *c, const struct asked *a,
                            const ProtobufCMessage *reply)
{
    AUTO_BUF struct buf json;
    buf_init(&json, ANSWER_MAX);
    if (json_write(reply, &json))
        fail_too_large(c, a);
    else
        succeed(c, a, json.data, json.size);
}

/* ---- calls to the parts ---- */

/* NULL: the error is answered. */
static struct running *claim(struct work *w)
{
    struct command_session *s = w->session;
    struct running *claimed = malloc(sizeof *claimed);
    if (!claimed) {
        fail_text(w, ERR_NO_MEMORY, "", "out of memory");
        return NULL;
    }
    bool duplicate = false;
    (void)pthread_mutex_lock(&s->lock);
    for (const struct running *r = s->running; r && !duplicate; r = r->next)
        duplicate = strcmp(r->asked.msg_id, w->asked.msg_id) == 0;
    bool full = s->running_count == COMMANDS_IN_FLIGHT;
    if (!duplicate && !full) {
        *claimed = (struct running){s->running, s, w->asked};
        s->running = claimed;
        s->running_count++;
        atomic_fetch_add(&s->holds, 1);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!duplicate && !full) return claimed;
    free(claimed);
    if (duplicate)
        fail_text(w, ERR_CONFLICT, "duplicate_msg_id", "a command with this msgId still runs");
    else
        fail_text(w, ERR_EXHAUSTED, "too_many_commands",
                  "%d commands still run; wait for an answer", COMMANDS_IN_FLIGHT);
    return NULL;
}

/* It runs no more: its msgId is free again. */
static void unclaim(struct command_session *s, struct running *own_running)
{
    (void)pthread_mutex_lock(&s->lock);
    struct running **at = &s->running;
    while (*at != own_running)
        at = &(*at)->next;
    *at = own_running->next;
    s->running_count--;
    (void)pthread_mutex_unlock(&s->lock);
    free(own_running);
}

static void on_reply(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    struct running *r = arg;
    struct command_session *s = r->session;
    struct asked asked = r->asked;
    unclaim(s, r); /* before the answer leaves */
    const struct contract_method *m = contract_command(asked.command);
    if (s->commands->options.recent && !calls_only_reads(m))
        recent_forget(s->commands->options.recent);
    if (own_reply)
        succeed_message(s->connection, &asked, own_reply);
    else
        fail(s->connection, &asked, status);
    protobuf_c_message_free_unpacked(own_reply, NULL);
    command_close(s);
}

static void call_part(struct work *w)
{
    struct command_session *s = w->session;
    struct running *r = claim(w);
    if (!r) return;
    char traceparent[TRACE_TEXT_SIZE];
    trace_format(w->asked.trace, traceparent);
    struct rpc_options options = {
        .deadline_ms = clock_mono_ms() + atomic_load(&s->commands->request_ms),
        .principal = &s->principal,
        .traceparent = traceparent,
    };
    rpc_call_async(calls_client(s->commands->options.calls, w->method->name), w->method->name,
                   w->request, &options, on_reply, r);
}

/* ---- the gateway's own commands ---- */

static enum err judge_token(struct work *w, const Gateway__AuthenticateRequest *request,
                            struct principal *ret, int64_t *ret_expires_s,
                            struct rpc_status *ret_status)
{
    enum err e = auth_token(w->session->commands->options.auth, request->token, ret, ret_expires_s);
    *ret_status = (struct rpc_status){.err = e};
    (void)snprintf(ret_status->message, sizeof ret_status->message, "%s",
                   e == ERR_UNAUTHENTICATED ? "the access token is not valid; refresh it or log in"
                                            : "sessions cannot be checked right now; try again");
    return e;
}

static enum err judge_key(struct work *w, const Gateway__AuthenticateRequest *request,
                          struct principal *ret, int64_t *ret_expires_s,
                          struct rpc_status *ret_status)
{
    char timestamp[24], window[12];
    (void)snprintf(timestamp, sizeof timestamp, "%" PRIu64, request->timestamp);
    (void)snprintf(window, sizeof window, "%" PRIu32, request->recv_window);
    const struct signed_request r = {
        .method = SIGNATURE_WS_METHOD,
        .path = SIGNATURE_WS_PATH,
        .query = "",
        .key_id = request->api_key,
        .timestamp = timestamp,
        .window = request->recv_window ? window : NULL,
        .signature = request->signature,
        .body = "",
    };
    return auth_signed(w->session->commands->options.auth, &r, w->session->member->address, ret,
                       ret_expires_s, ret_status);
}

static void run_authenticate(struct work *w)
{
    struct command_session *s = w->session;
    const Gateway__AuthenticateRequest *request = (const void *)w->request;
    Gateway__AuthenticateResponse response = GATEWAY__AUTHENTICATE_RESPONSE__INIT;
    Google__Protobuf__Timestamp expires = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    struct principal principal;
    struct rpc_status status;
    if (!request->token[0] == !request->api_key[0])
        return fail_text(w, ERR_INVALID, "", "token: is required, or apiKey and its signature");
    enum err e = (request->token[0] ? judge_token : judge_key)(w, request, &principal,
                                                               &expires.seconds, &status);
    if (e) fail(s->connection, &w->asked, &status);
    if (e == ERR_UNAUTHENTICATED || e == ERR_DENIED)
        hub_close(s->connection, HUB_CLOSE_BAD_CREDENTIALS);
    if (e) return;
    if (s->principal.user_id[0] && strcmp(s->principal.user_id, principal.user_id) != 0)
        return fail_text(w, ERR_PRECONDITION, "other_user",
                         "this connection speaks for another user; open a new one");
    if (roster_name(s->member, principal.user_id)) {
        fail_text(w, ERR_EXHAUSTED, "too_many_connections", "close one of your other connections");
        return hub_close(s->connection, HUB_CLOSE_CROWDED);
    }
    s->principal = principal;
    s->expires_s = expires.seconds;
    s->auth_deadline_ms = 0;
    s->next_tick_ms = clock_mono_ms() + s->commands->options.tick_ms;
    set_caller(&w->asked, &principal);
    response.user_id = principal.user_id;
    response.expires_at = &expires;
    succeed_message(s->connection, &w->asked, &response.base);
}

/* Reads the names that were given; false: the error is answered. */
static bool read_channels(struct work *w, char *const *names, size_t count,
                          struct feed_channel *ret)
{
    struct command_session *s = w->session;
    for (size_t i = 0; i < count; i++) {
        struct err_detail detail = {0};
        if (feed_channel(names[i], s->principal.user_id, &ret[i], &detail)) {
            fail_text(w, ERR_INVALID, "invalid_channel", "%s", detail.text);
            return false;
        }
        enum err e = ret[i].caller > s->policy.caller_max
                         ? ERR_NOT_FOUND
                         : calls_channel_allowed(ret[i].caller, &s->principal);
        if (!e) continue;
        fail_text(w, e, "",
                  e == ERR_UNAUTHENTICATED ? "authenticate first, for %s"
                  : e == ERR_NOT_FOUND     ? "%s is not offered on this port"
                                           : "%s is for administrators",
                  names[i]);
        return false;
    }
    return true;
}

static void subscribe(struct work *w, const struct feed_channel *channels, size_t count,
                      const struct feed_position *since)
{
    struct command_session *s = w->session;
    Gateway__Subscription items[FEED_CHANNELS_MAX], *pointers[FEED_CHANNELS_MAX];
    Gateway__SubscribeResponse response = GATEWAY__SUBSCRIBE_RESPONSE__INIT;
    for (size_t i = 0; i < count; i++) {
        struct feed_position at = {0};
        bool recovered = false;
        enum err e = feed_subscribe(s->commands->options.feed, s->connection, &channels[i], 1,
                                    since, &recovered, &at);
        if (e == ERR_UNAVAILABLE) return fail_text(w, e, "", "the past is not known yet");
        if (e)
            return fail_text(w, e, "", "at most %d channels of a connection",
                             HUB_SUBSCRIPTIONS_MAX);
        gateway__subscription__init(&items[i]);
        items[i].channel = (char *)channels[i].name;
        items[i].epoch = at.epoch;
        items[i].seq = at.seq;
        items[i].recovered = recovered;
        pointers[i] = &items[i];
    }
    response.n_items = count;
    response.items = pointers;
    succeed_message(s->connection, &w->asked, &response.base);
}

static void run_subscribe(struct work *w)
{
    const Gateway__SubscribeRequest *request = (const void *)w->request;
    if (request->since && request->n_channels > 1)
        return fail_text(w, ERR_INVALID, "", "since: with one channel only");
    struct feed_channel *channels = calloc(request->n_channels, sizeof *channels);
    if (!channels) return fail_text(w, ERR_NO_MEMORY, "", "out of memory");
    struct feed_position since = {0};
    if (request->since) since = (struct feed_position){request->since->epoch, request->since->seq};
    if (read_channels(w, request->channels, request->n_channels, channels))
        subscribe(w, channels, request->n_channels, request->since ? &since : NULL);
    free(channels);
}

static void run_unsubscribe(struct work *w)
{
    struct command_session *s = w->session;
    const Gateway__UnsubscribeRequest *request = (const void *)w->request;
    Gateway__UnsubscribeResponse response = GATEWAY__UNSUBSCRIBE_RESPONSE__INIT;
    for (size_t i = 0; i < request->n_channels; i++) {
        struct feed_channel channel;
        struct err_detail detail = {0};
        if (feed_channel(request->channels[i], s->principal.user_id, &channel, &detail))
            return fail_text(w, ERR_INVALID, "invalid_channel", "%s", detail.text);
        hub_unsubscribe(s->connection, channel.hub);
    }
    succeed_message(s->connection, &w->asked, &response.base);
}

static void run_ping(struct work *w)
{
    int64_t now_ms = clock_wall_ms();
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Gateway__PingResponse response = GATEWAY__PING_RESPONSE__INIT;
    time.seconds = now_ms / 1000;
    time.nanos = (int32_t)(now_ms % 1000 * 1000000);
    response.time = &time;
    succeed_message(w->session->connection, &w->asked, &response.base);
}

static void run_help(struct work *w)
{
    succeed(w->session->connection, &w->asked, contract_help, contract_help_size);
}

static const struct {
    const char *command;
    void (*run)(struct work *w);
} own[] = {
    {"authenticate", run_authenticate},
    {"help", run_help},
    {"ping", run_ping},
    {"subscribe", run_subscribe},
    {"unsubscribe", run_unsubscribe},
};

/* ---- from message to command ---- */

static bool is_offered(const struct listener_policy *policy, const struct contract_method *m)
{
    bool guests_only = policy->caller_max == CALLER_GUEST;
    if (guests_only && strcmp(m->command, "authenticate") == 0) return false; /* what for? */
    return policy_offers(policy, m);
}

static size_t find_own(const char *command)
{
    size_t i = 0;
    while (i < sizeof own / sizeof *own && strcmp(own[i].command, command) != 0)
        i++;
    return i;
}

static enum err ask_limits(struct work *w, unsigned class, int64_t cost, struct limits_verdict *ret)
{
    const struct command_session *s = w->session;
    const struct limits_caller caller = {s->member->address, s->principal.user_id,
                                         s->principal.tier};
    return limits_count(s->commands->options.limits, &caller, class, cost, ret);
}

/* Before anything else is done for it. cost 0 only asks. false: the error is answered. */
static bool count(struct work *w, unsigned class, int64_t cost)
{
    struct limits_verdict verdict;
    if (class == RATE_UNLIMITED) return true;
    enum err e = ask_limits(w, class, cost, &verdict);
    if (e) fail_limited(w, e, &verdict);
    return !e;
}

/* false: the error is answered. */
static bool authorize(struct work *w)
{
    struct command_session *s = w->session;
    enum err e = check_session(s);
    if (e == ERR_UNAUTHENTICATED) {
        fail_text(w, e, "", "the session has ended; log in again");
        hub_close(s->connection, HUB_CLOSE_BAD_CREDENTIALS);
        return false;
    }
    if (!e) e = calls_allowed(w->method, &s->principal);
    if (e == ERR_UNAVAILABLE)
        fail_text(w, e, "", "sessions cannot be checked right now; try again");
    else if (e == ERR_UNAUTHENTICATED)
        fail_text(w, e, "", "authenticate first");
    else if (e)
        fail_text(w, e, "", "%s", calls_denied_text(&s->principal));
    return !e;
}

static bool read_request(struct work *w, const char *params)
{
    struct err_detail detail = {0};
    enum err e = json_read(params, strlen(params), w->method->input, &w->request, &detail);
    char field[CONTRACT_FIELD_SIZE] = "";
    if (!e) e = contract_check(w->request, field, &detail);
    if (e && field[0])
        fail_text(w, e, "", "%s: %s", field, detail.text);
    else if (e)
        fail_text(w, e, "", "%s", detail.text);
    return !e;
}

/* Counted and read, or the error is answered. */
static bool accept(struct work *w, const char *params, bool authenticates)
{
    const struct contract_method *m = w->method;
    bool by_items = limits_by_items(m);
    if (!count(w, m->rate, by_items ? 0 : 1) || !(authenticates || authorize(w))) return false;
    if (read_request(w, params)) return !by_items || count(w, m->rate, limits_cost(m, w->request));
    struct limits_verdict unused;
    if (by_items) (void)!ask_limits(w, m->rate, 1, &unused); /* a call like any other */
    return false;
}

static void run(struct work *w, const char *params)
{
    w->method = contract_command(w->asked.command);
    size_t index = find_own(w->asked.command);
    bool offered = w->method && is_offered(&w->session->policy, w->method);
    if (!offered && !count(w, RATE_DEFAULT, 1)) return;
    if (!w->method)
        return fail_text(w, ERR_NOT_FOUND, "unknown_command", "there is no such command; see help");
    if (!offered)
        return fail_text(w, ERR_NOT_FOUND, "not_offered", "this is not offered on this port");
    w->asked.notice = deprecation_notice(w->method);
    if (!accept(w, params, index == 0)) return;
    if (index < sizeof own / sizeof *own)
        own[index].run(w);
    else
        call_part(w);
}

void command_text(struct command_session *s, const char *text, size_t size)
{
    struct command_message message;
    struct err_detail detail = {0};
    struct work w = {.session = s};
    enum err e = command_message_read(text, size, &message, &detail);
    w.asked = (struct asked){
        .listener = s->policy.name, .trace = trace_new(), .begin_us = clock_mono_us()};
    memcpy(w.asked.command, message.command, sizeof w.asked.command);
    memcpy(w.asked.msg_id, message.msg_id, sizeof w.asked.msg_id);
    set_caller(&w.asked, &s->principal);
    if (!e)
        run(&w, message.params);
    else if (count(&w, RATE_DEFAULT, 1))
        fail_text(&w, e, "", "%s", detail.text);
    protobuf_c_message_free_unpacked(w.request, NULL);
    command_message_release(&message);
}
