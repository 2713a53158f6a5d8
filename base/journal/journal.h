/*
 * The journal: a durable, append-only log of batches, with snapshots beside it. File backend.
 *
 * A batch is one record: seq of its first entry, count, size, CRC32Cs, the chain before it (the
 * SHA-256 of the record before, which contains the one before that), then the entries. One record
 * is one write and one fdatasync. Records live in segments named by their first seq, whose headers
 * say the shard, the version and the chain before them; a snapshot says its seq, the chain there
 * and the SHA-256 of its data; the last JOURNAL_SNAPSHOTS_KEPT are kept. format.h has the bytes.
 *
 * Opening verifies everything from the newest good snapshot on. Where the last record is not whole,
 * it decides between a torn write, which is cut, and damage, which is ERR_CORRUPT. The file is
 * fresh (zeros or nothing behind the last record, never old bytes), every record was synced before
 * the next was written, and a disk writes a sector of 512 bytes as a whole or not at all. So a
 * write that a crash tore has a hole: a sector of it reads as zeros, or its last byte does (which
 * is never zero in a whole one), or the file ends before it does. The record at the end of the last
 * segment is torn if and only if
 *   - it has a hole (in its header, if the header is not good; else anywhere), and
 *   - nothing is behind it: only zeros up to the end of the file (and, if its header is not good so
 * that its size is unknown, no header of a later record in what may be it). Everything else is
 * damage: a record without a hole that fails its checksum, a bad record with more behind it or in
 * another segment than the last, a gap, a chain that does not fit, a segment or snapshot of another
 * shard or a newer version, a journal that ends before its snapshot. Then nothing is changed on
 * disk, and the detail says file, offset and what was expected. Two things cannot be told from a
 * crash: records that vanish whole from the end on, back to the last snapshot; and a last record
 * that is damaged and has a whole sector of zeros in it.
 *
 * A damaged snapshot is passed over if an older one (or the very beginning) and all entries after
 * it are there; else ERR_CORRUPT.
 *
 * When a write fails because the disk is full it is undone by truncation and may be tried again
 * (ERR_FULL). After any other failure, of a write, a sync or a truncation, nothing more is accepted
 * (ERR_IO): the kernel may have dropped the pages, so only a new start that reads the file again
 * knows. The batch that met ERR_IO was not acknowledged; after a new start it is there whole or not
 * at all.
 *
 * One process, enforced by a lock on the directory (ERR_EXISTS). Used by one thread at a time;
 * every call may block on the disk.
 */
#ifndef BASE_JOURNAL_JOURNAL_H
#define BASE_JOURNAL_JOURNAL_H

#include "base/auto.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define JOURNAL_BATCH_MAX         8192               /* entries of one batch */
#define JOURNAL_BATCH_SIZE_MAX    (16 * 1024 * 1024) /* bytes of its entries: a write of ~20 ms */
#define JOURNAL_ENTRY_SIZE_MAX    (64 * 1024)
#define JOURNAL_SEGMENT_SIZE      (256 * 1024 * 1024) /* a new file is begun beyond */
#define JOURNAL_SNAPSHOT_SIZE_MAX (UINT64_C(4) << 30) /* it is in memory as a whole */
#define JOURNAL_SNAPSHOTS_KEPT    2                   /* the second for when the first is damaged */
#define JOURNAL_NAME_MAX          63                  /* bytes of a shard's name */

struct journal;

struct journal_options {
    const char *directory; /* created if missing, with the directories above it */
    const char *name; /* the shard: written into every file and compared: "wallet", "trading-0" */
    uint64_t segment_size; /* 0: JOURNAL_SEGMENT_SIZE; small in tests */
};

/* What opening finds, in order: at most one snapshot, then every entry after it. An error ends it.
 */
struct journal_reader {
    void *arg;
    /* Loads the machine from a verified snapshot. The data is valid for the call. */
    enum err (*snapshot)(void *arg, uint64_t seq, const void *data, size_t size);
    /* The data is valid for the call and begins at a multiple of 8 bytes. */
    enum err (*entry)(void *arg, uint64_t seq, const void *data, size_t size);
};

/*
 * Recovers, then is ready for appending. ERR_EXISTS: another process has it open. ERR_CORRUPT:
 * damage, see above. ERR_INVALID: the name is empty or too long. ERR_FULL, ERR_IO, ERR_DENIED, ...:
 * the disk. And whatever the reader returns. With OK, detail tells what was passed over (a torn
 * record that was cut, a damaged snapshot) and is empty otherwise; worth a line in the log.
 */
MUST_CHECK enum err journal_open(const struct journal_options *options,
                                 const struct journal_reader *reader, struct journal **ret,
                                 struct err_detail *detail);
void journal_close(struct journal *j); /* accepts NULL */

uint64_t journal_last_seq(const struct journal *j); /* 0: empty; the first entry has seq 1 */

/*
 * Entries get the seqs last + 1 ...; durable when it returns OK. ERR_INVALID: no entry, an empty
 * one, or beyond the limits above. ERR_FULL: not there; may be tried again. ERR_NO_MEMORY:
 * likewise. ERR_IO: see above; final.
 */
MUST_CHECK enum err journal_append(struct journal *j, const struct iovec *entries, size_t count,
                                   struct err_detail *detail);

/*
 * A snapshot of the state after seq journal_last_seq: temp file, fsync, read back from the disk and
 * compared, rename, fsync of the directory. Then segments and snapshots that no kept snapshot needs
 * are deleted, but none with an entry after keep_after_seq (a reader that is behind still needs
 * those). A failure (ERR_FULL, ERR_IO, ERR_CORRUPT: read back differently) leaves the journal and
 * its earlier snapshots as they were; appending goes on. ERR_INVALID: beyond
 * JOURNAL_SNAPSHOT_SIZE_MAX.
 */
MUST_CHECK enum err journal_snapshot(struct journal *j, const void *data, size_t size,
                                     uint64_t keep_after_seq, struct err_detail *detail);

uint64_t journal_bytes_since_snapshot(const struct journal *j);
uint64_t journal_syncs(const struct journal *j); /* fdatasyncs of batches so far: for benchmarks */

AUTO_DEFINE(struct journal, journal_close)
#define AUTO_JOURNAL AUTO(auto_journal_close)

#endif
