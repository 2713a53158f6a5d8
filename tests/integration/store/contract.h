/*
 * The contract of base/store/store.h as tests: every driver runs all of them, against a real
 * database. A driver's program says where a fresh database is; the fixture opens it anew for each
 * test.
 */
#ifndef TESTS_INTEGRATION_STORE_CONTRACT_H
#define TESTS_INTEGRATION_STORE_CONTRACT_H

#include "support/unit.h"

#include "base/store/store.h"

#define URL_MAX 512

/* Writes the URL of a database that was never used. */
extern void (*contract_fresh_url)(char ret[static URL_MAX]);

struct fixture {
    char url[URL_MAX];
    struct store *store;
};

int contract_setup(void **state);
int contract_teardown(void **state);

/* Runs a part of the contract; the number of failures, as cmocka has it. */
int contract_run_writes(void);
int contract_run_reads(void);
int contract_run_races(void);
int contract_run_open(void);

/* What the contract's collections are made of. "notes" has no index. */
extern const struct store_collection contract_collections[];

struct store *contract_open(const char *url, const struct store_collection *collections);

/* {_id, account, price, key: the same as _id}, for "orders". To bson_destroy. */
bson_t *order(const char *id, const char *account, int64_t price);
void insert_order(struct store *s, const char *id, const char *account, int64_t price);
void insert_orders(struct store *s, unsigned count); /* "o000".., accounts "a0".."a9", price n */

int64_t int_of(const bson_t *document, const char *field);
const char *text_of(const bson_t *document, const char *field);

/* The _ids that a find returns, joined by spaces. */
#define IDS_MAX (STORE_FIND_MAX * 8)
void find_ids(struct store *s, const struct store_find *find, char ret[static IDS_MAX]);

#define CONTRACT_TEST(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

#endif
