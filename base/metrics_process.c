/* process_* from /proc:
 * https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics */
#include "base/metrics_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void close_dir(DIR *d)
{
    if (d) (void)closedir(d);
}
AUTO_DEFINE(DIR, close_dir)

/* The beginning of a small file, ended by a NUL. */
static bool read_file(const char *path, char *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, ret, size - 1);
    (void)close(fd);
    if (got <= 0) return false;
    ret[got] = 0;
    return true;
}

static void add(struct buf *out, const char *name, const char *type, const char *help,
                uint64_t value)
{
    (void)buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name,
                         type, name, value);
}

/* Seconds with two decimals from clock ticks. */
static void add_ticks(struct buf *out, const char *name, const char *type, const char *help,
                      uint64_t ticks)
{
    uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
    (void)buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 ".%02" PRIu64 "\n", name,
                         help, name, type, name, ticks / per_second,
                         ticks % per_second * 100 / per_second);
}

/* When the machine started, in seconds since 1970; 0: unknown. */
static uint64_t boot_time(void)
{
    static const char key[] = "\nbtime ";
    char text[16384]; /* it comes after a line for each processor and one for all interrupts */
    if (!read_file("/proc/stat", text, sizeof text)) return 0;
    const char *line = strstr(text, key);
    return line ? strtoull(line + strlen(key), NULL, 10) : 0;
}

/* The fields of /proc/self/stat that are told, counted from 1 as in proc(5). */
enum {
    STAT_STATE = 3,
    STAT_USER = 14,
    STAT_SYSTEM,
    STAT_STARTED = 22,
    STAT_VIRTUAL,
    STAT_RESIDENT
};

static void add_stat(struct buf *out)
{
    char text[1024];
    if (!read_file("/proc/self/stat", text, sizeof text)) return;
    uint64_t fields[STAT_RESIDENT + 1] = {0};
    const char *at = strrchr(text, ')'); /* the name before may hold anything, ')' too */
    for (int i = STAT_STATE; i <= STAT_RESIDENT; i++) {
        at = at ? strchr(at + 1, ' ') : NULL;
        if (!at) return;
        fields[i] = strtoull(at, NULL, 10);
    }
    add_ticks(out, "process_cpu_seconds_total", "counter", "Processor time used, user and system.",
              fields[STAT_USER] + fields[STAT_SYSTEM]);
    add(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size.", fields[STAT_VIRTUAL]);
    add(out, "process_resident_memory_bytes", "gauge", "Resident memory size.",
        fields[STAT_RESIDENT] * (uint64_t)sysconf(_SC_PAGESIZE));
    uint64_t booted = boot_time();
    if (booted)
        add_ticks(out, "process_start_time_seconds", "gauge", "Start time since the Unix epoch.",
                  booted * (uint64_t)sysconf(_SC_CLK_TCK) + fields[STAT_STARTED]);
}

static void add_descriptors(struct buf *out)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        add(out, "process_max_fds", "gauge", "Most file descriptors that may be open.",
            limit.rlim_cur);
    AUTO(auto_close_dir) DIR *dir = opendir("/proc/self/fd");
    if (!dir) return;
    uint64_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    add(out, "process_open_fds", "gauge", "Open file descriptors.", count - 1); /* not this one */
}

void metrics_write_process(struct buf *out)
{
    add_stat(out);
    add_descriptors(out);
}
