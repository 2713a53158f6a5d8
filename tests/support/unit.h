/* What every cmocka test includes first. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

/* Success, or fails the test with the error's name. */
#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        enum err assert_err_ = (expression);                                                       \
        if (assert_err_) fail_msg("%s is %s", #expression, err_name(assert_err_));                 \
    } while (0)

#define assert_err(expression, expected)                                                           \
    do {                                                                                           \
        enum err assert_err_ = (expression);                                                       \
        if (assert_err_ != (expected))                                                             \
            fail_msg("%s is %s, not %s", #expression, err_name(assert_err_), err_name(expected));  \
    } while (0)

#endif
