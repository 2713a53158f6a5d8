/* The sliding window: what fits, what is left, and when the next one will fit. */
#include "support/unit.h"

#include "base/cache/cache_driver.h"

static void what_fits_is_the_fading_last_window_and_this_one(void **state)
{
    static const struct {
        struct cache_hits hits;
        int64_t limit;
        bool fits;
        int64_t remaining, reset_ms;
    } rows[] = {
        {{0, 0, 0, false}, 1, true, 1, 1000},      /* nobody came yet */
        {{0, 1, 300, false}, 1, false, 0, 1700},   /* the one hit fades for a whole window */
        {{0, 9, 0, false}, 10, true, 1, 1000},     /* at the limit */
        {{0, 10, 0, false}, 10, false, 0, 1100},   /* and one more: a tenth of the next window */
        {{10, 0, 0, false}, 10, false, 0, 100},    /* the last window weighs fully at its end */
        {{10, 0, 99, false}, 10, false, 0, 1},     /* 9.01 of 10 */
        {{10, 0, 100, false}, 10, true, 1, 900},   /* 9.00 of 10 */
        {{10, 5, 500, false}, 10, false, 0, 100},  /* 5 + 5 */
        {{10, 4, 500, false}, 10, true, 1, 500},   /* 5 + 4 */
        {{0, 20, 500, false}, 10, false, 0, 1050}, /* the limit was lowered: 20 must fade to 9 */
        {{7, 0, 999, false}, 1000000, true, 999999, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cache_window w;
        assert_int_equal(cache_window_fits(&rows[i].hits, rows[i].limit, 1000), rows[i].fits);
        cache_window_tell(&rows[i].hits, rows[i].limit, 1000, &w);
        if (w.remaining != rows[i].remaining || w.reset_ms != rows[i].reset_ms)
            fail_msg("row %zu: remaining %ld, reset %ld", i, (long)w.remaining, (long)w.reset_ms);
        assert_int_equal(w.limit, rows[i].limit);
    }
}

/* The same hits, seen later, while nobody hits. */
static struct cache_hits after(struct cache_hits hits, int64_t window_ms, int64_t later_ms)
{
    int64_t at = hits.elapsed_ms + later_ms;
    for (; at >= window_ms; at -= window_ms) {
        hits.last = hits.current;
        hits.current = 0;
    }
    hits.elapsed_ms = at;
    return hits;
}

static void the_wait_is_exact_to_the_millisecond(void **state)
{
    (void)state;
    for (int64_t last = 0; last <= 7; last++)
        for (int64_t current = 0; current <= 7; current++)
            for (int64_t elapsed = 0; elapsed < 13; elapsed++)
                for (int64_t limit = 1; limit <= 6; limit++) {
                    const struct cache_hits now = {last, current, elapsed, false};
                    struct cache_window w;
                    cache_window_tell(&now, limit, 13, &w);
                    if (w.remaining > 0) continue;
                    struct cache_hits just = after(now, 13, w.reset_ms);
                    struct cache_hits before = after(now, 13, w.reset_ms - 1);
                    assert_true(cache_window_fits(&just, limit, 13));
                    assert_false(cache_window_fits(&before, limit, 13));
                }
}

static void the_largest_limit_does_not_overflow_a_double(void **state)
{
    (void)state;
    const struct cache_hits hits = {CACHE_LIMIT_MAX, CACHE_LIMIT_MAX, 0, false};
    struct cache_window w;
    cache_window_tell(&hits, CACHE_LIMIT_MAX, CACHE_WINDOW_MAX_MS, &w);
    assert_int_equal(w.remaining, 0);
    assert_true(2.0 * CACHE_LIMIT_MAX * CACHE_WINDOW_MAX_MS < (double)(1LL << 53));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_the_fading_last_window_and_this_one),
        cmocka_unit_test(the_wait_is_exact_to_the_millisecond),
        cmocka_unit_test(the_largest_limit_does_not_overflow_a_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
