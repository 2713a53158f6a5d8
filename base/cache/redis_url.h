/* "redis://[[user]:password@]host[:port][/db]", taken apart. Pure. */
#ifndef BASE_CACHE_REDIS_URL_H
#define BASE_CACHE_REDIS_URL_H

#include "base/err.h"

#define REDIS_SCHEME   "redis://"
#define REDIS_PORT     6379
#define REDIS_DB_MAX   16383
#define REDIS_TEXT_MAX 255 /* bytes of a host, user or password, decoded */

struct redis_url {
    char host[REDIS_TEXT_MAX + 1];     /* an IPv6 address without its brackets */
    char user[REDIS_TEXT_MAX + 1];     /* "": the default user */
    char password[REDIS_TEXT_MAX + 1]; /* "": none */
    int port, db;
};

/* ERR_INVALID: detail says what is wrong; it never repeats the URL, which has a password in it. */
MUST_CHECK enum err redis_url_parse(const char *url, struct redis_url *ret,
                                    struct err_detail *detail);

#endif
