/*
 * Where a walk over a message is, as a client would write it: "orders[3].clientOrderId". Also the
 * one place that turns a field's name into its JSON name. Not thread-safe; nothing blocks.
 */
#ifndef BASE_JSON_PATH_H
#define BASE_JSON_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_PATH_SIZE 128 /* longer paths are cut */

struct json_path {
    char text[JSON_PATH_SIZE];
    size_t size;
};

#define JSON_NOT_AN_ITEM (-1)

/* Goes to a field (by its proto name), or to an item of it. Returns what json_path_leave goes back
 * to. */
size_t json_path_enter(struct json_path *path, const char *name, long item);
void json_path_leave(struct json_path *path, size_t before);

/* "client_order_id" -> "clientOrderId": the bytes written, without a NUL; at most strlen(name). */
size_t json_name(const char *name, char *ret, size_t size);

/* Is key the field's name, in either spelling? */
bool json_name_is(const char *name, const char *key);

#endif
