/*
 * Scope-bound ownership. AUTO_X declares a pointer that its scope releases; TAKE moves it out:
 *     AUTO_FREE char *copy = strdup(text);
 *     ...
 *     *ret = TAKE(copy);
 * Never mixed with goto. Every destructor accepts NULL.
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <stdlib.h>

#define AUTO(destructor) __attribute__((cleanup(destructor)))
#define TAKE(pointer)                                                                              \
    __extension__({                                                                                \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

/* Defines auto_<free_function>, which a cleanup attribute can call, for `type *`.
 * NOLINTBEGIN(bugprone-macro-parentheses): a type does not stand in parentheses. */
#define AUTO_DEFINE(type, free_function)                                                           \
    static inline void auto_##free_function(type **pointer)                                        \
    {                                                                                              \
        free_function(*pointer);                                                                   \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void auto_free(void *pointer)
{
    free(*(void **)pointer);
}
#define AUTO_FREE AUTO(auto_free)

#endif
