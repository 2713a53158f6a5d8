/*
 * One epoll instance, one eventfd, one heap of times and one list of woken sources per loop.
 *
 * Waking is a push on the list and, if the list was empty, a write to the eventfd: however many
 * connections an event goes to, the loop is told once, and finds all that came meanwhile.
 */
#include "reactor.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 256 /* of one epoll_wait */
#define NOT_JOINED SIZE_MAX

struct reactor_loop {
    struct reactor *reactor;
    pthread_t thread;
    bool running;
    int epoll_fd, wake_fd;
    _Atomic(struct reactor_source *) woken; /* the newest first */
    struct reactor_source **heap;           /* the earliest first */
    size_t heap_size, heap_capacity;
    size_t sources; /* under the reactor's lock */
};

struct reactor {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t sources; /* started, not ended */
    atomic_bool stopping;
    struct histogram *turns;
    unsigned loop_count;
    struct reactor_loop loops[REACTOR_LOOPS_MAX];
};

/* ---- holds and wakes ---- */

void reactor_init(struct reactor_source *s, const struct reactor_ops *ops)
{
    *s = (struct reactor_source){.ops = ops, .fd = -1, .timer = NOT_JOINED};
    atomic_init(&s->holds, 1);
    atomic_init(&s->woken, true); /* nobody else pushes it before it is started */
}

void reactor_hold(struct reactor_source *s)
{
    (void)atomic_fetch_add(&s->holds, 1);
}

void reactor_release(struct reactor_source *s)
{
    if (atomic_fetch_sub(&s->holds, 1) == 1) s->ops->release(s);
}

static void ring(struct reactor_loop *l)
{
    uint64_t one = 1;
    /* Never read: each write is an edge. Only a full counter could fail, and that wakes too. */
    if (write(l->wake_fd, &one, sizeof one) < 0) return;
}

static void push(struct reactor_source *s)
{
    struct reactor_loop *l = s->loop;
    reactor_hold(s);
    struct reactor_source *first = atomic_load(&l->woken);
    do
        s->next_woken = first;
    while (!atomic_compare_exchange_weak(&l->woken, &first, s));
    if (!first) ring(l);
}

void reactor_wake(struct reactor_source *s)
{
    if (!atomic_exchange(&s->woken, true)) push(s);
}

/* ---- times: a binary heap ---- */

int64_t reactor_spread(unsigned number, int64_t range_ms)
{
    return (int64_t)((uint64_t)(uint32_t)(number * 2654435769U) * (uint64_t)range_ms >> 32);
}

static void put(struct reactor_loop *l, size_t place, struct reactor_source *s)
{
    l->heap[place] = s;
    s->timer = place + 1;
}

static void sift_up(struct reactor_loop *l, size_t place, struct reactor_source *s)
{
    while (place && l->heap[(place - 1) / 2]->at_ms > s->at_ms) {
        put(l, place, l->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(l, place, s);
}

static void sift_down(struct reactor_loop *l, size_t place, struct reactor_source *s)
{
    for (size_t child; (child = 2 * place + 1) < l->heap_size; place = child) {
        if (child + 1 < l->heap_size && l->heap[child + 1]->at_ms < l->heap[child]->at_ms) child++;
        if (l->heap[child]->at_ms >= s->at_ms) break;
        put(l, place, l->heap[child]);
    }
    put(l, place, s);
}

static void take_out(struct reactor_loop *l, struct reactor_source *s)
{
    size_t place = s->timer - 1;
    struct reactor_source *last = l->heap[--l->heap_size];
    s->timer = 0;
    if (last == s) return;
    put(l, place, last);
    if (place && l->heap[(place - 1) / 2]->at_ms > last->at_ms)
        sift_up(l, place, last);
    else
        sift_down(l, place, last);
}

static bool make_room(struct reactor_loop *l)
{
    if (l->heap_size < l->heap_capacity) return true;
    size_t capacity = l->heap_capacity ? 2 * l->heap_capacity : 64;
    struct reactor_source **heap = realloc(l->heap, capacity * sizeof(struct reactor_source *));
    if (!heap) return false;
    l->heap = heap;
    l->heap_capacity = capacity;
    return true;
}

void reactor_at(struct reactor_source *s, int64_t at_ms)
{
    struct reactor_loop *l = s->loop;
    if (s->timer && s->at_ms == at_ms) return;
    if (s->timer) take_out(l, s);
    s->at_ms = at_ms;
    /* Without memory for its time it gets turns without a pause, which is slow but right. */
    if (at_ms == REACTOR_NEVER) return;
    if (make_room(l))
        sift_up(l, l->heap_size++, s);
    else
        reactor_wake(s);
}

/* ---- the loop ---- */

static void count_sources(struct reactor_loop *l, bool more)
{
    struct reactor *r = l->reactor;
    (void)pthread_mutex_lock(&r->lock);
    l->sources = more ? l->sources + 1 : l->sources - 1;
    r->sources = more ? r->sources + 1 : r->sources - 1;
    if (r->sources == 0) (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
}

void reactor_end(struct reactor_source *s)
{
    struct reactor_loop *l = s->loop;
    if (s->timer) take_out(l, s);
    (void)close(s->fd); /* which takes it out of the epoll instance: nobody else has the socket */
    s->fd = -1;
    count_sources(l, false);
    reactor_release(s);
}

/* The descriptor joins on the loop's own thread: until then no turn can come. */
static void join(struct reactor_source *s)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s};
    s->timer = 0;
    if (epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_ADD, s->fd, &event)) {
        s->ops->turn(s, REACTOR_READ | REACTOR_WRITE | REACTOR_HANGUP, clock_mono_ms());
        return;
    }
    s->ops->turn(s, 0, clock_mono_ms());
}

static unsigned why(uint32_t events)
{
    bool broken = events & (EPOLLERR | EPOLLHUP);
    return (events & EPOLLIN || broken ? REACTOR_READ : 0U) |
           (events & EPOLLOUT || broken ? REACTOR_WRITE : 0U) |
           (events & EPOLLRDHUP || broken ? REACTOR_HANGUP : 0U);
}

static void give_turn(struct reactor_source *s, int64_t now_ms)
{
    if (s->fd < 0) return; /* it has ended */
    if (s->timer == NOT_JOINED)
        join(s);
    else
        s->ops->turn(s, 0, now_ms);
}

/* All that were woken until now, the first first. */
static void serve_woken(struct reactor_loop *l, int64_t now_ms)
{
    struct reactor_source *newest = atomic_exchange(&l->woken, NULL), *first = NULL;
    for (struct reactor_source *next; newest; newest = next) {
        next = newest->next_woken;
        newest->next_woken = first;
        first = newest;
    }
    for (struct reactor_source *next; first; first = next) {
        next = first->next_woken;
        atomic_store(&first->woken, false);
        give_turn(first, now_ms);
        reactor_release(first);
    }
}

static void serve_times(struct reactor_loop *l, int64_t now_ms)
{
    for (size_t left = l->heap_size; left && l->heap_size && l->heap[0]->at_ms <= now_ms; left--) {
        struct reactor_source *s = l->heap[0];
        take_out(l, s);
        s->ops->turn(s, 0, now_ms);
    }
}

static int wait_ms(struct reactor_loop *l)
{
    if (atomic_load(&l->woken)) return 0;
    if (!l->heap_size) return -1;
    int64_t left_ms = l->heap[0]->at_ms - clock_mono_ms();
    return left_ms <= 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms;
}

static bool is_over(struct reactor_loop *l)
{
    if (!atomic_load(&l->reactor->stopping)) return false;
    (void)pthread_mutex_lock(&l->reactor->lock);
    bool over = l->sources == 0;
    (void)pthread_mutex_unlock(&l->reactor->lock);
    return over && !atomic_load(&l->woken);
}

static void *run(void *arg)
{
    struct reactor_loop *l = arg;
    struct epoll_event events[EVENTS_MAX];
    thread_name("gateway-loop");
    while (!is_over(l)) {
        int count = epoll_wait(l->epoll_fd, events, EVENTS_MAX, wait_ms(l));
        int64_t begin_us = clock_mono_us(), now_ms = begin_us / 1000;
        for (int i = 0; i < count; i++) {
            struct reactor_source *s = events[i].data.ptr;
            if (s) s->ops->turn(s, why(events[i].events), now_ms);
        }
        serve_woken(l, now_ms);
        serve_times(l, now_ms);
        histogram_observe_us(l->reactor->turns, clock_mono_us() - begin_us);
    }
    return NULL;
}

/* ---- life ---- */

static enum err start_loop(struct reactor_loop *l, struct reactor *r)
{
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET};
    l->reactor = r;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->epoll_fd < 0 || l->wake_fd < 0) return ERR_NO_MEMORY;
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &wake)) return ERR_NO_MEMORY;
    l->running = pthread_create(&l->thread, NULL, run, l) == 0;
    return l->running ? OK : ERR_NO_MEMORY;
}

enum err reactor_new(unsigned loops, struct reactor **ret)
{
    struct reactor *r = calloc(1, sizeof *r);
    if (!r) return ERR_NO_MEMORY;
    if (!loops) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        loops = processors < 1                           ? 1
                : processors > REACTOR_LOOPS_DEFAULT_MAX ? REACTOR_LOOPS_DEFAULT_MAX
                                                         : (unsigned)processors;
    }
    CHECK(loops <= REACTOR_LOOPS_MAX);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
    r->turns = metrics_histogram("tradepost_gateway_loop_turn_seconds",
                                 "How long a loop served before it looked for more.", NULL);
    for (unsigned i = 0; i < REACTOR_LOOPS_MAX; i++)
        r->loops[i].epoll_fd = r->loops[i].wake_fd = -1;
    enum err e = OK;
    while (r->loop_count < loops && !e)
        e = start_loop(&r->loops[r->loop_count++], r);
    if (e) {
        reactor_free(r);
        return e;
    }
    *ret = r;
    return OK;
}

void reactor_wait(struct reactor *r)
{
    (void)pthread_mutex_lock(&r->lock);
    while (r->sources)
        (void)pthread_cond_wait(&r->changed, &r->lock);
    (void)pthread_mutex_unlock(&r->lock);
}

void reactor_free(struct reactor *r)
{
    if (!r) return;
    reactor_wait(r);
    atomic_store(&r->stopping, true);
    for (unsigned i = 0; i < r->loop_count; i++) {
        struct reactor_loop *l = &r->loops[i];
        if (l->running) ring(l);
        if (l->running) (void)pthread_join(l->thread, NULL);
        if (l->epoll_fd >= 0) (void)close(l->epoll_fd);
        if (l->wake_fd >= 0) (void)close(l->wake_fd);
        free(l->heap);
    }
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

/* The loop with the fewest. */
static struct reactor_loop *choose(struct reactor *r)
{
    struct reactor_loop *least = &r->loops[0];
    (void)pthread_mutex_lock(&r->lock);
    for (unsigned i = 1; i < r->loop_count; i++)
        if (r->loops[i].sources < least->sources) least = &r->loops[i];
    least->sources++;
    r->sources++;
    (void)pthread_mutex_unlock(&r->lock);
    return least;
}

void reactor_start(struct reactor *r, struct reactor_source *s, int own_fd)
{
    s->fd = own_fd;
    s->loop = choose(r);
    push(s);
}
