/* The wallet's documents in and out. */
#include "wallet_store.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES    "wallet_entries"
#define TRANSFERS  "wallet_transfers"
#define WATERMARKS "wallet_watermarks"
#define WATERMARK  "entries" /* the _id of the only one */

static const struct store_index entries_indexes[] = {
    {"by_owner", {"owner"}, false},
    {"by_owner_asset", {"owner", "asset"}, false},
    {0},
};
const struct store_collection wallet_collections[] = {
    {ENTRIES, entries_indexes},
    {TRANSFERS, NULL},
    {WATERMARKS, NULL},
    {0},
};

/* ---- reading fields that we wrote ourselves: a document without them is damaged ---- */

static bool read_owner(const bson_t *doc, const char *name, struct id *ret)
{
    char text[ID_TEXT_SIZE];
    return store_text(doc, name, text, sizeof text) && id_parse(text, ret);
}

/* ---- writing ---- */

#define POSITION_TEXT_SIZE 20 /* 19 digits, so that they sort as the number, and the NUL */

static void position_text(uint64_t position, char ret[static POSITION_TEXT_SIZE])
{
    size_t at = POSITION_TEXT_SIZE - 1;
    for (ret[at] = 0; at; position /= 10)
        ret[--at] = (char)('0' + position % 10);
}

static bson_t *page_to_bson(const struct page *page, const char *asset)
{
    char id[POSITION_TEXT_SIZE];
    char owner[ID_TEXT_SIZE];
    position_text(page->first, id);
    id_format(page->key.owner, owner);
    bson_t *d = bson_sized_new(page->size + 160);
    CHECK(BSON_APPEND_UTF8(d, "_id", id));
    CHECK(BSON_APPEND_UTF8(d, "owner", owner));
    CHECK(BSON_APPEND_UTF8(d, "asset", asset));
    CHECK(BSON_APPEND_INT64(d, "until", (int64_t)page->until));
    CHECK(BSON_APPEND_BINARY(d, "entries", BSON_SUBTYPE_BINARY, page->bytes, (uint32_t)page->size));
    return d;
}

static bson_t *transfer_to_bson(const struct transfer_row *row)
{
    char id[ID_TEXT_SIZE];
    char from[ID_TEXT_SIZE];
    char to[ID_TEXT_SIZE];
    id_format(row->id, id);
    id_format(row->from, from);
    id_format(row->to, to);
    return BCON_NEW("_id", BCON_UTF8(id), "from", BCON_UTF8(from), "to", BCON_UTF8(to), "asset",
                    BCON_UTF8(row->asset), "amount", BCON_INT64(row->amount), "time_ms",
                    BCON_INT64(row->time_ms));
}

static enum err put(struct store *s, const char *collection, bson_t **own_documents, size_t count)
{
    enum err e = OK;
    if (count) e = store_put_many(s, collection, (const bson_t *const *)own_documents, count);
    for (size_t i = 0; i < count; i++)
        bson_destroy(own_documents[i]);
    return e;
}

enum err wallet_store_put_pages(struct store *s, const struct ledger *names,
                                const struct page *pages, size_t count)
{
    CHECK(count <= STORE_BULK_MAX);
    bson_t *documents[STORE_BULK_MAX];
    for (size_t i = 0; i < count; i++)
        documents[i] = page_to_bson(&pages[i], ledger_asset(names, pages[i].key.of).name);
    return put(s, ENTRIES, documents, count);
}

enum err wallet_store_forget_entries(struct store *s, uint64_t position)
{
    char id[POSITION_TEXT_SIZE];
    position_text(position, id);
    AUTO_BSON bson_t *filter = BCON_NEW("_id", "{", "$gt", BCON_UTF8(id), "}");
    uint64_t deleted = STORE_FIND_MAX;
    enum err e = OK;
    while (!e && deleted == STORE_FIND_MAX)
        e = store_delete_many(s, ENTRIES, filter, STORE_FIND_MAX, &deleted);
    return e;
}

enum err wallet_store_put_transfers(struct store *s, const struct transfer_row *rows, size_t count)
{
    CHECK(count <= STORE_BULK_MAX);
    bson_t *documents[STORE_BULK_MAX];
    for (size_t i = 0; i < count; i++)
        documents[i] = transfer_to_bson(&rows[i]);
    return put(s, TRANSFERS, documents, count);
}

enum err wallet_store_put_watermark(struct store *s, uint64_t seq)
{
    bson_t *document = BCON_NEW("_id", BCON_UTF8(WATERMARK), "seq", BCON_INT64((int64_t)seq),
                                "time_ms", BCON_INT64(clock_wall_ms()));
    return put(s, WATERMARKS, &document, 1);
}

/* ---- reading ---- */

enum err wallet_store_watermark(struct store *s, uint64_t *ret)
{
    AUTO_BSON bson_t *doc = NULL;
    int64_t seq = 0;
    enum err e = store_find_id(s, WATERMARKS, WATERMARK, &doc);
    if (e && e != ERR_NOT_FOUND) return e;
    if (!e && (!store_int(doc, "seq", &seq) || seq < 0)) return ERR_CORRUPT;
    *ret = (uint64_t)seq;
    return OK;
}

enum err wallet_store_transfer(struct store *s, struct id id, struct transfer_row *ret)
{
    char text[ID_TEXT_SIZE];
    AUTO_BSON bson_t *doc = NULL;
    id_format(id, text);
    enum err e = store_find_id(s, TRANSFERS, text, &doc);
    if (e) return e;
    struct transfer_row row = {.id = id};
    if (!read_owner(doc, "from", &row.from) || !read_owner(doc, "to", &row.to) ||
        !store_text(doc, "asset", row.asset, sizeof row.asset) ||
        !store_int(doc, "amount", &row.amount) || !store_int(doc, "time_ms", &row.time_ms))
        return ERR_CORRUPT;
    *ret = row;
    return OK;
}

/*
 * The newest entries below a position, gathered batch by batch: within a batch the accounts' pages
 * overlap, so a batch is read to its end and then sorted.
 */
struct gather {
    const struct statement *query;
    struct entry_row *rows; /* those of the batches read so far */
    size_t count, capacity;
    int64_t until;  /* of the batch at hand */
    uint64_t first; /* of the last page read */
    bool enough;
};

/* Of a page's entries the newest that the statement can show. */
static enum err gather_entries(struct gather *g, const struct entry_row *whose, struct reader r)
{
    struct entry_row row = *whose;
    struct reader count = r;
    size_t wanted = 0;
    while (count.at < count.end) {
        if (!entry_read_body(&count, &row)) return ERR_CORRUPT;
        wanted += !g->query->before || row.position < g->query->before;
    }
    size_t skip = wanted > g->query->limit ? wanted - g->query->limit : 0;
    for (size_t i = 0; i < wanted; i++) {
        CHECK(entry_read_body(&r, &row));
        if (i < skip) continue;
        if (g->count == g->capacity) {
            size_t capacity = g->capacity ? 2 * g->capacity : STATEMENT_ITEMS_MAX;
            struct entry_row *rows = reallocarray(g->rows, capacity, sizeof *rows);
            if (!rows) return ERR_NO_MEMORY;
            g->rows = rows;
            g->capacity = capacity;
        }
        g->rows[g->count++] = row;
    }
    return OK;
}

static enum err gather_page(struct gather *g, const bson_t *doc)
{
    struct entry_row whose = {0};
    char first[POSITION_TEXT_SIZE];
    const uint8_t *bytes = NULL;
    uint32_t size = 0;
    int64_t until = 0;
    bson_iter_t at;
    bool whole = read_owner(doc, "owner", &whose.owner) &&
                 store_text(doc, "asset", whose.asset, sizeof whose.asset) &&
                 store_text(doc, "_id", first, sizeof first) && store_int(doc, "until", &until) &&
                 bson_iter_init_find(&at, doc, "entries") && BSON_ITER_HOLDS_BINARY(&at);
    if (!whole) return ERR_CORRUPT;
    g->enough = until != g->until && g->count >= g->query->limit;
    if (g->enough) return OK;
    g->until = until;
    g->first = strtoull(first, NULL, 10);
    bson_iter_binary(&at, NULL, &size, &bytes);
    return gather_entries(g, &whose, (struct reader){.at = bytes, .end = bytes + size});
}

/* The next documents; fewer than STORE_FIND_MAX were the last. */
static enum err gather_some(struct gather *g, struct store *s, size_t *ret_count)
{
    char owner[ID_TEXT_SIZE];
    char below[POSITION_TEXT_SIZE];
    id_format(g->query->owner, owner);
    AUTO_BSON bson_t *filter = BCON_NEW("owner", BCON_UTF8(owner));
    if (g->query->asset[0]) BSON_APPEND_UTF8(filter, "asset", g->query->asset);
    if (g->first) {
        position_text(g->first, below);
        BCON_APPEND(filter, "_id", "{", "$lt", BCON_UTF8(below), "}");
    }
    const struct store_find find = {
        .filter = filter, .sort = "_id", .descending = true, .limit = g->query->limit};
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    const bson_t *doc;
    enum err e = store_find(s, ENTRIES, &find, &cursor);
    for (*ret_count = 0; !e && !g->enough; ++*ret_count) {
        e = store_cursor_next(cursor, &doc);
        if (e == ERR_NOT_FOUND) return OK;
        if (!e) e = gather_page(g, doc);
    }
    return e;
}

static int newest_first(const void *left, const void *right)
{
    uint64_t a = ((const struct entry_row *)left)->position;
    uint64_t b = ((const struct entry_row *)right)->position;
    return a < b ? 1 : a > b ? -1 : 0;
}

enum err wallet_store_statement(struct store *s, const struct statement *query,
                                struct entry_row *ret, size_t *ret_count)
{
    struct gather g = {.query = query, .first = query->before};
    size_t found = query->limit;
    enum err e = OK;
    while (!e && !g.enough && found == query->limit)
        e = gather_some(&g, s, &found);
    if (!e && g.count) {
        qsort(g.rows, g.count, sizeof *g.rows, newest_first);
        *ret_count = g.count < query->limit ? g.count : query->limit;
        memcpy(ret, g.rows, *ret_count * sizeof *ret);
    } else if (!e) {
        *ret_count = 0;
    }
    free(g.rows);
    return e;
}
