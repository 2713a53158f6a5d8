/* A key's value in the cache: fingerprint, then the status in three digits ("000" while it runs),
 * then the body. */
#include "idempotency.h"

#include <stdio.h>
#include <string.h>

#define STATUS_SIZE 3
#define HEAD_SIZE   (SHA256_SIZE + STATUS_SIZE)

static void make_key(const char *user_id, const char *key, char ret[static 96])
{
    uint8_t hash[SHA256_SIZE];
    char text[64 + IDEMPOTENCY_KEY_MAX], hex[2 * SHA256_SIZE + 1];
    int size = snprintf(text, sizeof text, "%s:%s", user_id, key);
    crypt_sha256(text, (size_t)size, hash);
    hex_encode(hash, sizeof hash, hex);
    (void)snprintf(ret, 96, "idempotency:%s", hex);
}

static void add_head(const struct idempotency *i, int status, struct buf *out)
{
    (void)buf_add(out, i->fingerprint, SHA256_SIZE);
    (void)buf_add_format(out, "%03d", status);
}

/* What stands there already. */
static enum err look_up(struct cache *cache, const struct idempotency *i, int *ret_status,
                        struct buf *ret_body)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    enum err e = cache_get(cache, i->key, &value);
    if (e == ERR_NOT_FOUND) return ERR_CONFLICT; /* it ended this very moment: try again */
    if (e || value.size < HEAD_SIZE) return ERR_UNAVAILABLE;
    if (memcmp(value.data, i->fingerprint, SHA256_SIZE) != 0) return ERR_PRECONDITION;
    const char *digits = value.data + SHA256_SIZE;
    int status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    if (status == 0) return ERR_CONFLICT;
    *ret_status = status;
    return buf_add(ret_body, value.data + HEAD_SIZE, value.size - HEAD_SIZE) ? ERR_UNAVAILABLE
                                                                             : ERR_EXISTS;
}

enum err idempotency_begin(struct cache *cache, const char *user_id, const char *key,
                           const uint8_t fingerprint[static SHA256_SIZE], struct idempotency *ret,
                           int *ret_status, struct buf *ret_body)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    make_key(user_id, key, ret->key);
    memcpy(ret->fingerprint, fingerprint, SHA256_SIZE);
    add_head(ret, 0, &value);
    enum err e = cache_add(cache, ret->key, value.data, value.size, IDEMPOTENCY_RUNNING_MS);
    ret->claimed = e == OK;
    if (e == ERR_EXISTS) return look_up(cache, ret, ret_status, ret_body);
    return e ? ERR_UNAVAILABLE : OK;
}

void idempotency_end(struct cache *cache, const struct idempotency *i, int status, const char *body,
                     size_t size)
{
    if (!i->claimed) return;
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    add_head(i, status, &value);
    (void)buf_add(&value, body, size);
    /* If the cache goes away now the claim runs out by itself. */
    if (status >= 500 || value.error)
        (void)!cache_delete(cache, i->key);
    else
        (void)!cache_set(cache, i->key, value.data, value.size, IDEMPOTENCY_KEPT_MS);
}
