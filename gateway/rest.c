/* From request to method to answer, top to bottom. */
#include "rest.h"

#include "cookies.h"
#include "deprecation.h"
#include "idempotency.h"
#include "media.h"
#include "policy.h"
#include "recent.h"
#include "router.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE    "application/json"
#define PROBLEM_TYPE "application/problem+json"

struct rest {
    struct rest_options options;
};

/* One request on its way through. */
struct work {
    struct rest *rest;
    struct http_exchange *x;
    struct route route;
    struct principal principal;
    struct buf body;
    ProtobufCMessage *request;
    struct idempotency idempotency;
    bool has_body;                       /* its verb takes one */
    char recent_key[RECENT_KEY_MAX + 1]; /* "": the answer is not for everybody, or not kept */
    uint64_t recent_epoch;
    int64_t asked_ms;
};

enum err rest_new(const struct rest_options *options, struct rest **ret)
{
    *ret = malloc(sizeof **ret);
    if (!*ret) return ERR_NO_MEMORY;
    (*ret)->options = *options;
    return OK;
}

void rest_free(struct rest *r)
{
    free(r);
}

/* ---- reading the request: each step answers the problem itself and returns false ---- */

static bool is_offered(struct work *w)
{
    bool offered = policy_offers(http_policy(w->x), w->route.method);
    if (!offered) http_problem_text(w->x, ERR_NOT_FOUND, "this is not offered on this port");
    return offered;
}

/*
 * What is open to guests is open to who has a stale token or forgot the CSRF header: as a guest.
 * Who may not come in is a guest too, until he has been counted: *ret_refused, with its status.
 */
static void identify(struct work *w, enum err *ret_refused, struct rpc_status *ret_status)
{
    enum err e = auth_request(w->rest->options.auth, w->x, &w->body, &w->principal, ret_status);
    bool passes =
        (e == ERR_UNAUTHENTICATED || e == ERR_DENIED) && w->route.method->caller == CALLER_GUEST;
    if (e) w->principal = principal_guest();
    *ret_refused = passes ? OK : e;
    http_set_caller(w->x, &w->principal);
}

static void add_number(struct work *w, const char *name, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    http_add_header(w->x, name, text);
}

static enum err ask_limits(struct work *w, unsigned class, int64_t cost, struct limits_verdict *ret)
{
    const struct limits_caller caller = {http_peer(w->x), w->principal.user_id, w->principal.tier};
    return limits_count(w->rest->options.limits, &caller, class, cost, ret);
}

static void refuse_call(struct work *w, enum err e, const struct limits_verdict *verdict)
{
    char text[LIMITS_TEXT_SIZE];
    limits_explain(verdict, text);
    if (e == ERR_EXHAUSTED) {
        add_number(w, "Retry-After", limits_seconds(verdict->reset_ms));
        http_problem_status(w->x, 429, "rate_limited", text);
    } else if (e == ERR_RANGE) {
        http_problem_text(w->x, e, "more at once than may be in a time: at most %lld in %lld s",
                          (long long)verdict->limit, (long long)limits_seconds(verdict->window_ms));
    } else {
        http_problem_text(w->x, e, "calls cannot be counted right now; try again");
    }
}

/* cost 0 only asks: what is left is told once, when the call is counted or refused. */
static bool count_call(struct work *w, int64_t cost)
{
    struct limits_verdict verdict;
    if (w->route.method->rate == RATE_UNLIMITED) return true;
    enum err e = ask_limits(w, w->route.method->rate, cost, &verdict);
    if (verdict.counted && (e == ERR_EXHAUSTED || (!e && cost))) {
        add_number(w, "RateLimit-Limit", verdict.limit);
        add_number(w, "RateLimit-Remaining", verdict.remaining);
        add_number(w, "RateLimit-Reset", limits_seconds(verdict.reset_ms));
    }
    if (e) refuse_call(w, e, &verdict);
    return !e;
}

static void refuse_caller(struct work *w, enum err e)
{
    http_problem_text(w->x, e, "%s",
                      e == ERR_UNAUTHENTICATED ? "log in first: Authorization: Bearer <token>"
                                               : calls_denied_text(&w->principal));
}

/* Who it is, whether he has called too often, and whether he may. */
static bool authorize(struct work *w)
{
    struct rpc_status status = {0};
    const struct contract_method *m = w->route.method;
    enum err refused, e;
    if (!is_offered(w)) return false;
    identify(w, &refused, &status);
    if (!count_call(w, limits_by_items(m) ? 0 : 1)) return false;
    e = refused ? OK : calls_allowed(m, &w->principal);
    if (refused) http_problem(w->x, &status);
    if (e) refuse_caller(w, e);
    return !refused && !e;
}

static size_t body_max(const struct work *w)
{
    size_t own = w->route.method->body_max;
    return own ? own : http_settings(w->x)->body_max;
}

static bool read_body(struct work *w)
{
    if (http_has_body(w->x) && !(media_is_json(http_header(w->x, "Content-Type")) &&
                                 media_is_plain(http_header(w->x, "Content-Encoding")))) {
        http_problem_status(w->x, 415, "unsupported_media_type",
                            "Content-Type must be " JSON_TYPE ", not compressed");
        return false;
    }
    enum err e = http_body(w->x, body_max(w), &w->body);
    if (e == ERR_EXHAUSTED)
        http_problem_status(w->x, 413, "body_too_large",
                            "the body is larger than this route takes");
    else if (e == ERR_TIMEOUT)
        http_problem_status(w->x, 408, "body_too_slow", "the body came too slowly");
    else if (e)
        http_problem_text(w->x, e, "the body is cut short or badly framed");
    return !e;
}

static void refuse_field(struct work *w, const struct err_detail *detail)
{
    struct rpc_status status = {.err = ERR_INVALID, .error_count = 1};
    const char *colon = strstr(detail->text, ": ");
    size_t size = colon ? (size_t)(colon - detail->text) : 0;
    memcpy(status.message, detail->text, sizeof status.message);
    if (size >= sizeof status.errors[0].field) size = 0;
    memcpy(status.errors[0].field, detail->text, size);
    strncpy(status.errors[0].reason, colon && size ? colon + 2 : detail->text,
            sizeof status.errors[0].reason - 1);
    http_problem(w->x, &status);
}

static enum err set_parameter(void *arg, const char *name, const char *value)
{
    struct work *w = arg;
    struct err_detail detail = {0};
    enum err e = json_set_text(w->request, name, value, &detail);
    if (e) refuse_field(w, &detail);
    return e;
}

static bool read_query(struct work *w)
{
    enum err e = http_query(w->x, set_parameter, w);
    if (e && !http_is_answered(w->x)) /* by set_parameter */
        http_problem_text(w->x, ERR_INVALID,
                          "the query has a bad escape, or a parameter twice, or too many");
    return !e;
}

/* Body, or query; then the path, whose parameters win over fields of the same name. */
static bool build_request(struct work *w)
{
    struct err_detail detail = {0};
    const struct contract_method *m = w->route.method;
    const char *text = w->body.size ? w->body.data : "{}";
    size_t size = w->body.size ? w->body.size : 2;
    if (json_read(text, size, m->input, &w->request, &detail)) {
        refuse_field(w, &detail);
        return false;
    }
    if (!w->has_body && !read_query(w)) return false;
    for (size_t i = 0; i < w->route.parameter_count; i++)
        if (set_parameter(w, w->route.parameters[i].name, w->route.parameters[i].value))
            return false;
    enum err e = cookies_read(w->x, w->request);
    if (e)
        http_problem_text(w->x, e,
                          e == ERR_DENIED ? "the cookie " REFRESH_COOKIE
                                            " is not for pages of another host"
                                          : "the cookie " REFRESH_COOKIE " is malformed");
    return !e;
}

/* Of several things at once each is counted, so the request is read before; one that cannot be read
 * is a call like any other. */
static bool read_request(struct work *w)
{
    const struct contract_method *m = w->route.method;
    bool readable = (!w->has_body || read_body(w)) && build_request(w);
    if (!limits_by_items(m)) return readable;
    if (readable) return count_call(w, limits_cost(m, w->request));
    struct limits_verdict unused;
    (void)!ask_limits(w, m->rate, 1, &unused);
    return false;
}

/* ---- answering ---- */

static bool is_mutation(const struct work *w)
{
    return strcmp(http_verb(w->x), "GET") != 0;
}

/* What guests may read is the same for everybody, so it may have been asked for just now. true:
 * answered. */
static bool answer_recent(struct work *w)
{
    struct recent *recent = w->rest->options.recent;
    int64_t max_ms = http_settings(w->x)->recent_ms;
    if (is_mutation(w) || w->route.method->caller != CALLER_GUEST || max_ms == 0) return false;
    int size = snprintf(w->recent_key, sizeof w->recent_key, "%s\n%s", http_path(w->x),
                        http_query_text(w->x));
    if (size >= (int)sizeof w->recent_key) w->recent_key[0] = 0;
    w->asked_ms = clock_mono_ms();
    w->recent_epoch = recent_epoch(recent);
    const struct recent_answer *a = recent_find(recent, w->recent_key, w->asked_ms, max_ms);
    if (!a) return false;
    http_add_header(w->x, "Age", "0"); /* seconds */
    http_set_etag(w->x, a->etag);
    http_answer(w->x, w->route.method->success, JSON_TYPE, a->body, a->size);
    shared_rele(a);
    return true;
}

/* What the key stands for: the same request again has the same. */
static void take_fingerprint(const struct work *w, uint8_t ret[static SHA256_SIZE])
{
    AUTO_BUF struct buf text;
    buf_init(&text, HTTP_PATH_MAX + HTTP_BODY_MAX + HTTP_HEAD_MAX);
    (void)buf_add_format(&text, "%s %s?%s\n", http_verb(w->x), http_path(w->x),
                         http_query_text(w->x));
    (void)buf_add(&text, w->body.data, w->body.size);
    crypt_sha256(text.data, text.size, ret);
}

static bool refuse_key(struct work *w, enum err e)
{
    if (e == ERR_CONFLICT)
        http_problem_status(w->x, 409, "idempotency_key_in_use",
                            "the first request with this Idempotency-Key still runs");
    else if (e == ERR_PRECONDITION)
        http_problem_status(w->x, 409, "idempotency_key_reused",
                            "this Idempotency-Key was used for another request");
    else
        http_problem_text(w->x, ERR_UNAVAILABLE,
                          "the Idempotency-Key cannot be checked right now; nothing was done");
    return false;
}

/* Every new key is kept for a day, so there are only so many of a user. */
static bool count_key(struct work *w)
{
    struct limits_verdict verdict;
    enum err e = ask_limits(w, LIMITS_IDEMPOTENCY_KEYS, 1, &verdict);
    if (!e) return true;
    idempotency_end(w->rest->options.cache, &w->idempotency, e, 0, NULL, 0); /* not used */
    refuse_call(w, e, &verdict);
    return false;
}

/*
 * A repeat with the same key gets the first answer. What is open to guests takes no keys: there is
 * nobody to keep an answer for, and the answer may be a token.
 */
static bool claim_key(struct work *w)
{
    const char *key = http_header(w->x, "Idempotency-Key");
    if (!key || !is_mutation(w) || w->route.method->caller == CALLER_GUEST) return true;
    size_t size = strlen(key);
    if (size == 0 || size > IDEMPOTENCY_KEY_MAX) {
        http_problem_text(w->x, ERR_INVALID, "Idempotency-Key must have 1 to %d bytes",
                          IDEMPOTENCY_KEY_MAX);
        return false;
    }
    AUTO_BUF struct buf first;
    buf_init(&first, IDEMPOTENCY_ANSWER_MAX);
    uint8_t fingerprint[SHA256_SIZE];
    int status = 0;
    take_fingerprint(w, fingerprint);
    enum err e = idempotency_begin(w->rest->options.cache, w->principal.user_id, key, fingerprint,
                                   &w->idempotency, &status, &first);
    if (!e) return count_key(w);
    if (e != ERR_EXISTS) return refuse_key(w, e);
    http_add_header(w->x, "Idempotent-Replayed", "true");
    http_answer(w->x, status, status < 400 ? JSON_TYPE : PROBLEM_TYPE, first.data, first.size);
    return false;
}

/*
 * Orders may go along with the key: trading makes their ids of it and keeps those durably, so a
 * repeat after an unknown outcome is safe even when the first answer was never kept here; and a
 * cancel that is repeated with it is answered with the order that the first one cancelled. Other
 * methods must not: the client would try them again by itself.
 */
static bool has_order_ids(const ProtobufCMessageDescriptor *message)
{
    for (unsigned i = 0; i < message->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->fields[i];
        if (strcmp(field->name, "client_order_id") == 0 || strcmp(field->name, "order_id") == 0)
            return true;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && field->label == PROTOBUF_C_LABEL_REPEATED &&
            has_order_ids(field->descriptor))
            return true;
    }
    return false;
}

/* A cookie that came over TLS stays there. */
static bool needs_tls(const struct work *w)
{
    return http_settings(w->x)->cookie_secure || http_is_tls(w->x);
}

/* The part said no. What it decided is an answer to keep; what may turn out otherwise is not. */
static void answer_failure(struct work *w, const struct rpc_status *status)
{
    AUTO_BUF struct buf text;
    buf_init(&text, HTTP_PROBLEM_MAX);
    cookies_fail(w->x, w->route.method, w->request, status->err, needs_tls(w));
    http_problem_write(w->x, status, &text);
    idempotency_end(w->rest->options.cache, &w->idempotency, status->err, err_http(status->err),
                    text.data, text.size);
    http_answer(w->x, err_http(status->err), PROBLEM_TYPE, text.data, text.size);
}

/* The member that is told once, or NULL. */
static char *find_secret(const ProtobufCMessage *reply)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(reply->descriptor, "secret");
    if (!field || field->type != PROTOBUF_C_TYPE_STRING) return NULL;
    return *(char **)((char *)reply + field->offset);
}

/* A repeat is answered with what is kept here; a secret is not kept. */
static void keep_answer(struct work *w, const ProtobufCMessage *reply, const struct buf *text)
{
    const struct contract_method *m = w->route.method;
    char *secret = find_secret(reply);
    AUTO_BUF struct buf without;
    buf_init(&without, REST_REPLY_MAX);
    if (secret && secret[0]) {
        secret[0] = 0;
        if (json_write(reply, &without)) return; /* the claim runs out */
        text = &without;
    }
    idempotency_end(w->rest->options.cache, &w->idempotency, OK, m->success, text->data,
                    text->size);
}

static void answer_success(struct work *w, ProtobufCMessage *own_reply)
{
    const struct contract_method *m = w->route.method;
    AUTO_BUF struct buf text;
    buf_init(&text, REST_REPLY_MAX);
    cookies_write(w->x, m, own_reply, needs_tls(w));
    enum err e = json_write(own_reply, &text);
    if (!e) keep_answer(w, own_reply, &text);
    if (!e && w->recent_key[0])
        recent_put(w->rest->options.recent, w->recent_key, w->recent_epoch, w->asked_ms, text.data,
                   text.size);
    protobuf_c_message_free_unpacked(own_reply, NULL);
    if (e) /* it has been done all the same: the key stays claimed */
        http_problem_text(w->x, ERR_INTERNAL, "the answer is too large; ask for less");
    else
        http_answer(w->x, m->success, JSON_TYPE, text.data, text.size);
}

static void call_and_answer(struct work *w)
{
    const struct contract_method *m = w->route.method;
    bool keyed = is_mutation(w) && has_order_ids(m->input);
    char traceparent[TRACE_TEXT_SIZE];
    trace_format(http_trace(w->x), traceparent);
    struct rpc_options options = {
        .deadline_ms = http_deadline_ms(w->x),
        .principal = &w->principal,
        .traceparent = traceparent,
        .idempotency_key = keyed ? http_header(w->x, "Idempotency-Key") : NULL,
    };
    struct rpc_status status = {0};
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(calls_client(w->rest->options.calls, m->name), m->name, w->request,
                          &options, &reply, &status);
    if (!calls_only_reads(m)) recent_forget(w->rest->options.recent);
    if (e)
        answer_failure(w, &status);
    else
        answer_success(w, reply);
}

static void handle_method(struct work *w)
{
    const struct contract_method *m = w->route.method;
    const char *type = m->content ? m->content : JSON_TYPE;
    if (!media_accepts(http_header(w->x, "Accept"), type)) {
        char detail[128];
        (void)snprintf(detail, sizeof detail, "the answer is %s", type);
        http_problem_status(w->x, 406, "not_acceptable", detail);
        return;
    }
    if (m->local) {
        if (authorize(w))
            w->rest->options.local(w->rest->options.local_context, w->x, m, &w->principal);
        return;
    }
    if (m->caller > CALLER_GUEST)
        http_set_cache(w->x, "no-store"); /* an answer for one pair of eyes */
    w->has_body = is_mutation(w) && strcmp(http_verb(w->x), "DELETE") != 0;
    /* A key has signed the body. */
    if (http_header(w->x, AUTH_KEY_HEADER) && w->has_body && !read_body(w)) return;
    if (!authorize(w) || answer_recent(w) || !read_request(w) || !claim_key(w)) return;
    call_and_answer(w);
}

/* "/api/v2/...": told apart from a path that never was. */
static bool refuse_version(struct http_exchange *x)
{
    const char *path = http_path(x);
    if (strncmp(path, "/api/v", 6) != 0) return false;
    size_t digits = strspn(path + 6, "0123456789");
    const char *end = path + 6 + digits;
    if (digits == 0 || (*end && *end != '/') || (digits == 1 && path[6] == '1')) return false;
    http_problem_status(x, 404, "unknown_version", "the versions of this API are: v1");
    return true;
}

bool rest_handle(struct rest *r, struct http_exchange *x)
{
    char verbs[ROUTER_VERBS_SIZE];
    struct work w = {.rest = r, .x = x};
    enum err e = router_find(http_verb(x), http_path(x), &w.route, verbs);
    if (e == ERR_NOT_FOUND) return refuse_version(x);
    if (e) {
        http_add_header(x, "Allow", verbs);
        if (strcmp(http_verb(x), "OPTIONS") == 0)
            http_answer(x, 204, NULL, "", 0);
        else
            http_problem_status(x, 405, "method_not_allowed", verbs);
        return true;
    }
    deprecation_tell(x, w.route.method);
    buf_init(&w.body, body_max(&w) + 65536);
    handle_method(&w);
    buf_release(&w.body);
    protobuf_c_message_free_unpacked(w.request, NULL);
    return true;
}
