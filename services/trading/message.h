/*
 * The core's numbers as the contract's messages: decimal strings, ids as text. Every struct owns
 * the text its message points to, so it must not move while the message is used. Pure and
 * thread-safe.
 */
#ifndef TRADING_MESSAGE_H
#define TRADING_MESSAGE_H

#include "base/decimal.h"
#include "base/id.h"
#include "listings.h"

#include "trading.pb-c.h"

#define NUMBER_TEXT_SIZE 24 /* a uint64 and a NUL */

void number_format(uint64_t number, char ret[static NUMBER_TEXT_SIZE]);
/* false: not digits only, or more than a uint64. */
bool number_parse(const char *text, uint64_t *ret);

struct order_message {
    Trading__Order message;
    Google__Protobuf__Timestamp created, updated;
    char id[NUMBER_TEXT_SIZE], client_id[CLIENT_ID_MAX + 1];
    char price[DECIMAL_TEXT_SIZE], quantity[DECIMAL_TEXT_SIZE], filled[DECIMAL_TEXT_SIZE];
    char filled_quote[DECIMAL_TEXT_SIZE], fee[DECIMAL_TEXT_SIZE];
};
void order_message(struct order_message *ret, const struct order_view *o,
                   const struct listing *market);

/* A fill of the order that a reply or event is about. */
struct fill {
    uint64_t trade_id;
    int64_t price, quantity, fee;
    bool maker;
};
struct fill_message {
    Trading__Fill message;
    char id[NUMBER_TEXT_SIZE];
    char price[DECIMAL_TEXT_SIZE], quantity[DECIMAL_TEXT_SIZE], fee[DECIMAL_TEXT_SIZE];
};
void fill_message(struct fill_message *ret, const struct fill *f, enum side side,
                  const struct listing *market);

/* A trade, as everybody sees it. */
struct trade {
    uint64_t id;
    int64_t price, quantity, executed_ms;
    uint8_t taker_side;
};
struct trade_message {
    Trading__Trade message;
    Google__Protobuf__Timestamp executed;
    char id[NUMBER_TEXT_SIZE], price[DECIMAL_TEXT_SIZE], quantity[DECIMAL_TEXT_SIZE];
};
void trade_message(struct trade_message *ret, const struct trade *t, const struct listing *market);

/* A user's own side of a trade. */
struct own_trade {
    struct fill fill;
    uint64_t order_id;
    int64_t executed_ms;
    uint8_t side;
};
struct own_trade_message {
    Trading__MyTrade message;
    struct fill_message fill;
    Google__Protobuf__Timestamp executed;
    char order_id[NUMBER_TEXT_SIZE];
};
void own_trade_message(struct own_trade_message *ret, const struct own_trade *t,
                       const struct listing *market);

struct level_message {
    Trading__Level message;
    char price[DECIMAL_TEXT_SIZE], quantity[DECIMAL_TEXT_SIZE];
};
void level_message(struct level_message *ret, const struct level_change *l,
                   const struct listing *market);

struct ticker_message {
    Trading__Ticker message;
    Google__Protobuf__Timestamp time;
    char last[DECIMAL_TEXT_SIZE], bid[DECIMAL_TEXT_SIZE], bid_quantity[DECIMAL_TEXT_SIZE];
    char ask[DECIMAL_TEXT_SIZE], ask_quantity[DECIMAL_TEXT_SIZE], volume[DECIMAL_TEXT_SIZE];
};
void ticker_message(struct ticker_message *ret, const struct ticker *t,
                    const struct listing *market);

struct market_message {
    Trading__Market message;
    char tick[DECIMAL_TEXT_SIZE], lot[DECIMAL_TEXT_SIZE], min_notional[DECIMAL_TEXT_SIZE];
    char maker_fee[DECIMAL_TEXT_SIZE], taker_fee[DECIMAL_TEXT_SIZE];
};
void market_message(struct market_message *ret, const struct rules *r,
                    const struct listing *market);

/* A user's 16 bytes on the wire: the id's hex digits, two to a byte. */
#define USER_SIZE 16
void user_bytes(struct id user, uint8_t ret[static USER_SIZE]);

/* Client order ids that stand for an idempotency key begin so; clients cannot choose them. */
#define DERIVED_ID_MARK '#'

#endif
