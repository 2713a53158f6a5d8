/* Stored orders for repeated requests. */
#include "lookup.h"

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "trading_store.h"

#include <pthread.h>
#include <stdlib.h>

struct lookup {
    struct store *store;
    struct listings *listings;
    struct project *project;
    struct queue *queue;
    pthread_t thread;
};

static void find(struct lookup *l, struct pending *p)
{
    int64_t deadline_ms = p->deadline_ms ? p->deadline_ms : clock_mono_ms() + LOOKUP_TIMEOUT_MS;
    enum err e = project_wait(l->project, p->documents_seq, deadline_ms);
    if (!e) e = trading_store_order(l->store, l->listings, p->request.user, p->order_id, &p->order);
    if (e == ERR_NOT_FOUND)
        pending_refuse(p, e, refusal_word(REFUSED_ORDER), refusal_text(REFUSED_ORDER));
    else if (e)
        pending_refuse(p, ERR_UNAVAILABLE, "history_unavailable",
                       "the order was placed before; it cannot be shown right now");
    p->has_order = !e;
    p->answer(p);
}

static void *loop(void *arg)
{
    struct lookup *l = arg;
    thread_name("trading-lookup");
    struct pending *p;
    while ((p = queue_take(l->queue, -1)))
        find(l, p);
    return NULL;
}

enum err lookup_start(struct store *store, struct listings *listings, struct project *project,
                      struct lookup **ret)
{
    struct lookup *l = calloc(1, sizeof *l);
    if (!l) return ERR_NO_MEMORY;
    *l = (struct lookup){.store = store, .listings = listings, .project = project};
    enum err e = queue_new(LOOKUP_QUEUE_MAX, &l->queue);
    if (!e && pthread_create(&l->thread, NULL, loop, l) != 0) {
        queue_free(l->queue);
        e = ERR_NO_MEMORY;
    }
    if (e) {
        free(l);
        return e;
    }
    *ret = l;
    return OK;
}

void lookup_stop(struct lookup *l)
{
    if (!l) return;
    queue_close(l->queue);
    CHECK(pthread_join(l->thread, NULL) == 0);
    queue_free(l->queue);
    free(l);
}

void lookup_order(struct lookup *l, struct pending *own_p)
{
    enum err e = queue_put(l->queue, own_p);
    if (!e) return;
    pending_refuse(own_p, e, "busy", "too many repeated requests at once");
    own_p->answer(own_p);
}
