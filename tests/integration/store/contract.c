/* What the parts of the contract share. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

void (*contract_fresh_url)(char ret[static URL_MAX]);

static const struct store_index orders_indexes[] = {
    {"by_account_price", {"account", "price"}, false},
    {"by_price", {"price"}, false},
    {"by_key", {"key"}, true},
    {NULL, {NULL}, false},
};
static const struct store_index jobs_indexes[] = {
    {"by_state", {"state"}, false},
    {NULL, {NULL}, false},
};
static const struct store_index kinds_indexes[] = {
    {"by_text", {"text"}, false}, {"by_int", {"int"}, false}, {"by_double", {"double"}, false},
    {"by_flag", {"flag"}, false}, {"by_at", {"at"}, false},   {NULL, {NULL}, false},
};
const struct store_collection contract_collections[] = {
    {"orders", orders_indexes},
    {"jobs", jobs_indexes},
    {"kinds", kinds_indexes},
    {"notes", NULL},
    {NULL, NULL},
};

struct store *contract_open(const char *url, const struct store_collection *collections)
{
    const struct store_options options = {.url = url, .pool_max = 8, .timeout_ms = 60000};
    struct err_detail detail = {""};
    struct store *s = NULL;

    enum err e = store_open(&options, collections, &s, &detail);
    if (e) fail_msg("%s: %s: %s", url, err_name(e), detail.text);
    return s;
}

int contract_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    contract_fresh_url(f->url);
    f->store = contract_open(f->url, contract_collections);
    *state = f;
    return 0;
}

int contract_teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    free(f);
    return 0;
}

bson_t *order(const char *id, const char *account, int64_t price)
{
    bson_t *b = BCON_NEW("_id", BCON_UTF8(id), "account", BCON_UTF8(account), "price",
                         BCON_INT64(price), "key", BCON_UTF8(id));
    assert_non_null(b);
    return b;
}

void insert_order(struct store *s, const char *id, const char *account, int64_t price)
{
    AUTO_BSON bson_t *b = order(id, account, price);
    assert_ok(store_insert(s, "orders", (const bson_t *const[]){b}, 1, NULL));
}

void insert_orders(struct store *s, unsigned count)
{
    for (unsigned done = 0; done < count;) {
        bson_t *batch[STORE_INSERT_MAX];
        unsigned n = 0;
        for (; n < STORE_INSERT_MAX && done + n < count; n++) {
            char id[16], account[16];
            (void)snprintf(id, sizeof id, "o%03u", done + n);
            (void)snprintf(account, sizeof account, "a%u", (done + n) % 10);
            batch[n] = order(id, account, done + n);
        }
        assert_ok(store_insert(s, "orders", (const bson_t *const *)batch, n, NULL));
        for (unsigned i = 0; i < n; i++)
            bson_destroy(batch[i]);
        done += n;
    }
}

int64_t int_of(const bson_t *document, const char *field)
{
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, field)) fail_msg("no field %s", field);
    return bson_iter_as_int64(&iter);
}

const char *text_of(const bson_t *document, const char *field)
{
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, field)) fail_msg("no field %s", field);
    return bson_iter_utf8(&iter, NULL);
}

void find_ids(struct store *s, const struct store_find *find, char ret[static IDS_MAX])
{
    AUTO_CURSOR struct store_cursor *cursor = NULL;
    const bson_t *document;
    enum err e;

    ret[0] = 0;
    assert_ok(store_find(s, "orders", find, &cursor));
    for (size_t used = 0; !(e = store_cursor_next(cursor, &document));) {
        int n =
            snprintf(ret + used, IDS_MAX - used, "%s%s", used ? " " : "", text_of(document, "_id"));
        used += (size_t)n;
        assert_true(used < IDS_MAX);
    }
    assert_err(e, ERR_NOT_FOUND);
    assert_err(store_cursor_next(cursor, &document), ERR_NOT_FOUND);
}
