/*
 * How fast is the ledger alone? Single-leg transfers between random users, every one with a new id
 * that is checked against the others and remembered; as structs, and from the journal's bytes. One
 * thread. Prints {"name","value","unit"} lines.
 */
#include "accounts.h"
#include "base/clock.h"
#include "ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { USERS = 100000, TRANSFERS = 6000000, BATCH = 8192 };

struct bench {
    struct ledger *ledger;
    struct ledger_output *out;
    uint64_t seq, random, next_id;
};

static void print(const char *name, double value, const char *unit)
{
    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"%s\"}\n", name, value, unit);
}

/* This thread's own time: the core neither waits nor calls the kernel, and a busy machine is no
 * news. */
static int64_t cpu_ns(void)
{
    struct timespec t;
    CHECK(!clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t pick(struct bench *b, uint64_t below)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random % below;
}

static struct id user(uint64_t n)
{
    return (struct id){.hi = UINT64_C(0x0190000000000000) + n,
                       .lo = n * UINT64_C(0x9e3779b97f4a7c15)};
}

static struct ledger_command transfer(struct bench *b, struct id from, struct id to, int64_t amount)
{
    uint64_t n = ++b->next_id;
    struct ledger_command c = {.kind = COMMAND_TRANSFER, .time_ms = 1};
    c.transfer.id = (struct id){.hi = n * UINT64_C(0xd6e8feb86659fd93), .lo = n};
    c.transfer.kind = ENTRY_TRANSFER;
    c.transfer.leg_count = 1;
    c.transfer.legs[0] = (struct transfer_leg){.from = from, .to = to, .amount = amount};
    return c;
}

static void apply(struct bench *b, const struct ledger_command *c)
{
    enum ledger_result r = ledger_apply(b->ledger, ++b->seq, c, b->out);
    CHECK(r == LEDGER_OK);
}

static struct ledger_command random_transfer(struct bench *b)
{
    uint64_t from = pick(b, USERS);
    return transfer(b, user(from), user((from + 1 + pick(b, USERS - 1)) % USERS), 1);
}

/* A batch is made outside of the measured time; then it is read, prefetched and applied as in a
 * replay. */
static double run(struct bench *b)
{
    AUTO_BUF struct buf bytes = {0};
    buf_init(&bytes, (size_t)BATCH * 256);
    int64_t spent_ns = 0;
    for (unsigned done = 0; done < TRANSFERS; done += BATCH) {
        buf_clear(&bytes);
        for (unsigned i = 0; i < BATCH; i++) {
            struct ledger_command c = random_transfer(b);
            command_encode(&c, &bytes);
        }
        CHECK(!bytes.error);
        size_t size = bytes.size / BATCH;
        int64_t start_ns = cpu_ns();
        struct ledger_command ring[LEDGER_PREFETCH_AHEAD];
        for (unsigned i = 0; i < BATCH + LEDGER_PREFETCH_AHEAD; i++) {
            struct ledger_command *c = &ring[i % LEDGER_PREFETCH_AHEAD];
            if (i >= LEDGER_PREFETCH_AHEAD) apply(b, c);
            if (i >= BATCH) continue;
            CHECK(!command_decode(bytes.data + i * size, size, c));
            ledger_prefetch(b->ledger, c);
        }
        spent_ns += cpu_ns() - start_ns;
        ledger_touched_clear(b->ledger);
    }
    return TRANSFERS * 1e9 / (double)spent_ns;
}

static void start(struct bench *b)
{
    *b = (struct bench){.ledger = ledger_new(&(struct ledger_options){.seed = 12345}),
                        .out = calloc(1, sizeof *b->out),
                        .random = 88172645463325252};
    CHECK(b->out);
    struct ledger_command c = {.kind = COMMAND_ASSET, .asset = {.name = "USDT", .scale = 8}};
    apply(b, &c);
    for (uint64_t i = 0; i < USERS; i++) {
        c = transfer(b, LEDGER_ISSUED, user(i), INT64_C(1000000000));
        apply(b, &c);
    }
}

static void measure_snapshot(struct bench *b)
{
    AUTO_BUF struct buf bytes = {0};
    buf_init(&bytes, LEDGER_SNAPSHOT_SIZE_MAX);
    int64_t start_us = clock_mono_us();
    CHECK(!ledger_save(b->ledger, &bytes));
    print("ledger_snapshot", (double)(clock_mono_us() - start_us) / 1000, "ms");
    print("ledger_snapshot_size", (double)bytes.size, "bytes");
    struct ledger_audit audit[LEDGER_ASSETS_MAX];
    start_us = clock_mono_us();
    CHECK(ledger_audit(b->ledger, audit));
    print("ledger_audit", (double)(clock_mono_us() - start_us), "us");
}

int main(void)
{
    struct bench b;
    start(&b);
    print("ledger_core", run(&b), "transfers/s");
    measure_snapshot(&b);
    ledger_free(b.ledger);
    free(b.out);
    return 0;
}
