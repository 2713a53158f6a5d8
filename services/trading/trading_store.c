/* Documents in and out. Field names are short: there are millions of them. */
#include "trading_store.h"

#include <inttypes.h>
#include <stdio.h>

#define ORDERS         "orders"
#define WATERMARKS     "watermarks"

#define ID_HEX_SIZE    17 /* 16 digits and the NUL: sorts as the number */
#define ORDER_KEY_SIZE (ID_TEXT_SIZE + ID_HEX_SIZE - 1)

const struct store_collection trading_collections[] = {
    {ORDERS, NULL},
    {TRADES, trade_indexes},
    {WATERMARKS, NULL},
    {NULL, NULL},
};

/* ---- writing ---- */

static void hex_id(uint64_t id, char ret[static ID_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; i--, id >>= 4)
        ret[i] = digits[id & 15];
    ret[16] = 0;
}

static void order_key(struct id user, uint64_t order_id, char ret[static ORDER_KEY_SIZE])
{
    id_format(user, ret);
    hex_id(order_id, ret + ID_TEXT_SIZE - 1);
}

static void add_text(bson_t *d, const char *key, const char *text)
{
    CHECK(bson_append_utf8(d, key, -1, text, -1));
}

static void add_number(bson_t *d, const char *key, int64_t number)
{
    CHECK(bson_append_int64(d, key, -1, number));
}

static void add_small(bson_t *d, const char *key, int32_t number)
{
    CHECK(bson_append_int32(d, key, -1, number));
}

void order_to_bson(const struct order_view *o, const struct listing *market, bson_t *ret)
{
    char key[ORDER_KEY_SIZE];
    order_key(o->user, o->id, key);
    bson_reinit(ret);
    add_text(ret, "_id", key);
    add_text(ret, "m", market->symbol);
    if (o->client_id.size) add_text(ret, "c", o->client_id.text);
    /* side, type, time in force, status, reason: one digit or two each */
    add_small(ret, "k",
              o->terms.side | o->terms.type << 4 | o->terms.lifetime << 8 | o->status << 12 |
                  o->reason << 16);
    add_number(ret, "p", o->terms.price);
    add_number(ret, "q", o->terms.quantity);
    add_number(ret, "f", o->filled);
    add_number(ret, "fq", o->filled_quote);
    add_number(ret, "fee", o->fee);
    add_number(ret, "t", o->created_ms);
    add_number(ret, "ut", o->updated_ms);
}

/* ---- reading ---- */

static int64_t number_of(const bson_t *d, const char *key)
{
    bson_iter_t i;
    return bson_iter_init_find(&i, d, key) ? bson_iter_as_int64(&i) : 0;
}

static const char *text_of(const bson_t *d, const char *key)
{
    bson_iter_t i;
    if (!bson_iter_init_find(&i, d, key) || !BSON_ITER_HOLDS_UTF8(&i)) return "";
    return bson_iter_utf8(&i, NULL);
}

static bool hex_parse(const char *text, uint64_t *ret)
{
    char *end;
    if (strlen(text) != ID_HEX_SIZE - 1) return false;
    *ret = strtoull(text, &end, 16);
    return !*end;
}

static bool key_parse(const char *key, struct id *ret_user, uint64_t *ret_order_id)
{
    char user[ID_TEXT_SIZE];
    if (strlen(key) != ORDER_KEY_SIZE - 1) return false;
    memcpy(user, key, ID_TEXT_SIZE - 1);
    user[ID_TEXT_SIZE - 1] = 0;
    return id_parse(user, ret_user) && hex_parse(key + ID_TEXT_SIZE - 1, ret_order_id);
}

static enum err order_from_bson(const bson_t *d, struct listings *listings, struct order_view *ret)
{
    struct order_view o = {0};
    const struct listing *market = listings_find(listings, text_of(d, "m"));
    int64_t kinds = number_of(d, "k");
    const char *client_id = text_of(d, "c");
    size_t size = strlen(client_id);
    if (!market || !key_parse(text_of(d, "_id"), &o.user, &o.id)) return ERR_CORRUPT;
    if (size > CLIENT_ID_MAX || kinds >> 16 < 0 || kinds >> 16 >= REASON_COUNT) return ERR_CORRUPT;

    o.market = market->number;
    memcpy(o.client_id.text, client_id, size);
    o.client_id.size = (uint8_t)size;
    o.terms.side = kinds & 15;
    o.terms.type = kinds >> 4 & 15;
    o.terms.lifetime = kinds >> 8 & 15;
    o.status = kinds >> 12 & 15;
    o.reason = (uint8_t)(kinds >> 16);
    o.terms.price = number_of(d, "p");
    o.terms.quantity = number_of(d, "q");
    o.filled = number_of(d, "f");
    o.filled_quote = number_of(d, "fq");
    o.fee = number_of(d, "fee");
    o.created_ms = number_of(d, "t");
    o.updated_ms = number_of(d, "ut");
    *ret = o;
    return OK;
}

enum err trading_store_order(struct store *s, struct listings *listings, struct id user,
                             uint64_t order_id, struct order_view *ret)
{
    AUTO_BSON bson_t *document = NULL;
    char key[ORDER_KEY_SIZE];
    order_key(user, order_id, key);
    enum err e = store_find_id(s, ORDERS, key, &document);
    if (e) return e;
    return order_from_bson(document, listings, ret);
}

static enum err find_newest(struct store *s, const char *collection, const bson_t *filter,
                            size_t max, struct store_cursor **ret)
{
    const struct store_find find = {
        .filter = filter, .sort = "_id", .descending = true, .limit = (unsigned)max};
    return store_find(s, collection, &find, ret);
}

enum err trading_store_orders(struct store *s, struct listings *listings, struct id user,
                              uint64_t before, struct order_view *ret, size_t max,
                              size_t *ret_count)
{
    AUTO_BSON bson_t *filter = bson_new();
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    const bson_t *document;
    bson_t range;
    char from[ORDER_KEY_SIZE], below[ORDER_KEY_SIZE];
    size_t count = 0;
    order_key(user, 0, from);
    order_key(user, before ? before : UINT64_MAX, below);
    CHECK(bson_append_document_begin(filter, "_id", -1, &range));
    add_text(&range, "$gt", from);
    add_text(&range, "$lt", below);
    CHECK(bson_append_document_end(filter, &range));
    enum err e = find_newest(s, ORDERS, filter, max, &cursor);
    while (!e && !(e = store_cursor_next(cursor, &document)))
        e = order_from_bson(document, listings, &ret[count++]);
    if (e != ERR_NOT_FOUND) return e;
    *ret_count = count;
    return OK;
}

/* ---- the watermark ---- */

static void watermark_id(uint16_t shard, char *ret, size_t size)
{
    (void)snprintf(ret, size, "trading-%u", shard);
}

enum err trading_store_watermark(struct store *s, uint16_t shard, struct watermark *ret)
{
    AUTO_BSON bson_t *document = NULL;
    char id[32];
    watermark_id(shard, id, sizeof id);
    enum err e = store_find_id(s, WATERMARKS, id, &document);
    if (e && e != ERR_NOT_FOUND) return e;
    *ret = (struct watermark){0};
    if (e) return OK;
    ret->seq = (uint64_t)number_of(document, "seq");
    ret->trade_id = (uint64_t)number_of(document, "trade");
    return OK;
}

enum err trading_store_set_watermark(struct store *s, uint16_t shard, struct watermark w)
{
    AUTO_BSON bson_t *document = bson_new();
    char id[32];
    watermark_id(shard, id, sizeof id);
    add_text(document, "_id", id);
    add_number(document, "seq", (int64_t)w.seq);
    add_number(document, "trade", (int64_t)w.trade_id);
    const bson_t *documents[] = {document};
    return store_put_many(s, WATERMARKS, documents, 1);
}
