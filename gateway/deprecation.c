/* The headers, the notice, the count. */
#include "deprecation.h"

#include "base/metrics.h"

#include <stdio.h>

static void count(const struct contract_method *method, const char *front)
{
    char labels[256];
    (void)snprintf(labels, sizeof labels, "method=\"%s\",front=\"%s\"", method->name, front);
    counter_add(metrics_counter("tradepost_gateway_deprecated_calls_total",
                                "Calls of methods that will be gone", labels),
                1);
}

void deprecation_tell(struct http_exchange *x, const struct contract_method *method)
{
    if (!method->deprecated) return;
    http_add_header(x, "Deprecation", method->deprecated->deprecation);
    http_add_header(x, "Sunset", method->deprecated->sunset);
    http_add_header(x, "Link", method->deprecated->link);
    count(method, "rest");
}

const char *deprecation_notice(const struct contract_method *method)
{
    if (!method->deprecated) return NULL;
    count(method, "websocket");
    return method->deprecated->json;
}
