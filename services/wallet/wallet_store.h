/*
 * The wallet's documents: entries (what statements show), transfers (whose ids the ledger may have
 * forgotten), and the watermark. Written by the projection only; read by handlers. Blocking;
 * thread-safe.
 */
#ifndef WALLET_WALLET_STORE_H
#define WALLET_WALLET_STORE_H

#include "base/store/store.h"
#include "entries.h"
#include "ledger.h"

#define STATEMENT_ITEMS_MAX 200 /* of one page */
#define STATEMENT_ITEMS     50  /* of a page that asks for no number */

#define PAGE_ENTRIES_MAX    1000 /* of one document; more make another */
#define PAGE_SIZE_MAX       (PAGE_ENTRIES_MAX * ENTRY_BODY_SIZE_MAX)

_Static_assert(PAGE_SIZE_MAX < STORE_DOCUMENT_SIZE_MAX / 2, "a page is a document");

extern const struct store_collection wallet_collections[];

/*
 * Some entries of one account, in one document. Its _id is the first position, so that pages sort
 * as their entries do; until is the last position of the batch it was written with: the pages of
 * one batch overlap, batches do not.
 */
struct entry_page {
    uint64_t first, until;
    struct id owner;
    const char *asset;
    const void *bytes; /* bodies (entries.h) in the order of their positions */
    size_t size;
};

/* A transfer that was done, named by its hashed id. Of linked legs the first. */
struct transfer_row {
    struct id id;
    struct id from, to;
    char asset[COMMAND_ASSET_NAME + 1];
    int64_t amount;
    int64_t time_ms;
};

MUST_CHECK enum err wallet_store_put_pages(struct store *s, const struct entry_page *pages,
                                           size_t count);
/* Deletes every page that begins behind a position. */
MUST_CHECK enum err wallet_store_forget_entries(struct store *s, uint64_t position);
MUST_CHECK enum err wallet_store_put_transfers(struct store *s, const struct transfer_row *rows,
                                               size_t count);
MUST_CHECK enum err wallet_store_put_watermark(struct store *s, uint64_t seq);
MUST_CHECK enum err wallet_store_watermark(struct store *s, uint64_t *ret); /* 0: there is none */
/* ERR_NOT_FOUND: no such transfer was ever done. */
MUST_CHECK enum err wallet_store_transfer(struct store *s, struct id id, struct transfer_row *ret);

struct statement {
    struct id owner;
    const char *asset; /* "": all */
    uint64_t before;   /* position; 0: from the newest */
    unsigned limit;    /* 1 to STATEMENT_ITEMS_MAX + 1 */
};
/* Newest first, at most limit. */
MUST_CHECK enum err wallet_store_statement(struct store *s, const struct statement *query,
                                           struct entry_row *ret, size_t *ret_count);

#endif
