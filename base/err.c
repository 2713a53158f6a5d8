/* The table of base/err.h, looked up. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum grpc_code grpc;
    int http;
    bool retryable;
    const char *word;
    const char *text;
} table[ERR_COUNT] = {
#define ERR_ROW(name, grpc, http, retry, word, text)                                               \
    [name] = {#name, grpc, http, retry, word, text},
    ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

const char *err_name(enum err e)
{
    return table[e].name;
}

const char *err_word(enum err e)
{
    return table[e].word;
}

const char *err_text(enum err e)
{
    return table[e].text;
}

enum grpc_code err_grpc(enum err e)
{
    return table[e].grpc;
}

int err_http(enum err e)
{
    return table[e].http;
}

bool err_retryable(enum err e)
{
    return table[e].retryable;
}

enum err err_from_grpc(unsigned code)
{
    for (unsigned e = 0; e < ERR_COUNT; e++)
        if ((unsigned)table[e].grpc == code) return (enum err)e;
    return ERR_UNKNOWN;
}

enum err err_from_errno(int number)
{
    switch (number) {
    case 0:
        return OK;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

enum err err_set(struct err_detail *detail, enum err e, const char *format, ...)
{
    if (!detail) return e;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail->text, sizeof detail->text, format, args);
    va_end(args);
    return e;
}

void check_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "bug: CHECK(%s) failed at %s:%d\n", condition, file, line);
    abort();
}
