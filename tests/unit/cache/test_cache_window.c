/* The sliding window: what fits, what is left, and when the next one will fit. */
#include "support/unit.h"

#include "base/cache/cache_driver.h"

static void what_fits_is_the_fading_last_window_and_this_one(void **state)
{
    static const struct {
        struct cache_counts counts;
        int64_t limit;
        bool fits;
        int64_t remaining, reset_ms;
    } rows[] = {
        {{0, 0, 0, true}, 1, true, 1, 1000},       /* nobody came yet */
        {{0, 1, 300, true}, 1, false, 0, 1700},    /* the one hit fades for a whole window */
        {{0, 9, 0, true}, 10, true, 1, 1000},      /* at the limit */
        {{0, 10, 0, true}, 10, false, 0, 1100},    /* and one more: a tenth of the next window */
        {{10, 0, 0, false}, 10, false, 0, 100},    /* the last window weighs fully at its end */
        {{10, 0, 99, false}, 10, false, 0, 1},     /* 9.01 of 10 */
        {{10, 0, 100, true}, 10, true, 1, 900},    /* 9.00 of 10 */
        {{10, 5, 500, false}, 10, false, 0, 100},  /* 5 + 5 */
        {{10, 4, 500, true}, 10, true, 1, 500},    /* 5 + 4 */
        {{0, 20, 500, false}, 10, false, 0, 1050}, /* the limit was lowered: 20 must fade to 9 */
        {{7, 0, 999, true}, 1000000, true, 999999, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cache_window w;
        const struct cache_ask ask = {1, 1, {rows[i].limit, 1000}};
        assert_int_equal(cache_window_fits(&rows[i].counts, &ask.rule, 1), rows[i].fits);
        cache_window_tell(&rows[i].counts, &ask, &w);
        if (w.remaining != rows[i].remaining || w.reset_ms != rows[i].reset_ms)
            fail_msg("row %zu: remaining %ld, reset %ld", i, (long)w.remaining, (long)w.reset_ms);
        assert_int_equal(w.limit, rows[i].limit);
    }
}

static void several_hits_fit_together_or_not_at_all(void **state)
{
    static const struct {
        struct cache_counts counts;
        int64_t need;
        bool fits;
        int64_t remaining, reset_ms;
    } rows[] = {
        {{0, 0, 0, true}, 10, true, 10, 1000},    /* all at once */
        {{0, 5, 0, true}, 5, true, 5, 1000},      /* the other half */
        {{0, 5, 0, false}, 6, false, 5, 1200},    /* five are left; a sixth when one has faded */
        {{0, 1, 400, false}, 10, false, 9, 1600}, /* all ten: when the one has faded wholly */
        {{10, 0, 500, false}, 8, false, 5, 300},  /* 10 fade to 2 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cache_window w;
        const struct cache_ask ask = {rows[i].need, rows[i].need, {10, 1000}};
        assert_int_equal(cache_window_fits(&rows[i].counts, &ask.rule, ask.need), rows[i].fits);
        cache_window_tell(&rows[i].counts, &ask, &w);
        if (w.remaining != rows[i].remaining || w.reset_ms != rows[i].reset_ms)
            fail_msg("row %zu: remaining %ld, reset %ld", i, (long)w.remaining, (long)w.reset_ms);
    }
}

/* The same hits, seen later, while nobody hits. */
static struct cache_counts after(struct cache_counts counts, int64_t window_ms, int64_t later_ms)
{
    int64_t at = counts.elapsed_ms + later_ms;
    for (; at >= window_ms; at -= window_ms) {
        counts.last = counts.current;
        counts.current = 0;
    }
    counts.elapsed_ms = at;
    return counts;
}

static void wait_exactly(struct cache_counts now, const struct cache_ask *ask)
{
    struct cache_window w;
    if (cache_window_fits(&now, &ask->rule, ask->need)) return;
    cache_window_tell(&now, ask, &w);
    struct cache_counts just = after(now, ask->rule.window_ms, w.reset_ms);
    struct cache_counts before = after(now, ask->rule.window_ms, w.reset_ms - 1);
    assert_true(cache_window_fits(&just, &ask->rule, ask->need));
    assert_false(cache_window_fits(&before, &ask->rule, ask->need));
}

static void the_wait_is_exact_to_the_millisecond(void **state)
{
    enum { LAST = 8, CURRENT = 8, LIMIT = 6, WINDOW = 13 };
    (void)state;
    for (int64_t i = 0; i < LAST * CURRENT * WINDOW * LIMIT * LIMIT; i++) {
        const struct cache_counts now = {i % LAST, i / LAST % CURRENT, i / LAST / CURRENT % WINDOW,
                                         false};
        int64_t rest = i / LAST / CURRENT / WINDOW;
        const struct cache_ask ask = {1, rest / LIMIT + 1, {rest % LIMIT + 1, WINDOW}};
        if (ask.need <= ask.rule.limit) wait_exactly(now, &ask);
    }
}

static void the_largest_limit_does_not_overflow_a_double(void **state)
{
    (void)state;
    const struct cache_counts counts = {CACHE_LIMIT_MAX, CACHE_LIMIT_MAX, 0, false};
    const struct cache_ask ask = {1, CACHE_LIMIT_MAX, {CACHE_LIMIT_MAX, CACHE_WINDOW_MAX_MS}};
    struct cache_window w;
    cache_window_tell(&counts, &ask, &w);
    assert_int_equal(w.remaining, 0);
    assert_true(3.0 * CACHE_LIMIT_MAX * CACHE_WINDOW_MAX_MS < (double)(1LL << 53));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_the_fading_last_window_and_this_one),
        cmocka_unit_test(several_hits_fit_together_or_not_at_all),
        cmocka_unit_test(the_wait_is_exact_to_the_millisecond),
        cmocka_unit_test(the_largest_limit_does_not_overflow_a_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
