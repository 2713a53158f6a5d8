/*
 * Requests for tests of what stands behind civetweb: filled in by hand, or parsed from a head the
 * way civetweb 1.15 does it, in place and just as lax (parse_http_request there).
 */
#ifndef TESTS_SUPPORT_GATEWAY_REQUEST_H
#define TESTS_SUPPORT_GATEWAY_REQUEST_H

#include "exchange.h"

#include <ctype.h>
#include <string.h>

struct request {
    struct mg_request_info info;
    struct http_settings settings;
    struct listener_policy policy;
    struct http_exchange exchange;
};

/* A good GET of "/"; whoever needs another changes it. The exchange points into it: do not move. */
static inline void request_init(struct request *r)
{
    *r = (struct request){.settings = {.origins = "", .request_ms = 10000},
                          .policy = {"test", CALLER_ADMIN, NULL, false}};
    r->info.request_method = "GET";
    r->info.request_uri = "/";
    r->info.http_version = "1.1";
    r->exchange = (struct http_exchange){
        .info = &r->info, .policy = &r->policy, .settings = &r->settings, .socket = -1};
}

static inline void request_add(struct request *r, const char *name, const char *value)
{
    r->info.http_headers[r->info.num_headers].name = name;
    r->info.http_headers[r->info.num_headers++].value = value;
}

static inline int request_check(struct request *r, const char **ret_why)
{
    http_begin(&r->exchange);
    return http_check(&r->exchange, ret_why);
}

/* ---- as civetweb parses ---- */

static inline size_t lax_head_size(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 128 && c != '\r' && c != '\n' && !isprint(c)) return 0;
        if (i + 1 < size && text[i] == '\n' && text[i + 1] == '\n') return i + 2;
        if (i + 3 < size && memcmp(text + i, "\r\n\r\n", 4) == 0) return i + 4;
    }
    return 0;
}

static inline bool lax_end_word(char **at, bool line)
{
    while (isgraph((unsigned char)**at))
        (*at)++;
    if (line ? **at != '\r' && **at != '\n' : **at != ' ') return false;
    do
        *(*at)++ = 0;
    while (isspace((unsigned char)**at));
    return line || isgraph((unsigned char)**at);
}

static inline bool lax_headers(char *at, struct mg_request_info *ret)
{
    while (ret->num_headers < (int)MG_MAX_HEADERS) {
        char *name = at;
        while (*at != ':' && *at >= 33 && *at <= 126)
            at++;
        if (at == name) return true;
        while (*at == ' ')
            *at++ = 0;
        if (*at != ':') return false;
        *at++ = 0;
        while (*at == ' ' || *at == '\t')
            at++;
        char *value = at;
        while (*at && *at != '\r' && *at != '\n')
            at++;
        if (*at == '\r') {
            *at++ = 0;
            if (*at != '\n') return false;
        }
        ret->http_headers[ret->num_headers].name = name;
        ret->http_headers[ret->num_headers++].value = value;
        if (!*at) return true;
        *at++ = 0;
        if (*at == '\r' || *at == '\n') return true;
    }
    return true;
}

/* text: size bytes and room for 4 more, changed in place. false: civetweb refuses it itself. */
static inline bool lax_parse(char *text, size_t size, struct mg_request_info *ret)
{
    static const char *const verbs[] = {"GET",    "HEAD",  "POST",    "PUT",
                                        "DELETE", "PATCH", "OPTIONS", "CONNECT"};
    while (size && isspace((unsigned char)*text)) {
        text++;
        size--;
    }
    size_t head = lax_head_size(text, size);
    if (head == 0) return false;
    text[head - 1] = 0;
    ret->request_method = text;
    if (!lax_end_word(&text, false)) return false;
    ret->request_uri = text;
    if (!lax_end_word(&text, false)) return false;
    ret->http_version = text + strlen("HTTP/");
    char *version = text;
    if (!lax_end_word(&text, true) || strncmp(version, "HTTP/", 5) != 0) return false;
    if (strcmp(ret->http_version, "1.1") != 0 && strcmp(ret->http_version, "1.0") != 0)
        return false;
    bool known = false;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        known = known || strcmp(ret->request_method, verbs[i]) == 0;
    if (!known || !lax_headers(text, ret)) return false;
    char *query = strchr(ret->request_uri, '?');
    if (query) {
        *query = 0;
        ret->query_string = query + 1;
    }
    return true;
}

#endif
