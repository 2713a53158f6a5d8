/*
 * Cryptography by OpenSSL's EVP interface, only what the house needs. Thread-safe; nothing blocks.
 * What OpenSSL cannot do for lack of a provider, memory or randomness is a CHECK.
 */
#ifndef BASE_CRYPT_H
#define BASE_CRYPT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

void crypt_random(void *ret, size_t size); /* from the kernel through OpenSSL; size below 2^31 */
void crypt_sha256(const void *data, size_t size, uint8_t ret[static SHA256_SIZE]);
void crypt_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                       uint8_t ret[static SHA256_SIZE]);
bool crypt_equal(const void *a, const void *b, size_t size); /* constant time */
/* Castagnoli's (RFC 3720); start with 0, and go on with what the bytes before gave. */
uint32_t crypt_crc32c(uint32_t seed, const void *data, size_t size);

/* base64url without padding (RFC 4648 section 5). ret needs BASE64URL_SIZE(size) bytes with the
 * NUL. */
#define BASE64URL_SIZE(size) (((size)*4 + 2) / 3 + 1)
void base64url_encode(const void *data, size_t size, char *ret);
/* Only the spelling that base64url_encode writes. ERR_INVALID: another, or more than *ret_size
 * bytes; ret and ret_size are untouched. */
MUST_CHECK enum err base64url_decode(const char *text, void *ret, size_t *ret_size);

void hex_encode(const void *data, size_t size, char *ret); /* lower case; 2 * size + 1 bytes */
/* Either case. ERR_INVALID: not the digits of exactly size bytes; ret is untouched. */
MUST_CHECK enum err hex_decode(const char *text, void *ret, size_t size);

#endif
