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
 * answered 204: the browser stops. A stream outlives its access token, but not its session. It
 * lives on a loop of the reactor, and ends when the client goes, is too slow, takes nothing for
 * SSE_STALLED_MS, or the gateway stops: then the last thing is another `retry:`, different for
 * each.
 */
#ifndef GATEWAY_SSE_H
#define GATEWAY_SSE_H

#include "auth.h"
#include "feed.h"
#include "http.h"
#include "hub.h"
#include "reactor.h"
#include "roster.h"
#include "workers.h"

#define SSE_HEARTBEAT_MS 15000
#define SSE_RETRY_MS     3000 /* what clients are told to wait before they come back */
#define SSE_RETRY_MAX_MS 8000 /* and when we stop: from SSE_RETRY_MS to this */
#define SSE_STALLED_MS   60000
#define SSE_END_MS       2000 /* to take what is left, when we stop */

struct sse_options {
    struct hub *hub; /* all borrowed */
    struct feed *feed;
    struct auth *auth; /* to ask for sessions that ended */
    struct roster *roster;
    struct reactor *reactor;
    struct workers *workers;
    size_t queue_bytes;   /* of a stream; 0: HUB_QUEUE_BYTES */
    int64_t heartbeat_ms; /* 0: SSE_HEARTBEAT_MS */
};

struct sse;
MUST_CHECK enum err sse_new(const struct sse_options *options, struct sse **ret);
void sse_free(struct sse *s); /* accepts NULL; after the reactor and the workers have ended */
/* Of connections that come from now on. Any thread. */
void sse_set_queue_bytes(struct sse *s, size_t queue_bytes);

/* Answers the request, or begins the stream, which then lives on the reactor. */
void sse_handle(struct sse *s, struct http_exchange *x, const struct principal *principal);

#endif
