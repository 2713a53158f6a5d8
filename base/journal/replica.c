/*
 * The replica loop. A look travels through the same queue as the commands, marked by its entry: so
 * one queue bounds both, and the thread waits in one place.
 */
#include "base/journal/replica.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/queue.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SNAPSHOT_BYTES_DEFAULT (64 * 1024 * 1024)

struct replica {
    const struct machine_ops *ops;
    void *machine;
    struct journal *journal;
    struct queue *queue;
    pthread_t thread;
    char name[JOURNAL_NAME_MAX + 1];
    struct counter *batches, *syncs;
    size_t batch_max;
    uint64_t snapshot_bytes;
    uint64_t snapshot_at;   /* journal bytes since the last snapshot at which the next is tried */
    struct command **taken; /* batch_max of them, as they came */
    struct command **batch; /* those of them that are not looks */
    struct iovec *entries;  /* at most JOURNAL_BATCH_MAX */
    pthread_mutex_t mutex;  /* guards stats, and the state of every look */
    pthread_cond_t looked;  /* on the monotonic clock: some look is done */
    struct replica_stats stats;
};

enum look_state { LOOK_WAITING, LOOK_RUNNING, LOOK_DONE, LOOK_ABANDONED };

struct look {
    struct command command; /* entry is look_mark */
    void (*run)(void *machine, void *arg);
    void *arg;
    enum look_state state;
};

static const char look_mark[] = "look";

/* The thread frees what its caller has abandoned; the caller frees the rest. */
static void run_look(struct replica *r, struct look *look)
{
    pthread_mutex_lock(&r->mutex);
    bool abandoned = look->state == LOOK_ABANDONED;
    look->state = LOOK_RUNNING;
    pthread_mutex_unlock(&r->mutex);
    if (abandoned) {
        free(look);
        return;
    }
    look->run(r->machine, look->arg);
    pthread_mutex_lock(&r->mutex);
    look->state = LOOK_DONE;
    pthread_cond_broadcast(&r->looked);
    pthread_mutex_unlock(&r->mutex);
}

enum err replica_look(struct replica *r, void (*run)(void *machine, void *arg), void *arg,
                      int64_t deadline_ms)
{
    struct look *look = malloc(sizeof *look);
    if (!look) return ERR_NO_MEMORY;
    *look = (struct look){.command.entry = look_mark, .run = run, .arg = arg};
    enum err e = queue_put(r->queue, &look->command);
    if (e) {
        free(look);
        return e;
    }
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    pthread_mutex_lock(&r->mutex);
    for (int result = 0; look->state == LOOK_WAITING && result == 0;)
        result = pthread_cond_timedwait(&r->looked, &r->mutex, &until);
    if (look->state == LOOK_WAITING) {
        look->state = LOOK_ABANDONED;
        pthread_mutex_unlock(&r->mutex);
        return ERR_TIMEOUT;
    }
    while (look->state != LOOK_DONE) /* it runs: arg must stay until it has */
        pthread_cond_wait(&r->looked, &r->mutex);
    pthread_mutex_unlock(&r->mutex);
    free(look);
    return OK;
}

/* Is it journaled and applied? */
static bool wanted(const struct command *c)
{
    return c->err == OK && c->entry_size > 0;
}

static void refuse_oversized(struct command **batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (wanted(batch[i]) && batch[i]->entry_size > JOURNAL_ENTRY_SIZE_MAX)
            batch[i]->err = ERR_INVALID;
}

/*
 * Makes the commands from *at on durable, as many as fit into one record, and applies them; moves
 * *at behind them. A failure is in the err of each.
 */
static void write_and_apply(struct replica *r, struct command **batch, size_t count, size_t *at)
{
    size_t begin = *at, end = begin, wanted_count = 0, bytes = 0;
    for (; end < count && wanted_count < JOURNAL_BATCH_MAX; end++) {
        const struct command *c = batch[end];
        if (!wanted(c)) continue;
        if (bytes + c->entry_size > JOURNAL_BATCH_SIZE_MAX) break;
        bytes += c->entry_size;
        r->entries[wanted_count++] = (struct iovec){(void *)(uintptr_t)c->entry, c->entry_size};
    }
    *at = end;
    if (wanted_count == 0) return;

    enum err e = journal_append(r->journal, r->entries, wanted_count, NULL);
    uint64_t seq = journal_last_seq(r->journal) - wanted_count;
    for (size_t i = begin; i < end; i++) {
        struct command *c = batch[i];
        if (!wanted(c)) continue;
        if (e)
            c->err = e;
        else
            r->ops->apply(r->machine, ++seq, c->entry, c->entry_size, c);
    }
    uint64_t syncs = journal_syncs(r->journal);
    if (e == OK) counter_add(r->batches, 1);
    counter_add(r->syncs, syncs - r->stats.syncs);
    pthread_mutex_lock(&r->mutex);
    if (e == OK) r->stats.batches++;
    if (e == ERR_IO) r->stats.failed = true;
    r->stats.last_seq = journal_last_seq(r->journal);
    r->stats.syncs = syncs;
    pthread_mutex_unlock(&r->mutex);
}

/* Only this thread writes failed, so it may read it without the lock. */
static void run_batch(struct replica *r, struct command **batch, size_t count)
{
    if (r->stats.failed) {
        for (size_t i = 0; i < count; i++)
            batch[i]->err = ERR_IO;
    } else {
        if (r->ops->prepare) r->ops->prepare(r->machine, batch, count);
        refuse_oversized(batch, count);
        for (size_t at = 0; at < count;)
            write_and_apply(r, batch, count, &at);
    }
    r->ops->finish(r->machine, batch, count);
}

static void snapshot(struct replica *r)
{
    AUTO_BUF struct buf out;
    buf_init(&out, JOURNAL_SNAPSHOT_SIZE_MAX);
    uint64_t keep_after = r->ops->keep_after ? r->ops->keep_after(r->machine) : UINT64_MAX;
    enum err e = r->ops->save(r->machine, &out);
    if (!e) e = out.error;
    if (!e) e = journal_snapshot(r->journal, out.data, out.size, keep_after, NULL);
    /* After a failure the journal is still whole: go on, and try again as much later. */
    r->snapshot_at = journal_bytes_since_snapshot(r->journal) + r->snapshot_bytes;
    pthread_mutex_lock(&r->mutex);
    if (e)
        r->stats.snapshots_failed++;
    else
        r->stats.snapshots++;
    pthread_mutex_unlock(&r->mutex);
}

static void *loop(void *arg)
{
    struct replica *r = arg;
    size_t taken;
    thread_name(r->name);
    while ((taken = queue_take_many(r->queue, (void **)r->taken, r->batch_max, -1)) > 0) {
        size_t count = 0;
        for (size_t i = 0; i < taken; i++) {
            struct command *c = r->taken[i];
            if (c->entry == look_mark)
                run_look(r, (struct look *)c);
            else
                r->batch[count++] = c;
        }
        if (count) run_batch(r, r->batch, count);
        if (!r->stats.failed && journal_bytes_since_snapshot(r->journal) >= r->snapshot_at)
            snapshot(r);
    }
    if (!r->stats.failed && journal_bytes_since_snapshot(r->journal) > 0) snapshot(r);
    return NULL;
}

struct recovery {
    const struct machine_ops *ops;
    void *machine;
};

static enum err recover_snapshot(void *arg, uint64_t seq, const void *data, size_t size)
{
    (void)seq;
    struct recovery *recovery = arg;
    return recovery->ops->load(recovery->machine, data, size);
}

static enum err recover_entry(void *arg, uint64_t seq, const void *data, size_t size)
{
    struct recovery *recovery = arg;
    recovery->ops->apply(recovery->machine, seq, data, size, NULL);
    return OK;
}

static void replica_free(struct replica *r)
{
    if (!r) return;
    queue_free(r->queue);
    journal_close(r->journal);
    free(r->taken);
    free(r->batch);
    free(r->entries);
    (void)pthread_cond_destroy(&r->looked);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}
AUTO_DEFINE(struct replica, replica_free)

static void register_metrics(struct replica *r)
{
    char label[JOURNAL_NAME_MAX + 16];
    (void)snprintf(label, sizeof label, "name=\"%s\"", r->name);
    r->batches = metrics_counter("tradepost_journal_batches_total",
                                 "Batches of commands made durable, each by one write.", label);
    r->syncs =
        metrics_counter("tradepost_journal_syncs_total", "Syncs of the journal's file.", label);
}

static struct replica *replica_new(const char *name)
{
    struct replica *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    (void)snprintf(r->name, sizeof r->name, "%s",
                   name); /* a longer one is refused by the journal */
    register_metrics(r);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&r->looked, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    CHECK(pthread_mutex_init(&r->mutex, NULL) == 0);
    return r;
}

enum err replica_start(const struct replica_options *options, const struct machine_ops *ops,
                       void *machine, struct replica **ret, struct err_detail *detail)
{
    if (detail) detail->text[0] = 0;
    AUTO(auto_replica_free) struct replica *r = replica_new(options->name);
    if (!r) return ERR_NO_MEMORY;
    r->ops = ops;
    r->machine = machine;
    r->batch_max = options->batch_max ? options->batch_max : JOURNAL_BATCH_MAX;
    r->snapshot_bytes = options->snapshot_bytes ? options->snapshot_bytes : SNAPSHOT_BYTES_DEFAULT;
    r->snapshot_at = r->snapshot_bytes;
    r->taken = calloc(r->batch_max, sizeof(struct command *));
    r->batch = calloc(r->batch_max, sizeof(struct command *));
    r->entries = calloc(JOURNAL_BATCH_MAX, sizeof *r->entries);
    if (!r->taken || !r->batch || !r->entries) return ERR_NO_MEMORY;
    enum err e = queue_new(options->queue_max ? options->queue_max : REPLICA_QUEUE_MAX, &r->queue);
    if (e) return e;

    struct recovery recovery = {.ops = ops, .machine = machine};
    const struct journal_reader reader = {&recovery, recover_snapshot, recover_entry};
    const struct journal_options where = {.directory = options->directory,
                                          .name = options->name,
                                          .segment_size = options->segment_size};
    e = journal_open(&where, &reader, &r->journal, detail);
    if (e) return e;
    r->stats.last_seq = journal_last_seq(r->journal);
    if (pthread_create(&r->thread, NULL, loop, r) != 0)
        return err_set(detail, ERR_NO_MEMORY, "replica %s: no thread", options->name);
    *ret = TAKE(r);
    return OK;
}

void replica_stop(struct replica *r)
{
    if (!r) return;
    queue_close(r->queue);
    CHECK(pthread_join(r->thread, NULL) == 0);
    replica_free(r);
}

enum err replica_submit(struct replica *r, struct command *command)
{
    return queue_put(r->queue, command);
}

void replica_stats(struct replica *r, struct replica_stats *ret)
{
    pthread_mutex_lock(&r->mutex);
    *ret = r->stats;
    pthread_mutex_unlock(&r->mutex);
    ret->queued = queue_size(r->queue);
}
