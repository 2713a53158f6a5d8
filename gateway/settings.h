/*
 * What of the gateway's configuration may change while it runs: read from a configuration whole, at
 * the start and at each reload. Pure.
 */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include "base/config.h"
#include "http.h"
#include "rate_rules.h"

#define DRAIN_MS_MAX 60000

struct settings {
    const struct http_settings *http; /* held */
    struct limits_rules rates;
    size_t queue_bytes; /* of a connection */
    size_t address_connections_max, user_connections_max;
    int64_t drain_ms; /* from not being ready to refusing connections */
};

/* ERR_INVALID: an origin is none, a rate, a network (detail says which and what would be right);
 * ERR_NO_MEMORY. The caller releases. */
MUST_CHECK enum err settings_read(const struct config *c, struct settings *ret,
                                  struct err_detail *detail);
void settings_release(struct settings *s); /* accepts a zeroed one */

#endif
