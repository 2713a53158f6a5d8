/*
 * OpenSSL behind a few functions that cannot fail: what makes them fail (no provider, no memory for
 * a context, no randomness) leaves nothing to do but stop. CRC-32C is in crc32c.c.
 */
#include "base/crypt.h"

#include "base/auto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

AUTO_DEFINE(EVP_MAC_CTX, EVP_MAC_CTX_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

#define SEAL_NONCE_SIZE 12
#define SEAL_TAG_SIZE   16
_Static_assert(SEAL_NONCE_SIZE + SEAL_TAG_SIZE == CRYPT_SEAL_SIZE, "what a seal adds");

/* Fetched once: a fetch per call costs more than the hash. They live as long as the process. */
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac_sha256; /* without a key: copied for every call */

static void fetch(void)
{
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    CHECK(sha256 && hmac);
    hmac_sha256 = EVP_MAC_CTX_new(hmac);
    CHECK(hmac_sha256 && EVP_MAC_CTX_set_params(hmac_sha256, parameters) == 1);
    EVP_MAC_free(hmac); /* the context holds it */
}

static void fetch_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, fetch) == 0);
}

void crypt_random(void *ret, size_t size)
{
    CHECK(size <= INT32_MAX && RAND_bytes(ret, (int)size) == 1);
}

void crypt_sha256(const void *data, size_t size, uint8_t ret[static SHA256_SIZE])
{
    fetch_once();
    CHECK(EVP_Digest(data, size, ret, NULL, sha256, NULL) == 1);
}

void crypt_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                       uint8_t ret[static SHA256_SIZE])
{
    fetch_once();
    AUTO(auto_EVP_MAC_CTX_free) EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(hmac_sha256);
    CHECK(mac);
    /* OpenSSL takes NULL for "the key set before"; an empty key is a key. */
    CHECK(EVP_MAC_init(mac, key ? key : (const void *)"", key_size, NULL) == 1);
    CHECK(EVP_MAC_update(mac, data, size) == 1);
    size_t written;
    CHECK(EVP_MAC_final(mac, ret, &written, SHA256_SIZE) == 1 && written == SHA256_SIZE);
}

bool crypt_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

bool crypt_ed25519_verify(const uint8_t key[static ED25519_KEY_SIZE], const void *data, size_t size,
                          const uint8_t signature[static ED25519_SIGNATURE_SIZE])
{
    AUTO(auto_EVP_PKEY_free)
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, ED25519_KEY_SIZE);
    AUTO(auto_EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(pkey && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1);
    return EVP_DigestVerify(context, signature, ED25519_SIGNATURE_SIZE, data, size) == 1;
}

/* ---- sealing: nonce, ciphertext, tag ---- */

static EVP_CIPHER_CTX *seal_begin(const uint8_t *key, const uint8_t *nonce, const char *context,
                                  int seal)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int written;
    CHECK(c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, seal) == 1);
    CHECK(EVP_CipherUpdate(c, NULL, &written, (const uint8_t *)context, (int)strlen(context)) == 1);
    return c;
}

void crypt_seal(const uint8_t key[static CRYPT_SEAL_KEY_SIZE], const char *context,
                const void *data, size_t size, uint8_t *ret)
{
    int written;
    uint8_t *sealed = ret + SEAL_NONCE_SIZE;
    CHECK(size <= INT32_MAX);
    crypt_random(ret, SEAL_NONCE_SIZE);
    AUTO(auto_EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *c = seal_begin(key, ret, context, 1);
    CHECK(EVP_CipherUpdate(c, sealed, &written, data, (int)size) == 1 && written == (int)size);
    CHECK(EVP_CipherFinal_ex(c, sealed + size, &written) == 1 && written == 0);
    CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE, sealed + size) == 1);
}

enum err crypt_open(const uint8_t key[static CRYPT_SEAL_KEY_SIZE], const char *context,
                    const uint8_t *sealed, size_t size, uint8_t *ret)
{
    int written;
    uint8_t tag[SEAL_TAG_SIZE];
    if (size < CRYPT_SEAL_SIZE || size > INT32_MAX) return ERR_CORRUPT;
    int data_size = (int)(size - CRYPT_SEAL_SIZE);
    memcpy(tag, sealed + size - SEAL_TAG_SIZE, sizeof tag);
    AUTO(auto_EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *c = seal_begin(key, sealed, context, 0);
    CHECK(EVP_CipherUpdate(c, ret, &written, sealed + SEAL_NONCE_SIZE, data_size) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE, tag) == 1);
    return EVP_CipherFinal_ex(c, ret + data_size, &written) == 1 ? OK : ERR_CORRUPT;
}

/* ---- texts ---- */

void base64url_encode(const void *data, size_t size, char *ret)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *at = data;
    for (; size >= 3; at += 3, size -= 3) {
        *ret++ = letters[at[0] >> 2];
        *ret++ = letters[(at[0] & 3) << 4 | at[1] >> 4];
        *ret++ = letters[(at[1] & 15) << 2 | at[2] >> 6];
        *ret++ = letters[at[2] & 63];
    }
    if (size) {
        *ret++ = letters[at[0] >> 2];
        *ret++ = letters[(at[0] & 3) << 4 | (size == 2 ? at[1] >> 4 : 0)];
        if (size == 2) *ret++ = letters[(at[1] & 15) << 2];
    }
    *ret = 0;
}

/* -1: not a letter of base64url. */
static int letter_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '-') return 62;
    return c == '_' ? 63 : -1;
}

enum err base64url_decode(const char *text, void *ret, size_t *ret_size)
{
    size_t letters = strlen(text);
    size_t size = letters / 4 * 3 + (letters % 4 ? letters % 4 - 1 : 0);
    if (letters % 4 == 1 || size > *ret_size) return ERR_INVALID;
    for (size_t i = 0; i < letters; i++)
        if (letter_value(text[i]) < 0) return ERR_INVALID;
    /* Bits that belong to no byte must be zero, or several texts would mean the same. */
    int unused = letters % 4 == 2 ? 15 : letters % 4 == 3 ? 3 : 0;
    if (unused && letter_value(text[letters - 1]) & unused) return ERR_INVALID;

    uint8_t *out = ret;
    unsigned bits = 0;
    int waiting = 0; /* how many of the bits wait to become a byte */
    for (size_t i = 0; i < letters; i++) {
        bits = bits << 6 | (unsigned)letter_value(text[i]);
        waiting += 6;
        if (waiting >= 8) *out++ = (uint8_t)(bits >> (waiting -= 8));
    }
    *ret_size = size;
    return OK;
}

void base64_encode(const void *data, size_t size, char *ret)
{
    CHECK(size <= BASE64_MAX);
    (void)EVP_EncodeBlock((uint8_t *)ret, data, (int)size);
}

enum err base64_decode(const char *text, void *ret, size_t size)
{
    uint8_t bytes[BASE64_MAX + 3];
    char again[BASE64_SIZE(BASE64_MAX)];
    size_t letters = BASE64_SIZE(size) - 1;
    CHECK(size <= BASE64_MAX);
    if (strlen(text) != letters ||
        EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)letters) != (int)(letters / 4 * 3))
        return ERR_INVALID;
    base64_encode(bytes, size, again); /* OpenSSL also reads other spellings of the same bytes */
    if (memcmp(again, text, letters) != 0) return ERR_INVALID;
    memcpy(ret, bytes, size);
    return OK;
}

void hex_encode(const void *data, size_t size, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *at = data;
    for (; size; at++, size--) {
        *ret++ = digits[*at >> 4];
        *ret++ = digits[*at & 15];
    }
    *ret = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err hex_decode(const char *text, void *ret, size_t size)
{
    if (strlen(text) != 2 * size) return ERR_INVALID;
    for (size_t i = 0; i < 2 * size; i++)
        if (hex_value(text[i]) < 0) return ERR_INVALID;
    uint8_t *out = ret;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
    return OK;
}
