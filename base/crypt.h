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

/* RFC 8032: is it this key's signature of the data? A key that is no point of the curve has signed
 * nothing. Takes as long either way, some 0.1 ms. */
#define ED25519_KEY_SIZE       32
#define ED25519_SIGNATURE_SIZE 64
bool crypt_ed25519_verify(const uint8_t key[static ED25519_KEY_SIZE], const void *data, size_t size,
                          const uint8_t signature[static ED25519_SIGNATURE_SIZE]);

/*
 * AES-256-GCM under a fresh random nonce: what is sealed cannot be read or changed without the key,
 * nor opened beside another context (whose it is: a name, NUL-terminated). ret has size +
 * CRYPT_SEAL_SIZE bytes. One key may seal 2^32 times (NIST SP 800-38D, 8.3).
 */
#define CRYPT_SEAL_KEY_SIZE 32
#define CRYPT_SEAL_SIZE     28 /* nonce and tag */
void crypt_seal(const uint8_t key[static CRYPT_SEAL_KEY_SIZE], const char *context,
                const void *data, size_t size, uint8_t *ret);
/* ret gets size - CRYPT_SEAL_SIZE bytes. ERR_CORRUPT: changed, cut, or sealed under another key or
 * context; what is in ret is nothing then. */
MUST_CHECK enum err crypt_open(const uint8_t key[static CRYPT_SEAL_KEY_SIZE], const char *context,
                               const uint8_t *sealed, size_t size, uint8_t *ret);

/* Castagnoli's (RFC 3720); start with 0, and go on with what the bytes before gave. */
uint32_t crypt_crc32c(uint32_t seed, const void *data, size_t size);

/* base64url without padding (RFC 4648 section 5). ret needs BASE64URL_SIZE(size) bytes with the
 * NUL. */
#define BASE64URL_SIZE(size) (((size)*4 + 2) / 3 + 1)
void base64url_encode(const void *data, size_t size, char *ret);
/* Only the spelling that base64url_encode writes. ERR_INVALID: another, or more than *ret_size
 * bytes; ret and ret_size are untouched. */
MUST_CHECK enum err base64url_decode(const char *text, void *ret, size_t *ret_size);

/* base64 with its padding (RFC 4648 section 4), of at most BASE64_MAX bytes. */
#define BASE64_MAX        64 /* a signature */
#define BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)
void base64_encode(const void *data, size_t size, char *ret);
/* Of exactly size bytes, in the one spelling there is. ERR_INVALID; ret is untouched. */
MUST_CHECK enum err base64_decode(const char *text, void *ret, size_t size);

void hex_encode(const void *data, size_t size, char *ret); /* lower case; 2 * size + 1 bytes */
/* Either case. ERR_INVALID: not the digits of exactly size bytes; ret is untouched. */
MUST_CHECK enum err hex_decode(const char *text, void *ret, size_t size);

#endif
