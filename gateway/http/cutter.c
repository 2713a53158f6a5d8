/*
 * A slot per wait. Deadlines mostly come in the order in which they are armed, so the thread sleeps
 * to the earliest it knows of, looks at all slots, and sleeps again: usually it finds that what was
 * due is long gone.
 */
#include "cutter.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#define NEVER INT64_MAX

struct slot {
    int socket; /* -1: free */
    enum cut cut;
    int64_t at_ms; /* NEVER: it has been cut */
    size_t next_free;
};

struct cutter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stopping;
    int64_t wakes_ms; /* the thread sleeps until then */
    size_t slot_count, first_free;
    struct slot slots[];
};

static int64_t cut_what_is_due(struct cutter *c, int64_t now_ms)
{
    int64_t next_ms = NEVER;
    for (size_t i = 0; i < c->slot_count; i++) {
        struct slot *s = &c->slots[i];
        if (s->socket < 0) continue;
        if (s->at_ms <= now_ms) {
            /* It may be gone already: then there is nothing to cut. */
            (void)shutdown(s->socket, s->cut == CUT_READING ? SHUT_RD : SHUT_RDWR);
            s->at_ms = NEVER;
        }
        if (s->at_ms < next_ms) next_ms = s->at_ms;
    }
    return next_ms;
}

static void *watch(void *arg)
{
    struct cutter *c = arg;
    (void)pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        c->wakes_ms = cut_what_is_due(c, clock_mono_ms());
        struct timespec at = {.tv_sec = c->wakes_ms / 1000,
                              .tv_nsec = c->wakes_ms % 1000 * 1000000};
        if (c->wakes_ms == NEVER)
            (void)pthread_cond_wait(&c->wake, &c->lock);
        else
            (void)pthread_cond_timedwait(&c->wake, &c->lock, &at);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

enum err cutter_new(unsigned waits_max, struct cutter **ret)
{
    struct cutter *c = calloc(1, sizeof *c + waits_max * sizeof c->slots[0]);
    if (!c) return ERR_NO_MEMORY;
    c->slot_count = waits_max;
    for (size_t i = 0; i < waits_max; i++)
        c->slots[i] = (struct slot){.socket = -1, .next_free = i + 1};
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    c->running = pthread_create(&c->thread, NULL, watch, c) == 0;
    if (!c->running) {
        cutter_free(c);
        return ERR_NO_MEMORY;
    }
    *ret = c;
    return OK;
}

void cutter_free(struct cutter *c)
{
    if (!c) return;
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
    if (c->running) (void)pthread_join(c->thread, NULL);
    (void)pthread_cond_destroy(&c->wake);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

struct cutter_wait cutter_arm(struct cutter *c, int socket, enum cut cut, int64_t at_ms)
{
    if (!c || socket < 0) return (struct cutter_wait){0};
    (void)pthread_mutex_lock(&c->lock);
    size_t i = c->first_free;
    CHECK(i < c->slot_count);
    c->first_free = c->slots[i].next_free;
    c->slots[i].socket = socket;
    c->slots[i].cut = cut;
    c->slots[i].at_ms = at_ms;
    if (at_ms < c->wakes_ms) (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
    return (struct cutter_wait){c, i};
}

bool cutter_disarm(struct cutter_wait wait)
{
    struct cutter *c = wait.cutter;
    if (!c) return false;
    (void)pthread_mutex_lock(&c->lock);
    struct slot *s = &c->slots[wait.slot];
    bool cut = s->at_ms == NEVER;
    s->socket = -1;
    s->next_free = c->first_free;
    c->first_free = wait.slot;
    (void)pthread_mutex_unlock(&c->lock);
    return cut;
}
