/* Metrics: the text that Prometheus reads, and that parts and threads share a series. */
#include "support/unit.h"

#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static char *written(void)
{
    struct buf out;
    buf_init(&out, 4 * 1024 * 1024);
    assert_ok(metrics_write(&out));
    char *text = buf_take(&out);
    assert_non_null(text);
    return text;
}

static void assert_written(const char *expected)
{
    char *text = written();
    if (!strstr(text, expected)) fail_msg("not in the metrics: %s\n%.2000s", expected, text);
    free(text);
}

static void a_family_is_written_once_with_all_its_series(void **state)
{
    (void)state;
    counter_add(metrics_counter("t_calls_total", "Calls.", "method=\"a\",code=\"OK\""), 3);
    gauge_set(metrics_gauge("t_depth", "How deep.", NULL), -7);
    counter_add(metrics_counter("t_calls_total", "Calls.", "method=\"b\",code=\"OK\""), 1);
    assert_written("# HELP t_calls_total Calls.\n"
                   "# TYPE t_calls_total counter\n"
                   "t_calls_total{method=\"a\",code=\"OK\"} 3\n"
                   "t_calls_total{method=\"b\",code=\"OK\"} 1\n"
                   "# HELP t_depth How deep.\n"
                   "# TYPE t_depth gauge\n"
                   "t_depth -7\n");
}

static void the_same_name_and_labels_are_the_same_series(void **state)
{
    (void)state;
    struct counter *c = metrics_counter("t_same_total", "Same.", "x=\"1\"");
    assert_ptr_equal(c, metrics_counter("t_same_total", "Same.", "x=\"1\""));
    assert_ptr_not_equal(c, metrics_counter("t_same_total", "Same.", "x=\"2\""));
    assert_ptr_equal(metrics_gauge("t_g", "G.", NULL), metrics_gauge("t_g", "G.", ""));
    struct gauge *g = metrics_gauge("t_g", "G.", NULL);
    gauge_set(g, 5);
    gauge_add(g, -6);
    assert_int_equal(gauge_value(g), -1);
    counter_add(c, UINT64_MAX);
    assert_true(counter_value(c) == UINT64_MAX);
}

static void a_help_text_is_escaped(void **state)
{
    (void)state;
    (void)metrics_counter("t_escaped_total", "A \\ and\na \"line\".", "p=\"a\\\\b\\\"c\\nd\"");
    assert_written("# HELP t_escaped_total A \\\\ and\\na \"line\".\n"
                   "# TYPE t_escaped_total counter\n"
                   "t_escaped_total{p=\"a\\\\b\\\"c\\nd\"} 0\n");
}

static void a_histogram_counts_up_to_infinity(void **state)
{
    (void)state;
    static const int64_t observed[] = {-5, 0, 50, 51, 100, 10000000, 10000001, 3600000000};
    struct histogram *h = metrics_histogram("t_seconds", "Time.", "m=\"x\"");
    for (size_t i = 0; i < sizeof observed / sizeof observed[0]; i++)
        histogram_observe_us(h, observed[i]);
    assert_written("# TYPE t_seconds histogram\n"
                   "t_seconds_bucket{m=\"x\",le=\"0.00005\"} 3\n"
                   "t_seconds_bucket{m=\"x\",le=\"0.0001\"} 5\n"
                   "t_seconds_bucket{m=\"x\",le=\"0.00025\"} 5\n");
    assert_written("t_seconds_bucket{m=\"x\",le=\"5\"} 5\n"
                   "t_seconds_bucket{m=\"x\",le=\"10\"} 6\n"
                   "t_seconds_bucket{m=\"x\",le=\"+Inf\"} 8\n"
                   "t_seconds_sum{m=\"x\"} 3620.000202\n"
                   "t_seconds_count{m=\"x\"} 8\n");
    (void)metrics_histogram("t_bare_seconds", "Time.", NULL);
    assert_written("t_bare_seconds_bucket{le=\"+Inf\"} 0\n"
                   "t_bare_seconds_sum 0.000000\n"
                   "t_bare_seconds_count 0\n");
}

static void the_process_tells_about_itself(void **state)
{
    (void)state;
    static const char *const names[] = {
        "process_cpu_seconds_total",
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_max_fds",
        "process_open_fds",
    };
    char *text = written();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "\n%s ", names[i]);
        if (!strstr(text, line)) fail_msg("%s is missing", names[i]);
    }
    unsigned long long resident = 0, open_fds = 0;
    assert_int_equal(1, sscanf(strstr(text, "\nprocess_resident_memory_bytes "),
                               "\nprocess_resident_memory_bytes %llu", &resident));
    assert_int_equal(
        1, sscanf(strstr(text, "\nprocess_open_fds "), "\nprocess_open_fds %llu", &open_fds));
    assert_true(resident > 100000);
    assert_true(open_fds >= 3 && open_fds < 1000);
    free(text);
}

static void a_full_buffer_is_told(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 64);
    assert_err(metrics_write(&out), ERR_EXHAUSTED);
    buf_release(&out);
}

#define THREADS 4
#define ROUNDS  2000

static void *count_up(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        counter_add(metrics_counter("t_shared_total", "Shared.", NULL), 1);
        histogram_observe_us(metrics_histogram("t_shared_seconds", "Shared.", NULL), i);
        if (i % 500 == 0) free(written());
    }
    return NULL;
}

static void threads_lose_no_update(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(counter_value(metrics_counter("t_shared_total", "Shared.", NULL)),
                     THREADS * ROUNDS);
    assert_written("t_shared_seconds_count 8000\n");
}

/* Runs last: from here on the registry is full. */
static void beyond_the_limit_one_series_absorbs_and_is_counted(void **state)
{
    (void)state;
    char labels[32];
    for (int i = 0; i < METRICS_MAX; i++) {
        (void)snprintf(labels, sizeof labels, "i=\"%d\"", i);
        counter_add(metrics_counter("t_many_total", "Many.", labels), 1);
    }
    struct counter *a = metrics_counter("t_one_more_total", "One more.", NULL);
    struct counter *b = metrics_counter("t_many_total", "Many.", "i=\"one more\"");
    assert_ptr_equal(a, b);
    counter_add(a, 1);
    histogram_observe_us(metrics_histogram("t_more_seconds", "One more.", NULL), 1);
    char *text = written();
    assert_null(strstr(text, "t_one_more_total"));
    assert_null(strstr(text, "t_more_seconds"));
    assert_non_null(strstr(text, "t_many_total{i=\"0\"} 1\n"));
    const char *refused = strstr(text, "\ntradepost_metrics_refused_total ");
    unsigned long long count = 0;
    assert_int_equal(1, sscanf(refused, "\ntradepost_metrics_refused_total %llu", &count));
    assert_true(count >= 3);
    free(text);
    /* Those that were first keep what they have. */
    assert_int_equal(counter_value(metrics_counter("t_shared_total", "Shared.", NULL)), 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_written_once_with_all_its_series),
        cmocka_unit_test(the_same_name_and_labels_are_the_same_series),
        cmocka_unit_test(a_help_text_is_escaped),
        cmocka_unit_test(a_histogram_counts_up_to_infinity),
        cmocka_unit_test(the_process_tells_about_itself),
        cmocka_unit_test(a_full_buffer_is_told),
        cmocka_unit_test(threads_lose_no_update),
        cmocka_unit_test(beyond_the_limit_one_series_absorbs_and_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
