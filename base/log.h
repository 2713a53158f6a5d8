/*
 * Logs: one JSON object per line on stderr, made with one write so that lines never mix.
 *
 * Only edges log: a service's start and stop, one line per request where it enters the house. Below
 * the edge nothing logs; it returns. Never a secret, a token or a body. Thread-safe; a write may
 * block on stderr; errno is left alone.
 *
 * A value longer than LOG_VALUE_MAX bytes is cut and ends with "..."; a field that no longer fits
 * the line is left out, and the line then ends with "cut":true.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

#include <stdint.h>

#define LOG_LINE_MAX  4096 /* bytes with the newline: a pipe takes that many in one piece */
#define LOG_VALUE_MAX 1024 /* bytes between the quotes: one value cannot fill a line */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level); /* may be called at any time; LOG_INFO at start */
bool log_enabled(enum log_level level);
MUST_CHECK enum err log_level_parse(const char *text, enum log_level *ret); /* ERR_INVALID */

struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_BOOL } kind;
    const char *text; /* NULL is written as null */
    int64_t number;
};
#define LOG_TEXT(key, value) ((struct log_field){(key), LOG_FIELD_TEXT, (value), 0})
#define LOG_INT(key, value)  ((struct log_field){(key), LOG_FIELD_INT, NULL, (int64_t)(value)})
#define LOG_BOOL(key, value) ((struct log_field){(key), LOG_FIELD_BOOL, NULL, (value)})

/* {"time":"...","level":"info","part":"wallet","msg":"started", fields...}; fields end with a NULL
 * key. */
void log_write(enum log_level level, const char *part, const char *message,
               const struct log_field *fields);
#define LOG_LINE(level, part, message, ...)                                                        \
    log_write((level), (part), (message), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

#endif
