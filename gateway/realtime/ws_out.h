/*
 * What waits to be written to a WebSocket's socket: a few frames taken from the queue, and control
 * frames, which pass before those that have not begun. All of it leaves in one system call as far
 * as the socket takes it. Not thread-safe; nothing blocks.
 */
#ifndef GATEWAY_WS_OUT_H
#define GATEWAY_WS_OUT_H

#include "hub.h"
#include "ws_parser.h"

#define WS_OUT_FRAMES 32
/* Of control frames. Their reader stops before they fill up (ws_out_takes_pongs), with room left
 * for a ping and a close of our own. */
#define WS_OUT_PONGS   8192
#define WS_OUT_CONTROL (WS_OUT_PONGS + 2 * (WS_CONTROL_MAX + 2))

struct ws_out {
    struct ws_out_frame *frames; /* WS_OUT_FRAMES; like control only while there are some */
    size_t frame_count, begun;   /* begun: bytes of the first that have been written */
    uint8_t *control;            /* WS_OUT_CONTROL */
    size_t control_size, control_sent;
    size_t sent;    /* bytes written, ever */
    bool no_memory; /* something is missing: the connection must end */
};

/* Zeroed is ready. */
void ws_out_release(struct ws_out *o);

bool ws_out_has_room(const struct ws_out *o);
void ws_out_add(struct ws_out *o, struct frame *own_frame); /* a text message; there must be room */
/* One that does not fit, beside our own ping and close, is left out. size is at most
 * WS_CONTROL_MAX. */
void ws_out_add_control(struct ws_out *o, enum ws_opcode opcode, const void *data, size_t size);
/* May so many bytes be read? The pongs for all pings in them fit: a pong is shorter than a ping. */
bool ws_out_takes_pongs(const struct ws_out *o, size_t read_size);

/* Drops the frames that have not begun: nothing may follow a close. */
void ws_out_forget(struct ws_out *o);
bool ws_out_is_empty(const struct ws_out *o);

/* > 0: some of it was written; 0: the socket takes nothing now; < 0: the connection is gone, or
 * memory was. */
int ws_out_push(struct ws_out *o, int fd);

#endif
