/* JSON that is accepted is written and read again as the same message, and written the same again.
 */
#include "support/fuzz.h"

#include "base/json.h"
#include "everything.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define EVERYTHING (&everything__everything__descriptor)
#define OUT_MAX    (1 << 20)

static bool is_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t size = protobuf_c_message_get_packed_size(a);
    if (protobuf_c_message_get_packed_size(b) != size) return false;
    AUTO_FREE uint8_t *packed_a = malloc(size + 1);
    AUTO_FREE uint8_t *packed_b = malloc(size + 1);
    CHECK(packed_a && packed_b);
    protobuf_c_message_pack(a, packed_a);
    protobuf_c_message_pack(b, packed_b);
    return !memcmp(packed_a, packed_b, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ProtobufCMessage *message = NULL, *again = NULL;
    struct err_detail detail;
    if (json_read((const char *)data, size, EVERYTHING, &message, &detail)) {
        CHECK(!message);
        return 0;
    }
    AUTO_BUF struct buf text, same;
    buf_init(&text, OUT_MAX);
    buf_init(&same, OUT_MAX);
    CHECK(json_write(message, &text) == OK);
    CHECK(json_read(text.data, text.size, EVERYTHING, &again, &detail) == OK);
    CHECK(is_same(message, again));
    CHECK(json_write(again, &same) == OK);
    CHECK(same.size == text.size && !memcmp(same.data, text.data, text.size));
    protobuf_c_message_free_unpacked(message, NULL);
    protobuf_c_message_free_unpacked(again, NULL);
    return 0;
}
