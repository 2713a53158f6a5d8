/*
 * A thread says what it is: top -H, perf and a debugger show the name, so an operator sees which
 * stage of a part is busy.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

#define THREAD_NAME_MAX 15 /* bytes: the kernel keeps no more */

/* Of the calling thread, as "wallet-journal"; what is longer than THREAD_NAME_MAX is cut. */
void thread_name(const char *name);

/*
 * For work that nobody waits for: from now on the calling thread gets processor time after others
 * that want it. It still gets some. Cannot be taken back.
 */
void thread_background(void);

#endif
