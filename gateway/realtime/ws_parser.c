/* A state machine over a header, then its payload. */
#include "ws_parser.h"

#include "base/utf8.h"
#include "hub.h"

#include <string.h>

#define KEPT_BYTES 4096 /* memory that an idle connection may keep for its next message */

void ws_parser_init(struct ws_parser *p, size_t message_max)
{
    *p = (struct ws_parser){.message_max = message_max};
    buf_init(&p->text, message_max);
}

void ws_parser_release(struct ws_parser *p)
{
    buf_release(&p->text);
}

bool ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

size_t ws_head(uint8_t ret[static WS_SERVER_HEAD_MAX], enum ws_opcode opcode, size_t size)
{
    ret[0] = (uint8_t)(0x80 | opcode);
    unsigned bytes = size < 126 ? 0 : size <= 0xFFFF ? 2 : 8;
    ret[1] = (uint8_t)(bytes == 0 ? size : bytes == 2 ? 126 : 127);
    for (unsigned i = 0; i < bytes; i++)
        ret[2 + i] = (uint8_t)((uint64_t)size >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

static struct ws_event refuse(int code)
{
    return (struct ws_event){.kind = WS_REFUSED, .code = code};
}

/* ---- the header ---- */

static size_t length_bytes(const struct ws_parser *p)
{
    unsigned length = p->head[1] & 0x7F;
    return length < 126 ? 0 : length == 126 ? 2 : 8;
}

/* The header's length, as far as its first bytes tell. */
static size_t head_size(const struct ws_parser *p)
{
    return p->head_size < 2 ? 2 : 2 + length_bytes(p) + (p->head[1] & 0x80 ? 4 : 0);
}

static bool read_length(struct ws_parser *p)
{
    size_t bytes = length_bytes(p);
    p->left = bytes ? 0 : p->head[1] & 0x7F;
    for (size_t i = 0; i < bytes; i++)
        p->left = p->left << 8 | p->head[2 + i];
    return bytes == 0 || p->left > (bytes == 2 ? 125 : 0xFFFF);
}

/* 0, or the code to close with. */
static int judge_data(struct ws_parser *p)
{
    bool first = p->opcode != WS_CONTINUATION;
    if (first == p->in_message) return HUB_CLOSE_PROTOCOL; /* two at once, or none begun */
    if (first) p->message = p->opcode;
    p->in_message = true;
    return p->left > p->message_max - p->text.size ? HUB_CLOSE_TOO_BIG : 0;
}

static int judge_head(struct ws_parser *p)
{
    unsigned opcode = p->head[0] & 0x0F;
    bool control = opcode >= WS_CLOSE;
    if (p->head[0] & 0x70 || opcode > WS_PONG || (opcode > WS_BINARY && !control))
        return HUB_CLOSE_PROTOCOL;
    if (!(p->head[1] & 0x80) || !read_length(p) || p->left >> 63) return HUB_CLOSE_PROTOCOL;
    p->opcode = (enum ws_opcode)opcode;
    p->final = p->head[0] & 0x80;
    p->mask_at = 0;
    p->control_size = 0;
    p->in_payload = true;
    if (!control) return judge_data(p);
    return p->final && p->left <= WS_CONTROL_MAX ? 0 : HUB_CLOSE_PROTOCOL;
}

/* false: the header is not whole yet. */
static bool read_head(struct ws_parser *p, const uint8_t **at, const uint8_t *end)
{
    while (p->head_size < head_size(p)) {
        if (*at == end) return false;
        p->head[p->head_size++] = *(*at)++;
    }
    return true;
}

/* ---- the payload ---- */

static void unmask(struct ws_parser *p, char *to, const uint8_t *from, size_t size)
{
    const uint8_t *mask = p->head + p->head_size - 4;
    for (size_t i = 0; i < size; i++)
        to[i] = (char)(from[i] ^ mask[(p->mask_at + i) & 3]);
    p->mask_at += size;
    p->left -= size;
}

/* Moves what there is of the payload into place. false: no memory. */
static bool read_payload(struct ws_parser *p, const uint8_t **at, const uint8_t *end)
{
    size_t size = (size_t)(end - *at);
    if (size > p->left) size = (size_t)p->left;
    char *to =
        p->opcode >= WS_CLOSE ? (char *)p->control + p->control_size : buf_reserve(&p->text, size);
    if (!to) return false;
    unmask(p, to, *at, size);
    if (p->opcode >= WS_CLOSE)
        p->control_size += size;
    else
        buf_commit(&p->text, size);
    *at += size;
    return true;
}

static struct ws_event end_close(struct ws_parser *p)
{
    unsigned code = (unsigned)p->control[0] << 8 | p->control[1];
    if (p->control_size == 0) return (struct ws_event){.kind = WS_GOT_CLOSE};
    if (p->control_size == 1 || !ws_close_code_valid(code)) return refuse(HUB_CLOSE_PROTOCOL);
    if (!utf8_valid((const char *)p->control + 2, p->control_size - 2))
        return refuse(HUB_CLOSE_BAD_DATA);
    return (struct ws_event){.kind = WS_GOT_CLOSE, .code = (int)code};
}

static struct ws_event end_frame(struct ws_parser *p)
{
    p->in_payload = false;
    p->head_size = 0;
    if (p->opcode == WS_CLOSE) return end_close(p);
    if (p->opcode >= WS_CLOSE)
        return (struct ws_event){.kind = p->opcode == WS_PING ? WS_GOT_PING : WS_GOT_PONG,
                                 .data = (const char *)p->control,
                                 .size = p->control_size};
    if (!p->final) return (struct ws_event){.kind = WS_NOTHING};
    p->in_message = false;
    if (p->message == WS_TEXT && !utf8_valid(p->text.data, p->text.size))
        return refuse(HUB_CLOSE_BAD_DATA);
    return (struct ws_event){.kind = p->message == WS_TEXT ? WS_GOT_TEXT : WS_GOT_BINARY,
                             .data = p->text.data,
                             .size = p->text.size};
}

/* The message before has been used: its memory is for the next one, or given back. */
static void forget_message(struct ws_parser *p)
{
    if (p->in_message || p->text.size == 0) return;
    if (p->text.capacity > KEPT_BYTES)
        buf_release(&p->text);
    else
        buf_clear(&p->text);
}

struct ws_event ws_parse(struct ws_parser *p, const uint8_t **at, const uint8_t *end)
{
    forget_message(p);
    for (;;) {
        if (!p->in_payload) {
            if (!read_head(p, at, end)) return (struct ws_event){.kind = WS_NOTHING};
            int code = judge_head(p);
            if (code) return refuse(code);
        }
        if (!read_payload(p, at, end)) return refuse(HUB_CLOSE_INTERNAL);
        if (p->left) return (struct ws_event){.kind = WS_NOTHING};
        struct ws_event event = end_frame(p);
        if (event.kind != WS_NOTHING) return event;
    }
}
