/*
 * W3C trace context (https://www.w3.org/TR/trace-context/, version 00): who called whom, in one
 * string. Thread-safe; nothing blocks.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

struct trace {
    uint64_t trace_hi, trace_lo, span;
    uint8_t flags; /* bit 0: sampled */
};

#define TRACE_TEXT_SIZE 56 /* "00-" 32 "-" 16 "-" 2, NUL */

struct trace trace_new(void);
/* false: absent, malformed, upper-case, all-zero or version ff; ret is untouched. */
bool trace_parse(const char *traceparent, struct trace *ret);
struct trace trace_child(struct trace parent); /* same trace, a new span */
void trace_format(struct trace t, char ret[static TRACE_TEXT_SIZE]);
void trace_id_format(struct trace t, char ret[static 33]);

#endif
