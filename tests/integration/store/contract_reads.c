/* The contract: find, count, and the filters and sorts they take. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

/* o000 to o019: account a(n % 10), price n. */
static const struct {
    const char *filter; /* extended JSON; NULL: all */
    const char *sort;
    bool descending;
    unsigned limit;
    const char *ids;
} finds[] = {
    {NULL, NULL, false, 3, "o000 o001 o002"},
    {NULL, "_id", true, 2, "o019 o018"},
    {"{\"_id\": \"o007\"}", NULL, false, 9, "o007"},
    {"{\"_id\": \"none\"}", NULL, false, 9, ""},
    {"{\"account\": \"a3\"}", NULL, false, 9, "o003 o013"},
    {"{\"account\": \"a3\"}", "price", true, 9, "o013 o003"},
    {"{\"account\": \"A3\"}", NULL, false, 9, ""},
    {"{\"key\": \"o011\"}", NULL, false, 9, "o011"},
    {"{\"price\": {\"$gt\": {\"$numberLong\": \"17\"}}}", NULL, false, 9, "o018 o019"},
    {"{\"price\": {\"$gte\": {\"$numberLong\": \"18\"}}}", NULL, false, 9, "o018 o019"},
    {"{\"price\": {\"$lt\": {\"$numberLong\": \"2\"}}}", NULL, false, 9, "o000 o001"},
    {"{\"price\": {\"$lte\": {\"$numberLong\": \"1\"}}}", NULL, true, 9, "o001 o000"},
    {"{\"price\": {\"$gt\": {\"$numberLong\": \"4\"}, \"$lt\": {\"$numberLong\": \"7\"}}}", NULL,
     false, 9, "o005 o006"},
    {"{\"price\": {\"$gt\": {\"$numberLong\": \"7\"}, \"$lt\": {\"$numberLong\": \"7\"}}}", NULL,
     false, 9, ""},
    {"{\"_id\": {\"$gt\": \"o004\"}}", NULL, false, 2, "o005 o006"},
    {"{\"_id\": {\"$gt\": \"o004\", \"$lt\": \"o006\"}, \"account\": \"a5\"}", NULL, false, 2,
     "o005"},
    {"{\"_id\": {\"$gt\": \"o004\"}, \"account\": \"a3\"}", NULL, false, 2, "o013"},
    {"{\"account\": {\"$in\": [\"a1\", \"nobody\", \"a0\"]}}", NULL, false, 9,
     "o000 o001 o010 o011"},
    {"{\"account\": {\"$in\": [\"a1\"]}, \"price\": {\"$gt\": {\"$numberLong\": \"5\"}}}", NULL,
     false, 9, "o011"},
    {"{\"account\": {\"$in\": []}}", NULL, false, 9, ""},
    {"{\"_id\": {\"$in\": [\"o001\", \"o001\", \"o003\"]}}", "price", true, 9, "o003 o001"},
    {NULL, "account", false, 5, "o000 o010 o001 o011 o002"},
    {NULL, "account", true, 3, "o019 o009 o018"},
    {NULL, "price", false, 2, "o000 o001"},
};

static void a_find_returns_what_matches_in_order(void **state)
{
    struct fixture *f = *state;
    char ids[IDS_MAX];
    uint64_t count;

    insert_orders(f->store, 20);
    for (size_t n = 0; n < sizeof finds / sizeof *finds; n++) {
        AUTO_BSON bson_t *filter =
            finds[n].filter ? bson_new_from_json((const uint8_t *)finds[n].filter, -1, NULL) : NULL;
        const struct store_find find = {filter, finds[n].sort, finds[n].descending, finds[n].limit};
        find_ids(f->store, &find, ids);
        if (strcmp(ids, finds[n].ids) != 0)
            fail_msg("find %zu: \"%s\", not \"%s\"", n, ids, finds[n].ids);
        if (finds[n].limit < 9) continue;
        assert_ok(store_count(f->store, "orders", filter, &count));
        assert_int_equal(count, (strlen(ids) + 1) / 5);
    }
}

static const char *const refused[] = {
    "{\"quantity\": 1}",
    "{\"v\": 1}",
    "{\"account\": null}",
    "{\"account\": [\"a1\"]}",
    "{\"account\": {}}",
    "{\"account\": {\"a\": 1}}",
    "{\"account\": {\"$ne\": \"a1\"}}",
    "{\"account\": {\"$in\": \"a1\"}}",
    "{\"account\": {\"$in\": [null]}}",
    "{\"account\": {\"$gt\": {\"a\": 1}}}",
    "{\"account\": {\"$regex\": \"a\"}}",
    "{\"$or\": [{\"account\": \"a1\"}]}",
    "{\"account\": \"a\\u0000\"}",
    "{\"_id\": 7}",
    "{\"_id\": {\"$gt\": 7}}",
    "{\"_id\": {\"$in\": [7]}}",
};

static void a_filter_outside_of_the_contract_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_cursor *cursor = NULL;
    bson_t *found = NULL;
    uint64_t count = 99;

    for (size_t n = 0; n < sizeof refused / sizeof *refused; n++) {
        AUTO_BSON bson_t *filter = bson_new_from_json((const uint8_t *)refused[n], -1, NULL);
        const struct store_find find = {.filter = filter, .limit = 1};
        assert_non_null(filter);
        enum err e = store_find(f->store, "orders", &find, &cursor);
        if (e != ERR_INVALID) fail_msg("%s: %s", refused[n], err_name(e));
        assert_string_not_equal(store_reason(), "");
        assert_err(store_find_one(f->store, "orders", filter, &found), ERR_INVALID);
        assert_err(store_count(f->store, "orders", filter, &count), ERR_INVALID);
        assert_err(store_delete_many(f->store, "orders", filter, 1, &count), ERR_INVALID);
    }
    AUTO_BSON bson_t *twice = BCON_NEW("account", "a", "account", "b");
    assert_err(store_count(f->store, "orders", twice, &count), ERR_INVALID);
    assert_null(cursor);
    assert_null(found);
    assert_int_equal(count, 99);
}

static void a_filter_has_as_many_conditions_as_the_limit(void **state)
{
    static const char *const columns[] = {"price", "account", "key", "_id"};
    static const char *const words[] = {"$gte", "$lte", "$gt", "$lt"};
    struct fixture *f = *state;
    bson_t filter = BSON_INITIALIZER, one;
    uint64_t count = 99;

    insert_order(f->store, "o1", "o1", 1);
    for (unsigned n = 0; n < 4; n++) {
        bson_append_document_begin(&filter, columns[n], -1, &one);
        for (unsigned w = 0; w < 4; w++)
            if (n == 0)
                bson_append_int64(&one, words[w], -1, w == 2 ? 0 : w == 3 ? 2 : 1);
            else
                bson_append_utf8(&one, words[w], -1, w == 2 ? "a" : w == 3 ? "z" : "o1", -1);
        if (n == 3) bson_append_utf8(&one, "$lt", -1, "z", -1); /* the 17th */
        bson_append_document_end(&filter, &one);
        if (n < 3) continue;
        assert_err(store_count(f->store, "orders", &filter, &count), ERR_INVALID);
    }
    bson_reinit(&filter);
    for (unsigned n = 0; n < 4; n++) {
        bson_append_document_begin(&filter, columns[n], -1, &one);
        for (unsigned w = 0; w < 4; w++)
            if (n == 0)
                bson_append_int64(&one, words[w], -1, w == 2 ? 0 : w == 3 ? 2 : 1);
            else
                bson_append_utf8(&one, words[w], -1, w == 2 ? "a" : w == 3 ? "z" : "o1", -1);
        bson_append_document_end(&filter, &one);
    }
    assert_ok(store_count(f->store, "orders", &filter, &count));
    assert_int_equal(count, 1);
    bson_destroy(&filter);
}

static bson_t *in_of(unsigned count)
{
    bson_t *filter = bson_new();
    bson_t one, list;
    bson_append_document_begin(filter, "key", -1, &one);
    bson_append_array_begin(&one, "$in", -1, &list);
    for (unsigned n = 0; n < count; n++) {
        char key[16], id[16];
        (void)snprintf(key, sizeof key, "%u", n);
        (void)snprintf(id, sizeof id, "o%03u", n);
        bson_append_utf8(&list, key, -1, id, -1);
    }
    bson_append_array_end(&one, &list);
    bson_append_document_end(filter, &one);
    return filter;
}

static void an_in_has_as_many_values_as_the_limit(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *most = in_of(STORE_IN_MAX);
    AUTO_BSON bson_t *more = in_of(STORE_IN_MAX + 1);
    uint64_t count = 0;

    insert_orders(f->store, 7);
    assert_ok(store_count(f->store, "orders", most, &count));
    assert_int_equal(count, 7);
    assert_err(store_count(f->store, "orders", more, &count), ERR_INVALID);
}

static void a_page_is_as_long_as_the_limit_and_pages_follow_each_other(void **state)
{
    struct fixture *f = *state;
    const struct store_find none = {.limit = 0}, more = {.limit = STORE_FIND_MAX + 1};
    const struct store_find unknown = {.limit = 1, .sort = "quantity"};
    struct store_cursor *cursor = NULL;
    AUTO_BSON bson_t *filter = NULL;
    unsigned total = 0, pages = 0;

    assert_err(store_find(f->store, "orders", &none, &cursor), ERR_INVALID);
    assert_err(store_find(f->store, "orders", &more, &cursor), ERR_INVALID);
    assert_err(store_find(f->store, "orders", &unknown, &cursor), ERR_INVALID);
    assert_null(cursor);
    insert_orders(f->store, STORE_FIND_MAX + 100);
    for (unsigned count = STORE_FIND_MAX; count == STORE_FIND_MAX; pages++) {
        const struct store_find find = {.filter = filter, .limit = STORE_FIND_MAX};
        AUTO_CURSOR struct store_cursor *page = NULL;
        const bson_t *document;
        char last[64] = "";
        assert_ok(store_find(f->store, "orders", &find, &page));
        for (count = 0; !store_cursor_next(page, &document); count++)
            (void)snprintf(last, sizeof last, "%s", text_of(document, "_id"));
        total += count;
        bson_destroy(filter);
        filter = BCON_NEW("_id", "{", "$gt", BCON_UTF8(last), "}");
    }
    assert_int_equal(pages, 2);
    assert_int_equal(total, STORE_FIND_MAX + 100);
}

static void every_kind_of_indexed_value_compares(void **state)
{
    static const char *const filters[] = {
        "{\"text\": {\"$gte\": \"b\"}}",
        "{\"int\": {\"$gte\": 2}}",
        "{\"double\": {\"$gte\": 0.2}}",
        "{\"flag\": {\"$gt\": false}}",
        "{\"at\": {\"$gte\": {\"$date\": {\"$numberLong\": \"2000\"}}}}",
        "{\"text\": \"b\"}",
        "{\"int\": 2}",
        "{\"double\": 0.2}",
        "{\"flag\": true}",
        "{\"at\": {\"$date\": {\"$numberLong\": \"2000\"}}}",
        "{\"at\": {\"$in\": [{\"$date\": {\"$numberLong\": \"2000\"}}]}}",
    };
    struct fixture *f = *state;
    AUTO_BSON bson_t *low =
        BCON_NEW("_id", "low", "text", "a\xc3\xa4", "int", BCON_INT32(-3), "double",
                 BCON_DOUBLE(-0.5), "flag", BCON_BOOL(false), "at", BCON_DATE_TIME(-7));
    AUTO_BSON bson_t *high =
        BCON_NEW("_id", "high", "text", "b", "int", BCON_INT32(2), "double", BCON_DOUBLE(0.2),
                 "flag", BCON_BOOL(true), "at", BCON_DATE_TIME(2000));

    assert_ok(store_insert(f->store, "kinds", (const bson_t *const[]){low, high}, 2, NULL));
    for (size_t n = 0; n < sizeof filters / sizeof *filters; n++) {
        AUTO_BSON bson_t *filter = bson_new_from_json((const uint8_t *)filters[n], -1, NULL);
        AUTO_BSON bson_t *found = NULL;
        uint64_t count = 0;
        assert_ok(store_count(f->store, "kinds", filter, &count));
        if (count != 1) fail_msg("%s: %u match", filters[n], (unsigned)count);
        assert_ok(store_find_one(f->store, "kinds", filter, &found));
        assert_string_equal(text_of(found, "_id"), "high");
    }
}

static void find_one_is_the_one_with_the_lowest_id(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *filter = BCON_NEW("account", "alice");
    AUTO_BSON bson_t *found = NULL;
    bson_t *none = NULL;

    assert_err(store_find_one(f->store, "orders", filter, &none), ERR_NOT_FOUND);
    assert_err(store_find_id(f->store, "orders", "o1", &none), ERR_NOT_FOUND);
    assert_null(none);
    insert_order(f->store, "o2", "alice", 1);
    insert_order(f->store, "o1", "alice", 2);
    insert_order(f->store, "o0", "bob", 0);
    assert_ok(store_find_one(f->store, "orders", filter, &found));
    assert_string_equal(text_of(found, "_id"), "o1");
}

static void a_page_outlives_changes_and_the_store(void **state)
{
    struct fixture *f = *state;
    const struct store_find find = {.limit = 10};
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    const bson_t *document;

    insert_orders(f->store, 2);
    assert_ok(store_find(f->store, "orders", &find, &cursor));
    assert_ok(store_delete(f->store, "orders", "o001"));
    store_close(f->store);
    f->store = NULL;
    assert_ok(store_cursor_next(cursor, &document));
    assert_ok(store_cursor_next(cursor, &document));
    assert_string_equal(text_of(document, "_id"), "o001");
    assert_err(store_cursor_next(cursor, &document), ERR_NOT_FOUND);
}

static void a_page_has_a_limit_in_bytes(void **state)
{
    struct fixture *f = *state;
    const unsigned fit = STORE_PAGE_SIZE_MAX / (STORE_DOCUMENT_SIZE_MAX - 4096);
    const struct store_find most = {.limit = fit}, all = {.limit = STORE_FIND_MAX};
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    struct store_cursor *none = NULL;
    char *text = malloc(STORE_DOCUMENT_SIZE_MAX);

    memset(text, 'x', STORE_DOCUMENT_SIZE_MAX);
    text[STORE_DOCUMENT_SIZE_MAX - 4200] = 0;
    for (unsigned n = 0; n <= fit; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "n%03u", n);
        AUTO_BSON bson_t *note = BCON_NEW("_id", BCON_UTF8(id), "text", BCON_UTF8(text));
        assert_ok(store_put_many(f->store, "notes", (const bson_t *const[]){note}, 1));
    }
    free(text);
    assert_err(store_find(f->store, "notes", &all, &none), ERR_EXHAUSTED);
    assert_ok(store_find(f->store, "notes", &most, &cursor));
}

static void an_undeclared_collection_is_refused(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *document = order("o1", "alice", 1);
    bson_t *found = NULL;

    assert_err(store_find_id(f->store, "order", "o1", &found), ERR_INVALID);
    assert_err(store_insert(f->store, "Orders", (const bson_t *const[]){document}, 1, NULL),
               ERR_INVALID);
}

int contract_run_reads(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(a_find_returns_what_matches_in_order),
        CONTRACT_TEST(a_filter_outside_of_the_contract_is_refused),
        CONTRACT_TEST(a_filter_has_as_many_conditions_as_the_limit),
        CONTRACT_TEST(an_in_has_as_many_values_as_the_limit),
        CONTRACT_TEST(a_page_is_as_long_as_the_limit_and_pages_follow_each_other),
        CONTRACT_TEST(every_kind_of_indexed_value_compares),
        CONTRACT_TEST(find_one_is_the_one_with_the_lowest_id),
        CONTRACT_TEST(a_page_outlives_changes_and_the_store),
        CONTRACT_TEST(a_page_has_a_limit_in_bytes),
        CONTRACT_TEST(an_undeclared_collection_is_refused),
    };
    return cmocka_run_group_tests_name("store contract: reads", tests, NULL, NULL);
}
