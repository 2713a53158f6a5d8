/* Entries to bytes and back. */
#include "entries.h"

#include <inttypes.h>
#include <stdio.h>

void entry_write(struct buf *b, const struct ledger_entry *e, const struct entry_where *where)
{
    size_t text = where->reference.size;
    size_t size = ENTRY_WHOSE_SIZE + ENTRY_BODY_SIZE + text;
    uint8_t *at = (uint8_t *)buf_reserve(b, size);
    if (!at) return;
    put_u64(at, e->owner.hi);
    put_u64(at + 8, e->owner.lo);
    put_u16(at + 16, e->asset);
    at += ENTRY_WHOSE_SIZE;
    put_u64(at, where->position);
    put_u64(at + 8, (uint64_t)where->time_ms);
    put_u64(at + 16, (uint64_t)e->amount);
    put_u64(at + 24, (uint64_t)e->total_after);
    put_u64(at + 32, e->trade_id);
    at[40] = e->kind;
    at[41] = (uint8_t)text;
    if (text) memcpy(at + ENTRY_BODY_SIZE, where->reference.text, text);
    buf_commit(b, size);
}

static const uint8_t *read_body(struct reader *r, size_t *ret_size)
{
    const uint8_t *body = read_bytes(r, ENTRY_BODY_SIZE);
    if (!body || body[41] > COMMAND_REFERENCE_MAX || (body[41] && !read_bytes(r, body[41])))
        return NULL;
    *ret_size = ENTRY_BODY_SIZE + (size_t)body[41];
    return body;
}

bool entry_read(struct reader *r, struct entry_whose *ret_whose, const uint8_t **ret_body,
                size_t *ret_body_size)
{
    const uint8_t *whose = read_bytes(r, ENTRY_WHOSE_SIZE);
    const uint8_t *body = whose ? read_body(r, ret_body_size) : NULL;
    if (!body) return false;
    *ret_whose = (struct entry_whose){get_id(whose), get_u16(whose + 16)};
    *ret_body = body;
    return true;
}

uint64_t entry_position(const uint8_t *body)
{
    return get_u64(body);
}

bool entry_read_body(struct reader *r, struct entry_row *ret)
{
    size_t size;
    const uint8_t *body = read_body(r, &size);
    if (!body) return false;
    uint64_t trade_id = get_u64(body + 32);
    ret->position = get_u64(body);
    ret->time_ms = get_i64(body + 8);
    ret->amount = get_i64(body + 16);
    ret->total_after = get_i64(body + 24);
    ret->kind = body[40];
    memcpy(ret->reference, body + ENTRY_BODY_SIZE, body[41]);
    ret->reference[body[41]] = 0;
    if (trade_id) (void)snprintf(ret->reference, sizeof ret->reference, "%" PRIu64, trade_id);
    return true;
}
