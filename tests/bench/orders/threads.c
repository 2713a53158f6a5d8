/* /proc/self/task: comm is the name, schedstat begins with the nanoseconds that a thread has run.
 */
#include "threads.h"

#include "base/err.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line of a task's file; false: the thread has ended. */
static bool read_line(const char *task, const char *file, char *ret, int size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%.16s/%s", task, file);
    FILE *f = fopen(path, "r");
    bool there = f && fgets(ret, size, f);
    if (f) (void)fclose(f);
    if (there) ret[strcspn(ret, "\n")] = 0;
    return there;
}

static void add(struct thread_time *times, size_t *count, const char *name, double us)
{
    size_t i = 0;
    while (i < *count && strcmp(times[i].name, name) != 0)
        i++;
    CHECK(i < THREADS_NAMES_MAX);
    if (i == *count) {
        (void)snprintf(times[i].name, sizeof times[i].name, "%s", name);
        times[i].us = 0;
        ++*count;
    }
    times[i].us += us;
}

size_t threads_times(struct thread_time ret[static THREADS_NAMES_MAX])
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (const struct dirent *task; (task = readdir(tasks));) {
        char name[32], schedstat[128];
        if (task->d_name[0] == '.' || !read_line(task->d_name, "comm", name, sizeof name) ||
            !read_line(task->d_name, "schedstat", schedstat, sizeof schedstat))
            continue;
        add(ret, &count, name, strtod(schedstat, NULL) / 1000);
    }
    (void)closedir(tasks);
    return count;
}
