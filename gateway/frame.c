/* Frames: immutable, counted, one allocation each. */
#include "hub.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    atomic_uint holds;
    size_t size, id_at, type_at; /* offsets into text */
    char text[];
};

struct frame *frame_new(const char *text, size_t size, const char *event_id, const char *event_type)
{
    size_t id_size = strlen(event_id) + 1, type_size = strlen(event_type) + 1;
    struct frame *f = malloc(sizeof *f + size + 1 + id_size + type_size);
    if (!f) return NULL;
    atomic_init(&f->holds, 1);
    f->size = size;
    f->id_at = size + 1;
    f->type_at = f->id_at + id_size;
    memcpy(f->text, text, size);
    f->text[size] = 0;
    memcpy(f->text + f->id_at, event_id, id_size);
    memcpy(f->text + f->type_at, event_type, type_size);
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
    return (struct frame_info){f->text, f->size, f->text + f->id_at, f->text + f->type_at};
}
