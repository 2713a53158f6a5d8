/* Private to http*.c and listener.c: what an exchange is made of, and the only header that shows
 * civetweb. */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "http.h"

#include <civetweb.h>

#define HTTP_HEADERS_MAX     63   /* civetweb silently drops what comes after 64 */
#define HTTP_OWN_HEADERS_MAX 4096 /* bytes of http_add_header */
#define HTTP_USER_MAX        40

struct http_exchange {
    struct mg_connection *connection;
    const struct mg_request_info *info;
    const struct listener_policy *policy;
    const struct http_settings *settings;
    const char *verb;
    char path[HTTP_PATH_MAX + 1];
    char request_id[33];
    char user_id[HTTP_USER_MAX]; /* for the log */
    struct trace trace;
    int64_t begin_us, deadline_ms;
    int64_t body_size; /* -1: chunked */
    bool head;         /* HEAD: the answer has no body */
    bool body_read;    /* or there is none */
    bool close;        /* the connection ends with this answer */
    int status;        /* 0: not answered yet */
    size_t sent;
    struct buf headers;
};

/*
 * Judges a request as civetweb parsed it. 0: good, x is filled in. Otherwise the HTTP status to
 * refuse it with and ret_why; the connection must be closed. Pure but for the clock and the request
 * id.
 */
int http_check(struct http_exchange *x, const char **ret_why);

/* Decodes %XX (and '+' if plus) of size bytes into ret (NUL-terminated). false: a bad escape, NUL,
 * or full. */
bool http_decode(const char *text, size_t size, bool plus, char *ret, size_t ret_size);

/* Writes a problem for errors that civetweb makes before there is an exchange. */
void http_problem_bare(struct mg_connection *connection, int status);

#endif
