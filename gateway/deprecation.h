/*
 * Who calls a method that will be gone is told so with every answer (docs/versioning.md), and
 * counted, so that operators see what would break: tradepost_gateway_deprecated_calls_total by
 * method and front. Thread-safe; nothing blocks. With a method that is not deprecated nothing
 * happens.
 */
#ifndef GATEWAY_DEPRECATION_H
#define GATEWAY_DEPRECATION_H

#include "http.h"
#include "proto/contract.h"

/* REST, before the answer: the headers Deprecation, Sunset and Link; counts. */
void deprecation_tell(struct http_exchange *x, const struct contract_method *method);

/* WebSocket: the answer's field "deprecated", an object; NULL: none. Counts. */
const char *deprecation_notice(const struct contract_method *method);

#endif
