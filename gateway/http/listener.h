/*
 * Listeners: one civetweb context per port, each with a policy. Only http.c, listener.c, ws.c and
 * sse.c know civetweb. A request reaches a handler checked (http.h); what is not well-formed was
 * refused before.
 */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include "base/err.h"
#include "proto/contract.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_exchange; /* http.h: one request and its answer */
struct shared_slot;   /* base/shared.h */
struct ws_front;      /* ws.h: the WebSocket front, NULL where there is none */

/* What a listener lets through. */
struct listener_policy {
    const char *name;       /* "rest", "main", "login", "guest", "internal" */
    enum caller caller_max; /* CALLER_GUEST on the guest listener: nothing above is reachable */
    const char *commands;   /* offered: "auth.*,help" (policy.h); NULL, "": all */
    bool needs_auth;        /* a WebSocket must authenticate within 10 s (main) */
};

typedef void http_handler(void *context, struct http_exchange *x);

struct listener_options {
    struct listener_policy policy;
    const char *address;   /* "127.0.0.1" */
    unsigned port;         /* 0 picks one */
    unsigned threads;      /* connections served at once */
    http_handler *handler; /* every request that is no WebSocket upgrade on /ws */
    void *context;
    struct shared_slot
        *settings;       /* of struct http_settings; borrowed, as long as the listener lives */
    struct ws_front *ws; /* borrowed; NULL: no WebSocket here */
};

struct listener;
/* ERR_UNAVAILABLE: the address is taken (detail says which). */
MUST_CHECK enum err listener_start(const struct listener_options *options, struct listener **ret,
                                   struct err_detail *detail);
unsigned listener_port(const struct listener *l);
/*
 * From now on who connects is refused. Requests in flight are answered, at most grace_ms long less
 * LISTENER_STOP_MS, and their connections end; then those that are idle end; what is still there
 * LISTENER_STOP_MS later, a WebSocket whose client does not close, or who has never sent a request,
 * is cut off. Several listeners are told before the first is waited for. Accepts NULL; does not
 * block.
 */
#define LISTENER_STOP_MS 2000
void listener_begin_stop(struct listener *l, int64_t grace_ms);
void listener_stop(struct listener *l); /* accepts NULL; waits for its handlers */

#endif
