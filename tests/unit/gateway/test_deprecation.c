/* A method that will be gone says so with every answer, and is counted. */
#include "support/unit.h"

#include "answer.h"
#include "base/metrics.h"
#include "deprecation.h"
#include "exchange.h"

#include <string.h>

static const struct contract_method stays = {.name = "ends.Ends/Stays"};
static const struct contract_method goes = {
    .name = "ends.Ends/Goes",
    .deprecated = &(const struct contract_deprecation){
        .deprecation = "@1798761600",
        .sunset = "Thu, 01 Jul 2027 00:00:00 GMT",
        .link =
            "</docs/versioning>; rel=\"deprecation\", </api/v1/stays>; rel=\"successor-version\"",
        .json = "{\"since\":\"2027-01-01\",\"sunset\":\"2027-07-01\"}",
    }};

static uint64_t calls(const char *labels)
{
    return counter_value(metrics_counter("tradepost_gateway_deprecated_calls_total", "", labels));
}

static void its_headers_are_in_the_answer(void **state)
{
    (void)state;
    struct http_exchange x = {0};
    buf_init(&x.headers, HTTP_OWN_HEADERS_MAX);
    deprecation_tell(&x, &goes);
    assert_string_equal(x.headers.data, "Deprecation: @1798761600\r\n"
                                        "Sunset: Thu, 01 Jul 2027 00:00:00 GMT\r\n"
                                        "Link: </docs/versioning>; rel=\"deprecation\", "
                                        "</api/v1/stays>; rel=\"successor-version\"\r\n");
    buf_release(&x.headers);
}

static void its_notice_is_in_results_and_errors(void **state)
{
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    answer_result(&out, "7", deprecation_notice(&goes), "{}", 2);
    assert_string_equal(out.data, "{\"msgId\":\"7\",\"deprecated\":{\"since\":\"2027-01-01\","
                                  "\"sunset\":\"2027-07-01\"},\"ok\":true,\"result\":{}}");
    buf_clear(&out);
    struct rpc_status status = {.err = ERR_NOT_FOUND};
    answer_error(&out, "7", deprecation_notice(&goes), &status);
    assert_non_null(strstr(out.data, "\"deprecated\":{\"since\":\"2027-01-01\""));
    assert_non_null(strstr(out.data, "\"ok\":false"));
}

static void its_calls_are_counted_by_method_and_front(void **state)
{
    (void)state;
    static const char rest[] = "method=\"ends.Ends/Goes\",front=\"rest\"";
    static const char websocket[] = "method=\"ends.Ends/Goes\",front=\"websocket\"";
    uint64_t rest_before = calls(rest), websocket_before = calls(websocket);
    struct http_exchange x = {0};
    buf_init(&x.headers, HTTP_OWN_HEADERS_MAX);
    deprecation_tell(&x, &goes);
    for (int i = 0; i < 2; i++)
        assert_non_null(deprecation_notice(&goes));
    buf_release(&x.headers);
    assert_int_equal(calls(rest), rest_before + 1);
    assert_int_equal(calls(websocket), websocket_before + 2);
}

static void what_stays_says_nothing(void **state)
{
    (void)state;
    struct http_exchange x = {0};
    buf_init(&x.headers, HTTP_OWN_HEADERS_MAX);
    deprecation_tell(&x, &stays);
    assert_int_equal(x.headers.size, 0);
    assert_null(deprecation_notice(&stays));
    buf_release(&x.headers);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_headers_are_in_the_answer),
        cmocka_unit_test(its_notice_is_in_results_and_errors),
        cmocka_unit_test(its_calls_are_counted_by_method_and_front),
        cmocka_unit_test(what_stays_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
