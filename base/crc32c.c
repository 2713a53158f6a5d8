/* CRC-32C (Castagnoli, RFC 3720 section B.4): by the processor's instruction, or by eight tables.
 */
#include "base/crc32c.h"

#include "base/crypt.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82f63b78) /* reflected */

static uint32_t tables[8][256]; /* tables[n][b]: byte b followed by n zero bytes */

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][byte] = crc;
    }
    for (int n = 1; n < 8; n++)
        for (int byte = 0; byte < 256; byte++)
            tables[n][byte] = tables[n - 1][byte] >> 8 ^ tables[0][tables[n - 1][byte] & 255];
}

static uint32_t load_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Four bytes, looked up as if `after` zero bytes and the rest of the word followed them. */
static uint32_t look_up(uint32_t word, int after)
{
    return tables[after + 3][word & 255] ^ tables[after + 2][word >> 8 & 255] ^
           tables[after + 1][word >> 16 & 255] ^ tables[after][word >> 24];
}

uint32_t crc32c_tables(uint32_t seed, const void *data, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, make_tables) == 0);
    const uint8_t *at = data;
    uint32_t crc = ~seed;
    for (; size >= 8; at += 8, size -= 8)
        crc = look_up(load_le32(at) ^ crc, 4) ^ look_up(load_le32(at + 4), 0);
    for (; size; at++, size--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    return ~crc;
}

#if defined(__x86_64__)

bool crc32c_has_hardware(void)
{
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) uint32_t crc32c_hardware(uint32_t seed, const void *data,
                                                           size_t size)
{
    const uint8_t *at = data;
    uint64_t crc = ~seed;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    uint32_t rest = (uint32_t)crc;
    for (; size; at++, size--)
        rest = __builtin_ia32_crc32qi(rest, *at);
    return ~rest;
}

#else

bool crc32c_has_hardware(void)
{
    return false;
}

uint32_t crc32c_hardware(uint32_t seed, const void *data, size_t size)
{
    return crc32c_tables(seed, data, size);
}

#endif

uint32_t crypt_crc32c(uint32_t seed, const void *data, size_t size)
{
    return crc32c_has_hardware() ? crc32c_hardware(seed, data, size)
                                 : crc32c_tables(seed, data, size);
}
