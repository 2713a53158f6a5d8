/* The process' own series, as Prometheus' client libraries name them. Only metrics.c includes it.
 */
#ifndef BASE_METRICS_PROCESS_H
#define BASE_METRICS_PROCESS_H

#include "base/buf.h"

/* Appends process_*; what /proc does not tell is left out. Thread-safe; reads /proc. */
void metrics_write_process(struct buf *out);

#endif
