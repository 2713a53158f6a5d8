/* What decodes encodes to the same bytes, and the engine takes it without harm. */
#include "support/fuzz.h"

#include "engine.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request r;
    uint8_t bytes[COMMAND_SIZE_MAX];
    if (request_decode(data, size, &r)) return 0;
    CHECK(request_encode(&r, bytes) == size);
    CHECK(memcmp(bytes, data, size) == 0);

    struct engine *e = NULL;
    const struct engine_options options = {.shard = 0};
    CHECK(engine_new(&options, &e) == OK);
    bool new_order = r.kind == COMMAND_PLACE || r.kind == COMMAND_REPLACE;
    if (!new_order || r.order_id > engine_last_order_id(e)) (void)engine_apply(e, &r);
    engine_free(e);
    return 0;
}
