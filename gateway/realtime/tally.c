/* A hash table that grows. */
#include "tally.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_AT_START 64 /* a power of two; doubled when the table is full */

/* FNV-1a. Names are addresses and ids: nobody chooses enough of them to make chains long. */
static struct tally_entry **find(const struct tally *t, const char *name)
{
    uint64_t h = 14695981039346656037ULL;
    for (const char *c = name; *c; c++)
        h = (h ^ (uint8_t)*c) * 1099511628211ULL;
    struct tally_entry **at = &t->buckets[(h ^ h >> 32) & (t->bucket_count - 1)];
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

enum err tally_init(struct tally *t)
{
    *t = (struct tally){.bucket_count = BUCKETS_AT_START};
    t->buckets = calloc(t->bucket_count, sizeof(struct tally_entry *));
    return t->buckets ? OK : ERR_NO_MEMORY;
}

void tally_release(struct tally *t)
{
    for (size_t i = 0; t->buckets && i < t->bucket_count; i++) {
        for (struct tally_entry *at = t->buckets[i], *next; at; at = next) {
            next = at->next;
            free(at);
        }
    }
    free(t->buckets);
    *t = (struct tally){0};
}

/* Without memory for it, chains grow longer instead. */
static void grow(struct tally *t)
{
    struct tally larger = {.bucket_count = t->bucket_count * 2, .names = t->names};
    larger.buckets = calloc(larger.bucket_count, sizeof(struct tally_entry *));
    if (!larger.buckets) return;
    for (size_t i = 0; i < t->bucket_count; i++) {
        for (struct tally_entry *at = t->buckets[i], *next; at; at = next) {
            next = at->next;
            struct tally_entry **to = find(&larger, at->name);
            at->next = NULL;
            *to = at;
        }
    }
    free(t->buckets);
    *t = larger;
}

enum err tally_add(struct tally *t, const char *name, size_t max, size_t *ret)
{
    struct tally_entry *entry = *find(t, name);
    if ((entry ? entry->count : 0) >= max) return ERR_EXHAUSTED;
    if (!entry) {
        entry = calloc(1, sizeof *entry + strlen(name) + 1);
        if (!entry) return ERR_NO_MEMORY;
        memcpy(entry->name, name, strlen(name) + 1);
        if (t->names >= t->bucket_count) grow(t);
        *find(t, name) = entry;
        t->names++;
    }
    *ret = ++entry->count;
    return OK;
}

size_t tally_remove(struct tally *t, const char *name)
{
    struct tally_entry **at = find(t, name), *entry = *at;
    CHECK(entry);
    if (--entry->count) return entry->count;
    *at = entry->next;
    t->names--;
    free(entry);
    return 0;
}

void tally_each(const struct tally *t, void (*visit)(void *arg, const char *name), void *arg)
{
    for (size_t i = 0; i < t->bucket_count; i++)
        for (const struct tally_entry *at = t->buckets[i]; at; at = at->next)
            visit(arg, at->name);
}
