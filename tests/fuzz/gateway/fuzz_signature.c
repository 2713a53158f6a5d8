/*
 * Signed requests. What is taken has numbers that are their own spelling and a window within its
 * bounds; its lines come apart into the parts again; it is signed by nobody who has not the key;
 * and its true signature is taken.
 */
#include "support/fuzz.h"

#include "base/err.h"
#include "signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4000
#define PARTS    7

/* As the head of a request leaves them: no line feeds. */
static void clean(char *text)
{
    for (; (text = strpbrk(text, "\r\n")); text++)
        *text = ' ';
}

static void check_times(const struct signed_request *r)
{
    char again[32];
    int64_t sent_ms = strtoll(r->timestamp, NULL, 10), until_ms = 0;
    (void)snprintf(again, sizeof again, "%lld", (long long)sent_ms);
    CHECK(strcmp(again, r->timestamp) == 0);
    CHECK(!signature_time(r, sent_ms, &until_ms));
    CHECK(until_ms > sent_ms && until_ms - sent_ms <= SIGNATURE_WINDOW_MAX_MS);
    CHECK(!signature_time(r, until_ms, &until_ms));
    CHECK(signature_time(r, until_ms + 1, &until_ms) == ERR_RANGE);
}

static void check_lines(const struct signed_request *r, const struct buf *text)
{
    const char *const parts[] = {r->method, r->path, r->query, r->key_id, r->timestamp};
    const char *at = text->data;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t size = strlen(parts[i]);
        CHECK(strncmp(at, parts[i], size) == 0 && at[size] == '\n');
        at += size + 1;
    }
    at = strchr(at, '\n');
    CHECK(at && strlen(at + 1) == (size_t)2 * SHA256_SIZE && !strchr(at + 1, '\n'));
}

static void check_signatures(struct signed_request r, const struct buf *text)
{
    struct signature_key key = {.form = SIGNATURE_HMAC, .bytes = "secret", .size = 6};
    uint8_t mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    crypt_hmac_sha256(key.bytes, key.size, text->data, text->size, mac);
    hex_encode(mac, sizeof mac, hex);
    CHECK(!signature_matches(&r, text, &key) || strcmp(r.signature, hex) == 0);
    r.signature = hex;
    CHECK(signature_matches(&r, text, &key));
    key.form = SIGNATURE_ED25519;
    CHECK(!signature_matches(&r, text, &key));
}

static void check_request(const struct signed_request *r)
{
    struct rpc_status status = {0};
    AUTO_BUF struct buf text;
    buf_init(&text, SIGNATURE_TEXT_MAX);
    if (signature_check(r, &status)) {
        CHECK(status.err == ERR_INVALID && status.error_count == 1 && status.errors[0].field[0]);
        return;
    }
    CHECK(!signature_text(r, &text));
    check_times(r);
    check_lines(r, &text);
    check_signatures(*r, &text);
}

/* Texts that end with a NUL: method, path, query, key, timestamp, window, signature; the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *parts[PARTS];
    if (size > TEXT_MAX) return 0;
    char *text = calloc(1, size + PARTS + 1), *at = text;
    CHECK(text);
    memcpy(text, data, size);
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = at;
        clean(at);
        at += strlen(at) + (at < text + size);
    }
    const struct signed_request r = {.method = parts[0],
                                     .path = parts[1],
                                     .query = parts[2],
                                     .key_id = parts[3],
                                     .timestamp = parts[4],
                                     .window = parts[5][0] ? parts[5] : NULL,
                                     .signature = parts[6],
                                     .body = at,
                                     .body_size =
                                         at < text + size ? (size_t)(text + size - at) : 0};
    check_request(&r);
    free(text);
    return 0;
}
