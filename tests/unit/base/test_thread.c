/* What the kernel knows of a thread. */
#include "support/unit.h"

#include "base/thread.h"

#include <sys/resource.h>
#include <unistd.h>

#define SIZE_OF_NAME (THREAD_NAME_MAX + 1)

static void *name_it(void *ret)
{
    thread_name("a-name-that-is-much-too-long");
    (void)pthread_getname_np(pthread_self(), ret, SIZE_OF_NAME);
    return NULL;
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    char name[SIZE_OF_NAME] = "";
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, name_it, name), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(name, "a-name-that-is-");
}

static void *go_back(void *ret)
{
    int *nice = ret;
    thread_background();
    *nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    return NULL;
}

static void only_the_thread_itself_goes_into_the_background(void **state)
{
    (void)state;
    int before = getpriority(PRIO_PROCESS, 0), nice = before;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, go_back, &nice), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(nice > before || nice == 19);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(only_the_thread_itself_goes_into_the_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
