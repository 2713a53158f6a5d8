/* Logs: every line is one JSON object, made with one write, never longer than it may be. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Stderr is a pipe in packet mode while a test captures: one read is what one write wrote. */
static int pipe_ends[2], real_stderr;

static void capture(void)
{
    (void)fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_int_equal(pipe2(pipe_ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC), 0);
    assert_true(dup2(pipe_ends[1], STDERR_FILENO) >= 0);
}

static void release(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    (void)close(real_stderr);
    (void)close(pipe_ends[0]);
    (void)close(pipe_ends[1]);
}

/* One write's bytes; false: nothing was written. */
static bool next_write(char ret[static 2 * LOG_LINE_MAX])
{
    ssize_t size = read(pipe_ends[0], ret, 2 * LOG_LINE_MAX - 1);
    if (size <= 0) return false;
    ret[size] = 0;
    return true;
}

static json_t *parsed(const char *line)
{
    json_error_t error;
    size_t size = strlen(line);
    assert_true(size > 0 && size <= LOG_LINE_MAX);
    assert_int_equal(line[size - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + size - 1);
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (!object) fail_msg("%s: %s", error.text, line);
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void a_line_is_one_json_object_and_one_write(void **state)
{
    (void)state;
    char line[2 * LOG_LINE_MAX], after[2 * LOG_LINE_MAX];
    capture();
    LOG_LINE(LOG_WARN, "wallet", "started", LOG_TEXT("trace", "abc"), LOG_TEXT("none", NULL),
             LOG_INT("port", -7), LOG_INT("big", INT64_MAX), LOG_BOOL("ready", true),
             LOG_BOOL("late", false));
    bool wrote = next_write(line), again = next_write(after);
    release();
    assert_true(wrote && !again);
    char *rest = strstr(line, ",\"level\"");
    assert_non_null(rest);
    assert_string_equal(rest, ",\"level\":\"warn\",\"part\":\"wallet\",\"msg\":\"started\","
                              "\"trace\":\"abc\",\"none\":null,\"port\":-7,"
                              "\"big\":9223372036854775807,\"ready\":true,\"late\":false}\n");
    json_t *object = parsed(line);
    int64_t wall_ms;
    const char *time = text_of(object, "time");
    assert_ok(clock_parse(time, strlen(time), &wall_ms));
    json_decref(object);
}

static void a_line_needs_no_fields(void **state)
{
    (void)state;
    char line[2 * LOG_LINE_MAX];
    capture();
    LOG_LINE(LOG_INFO, "users", "stopped");
    bool wrote = next_write(line);
    log_write(LOG_INFO, NULL, "no part", NULL);
    bool wrote_too = next_write(line);
    release();
    assert_true(wrote && wrote_too);
    assert_non_null(strstr(line, "\"part\":null,\"msg\":\"no part\"}\n"));
}

static void hostile_text_cannot_break_out_of_its_line(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a\nb", "\"},{\"level\":\"error", "\\", "\x1b[2J", "\xff\xfe", "\xed\xa0\x80", "a\tb\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char line[2 * LOG_LINE_MAX];
        capture();
        LOG_LINE(LOG_ERROR, "gateway", texts[i], LOG_TEXT("who", texts[i]));
        bool wrote = next_write(line);
        release();
        assert_true(wrote);
        json_t *object = parsed(line);
        assert_string_equal(text_of(object, "level"), "error");
        assert_int_equal(json_object_size(object), 5);
        json_decref(object);
    }
}

static const char *const letters[] = {"x", "\n", "\x01", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xff"};

static void a_long_value_is_cut_between_characters_and_marked(void **state)
{
    (void)state;
    for (size_t l = 0; l < sizeof letters / sizeof letters[0]; l++) {
        char value[LOG_LINE_MAX * 2] = "", line[2 * LOG_LINE_MAX];
        for (size_t at = 0; at + 4 < sizeof value; at += strlen(letters[l]))
            memcpy(value + at, letters[l], strlen(letters[l]) + 1);
        capture();
        LOG_LINE(LOG_INFO, "part", "message", LOG_TEXT("long", value), LOG_TEXT("after", "here"));
        bool wrote = next_write(line);
        release();
        assert_true(wrote);
        json_t *object = parsed(line);
        const char *cut = text_of(object, "long");
        assert_string_equal(cut + strlen(cut) - 3, "...");
        assert_true(strlen(cut) <= LOG_VALUE_MAX);
        assert_string_equal(text_of(object, "after"), "here");
        assert_null(json_object_get(object, "cut"));
        json_decref(object);
    }
}

static void a_value_at_the_limit_is_whole_and_one_more_is_cut(void **state)
{
    (void)state;
    for (size_t size = LOG_VALUE_MAX; size <= LOG_VALUE_MAX + 1; size++) {
        char value[LOG_VALUE_MAX + 2], line[2 * LOG_LINE_MAX];
        memset(value, 'x', size);
        value[size] = 0;
        capture();
        LOG_LINE(LOG_INFO, "part", "message", LOG_TEXT("v", value));
        bool wrote = next_write(line);
        release();
        assert_true(wrote);
        json_t *object = parsed(line);
        assert_int_equal(strlen(text_of(object, "v")), LOG_VALUE_MAX);
        assert_true((strcmp(text_of(object, "v"), value) == 0) == (size == LOG_VALUE_MAX));
        json_decref(object);
    }
}

static void a_field_that_does_not_fit_is_left_out_and_the_line_says_so(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX + 1], line[2 * LOG_LINE_MAX];
    memset(value, 'x', LOG_VALUE_MAX);
    value[LOG_VALUE_MAX] = 0;
    capture();
    LOG_LINE(LOG_INFO, "part", "message", LOG_TEXT("a", value), LOG_TEXT("b", value),
             LOG_TEXT("c", value), LOG_TEXT("d", value), LOG_INT("code", 7));
    bool wrote = next_write(line);
    release();
    assert_true(wrote);
    json_t *object = parsed(line);
    assert_non_null(json_object_get(object, "c"));
    assert_null(json_object_get(object, "d"));
    assert_int_equal(json_integer_value(json_object_get(object, "code")), 7);
    assert_true(json_is_true(json_object_get(object, "cut")));
    json_decref(object);
}

static void every_length_around_a_full_line_is_valid(void **state)
{
    (void)state;
    char full[LOG_VALUE_MAX + 1], value[LOG_VALUE_MAX + 1], line[2 * LOG_LINE_MAX];
    memset(full, 'x', LOG_VALUE_MAX);
    full[LOG_VALUE_MAX] = 0;
    size_t longest = 0;
    for (size_t size = 880; size <= LOG_VALUE_MAX; size++) {
        memset(value, 'y', size);
        value[size] = 0;
        capture();
        LOG_LINE(LOG_INFO, "part", "m", LOG_TEXT("a", full), LOG_TEXT("b", full),
                 LOG_TEXT("c", full), LOG_TEXT("d", value));
        bool wrote = next_write(line);
        release();
        assert_true(wrote);
        json_t *object = parsed(line);
        bool cut = json_object_get(object, "cut") != NULL;
        assert_true(cut == (json_object_get(object, "d") == NULL));
        if (!cut && strlen(line) > longest) longest = strlen(line);
        json_decref(object);
    }
    assert_true(longest > LOG_LINE_MAX - 16 && longest <= LOG_LINE_MAX);
}

static void what_is_below_the_level_is_not_written(void **state)
{
    (void)state;
    static const char *const words[] = {"debug", "info", "warn", "error"};
    char line[2 * LOG_LINE_MAX];
    assert_false(log_enabled(LOG_DEBUG));
    assert_true(log_enabled(LOG_INFO));
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        enum log_level level = LOG_DEBUG;
        assert_ok(log_level_parse(words[least], &level));
        assert_int_equal(level, least);
        log_set_level(level);
        for (int of_line = LOG_DEBUG; of_line <= LOG_ERROR; of_line++) {
            capture();
            LOG_LINE((enum log_level)of_line, "part", "message");
            bool wrote = next_write(line);
            release();
            assert_int_equal(wrote, of_line >= least);
        }
    }
    log_set_level(LOG_INFO);
    enum log_level level = LOG_WARN;
    assert_err(log_level_parse("Info", &level), ERR_INVALID);
    assert_err(log_level_parse("", &level), ERR_INVALID);
    assert_int_equal(level, LOG_WARN);
}

static void a_stderr_that_is_gone_is_survived_and_errno_kept(void **state)
{
    (void)state;
    int kept = dup(STDERR_FILENO);
    (void)close(STDERR_FILENO);
    errno = ENOENT;
    LOG_LINE(LOG_ERROR, "part", "nobody reads this");
    int after = errno;
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    assert_int_equal(after, ENOENT);
}

#define THREADS 4
#define LINES   4 /* together 16: a pipe holds as many packets */

static void *write_lines(void *part)
{
    for (int i = 0; i < LINES; i++)
        LOG_LINE(LOG_INFO, part, "a line", LOG_INT("n", i));
    return NULL;
}

static void lines_of_threads_never_mix(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    char line[2 * LOG_LINE_MAX];
    int seen = 0;
    capture();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, "part"), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (; next_write(line); seen++)
        json_decref(parsed(line));
    release();
    assert_int_equal(seen, THREADS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_one_json_object_and_one_write),
        cmocka_unit_test(a_line_needs_no_fields),
        cmocka_unit_test(hostile_text_cannot_break_out_of_its_line),
        cmocka_unit_test(a_long_value_is_cut_between_characters_and_marked),
        cmocka_unit_test(a_value_at_the_limit_is_whole_and_one_more_is_cut),
        cmocka_unit_test(a_field_that_does_not_fit_is_left_out_and_the_line_says_so),
        cmocka_unit_test(every_length_around_a_full_line_is_valid),
        cmocka_unit_test(what_is_below_the_level_is_not_written),
        cmocka_unit_test(a_stderr_that_is_gone_is_survived_and_errno_kept),
        cmocka_unit_test(lines_of_threads_never_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
