/* Private to http*.c, listener.c and ws.c: what an exchange is made of. Apart from descriptor.c the
 * only ones that see civetweb. */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "cutter.h"
#include "http.h"

#include <civetweb.h>
#include <stdatomic.h>

#define HTTP_HEADERS_MAX     63   /* civetweb silently drops what comes after 64 */
#define HTTP_OWN_HEADERS_MAX 4096 /* bytes of http_add_header */
#define HTTP_USER_MAX        40

struct http_exchange {
    struct mg_connection *connection;
    const struct mg_request_info *info;
    const struct listener_policy *policy;
    const struct http_settings *settings; /* held */
    struct cutter *cutter;                /* NULL: nobody cuts a slow client */
    atomic_bool *last; /* true: we stop, the connection ends with this answer; may be NULL */
    int socket;        /* -1: not known, so not cut */
    const char *verb;
    char path[HTTP_PATH_MAX + 1];
    char peer[ADDRESS_TEXT_SIZE]; /* the client's address */
    bool tls;                     /* between it and a trusted proxy */
    char request_id[33];
    char user_id[HTTP_USER_MAX]; /* for the log, */
    char key_id[HTTP_USER_MAX];  /* and the API key, if it was one */
    struct trace trace;
    int64_t begin_us, deadline_ms;
    int64_t body_size; /* -1: chunked */
    bool head;         /* HEAD: the answer has no body */
    bool body_read;    /* or there is none */
    bool close;        /* the connection ends with this answer */
    int status;        /* 0: not answered yet */
    size_t sent;
    const char *csp, *cache_control, *etag; /* NULL: the usual */
    struct buf headers;
};

/* Fills in everything that does not depend on what the request says. */
void http_begin(struct http_exchange *x);

/*
 * Judges a request as civetweb parsed it. 0: good, x is filled in. Otherwise the HTTP status to
 * refuse it with and ret_why; the connection must be closed. Pure.
 */
int http_check(struct http_exchange *x, const char **ret_why);

/*
 * civetweb parses in place, and is lax: it takes a bare LF for a line's end, skips blanks, and
 * stops without a word at a line that is no header, such as a folded one. Its strings still lie in
 * the request's bytes, so where they begin and end tells whether the head was one request line and
 * header lines, each ended by CRLF, and nothing else. 0, 400, or 431: more than HTTP_HEAD_MAX
 * bytes.
 */
int http_check_lines(const struct mg_request_info *info, const char **ret_why);

/* Decodes %XX (and '+' if plus) of size bytes into ret (NUL-terminated). false: a bad escape, NUL,
 * or full. */
bool http_decode(const char *text, size_t size, bool plus, char *ret, size_t ret_size);

/* The one answer to what http_check or civetweb refused; the connection ends with it. */
void http_refuse(struct http_exchange *x, int status, const char *why);

#endif
