/* Every allocation of reading and writing JSON fails in turn: it is told, nothing leaks, nothing is
 * half done. */
#include "support/unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "everything.pb-c.h"

#define EVERYTHING      (&everything__everything__descriptor)
#define ALLOCATIONS_MAX 1000

static unsigned fail_at, count; /* the fail_at-th allocation fails; 0: none */

static bool fails(void)
{
    return ++count == fail_at;
}

/* The linker sends base's calls here (-Wl,--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t items, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t items, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t items, size_t size)
{
    return fails() ? NULL : __real_calloc(items, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fails() ? NULL : __real_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static const char text[] = "{\"text\":\"a\",\"raw\":\"AQID\",\"atTime\":\"2026-01-31T23:59:59."
                           "123Z\",\"inner\":{\"deeper\":{}},"
                           "\"texts\":[\"b\",\"c\"],\"raws\":[\"AQ==\"],\"u64s\":[\"1\",\"2\"],"
                           "\"inners\":[{\"textOfInner\":\"d\"}]}";

static void a_failed_allocation_while_reading_is_told(void **state)
{
    (void)state;
    unsigned told = 0;
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        ProtobufCMessage *message = NULL;
        fail_at = n, count = 0;
        enum err e = json_read(text, sizeof text - 1, EVERYTHING, &message, NULL);
        fail_at = 0;
        if (!e) {
            protobuf_c_message_free_unpacked(message, NULL);
            assert_true(told > 20); /* base's own, at least */
            return;
        }
        told += e == ERR_NO_MEMORY;
        assert_true(e == ERR_NO_MEMORY || e == ERR_INVALID); /* jansson's lexer: "invalid token" */
        assert_null(message);
    }
    fail_msg("it never succeeds");
}

static void a_failed_allocation_while_setting_leaves_the_field(void **state)
{
    (void)state;
    ProtobufCMessage *message = NULL;
    assert_ok(json_read(text, sizeof text - 1, EVERYTHING, &message, NULL));
    const Everything__Everything *all = (const Everything__Everything *)message;
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        fail_at = n, count = 0;
        enum err e = json_set_text(message, "texts", "x,y,z", NULL);
        fail_at = 0;
        if (!e) break;
        assert_err(e, ERR_NO_MEMORY);
        assert_int_equal(all->n_texts, 2);
        assert_string_equal(all->texts[1], "c");
    }
    assert_int_equal(all->n_texts, 3);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void a_failed_allocation_while_writing_is_told(void **state)
{
    (void)state;
    ProtobufCMessage *message = NULL;
    assert_ok(json_read(text, sizeof text - 1, EVERYTHING, &message, NULL));
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        AUTO_BUF struct buf out;
        buf_init(&out, 65536);
        fail_at = n, count = 0;
        enum err e = json_write(message, &out);
        fail_at = 0;
        if (!e) break;
        assert_err(e, ERR_NO_MEMORY);
    }
    protobuf_c_message_free_unpacked(message, NULL);
}

int main(void)
{
    json_set_alloc_funcs(__wrap_malloc, free);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_allocation_while_reading_is_told),
        cmocka_unit_test(a_failed_allocation_while_setting_leaves_the_field),
        cmocka_unit_test(a_failed_allocation_while_writing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
