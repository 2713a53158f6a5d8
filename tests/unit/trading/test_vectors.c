/*
 * The engine against the reports of independent matching engines, message for message. In the data
 * an order keeps its id when it is modified; here it gets a new one, so ids are mapped.
 */
#include "harness.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define IDS_MAX       20000
#define LINE_MAX_SIZE 128

struct message {
    unsigned seq;
    char type; /* n, m, c */
    enum side side;
    bool ioc;
    int64_t quantity, price;
    unsigned id;
};

struct replay {
    struct engine *engine;
    uint64_t order_of[IDS_MAX];      /* by the data's id; 0: none */
    unsigned id_of[IDS_MAX + 20000]; /* by the engine's number */
    struct buf reports;
};

static void replay_start(struct replay *r)
{
    memset(r, 0, sizeof *r);
    r->engine = new_engine((struct engine_options){0});
    define_market(r->engine, plain_rules("AAA-BBB"));
    buf_init(&r->reports, 16u << 20);
}

static void replay_end(struct replay *r)
{
    engine_free(r->engine);
    buf_release(&r->reports);
}

static unsigned data_id(const struct replay *r, uint64_t order_id)
{
    return r->id_of[order_id & 0xffffffff];
}

static const char *side_name(enum side side)
{
    return side == SIDE_BUY ? "buy" : "sell";
}

static void report_order(struct replay *r, const char *what, const struct message *m,
                         const struct engine_result *result)
{
    struct buf *out = &r->reports;
    (void)buf_add_format(out, "%s,%u,%s,%u,%ld,%ld\n", what, m->seq,
                         side_name(result->order.terms.side), m->id, (long)m->price,
                         (long)m->quantity);
    for (size_t i = 0; i < result->execution_count; i++) {
        const struct execution *x = &result->executions[i];
        (void)buf_add_format(out, "trade,%u,%ld,%ld,%u,%u\n", m->seq, (long)x->price,
                             (long)x->quantity, data_id(r, x->maker.id), m->id);
    }
    if (result->order.status == ORDER_CANCELLED)
        (void)buf_add_format(out, "cancelled,%u,%s,%u,%ld\n", m->seq,
                             side_name(result->order.terms.side), m->id, (long)m->price);
}

static void replay_new(struct replay *r, const struct message *m)
{
    struct request q = limit_order(r->engine, m->id % 7, m->side, m->price, m->quantity);
    if (m->ioc) q.terms.lifetime = LIFETIME_IOC;
    r->order_of[m->id] = q.order_id;
    r->id_of[q.order_id & 0xffffffff] = m->id;
    const struct engine_result *result = engine_apply(r->engine, &q);
    assert_int_equal(result->refusal, ACCEPTED);
    report_order(r, "ack", m, result);
}

static void replay_modify(struct replay *r, const struct message *m)
{
    struct request q = {.kind = COMMAND_REPLACE,
                        .user = user_number(m->id % 7),
                        .order_id = next_order_id(r->engine),
                        .old_order_id = m->id < IDS_MAX ? r->order_of[m->id] : 0,
                        .terms = {.price = m->price, .quantity = m->quantity}};
    r->id_of[q.order_id & 0xffffffff] = m->id;
    const struct engine_result *result = engine_apply(r->engine, &q);
    if (result->refusal) {
        (void)buf_add_format(&r->reports, "modify_rejected,%u,%u\n", m->seq, m->id);
        return;
    }
    r->order_of[m->id] = q.order_id;
    report_order(r, "modified", m, result);
}

static void replay_cancel(struct replay *r, const struct message *m)
{
    struct request q = {.kind = COMMAND_CANCEL,
                        .user = user_number(m->id % 7),
                        .order_id = m->id < IDS_MAX ? r->order_of[m->id] : 0};
    const struct engine_result *result = engine_apply(r->engine, &q);
    if (result->refusal)
        (void)buf_add_format(&r->reports, "cancel_rejected,%u,%u\n", m->seq, m->id);
    else
        (void)buf_add_format(&r->reports, "cancelled,%u,%s,%u,%ld\n", m->seq,
                             side_name(result->order.terms.side), m->id,
                             (long)result->order.terms.price);
}

static void replay_message(struct replay *r, const struct message *m)
{
    if (m->type == 'n')
        replay_new(r, m);
    else if (m->type == 'm')
        replay_modify(r, m);
    else
        replay_cancel(r, m);
}

static void read_file(const char *path, struct buf *ret)
{
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    buf_init(ret, 16u << 20);
    char piece[8192];
    int size;
    while ((size = gzread(file, piece, sizeof piece)) > 0)
        assert_ok(buf_add(ret, piece, (size_t)size));
    assert_int_equal(size, 0);
    (void)gzclose(file);
}

static bool read_message(const char *line, struct message *ret)
{
    char type[LINE_MAX_SIZE], side[LINE_MAX_SIZE];
    unsigned ioc;
    long quantity, price;
    if (sscanf(line, "%u,%9[a-z],%9[a-z],%u,%ld,%u,%ld", &ret->seq, type, side, &ioc, &quantity,
               &ret->id, &price) != 7)
        return false;
    ret->type = type[0];
    ret->side = side[0] == 'b' ? SIDE_BUY : SIDE_SELL;
    ret->ioc = ioc;
    ret->quantity = quantity;
    ret->price = price;
    return true;
}

static void replay_files(const char *orders_path, const char *reports_path)
{
    struct replay *r = malloc(sizeof *r);
    struct buf orders, reports;
    assert_non_null(r);
    replay_start(r);
    read_file(orders_path, &orders);
    read_file(reports_path, &reports);

    unsigned messages = 0;
    for (char *line = strchr(orders.data, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        struct message m;
        assert_true(read_message(line + 1, &m));
        replay_message(r, &m);
        messages++;
    }
    assert_int_equal(messages, 20058);
    assert_int_equal(r->reports.size, reports.size);
    assert_string_equal(r->reports.data, reports.data);
    replay_end(r);
    buf_release(&orders);
    buf_release(&reports);
    free(r);
}

static void a_normal_day_is_matched_as_the_independent_engines_do(void **state)
{
    (void)state;
    replay_files("data/matching/normal.orders.csv.gz", "data/matching/normal.reports.csv.gz");
}

static void a_swinging_day_is_matched_as_the_independent_engines_do(void **state)
{
    (void)state;
    replay_files("data/matching/swing-25.orders.csv.gz", "data/matching/swing-25.reports.csv.gz");
}

static struct message message_of(const json_t *order, unsigned seq)
{
    const char *side = json_string_value(json_object_get(order, "side"));
    return (struct message){
        .seq = seq,
        .type = json_string_value(json_object_get(order, "type"))[0],
        .side = side[0] == 'b' ? SIDE_BUY : SIDE_SELL,
        .ioc = json_is_true(json_object_get(order, "ioc")),
        .quantity = json_integer_value(json_object_get(order, "quantity")),
        .price = json_integer_value(json_object_get(order, "price_ticks")),
        .id = (unsigned)json_integer_value(json_object_get(order, "order_id")),
    };
}

static void replay_case(const json_t *one)
{
    struct replay *r = malloc(sizeof *r);
    struct buf expected;
    size_t i;
    const json_t *item;
    assert_non_null(r);
    replay_start(r);
    buf_init(&expected, 1u << 20);
    json_array_foreach(json_object_get(one, "orders"), i, item)
    {
        struct message m = message_of(item, (unsigned)i);
        replay_message(r, &m);
    }
    json_array_foreach(json_object_get(one, "reports"), i, item)(void)
        buf_add_format(&expected, "%s\n", json_string_value(item));
    if (strcmp(r->reports.data, expected.data) != 0)
        fail_msg("%s:\n%s\nis not\n%s", json_string_value(json_object_get(one, "name")),
                 r->reports.data, expected.data);
    buf_release(&expected);
    replay_end(r);
    free(r);
}

static void every_edge_case_is_matched_as_the_independent_engines_do(void **state)
{
    (void)state;
    json_error_t error;
    json_t *cases = json_load_file("data/matching/edge_cases.json", 0, &error);
    size_t i;
    const json_t *one;
    assert_int_equal(json_array_size(cases), 14);
    json_array_foreach(cases, i, one) replay_case(one);
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_normal_day_is_matched_as_the_independent_engines_do),
        cmocka_unit_test(a_swinging_day_is_matched_as_the_independent_engines_do),
        cmocka_unit_test(every_edge_case_is_matched_as_the_independent_engines_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
