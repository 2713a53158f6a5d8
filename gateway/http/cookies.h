/*
 * The refresh token's cookie: HttpOnly, Secure, SameSite=Strict, for the paths of auth only. A
 * method whose reply is users.Tokens sets it; one whose request has a refresh_token field reads it.
 * Not thread-safe beyond the exchange; nothing blocks.
 */
#ifndef GATEWAY_COOKIES_H
#define GATEWAY_COOKIES_H

#include "http.h"
#include "proto/contract.h"

#define REFRESH_COOKIE "tp_refresh"

/*
 * Puts the cookie into the request where its method takes a refresh token and the body has none.
 * ERR_DENIED: a page asks whose origin is not allowed (http_origin_allowed); SameSite alone lets in
 * those of the same site. ERR_INVALID: malformed.
 */
MUST_CHECK enum err cookies_read(const struct http_exchange *x, ProtobufCMessage *request);
/* A refresh token that is not valid any more leaves the browser; not after a wrong password. */
void cookies_fail(struct http_exchange *x, const struct contract_method *method,
                  ProtobufCMessage *request, enum err e, bool secure);
/* Moves a reply's refresh token into the cookie; a logout clears it. */
void cookies_write(struct http_exchange *x, const struct contract_method *method,
                   ProtobufCMessage *reply, bool secure);

#endif
