/*
 * WebSocket frames (RFC 6455 section 5), read from a client's bytes: pure, incremental, strict.
 *
 * Refused: unmasked frames, reserved bits and opcodes, lengths that are not the shortest spelling,
 * fragmented or long control frames, fragments out of place, close codes that may not be sent, and
 * text that is not UTF-8. A message larger than the limit is refused by its frame's header, before
 * any of it is read. Not thread-safe; nothing blocks.
 */
#ifndef GATEWAY_WS_PARSER_H
#define GATEWAY_WS_PARSER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_HEAD_MAX    14  /* bytes of a frame's header with its mask */
#define WS_CONTROL_MAX 125 /* bytes of a control frame's payload */

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

struct ws_parser {
    size_t message_max;
    uint8_t head[WS_HEAD_MAX];
    size_t head_size; /* bytes of it that are here */
    bool in_payload;
    uint64_t left;                  /* of the frame's payload */
    size_t mask_at;                 /* of the next payload byte */
    enum ws_opcode opcode, message; /* of the frame; of the message it belongs to */
    bool final, in_message;
    uint8_t control[WS_CONTROL_MAX + 1];
    size_t control_size;
    struct buf text; /* the message so far */
};

/* What came: a whole message, or a control frame. */
struct ws_event {
    enum {
        WS_NOTHING, /* the bytes are used up */
        WS_GOT_TEXT,
        WS_GOT_BINARY,
        WS_GOT_PING,
        WS_GOT_PONG,
        WS_GOT_CLOSE, /* code is what to answer with; 0: no code was given */
        WS_REFUSED    /* code is the verdict; the parser is of no use any more */
    } kind;
    const char *data; /* size bytes; until the next call */
    size_t size;
    int code;
};

void ws_parser_init(struct ws_parser *p, size_t message_max);
void ws_parser_release(struct ws_parser *p);

/* Reads from *at up to end, stops behind the first event, and moves *at there. */
struct ws_event ws_parse(struct ws_parser *p, const uint8_t **at, const uint8_t *end);

/* The header of a server's frame (whole, unmasked) of size bytes; returns its length. */
#define WS_SERVER_HEAD_MAX 10
size_t ws_head(uint8_t ret[static WS_SERVER_HEAD_MAX], enum ws_opcode opcode, size_t size);

/* May a peer send this close code (RFC 6455 section 7.4, and the registry)? */
bool ws_close_code_valid(unsigned code);

#endif
