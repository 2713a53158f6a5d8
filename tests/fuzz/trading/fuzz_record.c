/* A record that reads writes the same bytes. */
#include "support/fuzz.h"

#include "record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record r = {0};
    const uint8_t *at = data;
    if (record_read(&at, data + size, &r) == OK) {
        struct buf bytes;
        buf_init(&bytes, 1u << 24);
        record_write(&bytes, r.seq, r.outbox_seq, r.kind, &r.result);
        CHECK(!bytes.error && bytes.size == (size_t)(at - data));
        CHECK(memcmp(bytes.data, data, bytes.size) == 0);
        buf_release(&bytes);
    }
    record_release(&r);
    return 0;
}
