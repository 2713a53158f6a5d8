/* JSON or not. */
#include "support/unit.h"

#include "media.h"

static void a_body_is_json_when_it_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool json;
    } table[] = {
        {"application/json", true},
        {"APPLICATION/Json", true},
        {"application/json; charset=utf-8", true},
        {" application/json ;charset=utf-8", true},
        {"application/json;", true},
        {NULL, false},
        {"", false},
        {"application/jsonx", false},
        {"application/jso", false},
        {"application/problem+json", false},
        {"text/json", false},
        {"x;application/json", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (media_is_json(table[i].type) != table[i].json) fail_msg("%s", table[i].type);
}

static void the_range_that_fits_best_decides(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool json;
    } table[] = {
        {NULL, true},
        {"", true},
        {" ", true},
        {"*/*", true},
        {"application/*", true},
        {"application/json", true},
        {"Application/JSON; q=0.5", true},
        {"text/html, application/json", true},
        {"text/html;level=1;q=0.4,*/*;q=0.1", true},
        {"application/json;q=1.000", true},
        {"application/json;q=0.001", true},
        {"*/*;q=0, application/json", true},
        {"application/json, */*;q=0", true},
        {"text/html", false},
        {"application/jsonp", false},
        {"application/xml, text/*", false},
        {"application/json;q=0", false},
        {"application/json ; q=0.00", false},
        {"*/*, application/json;q=0", false},
        {"*/*, application/*;q=0", false},
        {"*/*;q=0", false},
        {",,,", false},
        {";q=1", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (media_accepts(table[i].accept, "application/json") != table[i].json)
            fail_msg("%s", table[i].accept);
}

static void any_type_can_be_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type;
        bool fits;
    } table[] = {
        {"text/event-stream", "text/event-stream", true},
        {"text/*", "text/event-stream", true},
        {"application/json", "text/event-stream", false},
        {"application/*", "text/event-stream", false},
        {"text/event-strea", "text/event-stream", false},
        {"text/event-streams", "text/event-stream", false},
        {"tex/*", "text/event-stream", false},
        {"text/html", "text/html; charset=utf-8", true},
        {"text/html;charset=utf-16", "text/html; charset=utf-8", true},
        {"text/html;q=0, */*", "text/html; charset=utf-8", false},
        {"text/*;q=0, text/html;q=0.1", "text/html; charset=utf-8", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (media_accepts(table[i].accept, table[i].type) != table[i].fits)
            fail_msg("%s for %s", table[i].type, table[i].accept);
}

static void a_browser_names_html(void **state)
{
    (void)state;
    assert_true(media_names("text/html", "text/html"));
    assert_true(media_names("application/xml, Text/HTML;q=0.9, */*;q=0.8", "text/html"));
    assert_false(media_names("*/*", "text/html"));
    assert_false(media_names("text/*", "text/html"));
    assert_false(media_names("", "text/html"));
    assert_false(media_names(NULL, "text/html"));
}

static void only_identity_is_no_compression(void **state)
{
    (void)state;
    assert_true(media_is_plain(NULL));
    assert_true(media_is_plain("identity"));
    assert_true(media_is_plain("Identity"));
    assert_false(media_is_plain("gzip"));
    assert_false(media_is_plain("identity, gzip"));
    assert_false(media_is_plain(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_json_when_it_says_so),
        cmocka_unit_test(a_browser_names_html),
        cmocka_unit_test(the_range_that_fits_best_decides),
        cmocka_unit_test(any_type_can_be_asked_for),
        cmocka_unit_test(only_identity_is_no_compression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
