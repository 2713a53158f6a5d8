/* A hash table of channels; each has an array of listeners, so that a publish is one walk. */
#include "channels.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_AT_START 256 /* a power of two; doubled when the table is full */

/* FNV-1a. Names come from clients, but only names of the contract's channels get here. */
static size_t hash(const char *name)
{
    uint64_t h = 14695981039346656037ULL;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211ULL;
    return (size_t)h;
}

enum err channels_init(struct channels *c)
{
    *c = (struct channels){.bucket_count = BUCKETS_AT_START};
    c->buckets = calloc(c->bucket_count, sizeof(struct channel *));
    return c->buckets ? OK : ERR_NO_MEMORY;
}

void channels_release(struct channels *c)
{
    CHECK(c->count == 0);
    free(c->buckets);
}

static struct channel **bucket(const struct channels *c, const char *name)
{
    return &c->buckets[hash(name) & (c->bucket_count - 1)];
}

struct channel *channels_find(const struct channels *c, const char *name)
{
    struct channel *at = *bucket(c, name);
    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

/* Doubles the table; without memory for it, chains grow longer instead. */
static void grow(struct channels *c)
{
    struct channels larger = {.bucket_count = c->bucket_count * 2, .count = c->count};
    larger.buckets = calloc(larger.bucket_count, sizeof(struct channel *));
    if (!larger.buckets) return;
    for (size_t i = 0; i < c->bucket_count; i++) {
        for (struct channel *at = c->buckets[i], *next; at; at = next) {
            next = at->next;
            struct channel **to = bucket(&larger, at->name);
            at->next = *to;
            *to = at;
        }
    }
    free(c->buckets);
    *c = larger;
}

static enum err make(struct channels *c, const char *name, struct channel **ret)
{
    if (c->count == HUB_CHANNELS_MAX) return ERR_EXHAUSTED;
    struct channel *made = calloc(1, sizeof *made + strlen(name) + 1);
    if (!made) return ERR_NO_MEMORY;
    if (c->count >= c->bucket_count) grow(c);
    memcpy(made->name, name, strlen(name) + 1);
    struct channel **to = bucket(c, name);
    made->next = *to;
    *to = made;
    c->count++;
    *ret = made;
    return OK;
}

static void remove_channel(struct channels *c, struct channel *gone)
{
    struct channel **at = bucket(c, gone->name);
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    c->count--;
    free(gone->listeners);
    free(gone);
}

static bool make_room(struct channel *channel)
{
    if (channel->count < channel->capacity) return true;
    size_t capacity = channel->capacity ? channel->capacity * 2 : 2;
    struct subscription **listeners =
        realloc(channel->listeners, capacity * sizeof(struct subscription *));
    if (!listeners) return false;
    channel->listeners = listeners;
    channel->capacity = capacity;
    return true;
}

enum err channels_add(struct channels *c, const char *name, struct subscription *s)
{
    struct channel *channel = channels_find(c, name);
    enum err e = channel ? OK : make(c, name, &channel);
    if (e) return e;
    if (!make_room(channel)) {
        if (channel->count == 0) remove_channel(c, channel);
        return ERR_NO_MEMORY;
    }
    s->channel = channel;
    s->index = channel->count;
    channel->listeners[channel->count++] = s;
    return OK;
}

void channels_remove(struct channels *c, struct subscription *s)
{
    struct channel *channel = s->channel;
    struct subscription *moved = channel->listeners[--channel->count];
    channel->listeners[s->index] = moved;
    moved->index = s->index;
    if (channel->count == 0) remove_channel(c, channel);
}
