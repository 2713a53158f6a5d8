/* What we refuse before a handler sees it: civetweb is lax, we are strict around it (RFC 9110, RFC
 * 9112). */
#include "exchange.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/utf8.h"

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

/* How long the body is, in the one way that cannot be read in two. */
static int check_framing(struct http_exchange *x, const char **ret_why)
{
    unsigned lengths = 0, encodings = 0, hosts = 0;
    x->body_size = 0;
    for (int i = 0; i < x->info->num_headers; i++) {
        const struct mg_header *h = &x->info->http_headers[i];
        *ret_why = "a header has a character that is not allowed";
        if (!header_is_clean(h)) return 400;
        if (strcasecmp(h->name, "Host") == 0) hosts++;
        if (strcasecmp(h->name, "Content-Length") == 0) {
            lengths++;
            x->body_size = read_length(h->value);
        } else if (strcasecmp(h->name, "Transfer-Encoding") == 0) {
            encodings++;
            *ret_why = "the only Transfer-Encoding here is chunked";
            if (strcasecmp(h->value, "chunked") != 0) return 501;
        }
    }
    *ret_why = "there must be one Host header";
    if (hosts > 1 || (hosts == 0 && strcmp(x->info->http_version, "1.0") != 0)) return 400;
    *ret_why = "Content-Length must stand once, in digits, and not beside Transfer-Encoding";
    if (lengths > 1 || encodings > 1 || (lengths && encodings) || x->body_size == -2) return 400;
    if (encodings) x->body_size = -1;
    x->body_read = x->body_size == 0;
    return 0;
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
    for (const unsigned char *c = (const unsigned char *)raw; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || *c == '\\' || *c == '#') return 400;
    if (strcasestr(raw, "%2f") || strcasestr(raw, "%5c") ||
        !http_decode(raw, size, false, x->path, sizeof x->path) ||
        !utf8_valid(x->path, strlen(x->path)))
        return 400;
    *ret_why = "the path has a segment that is . or ..";
    for (const char *at = x->path; (at = strstr(at, "/.")); at++)
        if (strcspn(at + 1, "/") == strspn(at + 1, ".") && strspn(at + 1, ".") <= 2) return 400;
    return 0;
}

int http_check(struct http_exchange *x, const char **ret_why)
{
    x->begin_us = clock_mono_us();
    x->deadline_ms = x->begin_us / 1000 + x->settings->request_ms;
    id_format(id_random(), x->request_id);
    const char *parent = mg_get_header(x->connection, "traceparent");
    if (!parent || !trace_parse(parent, &x->trace)) x->trace = trace_new();
    x->trace = trace_child(x->trace);
    x->verb = x->info->request_method;
    x->head = strcmp(x->verb, "HEAD") == 0;
    if (x->head) x->verb = "GET";

    *ret_why = "too many headers; at most 63";
    if (x->info->num_headers > HTTP_HEADERS_MAX) return 431;
    int status = check_framing(x, ret_why);
    return status ? status : check_path(x, ret_why);
}
