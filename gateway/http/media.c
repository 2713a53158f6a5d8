/* A list of ranges, each with parameters; the most specific range that fits decides. */
#include "media.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* The text without blanks around it. */
static const char *trim(const char *text, size_t *size)
{
    while (*size && strchr(BLANKS, text[0])) {
        text++;
        --*size;
    }
    while (*size && strchr(BLANKS, text[*size - 1]))
        --*size;
    return text;
}

static bool equals(const char *text, size_t size, const char *word)
{
    text = trim(text, &size);
    return size == strlen(word) && strncasecmp(text, word, size) == 0;
}

/* "q=0", "q=0.000": not at all. */
static bool is_weight_zero(const char *text, size_t size)
{
    text = trim(text, &size);
    if (size < 3 || strncasecmp(text, "q=0", 3) != 0) return false;
    for (size_t i = 3; i < size; i++)
        if (text[i] != '0' && text[i] != '.') return false;
    return true;
}

/* 3: the type itself, 2: its kind, 1: anything, 0: something else. */
static int specificity(const char *range, size_t size, const char *type)
{
    size_t type_size = strcspn(type, "; \t"), kind_size = strcspn(type, "/") + 1;
    range = trim(range, &size);
    if (size == type_size && strncasecmp(range, type, size) == 0) return 3;
    if (size == kind_size + 1 && range[kind_size] == '*' &&
        strncasecmp(range, type, kind_size) == 0)
        return 2;
    return equals(range, size, "*/*") ? 1 : 0;
}

bool media_is_json(const char *content_type)
{
    return content_type && equals(content_type, strcspn(content_type, ";"), "application/json");
}

bool media_accepts(const char *accept, const char *type)
{
    int best = 0;
    bool wanted = !accept || !accept[strspn(accept, BLANKS)];
    while (accept && *accept) {
        size_t item = strcspn(accept, ","), range = strcspn(accept, ",;");
        bool zero = false;
        for (size_t at = range; at < item;) {
            size_t parameter = strcspn(accept + at + 1, ",;");
            if (is_weight_zero(accept + at + 1, parameter)) zero = true;
            at += 1 + parameter;
        }
        int fits = specificity(accept, range, type);
        if (fits > best) {
            best = fits;
            wanted = !zero;
        }
        accept += item + (accept[item] == ',');
    }
    return wanted;
}

bool media_names(const char *accept, const char *type)
{
    while (accept && *accept) {
        size_t item = strcspn(accept, ",");
        if (equals(accept, strcspn(accept, ",;"), type)) return true;
        accept += item + (accept[item] == ',');
    }
    return false;
}

bool media_is_plain(const char *content_encoding)
{
    return !content_encoding || equals(content_encoding, strlen(content_encoding), "identity");
}
