/* The contract: opening, declaring, reopening, drift. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

static enum err try_open(const char *url, const struct store_collection *collections,
                         struct err_detail *detail)
{
    const struct store_options options = {.url = url};
    struct store *s = NULL;

    detail->text[0] = 0;
    enum err e = store_open(&options, collections, &s, detail);
    if (e) assert_null(s);
    store_close(s);
    return e;
}

static void what_was_written_is_there_after_reopening(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *before = NULL;
    AUTO_BSON bson_t *after = NULL;
    AUTO_BSON bson_t *filter = BCON_NEW("account", "alice");

    insert_order(f->store, "o1", "alice", 42);
    assert_ok(store_find_id(f->store, "orders", "o1", &before));
    store_close(f->store);
    f->store = contract_open(f->url, contract_collections);
    assert_ok(store_find_one(f->store, "orders", filter, &after));
    assert_true(bson_equal(before, after));
}

static void two_stores_see_each_other(void **state)
{
    struct fixture *f = *state;
    struct store *other = contract_open(f->url, contract_collections);
    AUTO_BSON bson_t *next = order("o1", "bob", 2);
    AUTO_BSON bson_t *found = NULL;

    insert_order(f->store, "o1", "alice", 1);
    assert_ok(store_update(other, "orders", "o1", 1, next));
    assert_err(store_update(f->store, "orders", "o1", 1, next), ERR_CONFLICT);
    assert_ok(store_find_id(f->store, "orders", "o1", &found));
    assert_int_equal(int_of(found, "v"), 2);
    store_close(other);
}

#define INDEX(...)                                                                                 \
    (const struct store_index[])                                                                   \
    {                                                                                              \
        {__VA_ARGS__},                                                                             \
        {                                                                                          \
            NULL, {NULL}, false                                                                    \
        }                                                                                          \
    }
#define COLLECTION(name, indexes)                                                                  \
    (const struct store_collection[])                                                              \
    {                                                                                              \
        {name, indexes},                                                                           \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

static void an_index_declared_later_has_the_older_documents(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *one = BCON_NEW("_id", "n1", "tag", "red", "at", BCON_DATE_TIME(2));
    AUTO_BSON bson_t *two = BCON_NEW("_id", "n2", "tag", "red", "at", BCON_DATE_TIME(1));
    AUTO_BSON bson_t *filter = BCON_NEW("tag", "red");
    const struct store_find find = {.filter = filter, .sort = "at", .limit = 9};
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    const bson_t *document;
    uint64_t count;

    assert_ok(store_insert(f->store, "notes", (const bson_t *const[]){one, two}, 2, NULL));
    assert_err(store_count(f->store, "notes", filter, &count), ERR_INVALID);
    store_close(f->store);
    f->store = contract_open(f->url, COLLECTION("notes", INDEX("by_tag", {"tag", "at"}, false)));
    assert_ok(store_find(f->store, "notes", &find, &cursor));
    assert_ok(store_cursor_next(cursor, &document));
    assert_string_equal(text_of(document, "_id"), "n2");
    assert_ok(store_cursor_next(cursor, &document));
    assert_string_equal(text_of(document, "_id"), "n1");
}

static void an_index_with_another_definition_stops_the_start(void **state)
{
    static const struct store_index drifted[][2] = {
        {{"by_account_price", {"account"}, false}, {NULL, {NULL}, false}},
        {{"by_account_price", {"price", "account"}, false}, {NULL, {NULL}, false}},
        {{"by_account_price", {"account", "price"}, true}, {NULL, {NULL}, false}},
        {{"by_account_price", {"account", "price", "key"}, false}, {NULL, {NULL}, false}},
        {{"by_key", {"key"}, false}, {NULL, {NULL}, false}},
    };
    struct fixture *f = *state;
    struct err_detail detail;

    insert_order(f->store, "o1", "alice", 1);
    for (size_t n = 0; n < sizeof drifted / sizeof *drifted; n++) {
        enum err e = try_open(f->url, COLLECTION("orders", drifted[n]), &detail);
        if (e != ERR_PRECONDITION) fail_msg("%zu: %s", n, err_name(e));
        assert_non_null(strstr(detail.text, drifted[n]->name));
        assert_non_null(strstr(detail.text, "orders"));
    }
    assert_ok(try_open(f->url, contract_collections, &detail)); /* and nothing was changed */
}

static void a_unique_index_over_duplicates_stops_the_start(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *one = BCON_NEW("_id", "n1", "tag", "red");
    AUTO_BSON bson_t *two = BCON_NEW("_id", "n2", "tag", "red");
    const struct store_collection *unique = COLLECTION("notes", INDEX("by_tag", {"tag"}, true));
    struct err_detail detail;

    assert_ok(store_insert(f->store, "notes", (const bson_t *const[]){one, two}, 2, NULL));
    assert_err(try_open(f->url, unique, &detail), ERR_PRECONDITION);
    assert_ok(store_delete(f->store, "notes", "n2"));
    assert_ok(try_open(f->url, unique, &detail));
}

#define LONG "n23456789012345678901234567890123456789012345678901234567890123_"

/* One collection with at most one index. */
static const struct {
    const char *collection, *index, *first, *second;
    enum err err;
} declarations[] = {
    {"", NULL, NULL, NULL, ERR_INVALID},
    {"7up", NULL, NULL, NULL, ERR_INVALID},
    {"a.b", NULL, NULL, NULL, ERR_INVALID},
    {"a\"b", NULL, NULL, NULL, ERR_INVALID},
    {"sqlite_x", NULL, NULL, NULL, ERR_INVALID},
    {LONG "5", NULL, NULL, NULL, ERR_INVALID},
    {"notes", "", "tag", NULL, ERR_INVALID},
    {"notes", "by tag", "tag", NULL, ERR_INVALID},
    {"notes", "by_tag", NULL, NULL, ERR_INVALID},
    {"notes", "by_tag", "_id", NULL, ERR_INVALID},
    {"notes", "by_tag", "v", NULL, ERR_INVALID},
    {"notes", "by_tag", "a.b", NULL, ERR_INVALID},
    {"notes", "by_tag", "tag", "Tag", ERR_INVALID},
    {"notes", "by_tag", LONG "5", NULL, ERR_INVALID},
    {"notes", LONG "5", "tag", NULL, ERR_INVALID},
    {LONG, LONG, LONG, NULL, OK},
    {"a-b_C7", "by-tag", "order", "group", OK},
};

static void a_wrong_declaration_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err_detail detail;

    for (size_t n = 0; n < sizeof declarations / sizeof *declarations; n++) {
        const struct store_index indexes[] = {
            {declarations[n].index, {declarations[n].first, declarations[n].second}, false},
            {NULL, {NULL}, false},
        };
        const struct store_collection collections[] = {
            {declarations[n].collection, indexes},
            {NULL, NULL},
        };
        enum err e = try_open(f->url, collections, &detail);
        if (e != declarations[n].err) fail_msg("%zu: %s: %s", n, err_name(e), detail.text);
        if (e) assert_string_not_equal(detail.text, "");
    }
    const struct store_collection twice[] = {{"notes", NULL}, {"Notes", NULL}, {NULL, NULL}};
    assert_err(try_open(f->url, twice, &detail), ERR_INVALID);
}

static void declarations_go_up_to_their_limits(void **state)
{
    struct fixture *f = *state;
    struct store_index indexes[STORE_INDEXES_MAX + 2] = {{NULL, {NULL}, false}};
    struct store_collection collections[STORE_COLLECTIONS_MAX + 2] = {{NULL, NULL}};
    char names[STORE_COLLECTIONS_MAX + 1][STORE_INDEX_FIELDS_MAX][8];
    struct err_detail detail;

    for (unsigned n = 0; n < STORE_COLLECTIONS_MAX + 1; n++)
        for (unsigned i = 0; i < STORE_INDEX_FIELDS_MAX; i++)
            (void)snprintf(names[n][i], sizeof names[n][i], "f%u_%u", n, i);
    for (unsigned n = 0; n <= STORE_INDEXES_MAX; n++) {
        indexes[n].name = names[n][0];
        for (unsigned i = 0; i < STORE_INDEX_FIELDS_MAX; i++)
            indexes[n].fields[i] = names[n][i];
    }
    assert_err(try_open(f->url, COLLECTION("wide", indexes), &detail), ERR_INVALID);
    indexes[STORE_INDEXES_MAX].name = NULL;
    assert_ok(try_open(f->url, COLLECTION("wide", indexes), &detail));
    for (unsigned n = 0; n <= STORE_COLLECTIONS_MAX; n++)
        collections[n].name = names[n][0];
    assert_err(try_open(f->url, collections, &detail), ERR_INVALID);
    collections[STORE_COLLECTIONS_MAX].name = NULL;
    assert_ok(try_open(f->url, collections, &detail));
}

static void a_wrong_url_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "sqlite",
        "sqlite:",
        "http://127.0.0.1/",
        "mongodb://",
        "mongodb://127.0.0.1:1/",
        "mongodb://:1/db",
    };
    struct err_detail detail;

    (void)state;
    for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
        enum err e = try_open(wrong[n], contract_collections, &detail);
        if (e != ERR_INVALID) fail_msg("\"%s\": %s", wrong[n], err_name(e));
        assert_string_not_equal(detail.text, "");
    }
}

int contract_run_open(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(what_was_written_is_there_after_reopening),
        CONTRACT_TEST(two_stores_see_each_other),
        CONTRACT_TEST(an_index_declared_later_has_the_older_documents),
        CONTRACT_TEST(an_index_with_another_definition_stops_the_start),
        CONTRACT_TEST(a_unique_index_over_duplicates_stops_the_start),
        CONTRACT_TEST(a_wrong_declaration_is_refused),
        CONTRACT_TEST(declarations_go_up_to_their_limits),
        cmocka_unit_test(a_wrong_url_is_refused),
    };
    return cmocka_run_group_tests_name("store contract: opening", tests, NULL, NULL);
}
