/*
 * The SSE front: GET /api/v1/stream?channels=prices:BTC-USDT,trades:BTC-USDT
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 *   id: 1769903999123-42
 *   data: {"type":"market.trade","channel":"trades:BTC-USDT",...}
 *
 * Events have no `event:` field, so that a browser's onmessage gets them all; but "event: resync"
 * where the past is gone. The id (cursor.h) resumes: Last-Event-ID, which browsers send by
 * themselves, or lastEventId= in the query. The stream begins with `retry:` and its id; every
 * SSE_HEARTBEAT_MS comes a comment, with the id, which goes on while others' events pass.
 *
 * Channels of one's own need a token. Who comes back for them without one (logged out meanwhile) is
 * answered 204: the browser stops. A stream outlives its access token, but not its session. A
 * stream holds the listener's thread, so at most streams_max of them run. It ends when the client
 * goes (noticed within a second), is too slow, or the gateway stops; then it comes back by itself.
 */
#ifndef GATEWAY_SSE_H
#define GATEWAY_SSE_H

#include "auth.h"
#include "feed.h"
#include "http.h"
#include "hub.h"

#define SSE_HEARTBEAT_MS 15000
#define SSE_RETRY_MS     3000 /* what clients are told to wait before they come back */

struct sse_options {
    struct hub *hub; /* all borrowed */
    struct feed *feed;
    struct auth *auth; /* to ask for sessions that ended */
    unsigned streams_max;
    size_t queue_bytes;   /* of a stream; 0: HUB_QUEUE_BYTES */
    int64_t heartbeat_ms; /* 0: SSE_HEARTBEAT_MS */
};

struct sse;
MUST_CHECK enum err sse_new(const struct sse_options *options, struct sse **ret);
/* Accepts NULL. After the listeners have stopped: then its streams have ended. */
void sse_free(struct sse *s);

/* Answers the request, or streams until the end: after hub_close_all at once, unless the client
 * does not read; then when the listener stops. Blocks as long. */
void sse_handle(struct sse *s, struct http_exchange *x, const struct principal *principal);

#endif
