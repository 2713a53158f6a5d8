/* Events: kept, packed, unpacked and checked. */
#include "base/bus/record.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

bool bus_name_valid(const char *name, size_t size_max)
{
    size_t size = strnlen(name, size_max + 1);
    return size > 0 && size <= size_max && utf8_valid(name, size);
}

/* ---- kept ---- */

struct bus_record *bus_record_new(const struct bus_event *event)
{
    size_t key_size = strlen(event->key) + 1, type_size = strlen(event->type) + 1;
    size_t size = sizeof(struct bus_record) + key_size + type_size + event->payload_size;
    struct bus_record *r = malloc(size);
    if (!r) return NULL;
    char *key = r->bytes, *type = key + key_size, *payload = type + type_size;
    memcpy(key, event->key, key_size);
    memcpy(type, event->type, type_size);
    if (event->payload_size) memcpy(payload, event->payload, event->payload_size);
    r->event = *event;
    r->event.key = key;
    r->event.type = type;
    r->event.payload = payload;
    r->size = size;
    atomic_init(&r->users, 1);
    return r;
}

struct bus_record *bus_record_hold(struct bus_record *r)
{
    atomic_fetch_add_explicit(&r->users, 1, memory_order_relaxed);
    return r;
}

void bus_record_rele(struct bus_record *r)
{
    if (r && atomic_fetch_sub_explicit(&r->users, 1, memory_order_acq_rel) == 1) free(r);
}

/* ---- packed ---- */

void bus_event_fill(const struct bus_event *event, Events__Event *ret)
{
    events__event__init(ret);
    ret->epoch = event->epoch;
    ret->seq = event->seq;
    ret->time_ms = event->time_ms;
    ret->topic = (char *)event->topic; /* protobuf-c reads only */
    ret->key = (char *)event->key;
    ret->type = (char *)event->type;
    ret->payload.data = (uint8_t *)event->payload;
    ret->payload.len = event->payload_size;
}

size_t bus_encoded_size(const struct bus_event *event)
{
    Events__Event message;
    bus_event_fill(event, &message);
    return strlen(event->topic) + 1 + events__event__get_packed_size(&message);
}

void bus_encode(const struct bus_event *event, uint8_t *ret)
{
    Events__Event message;
    bus_event_fill(event, &message);
    size_t prefix_size = strlen(event->topic) + 1;
    memcpy(ret, event->topic, prefix_size);
    (void)events__event__pack(&message, ret + prefix_size);
}

/* ---- unpacked ---- */

enum err bus_event_of(const Events__Event *m, struct bus_event *ret)
{
    bool heartbeat = !*m->type;
    if (!bus_name_valid(m->topic, BUS_TOPIC_MAX)) return ERR_CORRUPT;
    if (*m->key && !bus_name_valid(m->key, BUS_KEY_MAX)) return ERR_CORRUPT;
    if (!heartbeat && !bus_name_valid(m->type, BUS_TYPE_MAX)) return ERR_CORRUPT;
    if (m->payload.len > (heartbeat ? 0 : BUS_EVENT_SIZE_MAX)) return ERR_CORRUPT;
    if (m->epoch == 0 || m->epoch > BUS_EPOCH_MAX || m->seq > BUS_EPOCH_MAX) return ERR_CORRUPT;
    if (!heartbeat && m->seq == 0) return ERR_CORRUPT;
    *ret = (struct bus_event){
        .topic = m->topic,
        .key = m->key,
        .type = m->type,
        .epoch = m->epoch,
        .seq = m->seq,
        .time_ms = m->time_ms,
        .payload = m->payload.data,
        .payload_size = m->payload.len,
    };
    return OK;
}

enum err bus_decode(const uint8_t *data, size_t size, struct bus_event *ret,
                    Events__Event **ret_message)
{
    size_t searched = size < BUS_TOPIC_MAX + 1 ? size : BUS_TOPIC_MAX + 1;
    const uint8_t *end = searched ? memchr(data, 0, searched) : NULL;
    if (!end || size > BUS_MESSAGE_SIZE_MAX) return ERR_CORRUPT;
    size_t prefix_size = (size_t)(end - data) + 1;
    Events__Event *m = events__event__unpack(NULL, size - prefix_size, data + prefix_size);
    if (!m) return ERR_CORRUPT;
    enum err e = strcmp(m->topic, (const char *)data) == 0 ? bus_event_of(m, ret) : ERR_CORRUPT;
    if (e)
        events__event__free_unpacked(m, NULL);
    else
        *ret_message = m;
    return e;
}
