/*
 * The durable order path with everything in one process: users' orders over inproc RPC, held by the
 * wallet, journaled, matched, settled, published and projected. One JSON line per result on stdout.
 */
#include "load.h"
#include "threads.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/metrics.h"
#include "services/cli.h"
#include "wallet.pb-c.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define READY_MS    10000
#define WARM_UP_MS  500
#define FILL_MS_MAX 30000
#define BATCH       100 /* orders of a request, in batches */

/* One measurement. */
struct measured {
    const char *what; /* "single", "batch", "sustained" */
    unsigned clients, batch;
};

static void print(const struct measured *m, const char *name, double value, const char *unit)
{
    (void)printf("{\"name\":\"orders.%s.%u.%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", m->what,
                 m->clients, name, value, unit);
    (void)fflush(stdout);
}

/* The sum of a metric's series, from the text that an operator's Prometheus gets. */
static double metric(const char *series)
{
    struct buf text;
    char line[128];
    double total = 0;
    buf_init(&text, 4 * 1024 * 1024);
    CHECK(!metrics_write(&text));
    (void)snprintf(line, sizeof line, "\n%s", series);
    for (char *at = text.data; (at = strstr(at, line)); at++)
        total += strtod(strchr(at + 1, ' '), NULL);
    buf_release(&text);
    return total;
}

static const char *const stages[] = {"hold", "journal", "match", "settle"};
#define STAGES (sizeof stages / sizeof stages[0])

/* What has happened so far. */
struct totals {
    double syncs, cpu_us, seconds[STAGES], batches[STAGES];
};

static double stage_metric(const char *stage, const char *suffix)
{
    char series[128];
    (void)snprintf(series, sizeof series, "tradepost_order_stage_seconds_%s{stage=\"%s\"}", suffix,
                   stage);
    return metric(series);
}

/* Processor time of the whole process, load and all. */
static double cpu_us(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static struct totals totals(void)
{
    struct totals t = {.syncs = metric("tradepost_journal_syncs_total"), .cpu_us = cpu_us()};
    for (size_t i = 0; i < STAGES; i++) {
        t.seconds[i] = stage_metric(stages[i], "sum");
        t.batches[i] = stage_metric(stages[i], "count");
    }
    return t;
}

static void wait_ready(const struct part_ops *ops, void *part)
{
    struct err_detail detail = {0};
    for (int64_t end = clock_mono_ms() + READY_MS; ops->ready(part, &detail);) {
        CHECK(clock_mono_ms() < end);
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static void credit(struct rpc_client *wallet, const char *user_id, const char *asset)
{
    struct principal admin = {.role = ROLE_ADMIN, .permissions = UINT64_MAX};
    struct rpc_options options = {.principal = &admin};
    struct rpc_status status = {0};
    char transfer_id[64];
    (void)snprintf(admin.user_id, sizeof admin.user_id, "%s", user_id);
    (void)snprintf(transfer_id, sizeof transfer_id, "%.32s-%.16s", user_id, asset);
    Wallet__CreditRequest request = WALLET__CREDIT_REQUEST__INIT;
    request.transfer_id = transfer_id;
    request.user_id = (char *)user_id;
    request.asset = (char *)asset;
    request.amount = (char *)"100000000";
    ProtobufCMessage *reply = NULL;
    if (rpc_call(wallet, "wallet.Wallet/Credit", &request.base, &options, &reply, &status)) {
        (void)fprintf(stderr, "credit: %s\n", status.message);
        exit(1);
    }
    protobuf_c_message_free_unpacked(reply, NULL);
}

static void make_users(struct rpc_client *wallet, struct principal *ret)
{
    for (unsigned i = 0; i < LOAD_CLIENTS_MAX; i++) {
        ret[i] = (struct principal){.role = ROLE_USER, .permissions = UINT64_MAX};
        id_format(id_new(), ret[i].user_id);
        credit(wallet, ret[i].user_id, "USDT");
        credit(wallet, ret[i].user_id, "BTC");
    }
}

/* What each thread has used since, for each order. */
static void print_threads(const struct measured *m, const struct thread_time *before,
                          size_t before_count, double orders)
{
    struct thread_time after[THREADS_NAMES_MAX];
    size_t count = threads_times(after);
    for (size_t i = 0; i < count; i++) {
        char name[48];
        double us = after[i].us;
        for (size_t j = 0; j < before_count; j++)
            if (strcmp(before[j].name, after[i].name) == 0) us -= before[j].us;
        (void)snprintf(name, sizeof name, "cpu.%s", after[i].name);
        if (us / orders >= 0.05) print(m, name, us / orders, "us/order");
    }
}

static void print_stages(const struct measured *m, const struct totals *before,
                         const struct totals *after, double orders)
{
    for (size_t i = 0; i < STAGES; i++) {
        double batches = after->batches[i] - before->batches[i];
        char name[48];
        (void)snprintf(name, sizeof name, "stage.%s", stages[i]);
        if (batches > 0)
            print(m, name, 1e3 * (after->seconds[i] - before->seconds[i]) / batches, "ms");
    }
    double batches = after->batches[1] - before->batches[1];
    if (batches > 0) print(m, "orders_per_batch", orders / batches, "1");
}

static void measure(const struct measured *m, const struct load *load)
{
    struct thread_time threads[THREADS_NAMES_MAX];
    size_t thread_count = threads_times(threads);
    struct totals before = totals();
    struct load_result result = load_run(load);
    struct totals after = totals();
    double orders = result.orders ? (double)result.orders : 1;
    print(m, "throughput", result.orders_per_s, "orders/s");
    print(m, "p50", (double)result.p50_us / 1000, "ms");
    print(m, "p99", (double)result.p99_us / 1000, "ms");
    print(m, "syncs_per_order", (after.syncs - before.syncs) / orders, "1");
    print(m, "refused", (double)result.refused / (orders + (double)result.refused), "1");
    print_stages(m, &before, &after, orders);
    print(m, "cpu", (after.cpu_us - before.cpu_us) / orders, "us/order");
    print_threads(m, threads, thread_count, orders);
}

/* Until nothing waits to be settled, announced or written as a document. */
static void wait_idle(void)
{
    while (metric("tradepost_trading_stream_bytes") > 0 ||
           metric("tradepost_wallet_projection_entries") > 0)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/*
 * "single" and "batch": from nothing that waits, for a time. "sustained": batches after so much
 * waits that orders are refused, so that no more come in than documents are written.
 */
static void run(struct rpc_client *trading, const struct principal *users, const struct measured *m,
                int64_t duration_ms)
{
    struct load load = {.trading = trading,
                        .users = users,
                        .clients = m->clients,
                        .batch = m->batch,
                        .duration_ms = WARM_UP_MS};
    (void)load_run(&load);
    wait_idle();
    if (strcmp(m->what, "sustained") == 0) {
        load.duration_ms = FILL_MS_MAX;
        load.until_refused = true;
        (void)load_run(&load);
        load.until_refused = false;
        duration_ms *= 2;
    }
    load.duration_ms = duration_ms;
    measure(m, &load);
    wait_idle();
}

/* "single", "batch", "sustained" and a number of clients, or all. */
static void run_all(struct rpc_client *trading, const struct principal *users, int64_t duration_ms,
                    char **wanted)
{
    static const unsigned counts[] = {1, 8, 32, 128, 256};
    struct measured m;
    if (*wanted) {
        for (; wanted[0] && wanted[1]; wanted += 2) {
            m = (struct measured){wanted[0], (unsigned)strtoul(wanted[1], NULL, 10),
                                  strcmp(wanted[0], "single") == 0 ? 1 : BATCH};
            run(trading, users, &m, duration_ms);
        }
        return;
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        run(trading, users, &(struct measured){"single", counts[i], 1}, duration_ms);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        run(trading, users, &(struct measured){"batch", counts[i], BATCH}, duration_ms);
    run(trading, users, &(struct measured){"sustained", 256, BATCH}, duration_ms);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

int main(int argc, char **argv)
{
    static struct principal users[LOAD_CLIENTS_MAX];
    int64_t duration_ms = argc > 1 ? strtoll(argv[1], NULL, 10) : 5000;
    char directory[] = "/var/tmp/tradepost-bench-XXXXXX", setting[64]; /* a disk, not a tmpfs */
    struct cli cli = {.config_file = argc > 2 ? argv[2] : NULL,
                      .overrides = {setting, "wallet.listen=inproc://wallet",
                                    "trading.listen=inproc://trading", NULL}};
    struct err_detail detail = {0};
    CHECK(mkdtemp(directory));
    (void)snprintf(setting, sizeof setting, "data_dir=%s", directory);
    log_set_level(LOG_WARN);

    struct part_env *env = NULL;
    void *parts[PARTS_MAX] = {0};
    enum err e = cli_load_config(&cli, &detail);
    if (!e) e = part_env_open(cli.config, &env, &detail);
    for (unsigned i = 1; i <= 2 && !e; i++) /* wallet, trading */
        e = cli_parts[i]->start(env, &parts[i], &detail);
    struct rpc_client *wallet = NULL, *trading = NULL;
    if (!e) e = part_client(env, "bench", "wallet", &wallet, &detail);
    if (!e) e = part_client(env, "bench", "trading", &trading, &detail);
    if (e) {
        (void)fprintf(stderr, "%s: %s\n", err_name(e), detail.text);
        return 1;
    }
    wait_ready(cli_parts[2], parts[2]);
    make_users(wallet, users);
    run_all(trading, users, duration_ms, argc > 3 ? argv + 3 : argv + argc);

    int64_t begin_ms = clock_mono_ms();
    rpc_client_free(trading);
    rpc_client_free(wallet);
    cli_parts[2]->stop(parts[2], 10000);
    cli_parts[1]->stop(parts[1], 10000);
    (void)printf("{\"name\":\"orders.stop\",\"value\":%.3f,\"unit\":\"s\"}\n",
                 (double)(clock_mono_ms() - begin_ms) / 1000);
    part_env_close(env);
    config_free(cli.config);
    free(cli.schema);
    (void)nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
