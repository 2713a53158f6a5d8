/*
 * The registry: families in order of registration, each with its series. Both live for ever, so
 * that updates need no lock: only registration and writing take it, and writing makes nobody but
 * those wait.
 */
#include "base/metrics.h"

#include "base/metrics_process.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static const struct {
    int64_t most_us;
    const char *seconds;
} buckets[] = {
    {50, "0.00005"},  {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},
    {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},
    {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"},
    {5000000, "5"},   {10000000, "10"},
};
#define BUCKETS (sizeof buckets / sizeof buckets[0])

struct counter {
    _Atomic uint64_t value;
};

struct gauge {
    _Atomic int64_t value;
};

struct histogram {
    _Atomic uint64_t sum_us;
    _Atomic uint64_t counts[BUCKETS + 1]; /* not cumulative; the last one is for more than all */
};

struct series {
    struct series *next;
    char *labels; /* "" for none */
    union {
        struct counter counter;
        struct gauge gauge;
        struct histogram histogram;
    };
};

struct family {
    struct family *next;
    enum metric_type type;
    char *name, *help;
    struct series *first, **end;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct family *families, **families_end = &families; /* by mutex */
static size_t series_count;                                 /* by mutex */

/* Where updates go that got no series of their own: nothing shows them, but how many there are is
 * shown. */
static struct series overflow[METRIC_HISTOGRAM + 1];
static struct counter refused;

/* [a-zA-Z_:][a-zA-Z0-9_:]* */
static bool is_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isalpha((unsigned char)text[i]) && text[i] != '_' && text[i] != ':' &&
            (i == 0 || !isdigit((unsigned char)text[i])))
            return false;
    return size > 0;
}

/* The end of a quoted value that begins at text, after its second quote; NULL: it is none. */
static const char *skip_value(const char *text)
{
    if (*text++ != '"') return NULL;
    for (; *text != '"'; text++) {
        if (*text == '\\' && !strchr("\\\"n", *++text)) return NULL;
        if (*text == 0 || *text == '\n') return NULL;
    }
    return text + 1;
}

/* name="value",name="value"; or nothing. */
static bool are_labels(const char *text)
{
    if (!*text) return true;
    for (;; text++) {
        size_t name_size = strcspn(text, "=");
        if (!is_name(text, name_size) || text[name_size] != '=') return false;
        text = skip_value(text + name_size + 1);
        if (!text) return false;
        if (*text != ',') return *text == 0;
    }
}

/* Holding the mutex. NULL: out of memory, or it would be one beyond METRICS_MAX. */
static struct family *find_family(const char *name, const char *help, enum metric_type type)
{
    for (struct family *f = families; f; f = f->next) {
        if (strcmp(f->name, name) != 0) continue;
        CHECK(f->type == type); /* one name, one type */
        return f;
    }
    struct family *f = series_count < METRICS_MAX ? calloc(1, sizeof *f) : NULL;
    if (!f) return NULL;
    *f =
        (struct family){.type = type, .name = strdup(name), .help = strdup(help), .end = &f->first};
    if (!f->name || !f->help) {
        free(f->name);
        free(f->help);
        free(f);
        return NULL;
    }
    *families_end = f;
    families_end = &f->next;
    return f;
}

/* Holding the mutex. NULL: out of memory, or METRICS_MAX reached. */
static struct series *find_series(struct family *f, const char *labels)
{
    for (struct series *s = f->first; s; s = s->next)
        if (strcmp(s->labels, labels) == 0) return s;
    if (series_count == METRICS_MAX) return NULL;
    struct series *s = calloc(1, sizeof *s);
    char *copy = strdup(labels);
    if (!s || !copy) {
        free(s);
        free(copy);
        return NULL;
    }
    s->labels = copy;
    *f->end = s;
    f->end = &s->next;
    series_count++;
    return s;
}

static struct series *register_series(const char *name, const char *help, const char *labels,
                                      enum metric_type type)
{
    if (!labels) labels = "";
    CHECK(is_name(name, strlen(name)) && are_labels(labels));
    pthread_mutex_lock(&mutex);
    struct family *f = find_family(name, help, type);
    struct series *s = f ? find_series(f, labels) : NULL;
    pthread_mutex_unlock(&mutex);
    if (s) return s;
    counter_add(&refused, 1);
    return &overflow[type];
}

struct counter *metrics_counter(const char *name, const char *help, const char *labels)
{
    return &register_series(name, help, labels, METRIC_COUNTER)->counter;
}

struct gauge *metrics_gauge(const char *name, const char *help, const char *labels)
{
    return &register_series(name, help, labels, METRIC_GAUGE)->gauge;
}

struct histogram *metrics_histogram(const char *name, const char *help, const char *labels)
{
    return &register_series(name, help, labels, METRIC_HISTOGRAM)->histogram;
}

void counter_add(struct counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}

uint64_t counter_value(const struct counter *c)
{
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

void gauge_set(struct gauge *g, int64_t value)
{
    atomic_store_explicit(&g->value, value, memory_order_relaxed);
}

void gauge_add(struct gauge *g, int64_t n)
{
    atomic_fetch_add_explicit(&g->value, n, memory_order_relaxed);
}

int64_t gauge_value(const struct gauge *g)
{
    return atomic_load_explicit(&g->value, memory_order_relaxed);
}

void histogram_observe_us(struct histogram *h, int64_t microseconds)
{
    if (microseconds < 0) microseconds = 0;
    size_t at = 0;
    while (at < BUCKETS && microseconds > buckets[at].most_us)
        at++;
    atomic_fetch_add_explicit(&h->counts[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, (uint64_t)microseconds, memory_order_relaxed);
}

/* A help text may hold anything but a bare backslash or line break. */
static void write_help(struct buf *out, const char *name, const char *help)
{
    (void)buf_add_format(out, "# HELP %s ", name);
    for (; *help; help++) {
        if (*help == '\\')
            (void)buf_add_text(out, "\\\\");
        else if (*help == '\n')
            (void)buf_add_text(out, "\\n");
        else
            (void)buf_add_char(out, *help);
    }
    (void)buf_add_char(out, '\n');
}

/* name_suffix{labels} or name_suffix */
static void write_name(struct buf *out, const char *name, const char *suffix, const char *labels)
{
    if (*labels)
        (void)buf_add_format(out, "%s%s{%s} ", name, suffix, labels);
    else
        (void)buf_add_format(out, "%s%s ", name, suffix);
}

/* The count is the sum of the buckets as they are read, so that both agree whatever happens
 * meanwhile. */
static void write_histogram(struct buf *out, const char *name, const char *labels,
                            const struct histogram *h)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= BUCKETS; i++) {
        count += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        (void)buf_add_format(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels,
                             *labels ? "," : "", i < BUCKETS ? buckets[i].seconds : "+Inf", count);
    }
    uint64_t sum_us = atomic_load_explicit(&h->sum_us, memory_order_relaxed);
    write_name(out, name, "_sum", labels);
    (void)buf_add_format(out, "%" PRIu64 ".%06" PRIu64 "\n", sum_us / 1000000, sum_us % 1000000);
    write_name(out, name, "_count", labels);
    (void)buf_add_format(out, "%" PRIu64 "\n", count);
}

static void write_series(struct buf *out, const struct family *f, const struct series *s)
{
    if (f->type == METRIC_HISTOGRAM) {
        write_histogram(out, f->name, s->labels, &s->histogram);
        return;
    }
    write_name(out, f->name, "", s->labels);
    if (f->type == METRIC_COUNTER)
        (void)buf_add_format(out, "%" PRIu64 "\n", counter_value(&s->counter));
    else
        (void)buf_add_format(out, "%" PRId64 "\n", gauge_value(&s->gauge));
}

static void write_family(struct buf *out, const struct family *f)
{
    write_help(out, f->name, f->help);
    (void)buf_add_format(out, "# TYPE %s %s\n", f->name, type_names[f->type]);
    for (const struct series *s = f->first; s; s = s->next)
        write_series(out, f, s);
}

enum err metrics_write(struct buf *out)
{
    pthread_mutex_lock(&mutex);
    for (const struct family *f = families; f; f = f->next)
        write_family(out, f);
    pthread_mutex_unlock(&mutex);
    (void)buf_add_format(out,
                         "# HELP tradepost_metrics_refused_total Registrations beyond the limit of "
                         "series; their values are lost.\n"
                         "# TYPE tradepost_metrics_refused_total counter\n"
                         "tradepost_metrics_refused_total %" PRIu64 "\n",
                         counter_value(&refused));
    metrics_write_process(out);
    return out->error;
}
