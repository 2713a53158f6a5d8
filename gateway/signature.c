/* The lines, and who signed them. */
#include "signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ID_SIZE      32
#define TIMESTAMP_DIGITS 15 /* beyond the year 30000 */
#define WINDOW_DIGITS    5
#define HMAC_TEXT_SIZE   (2 * SHA256_SIZE)

static enum err refuse(struct rpc_status *ret, const char *header, const char *reason)
{
    *ret = (struct rpc_status){.err = ERR_INVALID, .error_count = 1};
    (void)snprintf(ret->errors[0].field, sizeof ret->errors[0].field, "%s", header);
    (void)snprintf(ret->errors[0].reason, sizeof ret->errors[0].reason, "%s", reason);
    (void)snprintf(ret->message, sizeof ret->message, "%s: %s", header, reason);
    return ERR_INVALID;
}

/* Digits without a zero in front. */
static bool is_number(const char *text, size_t digits_max)
{
    size_t size = strlen(text);
    return size > 0 && size <= digits_max && text[0] != '0' && strspn(text, "0123456789") == size;
}

static bool is_hex(const char *text, size_t size)
{
    return strlen(text) == size && strspn(text, "0123456789abcdef") == size;
}

static const char *window_text(const struct signed_request *r)
{
    _Static_assert(SIGNATURE_WINDOW_MS == 5000, "as it is signed");
    return r->window ? r->window : "5000";
}

enum err signature_check(const struct signed_request *r, struct rpc_status *ret_status)
{
    uint8_t bytes[ED25519_SIGNATURE_SIZE];
    if (!is_hex(r->key_id, KEY_ID_SIZE))
        return refuse(ret_status, "X-API-KEY", "the id of a key, 32 lower-case hex digits");
    if (!r->timestamp || !is_number(r->timestamp, TIMESTAMP_DIGITS))
        return refuse(ret_status, "X-API-TIMESTAMP", "milliseconds since 1970");
    if (r->window && (!is_number(r->window, WINDOW_DIGITS) ||
                      strtol(r->window, NULL, 10) > SIGNATURE_WINDOW_MAX_MS))
        return refuse(ret_status, "X-API-RECV-WINDOW", "milliseconds, 1 to 60000");
    if (!r->signature ||
        (!is_hex(r->signature, HMAC_TEXT_SIZE) && base64_decode(r->signature, bytes, sizeof bytes)))
        return refuse(ret_status, "X-API-SIGNATURE",
                      "64 lower-case hex digits (HMAC-SHA256), or base64 of 64 bytes (Ed25519)");
    return OK;
}

enum err signature_time(const struct signed_request *r, int64_t now_ms, int64_t *ret_until_ms)
{
    int64_t sent_ms = strtoll(r->timestamp, NULL, 10);
    *ret_until_ms = sent_ms + strtoll(window_text(r), NULL, 10);
    return now_ms > *ret_until_ms || sent_ms > now_ms + SIGNATURE_AHEAD_MS ? ERR_RANGE : OK;
}

enum signature_form signature_form(const struct signed_request *r)
{
    return strlen(r->signature) == HMAC_TEXT_SIZE ? SIGNATURE_HMAC : SIGNATURE_ED25519;
}

enum err signature_text(const struct signed_request *r, struct buf *ret)
{
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    crypt_sha256(r->body, r->body_size, hash);
    hex_encode(hash, sizeof hash, hex);
    return buf_add_format(ret, "%s\n%s\n%s\n%s\n%s\n%s\n%s", r->method, r->path, r->query,
                          r->key_id, r->timestamp, window_text(r), hex);
}

static bool hmac_matches(const struct signed_request *r, const struct buf *text,
                         const struct signature_key *key)
{
    uint8_t mac[SHA256_SIZE];
    char hex[HMAC_TEXT_SIZE + 1];
    crypt_hmac_sha256(key->bytes, key->size, text->data, text->size, mac);
    hex_encode(mac, sizeof mac, hex);
    return crypt_equal(hex, r->signature, HMAC_TEXT_SIZE);
}

static bool ed25519_matches(const struct signed_request *r, const struct buf *text,
                            const struct signature_key *key)
{
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    return !base64_decode(r->signature, signature, sizeof signature) &&
           crypt_ed25519_verify(key->bytes, text->data, text->size, signature);
}

bool signature_matches(const struct signed_request *r, const struct buf *text,
                       const struct signature_key *key)
{
    _Static_assert(SIGNATURE_SECRET_MAX >= ED25519_KEY_SIZE, "either key fits");
    bool same = signature_form(r) == SIGNATURE_HMAC ? hmac_matches(r, text, key)
                                                    : ed25519_matches(r, text, key);
    return same && signature_form(r) == key->form;
}
