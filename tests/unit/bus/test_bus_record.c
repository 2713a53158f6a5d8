/* An event goes onto the wire and comes back as it was; what is no event is refused. */
#include "support/unit.h"

#include "base/bus/record.h"

#include <stdlib.h>
#include <string.h>

static const struct bus_event good = {
    .topic = "trading.market",
    .key = "BTC-USDT",
    .type = "market.trade",
    .epoch = 42,
    .seq = 7,
    .time_ms = 1700000000000,
    .payload = "\0binary\xff",
    .payload_size = 8,
};

/* Encodes without checking, as another program might, and decodes. */
static enum err send_and_receive(const struct bus_event *event)
{
    size_t size = bus_encoded_size(event);
    AUTO_FREE uint8_t *data = malloc(size);
    struct bus_event back;
    Events__Event *message = NULL;
    bus_encode(event, data);
    enum err e = bus_decode(data, size, &back, &message);
    if (e) {
        assert_null(message);
        return e;
    }
    assert_string_equal(back.topic, event->topic);
    assert_string_equal(back.key, event->key);
    assert_string_equal(back.type, event->type);
    assert_int_equal(back.epoch, event->epoch);
    assert_int_equal(back.seq, event->seq);
    assert_int_equal(back.time_ms, event->time_ms);
    assert_int_equal(back.payload_size, event->payload_size);
    if (back.payload_size) assert_memory_equal(back.payload, event->payload, back.payload_size);
    events__event__free_unpacked(message, NULL);
    return OK;
}

static void an_event_comes_back_as_it_was(void **state)
{
    (void)state;
    assert_ok(send_and_receive(&good));
}

static void a_heartbeat_has_neither_key_nor_type_nor_payload(void **state)
{
    (void)state;
    struct bus_event heartbeat = {
        .topic = "t", .key = "", .type = "", .epoch = 1, .seq = 0, .time_ms = -1};
    assert_ok(send_and_receive(&heartbeat));
    heartbeat.payload = "x";
    heartbeat.payload_size = 1;
    assert_err(send_and_receive(&heartbeat), ERR_CORRUPT);
}

static void every_field_has_a_limit(void **state)
{
    (void)state;
    char longer[BUS_TOPIC_MAX + 2];
    memset(longer, 'x', sizeof longer);
    longer[BUS_TOPIC_MAX + 1] = 0;
    AUTO_FREE char *large = calloc(1, BUS_EVENT_SIZE_MAX + 1);
    const char *at_most = longer + 1;
    const struct {
        struct bus_event event;
        enum err err;
    } rows[] = {
        {{.topic = at_most, .key = at_most, .type = at_most, .epoch = 1, .seq = 1}, OK},
        {{.topic = longer, .key = "", .type = "t", .epoch = 1, .seq = 1}, ERR_CORRUPT},
        {{.topic = "", .key = "", .type = "t", .epoch = 1, .seq = 1}, ERR_CORRUPT},
        {{.topic = "\xff", .key = "", .type = "t", .epoch = 1, .seq = 1}, ERR_CORRUPT},
        {{.topic = "t", .key = longer, .type = "t", .epoch = 1, .seq = 1}, ERR_CORRUPT},
        {{.topic = "t", .key = "\xc0\x80", .type = "t", .epoch = 1, .seq = 1}, ERR_CORRUPT},
        {{.topic = "t", .key = "", .type = longer, .epoch = 1, .seq = 1}, ERR_CORRUPT},
        {{.topic = "t", .key = "", .type = "t", .epoch = 0, .seq = 1}, ERR_CORRUPT},
        {{.topic = "t", .key = "", .type = "t", .epoch = 1, .seq = 0}, ERR_CORRUPT},
        {{.topic = "t", .key = "", .type = "t", .epoch = BUS_EPOCH_MAX, .seq = BUS_EPOCH_MAX}, OK},
        {{.topic = "t", .key = "", .type = "t", .epoch = BUS_EPOCH_MAX + 1, .seq = 1}, ERR_CORRUPT},
        {{.topic = "t", .key = "", .type = "t", .epoch = 1, .seq = BUS_EPOCH_MAX + 1}, ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (send_and_receive(&rows[i].event) != rows[i].err) fail_msg("row %zu", i);

    struct bus_event event = good;
    event.payload = large;
    event.payload_size = BUS_EVENT_SIZE_MAX;
    assert_ok(send_and_receive(&event));
    event.payload_size = BUS_EVENT_SIZE_MAX + 1;
    assert_err(send_and_receive(&event), ERR_CORRUPT);
}

static void what_is_cut_or_says_another_topic_is_refused(void **state)
{
    (void)state;
    size_t size = bus_encoded_size(&good);
    AUTO_FREE uint8_t *data = malloc(size);
    struct bus_event back;
    Events__Event *message = NULL;
    for (size_t cut = 0; cut < size; cut++) {
        bus_encode(&good, data);
        AUTO_FREE uint8_t *part = malloc(cut ? cut : 1); /* so that reading beyond is seen */
        memcpy(part, data, cut);
        enum err e = bus_decode(part, cut, &back, &message);
        if (!e) { /* the payload is the last field, and an event may be without */
            assert_int_equal(back.payload_size, 0);
            events__event__free_unpacked(message, NULL);
        }
    }
    data[0] = 'T';
    assert_err(bus_decode(data, size, &back, &message), ERR_CORRUPT);
    memset(data, 'x', size);
    assert_err(bus_decode(data, size, &back, &message), ERR_CORRUPT);
}

static void a_record_keeps_its_own_copy_until_the_last_user_has_gone(void **state)
{
    (void)state;
    char key[] = "key", payload[] = "payload";
    struct bus_event event = good;
    event.key = key;
    event.payload = payload;
    event.payload_size = sizeof payload;
    struct bus_record *r = bus_record_new(&event);
    assert_ptr_equal(bus_record_hold(r), r);
    memset(key, 0, sizeof key);
    memset(payload, 0, sizeof payload);
    bus_record_rele(r);
    assert_string_equal(r->event.key, "key");
    assert_string_equal(r->event.payload, "payload");
    assert_true(r->size > sizeof payload);
    bus_record_rele(r);
    bus_record_rele(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_comes_back_as_it_was),
        cmocka_unit_test(a_heartbeat_has_neither_key_nor_type_nor_payload),
        cmocka_unit_test(every_field_has_a_limit),
        cmocka_unit_test(what_is_cut_or_says_another_topic_is_refused),
        cmocka_unit_test(a_record_keeps_its_own_copy_until_the_last_user_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
