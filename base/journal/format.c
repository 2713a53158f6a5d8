/* Encoding and decoding of the journal's headers and records. No I/O. */
#include "base/journal/format.h"

#include <endian.h>
#include <string.h>

static const char segment_magic[8] = "TPsegmnt", snapshot_magic[8] = "TPsnapsh";
#define RECORD_MAGIC UINT32_C(0x31525054) /* "TPR1" */
#define RECORD_END   UINT64_C(0x31646e6552505421)

static void put32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof value);
}

static void put64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof value);
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return le64toh(value);
}

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

void segment_header_put(const struct segment_header *h, uint8_t ret[static SEGMENT_HEADER_SIZE])
{
    memset(ret, 0, SEGMENT_HEADER_SIZE);
    memcpy(ret, segment_magic, 8);
    put32(ret + 8, FORMAT_VERSION);
    put64(ret + 16, h->first_seq);
    memcpy(ret + 24, h->chain, SHA256_SIZE);
    memcpy(ret + 56, h->name, sizeof h->name);
    put32(ret + 124, crypt_crc32c(0, ret, 124));
}

/* Magic, then version (a newer one may have another layout), then the checksum at the end. */
static enum format header_get(const uint8_t *bytes, size_t size, const char magic[static 8])
{
    if (memcmp(bytes, magic, 8) != 0) return FORMAT_NOT;
    if (get32(bytes + size - 4) != crypt_crc32c(0, bytes, size - 4)) return FORMAT_NOT;
    return get32(bytes + 8) == FORMAT_VERSION ? FORMAT_OK : FORMAT_FOREIGN;
}

enum format segment_header_get(const uint8_t bytes[static SEGMENT_HEADER_SIZE],
                               struct segment_header *ret)
{
    enum format f = header_get(bytes, SEGMENT_HEADER_SIZE, segment_magic);
    if (f) return f;
    if (bytes[56 + JOURNAL_NAME_MAX] != 0) return FORMAT_FOREIGN;
    ret->first_seq = get64(bytes + 16);
    memcpy(ret->chain, bytes + 24, SHA256_SIZE);
    memcpy(ret->name, bytes + 56, sizeof ret->name);
    return FORMAT_OK;
}

void snapshot_header_put(const struct snapshot_header *h, uint8_t ret[static SNAPSHOT_HEADER_SIZE])
{
    memset(ret, 0, SNAPSHOT_HEADER_SIZE);
    memcpy(ret, snapshot_magic, 8);
    put32(ret + 8, FORMAT_VERSION);
    put64(ret + 16, h->seq);
    put64(ret + 24, h->size);
    memcpy(ret + 32, h->chain, SHA256_SIZE);
    memcpy(ret + 64, h->hash, SHA256_SIZE);
    memcpy(ret + 96, h->name, sizeof h->name);
    put32(ret + 164, crypt_crc32c(0, ret, 164));
}

enum format snapshot_header_get(const uint8_t bytes[static SNAPSHOT_HEADER_SIZE],
                                struct snapshot_header *ret)
{
    enum format f = header_get(bytes, SNAPSHOT_HEADER_SIZE, snapshot_magic);
    if (f) return f;
    if (bytes[96 + JOURNAL_NAME_MAX] != 0) return FORMAT_FOREIGN;
    if (get64(bytes + 24) > JOURNAL_SNAPSHOT_SIZE_MAX) return FORMAT_FOREIGN;
    ret->seq = get64(bytes + 16);
    ret->size = get64(bytes + 24);
    memcpy(ret->chain, bytes + 32, SHA256_SIZE);
    memcpy(ret->hash, bytes + 64, SHA256_SIZE);
    memcpy(ret->name, bytes + 96, sizeof ret->name);
    return FORMAT_OK;
}

size_t record_size(const struct iovec *entries, size_t count)
{
    size_t size = RECORD_HEADER_SIZE + RECORD_END_SIZE;
    for (size_t i = 0; i < count; i++)
        size += ENTRY_HEADER_SIZE + padded(entries[i].iov_len);
    return size;
}

void record_put(uint64_t seq, const uint8_t chain[static SHA256_SIZE], const struct iovec *entries,
                size_t count, uint8_t *ret)
{
    uint8_t *at = ret + RECORD_HEADER_SIZE;
    for (size_t i = 0; i < count; i++) {
        size_t size = entries[i].iov_len;
        put32(at, (uint32_t)size);
        put32(at + 4, 0);
        at += ENTRY_HEADER_SIZE;
        memset(at + padded(size) - 8, 0, 8); /* the padding; the bytes go over it */
        memcpy(at, entries[i].iov_base, size);
        at += padded(size);
    }
    put64(at, RECORD_END);
    at += RECORD_END_SIZE;

    size_t body_size = (size_t)(at - ret) - RECORD_HEADER_SIZE;
    put32(ret + 4, FORMAT_VERSION);
    put64(ret + 8, seq);
    put32(ret + 16, (uint32_t)count);
    put32(ret + 20, (uint32_t)(at - ret));
    memcpy(ret + 24, chain, SHA256_SIZE);
    put32(ret + 56, crypt_crc32c(0, ret + RECORD_HEADER_SIZE, body_size));
    put32(ret + 60, RECORD_MAGIC);
    put32(ret, crypt_crc32c(0, ret + 4, RECORD_HEADER_SIZE - 4));
}

enum format record_header_get(const uint8_t bytes[static RECORD_HEADER_SIZE],
                              struct record_header *ret)
{
    if (get32(bytes + 60) != RECORD_MAGIC) return FORMAT_NOT;
    if (get32(bytes) != crypt_crc32c(0, bytes + 4, RECORD_HEADER_SIZE - 4)) return FORMAT_NOT;
    struct record_header h = {.seq = get64(bytes + 8),
                              .count = get32(bytes + 16),
                              .size = get32(bytes + 20),
                              .body_crc = get32(bytes + 56)};
    memcpy(h.chain, bytes + 24, SHA256_SIZE);
    if (get32(bytes + 4) != FORMAT_VERSION) return FORMAT_FOREIGN;
    if (h.count < 1 || h.count > JOURNAL_BATCH_MAX || h.size % 8 != 0) return FORMAT_FOREIGN;
    if (h.size < RECORD_SIZE_MIN || h.size > RECORD_SIZE_MAX) return FORMAT_FOREIGN;
    *ret = h;
    return FORMAT_OK;
}

bool record_body_good(const struct record_header *h, const uint8_t *record)
{
    const uint8_t *body = record + RECORD_HEADER_SIZE;
    if (crypt_crc32c(0, body, h->size - RECORD_HEADER_SIZE) != h->body_crc) return false;

    size_t offset = RECORD_HEADER_SIZE, end = h->size - RECORD_END_SIZE;
    for (uint32_t i = 0; i < h->count; i++) {
        if (end - offset < ENTRY_HEADER_SIZE) return false;
        size_t size = get32(record + offset);
        if (size < 1 || size > JOURNAL_ENTRY_SIZE_MAX) return false;
        offset += ENTRY_HEADER_SIZE;
        if (end - offset < padded(size)) return false;
        offset += padded(size);
    }
    return offset == end && get64(record + end) == RECORD_END;
}

struct iovec record_entry(const uint8_t *record, size_t *offset)
{
    size_t size = get32(record + *offset);
    const uint8_t *data = record + *offset + ENTRY_HEADER_SIZE;
    *offset += ENTRY_HEADER_SIZE + padded(size);
    return (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
}
