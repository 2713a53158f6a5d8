/*
 * A wallet and an exchange in this process, as the binary runs them, in a directory of their own;
 * and what a client does with them.
 */
#ifndef TESTS_TRADING_FIXTURE_H
#define TESTS_TRADING_FIXTURE_H

#include "support/temp.h"
#include "support/unit.h"

#include "base/part.h"

#include "trading.pb-c.h"
#include "wallet.pb-c.h"

#define ANN           "019a0000000070008000000000000a11"
#define BOB           "019a0000000070008000000000000b0b"
#define EVE           "019a0000000070008000000000000e5e"

#define OVERRIDES_MAX 16

struct house {
    char directory[TEMP_PATH_SIZE];
    char wallet_url[64], trading_url[64]; /* inproc unless changed before house_open */
    struct config_key schema[CONFIG_KEYS_MAX];
    struct config *config;
    struct part_env *env;
    void *wallet, *trading; /* NULL: not running */
    struct rpc_client *to_wallet, *to_trading;
    unsigned transfers;
};

/* A new directory, nothing running. overrides: more "key=value", NULL-terminated, or NULL. */
void house_open(struct house *h, const char *const *overrides);
/* The same over a directory that is there: of a process that was killed. */
void house_reopen(struct house *h, const char *directory, const char *const *overrides);
void house_close(struct house *h); /* stops what runs; the directory stays */
void house_remove(struct house *h);

void house_start_wallet(struct house *h);
void house_start_trading(struct house *h); /* returns when it has started, ready or not */
void house_wait_ready(struct house *h);
void house_stop_wallet(struct house *h);
void house_stop_trading(struct house *h);
/* Both, ready. */
void house_start(struct house *h);

/* ---- a client ---- */

struct caller {
    const char *user;   /* NULL: an admin */
    const char *key;    /* idempotency key or NULL */
    int64_t timeout_ms; /* 0: the default */
};

enum err house_call(struct rpc_client *client, const char *method, struct caller caller,
                    const ProtobufCMessage *request, ProtobufCMessage **ret,
                    struct rpc_status *status);

void credit(struct house *h, const char *user, const char *asset, const char *amount);
/* Fails unless the user's available and held are these. */
void assert_balance(struct house *h, const char *user, const char *asset, const char *available,
                    const char *held);
/* Fails unless every asset sums to zero and nothing is held by nobody. */
void assert_balanced(struct house *h);

struct ticket {
    const char *symbol; /* NULL: BTC-USDT */
    Trading__Side side;
    const char *quantity, *price;
    Trading__OrderType type; /* 0: LIMIT */
    Trading__TimeInForce lifetime;
    const char *client_id;
};
#define BUY(quantity_, price_)                                                                     \
    ((struct ticket){.side = TRADING__SIDE__BUY, .quantity = (quantity_), .price = (price_)})
#define SELL(quantity_, price_)                                                                    \
    ((struct ticket){.side = TRADING__SIDE__SELL, .quantity = (quantity_), .price = (price_)})

Trading__PlaceOrderRequest ticket_request(struct ticket t);
/* OK: *ret is freed with free_order. */
enum err try_place(struct house *h, const char *user, struct ticket t, Trading__Order **ret,
                   struct rpc_status *status);
Trading__Order *place(struct house *h, const char *user, struct ticket t); /* must succeed */
void free_order(Trading__Order *o);
/* Places and expects this error with this reason. */
void assert_refused(struct house *h, const char *user, struct ticket t, enum err expected,
                    const char *reason);
enum err try_cancel(struct house *h, const char *user, const char *order_id, Trading__Order **ret,
                    struct rpc_status *status);
Trading__Order *get_order(struct house *h, const char *user, const char *order_id);

#endif
