/*
 * The WebSocket front: civetweb's frames in, the hub's frames out (RFC 6455, as strictly as
 * civetweb allows: it cannot show whether a client masked).
 *
 * A connection's reader is civetweb's thread; its writer a thread of its own, so that a slow client
 * makes nobody else wait. civetweb reuses its connection structs: a connection is registered in the
 * ready callback, left in the close callback, and never written to after that.
 */
#ifndef GATEWAY_WS_H
#define GATEWAY_WS_H

#include "base/err.h"
#include "hub.h"
#include "listener.h"

#define WS_MESSAGE_MAX (256 * 1024) /* bytes of a message from a client, all its fragments */
#define WS_PING_MS     20000
#define WS_DEAD_MS     60000 /* nothing heard, not even a pong: closed */

struct mg_context;
struct ws_front;

/* Serves "/ws" on a civetweb context. Called by the listener before it accepts. */
void ws_attach(struct ws_front *front, struct mg_context *context,
               const struct listener_policy *policy);

#endif
