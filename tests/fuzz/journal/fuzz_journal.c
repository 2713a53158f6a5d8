/*
 * Arbitrary bytes as a segment. Whatever they are: no crash, and an entry is accepted if and only
 * if the record around it has the right checksums, chain and seq, by a second opinion that shares
 * no code with the reader. The first byte says how the rest becomes a segment: RAW    as it is EDIT
 * a good segment of three records; then (offset 2, value 1) edits, and cut to (size 2) FIX    like
 * EDIT, and the checksums are made right again, so that hostile sizes are believed
 */
#include "support/fuzz.h"

#include "base/journal/format.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_MAX 8192
enum { RAW, EDIT, FIX, MODES };

/* The entries, as one number: what was accepted is compared by it. */
struct sum {
    uint64_t entries, hash;
};

static void sum_add(struct sum *s, uint64_t seq, const uint8_t *data, size_t size)
{
    CHECK(size > 0 && size <= JOURNAL_ENTRY_SIZE_MAX && seq == s->entries + 1);
    s->entries++;
    for (size_t i = 0; i < size; i++)
        s->hash = (s->hash ^ data[i]) * UINT64_C(1099511628211);
    s->hash ^= size;
}

static enum err on_entry(void *arg, uint64_t seq, const void *data, size_t size)
{
    CHECK((uintptr_t)data % 8 == 0);
    sum_add(arg, seq, data, size);
    return OK;
}

_Noreturn static enum err on_snapshot(void *arg, uint64_t seq, const void *data, size_t size)
{
    (void)arg;
    (void)seq;
    (void)data;
    (void)size;
    abort(); /* there is none */
}

static uint64_t number(const uint8_t *at, int size)
{
    uint64_t n = 0;
    while (size--)
        n = n << 8 | at[size];
    return n;
}

/* The second opinion: all entries up to the first record that is not right. */
static struct sum judge(const uint8_t *b, size_t size)
{
    struct sum s = {0};
    uint8_t chain[SHA256_SIZE] = {0};
    for (size_t at = 128; at + 64 <= size;) {
        const uint8_t *r = b + at;
        uint64_t record_size = number(r + 20, 4);
        if (memcmp(r + 60, "TPR1", 4) != 0 || number(r + 4, 4) != 1) break;
        if (number(r, 4) != crypt_crc32c(0, r + 4, 60)) break;
        if (record_size < 64 + 8 + 8 + 8 || record_size > size - at || record_size % 8) break;
        if (number(r + 56, 4) != crypt_crc32c(0, r + 64, record_size - 64)) break;
        if (number(r + 8, 8) != s.entries + 1 || memcmp(r + 24, chain, sizeof chain) != 0) break;
        struct sum with = s;
        uint64_t count = number(r + 16, 4), e = 64, n = 0;
        for (; n < count && e + 16 <= record_size; n++) {
            uint64_t entry_size = number(r + e, 4);
            if (entry_size < 1 || entry_size > 65536 || entry_size > record_size - e - 16) break;
            sum_add(&with, with.entries + 1, r + e + 8, entry_size);
            e += 8 + (entry_size + 7) / 8 * 8;
        }
        bool ends = e + 8 == record_size && memcmp(r + e, "!TPRend1", 8) == 0;
        if (count < 1 || count > 8192 || n != count || !ends) break;
        s = with;
        crypt_sha256(r, record_size, chain);
        at += record_size;
    }
    return s;
}

static size_t good_segment(uint8_t *ret)
{
    struct segment_header h = {.first_seq = 1, .name = "fuzz"};
    segment_header_put(&h, ret);
    static char texts[3][700] = {"first", "second", "third"};
    uint8_t chain[SHA256_SIZE] = {0};
    size_t at = SEGMENT_HEADER_SIZE;
    uint64_t seq = 1;
    for (size_t i = 0; i < 3; i++) {
        struct iovec entries[] = {{texts[i], 5}, {texts[i], 8 + 300 * i}, {texts[2 - i], 16}};
        memset(texts[i] + 16, 'a' + (int)i, 600);
        size_t count = i + 1;
        record_put(seq, chain, entries, count, ret + at);
        crypt_sha256(ret + at, record_size(entries, count), chain);
        at += record_size(entries, count);
        seq += count;
    }
    return at;
}

static void put32(uint8_t *at, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(n >> 8 * i);
}

static void fix(uint8_t *b, size_t size)
{
    uint8_t chain[SHA256_SIZE] = {0};
    if (size >= 128) put32(b + 124, crypt_crc32c(0, b, 124));
    for (size_t at = 128; at + 64 <= size;) {
        size_t record_size = number(b + at + 20, 4);
        if (record_size < 64 || record_size > size - at) record_size = 64;
        memcpy(b + at + 24, chain, sizeof chain);
        put32(b + at + 56, crypt_crc32c(0, b + at + 64, record_size - 64));
        put32(b + at, crypt_crc32c(0, b + at + 4, 60));
        crypt_sha256(b + at, record_size, chain);
        at += record_size;
    }
}

static size_t make_segment(const uint8_t *data, size_t size, uint8_t *ret)
{
    unsigned mode = data[0] % MODES;
    data++, size--;
    if (mode == RAW) {
        memcpy(ret, data, size);
        return size;
    }
    size_t segment_size = good_segment(ret), cut = segment_size;
    for (; size >= 3; data += 3, size -= 3)
        ret[number(data, 2) % segment_size] = data[2];
    if (size == 2) cut = number(data, 2) % (SEGMENT_MAX + 1); /* beyond the end: zeros */
    if (mode == FIX) fix(ret, cut < segment_size ? cut : segment_size);
    return cut;
}

static char directory[64];

static void remove_directory(void)
{
    int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)unlinkat(at, "00000000000000000001.segment", 0);
    (void)unlinkat(at, "lock", 0);
    (void)close(at);
    (void)rmdir(directory);
}

/* In memory where that is possible; the same for all inputs. */
static void make_directory(void)
{
    if (directory[0]) return;
    (void)snprintf(directory, sizeof directory, "%s/tradepost-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(directory));
    (void)atexit(remove_directory);
}

static void write_segment(const uint8_t *bytes, size_t size)
{
    make_directory();
    char path[128];
    (void)snprintf(path, sizeof path, "%s/00000000000000000001.segment", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > SEGMENT_MAX) return 0;
    uint8_t *segment = calloc(1, SEGMENT_MAX + 1);
    CHECK(segment);
    size_t segment_size = make_segment(data, size, segment);
    write_segment(segment, segment_size);

    struct sum accepted = {0}, right = judge(segment, segment_size);
    const struct journal_options options = {.directory = directory, .name = "fuzz"};
    const struct journal_reader reader = {&accepted, on_snapshot, on_entry};
    struct journal *j = NULL;
    struct err_detail detail;
    enum err e = journal_open(&options, &reader, &j, &detail);
    CHECK(e == OK || e == ERR_CORRUPT);
    if (e == OK || accepted.entries)
        CHECK(accepted.entries == right.entries && accepted.hash == right.hash);
    if (e == OK) CHECK(journal_last_seq(j) == right.entries);
    journal_close(j);
    free(segment);
    return 0;
}
