/* The checked request's parts, its body, and the one answer. */
#include "exchange.h"

#include "base/clock.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define READ_SIZE            16384
#define HEAD_SIZE            1024 /* bytes of an answer's head, mostly */
#define WRITE_MIN_MS         2000 /* for an answer, however late it is */
#define HTTP_QUERY_NAME_SIZE 128

/* ---- the request ---- */

const char *http_verb(const struct http_exchange *x)
{
    return x->verb;
}

const char *http_path(const struct http_exchange *x)
{
    return x->path;
}

const char *http_sent_verb(const struct http_exchange *x)
{
    return x->info->request_method;
}

const char *http_sent_path(const struct http_exchange *x)
{
    return x->info->request_uri;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    for (int i = 0; i < x->info->num_headers; i++)
        if (strcasecmp(x->info->http_headers[i].name, name) == 0)
            return x->info->http_headers[i].value;
    return NULL;
}

const char *http_peer(const struct http_exchange *x)
{
    return x->peer;
}

bool http_is_tls(const struct http_exchange *x)
{
    return x->tls;
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

const struct http_settings *http_settings(const struct http_exchange *x)
{
    return x->settings;
}

void http_set_caller(struct http_exchange *x, const struct principal *principal)
{
    (void)snprintf(x->user_id, sizeof x->user_id, "%s", principal->user_id);
    (void)snprintf(x->key_id, sizeof x->key_id, "%s", principal->key_id);
}

int64_t http_deadline_ms(const struct http_exchange *x)
{
    return x->deadline_ms;
}

enum err http_query(struct http_exchange *x,
                    enum err (*visit)(void *arg, const char *name, const char *value), void *arg)
{
    char names[HTTP_QUERY_MAX][HTTP_QUERY_NAME_SIZE], value[HTTP_PATH_MAX + 1];
    size_t count = 0;
    const char *at = x->info->query_string;
    for (size_t size = 0; at && *at; at += size + (at[size] == '&')) {
        size = strcspn(at, "&");
        if (size == 0) continue;
        size_t name_size = strcspn(at, "=&");
        const char *text = at + name_size + (name_size < size);
        if (name_size == 0 || count == HTTP_QUERY_MAX ||
            !http_decode(at, name_size, true, names[count], HTTP_QUERY_NAME_SIZE) ||
            !http_decode(text, (size_t)(at + size - text), true, value, sizeof value) ||
            !utf8_valid(names[count], strlen(names[count])) || !utf8_valid(value, strlen(value)))
            return ERR_INVALID;
        for (size_t i = 0; i < count; i++)
            if (strcmp(names[i], names[count]) == 0) return ERR_INVALID;
        enum err e = visit(arg, names[count++], value);
        if (e) return e;
    }
    return OK;
}

const char *http_query_text(const struct http_exchange *x)
{
    return x->info->query_string ? x->info->query_string : "";
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

bool http_has_body(const struct http_exchange *x)
{
    return x->body_size != 0;
}

/* The rest of the body, as long as the cutter lets it come. */
static enum err read_body(struct http_exchange *x, size_t size_max, struct buf *ret)
{
    while (!x->body_read) {
        char *at = buf_reserve(ret, READ_SIZE);
        if (!at) return ret->error;
        int size = mg_read(x->connection, at, READ_SIZE);
        if (size < 0) return ERR_INVALID;
        buf_commit(ret, (size_t)size);
        if (ret->size > size_max) return ERR_EXHAUSTED;
        x->body_read = size == 0 || (int64_t)ret->size == x->body_size;
    }
    /* Fewer bytes than promised: the client has gone. */
    if (x->body_size >= 0 && (int64_t)ret->size != x->body_size) return ERR_INVALID;
    /*
     * Behind blank lines civetweb finds a request but loses count: it hands out the head, which it
     * has cut up with NULs, as the body, and would take the body for the next request. JSON has no
     * NULs; a route that takes other bodies must find another way to tell.
     */
    return memchr(ret->data, 0, ret->size) ? ERR_INVALID : OK;
}

enum err http_body(struct http_exchange *x, size_t size_max, struct buf *ret)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (x->body_size > (int64_t)size_max) return ERR_EXHAUSTED;
    if (x->body_read) return OK;
    if (x->body_size < 0) x->close = true; /* civetweb leaves the trailers of chunks lying around */
    if (http_header(x, "Expect") && strcmp(x->info->http_version, "1.1") == 0)
        (void)mg_write(x->connection, go_on, sizeof go_on - 1);

    struct cutter_wait wait = cutter_arm(x->cutter, x->socket, CUT_READING, x->deadline_ms);
    enum err e = read_body(x, size_max, ret);
    if (cutter_disarm(wait)) x->close = true;
    if (e == ERR_INVALID && clock_mono_ms() >= x->deadline_ms) e = ERR_TIMEOUT;
    if (e) x->body_read = false; /* whatever comes now is no request */
    return e;
}

/* ---- the answer ---- */

/* Every answer has a dozen of them: no need to print. */
static void add_line(struct buf *out, const char *name, const char *value)
{
    (void)buf_add_text(out, name);
    (void)buf_add_text(out, ": ");
    (void)buf_add_text(out, value);
    (void)buf_add_text(out, "\r\n");
}

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    CHECK(!strpbrk(value, "\r\n") && !strpbrk(name, "\r\n: "));
    add_line(&x->headers, name, value);
}

void http_set_csp(struct http_exchange *x, const char *csp)
{
    x->csp = csp;
}

void http_set_cache(struct http_exchange *x, const char *cache_control)
{
    x->cache_control = cache_control;
}

/* Statuses as RFC 9110 and RFC 6585 name them, and the words of those that HTTP itself refuses. */
static const struct status_name {
    int status;
    const char *reason, *code;
} status_names[] = {
    {100, "Continue", ""},
    {200, "OK", ""},
    {201, "Created", ""},
    {202, "Accepted", ""},
    {204, "No Content", ""},
    {304, "Not Modified", ""},
    {400, "Bad Request", "bad_request"},
    {401, "Unauthorized", "unauthenticated"},
    {403, "Forbidden", "permission_denied"},
    {404, "Not Found", "not_found"},
    {405, "Method Not Allowed", "method_not_allowed"},
    {406, "Not Acceptable", "not_acceptable"},
    {408, "Request Timeout", "request_timeout"},
    {409, "Conflict", "conflict"},
    {411, "Length Required", "length_required"},
    {413, "Content Too Large", "body_too_large"},
    {414, "URI Too Long", "uri_too_long"},
    {415, "Unsupported Media Type", "unsupported_media_type"},
    {417, "Expectation Failed", "expectation_failed"},
    {422, "Unprocessable Content", "failed_precondition"},
    {426, "Upgrade Required", "upgrade_required"},
    {429, "Too Many Requests", "rate_limited"},
    {431, "Request Header Fields Too Large", "headers_too_large"},
    {499, "Client Closed Request", "cancelled"},
    {500, "Internal Server Error", "internal"},
    {501, "Not Implemented", "unimplemented"},
    {503, "Service Unavailable", "unavailable"},
    {504, "Gateway Timeout", "deadline_exceeded"},
    {505, "HTTP Version Not Supported", "http_version_not_supported"},
    {507, "Insufficient Storage", "disk_full"},
};

static const struct status_name *status_name(int status)
{
    static const struct status_name unknown = {0, "Unknown", "unknown"};
    for (size_t i = 0; i < sizeof status_names / sizeof status_names[0]; i++)
        if (status_names[i].status == status) return &status_names[i];
    return &unknown;
}

/* The Origin header's value if it stands in the configured list, whole. */
static const char *allowed_origin(const struct http_exchange *x)
{
    const char *origin = http_header(x, "Origin");
    size_t size = origin ? strlen(origin) : 0;
    for (const char *at = x->settings->origins; size && *at;) {
        at += strspn(at, ", ");
        size_t item = strcspn(at, ", ");
        if (item == size && strncmp(at, origin, size) == 0) return origin;
        at += item;
    }
    return NULL;
}

/* Of "localhost:3333" or "[::1]:3333": what stands before the port. */
static size_t host_size(const char *text)
{
    return text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
}

bool http_origin_allowed(const struct http_exchange *x)
{
    const char *origin = http_header(x, "Origin"), *host = http_header(x, "Host");
    if (!origin || allowed_origin(x)) return true;
    const char *at = strstr(origin, "://");
    if (!at || !host) return false;
    size_t size = host_size(host);
    return host_size(at + 3) == size && strncasecmp(at + 3, host, size) == 0;
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
                         "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, "
                         "Deprecation, Sunset, Link, X-API-TIME\r\n",
                         origin);
    if (http_header(x, "Access-Control-Request-Method"))
        (void)buf_add_text(
            out, "Access-Control-Allow-Methods: GET, POST, PUT, DELETE\r\n"
                 "Access-Control-Allow-Headers: Authorization, Content-Type, "
                 "Idempotency-Key, X-CSRF-Token, If-None-Match, Last-Event-ID, traceparent, "
                 "X-API-KEY, X-API-TIMESTAMP, X-API-SIGNATURE, X-API-RECV-WINDOW\r\n"
                 "Access-Control-Max-Age: 600\r\n");
}

/* As civetweb will decide it, and HTTP/1.0 never: so that the client is told. */
static bool wants_keep_alive(const struct http_exchange *x)
{
    const char *connection = http_header(x, "Connection");
    return strcmp(x->info->http_version, "1.1") == 0 &&
           (!connection || strcasecmp(connection, "keep-alive") == 0);
}

/* A browser would insist on TLS there on every port, and most servers of a developer have none. */
static bool is_to_localhost(const struct http_exchange *x)
{
    static const char name[] = "localhost";
    const char *host = http_header(x, "Host");
    if (!host || strncasecmp(host, name, sizeof name - 1) != 0) return false;
    return host[sizeof name - 1] == 0 || host[sizeof name - 1] == ':';
}

static void add_head(struct http_exchange *x, struct buf *out, int status, const char *content_type)
{
    if (!x->close && (!x->body_read || !wants_keep_alive(x))) x->close = true;
    if (x->last && atomic_load(x->last)) x->close = true;
    (void)buf_add_format(out, "HTTP/1.1 %d %s\r\n", status, status_name(status)->reason);
    add_line(out, "X-Request-Id", x->request_id);
    add_line(out, "Content-Security-Policy",
             x->csp ? x->csp : "default-src 'none'; frame-ancestors 'none'");
    (void)buf_add_text(out, "X-Content-Type-Options: nosniff\r\n"
                            "X-Frame-Options: DENY\r\n"
                            "Referrer-Policy: no-referrer\r\n"
                            "Cross-Origin-Resource-Policy: same-origin\r\n");
    if (x->settings->hsts || (x->tls && !is_to_localhost(x)))
        (void)buf_add_text(out, "Strict-Transport-Security: max-age=31536000\r\n");
    if (content_type) add_line(out, "Content-Type", content_type);
    if (status == 401) (void)buf_add_text(out, "WWW-Authenticate: Bearer\r\n");
    if (x->close) (void)buf_add_text(out, "Connection: close\r\n");
    add_cors(x, out);
    (void)buf_add(out, x->headers.data, x->headers.size);
}

static bool matches_etag(const struct http_exchange *x, const char *etag)
{
    const char *wanted = http_header(x, "If-None-Match");
    return wanted && (strcmp(wanted, "*") == 0 || strstr(wanted, etag));
}

void http_etag(const char *body, size_t size, char ret[static HTTP_ETAG_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    crypt_sha256(body, size, hash);
    hex_encode(hash, sizeof hash, hex);
    (void)snprintf(ret, HTTP_ETAG_SIZE, "\"%.32s\"", hex);
}

void http_set_etag(struct http_exchange *x, const char *etag)
{
    x->etag = etag;
}

/* A successful GET can be cached by its content: `true`, and the client has it already. */
static bool add_etag(const struct http_exchange *x, struct buf *out, const char *body, size_t size)
{
    char own[HTTP_ETAG_SIZE];
    if (!x->etag) http_etag(body, size, own);
    const char *etag = x->etag ? x->etag : own;
    add_line(out, "ETag", etag);
    return matches_etag(x, etag);
}

/* false: the client has gone, or takes it too slowly. */
static bool write_all(struct http_exchange *x, const void *data, size_t size)
{
    int64_t now_ms = clock_mono_ms();
    int64_t limit_ms =
        x->deadline_ms > now_ms + WRITE_MIN_MS ? x->deadline_ms : now_ms + WRITE_MIN_MS;
    struct cutter_wait wait = cutter_arm(x->cutter, x->socket, CUT_BOTH, limit_ms);
    int written = mg_write(x->connection, data, size);
    (void)cutter_disarm(wait);
    if (written > 0) x->sent += (size_t)written;
    return written == (int)size;
}

void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body,
                 size_t size)
{
    CHECK(x->status == 0);
    AUTO_BUF struct buf out, etag;
    buf_init(&out, size + 16384);
    (void)buf_reserve(&out, size + HEAD_SIZE); /* at once; a failure stays in the buffer */
    buf_init(&etag, 128);
    bool get = strcmp(x->verb, "GET") == 0;
    if (get && status == 200 && add_etag(x, &etag, body, size)) status = 304;
    add_head(x, &out, status, status == 304 || status == 204 ? NULL : content_type);
    (void)buf_add(&out, etag.data, etag.size);
    bool empty = status == 304 || status == 204;
    const char *cache_control = "no-store";
    if (get && (status == 200 || status == 304))
        cache_control = x->cache_control ? x->cache_control : "private, no-cache";
    add_line(&out, "Cache-Control", cache_control);
    if (!empty) (void)buf_add_format(&out, "Content-Length: %zu\r\n", size);
    (void)buf_add_text(&out, "\r\n");
    if (!empty && !x->head) (void)buf_add(&out, body, size);

    x->status = status;
    if (out.error) x->close = true; /* out of memory: the client sees the connection end */
    if (!out.error && !write_all(x, out.data, out.size)) x->close = true;
    if (x->close) mg_disable_connection_keep_alive(x->connection);
}

bool http_is_answered(const struct http_exchange *x)
{
    return x->status != 0;
}

/* ---- problems (RFC 9457) ---- */

static void add_field(struct buf *out, const char *name, const char *text)
{
    (void)buf_add_format(out, ",\"%s\":", name);
    (void)json_add_string(out, text, strlen(text));
}

static void add_errors(struct buf *out, const struct rpc_status *fields)
{
    (void)buf_add_text(out, ",\"errors\":[");
    for (size_t i = 0; fields && i < fields->error_count; i++) {
        const struct rpc_field_error *error = &fields->errors[i];
        (void)buf_add_text(out, i ? ",{\"field\":" : "{\"field\":");
        (void)json_add_string(out, error->field, strlen(error->field));
        add_field(out, "reason", error->reason);
        (void)buf_add_char(out, '}');
    }
    (void)buf_add_text(out, "]}");
}

static void add_problem(const struct http_exchange *x, struct buf *out, int status,
                        const char *code, const char *detail)
{
    (void)buf_add_format(out, "{\"type\":\"about:blank\",\"status\":%d", status);
    add_field(out, "title", status_name(status)->reason);
    add_field(out, "code", code);
    add_field(out, "detail", detail);
    add_field(out, "instance", x->path);
    add_field(out, "requestId", x->request_id);
}

void http_problem_write(const struct http_exchange *x, const struct rpc_status *status,
                        struct buf *ret)
{
    const char *code = status->reason[0] ? status->reason : err_word(status->err);
    /* What a server-side failure says may name its insides: the log and the request id tell the
     * rest. */
    bool ours = err_http(status->err) >= 500 && status->err != ERR_UNIMPLEMENTED;
    const char *detail = ours || !status->message[0] ? err_text(status->err) : status->message;
    add_problem(x, ret, err_http(status->err), code, detail);
    add_errors(ret, status);
}

void http_problem(struct http_exchange *x, const struct rpc_status *status)
{
    AUTO_BUF struct buf out;
    buf_init(&out, HTTP_PROBLEM_MAX);
    http_problem_write(x, status, &out);
    http_answer(x, err_http(status->err), "application/problem+json", out.data, out.size);
}

void http_problem_status(struct http_exchange *x, int status, const char *code, const char *detail)
{
    AUTO_BUF struct buf out;
    buf_init(&out, HTTP_PROBLEM_MAX);
    add_problem(x, &out, status, code, detail);
    add_errors(&out, NULL);
    http_answer(x, status, "application/problem+json", out.data, out.size);
}

void http_problem_text(struct http_exchange *x, enum err e, const char *format, ...)
{
    char text[ERR_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    http_problem_status(x, err_http(e), err_word(e), text);
}

void http_refuse(struct http_exchange *x, int status, const char *why)
{
    x->close = true;
    http_problem_status(x, status, status_name(status)->code, why);
}

/* ---- streams ---- */

bool http_stream_begin(struct http_exchange *x, const char *content_type)
{
    CHECK(x->status == 0);
    AUTO_BUF struct buf out;
    buf_init(&out, 16384);
    x->status = 200;
    x->close = true; /* it ends when the connection does */
    mg_disable_connection_keep_alive(x->connection);
    add_head(x, &out, 200, content_type);
    (void)buf_add_text(&out, "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n\r\n");
    return !out.error && write_all(x, out.data, out.size) && !x->head;
}
