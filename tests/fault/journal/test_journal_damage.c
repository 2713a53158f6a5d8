/*
 * Damaged files: torn writes are cut, everything else is refused, nothing is ever silently wrong.
 * The bytes are changed from outside, at every place there is.
 */
#include "fixture.h"

#include "base/journal/format.h"

/* Bytes of the records; behind them are zeros. */
static size_t used_size(const struct image *i)
{
    size_t size = i->size;
    while (size > SEGMENT_HEADER_SIZE && i->bytes[size - 1] == 0)
        size--;
    return size;
}

static size_t last_record_at(const struct image *i)
{
    size_t found = 0;
    for (size_t at = SEGMENT_HEADER_SIZE; at + RECORD_HEADER_SIZE <= i->size;) {
        struct record_header h;
        if (record_header_get(i->bytes + at, &h) != FORMAT_OK) break;
        found = at;
        at += h.size;
    }
    assert_int_not_equal(found, 0);
    return found;
}

static void write_records(struct fixture *f, const size_t *counts, size_t batches)
{
    assert_ok(reopen(f));
    for (size_t i = 0; i < batches; i++)
        assert_ok(tape_append(f->journal, counts[i], &f->detail));
    close_journal(f);
}

static void a_journal_cut_at_every_byte_of_its_last_record_loses_only_that(void **state)
{
    struct fixture *f = *state;
    write_records(f, (size_t[]){3, 2, 5}, 3);
    struct image i = image_read(f, 1, "segment");
    size_t begin = last_record_at(&i), end = used_size(&i);
    for (size_t size = begin; size <= end; size++) {
        image_write(&i, size);
        assert_opens_with(f, size < end ? 5 : 10);
        bool silent = size == begin || size == end;
        assert_int_equal(f->detail.text[0] == 0, silent); /* a cut is told */
        assert_opens_with(f, size < end ? 5 : 10);        /* and was thorough */
        assert_string_equal(f->detail.text, "");
        assert_ok(tape_append(f->journal, 2, &f->detail));
        assert_opens_with(f, size < end ? 7 : 12);
    }
    uint8_t *whole = i.bytes; /* the same where zeros were written ahead of it */
    for (size_t size = begin; size <= end; size++) {
        i.bytes = calloc(1, i.size);
        memcpy(i.bytes, whole, size);
        image_write(&i, i.size);
        assert_opens_with(f, size < end ? 5 : 10);
        free(i.bytes);
    }
    i.bytes = whole;
    free(i.bytes);
}

static void a_torn_write_of_any_sectors_is_cut(void **state)
{
    struct fixture *f = *state;
    write_records(f, (size_t[]){3, 12}, 2);
    struct image i = image_read(f, 1, "segment");
    size_t begin = last_record_at(&i), end = used_size(&i);
    size_t first = begin / FORMAT_SECTOR_SIZE, count = (end - 1) / FORMAT_SECTOR_SIZE - first + 1;
    assert_in_range(count, 4, 8);
    uint8_t *whole = malloc(i.size);
    memcpy(whole, i.bytes, i.size);
    for (unsigned lost = 1; lost < 1U << count; lost++) {
        memcpy(i.bytes, whole, i.size);
        for (size_t s = 0; s < count; s++) {
            size_t from = (first + s) * FORMAT_SECTOR_SIZE;
            size_t to = from + FORMAT_SECTOR_SIZE;
            if (from < begin) from = begin;
            if (lost >> s & 1) memset(i.bytes + from, 0, to - from);
        }
        image_write(&i, lost % 2 ? i.size : end);
        assert_opens_with(f, 3);
    }
    free(whole);
    free(i.bytes);
}

static void a_sector_lost_before_the_last_record_is_damage(void **state)
{
    struct fixture *f = *state;
    write_records(f, (size_t[]){3, 6, 1, 1}, 4);
    struct image i = image_read(f, 1, "segment");
    size_t last = last_record_at(&i);
    for (size_t at = 0; at + FORMAT_SECTOR_SIZE <= last; at += FORMAT_SECTOR_SIZE) {
        uint8_t sector[FORMAT_SECTOR_SIZE];
        memcpy(sector, i.bytes + at, sizeof sector);
        memset(i.bytes + at, 0, sizeof sector);
        image_write(&i, i.size);
        assert_damaged(f, at ? "more behind it" : "header");
        memcpy(i.bytes + at, sector, sizeof sector);
    }
    image_write(&i, i.size);
    assert_opens_with(f, 11);
    free(i.bytes);
}

/* Every byte of a segment gets another value: refused, or nothing is lost (in the zeros at its
 * end). */
static void flip_every_byte(struct fixture *f, uint64_t seq, uint64_t last_seq)
{
    struct image i = image_read(f, seq, "segment");
    size_t used = used_size(&i), refused = 0;
    size_t size = used + 64 < i.size ? used + 64 : i.size;
    for (size_t at = 0; at < size; at++) {
        uint8_t flip = (uint8_t)(1U << (at % 8));
        i.bytes[at] ^= flip;
        image_write(&i, size);
        enum err e = reopen(f);
        if (e == OK)
            assert_int_equal(journal_last_seq(f->journal), last_seq);
        else
            assert_int_equal(e, ERR_CORRUPT);
        if (e == OK && at < used) fail_msg("byte %zu of %s was not seen", at, i.path);
        refused += e != OK;
        i.bytes[at] ^= flip;
    }
    image_write(&i, i.size);
    assert_opens_with(f, last_seq);
    assert_true(refused >= used);
    free(i.bytes);
}

static void every_flipped_byte_of_a_segment_is_refused(void **state)
{
    struct fixture *f = *state;
    f->options.segment_size = 1024;
    write_records(f, (size_t[]){2, 2, 1, 2, 1, 1}, 6);
    flip_every_byte(f, 1, 9);
    uint64_t last = 0;
    for (uint64_t seq = 2; seq <= 9; seq++) {
        char path[TEMP_PATH_SIZE + 64];
        file_path(f, seq, "segment", path);
        if (access(path, F_OK) == 0) last = seq;
    }
    assert_int_not_equal(last, 0);
    flip_every_byte(f, last, 9);
}

static void a_flipped_byte_of_a_snapshot_costs_nothing_while_the_older_is_good(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    for (int i = 1; i <= 3; i++) {
        assert_ok(tape_append(f->journal, 2, NULL));
        assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    }
    assert_ok(tape_append(f->journal, 1, NULL));
    struct image i = image_read(f, 6, "snapshot");
    for (size_t at = 0; at < i.size; at++) {
        i.bytes[at] ^= 0x10;
        image_write(&i, i.size);
        assert_opens_with(f, 7);
        assert_int_equal(f->tape.snapshot_seq, 4);
        assert_int_equal(f->tape.first_seq, 5);
        assert_non_null(strstr(f->detail.text, "snapshot"));
        i.bytes[at] ^= 0x10;
    }
    for (size_t size = 0; size < i.size; size++) {
        image_write(&i, size);
        assert_opens_with(f, 7);
        assert_int_equal(f->tape.snapshot_seq, 4);
    }
    free(i.bytes);
}

static void snapshots_and_segments(struct fixture *f)
{
    f->options.segment_size = 256; /* about one record in each */
    assert_ok(reopen(f));
    for (int i = 1; i <= 4; i++) {
        assert_ok(tape_append(f->journal, 2, NULL));
        assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    }
    assert_ok(tape_append(f->journal, 2, NULL));
    close_journal(f);
}

static void damage_byte(struct fixture *f, uint64_t seq, const char *suffix)
{
    struct image i = image_read(f, seq, suffix);
    i.bytes[i.size / 2] ^= 1;
    image_write(&i, i.size);
    free(i.bytes);
}

/* What docs/journal.md tells an operator without a backup to do. */
static void a_damaged_journal_can_be_cut_by_hand_where_the_message_says(void **state)
{
    struct fixture *f = *state;
    write_records(f, (size_t[]){3, 2, 5}, 3);
    struct image i = image_read(f, 1, "segment");
    size_t last = last_record_at(&i);
    i.bytes[last - 50] ^= 4; /* in the second record */
    image_write(&i, i.size);
    assert_damaged(f, "a damaged record, and more behind it (expected: seq 4)");
    size_t offset;
    assert_int_equal(sscanf(strstr(f->detail.text, "at offset"), "at offset %zu", &offset), 1);
    image_write(&i, offset);
    assert_opens_with(f, 3);
    free(i.bytes);
}

static void with_both_snapshots_damaged_and_the_past_deleted_it_does_not_start(void **state)
{
    struct fixture *f = *state;
    snapshots_and_segments(f);
    damage_byte(f, 8, "snapshot");
    assert_opens_with(f, 10);
    assert_int_equal(f->tape.snapshot_seq, 6);
    close_journal(f);
    damage_byte(f, 6, "snapshot");
    assert_damaged(f, "is missing");
    assert_non_null(strstr(f->detail.text, "snapshot")); /* says why */
}

static void a_snapshot_that_was_passed_over_is_replaced_by_the_next(void **state)
{
    struct fixture *f = *state;
    snapshots_and_segments(f);
    damage_byte(f, 8, "snapshot");
    assert_opens_with(f, 10);
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    assert_opens_with(f, 10);
    assert_int_equal(f->tape.snapshot_seq, 10);
    assert_string_equal(f->detail.text, "");
    close_journal(f);
    damage_byte(f, 10, "snapshot");
    assert_opens_with(f, 10); /* the older kept one is the good one, not the damaged one */
    assert_int_equal(f->tape.snapshot_seq, 6);
}

static void a_missing_segment_is_a_gap(void **state)
{
    struct fixture *f = *state;
    f->options.segment_size = 256;
    write_records(f, (size_t[]){2, 2, 2, 2}, 4);
    for (uint64_t seq = 1; seq <= 7; seq += 2) {
        struct image i = image_read(f, seq, "segment");
        assert_int_equal(remove(i.path), 0);
        if (seq == 7)
            assert_opens_with(f, 6); /* lost whole from the end: cannot be seen */
        else
            assert_damaged(f, seq == 1 ? "is missing" : "a gap");
        close_journal(f);
        image_write(&i, i.size);
        free(i.bytes);
    }
    assert_opens_with(f, 8);
}

static void a_journal_that_ends_before_its_snapshot_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    close_journal(f);
    struct image i = image_read(f, 1, "segment");
    for (size_t cut = 0; cut < 2; cut++) {
        image_write(&i, last_record_at(&i) + 100 * cut); /* at the border, and torn */
        assert_damaged(f, "ends before its snapshot");
        struct stat st;
        assert_int_equal(stat(i.path, &st), 0);
        assert_int_equal(st.st_size, last_record_at(&i) + 100 * cut); /* nothing was repaired */
    }
    assert_int_equal(remove(i.path), 0);
    assert_damaged(f, "is missing");
    free(i.bytes);
}

static void files_of_another_shard_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 1, NULL));
    f->options.name = "faulT";
    assert_damaged(f, "of another shard");
    f->options.name = "fault";
    assert_ok(reopen(f));
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    f->options.name = "fault2";
    assert_damaged(f, "snapshot: of another shard");
}

/* A segment of the same name and seqs, but another history. */
static void a_segment_of_another_history_breaks_the_chain(void **state)
{
    struct fixture *f = *state;
    f->options.segment_size = 256;
    write_records(f, (size_t[]){1, 1, 2}, 3);
    struct image foreign = image_read(f, 3, "segment");
    start_over(f);
    write_records(f, (size_t[]){2, 2}, 2);
    struct image own = image_read(f, 3, "segment");
    image_write(&foreign, foreign.size);
    assert_damaged(f, "chain is broken");
    image_write(&own, own.size);
    assert_opens_with(f, 4);

    close_journal(f); /* the record under the own header */
    memcpy(own.bytes + SEGMENT_HEADER_SIZE, foreign.bytes + SEGMENT_HEADER_SIZE,
           foreign.size - SEGMENT_HEADER_SIZE);
    image_write(&own, foreign.size);
    assert_damaged(f, "chain is broken");
    free(own.bytes);
    free(foreign.bytes);
}

static void a_snapshot_of_another_history_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    close_journal(f);
    struct image snapshot = image_read(f, 2, "snapshot");
    start_over(f);
    write_records(f, (size_t[]){1, 1, 1}, 3);
    image_write(&snapshot, snapshot.size);
    assert_damaged(f, "not of one history");
    start_over(f);
    write_records(f, (size_t[]){1, 2}, 2);
    image_write(&snapshot, snapshot.size);
    assert_damaged(f, "ends within this record");
    free(snapshot.bytes);
}

/* Of segments and snapshots it is at the end, of records at the beginning. */
static void fix_crc(uint8_t *header, size_t size)
{
    bool record = size == RECORD_HEADER_SIZE;
    uint32_t crc = crypt_crc32c(0, record ? header + 4 : header, size - 4);
    for (size_t b = 0; b < 4; b++)
        header[record ? b : size - 4 + b] = (uint8_t)(crc >> 8 * b);
}

/* Whole, with good checksums, but of a version that is to come. */
static void a_newer_version_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 1, NULL));
    assert_ok(tape_append(f->journal, 1, NULL));
    assert_ok(tape_snapshot(f->journal, 0, NULL));
    close_journal(f);
    struct image snapshot = image_read(f, 2, "snapshot"), segment = image_read(f, 1, "segment");
    snapshot.bytes[8] = FORMAT_VERSION + 1;
    fix_crc(snapshot.bytes, SNAPSHOT_HEADER_SIZE);
    image_write(&snapshot, snapshot.size);
    assert_damaged(f, "newer version");
    assert_int_equal(remove(snapshot.path), 0);

    uint8_t *record = segment.bytes + last_record_at(&segment);
    record[4] = FORMAT_VERSION + 1;
    fix_crc(record, RECORD_HEADER_SIZE);
    image_write(&segment, segment.size);
    assert_damaged(f, "newer version");
    record[4] = FORMAT_VERSION;
    fix_crc(record, RECORD_HEADER_SIZE);
    segment.bytes[8] = FORMAT_VERSION + 1;
    fix_crc(segment.bytes, SEGMENT_HEADER_SIZE);
    image_write(&segment, segment.size);
    assert_damaged(f, "newer version");
    free(snapshot.bytes);
    free(segment.bytes);
}

static void names_that_are_not_ours_do_not_matter(void **state)
{
    struct fixture *f = *state;
    write_records(f, (size_t[]){2}, 1);
    static const char *const names[] = {"lost+found", "1.segment", "00000000000000000009.segment2",
                                        "99999999999999999999.segment", "x.snapshot"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        struct image i = {.bytes = (uint8_t *)"?"};
        (void)snprintf(i.path, sizeof i.path, "%s/%s", f->directory, names[n]);
        image_write(&i, 1);
    }
    assert_opens_with(f, 2);
}

static void a_renamed_file_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_ok(reopen(f));
    assert_ok(tape_append(f->journal, 2, NULL));
    assert_ok(tape_snapshot(f->journal, UINT64_MAX, NULL));
    close_journal(f);
    char from[TEMP_PATH_SIZE + 64], to[TEMP_PATH_SIZE + 64];
    file_path(f, 2, "snapshot", from);
    file_path(f, 1, "snapshot", to);
    assert_int_equal(rename(from, to), 0);
    assert_damaged(f, "not its seq");
    assert_int_equal(remove(to), 0);
    file_path(f, 1, "segment", from);
    file_path(f, 0, "segment", to);
    assert_int_equal(rename(from, to), 0);
    assert_damaged(f, "not its first seq");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_journal_cut_at_every_byte_of_its_last_record_loses_only_that),
        TEST(a_torn_write_of_any_sectors_is_cut),
        TEST(a_sector_lost_before_the_last_record_is_damage),
        TEST(every_flipped_byte_of_a_segment_is_refused),
        TEST(a_flipped_byte_of_a_snapshot_costs_nothing_while_the_older_is_good),
        TEST(a_damaged_journal_can_be_cut_by_hand_where_the_message_says),
        TEST(with_both_snapshots_damaged_and_the_past_deleted_it_does_not_start),
        TEST(a_snapshot_that_was_passed_over_is_replaced_by_the_next),
        TEST(a_missing_segment_is_a_gap),
        TEST(a_journal_that_ends_before_its_snapshot_is_refused),
        TEST(files_of_another_shard_are_refused),
        TEST(a_segment_of_another_history_breaks_the_chain),
        TEST(a_snapshot_of_another_history_is_refused),
        TEST(a_newer_version_is_refused),
        TEST(names_that_are_not_ours_do_not_matter),
        TEST(a_renamed_file_is_refused),
    };
    use_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
