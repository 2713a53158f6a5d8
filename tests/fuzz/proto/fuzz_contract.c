/*
 * A request from the wire, of any method: what the contract accepts can be shown as JSON, and what
 * JSON makes of it is accepted again. What it refuses has a field and a reason.
 */
#include "support/fuzz.h"

#include "base/json.h"
#include "proto/contract.h"

#include <string.h>

#define OUT_MAX (1 << 22)

static void check_accepted(const ProtobufCMessage *request)
{
    AUTO_BUF struct buf text;
    buf_init(&text, OUT_MAX);
    CHECK(json_write(request, &text) == OK);
    ProtobufCMessage *again = NULL;
    struct err_detail detail;
    char field[CONTRACT_FIELD_SIZE];
    CHECK(json_read(text.data, text.size, request->descriptor, &again, &detail) == OK);
    CHECK(contract_check(again, field, &detail) == OK);
    protobuf_c_message_free_unpacked(again, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    const struct contract_method *method = &contract_methods[data[0] % contract_method_count];
    ProtobufCMessage *request = protobuf_c_message_unpack(method->input, NULL, size - 1, data + 1);
    if (!request) return 0;
    struct err_detail detail = {""};
    char field[CONTRACT_FIELD_SIZE] = "";
    if (contract_check(request, field, &detail))
        CHECK(*field && *detail.text && strlen(field) < sizeof field);
    else
        check_accepted(request);
    protobuf_c_message_free_unpacked(request, NULL);
    return 0;
}
