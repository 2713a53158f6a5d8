/* The contract on SQLite, and what only a file can suffer. */
#include "contract.h"
#include "server.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/tradepost-store-XXXXXX";

static void fresh_url(char ret[static URL_MAX])
{
    static unsigned count;
    (void)snprintf(ret, URL_MAX, "sqlite:%s/%u.db", directory, count++);
}

static const char *path_of(const char *url)
{
    return url + strlen("sqlite:");
}

/* SQLite finds these instead of libc's: how often does it sync? */
static atomic_uint syncs;

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fsync, fd);
}

static void every_acknowledged_write_was_synced_and_once(void **state)
{
    struct fixture *f = *state;
    AUTO_BSON bson_t *next = order("o0", "bob", 2);
    bson_t *batch[STORE_BULK_MAX];

    for (unsigned n = 0; n < STORE_BULK_MAX; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "p%u", n);
        batch[n] = order(id, "alice", n);
    }
    insert_order(f->store, "o0", "alice", 1); /* the first one also begins the log */
    for (unsigned call = 0; call < 4; call++) {
        unsigned before = atomic_load(&syncs);
        switch (call) {
        case 0:
            insert_order(f->store, "o1", "alice", 1);
            break;
        case 1:
            assert_ok(store_update(f->store, "orders", "o0", 1, next));
            break;
        case 2:
            assert_ok(store_delete(f->store, "orders", "o1"));
            break;
        default:
            assert_ok(
                store_put_many(f->store, "orders", (const bson_t *const *)batch, STORE_BULK_MAX));
        }
        assert_int_equal(atomic_load(&syncs) - before, 1);
    }
    for (unsigned n = 0; n < STORE_BULK_MAX; n++)
        bson_destroy(batch[n]);
}

/* Inserts one by one and says each number after it was acknowledged, until killed. */
static _Noreturn void write_for_ever(const char *url, unsigned first, int out)
{
    struct store *s = contract_open(url, contract_collections);
    for (unsigned n = first;; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "k%08u", n);
        bson_t *document = order(id, "alice", n);
        if (store_insert(s, "orders", (const bson_t *const[]){document}, 1, NULL)) _exit(1);
        if (write(out, &n, sizeof n) != sizeof n) _exit(2);
        bson_destroy(document);
    }
}

/* Returns how many numbers were acknowledged in all. */
static unsigned kill_a_writer(const char *url, unsigned first)
{
    unsigned acknowledged = first, number;
    int pipe_ends[2], status;

    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(pipe_ends[0]);
        write_for_ever(url, first, pipe_ends[1]);
    }
    (void)close(pipe_ends[1]);
    while (read(pipe_ends[0], &number, sizeof number) == sizeof number) {
        acknowledged = number + 1;
        if (acknowledged == first + 100) assert_int_equal(kill(child, SIGKILL), 0);
    }
    (void)close(pipe_ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return acknowledged;
}

/* No fixture: a store's threads and a fork do not mix. */
static void what_a_killed_writer_was_acknowledged_is_there(void **state)
{
    char url[URL_MAX];
    unsigned first = 0;

    (void)state;
    fresh_url(url);
    for (unsigned round = 0; round < 3; round++) {
        unsigned acknowledged = kill_a_writer(url, first);
        struct store *s = contract_open(url, contract_collections);
        uint64_t count;
        assert_true(acknowledged >= first + 100);
        for (unsigned n = first; n < acknowledged; n++) {
            AUTO_BSON bson_t *found = NULL;
            char id[16];
            (void)snprintf(id, sizeof id, "k%08u", n);
            assert_ok(store_find_id(s, "orders", id, &found));
            assert_int_equal(int_of(found, "price"), n);
        }
        assert_ok(store_count(s, "orders", NULL, &count));
        assert_true(count == acknowledged || count == acknowledged + 1); /* the last: unknown */
        first = (unsigned)count;
        store_close(s);
    }
}

static void insert_until_full(struct store *s, unsigned *count)
{
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    for (;;) {
        char id[16];
        (void)snprintf(id, sizeof id, "f%06u", *count);
        AUTO_BSON bson_t *note = BCON_NEW("_id", BCON_UTF8(id), "text", BCON_UTF8(text));
        enum err e = store_insert(s, "notes", (const bson_t *const[]){note}, 1, NULL);
        if (e) {
            assert_err(e, ERR_FULL);
            return;
        }
        ++*count;
        assert_true(*count < 100000);
    }
}

static void a_full_disk_loses_nothing(void **state)
{
    char path[64], url[URL_MAX];
    unsigned written = 0;
    uint64_t count;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/small", directory);
    (void)snprintf(url, sizeof url, "sqlite:%s/notes.db", path);
    assert_int_equal(mkdir(path, 0700), 0);
    if (mount("tradepost-test", path, "tmpfs", 0, "size=3m")) {
        print_message("skipped: a small tmpfs cannot be mounted: %s\n", strerror(errno));
        skip();
    }
    struct store *s = contract_open(url, contract_collections);
    for (unsigned round = 1; round <= 2; round++) {
        insert_until_full(s, &written);
        insert_until_full(s, &written); /* it stays full, and usable */
        assert_true(written > 100);
        assert_ok(store_count(s, "notes", NULL, &count));
        assert_int_equal(count, written);
        if (round == 1) assert_int_equal(mount("", path, "", MS_REMOUNT, "size=6m"), 0);
    }
    store_close(s);
    s = contract_open(url, contract_collections);
    assert_ok(store_count(s, "notes", NULL, &count));
    assert_int_equal(count, written);
    store_close(s);
}

static int unmount(void **state)
{
    char path[64];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/small", directory);
    (void)umount2(path, MNT_DETACH); /* if it was mounted */
    return 0;
}

static void run_sql(const char *url, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path_of(url), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_file_that_is_not_ours_is_refused(void **state)
{
    static const char garbage[4096] = "this is not a database, and it is long enough to be one";
    char url[URL_MAX];
    struct err_detail detail = {""};
    struct store_options options = {.url = url};
    struct store *s = NULL;

    (void)state;
    fresh_url(url);
    FILE *file = fopen(path_of(url), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(garbage, sizeof garbage, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_err(store_open(&options, contract_collections, &s, &detail), ERR_CORRUPT);

    fresh_url(url);
    run_sql(url, "PRAGMA user_version=2");
    assert_err(store_open(&options, contract_collections, &s, &detail), ERR_PRECONDITION);
    assert_non_null(strstr(detail.text, "layout 2"));

    options.url = "sqlite:/nonexistent/directory/x.db";
    assert_err(store_open(&options, contract_collections, &s, &detail), ERR_UNAVAILABLE);
    assert_non_null(strstr(detail.text, "/nonexistent/directory/x.db"));
    assert_null(s);
}

static void a_file_locked_by_another_process_is_a_timeout(void **state)
{
    struct fixture *f = *state;
    const struct store_options options = {.url = f->url, .timeout_ms = 200};
    AUTO_BSON bson_t *document = order("o1", "alice", 1);
    struct store *impatient;
    sqlite3 *other = NULL;
    uint64_t count;

    assert_ok(store_open(&options, contract_collections, &impatient, NULL));
    assert_int_equal(sqlite3_open(path_of(f->url), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t started_ms = clock_mono_ms();
    assert_err(store_insert(impatient, "orders", (const bson_t *const[]){document}, 1, NULL),
               ERR_TIMEOUT);
    assert_true(clock_mono_ms() - started_ms < 2000);
    assert_ok(store_count(impatient, "orders", NULL, &count)); /* readers do not wait */
    assert_int_equal(count, 0);
    sqlite3_close(other);
    assert_ok(store_insert(impatient, "orders", (const bson_t *const[]){document}, 1, NULL));
    store_close(impatient);
}

/* Sixteen comparisons for each of 20,000 documents take much longer than a millisecond. */
static void a_search_that_takes_too_long_is_interrupted(void **state)
{
    static const char *const columns[] = {"price", "account", "key", "_id"};
    struct fixture *f = *state;
    const struct store_options options = {.url = f->url, .timeout_ms = 1};
    bson_t filter = BSON_INITIALIZER, one;
    struct store *impatient;
    uint64_t count = 99;

    for (unsigned done = 0; done < 20000; done += STORE_BULK_MAX) {
        bson_t *batch[STORE_BULK_MAX];
        for (unsigned n = 0; n < STORE_BULK_MAX; n++) {
            char id[16];
            (void)snprintf(id, sizeof id, "s%06u", done + n);
            batch[n] = order(id, "alice", 1);
        }
        assert_ok(store_put_many(f->store, "orders", (const bson_t *const *)batch, STORE_BULK_MAX));
        for (unsigned n = 0; n < STORE_BULK_MAX; n++)
            bson_destroy(batch[n]);
    }
    for (unsigned n = 0; n < 4; n++) {
        bson_append_document_begin(&filter, columns[n], -1, &one);
        for (unsigned w = 0; w < 4; w++) {
            const char *word = (const char *[]){"$gt", "$gte", "$lt", "$lte"}[w];
            if (n == 0)
                bson_append_int64(&one, word, -1, w < 2 ? 0 : 2);
            else
                bson_append_utf8(&one, word, -1, w < 2 ? "a" : "z", -1);
        }
        bson_append_document_end(&filter, &one);
    }
    assert_ok(store_open(&options, contract_collections, &impatient, NULL));
    assert_err(store_count(impatient, "orders", &filter, &count), ERR_TIMEOUT);
    assert_int_equal(count, 99);
    assert_ok(store_count(f->store, "orders", &filter, &count));
    assert_int_equal(count, 20000);
    store_close(impatient);
    bson_destroy(&filter);
}

static void an_index_that_comes_back_is_filled_again(void **state)
{
    static const struct store_index by_tag[] = {
        {"by_tag", {"tag"}, false},
        {NULL, {NULL}, false},
    };
    static const struct store_collection with[] = {{"notes", by_tag}, {NULL, NULL}};
    static const struct store_collection without[] = {{"notes", NULL}, {NULL, NULL}};
    struct fixture *f = *state;
    AUTO_BSON bson_t *red = BCON_NEW("_id", "n1", "tag", "red");
    AUTO_BSON bson_t *blue = BCON_NEW("_id", "n1", "tag", "blue");
    AUTO_BSON bson_t *filter = BCON_NEW("tag", "blue");
    AUTO_BSON bson_t *found = NULL;

    store_close(f->store);
    f->store = contract_open(f->url, with);
    assert_ok(store_insert(f->store, "notes", (const bson_t *const[]){red}, 1, NULL));
    store_close(f->store);
    f->store = contract_open(f->url, without);
    assert_ok(store_put_many(f->store, "notes", (const bson_t *const[]){blue}, 1));
    store_close(f->store);
    f->store = contract_open(f->url, with);
    assert_ok(store_find_one(f->store, "notes", filter, &found));
}

static void assert_plan(sqlite3 *db, const char *sql, const char *index)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    for (bool first = true; sqlite3_step(statement) == SQLITE_ROW; first = false) {
        const char *step = (const char *)sqlite3_column_text(statement, 3);
        if (first ? !strstr(step, index) : strstr(step, "TEMP B-TREE") != NULL)
            fail_msg("%s: %s", sql, step);
    }
    sqlite3_finalize(statement);
}

static void an_index_serves_its_fields_and_the_order_of_ids(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = NULL;

    insert_orders(f->store, 10);
    assert_int_equal(sqlite3_open(path_of(f->url), &db), SQLITE_OK);
    assert_plan(db,
                "EXPLAIN QUERY PLAN SELECT _doc FROM orders WHERE account = 'a' "
                "ORDER BY price DESC, _id DESC LIMIT 9",
                "orders.by_account_price");
    assert_plan(db,
                "EXPLAIN QUERY PLAN SELECT _doc FROM orders WHERE price = 1 AND _id > 'o' "
                "ORDER BY _id LIMIT 9",
                "orders.by_price");
    assert_plan(db, "EXPLAIN QUERY PLAN SELECT _doc FROM orders WHERE key = 'o'", "orders.by_key");
    assert_plan(db, "EXPLAIN QUERY PLAN SELECT _doc FROM orders ORDER BY _id DESC LIMIT 9",
                "orders");
    sqlite3_close(db);
}

/* More shapes of statements than are kept prepared, each more than once. */
static void statements_come_and_go(void **state)
{
    static const char *const words[] = {"$gt", "$gte", "$lt", "$lte"};
    static const char *const sorts[] = {"_id", "account", "price", "key"};
    struct fixture *f = *state;

    insert_orders(f->store, 10);
    for (unsigned n = 0; n < 3 * 4 * 4 * 4 * 2; n++) {
        const char *field = (const char *[]){"_id", "account", "key", "account"}[n / 4 % 4];
        AUTO_BSON bson_t *filter = BCON_NEW(field, "{", words[n % 4], "a5", "}");
        const struct store_find find = {filter, sorts[n / 16 % 4], n / 64 % 2, 20};
        char ids[IDS_MAX];
        uint64_t count;
        find_ids(f->store, &find, ids);
        assert_ok(store_count(f->store, "orders", filter, &count));
        assert_int_equal(count, (strlen(ids) + 1) / 5);
    }
}

int main(void)
{
    const struct CMUnitTest faults[] = {
        cmocka_unit_test(what_a_killed_writer_was_acknowledged_is_there),
        CONTRACT_TEST(every_acknowledged_write_was_synced_and_once),
        cmocka_unit_test_teardown(a_full_disk_loses_nothing, unmount),
        cmocka_unit_test(a_file_that_is_not_ours_is_refused),
        CONTRACT_TEST(a_file_locked_by_another_process_is_a_timeout),
        CONTRACT_TEST(a_search_that_takes_too_long_is_interrupted),
        CONTRACT_TEST(an_index_that_comes_back_is_filled_again),
        CONTRACT_TEST(an_index_serves_its_fields_and_the_order_of_ids),
        CONTRACT_TEST(statements_come_and_go),
    };

    if (!mkdtemp(directory)) return 1;
    contract_fresh_url = fresh_url;
    int failed = cmocka_run_group_tests_name("store on SQLite: faults", faults, NULL, NULL);
    failed += contract_run_writes();
    failed += contract_run_reads();
    failed += contract_run_races();
    failed += contract_run_open();
    directory_remove(directory);
    return failed;
}
