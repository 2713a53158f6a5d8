/*
 * HTTP as handlers see it: a checked request, and one answer. Nothing here is civetweb's.
 *
 * Before a handler runs the request was refused (problem JSON, and the connection ends) if its head
 * is not strictly of lines that end in CRLF, its framing can be read in two ways (duplicate or odd
 * Content-Length, Transfer-Encoding beside it or other than chunked), it has 64 headers or more or
 * one of them twice that may stand once, its target is not a path, or its path has control
 * characters, an encoded slash, a bad escape, a segment . or .., or is not UTF-8. One exchange
 * belongs to one thread; strings live as long as it.
 */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/network.h"
#include "base/rpc/rpc.h"
#include "base/shared.h"
#include "base/trace.h"
#include "listener.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_PATH_MAX    2048
#define HTTP_BODY_MAX    (1024 * 1024) /* of any route; a route may allow less */
#define HTTP_HEAD_MAX    16384         /* bytes of the request line and the headers */
#define HTTP_QUERY_MAX   32            /* parameters */
#define HTTP_PROBLEM_MAX 65536         /* bytes of a problem */
#define HTTP_ORIGINS_MAX 4096          /* bytes of the list of origins */

struct http_exchange;

/* The same for every listener; a request keeps to those that were current when it began. */
struct http_settings {
    char origins[HTTP_ORIGINS_MAX + 1]; /* that browsers may call from: exact, comma-separated */
    struct networks trusted;            /* proxies that are believed about who calls and how */
    int64_t request_ms; /* for the whole request: its body, the handler, the answer */
    size_t body_max;    /* bytes of a request's body */
    int64_t recent_ms;  /* so old may be an answer that is the same for everybody */
    bool hsts;          /* for everybody; else for who came over TLS, not to localhost */
    bool cookie_secure; /* so for refresh cookies: not only for who came over TLS */
};

/* "GET"; HEAD arrives as GET and loses the body of its answer. */
const char *http_verb(const struct http_exchange *x);
const char *http_path(const struct http_exchange *x); /* decoded, without the query */
/* As they came, for who signs them: the verb, also HEAD; the path with its escapes. */
const char *http_sent_verb(const struct http_exchange *x);
const char *http_sent_path(const struct http_exchange *x);
const char *http_header(const struct http_exchange *x, const char *name); /* NULL: absent */
/* The client's address: of who connected, or whom trusted proxies name in X-Forwarded-For. */
const char *http_peer(const struct http_exchange *x);
/* A trusted proxy says that the client came over TLS (X-Forwarded-Proto: https). */
bool http_is_tls(const struct http_exchange *x);
const char *http_request_id(const struct http_exchange *x); /* 32 hex digits, ours */
struct trace http_trace(const struct http_exchange *x);
const struct listener_policy *http_policy(const struct http_exchange *x);
const struct http_settings *http_settings(const struct http_exchange *x);
/*
 * Nobody's, one of the configured origins, or the same host's on any port (pages and WebSockets
 * have different ones): a page of another host may not connect.
 */
bool http_origin_allowed(const struct http_exchange *x);
/* Who it turned out to be: for the log line. */
void http_set_caller(struct http_exchange *x, const struct principal *principal);
/* Monotonic: when the answer must have left. */
int64_t http_deadline_ms(const struct http_exchange *x);

/* Visits the decoded query parameters in order; stops at an error and returns it. ERR_INVALID, not
 * of the visitor's: a bad escape, no UTF-8, no name, the same name twice, more than HTTP_QUERY_MAX.
 */
MUST_CHECK enum err http_query(struct http_exchange *x,
                               enum err (*visit)(void *arg, const char *name, const char *value),
                               void *arg);
const char *http_query_text(const struct http_exchange *x); /* as it came; "" for none */
/* A cookie's value into ret. ERR_NOT_FOUND. ERR_EXHAUSTED: longer than size. */
MUST_CHECK enum err http_cookie(const struct http_exchange *x, const char *name, char *ret,
                                size_t size);
/* A body follows the head, of whatever length. */
bool http_has_body(const struct http_exchange *x);
/*
 * The whole body (answers 100-continue first). ERR_EXHAUSTED: more than size_max bytes.
 * ERR_TIMEOUT: it came too slowly. ERR_INVALID: bad chunks, cut short, or with a NUL.
 */
MUST_CHECK enum err http_body(struct http_exchange *x, size_t size_max, struct buf *ret);

/* Before the answer: a header of its own ("Set-Cookie"). Values with control characters are a bug.
 */
void http_add_header(struct http_exchange *x, const char *name, const char *value);
/* Before the answer: its Content-Security-Policy ("default-src 'none'; frame-ancestors 'none'"
 * unless a page needs more), and its Cache-Control (no-store; for a successful GET "private,
 * no-cache"). Borrowed until the answer. */
void http_set_csp(struct http_exchange *x, const char *csp);
void http_set_cache(struct http_exchange *x, const char *cache_control);
/* What ETag a body has, and that the answer has this one: for who gives the same body often.
 * Borrowed until the answer. */
#define HTTP_ETAG_SIZE 35 /* quotes, 32 hex digits, NUL */
void http_etag(const char *body, size_t size, char ret[static HTTP_ETAG_SIZE]);
void http_set_etag(struct http_exchange *x, const char *etag);
/* The one answer: headers, security headers, CORS, ETag (and 304) for GET, body. A second one is a
 * bug. */
void http_answer(struct http_exchange *x, int status, const char *content_type, const char *body,
                 size_t size);
bool http_is_answered(const struct http_exchange *x);
/* RFC 9457 problem JSON from a status: err_http(), the reason or err_word() as code, field errors.
 */
void http_problem(struct http_exchange *x, const struct rpc_status *status);
void http_problem_text(struct http_exchange *x, enum err e, const char *format, ...)
    PRINTF_LIKE(3, 4);
void http_problem_status(struct http_exchange *x, int status, const char *code, const char *detail);

/* The text of http_problem, to answer with err_http() as application/problem+json: for who keeps
 * it.
 */
void http_problem_write(const struct http_exchange *x, const struct rpc_status *status,
                        struct buf *ret);

/* The head of a stream (SSE); what follows is written by who takes the socket over. false: the
 * client has gone, or wanted no more (HEAD). */
bool http_stream_begin(struct http_exchange *x, const char *content_type);
/*
 * For what stays connected: the client's socket, which no longer blocks, is now the caller's; the
 * thread and civetweb are done with it when the handler returns. After the answer, and the last
 * thing done with the exchange but http_set_caller. Bytes that the client sent before it had the
 * answer may be lost. -1: no descriptor is left, or the client has gone.
 */
int http_take_over(struct http_exchange *x);

#endif
