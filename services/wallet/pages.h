/*
 * Pages: what is written together is one document per account, not one per entry. Who trades much
 * has many entries in each, so that what history costs falls as the load rises.
 *
 * Entries are added in the order of their positions, then written as a batch. The batch's last
 * position is in each of its pages: batches follow each other, the pages within one overlap. Which
 * entries make a batch depends on the moment; whoever writes a batch again must first delete what
 * may be there of it (wallet_store_forget_entries). Used by one thread.
 */
#ifndef WALLET_PAGES_H
#define WALLET_PAGES_H

#include "entries.h"
#include "wallet_store.h"

#define PAGES_ENTRIES_MAX 32768 /* of a batch: a few milliseconds of trading at full speed */

struct pages;

MUST_CHECK enum err pages_new(const struct ledger *names, struct pages **ret); /* ERR_NO_MEMORY */
void pages_free(struct pages *p);                                              /* accepts NULL */

bool pages_full(const struct pages *p);
/* The body is borrowed until pages_write. Not when full. */
void pages_add(struct pages *p, const struct entry_whose *whose, const uint8_t *body, size_t size);
/* Writes what was added and is empty again, also after an error, the store's. Blocks. */
MUST_CHECK enum err pages_write(struct pages *p, struct store *s);
void pages_clear(struct pages *p);

#endif
