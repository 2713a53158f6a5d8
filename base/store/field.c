/* Fields that their reader wrote itself: there, and of one type. */
#include "base/store/store.h"

#include <string.h>

bool store_text(const bson_t *document, const char *name, char *ret, size_t ret_size)
{
    bson_iter_t at;
    uint32_t size = 0;
    if (!bson_iter_init_find(&at, document, name) || !BSON_ITER_HOLDS_UTF8(&at)) return false;
    const char *text = bson_iter_utf8(&at, &size);
    if (size >= ret_size) return false;
    memcpy(ret, text, size);
    ret[size] = 0;
    return true;
}

bool store_int(const bson_t *document, const char *name, int64_t *ret)
{
    bson_iter_t at;
    if (!bson_iter_init_find(&at, document, name) || !BSON_ITER_HOLDS_INT64(&at)) return false;
    *ret = bson_iter_int64(&at);
    return true;
}

bool store_binary(const bson_t *document, const char *name, void *ret, size_t size_max,
                  size_t *ret_size)
{
    bson_iter_t at;
    bson_subtype_t subtype;
    uint32_t size = 0;
    const uint8_t *bytes = NULL;
    if (!bson_iter_init_find(&at, document, name) || !BSON_ITER_HOLDS_BINARY(&at)) return false;
    bson_iter_binary(&at, &subtype, &size, &bytes);
    if (!bytes || size > size_max) return false;
    memcpy(ret, bytes, size);
    *ret_size = size;
    return true;
}
