/*
 * The bytes of the journal's files; private to this room. Integers are little-endian. Pure
 * functions.
 *
 *   segment   header, then records one after the other, then zeros (written ahead) or the file's
 * end header: magic 8, version 4, zero 4, first seq 8, chain before it 32, shard 64, zero 4, CRC32C
 * of all this 4 record    header, then count entries (size 4, zero 4, bytes, zeros up to a multiple
 * of 8), then the end mark 8 header: magic 4, version 4, seq of the first entry 8, count 4, size of
 * the record 4, chain before it 32, CRC32C of what follows the header 4, of the header 4 snapshot
 * header, then the data header: magic 8, version 4, zero 4, seq 8, size of the data 8, chain at seq
 * 32, SHA-256 of the data 32, shard 64, zero 4, CRC32C of all this 4
 *
 * The chain after a record is the SHA-256 of its bytes, which contain the chain before it. The last
 * byte of a record and of its header is never zero, so that a write that was cut short shows.
 */
#ifndef BASE_JOURNAL_FORMAT_H
#define BASE_JOURNAL_FORMAT_H

#include "base/crypt.h"
#include "base/journal/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define FORMAT_VERSION       1
#define FORMAT_SECTOR_SIZE   512 /* a disk writes this much as a whole or not at all */
#define SEGMENT_HEADER_SIZE  128
#define SNAPSHOT_HEADER_SIZE 168
#define RECORD_HEADER_SIZE   64
#define RECORD_END_SIZE      8
#define ENTRY_HEADER_SIZE    8
#define RECORD_SIZE_MIN      (RECORD_HEADER_SIZE + ENTRY_HEADER_SIZE + 8 + RECORD_END_SIZE)
#define RECORD_SIZE_MAX                                                                            \
    (RECORD_HEADER_SIZE + JOURNAL_BATCH_SIZE_MAX + JOURNAL_BATCH_MAX * (ENTRY_HEADER_SIZE + 7) +   \
     RECORD_END_SIZE)

struct segment_header {
    uint64_t first_seq;
    uint8_t chain[SHA256_SIZE]; /* before first_seq */
    char name[JOURNAL_NAME_MAX + 1];
};

struct snapshot_header {
    uint64_t seq, size;
    uint8_t chain[SHA256_SIZE], hash[SHA256_SIZE];
    char name[JOURNAL_NAME_MAX + 1];
};

struct record_header {
    uint64_t seq;
    uint32_t count, size; /* of the whole record */
    uint32_t body_crc;
    uint8_t chain[SHA256_SIZE]; /* before it */
};

/*
 * How far a header can be believed. FORMAT_NOT: not one of ours, or damaged. FORMAT_FOREIGN: whole,
 * but nothing this program wrote: a newer version, or values outside of the limits.
 */
enum format { FORMAT_OK, FORMAT_NOT, FORMAT_FOREIGN };

void segment_header_put(const struct segment_header *h, uint8_t ret[static SEGMENT_HEADER_SIZE]);
enum format segment_header_get(const uint8_t bytes[static SEGMENT_HEADER_SIZE],
                               struct segment_header *ret);

void snapshot_header_put(const struct snapshot_header *h, uint8_t ret[static SNAPSHOT_HEADER_SIZE]);
enum format snapshot_header_get(const uint8_t bytes[static SNAPSHOT_HEADER_SIZE],
                                struct snapshot_header *ret);

/* Bytes of the record of these entries; at most RECORD_SIZE_MAX if they keep journal.h's limits. */
size_t record_size(const struct iovec *entries, size_t count);
/* Writes record_size() bytes. */
void record_put(uint64_t seq, const uint8_t chain[static SHA256_SIZE], const struct iovec *entries,
                size_t count, uint8_t *ret);
enum format record_header_get(const uint8_t bytes[static RECORD_HEADER_SIZE],
                              struct record_header *ret);
/* The record (h->size bytes) is what its header says: its CRC, its end mark, its entries' sizes. */
bool record_body_good(const struct record_header *h, const uint8_t *record);
/* The entry at *offset (start with RECORD_HEADER_SIZE) of a good record; moves to the next. */
struct iovec record_entry(const uint8_t *record, size_t *offset);

#endif
