/* What we refuse before a handler sees it: civetweb is lax, we are strict around it (RFC 9110, RFC
 * 9112). */
#include "exchange.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CONTENT_LENGTH_DIGITS 12 /* far beyond any body we take */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool http_decode(const char *text, size_t size, bool plus, char *ret, size_t ret_size)
{
    size_t out = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            if (size - i < 3) return false;
            int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
            if (high < 0 || low < 0) return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == 0 || out + 1 >= ret_size) return false;
        ret[out++] = c;
    }
    ret[out] = 0;
    return true;
}

/* The field-name's token and the field-value's bytes of RFC 9110, section 5. */
static bool header_is_clean(const struct mg_header *header)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    size_t size = strlen(header->name);
    if (size == 0 || strspn(header->name, token) != size) return false;
    for (const unsigned char *c = (const unsigned char *)header->value; *c; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f) return false;
    return true;
}

/* -2: not a number. */
static int64_t read_length(const char *text)
{
    size_t size = strlen(text);
    int64_t length = 0;
    if (size == 0 || size > CONTENT_LENGTH_DIGITS || strspn(text, "0123456789") != size) return -2;
    for (; *text; text++)
        length = length * 10 + (*text - '0');
    return length;
}

/* What may stand once only: two of them could be read in two ways. */
static bool stands_once(const char *name)
{
    static const char *const names[] = {"Host",
                                        "Content-Length",
                                        "Transfer-Encoding",
                                        "Content-Type",
                                        "Content-Encoding",
                                        "Cookie",
                                        "Authorization",
                                        "Idempotency-Key",
                                        "X-CSRF-Token",
                                        "X-API-KEY",
                                        "X-API-TIMESTAMP",
                                        "X-API-RECV-WINDOW",
                                        "X-API-SIGNATURE",
                                        "Expect",
                                        "Origin",
                                        "If-None-Match"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0) return true;
    return false;
}

static int check_headers(const struct mg_request_info *info, const char **ret_why)
{
    *ret_why = "too many headers; at most 63";
    if (info->num_headers > HTTP_HEADERS_MAX) return 431;
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *h = &info->http_headers[i];
        *ret_why = "a header has a character that is not allowed";
        if (!header_is_clean(h)) return 400;
        *ret_why = "a header stands twice that may stand only once";
        for (int k = 0; k < i; k++)
            if (strcasecmp(info->http_headers[k].name, h->name) == 0 && stands_once(h->name))
                return 400;
    }
    return 0;
}

/* RFC 9110, section 7.2, without commas: a list of hosts could be read in two ways. */
static bool is_host(const char *text)
{
    static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-._~%!$&'()*+;=:[]";
    return *text && text[strspn(text, host)] == 0;
}

/* How long the body is, in the one way that cannot be read in two. */
static int check_framing(struct http_exchange *x, const char **ret_why)
{
    const char *length = http_header(x, "Content-Length");
    const char *encoding = http_header(x, "Transfer-Encoding");
    const char *expect = http_header(x, "Expect");
    bool old = strcmp(x->info->http_version, "1.0") == 0;
    const char *host = http_header(x, "Host");
    *ret_why = "there must be one Host header, with a name";
    if (host ? !is_host(host) : !old) return 400;
    *ret_why = "Content-Length and Transfer-Encoding do not go together";
    if (length && encoding) return 400;
    *ret_why = "HTTP/1.0 has no Transfer-Encoding";
    if (encoding && old) return 400;
    *ret_why = "the only Transfer-Encoding here is chunked";
    if (encoding && strcasecmp(encoding, "chunked") != 0) return 501;
    *ret_why = "Content-Length must be a number";
    x->body_size = encoding ? -1 : length ? read_length(length) : 0;
    if (x->body_size == -2) return 400;
    *ret_why = "the only expectation here is 100-continue";
    if (expect && strcasecmp(expect, "100-continue") != 0) return 417;
    x->body_read = x->body_size == 0;
    return 0;
}

static bool is_plain_text(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f) return false;
    return utf8_valid(text, strlen(text));
}

/* What may stand unescaped in a path or a query, near enough: nothing that ends either. */
static bool is_target(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || *c == '#') return false;
    return true;
}

static int check_path(struct http_exchange *x, const char **ret_why)
{
    const char *raw = x->info->request_uri;
    *ret_why = "the request target must be a path that starts with /";
    if (!raw || raw[0] != '/') return 400;
    *ret_why = "the path is too long";
    size_t size = strlen(raw);
    if (size > HTTP_PATH_MAX) return 414;
    *ret_why = "the path has an escape or a character that is not allowed";
    const char *query = x->info->query_string;
    if (!is_target(raw) || strchr(raw, '\\') || (query && !is_target(query))) return 400;
    char path[HTTP_PATH_MAX + 1];
    if (strcasestr(raw, "%2f") || strcasestr(raw, "%5c") ||
        !http_decode(raw, size, false, path, sizeof path) || !is_plain_text(path))
        return 400;
    *ret_why = "the path has a segment that is . or ..";
    for (const char *at = path; (at = strstr(at, "/.")); at++)
        if (strcspn(at + 1, "/") == strspn(at + 1, ".") && strspn(at + 1, ".") <= 2) return 400;
    memcpy(x->path, path, strlen(path) + 1);
    return 0;
}

int http_check_lines(const struct mg_request_info *info, const char **ret_why)
{
    const char *method_end = info->request_method + strlen(info->request_method);
    const char *target = info->query_string ? info->query_string : info->request_uri;
    const char *version = target + strlen(target) + 1 + strlen("HTTP/");
    *ret_why = "the head must be lines that end in CRLF, with nothing between name and colon";
    if (info->request_uri != method_end + 1 || info->http_version != version) return 400;

    const char *end = version + strlen(version);
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *h = &info->http_headers[i];
        const char *name_end = h->name + strlen(h->name);
        if (h->name != end + 2) return 400;                          /* LF, or skipped */
        if (h->value > name_end + 1 && name_end[1] == 0) return 400; /* a blank before ':' */
        end = h->value + strlen(h->value);
    }
    if (end + 4 - info->request_method > HTTP_HEAD_MAX) {
        *ret_why = "request line and headers are too large";
        return 431;
    }
    if (info->num_headers > HTTP_HEADERS_MAX) return 0; /* those behind were not parsed */
    /* Without headers the blanks behind the version hide where the line ended. Only HTTP/1.0 may
     * have none (Host), and there the connection ends with the answer: nothing can follow. */
    if (!info->num_headers) return 0;
    /* Here stood CRLF CRLF. civetweb has made NULs of the first line end and the very last byte. */
    if (end[1] || end[2] != '\r' || end[3]) return 400;
    /* The trace is wiped, or a later and shorter head in the same buffer that ends in bare LFs
     * would find it behind itself and pass for strict. And should this one have ended in bare LFs,
     * with a CR and an old NUL behind it, then what follows begins with a NUL now: that is neither
     * a request nor a body. */
    ((char *)end)[2] = 0;
    return 0;
}

/* What proxies say counts only if we trust the one that is connected. */
static void find_client(struct http_exchange *x)
{
    const struct networks *trusted = &x->settings->trusted;
    const char *lines[HTTP_HEADERS_MAX + 1] = {NULL}, *proto = NULL;
    size_t count = 0;
    for (int i = 0; i < x->info->num_headers; i++) {
        const struct mg_header *h = &x->info->http_headers[i];
        if (strcasecmp(h->name, "X-Forwarded-For") == 0) lines[count++] = h->value;
        if (strcasecmp(h->name, "X-Forwarded-Proto") == 0) proto = h->value;
    }
    if (count)
        network_client(trusted, x->info->remote_addr, lines, count, x->peer);
    else
        (void)snprintf(x->peer, sizeof x->peer, "%.*s", (int)sizeof x->peer - 1,
                       x->info->remote_addr); /* one form already */
    x->tls = proto && strcasecmp(proto, "https") == 0 &&
             networks_contain_text(trusted, x->info->remote_addr);
}

void http_begin(struct http_exchange *x)
{
    find_client(x);
    x->begin_us = clock_mono_us();
    x->deadline_ms = x->begin_us / 1000 + x->settings->request_ms;
    x->verb = "";
    x->path[0] = '/';
    buf_init(&x->headers, HTTP_OWN_HEADERS_MAX);
    trace_id_format(trace_new(), x->request_id); /* unique is enough, and cheap */
    const char *parent = http_header(x, "traceparent");
    if (parent && trace_parse(parent, &x->trace))
        x->trace = trace_child(x->trace);
    else
        x->trace = trace_new();
}

int http_check(struct http_exchange *x, const char **ret_why)
{
    x->verb = x->info->request_method;
    x->head = strcmp(x->verb, "HEAD") == 0;
    if (x->head) x->verb = "GET";
    int status = check_headers(x->info, ret_why);
    if (!status) status = check_path(x, ret_why);
    return status ? status : check_framing(x, ret_why);
}
