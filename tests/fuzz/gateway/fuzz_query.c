/*
 * Queries and cookies. What is read from a query is clean text under different names, and written
 * with every byte escaped it is read as the same again; a cookie's value stands in its header.
 */
#include "support/fuzz.h"

#include "base/utf8.h"
#include "support/gateway/request.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 2000

static void check_text(const char *text)
{
    CHECK(utf8_valid(text, strlen(text)));
}

/* "name=value&", escaped throughout. */
static enum err write_again(void *arg, const char *name, const char *value)
{
    struct buf *out = arg;
    CHECK(name[0]);
    check_text(name);
    check_text(value);
    const char *const parts[] = {name, value};
    for (int i = 0; i < 2; i++) {
        for (const unsigned char *c = (const unsigned char *)parts[i]; *c; c++)
            (void)buf_add_format(out, "%%%02x", *c);
        (void)buf_add_char(out, i ? '&' : '=');
    }
    return OK;
}

static enum err read_query(char *text, struct buf *out)
{
    struct request r;
    request_init(&r);
    r.info.query_string = text;
    return http_query(&r.exchange, write_again, out);
}

static void check_query(char *query)
{
    AUTO_BUF struct buf once, twice;
    buf_init(&once, 4 * TEXT_MAX + 100);
    buf_init(&twice, 4 * TEXT_MAX + 100);
    if (read_query(query, &once)) return;
    CHECK(!once.error);
    CHECK(read_query(once.data, &twice) == OK);
    CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
}

static void check_cookie(const char *header)
{
    struct request r;
    char value[64], whole[80];
    request_init(&r);
    request_add(&r, "Cookie", header);
    if (http_cookie(&r.exchange, "name", value, sizeof value)) return;
    CHECK(!strchr(value, ';'));
    (void)snprintf(whole, sizeof whole, "name=%s", value);
    CHECK(strstr(header, whole));
}

/* A query, a NUL, and a Cookie header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) return 0;
    char *text = calloc(1, size + 2);
    CHECK(text);
    memcpy(text, data, size);
    size_t query = strlen(text);
    check_cookie(text + query + (query < size));
    check_query(text);
    free(text);
    return 0;
}
