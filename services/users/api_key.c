/* The rules of api_key.h. */
#include "api_key.h"

#include "base/network.h"

#include <stdio.h>
#include <string.h>

_Static_assert(API_KEY_NETWORKS_MAX <= NETWORKS_MAX, "a key's networks are a list that is read");
_Static_assert(API_KEY_TIER_MAX < sizeof((struct principal *)0)->tier, "a tier travels");

enum err api_key_set_networks(struct api_key *k, char *const *networks, size_t count,
                              size_t *ret_item, struct err_detail *detail)
{
    char text[API_KEY_NETWORKS_SIZE] = "";
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        struct networks parsed = {0};
        *ret_item = i;
        if (i == API_KEY_NETWORKS_MAX || strlen(networks[i]) > API_KEY_NETWORK_MAX)
            return err_set(detail, ERR_INVALID, "an address or network, as 203.0.113.0/24");
        enum err e = networks_parse(networks[i], &parsed, detail);
        if (e) return ERR_INVALID;
        if (parsed.count != 1)
            return err_set(detail, ERR_INVALID, "one address or network, as 203.0.113.0/24");
        size +=
            (size_t)snprintf(text + size, sizeof text - size, "%s%s", i ? "," : "", networks[i]);
    }
    memcpy(k->networks, text, size + 1);
    return OK;
}

enum err api_key_set_tier(struct api_key *k, const char *tier)
{
    size_t size = strlen(tier);
    if (size > API_KEY_TIER_MAX || strspn(tier, "abcdefghijklmnopqrstuvwxyz0123456789") != size)
        return ERR_INVALID;
    memcpy(k->tier, tier, size + 1);
    return OK;
}

/* A key of its own for this, made of the platform's. */
static void seal_key(const struct principal_key *platform, uint8_t ret[static CRYPT_SEAL_KEY_SIZE])
{
    static const char what[] = "api key secrets";
    _Static_assert(CRYPT_SEAL_KEY_SIZE == SHA256_SIZE, "a MAC is a key");
    crypt_hmac_sha256(platform->bytes, sizeof platform->bytes, what, sizeof what - 1, ret);
}

void api_key_make_secret(struct api_key *k, const struct principal_key *platform,
                         char ret[static API_KEY_SECRET_SIZE + 1])
{
    uint8_t key[CRYPT_SEAL_KEY_SIZE], bytes[API_KEY_SECRET_SIZE / 2];
    crypt_random(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, ret);
    seal_key(platform, key);
    crypt_seal(key, k->key_id, ret, API_KEY_SECRET_SIZE, k->verifier);
    k->verifier_size = API_KEY_SECRET_SIZE + CRYPT_SEAL_SIZE;
    explicit_bzero(key, sizeof key);
    explicit_bzero(bytes, sizeof bytes);
}

enum err api_key_open_secret(const struct api_key *k, const struct principal_key *platform,
                             char ret[static API_KEY_SECRET_SIZE + 1])
{
    uint8_t key[CRYPT_SEAL_KEY_SIZE];
    if (k->verifier_size != API_KEY_SECRET_SIZE + CRYPT_SEAL_SIZE) return ERR_CORRUPT;
    seal_key(platform, key);
    enum err e = crypt_open(key, k->key_id, k->verifier, k->verifier_size, (uint8_t *)ret);
    explicit_bzero(key, sizeof key);
    ret[e ? 0 : API_KEY_SECRET_SIZE] = 0;
    return e;
}
