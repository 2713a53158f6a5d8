/*
 * What a journal gave back when it was opened: the snapshot and the entries, in order. Entries that
 * tests write say their own seq and size, so that anything wrong, missing or doubled is seen at
 * once.
 */
#ifndef TESTS_TAPE_H
#define TESTS_TAPE_H

#include "base/journal/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TAPE_TEXT_MAX 8192

struct tape {
    uint64_t snapshot_seq; /* 0: none */
    uint64_t first_seq;    /* of the entries; 0: none */
    uint64_t last_seq;
    size_t snapshot_size;
    char snapshot[TAPE_TEXT_MAX];
};

/* The entry that has this seq: "entry 42 ..." padded to a size that depends on the seq. */
static inline struct iovec tape_entry(uint64_t seq, char ret[static TAPE_TEXT_MAX])
{
    size_t size = 16 + (size_t)(seq * 37 % 300);
    memset(ret, 'x', size);
    int n = snprintf(ret, TAPE_TEXT_MAX, "entry %" PRIu64, seq);
    ret[n] = ' ';
    return (struct iovec){ret, size};
}

static inline enum err tape_on_snapshot(void *arg, uint64_t seq, const void *data, size_t size)
{
    struct tape *t = arg;
    if (size > sizeof t->snapshot || t->snapshot_seq || t->first_seq) return ERR_INTERNAL;
    memcpy(t->snapshot, data, size);
    t->snapshot_size = size;
    t->snapshot_seq = seq;
    return OK;
}

static inline enum err tape_on_entry(void *arg, uint64_t seq, const void *data, size_t size)
{
    struct tape *t = arg;
    char expected[TAPE_TEXT_MAX];
    struct iovec e = tape_entry(seq, expected);
    if (size != e.iov_len || memcmp(data, expected, size) != 0) return ERR_INTERNAL;
    if (seq != (t->first_seq ? t->last_seq : t->snapshot_seq) + 1) return ERR_INTERNAL;
    if (!t->first_seq) t->first_seq = seq;
    t->last_seq = seq;
    return OK;
}

static inline enum err tape_open(const struct journal_options *options, struct tape *ret,
                                 struct journal **ret_journal, struct err_detail *detail)
{
    memset(ret, 0, sizeof *ret);
    const struct journal_reader reader = {ret, tape_on_snapshot, tape_on_entry};
    return journal_open(options, &reader, ret_journal, detail);
}

/* Appends a batch of the next count entries. */
static inline enum err tape_append(struct journal *j, size_t count, struct err_detail *detail)
{
    struct iovec entries[16];
    char texts[16][TAPE_TEXT_MAX];
    if (count > 16) return ERR_INVALID;
    for (size_t i = 0; i < count; i++)
        entries[i] = tape_entry(journal_last_seq(j) + 1 + i, texts[i]);
    return journal_append(j, entries, count, detail);
}

/* A snapshot that says its seq. */
static inline enum err tape_snapshot(struct journal *j, uint64_t keep_after_seq,
                                     struct err_detail *detail)
{
    char text[64];
    int n = snprintf(text, sizeof text, "state %" PRIu64, journal_last_seq(j));
    return journal_snapshot(j, text, (size_t)n, keep_after_seq, detail);
}

#endif
