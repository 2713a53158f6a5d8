/*
 * Health for machines and people: /healthz (alive), /readyz (dependencies; 503 while starting or
 * draining), /health (status, uptime, version, each part), /metrics (Prometheus). Thread-safe;
 * /readyz and /health ask every part, each at most HEALTH_TIMEOUT_MS, and what they say is kept for
 * HEALTH_KEPT_MS; while one caller asks, the others are told what was seen last.
 */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include "base/cache/cache.h"
#include "calls.h"
#include "http.h"
#include "hub.h"

#define HEALTH_TIMEOUT_MS 1000
#define HEALTH_KEPT_MS    500

struct health;
/* All borrowed. */
MUST_CHECK enum err health_new(struct calls *calls, struct cache *cache, struct hub *hub,
                               struct health **ret);
void health_free(struct health *h);  /* accepts NULL */
void health_drain(struct health *h); /* from now on not ready */

/* OK: everything the gateway needs is there. Otherwise detail names what is missing. */
MUST_CHECK enum err health_ready(struct health *h, struct err_detail *detail);

/* The internal listener's paths. false: not one of them. */
bool health_handle_internal(struct health *h, struct http_exchange *x);
/* The contract's /health: its details only for those who may know them. */
void health_handle_public(struct health *h, struct http_exchange *x, bool details);

#endif
