/*
 * What a command did, as explicit bytes: the stream of records is the shard's outbox to the wallet
 * and the source of its events and documents. The same commands give the same records, so a replay
 * makes again what had not left yet. Pure and thread-safe.
 *
 * What a record does to money travels as one or more settlements ("pieces"), numbered by the outbox
 * without gaps, each small enough for one journal entry of the wallet.
 */
#ifndef TRADING_RECORD_H
#define TRADING_RECORD_H

#include "base/buf.h"
#include "engine.h"

#define PIECE_TRADES_MAX   64 /* of one settlement: 384 legs, about 20 KB */
#define PIECE_RELEASES_MAX 512

struct record {
    uint64_t seq;        /* of the command in the journal */
    uint64_t outbox_seq; /* of its last piece, or of the last piece before it if it has none */
    uint32_t pieces;
    uint8_t kind;                /* enum command_kind */
    struct engine_result result; /* arrays belong to the record */
    size_t executions_capacity, cancelled_capacity, releases_capacity, levels_capacity;
};

/* How many settlements a result makes. */
uint32_t result_pieces(const struct engine_result *r);

/* The trades and releases of piece number n (from 0) of a record. */
struct piece {
    size_t first_trade, trades;
    size_t first_release, releases;
};
struct piece record_piece(const struct record *r, uint32_t n);

/* Appends one record; that of a refused command has no order. The error sticks in out. */
void record_write(struct buf *out, uint64_t seq, uint64_t outbox_seq, uint8_t kind,
                  const struct engine_result *result);

/*
 * Reads the record at *at and moves behind it. ERR_CORRUPT: not what record_write writes (*at
 * stays). The record is reused from call to call; zeroed at first, record_release at the end.
 */
MUST_CHECK enum err record_read(const uint8_t **at, const uint8_t *end, struct record *ret);
void record_release(struct record *r);

#endif
