/* The checked request's parts, its body, and the one answer. */
#include "exchange.h"

#include "base/clock.h"
#include "base/crypt.h"
#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define READ_SIZE 16384
#define ETAG_SIZE 36 /* quotes, 32 hex digits, and room */

/* ---- the request ---- */

const char *http_verb(const struct http_exchange *x)
{
    return x->verb;
}

const char *http_path(const struct http_exchange *x)
{
    return x->path;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    return mg_get_header(x->connection, name);
}

const char *http_peer(const struct http_exchange *x)
{
    return x->info->remote_addr;
}

const char *http_request_id(const struct http_exchange *x)
{
    return x->request_id;
}

struct trace http_trace(const struct http_exchange *x)
{
    return x->trace;
}

const struct listener_policy *http_policy(const struct http_exchange *x)
{
    return x->policy;
}

void http_set_user(struct http_exchange *x, const char *user_id)
{
    (void)snprintf(x->user_id, sizeof x->user_id, "%s", user_id);
}

int64_t http_deadline_ms(const struct http_exchange *x)
{
    return x->deadline_ms;
}

enum err http_query(struct http_exchange *x,
                    enum err (*visit)(void *arg, const char *name, const char *value), void *arg)
{
    const char *at = x->info->query_string;
    while (at && *at) {
        char name[128], value[HTTP_PATH_MAX + 1];
        size_t size = strcspn(at, "&"), name_size = strcspn(at, "=&");
        const char *text = at + name_size + (name_size < size);
        if (!http_decode(at, name_size, true, name, sizeof name) ||
            !http_decode(text, (size_t)(at + size - text), true, value, sizeof value))
            return ERR_INVALID;
        enum err e = name_size ? visit(arg, name, value) : OK;
        if (e) return e;
        at += size + (at[size] == '&');
    }
    return OK;
}

enum err http_cookie(const struct http_exchange *x, const char *name, char *ret, size_t size)
{
    const char *at = http_header(x, "Cookie");
    size_t name_size = strlen(name);
    for (; at && *at; at += *at != 0) {
        at += strspn(at, " ");
        size_t item = strcspn(at, ";");
        if (item > name_size && at[name_size] == '=' && strncmp(at, name, name_size) == 0) {
            size_t value = item - name_size - 1;
            if (value >= size) return ERR_EXHAUSTED;
            memcpy(ret, at + name_size + 1, value);
            ret[value] = 0;
            return OK;
        }
        at += item;
    }
    return ERR_NOT_FOUND;
}

enum err http_body(struct http_exchange *x, size_t size_max, struct buf *ret)
{
    if (x->body_size > (int64_t)size_max) return ERR_EXHAUSTED;
    const char *expect = http_header(x, "Expect");
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!x->body_read && expect && strcasecmp(expect, "100-continue") == 0)
        (void)mg_write(x->connection, go_on, sizeof go_on - 1);

    while (!x->body_read) {
        char *at = buf_reserve(ret, READ_SIZE);
        if (!at) return ret->error;
        int size = mg_read(x->connection, at, READ_SIZE);
        if (size > 0) buf_commit(ret, (size_t)size);
        if (ret->size > size_max) return ERR_EXHAUSTED;
        if (clock_mono_ms() > x->deadline_ms) return ERR_TIMEOUT;
        if (size < 0) return ERR_INVALID;
        x->body_read = size == 0 || (int64_t)ret->size == x->body_size;
    }
    /* Fewer bytes than promised: the client has gone. */
    return x->body_size >= 0 && (int64_t)ret->size != x->body_size ? ERR_INVALID : OK;
}

/* ---- the answer ---- */

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    CHECK(!strpbrk(value, "\r\n") && !strpbrk(name, "\r\n: "));
    (void)buf_add_format(&x->headers, "%s: %s\r\n", name, value);
}

static const char *reason(int status)
{
    return mg_get_response_code_text(NULL, status);
}

/* The Origin header's value if it stands in the configured list, whole. */
static const char *allowed_origin(const struct http_exchange *x)
{
    const char *origin = http_header(x, "Origin");
    size_t size = origin ? strlen(origin) : 0;
    for (const char *at = x->settings->origins; size && *at;) {
        size_t item = strcspn(at, ",");
        if (item == size && strncmp(at, origin, size) == 0) return origin;
        at += item + (at[item] == ',');
    }
    return NULL;
}

static void add_cors(struct http_exchange *x, struct buf *out)
{
    if (!x->settings->origins[0]) return;
    (void)buf_add_text(out, "Vary: Origin\r\n");
    const char *origin = allowed_origin(x);
    if (!origin) return;
    (void)buf_add_format(out,
                         "Access-Control-Allow-Origin: %s\r\n"
                         "Access-Control-Allow-Credentials: true\r\n"
                         "Access-Control-Expose-Headers: ETag, X-Request-Id, Idempotent-Replayed, "
                         "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After\r\n",
                         origin);
    if (http_header(x, "Access-Control-Request-Method"))
        (void)buf_add_text(out, "Access-Control-Allow-Methods: GET, POST, PUT, DELETE\r\n"
                                "Access-Control-Allow-Headers: Authorization, Content-Type, "
                                "Idempotency-Key, X-CSRF-Token, If-None-Match, Last-Event-ID\r\n"
                                "Access-Control-Max-Age: 600\r\n");
}

static void add_head(struct http_exchange *x, struct buf *out, int status, const char *content_type)
{
    const char *connection = http_header(x, "Connection");
    if (!x->body_read || strcmp(x->info->http_version, "1.0") == 0 ||
        (connection && strcasecmp(connection, "close") == 0))
        x->close = true;
    if (x->close) mg_disable_connection_keep_alive(x->connection);
    (void)buf_add_format(out,
                         "HTTP/1.1 %d %s\r\n"
                         "X-Request-Id: %s\r\n"
                         "X-Content-Type-Options: nosniff\r\n"
                         "X-Frame-Options: DENY\r\n"
                         "Referrer-Policy: no-referrer\r\n"
                         "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n",
                         status, reason(status), x->request_id);
    if (x->settings->hsts)
        (void)buf_add_text(out, "Strict-Transport-Security: max-age=31536000\r\n");
    if (content_type) (void)buf_add_format(out, "Content-Type: %s\r\n", content_type);
    if (x->close) (void)buf_add_text(out, "Connection: close\r\n");
    add_cors(x, out);
    (void)buf_add(out, x->headers.data, x->headers.size);
}

static bool matches_etag(const struct http_exchange *x, const char *etag)
{
    const char *wanted = http_header(x, "If-None-Match");
    return wanted && (strcmp(wanted, "*") == 0 || strstr(wanted, etag));
}

/* A successful GET can be cached by its content: `true`, and the client has it already. */
static bool add_etag(const struct http_exchange *x, struct buf *out, const char *body, size_t size)
{
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1], etag[ETAG_SIZE];
    crypt_sha256(body, size, hash);
    hex_encode(hash, sizeof hash, hex);
    (void)snprintf(etag, sizeof etag, "\"%.32s\"", hex);
    (void)buf_add_format(out, "ETag: %s\r\n", etag);
    return matches_etag(x, etag);
}

void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body,
                 size_t size)
{
    CHECK(x->status == 0);
    AUTO_BUF struct buf out, etag;
    buf_init(&out, size + 16384);
    buf_init(&etag, 128);
    bool get = strcmp(x->verb, "GET") == 0;
    if (get && status == 200 && add_etag(x, &etag, body, size)) status = 304;
    add_head(x, &out, status, status == 304 || status == 204 ? NULL : content_type);
    (void)buf_add(&out, etag.data, etag.size);
    (void)buf_add_text(&out, get && (status == 200 || status == 304)
                                 ? "Cache-Control: private, no-cache\r\n"
                                 : "Cache-Control: no-store\r\n");
    bool empty = status == 304 || status == 204;
    if (!empty) (void)buf_add_format(&out, "Content-Length: %zu\r\n", size);
    (void)buf_add_text(&out, "\r\n");
    if (!empty && !x->head) (void)buf_add(&out, body, size);

    x->status = status;
    if (out.error) x->close = true; /* out of memory: the client sees the connection end */
    x->sent = out.size;
    if (mg_write(x->connection, out.data, out.size) <= 0) x->close = true;
    if (x->close) mg_disable_connection_keep_alive(x->connection);
}

/* ---- problems (RFC 9457) ---- */

static void add_field(struct buf *out, const char *name, const char *text)
{
    (void)buf_add_format(out, ",\"%s\":", name);
    (void)json_add_string(out, text, strlen(text));
}

static void problem_head(struct buf *out, int status, const char *code, const char *detail)
{
    (void)buf_add_format(out, "{\"type\":\"about:blank\",\"status\":%d", status);
    add_field(out, "title", reason(status));
    add_field(out, "code", code);
    add_field(out, "detail", detail);
}

static void answer_problem(struct http_exchange *x, int status, const char *code,
                           const char *detail, const struct rpc_status *fields)
{
    AUTO_BUF struct buf out;
    buf_init(&out, 65536);
    problem_head(&out, status, code, detail);
    add_field(&out, "instance", x->path);
    add_field(&out, "requestId", x->request_id);
    (void)buf_add_text(&out, ",\"errors\":[");
    for (size_t i = 0; fields && i < fields->error_count; i++) {
        const struct rpc_field_error *error = &fields->errors[i];
        (void)buf_add_text(&out, i ? ",{\"field\":" : "{\"field\":");
        (void)json_add_string(&out, error->field, strlen(error->field));
        add_field(&out, "reason", error->reason);
        (void)buf_add_char(&out, '}');
    }
    (void)buf_add_text(&out, "]}");
    http_answer(x, status, "application/problem+json", out.data, out.size);
}

void http_problem(struct http_exchange *x, const struct rpc_status *status)
{
    const char *code = status->reason[0] ? status->reason : err_word(status->err);
    /* What a server-side failure says may name its insides: the log and the request id tell the
     * rest. */
    bool ours = err_http(status->err) >= 500 && status->err != ERR_UNIMPLEMENTED;
    const char *detail = ours || !status->message[0] ? err_text(status->err) : status->message;
    answer_problem(x, err_http(status->err), code, detail, status);
}

void http_problem_text(struct http_exchange *x, enum err e, const char *format, ...)
{
    char text[ERR_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    answer_problem(x, err_http(e), err_word(e), text, NULL);
}

void http_problem_status(struct http_exchange *x, int status, const char *code, const char *detail)
{
    answer_problem(x, status, code, detail, NULL);
}

void http_problem_bare(struct mg_connection *connection, int status)
{
    AUTO_BUF struct buf body, out;
    buf_init(&body, 4096);
    buf_init(&out, 8192);
    problem_head(&body, status, "bad_request", "the request is malformed, too large or too slow");
    (void)buf_add_text(&body, ",\"errors\":[]}");
    (void)buf_add_format(&out,
                         "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
                         "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
                         "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                         status, reason(status), body.size, body.data);
    mg_disable_connection_keep_alive(connection);
    (void)mg_write(connection, out.data, out.size);
}

/* ---- streams ---- */

bool http_stream_begin(struct http_exchange *x, const char *content_type)
{
    CHECK(x->status == 0);
    AUTO_BUF struct buf out;
    buf_init(&out, 16384);
    x->status = 200;
    x->close = true; /* it ends when the connection does */
    add_head(x, &out, 200, content_type);
    (void)buf_add_text(&out, "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n\r\n");
    return !out.error && http_stream_write(x, out.data, out.size) && !x->head;
}

bool http_stream_write(struct http_exchange *x, const void *data, size_t size)
{
    int written = mg_write(x->connection, data, size);
    if (written > 0) x->sent += (size_t)written;
    return written == (int)size;
}
