/* What the files of this room share: the open journal, and the names of its files. Private. */
#ifndef BASE_JOURNAL_JOURNAL_PRIVATE_H
#define BASE_JOURNAL_JOURNAL_PRIVATE_H

#include "base/journal/disk.h"
#include "base/journal/format.h"
#include "base/journal/journal.h"

#include <stdbool.h>

/* Zeros are written this far ahead of the records (see journal.c). */
#define JOURNAL_AHEAD_SIZE (512 * 1024)

struct journal {
    char name[JOURNAL_NAME_MAX + 1];
    uint64_t segment_size;
    int directory, lock; /* open files; -1: none */
    int segment;         /* the last one, where records are appended */
    uint64_t first_seq;  /* of that segment */
    uint64_t end;        /* of its last record */
    uint64_t filled;     /* of its zeros: the file's size, at least end */
    uint64_t last_seq;
    uint8_t chain[SHA256_SIZE]; /* after last_seq */
    uint64_t snapshot_seq;      /* of the newest good snapshot; 0: none */
    uint64_t bytes_since_snapshot;
    uint64_t syncs;
    bool failed;     /* ERR_IO from now on */
    uint8_t *record; /* the one being written */
    size_t record_capacity;
};

#define FILE_NAME_SIZE  40
#define SEGMENT_SUFFIX  ".segment"
#define SNAPSHOT_SUFFIX ".snapshot"
#define TEMP_SUFFIX     ".tmp"

/* "00000000000000000042.segment"; suffixes are the three above. */
void file_name(uint64_t seq, const char *suffix, char ret[static FILE_NAME_SIZE]);

struct seq_list {
    uint64_t *seqs; /* ascending; to free */
    size_t count;
};
/* The files with that suffix. ERR_IO, ERR_NO_MEMORY. */
MUST_CHECK enum err files_list(int directory, const char *suffix, struct seq_list *ret);

/* Writes all of it. On failure errno is kept, and some of it may be there. */
MUST_CHECK enum err file_write(int fd, const void *data, size_t size, uint64_t offset);
/* Reads exactly size bytes; ERR_IO also if the file ends before. */
MUST_CHECK enum err file_read(int fd, void *ret, size_t size, uint64_t offset);

/* Begins the segment for last_seq + 1; the journal is unchanged on failure. */
MUST_CHECK enum err segment_begin(struct journal *j, struct err_detail *detail);

/* Finds the newest good snapshot, hands it over, and replays: fills everything from segment on. */
MUST_CHECK enum err recover(struct journal *j, const struct journal_reader *reader,
                            struct err_detail *detail);

/*
 * Reads and verifies the snapshot. ERR_NOT_FOUND: it is damaged, an older one may do. ERR_CORRUPT:
 * of another shard or a newer version. detail says how. The caller frees *ret_data.
 */
MUST_CHECK enum err snapshot_read(struct journal *j, uint64_t seq, struct snapshot_header *ret,
                                  void **ret_data, struct err_detail *detail);

#endif
