/* Paths into messages, cut at their size and never over it. */
#include "base/json_path.h"

#include <stdio.h>
#include <string.h>

/* protoc's own rule: an underscore goes, the letter behind it is upper case. */
static char next_letter(const char **name)
{
    bool upper = false;
    for (; **name == '_'; (*name)++)
        upper = true;
    char c = **name;
    if (c) (*name)++;
    if (upper && c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
    return c;
}

size_t json_name(const char *name, char *ret, size_t size)
{
    size_t n = 0;
    for (char c; n < size && (c = next_letter(&name)) != 0; n++)
        ret[n] = c;
    return n;
}

bool json_name_is(const char *name, const char *key)
{
    if (*name != *key) return false; /* most of the time; the first letter is never changed */
    if (!strcmp(name, key)) return true;
    while (*key)
        if (next_letter(&name) != *key++) return false;
    return !next_letter(&name);
}

size_t json_path_enter(struct json_path *path, const char *name, long item)
{
    size_t before = path->size;
    size_t last = sizeof path->text - 1; /* for the NUL */
    size_t at = before;
    if (at && at < last) path->text[at++] = '.';
    at += json_name(name, path->text + at, last - at);
    path->text[at] = 0;
    if (item != JSON_NOT_AN_ITEM) {
        (void)snprintf(path->text + at, sizeof path->text - at, "[%ld]", item);
        at += strlen(path->text + at);
    }
    path->size = at;
    return before;
}

void json_path_leave(struct json_path *path, size_t before)
{
    path->size = before;
    path->text[before] = 0;
}
