/* In this order: the rest of a frame that has begun, the control frames, the other frames. */
#include "ws_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct ws_out_frame {
    struct frame *frame;
    uint8_t head[WS_SERVER_HEAD_MAX];
    size_t head_size;
};

static void drop_from(struct ws_out *o, size_t first)
{
    for (size_t i = first; i < o->frame_count; i++)
        frame_release(o->frames[i].frame);
    o->frame_count = first;
}

/* Memory is for what waits; an idle connection has none. */
static void give_back(struct ws_out *o)
{
    if (o->frame_count == 0) {
        free(o->frames);
        o->frames = NULL;
    }
    if (o->control_size == 0) {
        free(o->control);
        o->control = NULL;
    }
}

void ws_out_release(struct ws_out *o)
{
    drop_from(o, 0);
    o->control_size = 0;
    give_back(o);
}

void ws_out_forget(struct ws_out *o)
{
    drop_from(o, o->begun ? 1 : 0);
}

bool ws_out_has_room(const struct ws_out *o)
{
    return o->frame_count < WS_OUT_FRAMES;
}

bool ws_out_is_empty(const struct ws_out *o)
{
    return o->frame_count == 0 && o->control_size == 0 && !o->no_memory;
}

void ws_out_add(struct ws_out *o, struct frame *own_frame)
{
    CHECK(ws_out_has_room(o));
    if (!o->frames) o->frames = malloc(WS_OUT_FRAMES * sizeof *o->frames);
    if (!o->frames) {
        o->no_memory = true;
        return frame_release(own_frame);
    }
    size_t at = o->frame_count++;
    o->frames[at].frame = own_frame;
    o->frames[at].head_size = ws_head(o->frames[at].head, WS_TEXT, frame_look(own_frame).size);
}

void ws_out_add_control(struct ws_out *o, enum ws_opcode opcode, const void *data, size_t size)
{
    if (o->control_size + 2 + size > WS_OUT_CONTROL) return;
    if (!o->control) o->control = malloc(WS_OUT_CONTROL);
    if (!o->control) {
        o->no_memory = true;
        return;
    }
    o->control_size += ws_head(o->control + o->control_size, opcode, size);
    if (size) memcpy(o->control + o->control_size, data, size);
    o->control_size += size;
}

bool ws_out_takes_pongs(const struct ws_out *o, size_t read_size)
{
    return o->control_size + read_size <= WS_OUT_PONGS + (WS_CONTROL_MAX + 2);
}

/* ---- pieces ---- */

static size_t add_piece(struct iovec *pieces, size_t count, const void *data, size_t size)
{
    if (size) pieces[count++] = (struct iovec){(void *)data, size};
    return count;
}

/* What is left of a frame of which `done` bytes have been written. */
static size_t add_frame(struct iovec *pieces, size_t count, const struct ws_out *o, size_t index,
                        size_t done)
{
    struct frame_info info = frame_look(o->frames[index].frame);
    size_t head_size = o->frames[index].head_size;
    size_t head = done < head_size ? done : head_size, text = done - head;
    count = add_piece(pieces, count, o->frames[index].head + head, head_size - head);
    return add_piece(pieces, count, info.text + text, info.size - text);
}

static size_t collect(const struct ws_out *o, struct iovec *pieces)
{
    size_t count = 0, first = 0;
    if (o->begun) count = add_frame(pieces, count, o, first++, o->begun);
    if (o->control)
        count = add_piece(pieces, count, o->control + o->control_sent,
                          o->control_size - o->control_sent);
    for (size_t i = first; i < o->frame_count; i++)
        count = add_frame(pieces, count, o, i, 0);
    return count;
}

/* ---- what has been written is forgotten ---- */

/* Takes up to size bytes of up to `most` frames; returns how many it took. */
static size_t consume_frames(struct ws_out *o, size_t size, size_t most)
{
    size_t done = 0, used = 0;
    while (used < size && done < most) {
        size_t left = o->frames[done].head_size + frame_look(o->frames[done].frame).size - o->begun;
        if (size - used < left) {
            o->begun += size - used;
            used = size;
            break;
        }
        frame_release(o->frames[done++].frame);
        used += left;
        o->begun = 0;
    }
    o->frame_count -= done;
    if (done) memmove(o->frames, o->frames + done, o->frame_count * sizeof *o->frames);
    return used;
}

static size_t consume_control(struct ws_out *o, size_t size)
{
    size_t left = o->control_size - o->control_sent;
    o->control_sent += size < left ? size : left;
    if (o->control_sent == o->control_size) o->control_sent = o->control_size = 0;
    return size < left ? size : left;
}

static void consume(struct ws_out *o, size_t size)
{
    o->sent += size;
    if (o->begun) size -= consume_frames(o, size, 1);
    size -= consume_control(o, size);
    (void)consume_frames(o, size, o->frame_count);
    give_back(o);
}

int ws_out_push(struct ws_out *o, int fd)
{
    if (o->no_memory) return -1;
    struct iovec pieces[2 * WS_OUT_FRAMES + 1];
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = collect(o, pieces)};
    ssize_t size = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    consume(o, (size_t)size);
    return size > 0;
}
