/*
 * What a store does per second with documents like an order (about 350 bytes, three indexes, 5,000
 * accounts at random): bulk puts as a projection makes them, the same again (a replay), single
 * durable inserts, reads by id and pages of 100 of one account. bench_store URL NAME
 */
#include "base/clock.h"
#include "base/store/store.h"

#include <inttypes.h>
#include <stdio.h>

#define BULK_DOCUMENTS 300000
#define SINGLES        2000
#define READS          50000
#define PAGES          2000
#define ACCOUNTS       5000

static const struct store_index indexes[] = {
    {"by_account_created", {"account", "created"}, false},
    {"by_market_status", {"market", "status"}, false},
    {"by_created", {"created"}, false},
    {NULL, {NULL}, false},
};
static const struct store_collection collections[] = {{"orders", indexes}, {NULL, NULL}};

static void must(enum err e, const char *what)
{
    if (!e) return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, err_name(e), store_reason());
    exit(1);
}

static void say(const char *store, const char *what, unsigned count, int64_t took_us)
{
    printf("{\"name\": \"store.%s.%s\", \"value\": %.0f, \"unit\": \"1/s\"}\n", store, what,
           (double)count * 1e6 / (double)took_us);
}

/* Mixed as by MurmurHash3's finalizer: the same for the same n. */
static uint32_t random_of(uint32_t n)
{
    n = (n ^ n >> 16) * 0x85ebca6b;
    n = (n ^ n >> 13) * 0xc2b2ae35;
    return n ^ n >> 16;
}

static void account_of(unsigned n, char ret[static 24])
{
    (void)snprintf(ret, 24, "user-%05u", n % ACCOUNTS);
}

static bson_t *order(const char *prefix, unsigned n, const char *status)
{
    char id[40], account[24];
    int64_t at_ms = 1700000000000 + n;
    (void)snprintf(id, sizeof id, "%s%02u-%010u", prefix, n % 4, n);
    account_of(random_of(n), account);
    return BCON_NEW("_id", BCON_UTF8(id), "account", BCON_UTF8(account), "market", "BTC-USDT",
                    "status", BCON_UTF8(status), "side", "buy", "type", "limit", "timeInForce",
                    "GTC", "price", BCON_INT64(n), "quantity", BCON_INT64(n), "filled",
                    BCON_INT64(0), "remaining", BCON_INT64(n), "feeMinor", BCON_INT64(12),
                    "feeAsset", "USDT", "clientOrderId", "0f9a1b2c-3d4e-5f60-7182-93a4b5c6d7e8",
                    "created", BCON_DATE_TIME(at_ms), "updated", BCON_DATE_TIME(at_ms), "seq",
                    BCON_INT64(n));
}

/* The time of the store's calls alone. */
static int64_t put_all(struct store *s, const char *status)
{
    bson_t *batch[STORE_BULK_MAX];
    int64_t took_us = 0;
    for (unsigned done = 0; done < BULK_DOCUMENTS; done += STORE_BULK_MAX) {
        for (unsigned n = 0; n < STORE_BULK_MAX; n++)
            batch[n] = order("", done + n, status);
        int64_t start_us = clock_mono_us();
        must(store_put_many(s, "orders", (const bson_t *const *)batch, STORE_BULK_MAX), "put");
        took_us += clock_mono_us() - start_us;
        for (unsigned n = 0; n < STORE_BULK_MAX; n++)
            bson_destroy(batch[n]);
    }
    return took_us;
}

static int64_t insert_singles(struct store *s)
{
    int64_t start_us = clock_mono_us();
    for (unsigned n = 0; n < SINGLES; n++) {
        AUTO_BSON bson_t *one = order("single-", n, "open");
        must(store_insert(s, "orders", (const bson_t *const[]){one}, 1, NULL), "insert");
    }
    return clock_mono_us() - start_us;
}

static int64_t read_by_id(struct store *s)
{
    int64_t start_us = clock_mono_us();
    for (unsigned n = 0; n < READS; n++) {
        AUTO_BSON bson_t *found = NULL;
        unsigned number = random_of(n) % BULK_DOCUMENTS;
        char id[40];
        (void)snprintf(id, sizeof id, "%02u-%010u", number % 4, number);
        must(store_find_id(s, "orders", id, &found), "find_id");
    }
    return clock_mono_us() - start_us;
}

static int64_t read_pages(struct store *s)
{
    int64_t start_us = clock_mono_us();
    for (unsigned n = 0; n < PAGES; n++) {
        char account[24];
        account_of(random_of(n), account);
        AUTO_BSON bson_t *filter = BCON_NEW("account", BCON_UTF8(account));
        const struct store_find find = {filter, "created", true, 100};
        AUTO_CURSOR struct store_cursor *cursor = NULL;
        must(store_find(s, "orders", &find, &cursor), "find");
    }
    return clock_mono_us() - start_us;
}

int main(int argc, char **argv)
{
    struct err_detail detail = {""};
    struct store *s;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: bench_store URL NAME\n");
        return 2;
    }
    const struct store_options options = {.url = argv[1], .timeout_ms = 60000};
    if (store_open(&options, collections, &s, &detail)) {
        (void)fprintf(stderr, "%s\n", detail.text);
        return 1;
    }
    say(argv[2], "put_many", BULK_DOCUMENTS, put_all(s, "open"));
    say(argv[2], "put_many_again", BULK_DOCUMENTS, put_all(s, "open"));
    say(argv[2], "put_many_changed", BULK_DOCUMENTS, put_all(s, "filled"));
    say(argv[2], "insert_one", SINGLES, insert_singles(s));
    say(argv[2], "find_id", READS, read_by_id(s));
    say(argv[2], "find_page_of_60", PAGES, read_pages(s));
    store_close(s);
    return 0;
}
