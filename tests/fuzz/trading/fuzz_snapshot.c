/* A snapshot that loads saves to the same bytes. */
#include "support/fuzz.h"

#include "engine.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct engine *e = NULL;
    const struct engine_options options = {.shard = 0};
    CHECK(engine_new(&options, &e) == OK);
    if (engine_load(e, data, size) == OK) {
        struct buf bytes;
        buf_init(&bytes, 1u << 24);
        CHECK(engine_save(e, &bytes) == OK);
        CHECK(bytes.size == size && memcmp(bytes.data, data, size) == 0);
        buf_release(&bytes);
    }
    engine_free(e);
    return 0;
}
