/* A sliding window per account or device. */
#include "guesses.h"

#include "base/crypt.h"

#include <stdio.h>
#include <string.h>

void guesses_of_account(const char *email_key, char ret[static GUESSES_WHO_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    crypt_sha256(email_key, strlen(email_key), hash);
    hex_encode(hash, sizeof hash, hex);
    (void)snprintf(ret, GUESSES_WHO_SIZE, "guesses:account:%s", hex);
}

void guesses_of_device(const char *session_id, char ret[static GUESSES_WHO_SIZE])
{
    (void)snprintf(ret, GUESSES_WHO_SIZE, "guesses:device:%s", session_id);
}

enum err guesses_left(struct cache *cache, const char *who, int64_t max, int64_t *ret_wait_ms)
{
    struct cache_window window;
    const struct cache_rule rule = {max, GUESSES_WINDOW_MS};
    if (cache_hits(cache, who, &rule, 0, &window) != ERR_EXHAUSTED) return OK;
    *ret_wait_ms = window.reset_ms;
    return ERR_EXHAUSTED;
}

void guesses_count(struct cache *cache, const char *who, int64_t max)
{
    struct cache_window window;
    (void)!cache_hit(cache, who, max, GUESSES_WINDOW_MS, &window);
}
