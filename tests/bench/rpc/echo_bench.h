/*
 * What the three echo benchmarks share, so that they differ in nothing but the RPC: the server is a
 * forked process, a closed loop keeps a number of calls in flight, the first part of the time warms
 * up. C and C++.
 */
#ifndef TESTS_BENCH_RPC_ECHO_BENCH_H
#define TESTS_BENCH_RPC_ECHO_BENCH_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define ECHO_SIZE        128
#define ECHO_WARM_UP_NS  INT64_C(300000000)
#define ECHO_SAMPLES_MAX 4000000

static inline int64_t echo_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Forks; the child calls serve(fd), writes its port there and never returns. Returns the port. */
static inline unsigned echo_start_server(void (*serve)(int port_fd), pid_t *ret_pid)
{
    int fds[2];
    unsigned port = 0;
    if (pipe(fds)) abort();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(fds[1]);
        _exit(0);
    }
    if (read(fds[0], &port, sizeof port) != (ssize_t)sizeof port) abort();
    *ret_pid = pid;
    return port;
}

static inline void echo_say_port(int port_fd, unsigned port)
{
    if (write(port_fd, &port, sizeof port) != (ssize_t)sizeof port) abort();
}

static inline int echo_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* One line: calls in flight, calls per second, median and 99th percentile in microseconds. */
static inline void echo_report(unsigned inflight, uint32_t *samples_ns, uint32_t count,
                               int64_t took_ns)
{
    qsort(samples_ns, count, sizeof samples_ns[0], echo_compare);
    printf("%u %.0f %.1f %.1f\n", inflight, (double)count * 1e9 / (double)took_ns,
           samples_ns[count / 2] / 1e3, samples_ns[(uint64_t)count * 99 / 100] / 1e3);
    fflush(stdout);
}

#endif
