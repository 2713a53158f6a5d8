/*
 * How fast is the ledger behind its journal? One thread makes and submits transfers, the replica's
 * writes them in batches of at most 8,192 (one record, one sync each), applies and finishes them.
 * The journal is below TMPDIR. Prints {"name","value","unit"} lines.
 */
#include "base/clock.h"
#include "base/journal/replica.h"
#include "ledger.h"

#include <ftw.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 100000, TRANSFERS = 3000000, SLOTS = 4 * JOURNAL_BATCH_MAX };

struct slot {
    struct command command; /* first */
    struct buf bytes;
};

struct bench {
    struct ledger *ledger;
    struct ledger_output *out;
    struct command **batch;
    size_t batch_count, batch_at;
    uint64_t random, next_id;
    sem_t free; /* slots */
    atomic_uint done;
};

static void print(const char *name, double value, const char *unit)
{
    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"%s\"}\n", name, value, unit);
}

static struct id user(uint64_t n)
{
    return (struct id){.hi = UINT64_C(0x0190000000000000) + n,
                       .lo = n * UINT64_C(0x9e3779b97f4a7c15)};
}

/* ---- the machine: the wallet's without documents and events ---- */

static void prepare(void *machine, struct command **commands, size_t count)
{
    struct bench *b = machine;
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = (struct slot *)commands[i];
        command_stamp(slot->bytes.data, slot->bytes.size, now_ms);
    }
    b->batch = commands;
    b->batch_count = count;
    b->batch_at = 0;
}

static void apply(void *machine, uint64_t seq, const void *entry, size_t size,
                  struct command *command)
{
    struct bench *b = machine;
    struct ledger_command c;
    size_t ahead = b->batch_at++ + LEDGER_PREFETCH_AHEAD;
    if (command && ahead < b->batch_count &&
        !command_decode(b->batch[ahead]->entry, b->batch[ahead]->entry_size, &c))
        ledger_prefetch(b->ledger, &c);
    CHECK(!command_decode(entry, size, &c));
    CHECK(ledger_apply(b->ledger, seq, &c, b->out) == LEDGER_OK);
}

static void finish(void *machine, struct command **commands, size_t count)
{
    struct bench *b = machine;
    for (size_t i = 0; i < count; i++) {
        CHECK(!commands[i]->err);
        CHECK(!sem_post(&b->free));
    }
    ledger_touched_clear(b->ledger);
    (void)atomic_fetch_add(&b->done, (unsigned)count);
}

static enum err save(void *machine, struct buf *out)
{
    struct bench *b = machine;
    return ledger_save(b->ledger, out);
}

static enum err load(void *machine, const void *data, size_t size)
{
    struct bench *b = machine;
    return ledger_load(b->ledger, data, size);
}

static const struct machine_ops ops = {
    .prepare = prepare, .apply = apply, .finish = finish, .save = save, .load = load};

/* ---- the load ---- */

static void submit(struct bench *b, struct replica *r, struct slot *slot,
                   const struct ledger_command *c)
{
    while (sem_wait(&b->free))
        ;
    buf_clear(&slot->bytes);
    command_encode(c, &slot->bytes);
    CHECK(!slot->bytes.error);
    slot->command = (struct command){.entry = slot->bytes.data, .entry_size = slot->bytes.size};
    CHECK(!replica_submit(r, &slot->command));
}

static void make(struct bench *b, struct ledger_command *c, struct id from, struct id to,
                 int64_t amount)
{
    uint64_t n = ++b->next_id;
    c->kind = COMMAND_TRANSFER;
    c->transfer.id = (struct id){.hi = n * UINT64_C(0xd6e8feb86659fd93), .lo = n};
    c->transfer.kind = ENTRY_TRANSFER;
    c->transfer.leg_count = 1;
    c->transfer.legs[0] = (struct transfer_leg){.from = from, .to = to, .amount = amount};
}

static uint64_t pick(struct bench *b, uint64_t below)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random % below;
}

static void wait_for(struct bench *b, unsigned count)
{
    while (atomic_load(&b->done) < count)
        sched_yield();
}

static void run(struct bench *b, struct replica *r, struct slot *slots)
{
    static struct ledger_command c; /* large */
    unsigned next = 0;
    c = (struct ledger_command){.kind = COMMAND_ASSET, .asset = {.name = "USDT", .scale = 8}};
    submit(b, r, &slots[next++], &c);
    for (uint64_t i = 0; i < USERS; i++) {
        make(b, &c, LEDGER_ISSUED, user(i), INT64_C(1000000000));
        submit(b, r, &slots[next++ % SLOTS], &c);
    }
    wait_for(b, USERS + 1);

    struct replica_stats before;
    struct replica_stats after;
    replica_stats(r, &before);
    int64_t start_us = clock_mono_us();
    for (unsigned i = 0; i < TRANSFERS; i++) {
        uint64_t from = pick(b, USERS);
        make(b, &c, user(from), user((from + 1 + pick(b, USERS - 1)) % USERS), 1);
        submit(b, r, &slots[next++ % SLOTS], &c);
    }
    wait_for(b, USERS + 1 + TRANSFERS);
    int64_t spent_us = clock_mono_us() - start_us;
    replica_stats(r, &after);
    print("ledger_journaled", TRANSFERS * 1e6 / (double)spent_us, "transfers/s");
    print("ledger_journaled_batch", TRANSFERS / (double)(after.batches - before.batches),
          "transfers/sync");
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

int main(void)
{
    struct bench b = {.ledger = ledger_new(&(struct ledger_options){.seed = 12345}),
                      .out = calloc(1, sizeof *b.out),
                      .random = 88172645463325252};
    struct slot *slots = calloc(SLOTS, sizeof *slots);
    CHECK(b.out && slots && !sem_init(&b.free, 0, SLOTS));
    for (size_t i = 0; i < SLOTS; i++)
        buf_init(&slots[i].bytes, COMMAND_SIZE_MAX);
    const char *root = getenv("TMPDIR");
    char directory[256];
    (void)snprintf(directory, sizeof directory, "%s/tradepost-bench-XXXXXX", root ? root : "/tmp");
    CHECK(mkdtemp(directory));
    const struct replica_options options = {
        .directory = directory, .name = "bench", .snapshot_bytes = UINT64_C(1) << 30};
    struct replica *r = NULL;
    CHECK(!replica_start(&options, &ops, &b, &r, NULL));
    run(&b, r, slots);
    replica_stop(r);
    (void)nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < SLOTS; i++)
        buf_release(&slots[i].bytes);
    free(slots);
    free(b.out);
    ledger_free(b.ledger);
    return 0;
}
