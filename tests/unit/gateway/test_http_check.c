/* What a request may look like, table by table; whole heads byte by byte are tested from outside.
 */
#include "support/unit.h"

#include "support/gateway/request.h"

#include <stdio.h>
#include <stdlib.h>

static void release(struct request *r)
{
    buf_release(&r->exchange.headers);
}

/* ---- decoding ---- */

static void escapes_are_decoded_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *decoded; /* NULL: refused */
        bool plus;
    } table[] = {
        {"", "", false},         {"abc", "abc", false},
        {"%41%62", "Ab", false}, {"%c3%A9", "\xc3\xa9", false},
        {"a+b", "a+b", false},   {"a+b", "a b", true},
        {"%2B", "+", true},      {"%", NULL, false},
        {"%4", NULL, false},     {"a%", NULL, false},
        {"%4g", NULL, false},    {"%g4", NULL, false},
        {"%%41", NULL, false},   {"% 41", NULL, false},
        {"%00", NULL, false},    {"a%00b", NULL, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char out[16];
        bool good =
            http_decode(table[i].text, strlen(table[i].text), table[i].plus, out, sizeof out);
        assert_int_equal(good, table[i].decoded != NULL);
        if (good) assert_string_equal(out, table[i].decoded);
    }
}

static void decoding_stops_where_the_room_ends(void **state)
{
    (void)state;
    char out[4];
    assert_true(http_decode("abc", 3, false, out, sizeof out));
    assert_true(http_decode("%61bc", 5, false, out, sizeof out));
    assert_false(http_decode("abcd", 4, false, out, sizeof out));
}

/* ---- paths ---- */

static void good_paths_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *path;
    } table[] = {
        {"/", "/"},
        {"/api/v1/markets", "/api/v1/markets"},
        {"/a%20b", "/a b"},
        {"/%C3%A9", "/\xc3\xa9"},
        {"/...", "/..."},
        {"/..a/.b/c.", "/..a/.b/c."},
        {"/a.b/..c", "/a.b/..c"},
        {"//", "//"},
        {"/%25%32%66", "/%2f"}, /* decoded once only */
        {"/~'()*!$&,;=:@", "/~'()*!$&,;=:@"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct request r;
        const char *why = NULL;
        request_init(&r);
        request_add(&r, "Host", "x");
        r.info.request_uri = table[i].raw;
        assert_int_equal(request_check(&r, &why), 0);
        assert_string_equal(http_path(&r.exchange), table[i].path);
        release(&r);
    }
}

static void bad_paths_are_refused_and_say_why(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",           "*",       "x",     "http://x/", "/%",        "/%zz",     "/%00",
        "/%01",       "/%0a",    "/%7f",  "/%2f",      "/a%2Fb",    "/%5C",     "/\\",
        "/#",         "/ ",      "/\x01", "/\x7f",     "/\xc3\xa9", "/%c0%af",  "/%ff",
        "/%ed%a0%80", "/.",      "/..",   "/a/.",      "/a/..",     "/../a",    "/./a",
        "/a/./b",     "/a/../b", "/%2e",  "/%2e%2e/a", "/a/.%2E",   "/a/%2e/b",
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct request r;
        const char *why = NULL;
        request_init(&r);
        request_add(&r, "Host", "x");
        r.info.request_uri = table[i];
        if (request_check(&r, &why) != 400) fail_msg("%s is taken", table[i]);
        assert_true(why && why[0]);
        assert_string_equal(http_path(&r.exchange), "/"); /* nothing of it gets any further */
        release(&r);
    }
}

static void a_path_of_2048_bytes_is_the_longest(void **state)
{
    (void)state;
    char path[HTTP_PATH_MAX + 2];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    for (int more = 0; more <= 1; more++) {
        struct request r;
        const char *why = NULL;
        request_init(&r);
        request_add(&r, "Host", "x");
        path[HTTP_PATH_MAX + more] = 0;
        r.info.request_uri = path;
        assert_int_equal(request_check(&r, &why), more ? 414 : 0);
        path[HTTP_PATH_MAX + more] = 'a';
        release(&r);
    }
}

/* ---- headers and framing ---- */

struct framing {
    int status;
    int64_t body_size;
    const char *version;
    const char *headers[7]; /* name, value, ... */
};

static void framing_is_clear_or_refused(void **state)
{
    (void)state;
    static const struct framing table[] = {
        {0, 0, "1.1", {"Host", "x"}},
        {0, 0, "1.0", {NULL}},
        {0, 5, "1.1", {"Host", "x", "Content-Length", "5"}},
        {0, 5, "1.0", {"content-length", "5"}},
        {0, 0, "1.1", {"Host", "x", "Content-Length", "0"}},
        {0, 5, "1.1", {"Host", "x", "Content-Length", "000000000005"}},
        {0, 999999999999, "1.1", {"Host", "x", "Content-Length", "999999999999"}},
        {0, -1, "1.1", {"Host", "x", "transfer-encoding", "Chunked"}},
        {0, 5, "1.1", {"Host", "x", "Content-Length", "5", "Expect", "100-Continue"}},
        {400, 0, "1.1", {NULL}},
        {400, 0, "1.1", {"Host", "x", "host", "x"}},
        {400, 0, "1.0", {"Host", "x", "host", "x"}},
        {400, 0, "1.1", {"Host", "x", "Content-Length", ""}},
        {400, 0, "1.1", {"Host", "x", "Content-Length", "1000000000000"}},
        {400, 0, "1.1", {"Host", "x", "Content-Length", "-1"}},
        {400, 0, "1.1", {"Host", "x", "Content-Length", "5 "}},
        {400, 0, "1.1", {"Host", "x", "Content-Length", "5,5"}},
        {400, 0, "1.1", {"Host", "x", "Content-Length", "5", "Content-Length", "5"}},
        {400, 0, "1.1", {"Host", "x", "Content-Length", "5", "Transfer-Encoding", "chunked"}},
        {400, 0, "1.1", {"Host", "x", "Transfer-Encoding", "chunked", "transfer-encoding", "x"}},
        {400, 0, "1.0", {"Host", "x", "Transfer-Encoding", "chunked"}},
        {501, 0, "1.1", {"Host", "x", "Transfer-Encoding", "gzip"}},
        {501, 0, "1.1", {"Host", "x", "Transfer-Encoding", "gzip, chunked"}},
        {501, 0, "1.1", {"Host", "x", "Transfer-Encoding", ""}},
        {417, 0, "1.1", {"Host", "x", "Expect", "200-ok"}},
        {400, 0, "1.1", {"Host", "x", "Cookie", "a=b", "Cookie", "c=d"}},
        {400, 0, "1.1", {"Host", "x", "Authorization", "a", "authorization", "a"}},
        {400, 0, "1.1", {"Host", "x", "X-API-KEY", "a", "x-api-key", "b"}},
        {400, 0, "1.1", {"Host", "x", "X-API-TIMESTAMP", "1", "X-API-TIMESTAMP", "2"}},
        {400, 0, "1.1", {"Host", "x", "X-API-RECV-WINDOW", "1", "X-API-RECV-WINDOW", "2"}},
        {400, 0, "1.1", {"Host", "x", "X-API-SIGNATURE", "a", "X-API-SIGNATURE", "b"}},
        {0, 0, "1.1", {"Host", "x", "Accept", "a", "Accept", "b"}},
        {400, 0, "1.1", {"Host", "x", "", "a"}},
        {400, 0, "1.1", {"Host", "x", "a b", "a"}},
        {400, 0, "1.1", {"Host", "x", "a:", "a"}},
        {400, 0, "1.1", {"Host", "x", "\xc3\xa9", "a"}},
        {400, 0, "1.1", {"Host", "x", "a", "b\x01"}},
        {400, 0, "1.1", {"Host", "x", "a", "b\x7f"}},
        {0, 0, "1.1", {"Host", "x", "a", "b\t\xc3\xa9"}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct framing *f = &table[i];
        struct request r;
        const char *why = NULL;
        request_init(&r);
        r.info.http_version = f->version;
        for (size_t k = 0; f->headers[k]; k += 2)
            request_add(&r, f->headers[k], f->headers[k + 1]);
        int status = request_check(&r, &why);
        if (status != f->status) fail_msg("row %zu: %d (%s), not %d", i, status, why, f->status);
        if (!status) assert_int_equal(r.exchange.body_size, f->body_size);
        if (!status) assert_int_equal(r.exchange.body_read, f->body_size == 0);
        release(&r);
    }
}

static void the_64th_header_is_one_too_many(void **state)
{
    (void)state;
    for (int count = 63; count <= 64; count++) {
        struct request r;
        const char *why = NULL;
        request_init(&r);
        request_add(&r, "Host", "x");
        while (r.info.num_headers < count)
            request_add(&r, "A", "b");
        assert_int_equal(request_check(&r, &why), count == 63 ? 0 : 431);
        release(&r);
    }
}

static void HEAD_arrives_as_GET(void **state)
{
    (void)state;
    struct request r;
    const char *why = NULL;
    request_init(&r);
    request_add(&r, "Host", "x");
    r.info.request_method = "HEAD";
    assert_int_equal(request_check(&r, &why), 0);
    assert_string_equal(http_verb(&r.exchange), "GET");
    assert_true(r.exchange.head);
    release(&r);
}

static void a_trace_goes_on_and_a_bad_one_is_new(void **state)
{
    (void)state;
    static const char given[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (int bad = 0; bad <= 1; bad++) {
        struct request r;
        char id[33];
        request_init(&r);
        request_add(&r, "traceparent", bad ? "00-zz" : given);
        http_begin(&r.exchange);
        trace_id_format(http_trace(&r.exchange), id);
        assert_int_equal(strcmp(id, "0af7651916cd43dd8448eb211c80319c") == 0, !bad);
        assert_int_equal(strlen(http_request_id(&r.exchange)), 32);
        release(&r);
    }
}

/* ---- lines ---- */

static int check_lines(const char *head)
{
    size_t size = strlen(head);
    char *text = calloc(1, size + 8);
    struct request r;
    const char *why = NULL;
    request_init(&r);
    memcpy(text, head, size);
    int status = lax_parse(text, size, &r.info) ? http_check_lines(&r.info, &why) : -1;
    free(text);
    return status;
}

static void only_lines_that_end_in_CRLF_are_a_head(void **state)
{
    (void)state;
    static const struct {
        int status; /* -1: civetweb refuses it itself */
        const char *head;
    } table[] = {
        {0, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
        {0, "GET /?a=b?c HTTP/1.1\r\nHost: x\r\nA:b\r\nC:\r\nD:   e\r\n\r\n"},
        {0, "GET / HTTP/1.0\r\n\r\n"},
        {0, "GET / HTTP/1.1\r\nHost: x\r\n\r\n body"},
        {400, "GET / HTTP/1.1\nHost: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\n\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\n A: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: x\r\n\xc3\xa9: b\r\nContent-Length: 5\r\n\r\n"},
        {0, "GET / HTTP/1.0\r\n:x\r\nContent-Length: 5\r\n\r\n"}, /* the one answer comes, then the
                                                                     end */
        {400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost   :x\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET /  HTTP/1.1\r\nHost: x\r\n\r\n"},
        {-1, "GET / HTTP/1.1 \r\nHost: x\r\n\r\n"},
        {-1, "GET / HTTP/1.1\r\nHost\r\n\r\n"},
        {-1, "GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n"},
        {-1, "GET / HTTP/1.1\r\nHost: x\r\n"},
        {-1, "GET /\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (check_lines(table[i].head) != table[i].status)
            fail_msg("%d, not %d: %s", check_lines(table[i].head), table[i].status, table[i].head);
}

static void a_head_of_16_KiB_is_the_largest(void **state)
{
    (void)state;
    static const char begin[] = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
    for (int more = 0; more <= 1; more++) {
        size_t size = HTTP_HEAD_MAX + (size_t)more;
        char *head = calloc(1, size + 1);
        memset(head, 'a', size);
        memcpy(head, begin, sizeof begin - 1);
        memcpy(head + size - 4, "\r\n\r\n", 4);
        assert_int_equal(check_lines(head), more ? 431 : 0);
        free(head);
    }
}

/* ---- queries and cookies ---- */

static enum err note(void *arg, const char *name, const char *value)
{
    struct buf *out = arg;
    (void)buf_add_format(out, "[%s=%s]", name, value);
    return strcmp(name, "stop") == 0 ? ERR_DENIED : OK;
}

static void a_query_is_visited_in_order_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        enum err e;
        const char *seen;
    } table[] = {
        {NULL, OK, ""},
        {"", OK, ""},
        {"a=1", OK, "[a=1]"},
        {"a=1&b=2", OK, "[a=1][b=2]"},
        {"a", OK, "[a=]"},
        {"a=", OK, "[a=]"},
        {"&&a=1&", OK, "[a=1]"},
        {"a=b=c", OK, "[a=b=c]"},
        {"a=1?b", OK, "[a=1?b]"},
        {"a%20b=%26+x", OK, "[a b=& x]"},
        {"stop=1&b=2", ERR_DENIED, "[stop=1]"},
        {"=1", ERR_INVALID, ""},
        {"a=1&=2", ERR_INVALID, "[a=1]"},
        {"a=%", ERR_INVALID, ""},
        {"a=%00", ERR_INVALID, ""},
        {"a=%ff", ERR_INVALID, ""},
        {"%ff=a", ERR_INVALID, ""},
        {"a=1&a=2", ERR_INVALID, "[a=1]"},
        {"a=1&%61=2", ERR_INVALID, "[a=1]"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct request r;
        AUTO_BUF struct buf seen;
        buf_init(&seen, 1000);
        request_init(&r);
        r.info.query_string = table[i].query;
        assert_err(http_query(&r.exchange, note, &seen), table[i].e);
        assert_string_equal(seen.data, table[i].seen);
    }
}

static void a_query_of_32_parameters_is_the_longest(void **state)
{
    (void)state;
    AUTO_BUF struct buf query, seen;
    buf_init(&query, 1000);
    buf_init(&seen, 1000);
    struct request r;
    request_init(&r);
    for (int i = 0; i < HTTP_QUERY_MAX; i++)
        (void)buf_add_format(&query, "&p%d", i);
    r.info.query_string = query.data;
    assert_ok(http_query(&r.exchange, note, &seen));
    (void)buf_add_text(&query, "&more");
    r.info.query_string = query.data;
    buf_clear(&seen);
    assert_err(http_query(&r.exchange, note, &seen), ERR_INVALID);
}

static void a_cookie_is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum err e;
        const char *value;
    } table[] = {
        {NULL, ERR_NOT_FOUND, ""},
        {"", ERR_NOT_FOUND, ""},
        {"name=v", OK, "v"},
        {"a=b; name=v", OK, "v"},
        {"a=b;name=v;c=d", OK, "v"},
        {"name=v=w", OK, "v=w"},
        {"name=", OK, ""},
        {"name=one; name=two", OK, "one"},
        {"names=v", ERR_NOT_FOUND, ""},
        {"myname=v", ERR_NOT_FOUND, ""},
        {"NAME=v", ERR_NOT_FOUND, ""},
        {"name", ERR_NOT_FOUND, ""},
        {"a=name=v", ERR_NOT_FOUND, ""},
        {";;; ;name=v", OK, "v"},
        {"name=1234567", OK, "1234567"},
        {"name=12345678", ERR_EXHAUSTED, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct request r;
        char value[8] = "";
        request_init(&r);
        if (table[i].header) request_add(&r, "cookie", table[i].header);
        assert_err(http_cookie(&r.exchange, "name", value, sizeof value), table[i].e);
        assert_string_equal(value, table[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded_or_refused),
        cmocka_unit_test(decoding_stops_where_the_room_ends),
        cmocka_unit_test(good_paths_are_decoded),
        cmocka_unit_test(bad_paths_are_refused_and_say_why),
        cmocka_unit_test(a_path_of_2048_bytes_is_the_longest),
        cmocka_unit_test(framing_is_clear_or_refused),
        cmocka_unit_test(the_64th_header_is_one_too_many),
        cmocka_unit_test(HEAD_arrives_as_GET),
        cmocka_unit_test(a_trace_goes_on_and_a_bad_one_is_new),
        cmocka_unit_test(only_lines_that_end_in_CRLF_are_a_head),
        cmocka_unit_test(a_head_of_16_KiB_is_the_largest),
        cmocka_unit_test(a_query_is_visited_in_order_or_refused),
        cmocka_unit_test(a_query_of_32_parameters_is_the_longest),
        cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
