/* Out of memory, everywhere: the n-th allocation fails, for every n. Linked so that the
 * foundation's allocations come here first; leaks are the sanitizer's to find. */
#include "support/temp.h"
#include "support/unit.h"

#include "base/buf.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/queue.h"

#include <string.h>

static unsigned until_failure; /* allocations from now; 0: none fails */

static bool fails(void)
{
    return until_failure && --until_failure == 0;
}

#define WRAP(name, parameters, arguments)                                                          \
    void *__real_##name parameters;                                                                \
    void *__wrap_##name parameters;                                                                \
    void *__wrap_##name parameters                                                                 \
    {                                                                                              \
        return fails() ? NULL : __real_##name arguments;                                           \
    }
WRAP(malloc, (size_t size), (size))
WRAP(calloc, (size_t count, size_t size), (count, size))
WRAP(realloc, (void *old, size_t size), (old, size))
WRAP(reallocarray, (void *old, size_t count, size_t size), (old, count, size))
WRAP(strdup, (const char *text), (text))

static const struct config_key schema[] = {
    {"name", CONFIG_STRING, "x", 0, 0, "a name", false},
    {"size", CONFIG_INT, "1", 0, 9, "a size", false},
    {"list[]", CONFIG_LIST, "[{name: x}, {name: y}]", 0, 0, "a list", false},
    {"list[].name", CONFIG_STRING, "z", 0, 0, "a name", false},
    {.key = NULL},
};

static void a_configuration_is_loaded_whole_or_not_at_all(void **state)
{
    (void)state;
    char directory[TEMP_PATH_SIZE], path[TEMP_PATH_SIZE + 8];
    temp_make(directory);
    (void)snprintf(path, sizeof path, "%s/yml", directory);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("name: a\nlist: [{name: b}, {}, {name: c}]\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    char variable[TEMP_PATH_SIZE + 32];
    (void)snprintf(variable, sizeof variable, "TRADEPOST_NAME_FILE=%s", path);
    char *environment[] = {variable, NULL};
    const char *overrides[] = {"name=b", NULL};
    const struct config_sources from = {path, environment, overrides};

    enum err e = ERR_NO_MEMORY;
    unsigned n = 0;
    while (e) {
        struct config *c = NULL;
        struct err_detail detail = {0};
        until_failure = ++n;
        e = config_load(schema, &from, &c, &detail);
        until_failure = 0;
        assert_true(e == OK || (e == ERR_NO_MEMORY && !c && detail.text[0]));
        config_free(c);
    }
    assert_true(n > 10); /* there were that many to fail */
    temp_remove(directory);
}

static void a_buffer_keeps_what_it_has(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        AUTO_BUF struct buf b;
        buf_init(&b, 1000);
        until_failure = n;
        for (int i = 0; i < 20; i++)
            (void)buf_add_text(&b, "1234567890");
        until_failure = 0;
        assert_err(b.error, ERR_NO_MEMORY);
        assert_int_equal(b.size, n == 1 ? 0 : 60);
        assert_int_equal(strlen(b.data), b.size);
        buf_clear(&b);
        until_failure = 1;
        assert_err(buf_add_format(&b, "%0200d", 0), ERR_NO_MEMORY);
        until_failure = 0;
        assert_int_equal(strlen(b.data), 0);
    }
    struct buf empty;
    buf_init(&empty, 10);
    until_failure = 1;
    assert_null(buf_take(&empty));
    until_failure = 0;
}

static void a_queue_is_refused(void **state)
{
    (void)state;
    struct queue *q = NULL;
    until_failure = 1;
    assert_err(queue_new(10, &q), ERR_NO_MEMORY);
    until_failure = 0;
    assert_null(q);
}

static void a_metric_is_never_null_and_later_there(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 5; n++) {
        until_failure = n;
        struct counter *c = metrics_counter("m_total", "M.", "a=\"b\"");
        until_failure = 0;
        assert_non_null(c);
        counter_add(c, 1);
    }
    struct counter *c = metrics_counter("m_total", "M.", "a=\"b\"");
    assert_ptr_equal(c, metrics_counter("m_total", "M.", "a=\"b\""));
    assert_ptr_not_equal(c, metrics_counter("m_total", "M.", "a=\"c\""));
}

static void a_log_line_is_lost_quietly(void **state)
{
    (void)state;
    until_failure = 1;
    LOG_LINE(LOG_ERROR, "part", "this line must not be seen");
    until_failure = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_is_loaded_whole_or_not_at_all),
        cmocka_unit_test(a_buffer_keeps_what_it_has),
        cmocka_unit_test(a_queue_is_refused),
        cmocka_unit_test(a_metric_is_never_null_and_later_there),
        cmocka_unit_test(a_log_line_is_lost_quietly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
