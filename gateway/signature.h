/*
 * Signed requests of API keys: what is signed, when, and by whom. Pure; thread-safe; nothing
 * blocks.
 *
 * Signed are these lines, with a line feed between them and none at the end:
 *
 *   the method, as sent                          POST
 *   the path, as sent                            /api/v1/orders
 *   the query, as sent, without the ?            (empty where there is none)
 *   the key's id                                 X-API-KEY
 *   the timestamp                                X-API-TIMESTAMP
 *   the receive window                           X-API-RECV-WINDOW, or 5000 where it is absent
 *   SHA-256 of the body, 64 lower-case hex digits
 *
 * No line can have a line feed in it, so no two requests have the same text. On the WebSocket
 * `authenticate` is signed as a request of the method AUTHENTICATE to the path /ws.
 */
#ifndef GATEWAY_SIGNATURE_H
#define GATEWAY_SIGNATURE_H

#include "base/buf.h"
#include "base/crypt.h"
#include "base/rpc/rpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_WINDOW_MS     5000 /* that a request may be on its way, if it does not say */
#define SIGNATURE_WINDOW_MAX_MS 60000
#define SIGNATURE_AHEAD_MS      1000        /* that a client's clock may be before ours */
#define SIGNATURE_TEXT_MAX      (17 * 1024) /* of the lines: a head of 16 KiB and the rest */
#define SIGNATURE_SECRET_MAX    64

#define SIGNATURE_WS_METHOD     "AUTHENTICATE"
#define SIGNATURE_WS_PATH       "/ws"

/* All borrowed; none may be NULL but where it says so. */
struct signed_request {
    const char *method, *path, *query;
    const char *key_id;
    const char *timestamp; /* milliseconds since 1970, decimal; NULL: none came */
    const char *window;    /* milliseconds, decimal; NULL: none came */
    const char *signature; /* NULL: none came */
    const void *body;
    size_t body_size;
};

/* By how it is written: 64 lower-case hex digits, or 88 characters of base64. */
enum signature_form { SIGNATURE_HMAC, SIGNATURE_ED25519 };

/* What signatures of a key are verified with. */
struct signature_key {
    enum signature_form form;
    uint8_t bytes[SIGNATURE_SECRET_MAX]; /* the secret's text, or the public key */
    size_t size;
};

/* Is everything there and well-formed? ERR_INVALID: ret_status says which header and what would be
 * right. */
MUST_CHECK enum err signature_check(const struct signed_request *r, struct rpc_status *ret_status);
/* Of a checked request. ERR_RANGE: it is too old or too early; ret_until_ms is until when it is
 * good. */
MUST_CHECK enum err signature_time(const struct signed_request *r, int64_t now_ms,
                                   int64_t *ret_until_ms);
enum signature_form signature_form(const struct signed_request *r); /* of a checked one */
/* Appends the lines. ERR_EXHAUSTED, ERR_NO_MEMORY: ret's. */
MUST_CHECK enum err signature_text(const struct signed_request *r, struct buf *ret);
/*
 * Of a checked request with those lines. A key of the other form has signed nothing; how long it
 * takes depends on the request alone.
 */
bool signature_matches(const struct signed_request *r, const struct buf *text,
                       const struct signature_key *key);

#endif
