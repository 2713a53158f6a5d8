/*
 * What opening does: the newest good snapshot, then every record after it, verified. Decides at the
 * end of the last segment between clean, torn and damaged (journal.h has the rule), and changes
 * nothing on disk before all is known to be good.
 */
#include "base/journal/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_SIZE (1024 * 1024)

/* One recovery. In the journal, last_seq and chain are those of what was verified so far. */
struct scan {
    struct journal *j;
    const struct journal_reader *reader;
    struct err_detail *detail;
    struct err_detail note;          /* what was passed over, for a successful opening */
    struct snapshot_header snapshot; /* seq 0: none */

    /* The segment being read. */
    int fd;
    bool last; /* it is the last one */
    bool torn; /* its last record is to be cut */
    char file[FILE_NAME_SIZE];
    uint64_t size;   /* of the file */
    uint64_t offset; /* everything before it is good */

    /* The part of it in memory. */
    uint8_t *window;
    size_t window_capacity, window_size;
    uint64_t window_offset;
};

static void scan_release(struct scan *s)
{
    if (s->fd >= 0) (void)close(s->fd);
    free(s->window);
}

static void note(struct scan *s, const char *what, const char *file, uint64_t offset)
{
    size_t used = strlen(s->note.text);
    (void)snprintf(s->note.text + used, sizeof s->note.text - used,
                   "%s%s at offset %" PRIu64 ": %s", used ? "; " : "", file, offset, what);
}

static enum err corrupt(struct scan *s, const char *what)
{
    return err_set(s->detail, ERR_CORRUPT,
                   "journal %s: %s at offset %" PRIu64 ": %s (expected: seq %" PRIu64 ")",
                   s->j->name, s->file, s->offset, what, s->j->last_seq + 1);
}

/* Borrowed until the next call; the caller keeps within the file. */
static enum err view(struct scan *s, uint64_t offset, size_t size, const uint8_t **ret)
{
    bool inside = offset >= s->window_offset && offset + size <= s->window_offset + s->window_size;
    if (!inside) {
        size_t capacity = size > WINDOW_SIZE ? size : WINDOW_SIZE;
        if (capacity > s->window_capacity) {
            uint8_t *larger = realloc(s->window, capacity);
            if (!larger) return ERR_NO_MEMORY;
            s->window = larger;
            s->window_capacity = capacity;
        }
        uint64_t left = s->size - offset;
        s->window_size = left < s->window_capacity ? (size_t)left : s->window_capacity;
        s->window_offset = offset;
        enum err e = file_read(s->fd, s->window, s->window_size, offset);
        if (e) {
            s->window_size = 0;
            return err_set(s->detail, e, "journal %s: %s cannot be read: %m", s->j->name, s->file);
        }
    }
    *ret = s->window + (offset - s->window_offset);
    return OK;
}

/* Only zeros from there to the end of the file? */
static enum err zeros_behind(struct scan *s, uint64_t from, bool *ret)
{
    for (uint64_t at = from; at < s->size;) {
        size_t size = s->size - at < WINDOW_SIZE / 2 ? (size_t)(s->size - at) : WINDOW_SIZE / 2;
        const uint8_t *bytes;
        enum err e = view(s, at, size, &bytes);
        if (e) return e;
        if (bytes[0] != 0 || memcmp(bytes, bytes + 1, size - 1) != 0) {
            *ret = false;
            return OK;
        }
        at += size;
    }
    *ret = true;
    return OK;
}

/* Was it not written whole: is a sector of it zeros, or its last byte, or does the file end before?
 */
static enum err has_hole(struct scan *s, uint64_t from, uint64_t to, bool *ret)
{
    *ret = to > s->size;
    for (uint64_t at = from; at < to && !*ret;) {
        uint64_t next = (at / FORMAT_SECTOR_SIZE + 1) * FORMAT_SECTOR_SIZE;
        size_t size = (size_t)((next < to ? next : to) - at);
        const uint8_t *bytes;
        enum err e = view(s, at, size, &bytes);
        if (e) return e;
        bool last_byte = at + size == to && bytes[size - 1] == 0;
        *ret = last_byte || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
        at += size;
    }
    return OK;
}

/* Is there the header of a later record in what a record of unknown size may fill? */
static enum err later_record_behind(struct scan *s, bool *ret)
{
    *ret = false;
    uint64_t end = s->size - s->offset < RECORD_SIZE_MAX ? s->size : s->offset + RECORD_SIZE_MAX;
    for (uint64_t at = s->offset + 8; at + RECORD_HEADER_SIZE <= end; at += 8) {
        const uint8_t *bytes;
        enum err e = view(s, at, RECORD_HEADER_SIZE, &bytes);
        if (e) return e;
        struct record_header h;
        if (record_header_get(bytes, &h) == FORMAT_OK && h.seq > s->j->last_seq) {
            *ret = true;
            return OK;
        }
    }
    return OK;
}

/* No whole record is at the offset: clean end, torn (cut it later), or damage. h: if its header is
 * good. */
static enum err judge_tail(struct scan *s, const struct record_header *h)
{
    bool clean = false, nothing_behind, hole, later = false;
    enum err e = h ? OK : zeros_behind(s, s->offset, &clean);
    if (e || clean) return e;
    if (!s->last) return corrupt(s, "a damaged record, and a later segment");

    uint64_t size_max = h ? h->size : RECORD_SIZE_MAX;
    uint64_t size_seen = h ? h->size : RECORD_HEADER_SIZE;
    e = zeros_behind(s, s->offset + size_max, &nothing_behind);
    if (!e && !h) e = later_record_behind(s, &later);
    if (!e) e = has_hole(s, s->offset, s->offset + size_seen, &hole);
    if (e) return e;
    if (!nothing_behind || later) return corrupt(s, "a damaged record, and more behind it");
    if (!hole) return corrupt(s, "a damaged record; it is the last, but not torn by a crash");
    s->torn = true;
    note(s, "a torn record was cut", s->file, s->offset);
    return OK;
}

/* last_seq has moved: at the snapshot's seq the chain must be the snapshot's. */
static enum err compare_snapshot(struct scan *s)
{
    if (s->j->last_seq != s->snapshot.seq) return OK;
    if (memcmp(s->j->chain, s->snapshot.chain, SHA256_SIZE) == 0) return OK;
    return corrupt(s, "the chain is not the snapshot's: they are not of one history");
}

static enum err deliver(struct scan *s, const struct record_header *h, const uint8_t *record)
{
    uint64_t last = h->seq + h->count - 1;
    if (h->seq <= s->snapshot.seq && last > s->snapshot.seq)
        return corrupt(s, "the snapshot ends within this record");
    size_t at = RECORD_HEADER_SIZE;
    for (uint64_t seq = h->seq; seq <= last && seq > s->snapshot.seq; seq++) {
        struct iovec entry = record_entry(record, &at);
        enum err e = s->reader->entry(s->reader->arg, seq, entry.iov_base, entry.iov_len);
        if (e)
            return err_set(s->detail, e, "journal %s: entry %" PRIu64 " cannot be applied",
                           s->j->name, seq);
    }
    if (h->seq > s->snapshot.seq) s->j->bytes_since_snapshot += h->size;
    crypt_sha256(record, h->size, s->j->chain);
    s->j->last_seq = last;
    s->offset += h->size;
    return compare_snapshot(s);
}

static enum err scan_record(struct scan *s, bool *ret_more)
{
    *ret_more = false;
    uint64_t left = s->size - s->offset;
    const uint8_t *bytes;
    struct record_header h;
    if (left < RECORD_HEADER_SIZE) return judge_tail(s, NULL);
    enum err e = view(s, s->offset, RECORD_HEADER_SIZE, &bytes);
    if (e) return e;
    enum format f = record_header_get(bytes, &h);
    if (f == FORMAT_NOT) return judge_tail(s, NULL);
    if (f == FORMAT_FOREIGN) return corrupt(s, "a record of a newer version");
    if (h.seq != s->j->last_seq + 1) return corrupt(s, "a gap: another seq");
    if (memcmp(h.chain, s->j->chain, SHA256_SIZE) != 0) return corrupt(s, "the chain is broken");
    if (h.size > left) return judge_tail(s, &h);
    e = view(s, s->offset, h.size, &bytes);
    if (e) return e;
    if (!record_body_good(&h, bytes)) return judge_tail(s, &h);
    *ret_more = true;
    return deliver(s, &h, bytes);
}

/* What the page cache knows but the disk does not must not be believed: write it out, then forget
 * it. */
static enum err settle(struct scan *s)
{
    if (disk_sync_data(s->fd) != 0)
        return err_set(s->detail, ERR_IO, "journal %s: %s: %m", s->j->name, s->file);
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
    return OK;
}

static enum err segment_open(struct scan *s, uint64_t first_seq)
{
    if (s->fd >= 0) (void)close(s->fd);
    file_name(first_seq, SEGMENT_SUFFIX, s->file);
    s->offset = s->window_size = 0;
    s->fd = disk_open(s->j->directory, s->file, O_RDWR);
    struct stat st;
    if (s->fd < 0 || fstat(s->fd, &st) != 0)
        return err_set(s->detail, err_from_errno(errno), "journal %s: %s: %m", s->j->name, s->file);
    s->size = (uint64_t)st.st_size;
    return s->last ? settle(s) : OK;
}

static enum err scan_segment(struct scan *s, uint64_t first_seq, bool first)
{
    enum err e = segment_open(s, first_seq);
    if (e) return e;
    const uint8_t *bytes;
    struct segment_header h = {0};
    if (s->size < SEGMENT_HEADER_SIZE) return corrupt(s, "the file ends within its header");
    e = view(s, 0, SEGMENT_HEADER_SIZE, &bytes);
    if (e) return e;
    enum format f = segment_header_get(bytes, &h);
    if (f == FORMAT_NOT) return corrupt(s, "not the header of a segment, or damaged");
    if (f == FORMAT_FOREIGN) return corrupt(s, "written by a newer version");
    if (strcmp(h.name, s->j->name) != 0) return corrupt(s, "of another shard");
    if (h.first_seq != first_seq) return corrupt(s, "its name is not its first seq");
    if (first) {
        s->j->last_seq = first_seq - 1;
        memcpy(s->j->chain, h.chain, SHA256_SIZE);
    }
    if (first_seq != s->j->last_seq + 1) return corrupt(s, "a gap before this segment");
    if (memcmp(h.chain, s->j->chain, SHA256_SIZE) != 0)
        return corrupt(s, "the chain is broken before this segment");
    s->offset = SEGMENT_HEADER_SIZE;
    e = compare_snapshot(s);
    for (bool more = true; !e && more;)
        e = scan_record(s, &more);
    return e;
}

/* Newest first; damaged ones are passed over. */
static enum err load_snapshot(struct scan *s, const struct seq_list *snapshots)
{
    for (size_t i = snapshots->count; i-- > 0;) {
        AUTO_FREE void *data = NULL;
        enum err e = snapshot_read(s->j, snapshots->seqs[i], &s->snapshot, &data, s->detail);
        if (e == ERR_NOT_FOUND) {
            char name[FILE_NAME_SIZE];
            file_name(snapshots->seqs[i], SNAPSHOT_SUFFIX, name);
            note(s, "a damaged snapshot was passed over", name, 0);
            continue;
        }
        if (e) return e;
        e = s->reader->snapshot(s->reader->arg, s->snapshot.seq, data, s->snapshot.size);
        if (e)
            return err_set(s->detail, e,
                           "journal %s: the snapshot of seq %" PRIu64 " cannot be loaded",
                           s->j->name, s->snapshot.seq);
        s->j->snapshot_seq = s->snapshot.seq;
        return OK;
    }
    return OK;
}

static enum err scan_all(struct scan *s, const struct seq_list *segments)
{
    size_t i = segments->count;
    while (i > 0 && segments->seqs[i - 1] > s->snapshot.seq + 1)
        i--;
    if (i == 0)
        return err_set(s->detail, ERR_CORRUPT,
                       "journal %s: the segment with seq %" PRIu64 " is missing%s%s", s->j->name,
                       s->snapshot.seq + 1, s->note.text[0] ? "; " : "", s->note.text);
    for (size_t first = --i; i < segments->count; i++) {
        s->last = i + 1 == segments->count;
        enum err e = scan_segment(s, segments->seqs[i], i == first);
        if (e) return e;
    }
    if (s->j->last_seq < s->snapshot.seq) return corrupt(s, "the journal ends before its snapshot");
    return OK;
}

/* All is good: cut what is torn, take the last segment over for appending. */
static enum err take_over(struct scan *s, uint64_t first_seq)
{
    struct journal *j = s->j;
    if (s->torn && (disk_truncate(s->fd, s->offset) != 0 || disk_sync_data(s->fd) != 0))
        return err_set(s->detail, ERR_IO, "journal %s: %s cannot be cut: %m", j->name, s->file);
    j->segment = s->fd;
    s->fd = -1;
    j->first_seq = first_seq;
    j->end = s->offset;
    j->filled = s->torn ? s->offset : s->size;
    return OK;
}

static void remove_temps(struct journal *j)
{
    struct seq_list temps = {0};
    if (files_list(j->directory, TEMP_SUFFIX, &temps) != OK) return;
    for (size_t i = 0; i < temps.count; i++) {
        char name[FILE_NAME_SIZE];
        file_name(temps.seqs[i], TEMP_SUFFIX, name);
        (void)disk_unlink(j->directory, name); /* only litter */
    }
    free(temps.seqs);
}

static enum err recover_files(struct scan *s, const struct seq_list *segments,
                              const struct seq_list *snapshots)
{
    if (segments->count == 0 && snapshots->count == 0) return segment_begin(s->j, s->detail);
    enum err e = load_snapshot(s, snapshots);
    if (!e) e = scan_all(s, segments);
    if (!e) e = take_over(s, segments->seqs[segments->count - 1]);
    return e;
}

enum err recover(struct journal *j, const struct journal_reader *reader, struct err_detail *detail)
{
    /* A name that is not yet durable would vanish under what is appended to it. */
    if (disk_sync(j->directory) != 0) return err_set(detail, ERR_IO, "journal %s: %m", j->name);

    struct scan s = {.j = j, .reader = reader, .detail = detail, .fd = -1};
    struct seq_list segments = {0}, snapshots = {0};
    enum err e = files_list(j->directory, SEGMENT_SUFFIX, &segments);
    if (!e) e = files_list(j->directory, SNAPSHOT_SUFFIX, &snapshots);
    if (e) err_set(detail, e, "journal %s: its directory cannot be read: %m", j->name);
    if (!e) e = recover_files(&s, &segments, &snapshots);
    if (!e) {
        remove_temps(j);
        err_set(detail, OK, "%s", s.note.text);
    }
    free(segments.seqs);
    free(snapshots.seqs);
    scan_release(&s);
    return e;
}
