/* The error table keeps its promises. */
#include "support/unit.h"

#include <errno.h>
#include <string.h>

static void every_error_has_a_row(void **state)
{
    (void)state;
    for (unsigned e = 0; e < ERR_COUNT; e++) {
        assert_non_null(err_name((enum err)e));
        assert_non_null(err_word((enum err)e));
        assert_non_null(err_text((enum err)e));
        assert_true(err_http((enum err)e) >= 200 && err_http((enum err)e) < 600);
    }
}

static void every_grpc_code_comes_back_as_an_error_with_that_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= GRPC_UNAUTHENTICATED; code++)
        assert_int_equal(err_grpc(err_from_grpc(code)), code);
    assert_err(err_from_grpc(17), ERR_UNKNOWN);
    assert_err(err_from_grpc(GRPC_RESOURCE_EXHAUSTED), ERR_EXHAUSTED);
}

static void words_are_unique(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ERR_COUNT; a++)
        for (unsigned b = a + 1; b < ERR_COUNT; b++)
            assert_string_not_equal(err_word((enum err)a), err_word((enum err)b));
}

static void a_full_disk_is_told_from_a_broken_one(void **state)
{
    (void)state;
    assert_err(err_from_errno(ENOSPC), ERR_FULL);
    assert_err(err_from_errno(EIO), ERR_IO);
    assert_err(err_from_errno(0), OK);
}

static void a_detail_is_cut_not_overrun(void **state)
{
    (void)state;
    struct err_detail detail;
    char longer[2 * ERR_DETAIL_MAX];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_err(err_set(&detail, ERR_INVALID, "%s", longer), ERR_INVALID);
    assert_int_equal(strlen(detail.text), ERR_DETAIL_MAX - 1);
    assert_err(err_set(NULL, ERR_FULL, "nobody listens"), ERR_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_row),
        cmocka_unit_test(every_grpc_code_comes_back_as_an_error_with_that_code),
        cmocka_unit_test(words_are_unique),
        cmocka_unit_test(a_full_disk_is_told_from_a_broken_one),
        cmocka_unit_test(a_detail_is_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
