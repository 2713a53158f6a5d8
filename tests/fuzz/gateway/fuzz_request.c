/*
 * A request's head that is accepted reads the same by the letter of RFC 9112: lines that end in
 * CRLF, every header seen, one way to tell where the body ends, and a path that is clean.
 */
#include "support/fuzz.h"

#include "base/utf8.h"
#include "support/gateway/request.h"

#include <stdlib.h>
#include <strings.h>

#define HEAD_MAX 4096

struct reading {
    int headers;
    unsigned lengths, encodings;
    int64_t length;
};

static bool is_named(const char *line, size_t name_size, const char *name)
{
    return name_size == strlen(name) && strncasecmp(line, name, name_size) == 0;
}

static void read_header(const char *line, size_t size, struct reading *ret)
{
    const char *colon = memchr(line, ':', size);
    CHECK(colon && colon > line);
    size_t name = (size_t)(colon - line);
    for (size_t i = 0; i < name; i++)
        CHECK(isgraph((unsigned char)line[i]));
    ret->headers++;
    if (is_named(line, name, "Transfer-Encoding")) ret->encodings++;
    if (!is_named(line, name, "Content-Length")) return;
    ret->lengths++;
    ret->length = strtoll(colon + 1, NULL, 10);
}

static const char *last_value_end(const struct mg_request_info *info)
{
    const char *value = info->http_headers[info->num_headers - 1].value;
    return value + strlen(value);
}

/* The head as it came, read line by line. What civetweb leaves no trace of is taken as said: the
 * two blanks that ended the request line. */
static struct reading read_strictly(char *head, size_t size, const char *wiped)
{
    size_t first_line = strcspn(head, "\r\n");
    CHECK(first_line + 2 < size && isspace((unsigned char)head[first_line + 1]));
    memcpy(head + first_line, "\r\n", 2);
    struct reading r = {0};
    const char *at = head, *end = head + size;
    for (bool first = true;; first = false) {
        size_t rest = strcspn(at, "\r\n");
        /* Two bare LFs pass if they are followed by what civetweb makes of CRLF, "\r\0" or "\r" and
         * an old NUL in the buffer. Then http_check_lines has made a NUL of that '\r', and nothing
         * that follows is a request or a body. */
        if (!first && end - at >= (ptrdiff_t)rest + 3 && memcmp(at + rest, "\n\n\r", 3) == 0 &&
            (end - at == (ptrdiff_t)rest + 3 || !at[rest + 3])) {
            CHECK(*wiped == 0);
            read_header(at, rest, &r);
            return r;
        }
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        CHECK(line_end);
        size_t line = (size_t)(line_end - at);
        CHECK(!memchr(at, '\r', line) && !memchr(at, '\n', line));
        if (line == 0) return r;
        if (!first) read_header(at, line, &r);
        at = line_end + 2;
    }
}

static void check_path(const char *path)
{
    size_t size = strlen(path);
    CHECK(path[0] == '/' && size <= HTTP_PATH_MAX && utf8_valid(path, size));
    for (const char *segment = path; segment; segment = strchr(segment, '/')) {
        size_t length = strcspn(++segment, "/");
        CHECK(!(length == 1 && segment[0] == '.'));
        CHECK(!(length == 2 && segment[0] == '.' && segment[1] == '.'));
    }
    for (; *path; path++)
        CHECK((unsigned char)*path >= ' ' && *path != 0x7f && *path != '\\');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > HEAD_MAX) return 0;
    struct request r;
    const char *why = NULL;
    char *head = calloc(1, size + 8), *target = NULL;
    CHECK(head);
    memcpy(head, data, size);
    request_init(&r);
    r.info.num_headers = 0;
    if (lax_parse(head, size, &r.info) && http_check_lines(&r.info, &why) == 0 &&
        request_check(&r, &why) == 0 && r.info.num_headers) {
        /* Blank lines before a request are skipped by civetweb, and end there. */
        size_t blank = (size_t)(r.info.request_method - head);
        char *again = calloc(1, size + 1);
        CHECK(again);
        memcpy(again, data, size);
        struct reading reading =
            read_strictly(again + blank, size - blank, last_value_end(&r.info) + 2);
        free(again);
        CHECK(reading.headers == r.info.num_headers && reading.headers <= HTTP_HEADERS_MAX);
        CHECK(reading.lengths + reading.encodings <= 1);
        if (reading.encodings) CHECK(r.exchange.body_size == -1);
        if (reading.lengths) CHECK(r.exchange.body_size == reading.length);
        if (!reading.lengths && !reading.encodings) CHECK(r.exchange.body_size == 0);
        check_path(http_path(&r.exchange));
        target = strdup(r.info.request_uri);
        CHECK(target && !strcasestr(target, "%2f") && !strcasestr(target, "%5c"));
    }
    buf_release(&r.exchange.headers);
    free(target);
    free(head);
    return 0;
}
