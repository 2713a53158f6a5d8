/* Waiting for something that happens soon, without guessing how soon: look again until a deadline.
 */
#ifndef TESTS_EVENTUALLY_H
#define TESTS_EVENTUALLY_H

#include "base/clock.h"

#include <poll.h>

#define EVENTUALLY_MS                                                                              \
    10000 /* far more than anything takes, even under a sanitizer on a busy machine */

/* Looks at the condition again and again; fails the test when it is not true in time. */
#define assert_eventually(condition)                                                               \
    do {                                                                                           \
        int64_t eventually_end_ = clock_mono_ms() + EVENTUALLY_MS;                                 \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > eventually_end_) fail_msg("never true: %s", #condition);         \
            (void)poll(NULL, 0, 1);                                                                \
        }                                                                                          \
    } while (0)

#endif
