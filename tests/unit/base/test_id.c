/* Ids and trace context: their shapes, their order, and what is refused. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void an_id_is_a_uuid_of_version_7_that_starts_with_the_time(void **state)
{
    (void)state;
    int64_t before = clock_wall_ms();
    struct id id = id_new();
    int64_t after = clock_wall_ms();
    assert_int_equal(id.hi >> 12 & 15, 7);
    assert_int_equal(id.lo >> 62, 2);
    assert_true((int64_t)(id.hi >> 16) >= before && (int64_t)(id.hi >> 16) <= after);
    struct id random = id_random();
    assert_int_equal(random.hi >> 12 & 15, 4);
    assert_int_equal(random.lo >> 62, 2);
    assert_false(id_equal(random, id_random()));
}

static void ids_sort_by_birth(void **state)
{
    (void)state;
    char before[ID_TEXT_SIZE] = "", text[ID_TEXT_SIZE];
    for (int i = 0; i < 20000; i++) {
        id_format(id_new(), text);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof text);
    }
}

#define THREADS 4
#define IDS     5000

static void *make_ids(void *at)
{
    struct id *ids = at;
    for (int i = 0; i < IDS; i++)
        ids[i] = id_new();
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const struct id *left = a, *right = b;
    return left->hi < right->hi ? -1 : left->hi > right->hi;
}

static void no_two_threads_make_the_same_id(void **state)
{
    (void)state;
    static struct id ids[THREADS * IDS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids, &ids[i * IDS]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    qsort(ids, THREADS * IDS, sizeof ids[0], compare);
    for (int i = 1; i < THREADS * IDS; i++)
        assert_true(ids[i - 1].hi < ids[i].hi);
}

static void an_id_is_read_as_it_is_written(void **state)
{
    (void)state;
    struct id id = {UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210)}, again;
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    assert_string_equal(text, "0123456789abcdeffedcba9876543210");
    assert_true(id_parse(text, &again));
    assert_true(id_equal(id, again));
    assert_true(id_parse("00000000000000000000000000000000", &again));
    assert_true(id_is_zero(again));
    assert_false(id_is_zero(id));
    assert_false(id_is_zero((struct id){0, 1}));
    assert_false(id_is_zero((struct id){1, 0}));
    for (int i = 0; i < 1000; i++) {
        id = i % 2 ? id_new() : id_random();
        id_format(id, text);
        assert_true(id_parse(text, &again) && id_equal(id, again));
    }
}

static void what_is_no_id_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "0",
        "0123456789abcdef",
        "0123456789abcdeffedcba987654321",
        "0123456789abcdeffedcba98765432100",
        "0123456789abcdeffedcba987654321g",
        "0123456789ABCDEFFEDCBA9876543210", /* one spelling for one id */
        " 123456789abcdeffedcba9876543210",
        "01234567-89ab-cdef-fedc-ba9876543210",
    };
    struct id id = {1, 2};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (id_parse(refused[i], &id)) fail_msg("%s is an id", refused[i]);
    assert_true(id_equal(id, (struct id){1, 2}));
}

static void a_trace_goes_on_with_a_new_span(void **state)
{
    (void)state;
    /* The example of section 3.2. */
    static const char text[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    char again[TRACE_TEXT_SIZE], id[33];
    struct trace t, child;
    assert_true(trace_parse(text, &t));
    trace_format(t, again);
    assert_string_equal(again, text);
    trace_id_format(t, id);
    assert_string_equal(id, "0af7651916cd43dd8448eb211c80319c");
    child = trace_child(t);
    assert_true(child.trace_hi == t.trace_hi && child.trace_lo == t.trace_lo);
    assert_true(child.span != t.span && child.span != 0);
    assert_int_equal(child.flags, 1);
    struct trace born = trace_new();
    assert_true(born.span && (born.trace_hi || born.trace_lo) && born.flags == 1);
    trace_format(born, again);
    assert_true(trace_parse(again, &t));
}

static void a_trace_context_is_read_as_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool accepted;
    } cases[] = {
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", true},
        {"00-00000000000000000000000000000001-0000000000000001-01", true},
        {"00-10000000000000000000000000000000-1000000000000000-01", true},
        /* a later version, longer or not */
        {"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
        {"fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false},
        {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"", false},
        {"00", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011", false},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
        {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A", false},
        {"0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01", false},
        {" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trace t = {7, 7, 7, 7};
        bool accepted = trace_parse(cases[i].text, &t);
        if (accepted != cases[i].accepted || (!accepted && t.span != 7))
            fail_msg("%s", cases[i].text);
    }
    struct trace t;
    assert_false(trace_parse(NULL, &t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_a_uuid_of_version_7_that_starts_with_the_time),
        cmocka_unit_test(ids_sort_by_birth),
        cmocka_unit_test(no_two_threads_make_the_same_id),
        cmocka_unit_test(an_id_is_read_as_it_is_written),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(a_trace_goes_on_with_a_new_span),
        cmocka_unit_test(a_trace_context_is_read_as_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
