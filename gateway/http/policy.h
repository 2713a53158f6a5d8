/*
 * What a listener lets through, read from its keys. For the listener "main":
 *
 *   gateway.main_caller        "guest", "user" or "admin": the highest caller it serves
 *   gateway.main_commands      "auth.*,help": commands, or all that begin so; "": all
 *   gateway.main_authenticate  a WebSocket must authenticate within 10 s
 *
 * A REST route goes by the command of the same method; one that has none (documents, health, the
 * stream) by its caller only. Pure; thread-safe; nothing blocks.
 */
#ifndef GATEWAY_POLICY_H
#define GATEWAY_POLICY_H

#include "base/config.h"
#include "listener.h"

/* A row of the configuration's table each; of a listener that has no WebSocket the first two. */
#define POLICY_KEYS(listener, caller, commands)                                                    \
    {"gateway." listener "_caller",                                                                \
     CONFIG_STRING,                                                                                \
     caller,                                                                                       \
     4,                                                                                            \
     5,                                                                                            \
     "highest caller served there: guest, user or admin",                                          \
     false},                                                                                       \
    {                                                                                              \
        "gateway." listener "_commands", CONFIG_STRING, commands, 0, 4096,                         \
            "commands offered there, or auth.* for all that begin so, comma-separated; empty: "    \
            "all",                                                                                 \
            false                                                                                  \
    }
#define POLICY_AUTHENTICATE_KEY(listener, authenticate)                                            \
    {                                                                                              \
        "gateway." listener "_authenticate", CONFIG_BOOL, authenticate, 0, 0,                      \
            "a WebSocket must authenticate there within 10 s", false                               \
    }

/*
 * Reads the policy of the listener of that name; both names are borrowed, and so are the
 * configuration's strings. ERR_INVALID: not a caller, not a command, or a listener that demands
 * what its callers cannot do; the detail names the key and what would be right.
 */
MUST_CHECK enum err policy_read(const struct config *config, const char *listener, bool websocket,
                                struct listener_policy *ret, struct err_detail *detail);

/* Whether the method is offered there at all; who may call it is another question. */
bool policy_offers(const struct listener_policy *policy, const struct contract_method *method);

#endif
