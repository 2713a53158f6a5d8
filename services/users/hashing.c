/* bcrypt and the threads that pay for it. */
#include "hashing.h"

#include "base/crypt.h"
#include "base/queue.h"
#include "base/thread.h"

#include <crypt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64

enum err hashing_make(const char *password, unsigned cost, char ret[static HASH_SIZE])
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE], seed[16];
    struct crypt_data *data = calloc(1, sizeof *data);
    if (!data) return ERR_NO_MEMORY;
    crypt_random(seed, sizeof seed);
    CHECK(crypt_gensalt_rn("$2b$", cost, seed, sizeof seed, salt, sizeof salt));
    const char *hash = crypt_r(password, salt, data);
    CHECK(hash && hash[0] == '$' && strlen(hash) < HASH_SIZE);
    memcpy(ret, hash, strlen(hash) + 1);
    explicit_bzero(data, sizeof *data);
    free(data);
    return OK;
}

void hashing_make_dummy(unsigned cost, char ret[static HASH_SIZE])
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE], seed[16] = {0};
    CHECK(crypt_gensalt_rn("$2b$", cost, seed, sizeof seed, salt, sizeof salt));
    (void)snprintf(ret, HASH_SIZE, "%.29s...............................", salt);
}

enum err hashing_matches(const char *password, const char *hash, bool *ret)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    if (!data) return ERR_NO_MEMORY;
    const char *again = crypt_r(password, hash, data);
    size_t size = strlen(hash);
    *ret = again && strlen(again) == size && crypt_equal(again, hash, size);
    explicit_bzero(data, sizeof *data);
    free(data);
    return OK;
}

struct hashing_pool {
    struct queue *queue;
    unsigned threads;
    pthread_t thread[THREADS_MAX];
};

static void *work(void *arg)
{
    struct hashing_pool *p = arg;
    thread_name("users-hash");
    for (struct hashing_job *job; (job = queue_take(p->queue, -1));)
        job->run(job);
    return NULL;
}

enum err hashing_pool_new(unsigned threads, unsigned queue_max, struct hashing_pool **ret)
{
    CHECK(threads > 0 && threads <= THREADS_MAX);
    struct hashing_pool *p = calloc(1, sizeof *p);
    if (!p) return ERR_NO_MEMORY;
    enum err e = queue_new(queue_max, &p->queue);
    while (!e && p->threads < threads) {
        if (pthread_create(&p->thread[p->threads], NULL, work, p))
            e = ERR_NO_MEMORY;
        else
            p->threads++;
    }
    if (e) {
        hashing_pool_free(p);
        return e;
    }
    *ret = p;
    return OK;
}

enum err hashing_pool_submit(struct hashing_pool *p, struct hashing_job *job)
{
    return queue_put(p->queue, job);
}

void hashing_pool_stop(struct hashing_pool *p)
{
    if (!p) return;
    if (p->queue) queue_close(p->queue);
    for (unsigned i = 0; i < p->threads; i++)
        (void)pthread_join(p->thread[i], NULL);
    p->threads = 0;
}

void hashing_pool_free(struct hashing_pool *p)
{
    if (!p) return;
    hashing_pool_stop(p);
    queue_free(p->queue);
    free(p);
}
