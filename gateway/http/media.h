/*
 * What a request says its body is, and what it takes in return: Content-Type, Content-Encoding and
 * Accept (RFC 9110, sections 8.3, 8.4 and 12.5.1), as far as we need them. Pure.
 */
#ifndef GATEWAY_MEDIA_H
#define GATEWAY_MEDIA_H

#include <stdbool.h>

/* "application/json", whatever its parameters. NULL: no. */
bool media_is_json(const char *content_type);
/* Some range of an Accept header takes the media type, whatever its parameters, with a weight above
 * 0. NULL: yes. */
bool media_accepts(const char *accept, const char *type);
/* Some range is the media type itself: text/html, a browser that shows a page. NULL: no. */
bool media_names(const char *accept, const char *type);
/* The body is as it is, not compressed. NULL: yes. */
bool media_is_plain(const char *content_encoding);

#endif
