/*
 * The cursor of a stream: where it stands in each of its topics, as the id of an SSE event:
 * "epoch-seq", and where a stream has channels of several topics "epoch-seq,epoch-seq", in the
 * topics' order. Pure and thread-safe.
 */
#ifndef GATEWAY_CURSOR_H
#define GATEWAY_CURSOR_H

#include "feed.h"

#define CURSOR_TEXT_SIZE                                                                           \
    ((size_t)FEED_TOPICS_MAX * 42) /* two numbers of 20 digits, dash, comma; the NUL               \
                                    */

struct cursor {
    size_t count;
    struct feed_position at[FEED_TOPICS_MAX];
};

/* ERR_INVALID: not such a text, in its one spelling; ret is untouched. */
MUST_CHECK enum err cursor_parse(const char *text, struct cursor *ret);
void cursor_format(const struct cursor *c, char ret[static CURSOR_TEXT_SIZE]);

#endif
