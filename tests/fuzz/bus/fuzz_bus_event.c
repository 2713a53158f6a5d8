/* Any bytes are an event or are refused; an event says the same again after one more way over the
 * wire. */
#include "support/fuzz.h"

#include "base/bus/record.h"

#include <stdlib.h>
#include <string.h>

static void same(const struct bus_event *a, const struct bus_event *b)
{
    CHECK(!strcmp(a->topic, b->topic) && !strcmp(a->key, b->key) && !strcmp(a->type, b->type));
    CHECK(a->epoch == b->epoch && a->seq == b->seq && a->time_ms == b->time_ms);
    CHECK(a->payload_size == b->payload_size);
    CHECK(!a->payload_size || !memcmp(a->payload, b->payload, a->payload_size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bus_event event, again;
    Events__Event *message, *message_again;
    if (bus_decode(data, size, &event, &message)) return 0;
    CHECK(strlen(event.topic) <= BUS_TOPIC_MAX && strlen(event.key) <= BUS_KEY_MAX);
    CHECK(event.payload_size <= BUS_EVENT_SIZE_MAX && event.epoch > 0);

    size_t encoded_size = bus_encoded_size(&event);
    uint8_t *encoded = malloc(encoded_size);
    CHECK(encoded && encoded_size <= BUS_MESSAGE_SIZE_MAX);
    bus_encode(&event, encoded);
    CHECK(bus_decode(encoded, encoded_size, &again, &message_again) == OK);
    same(&event, &again);
    free(encoded);

    struct bus_record *record = bus_record_new(&event);
    CHECK(record);
    same(&event, &record->event);
    bus_record_rele(record);
    events__event__free_unpacked(message_again, NULL);
    events__event__free_unpacked(message, NULL);
    return 0;
}
