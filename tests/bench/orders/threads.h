/* Processor time of this process by the names of its threads. */
#ifndef BENCH_ORDERS_THREADS_H
#define BENCH_ORDERS_THREADS_H

#include <stddef.h>

#define THREADS_NAMES_MAX 64

struct thread_time {
    char name[16];
    double us;
};

/* Threads of one name together; returns how many names there are. From /proc. */
size_t threads_times(struct thread_time ret[static THREADS_NAMES_MAX]);

#endif
