/*
 * Ledger entries as bytes: how the projection keeps them until they are written, and how a page,
 * the document of some entries of one account, has them.
 *
 *   whose:  owner (16), asset (2)              once in a page, as the document's fields
 *   body:   position (8), time (8), amount (8), total after (8), trade (8), kind (1),
 *           size of the reference (1), reference
 *
 * Nothing blocks; not thread-safe.
 */
#ifndef WALLET_ENTRIES_H
#define WALLET_ENTRIES_H

#include "base/buf.h"
#include "bytes.h"
#include "ledger.h"

#define ENTRY_WHOSE_SIZE    18
#define ENTRY_BODY_SIZE     42 /* without the reference */
#define ENTRY_BODY_SIZE_MAX (ENTRY_BODY_SIZE + COMMAND_REFERENCE_MAX)

/* One entry as a statement shows it. Texts are NUL-terminated. */
struct entry_row {
    uint64_t position; /* journal seq * PROJECTION_POSITIONS + index */
    struct id owner;
    char asset[COMMAND_ASSET_NAME + 1];
    int64_t amount, total_after;
    uint8_t kind;
    char reference[COMMAND_REFERENCE_MAX + 1];
    int64_t time_ms;
};

struct entry_where {
    uint64_t position;
    int64_t time_ms;
    struct reference reference;
};

/* Whose and body; errors are the buffer's. */
void entry_write(struct buf *b, const struct ledger_entry *e, const struct entry_where *where);

struct entry_whose {
    struct id owner;
    uint16_t asset;
};

/* The next entry, its body borrowed. false: there is no whole one. */
bool entry_read(struct reader *r, struct entry_whose *ret_whose, const uint8_t **ret_body,
                size_t *ret_body_size);
uint64_t entry_position(const uint8_t *body);
/* The next body, without owner and asset. false: there is no whole one. */
bool entry_read_body(struct reader *r, struct entry_row *ret);

#endif
