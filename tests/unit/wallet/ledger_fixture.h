/* A ledger with two assets and short words for its commands. */
#ifndef TESTS_LEDGER_FIXTURE_H
#define TESTS_LEDGER_FIXTURE_H

#include "support/unit.h"

#include "accounts.h"
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USDT, BTC };

struct fixture {
    struct ledger *ledger;
    struct ledger_output *out;
    uint64_t seq;
};

static inline struct id user(uint64_t n)
{
    return (struct id){.hi = 0x0190000000000000 + n, .lo = n * 77};
}

static inline struct id request(uint64_t n)
{
    return (struct id){.hi = ~n, .lo = n};
}

static inline enum ledger_result apply(struct fixture *f, const struct ledger_command *c)
{
    enum ledger_result r = ledger_apply(f->ledger, ++f->seq, c, f->out);
    struct ledger_audit audit[LEDGER_ASSETS_MAX];
    assert_true(ledger_audit(f->ledger, audit));
    return r;
}

static inline enum ledger_result define(struct fixture *f, const char *name, uint8_t scale)
{
    struct ledger_command c = {.kind = COMMAND_ASSET, .asset = {.scale = scale}};
    strncpy(c.asset.name, name, COMMAND_ASSET_NAME);
    return apply(f, &c);
}

static inline void fixture_open(struct fixture *f, const struct ledger_options *options)
{
    *f = (struct fixture){.ledger = ledger_new(options), .out = calloc(1, sizeof *f->out)};
    assert_int_equal(define(f, "USDT", 8), LEDGER_OK);
    assert_int_equal(define(f, "BTC", 8), LEDGER_OK);
}

static inline void fixture_close(struct fixture *f)
{
    ledger_free(f->ledger);
    free(f->out);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    fixture_open(f, &(struct ledger_options){.seed = 42});
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

#define ledger_test(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

/* ---- commands ---- */

static inline struct ledger_command transfer_command(uint64_t id, struct id from, struct id to,
                                                     uint16_t asset, int64_t amount)
{
    return (struct ledger_command){
        .kind = COMMAND_TRANSFER,
        .time_ms = 1000 + (int64_t)id,
        .transfer = {.id = request(id),
                     .kind = owner_is_issued(from) ? ENTRY_CREDIT : ENTRY_TRANSFER,
                     .leg_count = 1,
                     .legs = {{.from = from, .to = to, .asset = asset, .amount = amount}}}};
}

static inline enum ledger_result transfer(struct fixture *f, uint64_t id, struct id from,
                                          struct id to, int64_t amount)
{
    struct ledger_command c = transfer_command(id, from, to, USDT, amount);
    return apply(f, &c);
}

static inline enum ledger_result credit(struct fixture *f, uint64_t id, struct id to,
                                        uint16_t asset, int64_t amount)
{
    struct ledger_command c = transfer_command(id, LEDGER_ISSUED, to, asset, amount);
    return apply(f, &c);
}

static inline enum ledger_result hold(struct fixture *f, uint64_t id, struct id owner,
                                      int64_t amount)
{
    struct ledger_command c = {
        .kind = COMMAND_HOLD,
        .time_ms = 1000,
        .hold = {.id = request(id), .owner = owner, .asset = USDT, .amount = amount}};
    return apply(f, &c);
}

static inline enum ledger_result post(struct fixture *f, uint64_t id, uint64_t hold_id,
                                      struct id to, int64_t amount)
{
    struct ledger_command c = {.kind = COMMAND_POST,
                               .time_ms = 1000,
                               .post = {.id = request(id),
                                        .hold = request(hold_id),
                                        .to = to,
                                        .amount = amount,
                                        .kind = ENTRY_TRANSFER}};
    return apply(f, &c);
}

static inline enum ledger_result void_hold(struct fixture *f, uint64_t id, uint64_t hold_id)
{
    struct ledger_command c = {
        .kind = COMMAND_VOID,
        .void_hold = {.id = request(id), .hold = request(hold_id)},
    };
    return apply(f, &c);
}

/* Encodes what was built into `b`, decodes and applies it: the way of every command. */
static inline enum ledger_result apply_bytes(struct fixture *f, const struct buf *b)
{
    assert_ok(b->error);
    struct ledger_command c;
    assert_ok(command_decode(b->data, b->size, &c));
    return apply(f, &c);
}

static inline enum order_hold_result order_hold(struct fixture *f, uint64_t order_id,
                                                struct id owner, uint16_t asset, int64_t amount)
{
    struct buf b;
    buf_init(&b, COMMAND_SIZE_MAX);
    command_begin_order_holds(&b, 7);
    command_add_order_hold(
        &b, &(struct order_hold){
                .order_id = order_id, .owner = owner, .asset = asset, .amount = amount});
    assert_int_equal(apply_bytes(f, &b), LEDGER_OK);
    buf_release(&b);
    return f->out->hold_results[0];
}

/* ---- looking ---- */

static inline struct ledger_balance balance(struct fixture *f, struct id owner, uint16_t asset)
{
    struct ledger_balance b = {0};
    (void)ledger_balance(f->ledger, owner, asset, &b);
    return b;
}

static inline void assert_balance(struct fixture *f, struct id owner, uint16_t asset, int64_t total,
                                  int64_t held)
{
    struct ledger_balance b = balance(f, owner, asset);
    assert_int_equal(b.total, total);
    assert_int_equal(b.held, held);
}

/* The state in bytes, without the seq, which every command moves. The caller frees. */
static inline char *state_bytes(struct fixture *f, size_t *ret_size)
{
    struct buf b;
    buf_init(&b, LEDGER_SNAPSHOT_SIZE_MAX);
    assert_ok(ledger_save(f->ledger, &b));
    memset(b.data + 12, 0, 8);
    *ret_size = b.size;
    return buf_take(&b);
}

/* A command that must be refused and change nothing at all. */
#define assert_refused(f, expression, result)                                                      \
    do {                                                                                           \
        size_t before_size_, after_size_;                                                          \
        char *before_ = state_bytes((f), &before_size_);                                           \
        ledger_touched_clear((f)->ledger);                                                         \
        assert_int_equal((expression), (result));                                                  \
        char *after_ = state_bytes((f), &after_size_);                                             \
        assert_int_equal(before_size_, after_size_);                                               \
        assert_memory_equal(before_, after_, before_size_);                                        \
        assert_int_equal((f)->out->entry_count, 0);                                                \
        assert_int_equal(ledger_touched_count((f)->ledger), 0);                                    \
        free(before_);                                                                             \
        free(after_);                                                                              \
    } while (0)

#endif
