/* The wallet's documents in and out. */
#include "wallet_store.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES    "wallet_entries"
#define TRANSFERS  "wallet_transfers"
#define WATERMARKS "wallet_watermarks"
#define WATERMARK  "entries" /* the _id of the only one */

static const struct store_index entries_indexes[] = {
    {"by_owner", {"owner", "position"}, false},
    {"by_owner_asset", {"owner", "asset", "position"}, false},
    {0},
};
const struct store_collection wallet_collections[] = {
    {ENTRIES, entries_indexes},
    {TRANSFERS, NULL},
    {WATERMARKS, NULL},
    {0},
};

/* ---- reading fields that we wrote ourselves: a document without them is damaged ---- */

static bool read_text(const bson_t *doc, const char *name, char *ret, size_t ret_size)
{
    bson_iter_t at;
    uint32_t size = 0;
    if (!bson_iter_init_find(&at, doc, name) || !BSON_ITER_HOLDS_UTF8(&at)) return false;
    const char *text = bson_iter_utf8(&at, &size);
    if (size >= ret_size) return false;
    memcpy(ret, text, size);
    ret[size] = 0;
    return true;
}

static bool read_int(const bson_t *doc, const char *name, int64_t *ret)
{
    bson_iter_t at;
    if (!bson_iter_init_find(&at, doc, name) || !BSON_ITER_HOLDS_INT64(&at)) return false;
    *ret = bson_iter_int64(&at);
    return true;
}

static bool read_owner(const bson_t *doc, const char *name, struct id *ret)
{
    char text[ID_TEXT_SIZE];
    return read_text(doc, name, text, sizeof text) && id_parse(text, ret);
}

/* ---- writing ---- */

static bson_t *entry_to_bson(const struct entry_row *row)
{
    char id[24];
    char owner[ID_TEXT_SIZE];
    (void)snprintf(id, sizeof id, "%019" PRIu64, row->position);
    id_format(row->owner, owner);
    return BCON_NEW("_id", BCON_UTF8(id), "owner", BCON_UTF8(owner), "asset", BCON_UTF8(row->asset),
                    "position", BCON_INT64((int64_t)row->position), "amount",
                    BCON_INT64(row->amount), "total_after", BCON_INT64(row->total_after), "kind",
                    BCON_INT64(row->kind), "reference", BCON_UTF8(row->reference), "time_ms",
                    BCON_INT64(row->time_ms));
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

enum err wallet_store_put_entries(struct store *s, const struct entry_row *rows, size_t count)
{
    CHECK(count <= STORE_BULK_MAX);
    bson_t *documents[STORE_BULK_MAX];
    for (size_t i = 0; i < count; i++)
        documents[i] = entry_to_bson(&rows[i]);
    return put(s, ENTRIES, documents, count);
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
    if (!e && (!read_int(doc, "seq", &seq) || seq < 0)) return ERR_CORRUPT;
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
        !read_text(doc, "asset", row.asset, sizeof row.asset) ||
        !read_int(doc, "amount", &row.amount) || !read_int(doc, "time_ms", &row.time_ms))
        return ERR_CORRUPT;
    *ret = row;
    return OK;
}

static enum err entry_from_bson(const bson_t *doc, struct entry_row *ret)
{
    struct entry_row row = {0};
    int64_t position = 0;
    int64_t kind = 0;
    if (!read_owner(doc, "owner", &row.owner) ||
        !read_text(doc, "asset", row.asset, sizeof row.asset) ||
        !read_int(doc, "position", &position) || !read_int(doc, "amount", &row.amount) ||
        !read_int(doc, "total_after", &row.total_after) || !read_int(doc, "kind", &kind) ||
        !read_text(doc, "reference", row.reference, sizeof row.reference) ||
        !read_int(doc, "time_ms", &row.time_ms))
        return ERR_CORRUPT;
    row.position = (uint64_t)position;
    row.kind = (uint8_t)kind;
    *ret = row;
    return OK;
}

enum err wallet_store_statement(struct store *s, const struct statement *query,
                                struct entry_row *ret, size_t *ret_count)
{
    char owner[ID_TEXT_SIZE];
    id_format(query->owner, owner);
    AUTO_BSON bson_t *filter = BCON_NEW("owner", BCON_UTF8(owner));
    if (query->asset[0]) BSON_APPEND_UTF8(filter, "asset", query->asset);
    if (query->before)
        BCON_APPEND(filter, "position", "{", "$lt", BCON_INT64((int64_t)query->before), "}");
    const struct store_find find = {
        .filter = filter, .sort = "position", .descending = true, .limit = query->limit};
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    enum err e = store_find(s, ENTRIES, &find, &cursor);
    size_t count = 0;
    for (const bson_t *doc; !e && count < query->limit; count++) {
        e = store_cursor_next(cursor, &doc);
        if (e == ERR_NOT_FOUND) break;
        if (!e) e = entry_from_bson(doc, &ret[count]);
    }
    if (e && e != ERR_NOT_FOUND) return e;
    *ret_count = count;
    return OK;
}
