/* The count stands before the value. */
#include "base/shared.h"

#include "base/err.h"

#include <stdatomic.h>
#include <stdlib.h>

struct counted {
    atomic_size_t holders;
    max_align_t value[]; /* as malloc aligns */
};

static struct counted *counted_of(const void *value)
{
    return (struct counted *)((char *)value - offsetof(struct counted, value));
}

void *shared_alloc(size_t size)
{
    struct counted *c = calloc(1, sizeof *c + size);
    if (!c) return NULL;
    atomic_init(&c->holders, 1);
    return c->value;
}

void shared_rele(const void *value)
{
    if (!value) return;
    struct counted *c = counted_of(value);
    size_t before = atomic_fetch_sub(&c->holders, 1);
    CHECK(before > 0);
    if (before == 1) free(c);
}

void shared_init(struct shared_slot *s, const void *own_value)
{
    (void)pthread_mutex_init(&s->lock, NULL);
    s->value = own_value;
}

void shared_release(struct shared_slot *s)
{
    shared_rele(s->value);
    (void)pthread_mutex_destroy(&s->lock);
}

const void *shared_hold(struct shared_slot *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const void *value = s->value;
    if (value) (void)atomic_fetch_add(&counted_of(value)->holders, 1);
    (void)pthread_mutex_unlock(&s->lock);
    return value;
}

void shared_put(struct shared_slot *s, const void *own_value)
{
    (void)pthread_mutex_lock(&s->lock);
    const void *before = s->value;
    s->value = own_value;
    (void)pthread_mutex_unlock(&s->lock);
    shared_rele(before);
}
