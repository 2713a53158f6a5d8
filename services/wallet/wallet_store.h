/*
 * The wallet's documents: entries (what statements show), transfers (whose ids the ledger may have
 * forgotten), and the watermark. Written by the projection only; read by handlers. Blocking;
 * thread-safe.
 */
#ifndef WALLET_WALLET_STORE_H
#define WALLET_WALLET_STORE_H

#include "base/store/pages.h"
#include "base/store/store.h"
#include "entries.h"
#include "ledger.h"

#define STATEMENT_ITEMS_MAX 200 /* of one page */
#define STATEMENT_ITEMS     50  /* of a page that asks for no number */

_Static_assert(ENTRY_BODY_SIZE_MAX <= PAGE_ENTRY_SIZE_MAX, "pages take any entry");

extern const struct store_collection wallet_collections[];

/* A transfer that was done, named by its hashed id. Of linked legs the first. */
struct transfer_row {
    struct id id;
    struct id from, to;
    char asset[COMMAND_ASSET_NAME + 1];
    int64_t amount;
    int64_t time_ms;
};

/*
 * Pages of entries: of one account each (key.of is the asset's number), bodies as in entries.h. The
 * _id of one is its first position, so that pages sort as their entries do.
 */
MUST_CHECK enum err wallet_store_put_pages(struct store *s, const struct ledger *names,
                                           const struct page *pages, size_t count);
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
