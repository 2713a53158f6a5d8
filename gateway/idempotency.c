/*
 * A key's value in the cache: fingerprint, status in three digits ("000" while it runs), size of
 * the body in eight, and the body's first piece. Further pieces have keys of their own and are
 * written first: where the head is, all of it is.
 */
#include "idempotency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_SIZE  (SHA256_SIZE + 3 + 8)
#define FIRST_SIZE (CACHE_VALUE_MAX - HEAD_SIZE) /* bytes of the body beside the head */

static void make_key(const char *user_id, const char *key, char ret[static 96])
{
    uint8_t hash[SHA256_SIZE];
    char text[64 + IDEMPOTENCY_KEY_MAX], hex[2 * SHA256_SIZE + 1];
    int size = snprintf(text, sizeof text, "%s:%s", user_id, key);
    CHECK(size > 0 && size < (int)sizeof text);
    crypt_sha256(text, (size_t)size, hash);
    hex_encode(hash, sizeof hash, hex);
    (void)snprintf(ret, 96, "idempotency:%s", hex);
}

static void piece_key(const struct idempotency *i, unsigned piece, char ret[static 112])
{
    (void)snprintf(ret, 112, "%s:%u", i->key, piece);
}

static void add_head(const struct idempotency *i, int status, size_t size, struct buf *out)
{
    (void)buf_add(out, i->fingerprint, SHA256_SIZE);
    (void)buf_add_format(out, "%03d%08zu", status, size);
}

/* ---- a repeat ---- */

static enum err read_pieces(struct cache *cache, const struct idempotency *i, size_t size,
                            struct buf *body)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    for (unsigned piece = 1; body->size < size; piece++) {
        char key[112];
        piece_key(i, piece, key);
        if (cache_get(cache, key, &value) || buf_add(body, value.data, value.size))
            return ERR_UNAVAILABLE;
    }
    return body->size == size ? OK : ERR_UNAVAILABLE;
}

/* What stands there already. */
static enum err look_up(struct cache *cache, const struct idempotency *i, int *ret_status,
                        struct buf *ret_body)
{
    AUTO_BUF struct buf value;
    char digits[9] = "";
    buf_init(&value, CACHE_VALUE_MAX);
    enum err e = cache_get(cache, i->key, &value);
    if (e == ERR_NOT_FOUND) return ERR_CONFLICT; /* it ended this very moment: try again */
    if (e || value.size < HEAD_SIZE) return ERR_UNAVAILABLE;
    if (memcmp(value.data, i->fingerprint, SHA256_SIZE) != 0) return ERR_PRECONDITION;
    memcpy(digits, value.data + SHA256_SIZE, 3);
    int status = (int)strtol(digits, NULL, 10);
    if (status == 0) return ERR_CONFLICT;
    memcpy(digits, value.data + SHA256_SIZE + 3, 8);
    size_t size = strtoul(digits, NULL, 10);
    if (buf_add(ret_body, value.data + HEAD_SIZE, value.size - HEAD_SIZE) ||
        read_pieces(cache, i, size, ret_body))
        return ERR_UNAVAILABLE;
    *ret_status = status;
    return ERR_EXISTS;
}

enum err idempotency_begin(struct cache *cache, const char *user_id, const char *key,
                           const uint8_t fingerprint[static SHA256_SIZE], struct idempotency *ret,
                           int *ret_status, struct buf *ret_body)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    make_key(user_id, key, ret->key);
    memcpy(ret->fingerprint, fingerprint, SHA256_SIZE);
    add_head(ret, 0, 0, &value);
    enum err e = cache_add(cache, ret->key, value.data, value.size, IDEMPOTENCY_RUNNING_MS);
    ret->claimed = e == OK;
    if (e == ERR_EXISTS) return look_up(cache, ret, ret_status, ret_body);
    return e ? ERR_UNAVAILABLE : OK;
}

/* ---- the end ---- */

static bool is_decided(enum err e)
{
    return e == OK || e == ERR_NOT_FOUND || e == ERR_EXISTS || e == ERR_PRECONDITION;
}

static enum err keep(struct cache *cache, const struct idempotency *i, int status, const char *body,
                     size_t size)
{
    AUTO_BUF struct buf value;
    buf_init(&value, CACHE_VALUE_MAX);
    size_t first = size < FIRST_SIZE ? size : FIRST_SIZE;
    for (size_t at = first, piece = 1; at < size; piece++) {
        char key[112];
        size_t more = size - at < CACHE_VALUE_MAX ? size - at : CACHE_VALUE_MAX;
        piece_key(i, (unsigned)piece, key);
        enum err e = cache_set(cache, key, body + at, more, IDEMPOTENCY_KEPT_MS);
        if (e) return e;
        at += more;
    }
    add_head(i, status, size, &value);
    if (buf_add(&value, body, first)) return value.error;
    return cache_set(cache, i->key, value.data, value.size, IDEMPOTENCY_KEPT_MS);
}

/* If the cache goes away now, the claim runs out by itself. */
void idempotency_end(struct cache *cache, const struct idempotency *i, enum err e, int status,
                     const char *body, size_t size)
{
    if (!i->claimed) return;
    if (!is_decided(e))
        (void)!cache_delete(cache, i->key);
    else if (size <= IDEMPOTENCY_ANSWER_MAX)
        (void)!keep(cache, i, status, body, size);
}
