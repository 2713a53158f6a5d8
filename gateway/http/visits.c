/* A list under a lock: a socket in it is open, because it is forgotten before it is closed. */
#include "visits.h"

#include "base/err.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

void visits_init(struct visits *v)
{
    *v = (struct visits){0};
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&v->lock, NULL);
    (void)pthread_cond_init(&v->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

void visits_release(struct visits *v)
{
    CHECK(v->open == 0);
    (void)pthread_cond_destroy(&v->changed);
    (void)pthread_mutex_destroy(&v->lock);
}

void visits_open(struct visits *v, struct visit *visit)
{
    (void)pthread_mutex_lock(&v->lock);
    *visit = (struct visit){.socket = -1, .next = v->first};
    if (v->first) v->first->previous = visit;
    v->first = visit;
    v->open++;
    (void)pthread_mutex_unlock(&v->lock);
}

unsigned visits_enter(struct visits *v, struct visit *visit, int socket)
{
    (void)pthread_mutex_lock(&v->lock);
    visit->socket = socket;
    visit->busy = true;
    v->busy++;
    unsigned open = v->open;
    (void)pthread_mutex_unlock(&v->lock);
    return open;
}

void visits_leave(struct visits *v, struct visit *visit)
{
    (void)pthread_mutex_lock(&v->lock);
    visit->busy = false;
    if (--v->busy == 0) (void)pthread_cond_broadcast(&v->changed);
    (void)pthread_mutex_unlock(&v->lock);
}

void visits_forget(struct visits *v, struct visit *visit)
{
    (void)pthread_mutex_lock(&v->lock);
    visit->socket = -1;
    (void)pthread_mutex_unlock(&v->lock);
}

void visits_close(struct visits *v, struct visit *visit)
{
    (void)pthread_mutex_lock(&v->lock);
    if (visit->previous)
        visit->previous->next = visit->next;
    else
        v->first = visit->next;
    if (visit->next) visit->next->previous = visit->previous;
    if (--v->open == 0) (void)pthread_cond_broadcast(&v->changed);
    (void)pthread_mutex_unlock(&v->lock);
}

static void wait_for(struct visits *v, const unsigned *zero, int64_t until_ms)
{
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    (void)pthread_mutex_lock(&v->lock);
    while (*zero && pthread_cond_timedwait(&v->changed, &v->lock, &until) != ETIMEDOUT) {
    }
    (void)pthread_mutex_unlock(&v->lock);
}

void visits_wait_answered(struct visits *v, int64_t until_ms)
{
    wait_for(v, &v->busy, until_ms);
}

void visits_wait_closed(struct visits *v, int64_t until_ms)
{
    wait_for(v, &v->open, until_ms);
}

/* Without a reading side the kernel still hands out what has come, then the end: a request that is
 * just arriving is answered, the wait for another one is over. */
void visits_cut(struct visits *v, enum visits_cut which)
{
    (void)pthread_mutex_lock(&v->lock);
    for (struct visit *visit = v->first; visit; visit = visit->next) {
        if (visit->socket >= 0 && (!visit->busy || which == VISITS_ALL))
            (void)shutdown(visit->socket, which == VISITS_ALL ? SHUT_RDWR : SHUT_RD);
    }
    (void)pthread_mutex_unlock(&v->lock);
}
