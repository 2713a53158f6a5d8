/* The contract: insert, put, update, claim, delete, and what is refused. */
#include "contract.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void an_inserted_document_is_found_with_version_1(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *found = NULL;

    insert_order(f->store, "o1", "alice", 42);
    assert_ok(store_find_id(f->store, "orders", "o1", &found));
    AUTO_BSON bson_t *expected = BCON_NEW("_id", "o1", "v", BCON_INT64(1), "account", "alice",
                                          "price", BCON_INT64(42), "key", "o1");
    assert_true(bson_equal(found, expected));
}

static bson_t *of_every_type(const char *id)
{
    bson_oid_t oid;
    bson_oid_init_from_string(&oid, "0123456789abcdef01234567");
    return BCON_NEW("text", "f\xc3\xbcr", "v", BCON_INT32(77), "none", BCON_NULL, "int",
                    BCON_INT32(-1), "long", BCON_INT64(INT64_MIN), "_id", BCON_UTF8(id), "double",
                    BCON_DOUBLE(0.1), "flag", BCON_BOOL(true), "at", BCON_DATE_TIME(-1), "oid",
                    BCON_OID(&oid), "bin", BCON_BIN(BSON_SUBTYPE_BINARY, (const uint8_t *)"\0x", 2),
                    "empty", "{", "}", "list", "[", BCON_INT32(1), "{", "a", "[", "]", "}", "x",
                    "]", "deep", "{", "er", "{", "text", "", "}", "}");
}

static void every_type_comes_back_as_it_was_behind_id_and_v(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *document = of_every_type("k1");
    AUTO_BSON bson_t *found = NULL;
    bson_t expected = BSON_INITIALIZER;

    bson_append_utf8(&expected, "_id", -1, "k1", -1);
    bson_append_int64(&expected, "v", -1, 1); /* the caller's v is ignored */
    bson_copy_to_excluding_noinit(document, &expected, "_id", "v", NULL);
    assert_ok(store_insert(f->store, "kinds", (const bson_t *const[]){document}, 1, NULL));
    assert_ok(store_find_id(f->store, "kinds", "k1", &found));
    assert_true(bson_equal(found, &expected));
    bson_destroy(&expected);
}

static void an_insert_stops_at_the_first_that_exists(void **state)
{
    struct fixture *f = *state;
    bson_t *batch[5];
    size_t inserted = 99;
    uint64_t count;

    insert_order(f->store, "o2", "alice", 1);
    for (unsigned n = 0; n < 5; n++)
        batch[n] = order((const char *[]){"o0", "o1", "o2", "o3", "o4"}[n], "bob", n);
    assert_err(store_insert(f->store, "orders", (const bson_t *const *)batch, 5, &inserted),
               ERR_EXISTS);
    assert_int_equal(inserted, 2);
    assert_ok(store_count(f->store, "orders", NULL, &count));
    assert_int_equal(count, 3);
    for (unsigned n = 0; n < 5; n++)
        bson_destroy(batch[n]);
}

static void a_unique_index_refuses_the_second(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *other =
        BCON_NEW("_id", "o2", "account", "bob", "price", BCON_INT64(1), "key", "o1");
    size_t inserted = 99;

    insert_order(f->store, "o1", "alice", 1);
    assert_err(store_insert(f->store, "orders", (const bson_t *const[]){other}, 1, &inserted),
               ERR_EXISTS);
    assert_int_equal(inserted, 0);
    assert_err(store_put_many(f->store, "orders", (const bson_t *const[]){other}, 1), ERR_EXISTS);
    assert_err(store_find_id(f->store, "orders", "o2", &other), ERR_NOT_FOUND);
}

static void many(bson_t **batch, unsigned count, int64_t price)
{
    for (unsigned n = 0; n < count; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "m%04u", n);
        batch[n] = order(id, "alice", price);
    }
}

static void drop(bson_t **batch, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        bson_destroy(batch[n]);
}

static void an_insert_takes_up_to_its_limit(void **state)
{
    struct fixture *f = *state;
    bson_t *batch[STORE_INSERT_MAX + 1];
    size_t inserted = 99;
    uint64_t count;

    many(batch, STORE_INSERT_MAX + 1, 1);
    const bson_t *const *documents = (const bson_t *const *)batch;
    assert_err(store_insert(f->store, "orders", documents, STORE_INSERT_MAX + 1, &inserted),
               ERR_INVALID);
    assert_int_equal(inserted, 0);
    assert_ok(store_insert(f->store, "orders", documents, 0, &inserted));
    assert_int_equal(inserted, 0);
    assert_ok(store_insert(f->store, "orders", documents, STORE_INSERT_MAX, &inserted));
    assert_int_equal(inserted, STORE_INSERT_MAX);
    assert_ok(store_count(f->store, "orders", NULL, &count));
    assert_int_equal(count, STORE_INSERT_MAX);
    drop(batch, STORE_INSERT_MAX + 1);
}

static void a_put_inserts_replaces_and_takes_up_to_its_limit(void **state)
{
    struct fixture *f = *state;
    bson_t *batch[STORE_BULK_MAX + 1];
    AUTO_BSON bson_t *found = NULL;
    uint64_t count;

    insert_order(f->store, "m0007", "carol", 7);
    for (int64_t round = 1; round <= 2; round++) {
        many(batch, STORE_BULK_MAX + 1, round);
        const bson_t *const *documents = (const bson_t *const *)batch;
        assert_err(store_put_many(f->store, "orders", documents, STORE_BULK_MAX + 1), ERR_INVALID);
        assert_ok(store_put_many(f->store, "orders", documents, 0));
        assert_ok(store_put_many(f->store, "orders", documents, STORE_BULK_MAX));
        drop(batch, STORE_BULK_MAX + 1);
    }
    assert_ok(store_count(f->store, "orders", NULL, &count));
    assert_int_equal(count, STORE_BULK_MAX);
    assert_ok(store_find_id(f->store, "orders", "m0007", &found));
    assert_int_equal(int_of(found, "price"), 2);
    assert_int_equal(int_of(found, "v"), 1);
    assert_string_equal(text_of(found, "account"), "alice");
}

static void of_two_puts_of_one_id_the_later_stays(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *first = order("o1", "alice", 1);
    AUTO_BSON bson_t *second = order("o1", "bob", 2);
    AUTO_BSON bson_t *filter = BCON_NEW("account", "alice");
    AUTO_BSON bson_t *found = NULL;

    assert_ok(store_put_many(f->store, "orders", (const bson_t *const[]){first, second}, 2));
    assert_ok(store_find_id(f->store, "orders", "o1", &found));
    assert_string_equal(text_of(found, "account"), "bob");
    bson_t *none = NULL;
    assert_err(store_find_one(f->store, "orders", filter, &none), ERR_NOT_FOUND);
}

static bson_t *nested(unsigned depth)
{
    bson_t *inner = bson_new();
    for (unsigned n = 1; n < depth; n++) {
        bson_t *outer = bson_new();
        bson_append_document(outer, "d", 1, inner);
        bson_destroy(inner);
        inner = outer;
    }
    bson_append_utf8(inner, "_id", 3, "deep", -1);
    return inner;
}

/* A note of exactly `size` bytes when stored. */
static bson_t *sized(size_t size)
{
    bson_t *b = BCON_NEW("_id", "large");
    size_t head = b->len + 1 + sizeof "v" + 8 + 1 + sizeof "text" + 4 + 1;
    char *text = malloc(size);
    memset(text, 'x', size);
    bson_append_utf8(b, "text", -1, text, (int)(size - head));
    free(text);
    return b;
}

static void a_document_may_be_as_large_and_as_deep_as_the_limit(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *large = sized(STORE_DOCUMENT_SIZE_MAX);
    AUTO_BSON bson_t *larger = sized(STORE_DOCUMENT_SIZE_MAX + 1);
    AUTO_BSON bson_t *deep = nested(STORE_DEPTH_MAX);
    AUTO_BSON bson_t *deeper = nested(STORE_DEPTH_MAX + 1);
    AUTO_BSON bson_t *found = NULL;

    assert_err(store_insert(f->store, "notes", (const bson_t *const[]){larger}, 1, NULL),
               ERR_INVALID);
    assert_err(store_insert(f->store, "notes", (const bson_t *const[]){deeper}, 1, NULL),
               ERR_INVALID);
    assert_ok(store_insert(f->store, "notes", (const bson_t *const[]){large, deep}, 2, NULL));
    assert_ok(store_find_id(f->store, "notes", "large", &found));
    assert_int_equal(found->len, STORE_DOCUMENT_SIZE_MAX);
}

static void an_id_may_be_as_long_as_the_limit(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_MAX + 2];
    bson_t *found = NULL;

    memset(id, 'i', sizeof id);
    id[STORE_ID_MAX + 1] = 0;
    AUTO_BSON bson_t *longer = BCON_NEW("_id", BCON_UTF8(id));
    assert_err(store_insert(f->store, "notes", (const bson_t *const[]){longer}, 1, NULL),
               ERR_INVALID);
    assert_err(store_find_id(f->store, "notes", id, &found), ERR_INVALID);
    assert_err(store_find_id(f->store, "notes", "", &found), ERR_INVALID);
    assert_err(store_delete(f->store, "notes", "\xff"), ERR_INVALID);
    id[STORE_ID_MAX] = 0;
    AUTO_BSON bson_t *longest = BCON_NEW("_id", BCON_UTF8(id));
    assert_ok(store_insert(f->store, "notes", (const bson_t *const[]){longest}, 1, NULL));
    assert_ok(store_find_id(f->store, "notes", id, &found));
    bson_destroy(found);
}

/* The n-th document that is refused; NULL: no more. */
static bson_t *refused(unsigned n)
{
    bson_t *b = BCON_NEW("_id", "x");
    switch (n) {
    case 0:
        bson_append_double(b, "d", -1, NAN);
        break;
    case 1:
        bson_append_double(b, "d", -1, -INFINITY);
        break;
    case 2:
        bson_append_double(b, "d", -1, -0.0);
        break;
    case 3:
        bson_append_utf8(b, "s", -1, "a\0b", 3);
        break;
    case 4:
        bson_append_utf8(b, "s", -1, "\xc3(", 2);
        break;
    case 5:
        bson_append_minkey(b, "m", -1);
        break;
    case 6:
        bson_append_regex(b, "r", -1, "x", "");
        break;
    case 7:
        bson_append_timestamp(b, "t", -1, 1, 2);
        break;
    case 8:
        bson_append_decimal128(b, "d", -1, &(bson_decimal128_t){1, 1});
        break;
    case 9:
        bson_append_int32(b, "", -1, 1);
        break;
    case 10:
        bson_append_int32(b, "$set", -1, 1);
        break;
    case 11:
        bson_append_int32(b, "a.b", -1, 1);
        break;
    case 12:
        bson_append_utf8(b, "_id", -1, "twice", -1);
        break;
    case 13:
        bson_reinit(b);
        break;
    case 14:
        bson_reinit(b), bson_append_int64(b, "_id", -1, 1);
        break;
    case 15:
        bson_reinit(b), bson_append_utf8(b, "_id", -1, "", 0);
        break;
    case 16:
        bson_destroy(b);
        return BCON_NEW("_id", "x", "a", "[", "[", BCON_INT32(1), "]", "]");
    case 17:
        bson_destroy(b);
        return BCON_NEW("_id", "x", "a", "{", "b.c", BCON_INT32(1), "}");
    case 18:
        bson_append_array(b, "l", -1, b);
        break; /* its keys are not 0, 1, 2 */
    default:
        bson_destroy(b);
        return NULL;
    }
    return b;
}

static void what_not_every_server_keeps_is_refused(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0;
    for (bson_t *b; (b = refused(n)); n++) {
        AUTO_BSON bson_t *own = b;
        AUTO_BSON bson_t *good = BCON_NEW("_id", "good");
        size_t inserted = 99;
        enum err e =
            store_insert(f->store, "notes", (const bson_t *const[]){good, own}, 2, &inserted);
        if (e != ERR_INVALID) fail_msg("document %u: %s", n, err_name(e));
        assert_int_equal(inserted, 0);
        assert_string_not_equal(store_reason(), "");
        assert_err(store_put_many(f->store, "notes", (const bson_t *const[]){good, own}, 2),
                   ERR_INVALID);
    }
    assert_int_equal(n, 19);
    uint64_t count;
    assert_ok(store_count(f->store, "notes", NULL, &count));
    assert_int_equal(count, 0); /* nothing was written, the good one neither */
}

static void an_indexed_field_is_always_there_once_and_a_scalar(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *missing = BCON_NEW("_id", "x");
    AUTO_BSON bson_t *null = BCON_NEW("_id", "x", "state", BCON_NULL);
    AUTO_BSON bson_t *list = BCON_NEW("_id", "x", "state", "[", "]");
    AUTO_BSON bson_t *twice = BCON_NEW("_id", "x", "state", "a", "state", "b");
    const bson_t *const all[] = {missing, null, list, twice};

    for (unsigned n = 0; n < 4; n++)
        assert_err(store_insert(f->store, "jobs", &all[n], 1, NULL), ERR_INVALID);
}

static void an_update_replaces_and_counts_the_version(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *next = BCON_NEW("account", "bob", "key", "o1", "price", BCON_INT64(2));
    AUTO_BSON bson_t *filter = BCON_NEW("account", "bob");
    AUTO_BSON bson_t *found = NULL;

    insert_order(f->store, "o1", "alice", 1);
    assert_ok(store_update(f->store, "orders", "o1", 1, next));
    assert_ok(store_find_one(f->store, "orders", filter, &found));
    AUTO_BSON bson_t *expected = BCON_NEW("_id", "o1", "v", BCON_INT64(2), "account", "bob", "key",
                                          "o1", "price", BCON_INT64(2));
    assert_true(bson_equal(found, expected));
    assert_ok(store_update(f->store, "orders", "o1", 2, found)); /* what was read can be written */
}

static void an_update_says_why_it_did_not(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *next = order("o1", "bob", 2);
    AUTO_BSON bson_t *other_key = BCON_NEW("account", "bob", "key", "o9", "price", BCON_INT64(2));
    AUTO_BSON bson_t *found = NULL;

    assert_err(store_update(f->store, "orders", "o1", 1, next), ERR_NOT_FOUND);
    insert_order(f->store, "o1", "alice", 1);
    assert_err(store_update(f->store, "orders", "o1", 2, next), ERR_CONFLICT);
    assert_err(store_update(f->store, "orders", "o1", 0, next), ERR_INVALID);
    assert_err(store_update(f->store, "orders", "o1", INT64_MAX, next), ERR_INVALID);
    assert_err(store_update(f->store, "orders", "o1", 1, other_key), ERR_INVALID);
    assert_err(store_update(f->store, "orders", "o2", 1, next), ERR_INVALID); /* another _id */
    assert_ok(store_find_id(f->store, "orders", "o1", &found));
    assert_string_equal(text_of(found, "account"), "alice");
    assert_int_equal(int_of(found, "v"), 1);
}

static void insert_job(struct store *s, const char *id)
{
    AUTO_BSON bson_t *b = BCON_NEW("_id", BCON_UTF8(id), "state", "free", "what", "sweep");
    assert_ok(store_insert(s, "jobs", (const bson_t *const[]){b}, 1, NULL));
}

static void a_claim_goes_to_the_lowest_id_and_returns_what_is_now(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *filter = BCON_NEW("state", "free");
    AUTO_BSON bson_t *set = BCON_NEW("state", "taken", "by", "me");
    AUTO_BSON bson_t *claimed = NULL;
    AUTO_BSON bson_t *found = NULL;
    bson_t *none = NULL;

    insert_job(f->store, "j2");
    insert_job(f->store, "j1");
    assert_ok(store_find_and_modify(f->store, "jobs", filter, set, &claimed));
    AUTO_BSON bson_t *expected =
        BCON_NEW("_id", "j1", "v", BCON_INT64(2), "state", "taken", "what", "sweep", "by", "me");
    assert_true(bson_equal(claimed, expected));
    assert_ok(store_find_id(f->store, "jobs", "j1", &found));
    assert_true(bson_equal(found, expected));
    bson_destroy(claimed);
    assert_ok(store_find_and_modify(f->store, "jobs", filter, set, &claimed));
    assert_string_equal(text_of(claimed, "_id"), "j2");
    assert_err(store_find_and_modify(f->store, "jobs", filter, set, &none), ERR_NOT_FOUND);
}

static void a_claim_may_not_set_what_an_update_may_not(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *empty = bson_new();
    AUTO_BSON bson_t *id = BCON_NEW("_id", "o2");
    AUTO_BSON bson_t *version = BCON_NEW("v", BCON_INT64(7));
    AUTO_BSON bson_t *key = BCON_NEW("key", "o2");
    AUTO_BSON bson_t *verb = BCON_NEW("$inc", "{", "price", BCON_INT64(1), "}");
    const bson_t *const all[] = {empty, id, version, key, verb};
    bson_t *none = NULL;

    insert_order(f->store, "o1", "alice", 1);
    for (unsigned n = 0; n < 5; n++)
        assert_err(store_find_and_modify(f->store, "orders", NULL, all[n], &none), ERR_INVALID);
}

static void a_document_is_deleted_once(void **state)
{
    struct fixture *f = *state;
    bson_t *none = NULL;

    insert_order(f->store, "o1", "alice", 1);
    assert_ok(store_delete(f->store, "orders", "o1"));
    assert_err(store_delete(f->store, "orders", "o1"), ERR_NOT_FOUND);
    assert_err(store_find_id(f->store, "orders", "o1", &none), ERR_NOT_FOUND);
    insert_order(f->store, "o1", "alice", 1); /* and its unique key is free again */
}

static void a_sweep_deletes_the_lowest_ids_up_to_its_limit(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *filter = BCON_NEW("price", "{", "$lt", BCON_INT64(10), "}");
    const struct store_find all = {.limit = STORE_FIND_MAX};
    uint64_t deleted = 99;
    char ids[IDS_MAX];

    insert_orders(f->store, 12);
    assert_err(store_delete_many(f->store, "orders", filter, 0, &deleted), ERR_INVALID);
    assert_err(store_delete_many(f->store, "orders", filter, STORE_FIND_MAX + 1, &deleted),
               ERR_INVALID);
    assert_int_equal(deleted, 99);
    assert_ok(store_delete_many(f->store, "orders", filter, 7, &deleted));
    assert_int_equal(deleted, 7);
    assert_ok(store_delete_many(f->store, "orders", filter, STORE_FIND_MAX, &deleted));
    assert_int_equal(deleted, 3);
    assert_ok(store_delete_many(f->store, "orders", filter, 1, &deleted));
    assert_int_equal(deleted, 0);
    find_ids(f->store, &all, ids);
    assert_string_equal(ids, "o010 o011");
}

static void the_nth_call_fails_and_does_nothing(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *document = order("o1", "alice", 1);
    uint64_t count = 0;

    store_fail_nth(f->store, 3);
    assert_ok(store_ping(f->store));
    assert_ok(store_count(f->store, "orders", NULL, &count));
    assert_err(store_insert(f->store, "orders", (const bson_t *const[]){document}, 1, NULL),
               ERR_UNAVAILABLE);
    assert_ok(store_count(f->store, "orders", NULL, &count)); /* only the n-th */
    assert_int_equal(count, 0);
    store_fail_nth(f->store, 1);
    store_fail_nth(f->store, 0);
    assert_ok(store_ping(f->store));
}

static void every_call_can_be_made_to_fail(void **state)
{
    struct fixture *f = *state;
    struct store *s = f->store;
    AUTO_BSON bson_t *b = order("o1", "alice", 1);
    const bson_t *const all[] = {b};
    const struct store_find find = {.limit = 1};
    struct store_cursor *cursor = NULL;
    bson_t *found = NULL;
    uint64_t count = 99;

    for (unsigned n = 0; n < 11; n++) {
        enum err e = OK;
        store_fail_nth(s, 1);
        switch (n) {
        case 0:
            e = store_ping(s);
            break;
        case 1:
            e = store_insert(s, "orders", all, 1, NULL);
            break;
        case 2:
            e = store_put_many(s, "orders", all, 1);
            break;
        case 3:
            e = store_find_id(s, "orders", "o1", &found);
            break;
        case 4:
            e = store_find_one(s, "orders", NULL, &found);
            break;
        case 5:
            e = store_find(s, "orders", &find, &cursor);
            break;
        case 6:
            e = store_update(s, "orders", "o1", 1, b);
            break;
        case 7:
            e = store_find_and_modify(s, "orders", NULL, b, &found);
            break;
        case 8:
            e = store_delete(s, "orders", "o1");
            break;
        case 9:
            e = store_delete_many(s, "orders", NULL, 1, &count);
            break;
        default:
            e = store_count(s, "orders", NULL, &count);
            break;
        }
        assert_err(e, ERR_UNAVAILABLE);
    }
    assert_null(found);
    assert_null(cursor);
    assert_int_equal(count, 99);
}

int contract_run_writes(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(an_inserted_document_is_found_with_version_1),
        CONTRACT_TEST(every_type_comes_back_as_it_was_behind_id_and_v),
        CONTRACT_TEST(an_insert_stops_at_the_first_that_exists),
        CONTRACT_TEST(a_unique_index_refuses_the_second),
        CONTRACT_TEST(an_insert_takes_up_to_its_limit),
        CONTRACT_TEST(a_put_inserts_replaces_and_takes_up_to_its_limit),
        CONTRACT_TEST(of_two_puts_of_one_id_the_later_stays),
        CONTRACT_TEST(a_document_may_be_as_large_and_as_deep_as_the_limit),
        CONTRACT_TEST(an_id_may_be_as_long_as_the_limit),
        CONTRACT_TEST(what_not_every_server_keeps_is_refused),
        CONTRACT_TEST(an_indexed_field_is_always_there_once_and_a_scalar),
        CONTRACT_TEST(an_update_replaces_and_counts_the_version),
        CONTRACT_TEST(an_update_says_why_it_did_not),
        CONTRACT_TEST(a_claim_goes_to_the_lowest_id_and_returns_what_is_now),
        CONTRACT_TEST(a_claim_may_not_set_what_an_update_may_not),
        CONTRACT_TEST(a_document_is_deleted_once),
        CONTRACT_TEST(a_sweep_deletes_the_lowest_ids_up_to_its_limit),
        CONTRACT_TEST(the_nth_call_fails_and_does_nothing),
        CONTRACT_TEST(every_call_can_be_made_to_fail),
    };
    return cmocka_run_group_tests_name("store contract: writes", tests, NULL, NULL);
}
