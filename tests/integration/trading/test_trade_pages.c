/* Lists of trades, whatever batches their pages were written in. */
#include "support/temp.h"
#include "support/unit.h"

#include "trade_pages.h"
#include "trading_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 3, MARKETS = 2, TRADES_MAX = 4000, SHARD = 3 };

/* Trade n of the shard, from 1. */
struct made {
    unsigned buyer, seller, market;
    bool taker_buys;
};

struct world {
    char directory[TEMP_PATH_SIZE];
    struct store *store;
    struct listings listings;
    struct pages *pages;
    struct made made[TRADES_MAX + 1];
    size_t count;
    uint32_t random;
};

static struct id user_id(unsigned n)
{
    return (struct id){.hi = UINT64_C(0x0190000000000000) + n, .lo = n};
}

static int open_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    temp_make(w->directory);
    char url[TEMP_PATH_SIZE + 32];
    (void)snprintf(url, sizeof url, "sqlite:%s/trading.db", w->directory);
    assert_ok(
        store_open(&(struct store_options){.url = url}, trading_collections, &w->store, NULL));
    listings_init(&w->listings);
    for (uint16_t i = 0; i < MARKETS; i++) {
        struct market *m = calloc(1, sizeof *m);
        assert_non_null(m);
        m->number = i;
        (void)snprintf(m->rules.symbol, sizeof m->rules.symbol, "A%u-B", i);
        listings_renew(&w->listings, m, 0);
        free(m);
    }
    assert_ok(pages_new(&w->pages));
    w->random = 2463534242u;
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    pages_free(w->pages);
    listings_release(&w->listings);
    store_close(w->store);
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

static void make(struct world *w)
{
    w->made[++w->count] =
        (struct made){below(w, USERS), below(w, USERS), below(w, MARKETS), below(w, 2)};
}

/* Everything of a trade is told by its number. */
static void add(struct world *w, uint16_t shard, size_t n)
{
    const struct made *t = &w->made[n];
    struct order_view buyer = {.id = 10 * n, .user = user_id(t->buyer), .terms.side = SIDE_BUY};
    struct order_view seller = {
        .id = 10 * n + 1, .user = user_id(t->seller), .terms.side = SIDE_SELL};
    buyer.market = seller.market = (uint16_t)t->market;
    struct execution x = {.trade_id = ORDER_ID(shard, n),
                          .price = (int64_t)n + 1,
                          .quantity = (int64_t)n + 2,
                          .maker_fee = (int64_t)n + 3,
                          .taker_fee = (int64_t)n + 4,
                          .maker = t->taker_buys ? seller : buyer};
    x.maker.updated_ms = (int64_t)n + 5;
    trade_pages_add(w->pages, &x, t->taker_buys ? &buyer : &seller);
}

static void write_batch(struct world *w, size_t first, size_t last)
{
    for (size_t n = first; n <= last; n++) {
        assert_false(pages_full(w->pages, TRADE_ENTRIES));
        add(w, SHARD, n);
    }
    assert_ok(trade_pages_write(w->pages, w->store, &w->listings));
    pages_clear(w->pages);
}

static void assert_market(struct world *w, unsigned market, size_t limit)
{
    static struct trade page[TRADES_MAX];
    const struct listing *listing = listings_get(&w->listings, market);
    size_t at = w->count, found = limit;
    for (uint64_t before = 0; found == limit;) {
        assert_ok(trade_pages_market(w->store, listing, before, page, limit, &found));
        for (size_t i = 0; i < found; i++, at--) {
            while (at && w->made[at].market != market)
                at--;
            assert_int_equal(page[i].id, ORDER_ID(SHARD, at));
            assert_int_equal(page[i].price, at + 1);
            assert_int_equal(page[i].quantity, at + 2);
            assert_int_equal(page[i].executed_ms, at + 5);
            assert_int_equal(page[i].taker_side, w->made[at].taker_buys ? SIDE_BUY : SIDE_SELL);
        }
        if (found) before = page[found - 1].id;
    }
    for (; at; at--)
        assert_int_not_equal(w->made[at].market, market);
}

static void assert_side(const struct world *w, const struct stored_trade *t, size_t n, bool buys)
{
    bool maker = w->made[n].taker_buys != buys;
    assert_int_equal(t->trade.fill.trade_id, ORDER_ID(SHARD, n));
    assert_int_equal(t->trade.side, buys ? SIDE_BUY : SIDE_SELL);
    assert_int_equal(t->trade.fill.price, n + 1);
    assert_int_equal(t->trade.fill.quantity, n + 2);
    assert_int_equal(t->trade.fill.fee, maker ? n + 3 : n + 4);
    assert_int_equal(t->trade.fill.maker, maker);
    assert_int_equal(t->trade.order_id, 10 * n + !buys);
    assert_int_equal(t->trade.executed_ms, n + 5);
    assert_int_equal(t->market->number, w->made[n].market);
}

/* The next side below position `at` (2 * n + buys) that the list must have; 0: none. */
static size_t next_side(const struct world *w, size_t at, unsigned user, int market)
{
    while (at > 1) {
        const struct made *t = &w->made[--at / 2];
        bool his = (at % 2 ? t->buyer : t->seller) == user;
        if (at > 1 && his && (market < 0 || t->market == (unsigned)market)) return at;
    }
    return 0;
}

static void assert_own(struct world *w, unsigned user, int market, size_t limit)
{
    static struct stored_trade page[TRADES_MAX];
    struct own_query query = {.user = user_id(user)};
    if (market >= 0) query.market = listings_get(&w->listings, (size_t)market);
    size_t at = next_side(w, 2 * w->count + 2, user, market), found = limit;
    while (found == limit) {
        assert_ok(trade_pages_own(w->store, &w->listings, &query, page, limit, &found));
        for (size_t i = 0; i < found; i++) {
            assert_true(at > 0);
            assert_side(w, &page[i], at / 2, at % 2);
            at = next_side(w, at, user, market);
        }
        if (found) query.before = own_position(&page[found - 1].trade);
    }
    assert_int_equal(at, 0);
}

static void assert_lists(struct world *w)
{
    static const size_t limits[] = {1, 3, 101};
    for (size_t i = w->count > 300 ? 2 : 0; i < sizeof limits / sizeof limits[0]; i++)
        for (int market = -1; market < MARKETS; market++) {
            if (market >= 0) assert_market(w, (unsigned)market, limits[i]);
            for (unsigned user = 0; user < USERS; user++)
                assert_own(w, user, market, limits[i]);
        }
}

static void trades_of_any_batches_read_as_one_list(void **state)
{
    struct world *w = *state;
    assert_lists(w);
    for (size_t first = 1; w->count < 250; first = w->count + 1) {
        for (uint32_t more = 1 + below(w, 30); more; more--)
            make(w);
        write_batch(w, first, w->count);
    }
    assert_lists(w);
}

static void more_trades_than_a_page_has_read_as_one_list(void **state)
{
    struct world *w = *state;
    while (w->count < 3 * PAGE_ENTRIES_MAX)
        make(w);
    write_batch(w, 1, w->count);
    assert_lists(w);
}

static void what_is_written_again_in_other_batches_is_there_once(void **state)
{
    struct world *w = *state;
    while (w->count < 120)
        make(w);
    write_batch(w, 1, 40);
    write_batch(w, 41, 90);
    assert_ok(trade_pages_forget(w->store, SHARD, ORDER_ID(SHARD, 40)));
    write_batch(w, 41, 60);
    write_batch(w, 61, 120);
    assert_lists(w);
}

static void forgetting_all_of_a_shard_leaves_the_others_alone(void **state)
{
    struct world *w = *state;
    uint64_t all = 0, left = 0;
    make(w);
    for (uint16_t shard = SHARD - 1; shard <= SHARD + 1; shard++) {
        add(w, shard, 1);
        assert_ok(trade_pages_write(w->pages, w->store, &w->listings));
        pages_clear(w->pages);
    }
    assert_ok(store_count(w->store, TRADES, NULL, &all));
    assert_ok(trade_pages_forget(w->store, SHARD, 0));
    assert_ok(store_count(w->store, TRADES, NULL, &left));
    assert_int_equal(left, all / 3 * 2);
}

static void a_damaged_page_is_told(void **state)
{
    struct world *w = *state;
    struct trade trade;
    size_t found = 0;
    AUTO_BSON bson_t *d = BCON_NEW("_id", BCON_UTF8("A0-B/0000000000000001"), "n",
                                   BCON_UTF8("0000000000000001"), "e", BCON_UTF8("no entries"));
    const bson_t *documents[] = {d};
    assert_ok(store_put_many(w->store, TRADES, documents, 1));
    assert_err(trade_pages_market(w->store, listings_get(&w->listings, 0), 0, &trade, 1, &found),
               ERR_CORRUPT);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(trades_of_any_batches_read_as_one_list),
        world_test(more_trades_than_a_page_has_read_as_one_list),
        world_test(what_is_written_again_in_other_batches_is_there_once),
        world_test(forgetting_all_of_a_shard_leaves_the_others_alone),
        world_test(a_damaged_page_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
