/*
 * Prometheus metrics (text format 0.0.4): counters, gauges and histograms, by name and labels.
 *
 * A metric is registered once and lives as long as the process; registering the same name and
 * labels again returns the same metric, so parts in one process share. Updates are atomic and never
 * block. Names follow Prometheus' rules: tradepost_ prefix, base units, _total for counters.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define METRICS_MAX                                                                                \
    4096 /* series; beyond it one shared overflow series absorbs, and is counted                   \
          */

struct counter;
struct gauge;
struct histogram;

/*
 * labels: `method="wallet.Wallet/Hold",code="OK"`, already in exposition syntax, or NULL. Values
 * must not come from users. Never NULL.
 */
struct counter *metrics_counter(const char *name, const char *help, const char *labels);
struct gauge *metrics_gauge(const char *name, const char *help, const char *labels);
/* Buckets in seconds from 0.00005 to 10, good for latencies; observe in microseconds. */
struct histogram *metrics_histogram(const char *name, const char *help, const char *labels);

void counter_add(struct counter *c, uint64_t n);
uint64_t counter_value(const struct counter *c);
void gauge_set(struct gauge *g, int64_t value);
void gauge_add(struct gauge *g, int64_t n);
int64_t gauge_value(const struct gauge *g);
void histogram_observe_us(struct histogram *h, int64_t microseconds);

/* Appends every series, and process_* from /proc/self. May read /proc. */
MUST_CHECK enum err metrics_write(struct buf *out);

#endif
