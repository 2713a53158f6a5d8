/* Frames: immutable, counted, one allocation each. */
#include "hub.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    atomic_uint holds;
    size_t size, topic_at, type_at; /* offsets into text */
    uint64_t epoch, seq;
    char text[];
};

struct frame *frame_new(const char *text, size_t size, const struct frame_event *event)
{
    static const struct frame_event none = {"", "", 0, 0};
    if (!event) event = &none;
    size_t topic_size = strlen(event->topic) + 1, type_size = strlen(event->type) + 1;
    struct frame *f = malloc(sizeof *f + size + 1 + topic_size + type_size);
    if (!f) return NULL;
    atomic_init(&f->holds, 1);
    f->size = size;
    f->topic_at = size + 1;
    f->type_at = f->topic_at + topic_size;
    f->epoch = event->epoch;
    f->seq = event->seq;
    memcpy(f->text, text, size);
    f->text[size] = 0;
    memcpy(f->text + f->topic_at, event->topic, topic_size);
    memcpy(f->text + f->type_at, event->type, type_size);
    return f;
}

struct frame *frame_hold(struct frame *f)
{
    atomic_fetch_add(&f->holds, 1);
    return f;
}

void frame_release(struct frame *f)
{
    if (f && atomic_fetch_sub(&f->holds, 1) == 1) free(f);
}

struct frame_info frame_look(const struct frame *f)
{
    return (struct frame_info){
        f->text, f->size, {f->text + f->topic_at, f->text + f->type_at, f->epoch, f->seq}};
}
