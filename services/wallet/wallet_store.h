/*
 * The wallet's documents: entries (what statements show), transfers (whose ids the ledger may have
 * forgotten), and the watermark. Written by the projection only; read by handlers. Blocking;
 * thread-safe.
 */
#ifndef WALLET_WALLET_STORE_H
#define WALLET_WALLET_STORE_H

#include "base/store/store.h"
#include "ledger.h"

#define STATEMENT_ITEMS_MAX 200 /* of one page */
#define STATEMENT_ITEMS     50  /* of a page that asks for no number */

extern const struct store_collection wallet_collections[];

/* One entry as a document has it. Texts are NUL-terminated. */
struct entry_row {
    uint64_t position; /* journal seq * PROJECTION_POSITIONS + index */
    struct id owner;
    char asset[COMMAND_ASSET_NAME + 1];
    int64_t amount, total_after;
    uint8_t kind;
    char reference[COMMAND_REFERENCE_MAX + 1];
    int64_t time_ms;
};

/* A transfer that was done, named by its hashed id. Of linked legs the first. */
struct transfer_row {
    struct id id;
    struct id from, to;
    char asset[COMMAND_ASSET_NAME + 1];
    int64_t amount;
    int64_t time_ms;
};

MUST_CHECK enum err wallet_store_put_entries(struct store *s, const struct entry_row *rows,
                                             size_t count);
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
