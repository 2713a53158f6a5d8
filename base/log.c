/* One line, built in memory, written at once. A line that cannot be written is lost: there is
 * nobody to tell. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a write to a pipe is atomic only up to PIPE_BUF");

#define ENDING "\"cut\":true}\n" /* what a full line ends with; room for it is always kept */

static const char *const level_words[] = {"debug", "info", "warn", "error"};
static _Atomic int least_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

enum err log_level_parse(const char *text, enum log_level *ret)
{
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        if (strcmp(text, level_words[level]) != 0) continue;
        *ret = (enum log_level)level;
        return OK;
    }
    return ERR_INVALID;
}

/* How many of the size bytes of escaped text fit max bytes without cutting a character or an
 * escape. */
static size_t fitting(const char *escaped, size_t size, size_t max)
{
    size_t at = 0;
    while (at < size) {
        size_t length = utf8_next(escaped + at, size - at);
        if (escaped[at] == '\\') length = escaped[at + 1] == 'u' ? 6 : 2;
        if (!length || at + length > max) break;
        at += length;
    }
    return at;
}

/* The text as a JSON string of at most LOG_VALUE_MAX bytes between its quotes. */
static void add_text(struct buf *line, const char *text)
{
    size_t size =
        strnlen(text, LOG_VALUE_MAX + 1); /* more cannot fit: escapes only make it longer */
    size_t start = line->size + 1;
    if (json_add_string(line, text, size)) return;
    size_t escaped = line->size - start - 1;
    if (escaped <= LOG_VALUE_MAX) return;
    line->size = start + fitting(line->data + start, escaped, LOG_VALUE_MAX - 3);
    (void)buf_add_text(line, "...\"");
}

/* "key":value, */
static void add_field(struct buf *line, const struct log_field *field)
{
    (void)json_add_string(line, field->key, strlen(field->key));
    (void)buf_add_char(line, ':');
    if (field->kind == LOG_FIELD_INT)
        (void)buf_add_format(line, "%" PRId64, field->number);
    else if (field->kind == LOG_FIELD_BOOL)
        (void)buf_add_text(line, field->number ? "true" : "false");
    else if (field->text)
        add_text(line, field->text);
    else
        (void)buf_add_text(line, "null");
    (void)buf_add_char(line, ',');
}

/* Adds it whole or not at all: then false. */
static bool add_if_it_fits(struct buf *line, const struct log_field *field)
{
    size_t before = line->size;
    add_field(line, field);
    if (line->size <= LOG_LINE_MAX - strlen(ENDING)) return true;
    line->size = before;
    return false;
}

static void write_line(const char *line, size_t size)
{
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line, size);
    } while (written < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *part, const char *message,
               const struct log_field *fields)
{
    if (!log_enabled(level)) return;
    int errno_of_caller = errno;
    char time[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), time);
    const struct log_field first[] = {
        LOG_TEXT("time", time),
        LOG_TEXT("level", level_words[level]),
        LOG_TEXT("part", part),
        LOG_TEXT("msg", message),
    };
    AUTO_BUF struct buf line;
    buf_init(&line, LOG_LINE_MAX + 8 * LOG_VALUE_MAX); /* with a value before it is cut */
    bool fits = true;
    (void)buf_add_char(&line, '{');
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        fits = add_if_it_fits(&line, &first[i]) && fits;
    for (; fields && fields->key; fields++)
        fits = add_if_it_fits(&line, fields) && fits;
    if (fits) line.size--; /* the comma */
    (void)buf_add_text(&line, fits ? "}\n" : ENDING);
    if (!line.error) write_line(line.data, line.size);
    errno = errno_of_caller;
}
