/* A list of actors with work, under one lock; a worker takes the first actor's first job. */
#include "workers.h"

#include "base/thread.h"

#include <pthread.h>
#include <stdlib.h>

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct actor *first, *last; /* that have jobs, none of which runs */
    bool stopping;
    unsigned count;
    pthread_t threads[];
};

static void schedule(struct workers *w, struct actor *a)
{
    a->next = NULL;
    if (w->first)
        w->last->next = a;
    else
        w->first = a;
    w->last = a;
}

/* NULL: we stop, and nothing waits. */
static struct actor *take(struct workers *w, struct job **ret)
{
    while (!w->first && !w->stopping)
        (void)pthread_cond_wait(&w->work, &w->lock);
    struct actor *a = w->first;
    if (!a) return NULL;
    w->first = a->next;
    *ret = a->first;
    a->first = a->first->next;
    return a;
}

static void *work(void *arg)
{
    struct workers *w = arg;
    struct job *job = NULL;
    thread_name("gateway-worker");
    (void)pthread_mutex_lock(&w->lock);
    for (struct actor *a; (a = take(w, &job));) {
        (void)pthread_mutex_unlock(&w->lock);
        a->ops->run(a, job);
        (void)pthread_mutex_lock(&w->lock);
        a->scheduled = a->first != NULL;
        if (a->first) schedule(w, a);
        (void)pthread_mutex_unlock(&w->lock);
        a->ops->done(a);
        (void)pthread_mutex_lock(&w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum err workers_new(unsigned threads, struct workers **ret)
{
    CHECK(threads && threads <= WORKERS_MAX);
    struct workers *w = calloc(1, sizeof *w + threads * sizeof w->threads[0]);
    if (!w) return ERR_NO_MEMORY;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->work, NULL);
    for (; w->count < threads; w->count++) {
        if (pthread_create(&w->threads[w->count], NULL, work, w) == 0) continue;
        workers_free(w);
        return ERR_NO_MEMORY;
    }
    *ret = w;
    return OK;
}

void workers_free(struct workers *w)
{
    if (!w) return;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_broadcast(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->count; i++)
        (void)pthread_join(w->threads[i], NULL);
    (void)pthread_cond_destroy(&w->work);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

void workers_post(struct workers *w, struct actor *a, struct job *own_job)
{
    own_job->next = NULL;
    (void)pthread_mutex_lock(&w->lock);
    if (a->first)
        a->last->next = own_job;
    else
        a->first = own_job;
    a->last = own_job;
    if (!a->scheduled) {
        a->scheduled = true;
        schedule(w, a);
        (void)pthread_cond_signal(&w->work);
    }
    (void)pthread_mutex_unlock(&w->lock);
}
