/* A ring under one mutex; one condition, on the monotonic clock, says that something waits. */
#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* an item came, or the queue was closed */
    bool closed;
    bool waking; /* a taker has been signalled and has not come yet */
    size_t takers_waiting;
    size_t first, size, items_max;
    void *items[]; /* a ring: size of them from first */
};

enum err queue_new(size_t items_max, struct queue **ret)
{
    CHECK(items_max > 0 && items_max < SIZE_MAX / sizeof(void *) / 2);
    struct queue *q = calloc(1, sizeof *q + items_max * sizeof q->items[0]);
    if (!q) return ERR_NO_MEMORY;
    q->items_max = items_max;
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&q->changed, &attributes) == 0);
    CHECK(pthread_mutex_init(&q->mutex, NULL) == 0);
    (void)pthread_condattr_destroy(&attributes);
    *ret = q;
    return OK;
}

void queue_free(struct queue *q)
{
    if (!q) return;
    CHECK(q->takers_waiting == 0);
    (void)pthread_cond_destroy(&q->changed);
    (void)pthread_mutex_destroy(&q->mutex);
    free(q);
}

/*
 * Holding the mutex. One taker is woken at a time, and wakes the next one if it leaves something:
 * under load most items are taken by who is awake anyhow, without a system call for each.
 */
static void wake_one(struct queue *q)
{
    if (!q->size || !q->takers_waiting || q->waking) return;
    q->waking = true;
    pthread_cond_signal(&q->changed);
}

enum err queue_put(struct queue *q, void *item)
{
    CHECK(item); /* NULL is how queue_take says that there is none */
    enum err e = OK;
    pthread_mutex_lock(&q->mutex);
    if (q->closed) {
        e = ERR_CLOSED;
    } else if (q->size == q->items_max) {
        e = ERR_EXHAUSTED;
    } else {
        size_t at = q->first + q->size++;
        q->items[at < q->items_max ? at : at - q->items_max] = item;
        wake_one(q);
    }
    pthread_mutex_unlock(&q->mutex);
    return e;
}

/* Holding the mutex. Waits until something waits; false: deadline, or closed. */
static bool wait_for_items(struct queue *q, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    int result = 0;
    while (q->size == 0 && !q->closed && result == 0) {
        q->takers_waiting++;
        result = deadline_ms < 0 ? pthread_cond_wait(&q->changed, &q->mutex)
                                 : pthread_cond_timedwait(&q->changed, &q->mutex, &until);
        q->takers_waiting--;
        q->waking = false;
    }
    return q->size > 0;
}

size_t queue_take_many(struct queue *q, void **ret, size_t items_max, int64_t deadline_ms)
{
    size_t taken = 0;
    pthread_mutex_lock(&q->mutex);
    if (wait_for_items(q, deadline_ms)) {
        for (; taken < items_max && q->size; taken++, q->size--) {
            ret[taken] = q->items[q->first];
            q->first = q->first + 1 < q->items_max ? q->first + 1 : 0;
        }
        wake_one(q);
    }
    pthread_mutex_unlock(&q->mutex);
    return taken;
}

void *queue_take(struct queue *q, int64_t deadline_ms)
{
    void *item;
    return queue_take_many(q, &item, 1, deadline_ms) ? item : NULL;
}

size_t queue_size(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    size_t size = q->size;
    pthread_mutex_unlock(&q->mutex);
    return size;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
}
