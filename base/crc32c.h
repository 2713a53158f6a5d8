/*
 * The two ways to a CRC-32C, for crypt_crc32c, which chooses, and for the test that compares them.
 * Both take and return the finished checksum: start with 0. Thread-safe; nothing blocks.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool crc32c_has_hardware(void); /* SSE 4.2 */
uint32_t crc32c_hardware(uint32_t seed, const void *data,
                         size_t size); /* only if crc32c_has_hardware */
uint32_t crc32c_tables(uint32_t seed, const void *data, size_t size); /* eight bytes at a time */

#endif
