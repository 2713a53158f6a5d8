/*
 * Any BSON that is accepted as a document is stored as valid BSON that begins with _id and v, keeps
 * every other field, and is accepted again as the same bytes. Any BSON is a filter or is refused.
 */
#include "support/fuzz.h"

#include "base/store/driver.h"

#include <string.h>

static const struct store_index indexes[] = {
    {"by_a", {"a"}, false},
    {"by_b_c", {"b", "c"}, true},
    {NULL, {NULL}, false},
};

/* The input is the elements of a document; length and end are added, or nothing would ever get
 * through. */
static bson_t *wrap(const uint8_t *data, size_t size)
{
    uint32_t total = BSON_UINT32_TO_LE((uint32_t)size + 5);
    uint8_t *bytes = malloc(size + 5);
    CHECK(bytes);
    memcpy(bytes, &total, sizeof total);
    memcpy(bytes + sizeof total, data, size);
    bytes[size + 4] = 0;
    bson_t *b = bson_new_from_data(bytes, size + 5);
    free(bytes);
    return b;
}

static void check_document(const struct collection *c, const bson_t *source)
{
    AUTO_DOCUMENT struct document d = {.bytes = NULL}, again = {.bytes = NULL};
    bson_iter_t iter;

    if (document_prepare(&d, c, source, NULL, 7)) {
        CHECK(store_reason()[0]);
        return;
    }
    CHECK(bson_validate(
        &d.bson, BSON_VALIDATE_UTF8 | BSON_VALIDATE_DOT_KEYS | BSON_VALIDATE_DOLLAR_KEYS, NULL));
    CHECK(bson_iter_init(&iter, &d.bson) && bson_iter_next(&iter));
    CHECK(strcmp(bson_iter_key(&iter), "_id") == 0 && BSON_ITER_HOLDS_UTF8(&iter));
    CHECK(bson_iter_next(&iter) && strcmp(bson_iter_key(&iter), "v") == 0);
    CHECK(bson_iter_int64(&iter) == 7);
    CHECK(document_prepare(&again, c, &d.bson, d.id.text, 7) == OK);
    CHECK(bson_equal(&d.bson, &again.bson));
    for (unsigned n = 0; n < c->field_count; n++)
        CHECK(value_equal(&d.fields[n], &again.fields[n]));
    document_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct collection c;
    static const struct store_collection declared = {"fuzz", indexes};
    struct filter filter;

    if (!c.name) CHECK(collection_declare(&c, &declared, NULL) == OK);
    AUTO_BSON bson_t *source = wrap(data, size);
    if (!source) return 0;
    check_document(&c, source);
    if (filter_parse(&c, source, &filter) == OK) CHECK(filter.count <= STORE_CONDITIONS_MAX);
    return 0;
}
