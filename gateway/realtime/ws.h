/*
 * The WebSocket front (RFC 6455): messages in to commands, frames out of the hub.
 *
 * civetweb parses the upgrade request; from the 101 on the socket is ours (http_take_over) and
 * lives on a loop of the reactor, as a small state machine: what was read, what is to be written,
 * when it is looked at next. Every header is judged before its payload is read (ws_parser.h). What
 * messages mean may block, so the workers do it, a connection's one at a time and in order; a
 * connection with WS_WAITING_MAX of them waiting is not read until there are fewer. A slow client
 * makes nobody else wait.
 *
 * We ping after WS_PING_MS and close what has not been heard for WS_DEAD_MS; a message that is not
 * whole so long after its first frame began is not waited for either (1008), or whoever begins
 * messages and ends none would hold memory for ever; nor is who takes nothing of what waits for it
 * so long. A close is answered with its own code; one that we begin waits WS_CLOSE_MS for the
 * answer. The codes are the API's:
 * 1001 when we stop, 1002, 1003, 1007 and 1009 for what is malformed, binary, no UTF-8 or too long,
 * 4001 and 4003 for missing and bad credentials, 4008 for who reads too slowly, 4009 for a user
 * with too many connections. With 1001 comes when to try again: "going away; retry in 1234 ms",
 * another time for each.
 *
 * A browser's Origin must be among gateway.origins or this host's own; others send none. A client
 * that sends frames before it has our 101 breaks the RFC and loses them.
 */
#ifndef GATEWAY_WS_H
#define GATEWAY_WS_H

#include "base/err.h"
#include "command.h"
#include "hub.h"
#include "listener.h"
#include "reactor.h"
#include "roster.h"
#include "workers.h"

#define WS_MESSAGE_MAX                                                                             \
    ((size_t)256 * 1024) /* bytes of a message from a client, all its fragments */
#define WS_PING_MS  20000
#define WS_DEAD_MS  60000 /* nothing heard, not even a pong: closed */
#define WS_CLOSE_MS 2000  /* for the other side's close, and for what is still to be written */
#define WS_WAITING_MAX                                                                             \
    16 /* messages of a connection that wait for a worker; together they are no                    \
        * longer than two of WS_MESSAGE_MAX */
#define WS_RETRY_MIN_MS 500 /* when to come back, after 1001 */
#define WS_RETRY_MAX_MS 5000

struct ws_options {
    struct hub *hub; /* all borrowed */
    struct commands *commands;
    struct roster *roster;
    struct reactor *reactor;
    struct workers *workers;
    size_t queue_bytes; /* of a connection; 0: HUB_QUEUE_BYTES */
    int64_t ping_ms;    /* 0: WS_PING_MS */
    int64_t dead_ms;    /* 0: WS_DEAD_MS */
};

struct ws_front;
MUST_CHECK enum err ws_front_new(const struct ws_options *options, struct ws_front **ret);
/* Accepts NULL. After the reactor and the workers have ended. */
void ws_front_free(struct ws_front *front);
/* Of connections that come from now on. Any thread. */
void ws_front_set_queue_bytes(struct ws_front *front, size_t queue_bytes);

/* Answers an upgrade request. The connection then lives on the reactor until its end: after
 * hub_close_all within WS_CLOSE_MS. */
void ws_handle(struct ws_front *front, struct http_exchange *x);

#endif
