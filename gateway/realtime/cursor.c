/* Numbers between dashes and commas. */
#include "cursor.h"

#include <inttypes.h>
#include <stdio.h>

/* Digits without leading zeros, below 2^64; behind them *at stands. */
static bool read_number(const char **at, uint64_t *ret)
{
    const char *begin = *at;
    uint64_t value = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
            return false;
    *ret = value;
    return *at != begin && (*begin != '0' || *at == begin + 1);
}

enum err cursor_parse(const char *text, struct cursor *ret)
{
    struct cursor c = {0};
    for (const char *at = text;; at++) {
        if (c.count == FEED_TOPICS_MAX) return ERR_INVALID;
        struct feed_position *to = &c.at[c.count++];
        if (!read_number(&at, &to->epoch) || *at++ != '-' || !read_number(&at, &to->seq))
            return ERR_INVALID;
        if (!*at) break;
        if (*at != ',') return ERR_INVALID;
    }
    *ret = c;
    return OK;
}

void cursor_format(const struct cursor *c, char ret[static CURSOR_TEXT_SIZE])
{
    size_t size = 0;
    ret[0] = 0;
    for (size_t i = 0; i < c->count; i++)
        size += (size_t)snprintf(ret + size, CURSOR_TEXT_SIZE - size, "%s%" PRIu64 "-%" PRIu64,
                                 i ? "," : "", c->at[i].epoch, c->at[i].seq);
}
