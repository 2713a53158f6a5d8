/*
 * A principal as text: "2.<role>.<user>.<session>.<permissions>.<key>.<tier>.<expires>.<mac>",
 * numbers in hex, the mac HMAC-SHA256 over all before its dot, base64url.
 */
#include "base/crypt.h"
#include "base/rpc/rpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC_TEXT_SIZE BASE64URL_SIZE(SHA256_SIZE)

struct principal principal_guest(void)
{
    return (struct principal){.role = ROLE_GUEST};
}

struct principal principal_service(const char *part)
{
    struct principal p = {.role = ROLE_SERVICE, .permissions = UINT64_MAX};
    (void)snprintf(p.user_id, sizeof p.user_id, "%s", part);
    return p;
}

/* Ids and part names: nothing that could be read as another field. */
static bool is_name(const char *text)
{
    static const char allowed[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
    return text[strspn(text, allowed)] == 0;
}

static void sign_text(const char *text, size_t size, const struct principal_key *key,
                      char ret[static MAC_TEXT_SIZE])
{
    uint8_t mac[SHA256_SIZE];
    crypt_hmac_sha256(key->bytes, sizeof key->bytes, text, size, mac);
    base64url_encode(mac, sizeof mac, ret);
}

void principal_sign(const struct principal *p, const struct principal_key *key, int64_t wall_ms,
                    char ret[static PRINCIPAL_TEXT_MAX])
{
    CHECK(is_name(p->user_id) && is_name(p->session_id) && is_name(p->key_id) && is_name(p->tier));
    int size = snprintf(ret, PRINCIPAL_TEXT_MAX, "2.%x.%s.%s.%" PRIx64 ".%s.%s.%" PRIx64,
                        (unsigned)p->role, p->user_id, p->session_id, p->permissions, p->key_id,
                        p->tier, (uint64_t)(wall_ms + PRINCIPAL_VALID_MS));
    CHECK(size > 0 && (size_t)size + 1 + MAC_TEXT_SIZE <= PRINCIPAL_TEXT_MAX);
    char mac[MAC_TEXT_SIZE];
    sign_text(ret, (size_t)size, key, mac);
    ret[size] = '.';
    memcpy(ret + size + 1, mac, MAC_TEXT_SIZE);
}

/* The text up to the next dot, which it takes along. */
static bool next_part(const char **text, char *ret, size_t ret_size)
{
    const char *dot = strchr(*text, '.');
    if (!dot || (size_t)(dot - *text) >= ret_size) return false;
    memcpy(ret, *text, (size_t)(dot - *text));
    ret[dot - *text] = 0;
    *text = dot + 1;
    return true;
}

static bool next_number(const char **text, uint64_t *ret)
{
    char part[17];
    if (!next_part(text, part, sizeof part) || !part[0]) return false;
    if (part[strspn(part, "0123456789abcdef")]) return false;
    *ret = strtoull(part, NULL, 16); /* at most 16 digits: it fits */
    return true;
}

/* Only what has been signed comes here: what it cannot read was signed by another version. */
static enum err parse(const char *text, int64_t wall_ms, struct principal *ret)
{
    struct principal p = {0};
    uint64_t version, role, expires;
    bool readable = next_number(&text, &version) && version == 2 && next_number(&text, &role) &&
                    role <= ROLE_SERVICE && next_part(&text, p.user_id, sizeof p.user_id) &&
                    next_part(&text, p.session_id, sizeof p.session_id) &&
                    next_number(&text, &p.permissions) &&
                    next_part(&text, p.key_id, sizeof p.key_id) &&
                    next_part(&text, p.tier, sizeof p.tier) && next_number(&text, &expires);
    if (!readable || expires > INT64_MAX || (int64_t)expires < wall_ms) return ERR_UNAUTHENTICATED;
    p.role = (enum role)role;
    *ret = p;
    return OK;
}

enum err principal_verify(const char *text, const struct principal_key *key, int64_t wall_ms,
                          struct principal *ret)
{
    const char *dot = strrchr(text, '.');
    char mac[MAC_TEXT_SIZE];
    if (!dot || strlen(dot + 1) != MAC_TEXT_SIZE - 1) return ERR_UNAUTHENTICATED;
    sign_text(text, (size_t)(dot - text), key, mac);
    if (!crypt_equal(mac, dot + 1, MAC_TEXT_SIZE - 1)) return ERR_UNAUTHENTICATED;
    return parse(text, wall_ms, ret);
}
