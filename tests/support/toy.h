/*
 * A toy machine for the replica loop: a row of counters. A command adds to one of them; the sum of
 * all and a running hash tell whether a replay is the same. Counter COUNTERS is refused by prepare;
 * COUNTERS
 * + 1 is answered without being journaled.
 */
#ifndef TESTS_TOY_H
#define TESTS_TOY_H

#include "support/unit.h"

#include "base/journal/replica.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#define COUNTERS 16

struct toy {
    uint64_t counters[COUNTERS];
    uint64_t hash, last_seq;
    /* Not part of the state: */
    atomic_uint finished, failed;
    size_t largest_batch;
    bool hold; /* prepare tells entered and waits for go, once for each batch */
    sem_t entered, go;
};

struct add {
    struct command command;
    uint64_t entry[2]; /* which counter, how much */
    uint64_t result;
    enum err *ret; /* NULL: nobody wants to know */
    bool own;      /* to free */
};

static inline void toy_prepare(void *machine, struct command **commands, size_t count)
{
    struct toy *t = machine;
    if (count > t->largest_batch) t->largest_batch = count;
    if (t->hold) {
        sem_post(&t->entered);
        sem_wait(&t->go);
    }
    for (size_t i = 0; i < count; i++) {
        struct add *a = (struct add *)commands[i];
        if (a->entry[0] == COUNTERS) a->command.err = ERR_PRECONDITION;
        if (a->entry[0] == COUNTERS + 1) a->command.entry_size = 0;
    }
}

static inline void toy_apply(void *machine, uint64_t seq, const void *entry, size_t size,
                             struct command *command)
{
    struct toy *t = machine;
    uint64_t add[2];
    CHECK(size >= sizeof add && seq == t->last_seq + 1);
    memcpy(add, entry, sizeof add);
    CHECK(add[0] < COUNTERS);
    t->counters[add[0]] += add[1];
    t->hash = (t->hash ^ add[1] ^ seq) * UINT64_C(0x9e3779b97f4a7c15) + add[0];
    t->last_seq = seq;
    if (command) ((struct add *)command)->result = t->counters[add[0]];
}

static inline void toy_finish(void *machine, struct command **commands, size_t count)
{
    struct toy *t = machine;
    for (size_t i = 0; i < count; i++) {
        struct add *a = (struct add *)commands[i];
        if (a->command.err) atomic_fetch_add(&t->failed, 1);
        if (a->ret) *a->ret = a->command.err;
        if (a->own) free(a);
    }
    atomic_fetch_add(&t->finished, (unsigned)count);
}

static inline enum err toy_save(void *machine, struct buf *out)
{
    struct toy *t = machine;
    (void)buf_add(out, t->counters, sizeof t->counters);
    (void)buf_add(out, &t->hash, sizeof t->hash);
    return buf_add(out, &t->last_seq, sizeof t->last_seq);
}

static inline enum err toy_load(void *machine, const void *data, size_t size)
{
    struct toy *t = machine;
    const uint8_t *at = data;
    if (size != sizeof t->counters + sizeof t->hash + sizeof t->last_seq) return ERR_CORRUPT;
    memcpy(t->counters, at, sizeof t->counters);
    memcpy(&t->hash, at + sizeof t->counters, sizeof t->hash);
    memcpy(&t->last_seq, at + sizeof t->counters + sizeof t->hash, sizeof t->last_seq);
    return OK;
}

static const struct machine_ops toy_ops = {.prepare = toy_prepare,
                                           .apply = toy_apply,
                                           .finish = toy_finish,
                                           .save = toy_save,
                                           .load = toy_load};

static inline void toy_init(struct toy *t)
{
    memset(t, 0, sizeof *t);
    assert_int_equal(sem_init(&t->entered, 0, 0), 0);
    assert_int_equal(sem_init(&t->go, 0, 0), 0);
}

static inline enum err toy_submit(struct replica *r, uint64_t counter, uint64_t amount,
                                  enum err *ret)
{
    struct add *a = calloc(1, sizeof *a);
    *a = (struct add){.entry = {counter, amount}, .ret = ret, .own = true};
    a->command.entry = a->entry;
    a->command.entry_size = sizeof a->entry;
    enum err e = replica_submit(r, &a->command);
    if (e) free(a);
    return e;
}

#define TOY_STATE_SIZE offsetof(struct toy, finished)

/* For replica_look: the state, without the rest. */
static inline void copy_toy(void *machine, void *arg)
{
    memcpy(arg, machine, TOY_STATE_SIZE);
}

static inline uint64_t toy_sum(const struct toy *t)
{
    uint64_t sum = 0;
    for (int i = 0; i < COUNTERS; i++)
        sum += t->counters[i];
    return sum;
}

#endif
