/*
 * The WebSocket front (RFC 6455): messages in to commands, frames out of the hub.
 *
 * civetweb parses the upgrade request and gives the connection a thread; from the 101 on this front
 * uses the socket itself. civetweb's own WebSocket would allocate whatever length a client's header
 * claims, hides masks, and cannot be interrupted. Here every header is judged before its payload is
 * read (ws_parser.h), one thread waits for the socket and the hub's queue together, a frame leaves
 * in one system call, and a slow client makes nobody else wait.
 *
 * We ping after WS_PING_MS and close what has not been heard for WS_DEAD_MS. A close is answered
 * with its own code; one that we begin waits WS_CLOSE_MS for the answer. The codes are the API's:
 * 1001 when we stop, 1002, 1003, 1007 and 1009 for what is malformed, binary, no UTF-8 or too long,
 * 4001 and 4003 for missing and bad credentials, 4008 for who reads too slowly.
 *
 * A client that sends frames before it has our 101 breaks the RFC and loses them.
 */
#ifndef GATEWAY_WS_H
#define GATEWAY_WS_H

#include "base/err.h"
#include "command.h"
#include "hub.h"
#include "listener.h"

#define WS_MESSAGE_MAX                                                                             \
    ((size_t)256 * 1024) /* bytes of a message from a client, all its fragments */
#define WS_PING_MS  20000
#define WS_DEAD_MS  60000 /* nothing heard, not even a pong: closed */
#define WS_CLOSE_MS 2000  /* for the other side's close, and for what is still to be written */

struct ws_options {
    struct hub *hub; /* both borrowed */
    struct commands *commands;
    size_t queue_bytes; /* of a connection; 0: HUB_QUEUE_BYTES */
    int64_t ping_ms;    /* 0: WS_PING_MS */
    int64_t dead_ms;    /* 0: WS_DEAD_MS */
};

struct ws_front;
MUST_CHECK enum err ws_front_new(const struct ws_options *options, struct ws_front **ret);
/* Accepts NULL. After the listeners have stopped: then its connections have ended. */
void ws_front_free(struct ws_front *front);

/* Serves an upgrade request on the listener's thread until the connection ends: after hub_close_all
 * within WS_CLOSE_MS. */
void ws_handle(struct ws_front *front, struct http_exchange *x);

#endif
