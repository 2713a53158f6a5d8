/* Pages of entries, whatever batches they were written in, read as one statement. */
#include "support/temp.h"
#include "support/unit.h"

#include "wallet_store.h"

#include <stdio.h>
#include <string.h>

enum { OWNERS = 3, ASSETS = 3, ENTRIES_MAX = 6 * PAGE_ENTRIES_MAX };

/* An entry's position is its number here, from 1. */
struct world {
    char directory[TEMP_PATH_SIZE];
    struct store *store;
    struct ledger *ledger;
    struct pages *pages;
    struct buf bytes;
    unsigned owners[ENTRIES_MAX + 1], assets[ENTRIES_MAX + 1];
    size_t count;
    uint32_t random;
};

static struct id owner_id(unsigned n)
{
    return (struct id){.hi = UINT64_C(0x0190000000000000) + n, .lo = n};
}

static int open_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct ledger_output *out = calloc(1, sizeof *out);
    assert_non_null(w);
    assert_non_null(out);
    temp_make(w->directory);
    char url[TEMP_PATH_SIZE + 32];
    (void)snprintf(url, sizeof url, "sqlite:%s/wallet.db", w->directory);
    const struct store_options options = {.url = url};
    assert_ok(store_open(&options, wallet_collections, &w->store, NULL));
    w->ledger = ledger_new(&(struct ledger_options){.seed = 1});
    for (unsigned i = 0; i < ASSETS; i++) {
        struct ledger_command c = {.kind = COMMAND_ASSET, .asset = {.scale = 8}};
        (void)snprintf(c.asset.name, sizeof c.asset.name, "A%u", i);
        assert_int_equal(ledger_apply(w->ledger, i + 1, &c, out), LEDGER_OK);
    }
    free(out);
    assert_ok(pages_new(&w->pages));
    buf_init(&w->bytes, 16 * 1024 * 1024);
    w->random = 2463534242u;
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    pages_free(w->pages);
    ledger_free(w->ledger);
    store_close(w->store);
    buf_release(&w->bytes);
    temp_remove(w->directory);
    free(w);
    return 0;
}

static uint32_t below(struct world *w, uint32_t limit)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return w->random % limit;
}

static void add(struct world *w, unsigned owner, unsigned asset)
{
    w->count++;
    w->owners[w->count] = owner;
    w->assets[w->count] = asset;
}

static enum err put_pages(void *arg, const struct page *pages, size_t count)
{
    const struct world *w = arg;
    return wallet_store_put_pages(w->store, w->ledger, pages, count);
}

/* The entries from `first` to `last` as one batch. */
static enum err write_batch(struct world *w, size_t first, size_t last)
{
    buf_clear(&w->bytes);
    for (size_t i = first; i <= last; i++) {
        const struct ledger_entry entry = {.owner = owner_id(w->owners[i]),
                                           .asset = (uint16_t)w->assets[i],
                                           .amount = (int64_t)i,
                                           .total_after = -(int64_t)i,
                                           .kind = ENTRY_TRANSFER,
                                           .trade_id = i % 2 ? 0 : i};
        const struct entry_where where = {
            .position = i, .time_ms = (int64_t)(1000 * i), .reference = {"why", i % 2 ? 3 : 0}};
        entry_write(&w->bytes, &entry, &where);
    }
    assert_ok(w->bytes.error);
    struct reader r = {.at = (const uint8_t *)w->bytes.data,
                       .end = (const uint8_t *)w->bytes.data + w->bytes.size};
    while (r.at < r.end) {
        struct entry_whose whose;
        const uint8_t *body;
        size_t size;
        assert_true(entry_read(&r, &whose, &body, &size));
        const struct page_key key = {whose.owner, whose.asset};
        pages_add(w->pages, &key, entry_position(body), body, size);
    }
    enum err e = pages_write(w->pages, put_pages, w);
    pages_clear(w->pages);
    return e;
}

static void assert_entry(const struct world *w, const struct entry_row *row, size_t n)
{
    char asset[16], trade[24];
    (void)snprintf(asset, sizeof asset, "A%u", w->assets[n]);
    (void)snprintf(trade, sizeof trade, "%zu", n);
    assert_int_equal(row->position, n);
    assert_true(id_equal(row->owner, owner_id(w->owners[n])));
    assert_string_equal(row->asset, asset);
    assert_int_equal(row->amount, n);
    assert_int_equal(row->total_after, -(int64_t)n);
    assert_int_equal(row->time_ms, 1000 * n);
    assert_int_equal(row->kind, ENTRY_TRANSFER);
    assert_string_equal(row->reference, n % 2 ? "why" : trade);
}

/* Reads page after page; each entry of the owner (and asset; -1: all) comes once, newest first. */
static void assert_statement(struct world *w, unsigned owner, int asset, unsigned limit)
{
    static struct entry_row rows[STATEMENT_ITEMS_MAX + 1];
    char name[16] = "";
    if (asset >= 0) (void)snprintf(name, sizeof name, "A%d", asset);
    struct statement query = {.owner = owner_id(owner), .asset = name, .limit = limit};
    size_t at = w->count, found = limit;
    while (found == limit) {
        assert_ok(wallet_store_statement(w->store, &query, rows, &found));
        for (size_t i = 0; i < found; i++, at--) {
            while (at &&
                   (w->owners[at] != owner || (asset >= 0 && w->assets[at] != (unsigned)asset)))
                at--;
            assert_true(at > 0);
            assert_entry(w, &rows[i], at);
        }
        if (found) query.before = rows[found - 1].position;
    }
    for (; at; at--)
        assert_false(w->owners[at] == owner && (asset < 0 || w->assets[at] == (unsigned)asset));
}

static void assert_statements(struct world *w)
{
    static const unsigned limits[] = {1, 2, 7, 50, STATEMENT_ITEMS_MAX + 1};
    for (size_t i = w->count > 500 ? 3 : 0; i < sizeof limits / sizeof limits[0]; i++)
        for (unsigned owner = 0; owner < OWNERS; owner++)
            for (int asset = -1; asset < ASSETS; asset++)
                assert_statement(w, owner, asset, limits[i]);
}

static void nothing_was_written_and_the_statement_is_empty(void **state)
{
    assert_statements(*state);
}

static void entries_of_any_batches_read_as_one_statement(void **state)
{
    struct world *w = *state;
    for (size_t first = 1; w->count < 300; first = w->count + 1) {
        for (uint32_t more = 1 + below(w, 40); more; more--)
            add(w, below(w, OWNERS), below(w, ASSETS));
        assert_ok(write_batch(w, first, w->count));
        if (w->count % 3 == 0) assert_statements(w);
    }
    assert_statements(w);
}

static void an_account_with_more_entries_than_a_page_has_several_of_one_batch(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 2 * PAGE_ENTRIES_MAX + 1; i++) {
        add(w, 0, 0);
        if (i % 2) add(w, 0, 1);
        if (i == PAGE_ENTRIES_MAX) add(w, 1, 2);
    }
    assert_ok(write_batch(w, 1, w->count));
    assert_statements(w);
    uint64_t documents = 0;
    assert_ok(store_count(w->store, "wallet_entries", NULL, &documents));
    assert_int_equal(documents, 3 + 1 + 1);
}

static void what_is_written_again_in_other_batches_is_there_once(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 200; i++)
        add(w, below(w, OWNERS), below(w, ASSETS));
    assert_ok(write_batch(w, 1, 60));
    assert_ok(write_batch(w, 61, 130));
    assert_ok(write_batch(w, 131, 150));
    assert_ok(wallet_store_forget_entries(w->store, 60)); /* the first is known to be there */
    assert_ok(write_batch(w, 61, 100));
    assert_ok(write_batch(w, 101, 200));
    assert_statements(w);
}

static void more_pages_than_one_call_deletes_are_all_forgotten(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < STORE_FIND_MAX + 2; i++) {
        add(w, 0, 0);
        assert_ok(write_batch(w, w->count, w->count));
    }
    assert_ok(wallet_store_forget_entries(w->store, 1));
    w->count = 1;
    assert_statements(w);
}

static void a_batch_can_be_written_again_after_a_failure(void **state)
{
    struct world *w = *state;
    add(w, 0, 0);
    add(w, 1, 0);
    store_fail_nth(w->store, 1);
    assert_err(write_batch(w, 1, 2), ERR_UNAVAILABLE);
    assert_statement(w, 2, -1, 7);
    assert_ok(write_batch(w, 1, 2));
    assert_statements(w);
}

static void a_page_that_is_damaged_is_told(void **state)
{
    struct world *w = *state;
    static const uint8_t short_body[ENTRY_BODY_SIZE - 1];
    const struct page page = {.key = {owner_id(0), 0},
                              .first = 1,
                              .until = 1,
                              .bytes = short_body,
                              .size = sizeof short_body};
    struct entry_row row;
    size_t found = 0;
    const struct statement query = {.owner = owner_id(0), .asset = "", .limit = 1};
    assert_ok(wallet_store_put_pages(w->store, w->ledger, &page, 1));
    assert_err(wallet_store_statement(w->store, &query, &row, &found), ERR_CORRUPT);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(nothing_was_written_and_the_statement_is_empty),
        world_test(entries_of_any_batches_read_as_one_statement),
        world_test(an_account_with_more_entries_than_a_page_has_several_of_one_batch),
        world_test(what_is_written_again_in_other_batches_is_there_once),
        world_test(more_pages_than_one_call_deletes_are_all_forgotten),
        world_test(a_batch_can_be_written_again_after_a_failure),
        world_test(a_page_that_is_damaged_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
