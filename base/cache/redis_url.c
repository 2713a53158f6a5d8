/* Takes a Redis URL apart. */
#include "base/cache/redis_url.h"

#include <string.h>

#define NO_HOST "a redis URL needs a host: redis://host:6379/0"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Copies [from, to) and decodes %xx. ERR_INVALID: too long, a bad escape, or a NUL. */
static enum err decode(const char *from, const char *to, char ret[static REDIS_TEXT_MAX + 1])
{
    size_t size = 0;
    for (; from < to; from++) {
        int c = (unsigned char)*from;
        if (c == '%') {
            int high = to - from > 2 ? hex_digit(from[1]) : -1;
            int low = to - from > 2 ? hex_digit(from[2]) : -1;
            if (high < 0 || low < 0) return ERR_INVALID;
            c = high << 4 | low;
            from += 2;
        }
        if (c == 0 || size == REDIS_TEXT_MAX) return ERR_INVALID;
        ret[size++] = (char)c;
    }
    ret[size] = 0;
    return OK;
}

static enum err number(const char *from, const char *to, int max, int *ret)
{
    int value = 0;
    if (from == to) return ERR_INVALID;
    for (; from < to; from++) {
        if (*from < '0' || *from > '9') return ERR_INVALID;
        value = 10 * value + (*from - '0');
        if (value > max) return ERR_INVALID;
    }
    *ret = value;
    return OK;
}

static enum err parse_login(const char *from, const char *to, struct redis_url *u,
                            struct err_detail *detail)
{
    const char *colon = memchr(from, ':', (size_t)(to - from));
    if (!colon || decode(from, colon, u->user) || decode(colon + 1, to, u->password))
        return err_set(
            detail, ERR_INVALID,
            "before the @ of a redis URL stands user:password or :password, with special "
            "characters as %%xx");
    return OK;
}

static enum err parse_host(const char *from, const char *to, struct redis_url *u,
                           struct err_detail *detail)
{
    const char *end = NULL, *port = NULL;
    if (from >= to) return err_set(detail, ERR_INVALID, NO_HOST);
    if (*from == '[') {
        from++;
        end = memchr(from, ']', (size_t)(to - from));
        port = end ? end + 1 : NULL;
    } else {
        end = memchr(from, ':', (size_t)(to - from));
        if (!end) end = to;
        port = end;
    }
    if (!end || end == from || decode(from, end, u->host))
        return err_set(detail, ERR_INVALID, NO_HOST);
    if (port == to) return OK;
    if (*port != ':' || number(port + 1, to, 65535, &u->port) || u->port == 0)
        return err_set(detail, ERR_INVALID, "the port of a redis URL is a number from 1 to 65535");
    return OK;
}

enum err redis_url_parse(const char *url, struct redis_url *ret, struct err_detail *detail)
{
    struct redis_url u = {.port = REDIS_PORT};
    if (strncmp(url, REDIS_SCHEME, sizeof REDIS_SCHEME - 1) != 0)
        return err_set(detail, ERR_INVALID, "a redis URL starts with " REDIS_SCHEME);
    const char *from = url + sizeof REDIS_SCHEME - 1, *end = from + strlen(from);
    const char *slash = memchr(from, '/', (size_t)(end - from));
    const char *to = slash ? slash : end;

    const char *at = memrchr(from, '@', (size_t)(to - from));
    enum err e = at ? parse_login(from, at, &u, detail) : OK;
    if (!e) e = parse_host(at ? at + 1 : from, to, &u, detail);
    if (e) return e;
    if (slash && slash + 1 < end && number(slash + 1, end, REDIS_DB_MAX, &u.db))
        return err_set(detail, ERR_INVALID, "the database of a redis URL is a number from 0 to %d",
                       REDIS_DB_MAX);
    *ret = u;
    return OK;
}
