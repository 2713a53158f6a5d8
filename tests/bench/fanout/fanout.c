/*
 * So many clients, all of them listening to the same markets: how many messages a second reach
 * them, and how old they are then. The load, the clients and the events' source are this process;
 * what is measured is another.
 *
 *   bench_fanout CLIENTS SECONDS RATE PORT node PROGRAM
 *   bench_fanout CLIENTS SECONDS RATE PORT bus PID KEY=VALUE...
 *
 * RATE: events a second of each market, on time whatever happens; 0: the next one when every client
 * has all but the last few. Prints one line: delivered/s, p50 and p99 in ms, KiB of resident memory
 * per client, processor seconds of the server per million messages, messages out of order, lost
 * connections.
 */
#include "clients.h"
#include "source.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define AHEAD      4 /* events of a market that are on their way at RATE 0 */
#define WARM_UP_US 1000000
#define ARRIVE_US  20000000 /* for what is on its way at the end */

/* Of the process under test. */
static double resident_kb(pid_t pid)
{
    char path[64];
    long pages = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1) die_of(path);
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static double processor_s(pid_t pid)
{
    char path[64];
    unsigned long user = 0, system_time = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                        &user, &system_time) != 2)
        die_of(path);
    (void)fclose(file);
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

struct load {
    struct source *source;
    struct clients *clients;
    double rate;
    int64_t begin_us;
    uint64_t published[MARKETS];
};

/* Publishes what is due. */
static void publish(struct load *l)
{
    int64_t now = now_us();
    for (size_t m = 0; m < MARKETS; m++) {
        if (l->rate == 0) {
            while (l->published[m] < clients_had(l->clients, m) + AHEAD)
                source_publish(l->source, market_names[m], ++l->published[m], now);
            continue;
        }
        for (;;) {
            int64_t due = l->begin_us + (int64_t)((double)l->published[m] * 1e6 / l->rate);
            if (due > now) break;
            source_publish(l->source, market_names[m], ++l->published[m], due);
        }
    }
}

static void run_until(struct load *l, int64_t end_us)
{
    while (now_us() < end_us) {
        publish(l);
        clients_read(l->clients, 1);
    }
}

static bool has_arrived(const struct load *l)
{
    for (size_t m = 0; m < MARKETS; m++)
        if (clients_had(l->clients, m) < l->published[m]) return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 7) return 2;
    size_t count = strtoul(argv[1], NULL, 10);
    double seconds = strtod(argv[2], NULL);
    bool bus = strcmp(argv[5], "bus") == 0;
    struct rlimit files = {count + 1000, count + 1000};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    log_set_level(LOG_ERROR);

    struct load l = {.rate = strtod(argv[3], NULL)};
    l.source = bus ? source_bus((const char *const *)argv + 7) : source_peer(argv[6], argv[4]);
    pid_t pid = bus ? (pid_t)strtol(argv[6], NULL, 10) : source_pid(l.source);
    double before_kb = resident_kb(pid);
    enum protocol protocol =
        !bus && strstr(argv[6], "socketio") ? PROTOCOL_SOCKETIO : PROTOCOL_JSON;
    l.clients = clients_connect((unsigned)strtoul(argv[4], NULL, 10), protocol, count);
    double client_kb = (resident_kb(pid) - before_kb) / (double)count;

    l.begin_us = now_us();
    run_until(&l, l.begin_us + WARM_UP_US);
    clients_measure_anew(l.clients);
    double processor = processor_s(pid);
    int64_t from = now_us();
    run_until(&l, from + (int64_t)(seconds * 1e6));
    struct clients_result r = clients_result(l.clients);
    double took = (double)(now_us() - from) / 1e6;
    processor = processor_s(pid) - processor;
    for (int64_t end = now_us() + ARRIVE_US; !has_arrived(&l) && now_us() < end;)
        clients_read(l.clients, 10);
    bool all = has_arrived(&l);
    struct clients_result after = clients_result(l.clients);
    (void)printf("%.0f %.2f %.2f %.2f %.3f %" PRIu64 " %" PRIu64 "\n", (double)r.delivered / took,
                 r.p50_ms, r.p99_ms, client_kb, processor / (double)r.delivered * 1e6,
                 after.disordered, after.lost_connections);
    clients_free(l.clients);
    source_free(l.source);
    if (!all) (void)fprintf(stderr, "fanout: not everything arrived\n");
    return all ? 0 : 1;
}
