/*
 * What a client says on the WebSocket, read from its text:
 *
 *   {"command":"prices.quotes","msgId":"7","symbols":"BTC-USDT"}
 *   {"type":"authenticate","data":{"token":"..."}}      (the one message of this form; "msgId" too)
 *
 * All members but command and msgId are the command's parameters. Pure and thread-safe.
 */
#ifndef GATEWAY_COMMAND_MESSAGE_H
#define GATEWAY_COMMAND_MESSAGE_H

#include "base/err.h"

#include <stddef.h>

#define COMMAND_NAME_MAX   64 /* bytes of a command's name, */
#define COMMAND_MSG_ID_MAX 64 /* and of a msgId */

struct command_message {
    char command[COMMAND_NAME_MAX + 1];
    char msg_id[COMMAND_MSG_ID_MAX + 1]; /* "": none was given (only of the second form) */
    char *params;                        /* a JSON object, NUL-terminated */
};

/*
 * ERR_INVALID: not JSON, no object, a member twice, too deep, or without a command or msgId; detail
 * says what would be right, and ret->msg_id is set if there was one, for the answer. Release ret in
 * any case.
 */
MUST_CHECK enum err command_message_read(const char *text, size_t size, struct command_message *ret,
                                         struct err_detail *detail);
void command_message_release(struct command_message *m);

#endif
