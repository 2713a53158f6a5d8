/* A message that is accepted says one command; its parameters are an object without it; and the
 * answer to any message is JSON. */
#include "support/fuzz.h"

#include "answer.h"
#include "command_message.h"
#include "proto/contract.h"

#include "base/json.h"

#include <jansson.h>
#include <string.h>

static void check_answer(const struct command_message *m, const struct err_detail *detail)
{
    AUTO_BUF struct buf out;
    struct rpc_status status = {.err = ERR_INVALID};
    buf_init(&out, ANSWER_WHOLE_MAX);
    memcpy(status.message, detail->text, sizeof status.message);
    answer_error(&out, m->msg_id, NULL, &status);
    json_t *answer = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    CHECK(answer && json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
}

static void check_params(const struct command_message *m)
{
    json_t *params = json_loads(m->params, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_object(params));
    CHECK(m->msg_id[0] || strcmp(m->command, "authenticate") == 0);
    json_decref(params);
    const struct contract_method *method = contract_command(m->command);
    ProtobufCMessage *request = NULL;
    char field[CONTRACT_FIELD_SIZE];
    if (!method || json_read(m->params, strlen(m->params), method->input, &request, NULL)) return;
    if (contract_check(request, field, NULL)) CHECK(memchr(field, 0, sizeof field));
    protobuf_c_message_free_unpacked(request, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command_message m;
    struct err_detail detail = {0};
    enum err e = command_message_read((const char *)data, size, &m, &detail);
    CHECK(!e || e == ERR_INVALID);
    CHECK(strlen(m.command) <= COMMAND_NAME_MAX && strlen(m.msg_id) <= COMMAND_MSG_ID_MAX);
    check_answer(&m, &detail);
    if (!e) check_params(&m);
    command_message_release(&m);
    return 0;
}
