/*
 * Answers to commands, as JSON and as frames:
 *
 *   {"msgId":"7","ok":true,"result":{...}}
 *   {"msgId":"7","ok":false,"error":{"code":"..","message":"..","temporary":false}}
 *
 * with "errors":[{"field","reason"}] in the error where fields are wrong, and "retryAfterMs" where
 * a rate limit was reached. msgId is null in an answer to what had none. An answer longer than
 * ANSWER_WHOLE_MAX goes in parts of its text, cut between characters:
 *
 *   {"msgId":"7","part":1,"parts":3,"data":"{\"msgId\":\"7\",\"ok\":true..."}
 *
 * Thread-safe; nothing blocks.
 */
#ifndef GATEWAY_ANSWER_H
#define GATEWAY_ANSWER_H

#include "base/buf.h"
#include "base/rpc/rpc.h"
#include "hub.h"

#define ANSWER_WHOLE_MAX ((size_t)64 * 1024)
/* Bytes of text in a part: at most doubled by its quotes and backslashes, so a part is no longer
 * than a whole answer may be. */
#define ANSWER_PART_SIZE (ANSWER_WHOLE_MAX / 2 - 256)
#define ANSWER_MAX       ((size_t)512 * 1024) /* of all parts: half a queue */

/* notice: the field "deprecated", an object (gateway/deprecation.h); NULL: none. */
void answer_result(struct buf *out, const char *msg_id, const char *notice, const char *json,
                   size_t size);
void answer_error(struct buf *out, const char *msg_id, const char *notice,
                  const struct rpc_status *status);
/* retry_ms: until the same will be allowed. */
void answer_limited(struct buf *out, const char *msg_id, const char *message, int64_t retry_ms);

/* Queues the text for the connection. Without memory for it the connection is closed. */
void answer_send(struct hub_connection *c, const char *msg_id, const struct buf *text);

#endif
