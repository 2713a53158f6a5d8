/* The two forms of a message, by jansson. */
#include "command_message.h"

#include "base/auto.h"
#include "base/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

AUTO_DEFINE(json_t, json_decref)

/* A member that is a string of 1 to max bytes. false: absent, or not that. */
static bool read_text(const json_t *object, const char *name, char *ret, size_t max)
{
    const json_t *value = json_object_get(object, name);
    size_t size = json_string_length(value); /* 0 for what is no string */
    if (size == 0 || size > max) return false;
    memcpy(ret, json_string_value(value), size + 1);
    return true;
}

static enum err take_params(const json_t *params, struct command_message *ret)
{
    ret->params = json_dumps(params, JSON_COMPACT);
    return ret->params ? OK : ERR_NO_MEMORY;
}

/* {"type":"authenticate","data":{...}} */
static enum err read_typed(const json_t *root, struct command_message *ret,
                           struct err_detail *detail)
{
    const json_t *data = json_object_get(root, "data");
    size_t known = 2 + (ret->msg_id[0] != 0);
    if (!read_text(root, "type", ret->command, COMMAND_NAME_MAX) ||
        strcmp(ret->command, "authenticate") != 0)
        return err_set(detail, ERR_INVALID, "command: the name of a command, see help");
    if (!json_is_object(data) || json_object_size(root) != known)
        return err_set(detail, ERR_INVALID, "data: an object, and beside it only type and msgId");
    return take_params(data, ret);
}

static enum err read_flat(json_t *root, struct command_message *ret, struct err_detail *detail)
{
    if (!read_text(root, "command", ret->command, COMMAND_NAME_MAX))
        return err_set(detail, ERR_INVALID, "command: the name of a command, see help");
    if (!ret->msg_id[0])
        return err_set(detail, ERR_INVALID,
                       "msgId: a string of 1 to %d bytes, given back in the "
                       "answer",
                       COMMAND_MSG_ID_MAX);
    (void)json_object_del(root, "command");
    (void)json_object_del(root, "msgId");
    return take_params(root, ret);
}

enum err command_message_read(const char *text, size_t size, struct command_message *ret,
                              struct err_detail *detail)
{
    *ret = (struct command_message){0};
    if (json_is_too_deep(text, size))
        return err_set(detail, ERR_INVALID, "more than %d levels deep", JSON_DEPTH_MAX);
    AUTO(auto_json_decref) json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root))
        return err_set(detail, ERR_INVALID, "a message is a JSON object, no member twice");
    (void)read_text(root, "msgId", ret->msg_id, COMMAND_MSG_ID_MAX);
    return json_object_get(root, "command") ? read_flat(root, ret, detail)
                                            : read_typed(root, ret, detail);
}

void command_message_release(struct command_message *m)
{
    free(m->params);
    *m = (struct command_message){0};
}
