/* Pages of trades in and out. Entries have a fixed size, so a page is read from its end. */
#include "trade_pages.h"

#include "codec.h"
#include "command.h"

#include <stdio.h>
#include <stdlib.h>

#define MARKET_ENTRY_SIZE 33 /* id, price, quantity, time; taker's side */
#define OWN_ENTRY_SIZE    51 /* position, price, quantity, fee, order, time; market; maker? */
#define ALL_MARKETS       UINT32_MAX /* of a key: a user's sides in all of them */
#define KEY_SIZE          80         /* user, '.', symbol, '/', NUL */
#define HEX_SIZE          17
#define PAGES_AT_ONCE     4 /* read together: most lists need less than one */

_Static_assert(OWN_ENTRY_SIZE <= PAGE_ENTRY_SIZE_MAX, "pages take any side");
_Static_assert(ID_TEXT_SIZE + 1 + SYMBOL_MAX + 1 <= KEY_SIZE, "a key has room");

const struct store_index trade_indexes[] = {
    {.name = "by_trade", .fields = {"n"}},
    {.name = NULL},
};

/* ---- writing ---- */

static uint64_t side_position(uint64_t trade_id, enum side side)
{
    return trade_id * 2 + (side == SIDE_BUY);
}

uint64_t own_position(const struct own_trade *t)
{
    return side_position(t->fill.trade_id, t->side);
}

static void add_side(struct pages *p, const struct execution *x, const struct order_view *own,
                     bool maker)
{
    uint8_t body[OWN_ENTRY_SIZE];
    struct writer w = {.at = body, .end = body + sizeof body};
    uint64_t position = side_position(x->trade_id, own->terms.side);
    put_u64(&w, position);
    put_i64(&w, x->price);
    put_i64(&w, x->quantity);
    put_i64(&w, maker ? x->maker_fee : x->taker_fee);
    put_u64(&w, own->id);
    put_i64(&w, x->maker.updated_ms);
    put_u16(&w, own->market);
    put_u8(&w, maker);
    CHECK(!w.failed && w.at == w.end);
    pages_add(p, &(struct page_key){own->user, ALL_MARKETS}, position, body, sizeof body);
    pages_add(p, &(struct page_key){own->user, own->market}, position, body, sizeof body);
}

void trade_pages_add(struct pages *p, const struct execution *x, const struct order_view *taker)
{
    uint8_t body[MARKET_ENTRY_SIZE];
    struct writer w = {.at = body, .end = body + sizeof body};
    put_u64(&w, x->trade_id);
    put_i64(&w, x->price);
    put_i64(&w, x->quantity);
    put_i64(&w, x->maker.updated_ms);
    put_u8(&w, taker->terms.side);
    CHECK(!w.failed && w.at == w.end);
    pages_add(p, &(struct page_key){.of = taker->market}, x->trade_id, body, sizeof body);
    bool taker_sells = taker->terms.side == SIDE_SELL; /* who sells comes first */
    if (taker_sells) add_side(p, x, taker, false);
    add_side(p, x, &x->maker, true);
    if (!taker_sells) add_side(p, x, taker, false);
}

static void key_text(const struct id *user, const struct listing *market, char ret[static KEY_SIZE])
{
    char id[ID_TEXT_SIZE] = "";
    if (user) id_format(*user, id);
    (void)snprintf(ret, KEY_SIZE, "%s%s%s/", id, user && market ? "." : "",
                   market ? market->symbol : "");
}

static void page_key_text(const struct page_key *key, struct listings *listings,
                          char ret[static KEY_SIZE])
{
    bool user = key->owner.hi || key->owner.lo;
    const struct listing *market = key->of == ALL_MARKETS ? NULL : listings_get(listings, key->of);
    key_text(user ? &key->owner : NULL, market, ret);
}

static bson_t *page_to_bson(const struct page *page, struct listings *listings)
{
    char key[KEY_SIZE], id[KEY_SIZE + HEX_SIZE], first[HEX_SIZE];
    bool market = !page->key.owner.hi && !page->key.owner.lo;
    page_key_text(&page->key, listings, key);
    (void)snprintf(id, sizeof id, "%s%016" PRIx64, key, page->first);
    (void)snprintf(first, sizeof first, "%016" PRIx64, market ? page->first : page->first / 2);
    bson_t *d = bson_sized_new(page->size + 160);
    CHECK(BSON_APPEND_UTF8(d, "_id", id) && BSON_APPEND_UTF8(d, "n", first) &&
          BSON_APPEND_BINARY(d, "e", BSON_SUBTYPE_BINARY, page->bytes, (uint32_t)page->size));
    return d;
}

struct destination {
    struct store *store;
    struct listings *listings;
};

static enum err put(void *arg, const struct page *pages, size_t count)
{
    const struct destination *to = arg;
    AUTO_FREE bson_t **documents = calloc(count, sizeof *documents);
    if (!documents) return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        documents[i] = page_to_bson(&pages[i], to->listings);
    enum err e = store_put_many(to->store, TRADES, (const bson_t *const *)documents, count);
    for (size_t i = 0; i < count; i++)
        bson_destroy(documents[i]);
    return e;
}

enum err trade_pages_write(struct pages *p, struct store *s, struct listings *listings)
{
    return pages_write(p, put, &(struct destination){s, listings});
}

enum err trade_pages_forget(struct store *s, uint16_t shard, uint64_t last_trade_id)
{
    char above[HEX_SIZE], last[HEX_SIZE];
    uint64_t begin = ORDER_ID(shard, 0), end = ORDER_ID(shard + UINT64_C(1), 0) - 1;
    (void)snprintf(above, sizeof above, "%016" PRIx64,
                   last_trade_id > begin ? last_trade_id : begin);
    (void)snprintf(last, sizeof last, "%016" PRIx64, end);
    AUTO_BSON bson_t *filter =
        BCON_NEW("n", "{", "$gt", BCON_UTF8(above), "$lte", BCON_UTF8(last), "}");
    uint64_t deleted = STORE_FIND_MAX;
    enum err e = OK;
    while (!e && deleted == STORE_FIND_MAX)
        e = store_delete_many(s, TRADES, filter, STORE_FIND_MAX, &deleted);
    return e;
}

/* ---- reading ---- */

/* A list that is being read, from its end. */
struct list {
    char key[KEY_SIZE];
    uint64_t before; /* moves down */
    size_t entry_size;
    size_t max, count;
    bool (*take)(struct list *l, struct reader *entry); /* into ret[count]; false: damaged */
    void *ret;
    struct listings *listings;
};

static enum err find_pages(struct store *s, const struct list *l, struct store_cursor **ret)
{
    char below[KEY_SIZE + HEX_SIZE];
    uint64_t before = l->before ? l->before : UINT64_MAX;
    (void)snprintf(below, sizeof below, "%s%016" PRIx64, l->key, before);
    AUTO_BSON bson_t *filter =
        BCON_NEW("_id", "{", "$gt", BCON_UTF8(l->key), "$lt", BCON_UTF8(below), "}");
    const struct store_find find = {
        .filter = filter, .sort = "_id", .descending = true, .limit = PAGES_AT_ONCE};
    return store_find(s, TRADES, &find, ret);
}

static enum err read_page(struct list *l, const bson_t *document)
{
    bson_iter_t at;
    uint32_t size = 0;
    const uint8_t *bytes = NULL;
    if (!bson_iter_init_find(&at, document, "e") || !BSON_ITER_HOLDS_BINARY(&at))
        return ERR_CORRUPT;
    bson_iter_binary(&at, NULL, &size, &bytes);
    if (!size || size % l->entry_size) return ERR_CORRUPT;
    for (size_t i = size / l->entry_size; i > 0 && l->count < l->max; i--) {
        const uint8_t *start = bytes + (i - 1) * l->entry_size;
        struct reader position = {.at = start, .end = start + l->entry_size};
        struct reader entry = position;
        uint64_t number = get_u64(&position);
        if (l->before && number >= l->before) continue;
        if (!l->take(l, &entry)) return ERR_CORRUPT;
        l->before = number;
        l->count++;
    }
    return OK;
}

static enum err read_list(struct store *s, struct list *l)
{
    size_t found = PAGES_AT_ONCE;
    enum err e = OK;
    while (!e && found == PAGES_AT_ONCE && l->count < l->max) {
        AUTO_CURSOR struct store_cursor *cursor = NULL;
        const bson_t *document;
        e = find_pages(s, l, &cursor);
        for (found = 0; !e && l->count < l->max; found++) {
            e = store_cursor_next(cursor, &document);
            if (e == ERR_NOT_FOUND) break;
            if (!e) e = read_page(l, document);
        }
        if (e == ERR_NOT_FOUND) e = OK;
    }
    return e;
}

static bool take_trade(struct list *l, struct reader *entry)
{
    struct trade *t = (struct trade *)l->ret + l->count;
    t->id = get_u64(entry);
    t->price = get_i64(entry);
    t->quantity = get_i64(entry);
    t->executed_ms = get_i64(entry);
    t->taker_side = get_u8(entry);
    return !entry->failed;
}

enum err trade_pages_market(struct store *s, const struct listing *market, uint64_t before,
                            struct trade *ret, size_t max, size_t *ret_count)
{
    struct list l = {.before = before,
                     .entry_size = MARKET_ENTRY_SIZE,
                     .max = max,
                     .take = take_trade,
                     .ret = ret};
    key_text(NULL, market, l.key);
    enum err e = read_list(s, &l);
    if (!e) *ret_count = l.count;
    return e;
}

static bool take_side(struct list *l, struct reader *entry)
{
    struct stored_trade *t = (struct stored_trade *)l->ret + l->count;
    uint64_t position = get_u64(entry);
    t->trade.fill.trade_id = position / 2;
    t->trade.side = position % 2 ? SIDE_BUY : SIDE_SELL;
    t->trade.fill.price = get_i64(entry);
    t->trade.fill.quantity = get_i64(entry);
    t->trade.fill.fee = get_i64(entry);
    t->trade.order_id = get_u64(entry);
    t->trade.executed_ms = get_i64(entry);
    uint16_t market = get_u16(entry);
    t->trade.fill.maker = get_u8(entry);
    if (entry->failed || market >= listings_count(l->listings)) return false;
    t->market = listings_get(l->listings, market);
    return true;
}

enum err trade_pages_own(struct store *s, struct listings *listings, const struct own_query *query,
                         struct stored_trade *ret, size_t max, size_t *ret_count)
{
    struct list l = {.before = query->before,
                     .entry_size = OWN_ENTRY_SIZE,
                     .max = max,
                     .take = take_side,
                     .ret = ret,
                     .listings = listings};
    key_text(&query->user, query->market, l.key);
    enum err e = read_list(s, &l);
    if (!e) *ret_count = l.count;
    return e;
}
