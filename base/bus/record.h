/*
 * One event as the bus keeps and sends it. A record is immutable and counted, so that a ring can
 * let it go while a reader still has it. On the wire a message is the topic, a NUL (what a SUB
 * socket filters by), and a packed events.Event. Private to base/bus. Thread-safe; nothing blocks.
 */
#ifndef BASE_BUS_RECORD_H
#define BASE_BUS_RECORD_H

#include "base/auto.h"
#include "base/bus/bus.h"
#include "events.pb-c.h"

#include <stdatomic.h>

#define BUS_EPOCH_MAX ((1LL << 53) - 1)
/* Of a whole message: the payload, and the rest of an Event with every field at its limit. */
#define BUS_MESSAGE_SIZE_MAX (BUS_EVENT_SIZE_MAX + 1024)

struct bus_record {
    struct bus_event event; /* points into bytes[]; its topic is the owner's */
    size_t size;            /* what it takes to keep it */
    atomic_uint users;
    char bytes[];
};

/* A copy of the event, with one user; NULL: no memory. event->topic must outlive it. */
struct bus_record *bus_record_new(const struct bus_event *event);
struct bus_record *bus_record_hold(struct bus_record *r);
void bus_record_rele(struct bus_record *r); /* accepts NULL */

bool bus_name_valid(const char *name, size_t size_max); /* not empty, valid UTF-8, not too long */

/* How many bytes bus_encode will write. */
size_t bus_encoded_size(const struct bus_event *event);
void bus_encode(const struct bus_event *event, uint8_t *ret);
/*
 * Reads a message. ERR_CORRUPT: it is not one, or breaks a limit; a heartbeat (type "") has no
 * payload. ret points into *ret_message, which the caller frees with events__event__free_unpacked.
 */
MUST_CHECK enum err bus_decode(const uint8_t *data, size_t size, struct bus_event *ret,
                               Events__Event **ret_message);
/* The same for an event of a Replay reply. */
MUST_CHECK enum err bus_event_of(const Events__Event *message, struct bus_event *ret);
/* Borrows from the event. */
void bus_event_fill(const struct bus_event *event, Events__Event *ret);

AUTO_DEFINE(struct bus_record, bus_record_rele)
#define AUTO_RECORD AUTO(auto_bus_record_rele)

#endif
