/*
 * The journal: a durable, append-only log of batches, with snapshots beside it. File backend.
 *
 * A batch is one record: magic, version, seq of its first entry, count, length, CRC32C, the hash of the
 * record before it (a SHA-256 chain), then the entries. One record is one write and one fdatasync. Files
 * are segments of SEGMENT bytes named by their first seq; a snapshot file carries its seq, the chain hash
 * there, and its own SHA-256; the last JOURNAL_SNAPSHOTS_KEPT are kept.
 *
 * Opening verifies everything from the newest good snapshot on. A torn last record (cut short, or bad
 * CRC with nothing behind it) is cut; a gap, a bad record in the middle, a broken chain, a foreign or
 * newer file is ERR_CORRUPT with file, offset and what was expected: nothing is repaired silently.
 *
 * A failed write is undone by truncation and may be tried again (ERR_FULL); after a failed fsync or
 * truncation nothing more is accepted (ERR_IO): the kernel may have dropped the pages, so only a new
 * start that reads the file again knows. One process, enforced by a lock on the directory (ERR_EXISTS).
 * Used by one thread at a time; every call may block on the disk.
 */
#ifndef BASE_JOURNAL_JOURNAL_H
#define BASE_JOURNAL_JOURNAL_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define JOURNAL_BATCH_MAX 8192                     /* entries of one batch */
#define JOURNAL_BATCH_SIZE_MAX (16 * 1024 * 1024)  /* bytes of one batch */
#define JOURNAL_ENTRY_SIZE_MAX (64 * 1024)
#define JOURNAL_SEGMENT_SIZE (256 * 1024 * 1024)   /* a new file is begun beyond */
#define JOURNAL_SNAPSHOTS_KEPT 2

struct journal;

struct journal_options {
    const char *directory; /* created if missing */
    const char *name;      /* the shard: written into every file and compared: "wallet", "trading-0" */
    uint64_t segment_size; /* 0: JOURNAL_SEGMENT_SIZE; small in tests */
};

/* What opening finds, in order: at most one snapshot, then every entry after it. */
struct journal_reader {
    void *arg;
    /* Loads the machine from a verified snapshot. */
    enum err (*snapshot)(void *arg, uint64_t seq, const void *data, size_t size);
    enum err (*entry)(void *arg, uint64_t seq, const void *data, size_t size);
};

MUST_CHECK enum err journal_open(const struct journal_options *options,
                                 const struct journal_reader *reader, struct journal **ret,
                                 struct err_detail *detail);
void journal_close(struct journal *j); /* accepts NULL */

uint64_t journal_last_seq(const struct journal *j); /* 0: empty; the first entry has seq 1 */

/* Entries get the seqs last + 1 ...; durable when it returns OK, and not there at all otherwise. */
MUST_CHECK enum err journal_append(struct journal *j, const struct iovec *entries, size_t count,
                                   struct err_detail *detail);

/*
 * A snapshot of the state after seq journal_last_seq: temp file, fsync, rename, fsync of the directory,
 * read back and compared. Segments and snapshots that no kept snapshot needs are deleted, but none with
 * an entry after keep_after_seq (a reader that is behind still needs those).
 */
MUST_CHECK enum err journal_snapshot(struct journal *j, const void *data, size_t size,
                                     uint64_t keep_after_seq, struct err_detail *detail);

uint64_t journal_bytes_since_snapshot(const struct journal *j);
uint64_t journal_syncs(const struct journal *j); /* fdatasyncs so far: for benchmarks */

#endif
