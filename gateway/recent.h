/*
 * Answers of the last moment, by path and query: what everybody may read and many read at once is
 * asked of its part once.
 *
 * An answer is as old as its question: it is found until `max_ms` after the part was asked. It is
 * forgotten before that as soon as anything was changed through this gateway, and before an event
 * that everybody may hear is passed on: whoever is told of a change finds it in the next answer. A
 * change that neither tells of is seen max_ms late. Only for answers that are the same for
 * everybody. Thread-safe; nothing blocks.
 */
#ifndef GATEWAY_RECENT_H
#define GATEWAY_RECENT_H

#include "base/err.h"
#include "http.h"

#include <stddef.h>
#include <stdint.h>

#define RECENT_ANSWERS  256   /* a power of 2; one that meets another's slot takes its place */
#define RECENT_KEY_MAX  255   /* bytes; longer ones are not kept */
#define RECENT_SIZE_MAX 32768 /* bytes of an answer: 8 MiB for all */

struct recent_answer {
    char key[RECENT_KEY_MAX + 1];
    uint64_t epoch;
    int64_t asked_ms;
    char etag[HTTP_ETAG_SIZE];
    size_t size;
    char body[];
};

struct recent;
MUST_CHECK enum err recent_new(struct recent **ret);
void recent_free(struct recent *r); /* accepts NULL */

/* Something was changed: no answer to what was asked before now is found any more. */
void recent_forget(struct recent *r);

/* Before a part is asked; recent_put wants it back. */
uint64_t recent_epoch(struct recent *r);

/* NULL: none that was asked max_ms ago or later. shared_rele() it. */
const struct recent_answer *recent_find(struct recent *r, const char *key, int64_t now_ms,
                                        int64_t max_ms);
/* Copies both. Without memory, or too long, it is not kept. asked_ms: monotonic. */
void recent_put(struct recent *r, const char *key, uint64_t epoch, int64_t asked_ms,
                const char *body, size_t size);

#endif
