/* Names and priorities of threads, as Linux has them. */
#include "base/thread.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKGROUND_NICE 5 /* a third of the processor time of a thread in the foreground */

void thread_name(const char *name)
{
    char cut[THREAD_NAME_MAX + 1];
    (void)snprintf(cut, sizeof cut, "%s", name);
    (void)pthread_setname_np(pthread_self(), cut);
}

/* On Linux a thread's nice value is its own (setpriority(2), "C library/kernel differences"). */
void thread_background(void)
{
    id_t self = (id_t)gettid();
    (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + BACKGROUND_NICE);
}
