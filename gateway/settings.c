/* Configuration to settings. The ranges are config's; what no range can say is judged here. */
#include "settings.h"

#include <stdio.h>
#include <string.h>

/* As browsers send it: scheme, host, port if it is not the scheme's; no path, and no '/' at the
 * end. Anything else would never match. */
static bool is_origin(const char *text, size_t size)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t scheme = strlen(schemes[i]);
        if (size <= scheme || strncmp(text, schemes[i], scheme) != 0) continue;
        return strspn(text + scheme, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") >= size - scheme;
    }
    return false;
}

static enum err judge_origins(const char *origins, struct err_detail *detail)
{
    for (const char *at = origins + strspn(origins, ", "); *at; at += strspn(at, ", ")) {
        size_t size = strcspn(at, ", ");
        if (!is_origin(at, size))
            return err_set(detail, ERR_INVALID,
                           "gateway.origins: \"%.*s\" is no origin; \"https://example.com\" is one",
                           size < 60 ? (int)size : 60, at);
        at += size;
    }
    return OK;
}

static enum err read_networks(const struct config *c, const char *key, struct networks *ret,
                              struct err_detail *detail)
{
    struct err_detail why = {0};
    enum err e = networks_parse(config_string(c, key), ret, &why);
    return e ? err_set(detail, e, "%s: %s", key, why.text) : OK;
}

enum err settings_read(const struct config *c, struct settings *ret, struct err_detail *detail)
{
    const char *origins = config_string(c, "gateway.origins");
    enum err e = judge_origins(origins, detail);
    if (e) return e;
    struct http_settings *http = shared_alloc(sizeof *http);
    if (!http) return ERR_NO_MEMORY;
    (void)snprintf(http->origins, sizeof http->origins, "%s", origins);
    http->request_ms = config_int(c, "gateway.request_ms");
    http->body_max = (size_t)config_int(c, "gateway.body_max");
    http->recent_ms = config_int(c, "gateway.recent_ms");
    http->hsts = config_bool(c, "gateway.hsts");
    http->cookie_secure = config_bool(c, "gateway.cookie_secure");
    struct limits_rules rates;
    e = read_networks(c, "gateway.trusted_proxies", &http->trusted, detail);
    if (!e) e = limits_rules_read(c, &rates, detail);
    if (e) {
        shared_rele(http);
        return e;
    }
    *ret = (struct settings){
        .http = http,
        .rates = rates,
        .queue_bytes = (size_t)config_int(c, "gateway.queue_bytes"),
        .address_connections_max = (size_t)config_int(c, "gateway.address_connections_max"),
        .user_connections_max = (size_t)config_int(c, "gateway.user_connections_max"),
        .drain_ms = config_int(c, "gateway.drain_ms")};
    return OK;
}

void settings_release(struct settings *s)
{
    shared_rele(s->http);
    s->http = NULL;
}
