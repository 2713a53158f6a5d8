/* A bounded queue and the threads that empty it. */
#include "jobs.h"

#include "base/queue.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdlib.h>

struct jobs {
    struct queue *queue;
    unsigned thread_count;
    pthread_t threads[];
};

static void *run(void *arg)
{
    struct jobs *j = arg;
    thread_name("wallet-reads");
    for (struct job *job; (job = queue_take(j->queue, -1));)
        job->run(job);
    return NULL;
}

enum err jobs_start(unsigned threads, struct jobs **ret)
{
    struct jobs *j = calloc(1, sizeof *j + threads * sizeof j->threads[0]);
    if (!j) return ERR_NO_MEMORY;
    enum err e = queue_new(JOBS_WAITING_MAX, &j->queue);
    for (; !e && j->thread_count < threads; j->thread_count++)
        if (pthread_create(&j->threads[j->thread_count], NULL, run, j)) {
            e = ERR_NO_MEMORY;
            break;
        }
    if (e) {
        jobs_stop(j);
        return e;
    }
    *ret = j;
    return OK;
}

void jobs_stop(struct jobs *j)
{
    if (!j) return;
    if (j->queue) queue_close(j->queue);
    for (unsigned i = 0; i < j->thread_count; i++)
        CHECK(pthread_join(j->threads[i], NULL) == 0);
    queue_free(j->queue);
    free(j);
}

enum err jobs_submit(struct jobs *j, struct job *job)
{
    return queue_put(j->queue, job);
}
