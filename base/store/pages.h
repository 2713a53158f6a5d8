/*
 * Pages: of what is written together, the entries of one key (an account, a user's trades) become
 * one document, not one each. Who does much has many entries in each page, so that what history
 * costs falls as the load rises.
 *
 * Entries are added in the order of their positions, then written as a batch: so the pages of one
 * key never overlap. Which entries make a batch depends on the moment: whoever writes entries again
 * that may be there must first delete those pages. Used by one thread; only pages_write may block.
 */
#ifndef BASE_STORE_PAGES_H
#define BASE_STORE_PAGES_H

#include "base/err.h"
#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGES_ENTRIES_MAX 32768 /* of a batch: a few milliseconds of trading at full speed */
#define PAGE_ENTRIES_MAX  1000  /* of one page; more make another */
#define PAGE_ENTRY_SIZE_MAX                                                                        \
    128 /* bytes: so a page is well below the largest document, and a batch at most 4 MiB */

struct page_key {
    struct id owner;
    uint32_t of; /* an asset, a market, ... */
};

struct page {
    struct page_key key;
    uint64_t first; /* position of its first entry */
    uint64_t
        until; /* of the last entry of its batch: the pages of one batch overlap, batches do not */
    const void *bytes;
    size_t size;
};

struct pages;

MUST_CHECK enum err pages_new(struct pages **ret); /* ERR_NO_MEMORY */
void pages_free(struct pages *p);                  /* accepts NULL */

/* So many more entries would be too many for the batch. */
bool pages_full(const struct pages *p, size_t more);
/* The positions of a key never fall. The body is copied: at most PAGE_ENTRY_SIZE_MAX bytes (CHECK).
 */
void pages_add(struct pages *p, const struct page_key *key, uint64_t position, const void *body,
               size_t size);

/*
 * Calls put for all of the batch, at most STORE_BULK_MAX pages at a time, until it fails; returns
 * its error. The batch stays as it is.
 */
MUST_CHECK enum err pages_write(struct pages *p,
                                enum err (*put)(void *arg, const struct page *pages, size_t count),
                                void *arg);
void pages_clear(struct pages *p);

#endif
