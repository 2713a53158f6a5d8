/* A slot by the key's hash; what is in it is shared, so that nobody copies under a lock. */
#include "recent.h"

#include "base/shared.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((RECENT_ANSWERS & (RECENT_ANSWERS - 1)) == 0, "a hash is cut by a mask");

struct recent {
    _Atomic uint64_t epoch; /* how often something was changed */
    struct shared_slot slots[RECENT_ANSWERS];
};

enum err recent_new(struct recent **ret)
{
    struct recent *r = calloc(1, sizeof *r);
    if (!r) return ERR_NO_MEMORY;
    for (size_t i = 0; i < RECENT_ANSWERS; i++)
        shared_init(&r->slots[i], NULL);
    *ret = r;
    return OK;
}

void recent_free(struct recent *r)
{
    if (!r) return;
    for (size_t i = 0; i < RECENT_ANSWERS; i++)
        shared_release(&r->slots[i]);
    free(r);
}

void recent_forget(struct recent *r)
{
    atomic_fetch_add(&r->epoch, 1);
}

uint64_t recent_epoch(struct recent *r)
{
    return atomic_load(&r->epoch);
}

/* FNV-1a. Who finds keys that meet gains nothing: they only push each other out. */
static struct shared_slot *slot_of(struct recent *r, const char *key)
{
    uint32_t hash = 2166136261u;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    return &r->slots[(hash ^ hash >> 16) & (RECENT_ANSWERS - 1)];
}

const struct recent_answer *recent_find(struct recent *r, const char *key, int64_t now_ms,
                                        int64_t max_ms)
{
    const struct recent_answer *a = shared_hold(slot_of(r, key));
    if (a && a->epoch == recent_epoch(r) && now_ms - a->asked_ms < max_ms &&
        strcmp(a->key, key) == 0)
        return a;
    shared_rele(a);
    return NULL;
}

void recent_put(struct recent *r, const char *key, uint64_t epoch, int64_t asked_ms,
                const char *body, size_t size)
{
    size_t key_size = strlen(key);
    if (key_size > RECENT_KEY_MAX || size > RECENT_SIZE_MAX || epoch != recent_epoch(r)) return;
    struct recent_answer *a = shared_alloc(sizeof *a + size);
    if (!a) return;
    memcpy(a->key, key, key_size + 1);
    memcpy(a->body, body, size);
    a->epoch = epoch;
    a->asked_ms = asked_ms;
    http_etag(body, size, a->etag);
    a->size = size;
    shared_put(slot_of(r, key), a);
}
