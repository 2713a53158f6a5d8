/*
 * WebSocket commands: text in, answers into the client's queue. Knows no WebSocket and no civetweb.
 *
 * Commands are the contract's; all but the gateway's own (authenticate, subscribe, unsubscribe,
 * ping, help) are calls to the parts, made without waiting, so that a slow one keeps none behind it
 * waiting: answers come in any order. A connection has at most COMMANDS_IN_FLIGHT of them at a
 * time, with a msgId each; one that is in flight already is refused.
 *
 * A session that authenticated is asked for again before each command and at every tick: one that
 * was ended or whose token expired closes the connection with 4003. One log line per command.
 *
 * Every message is counted (rate_limits.h) as the same call by REST would be, before it is looked
 * at; one that is no command counts too.
 */
#ifndef GATEWAY_COMMAND_H
#define GATEWAY_COMMAND_H

#include "auth.h"
#include "calls.h"
#include "feed.h"
#include "hub.h"
#include "listener.h"
#include "rate_limits.h"
#include "roster.h"

#define COMMANDS_IN_FLIGHT 32
#define COMMAND_AUTH_MS    10000 /* to authenticate in, where the listener needs it */
#define COMMAND_TICK_MS    15000 /* between two looks at a session */

struct commands_options {
    struct calls *calls; /* all borrowed */
    struct auth *auth;
    struct limits *limits;
    struct hub *hub;
    struct feed *feed;
    struct recent *recent; /* forgets when a command has changed something; NULL: there is none */
    int64_t request_ms;    /* a command's deadline */
    int64_t auth_ms;       /* 0: COMMAND_AUTH_MS */
    int64_t tick_ms;       /* 0: COMMAND_TICK_MS */
};

struct commands;
MUST_CHECK enum err commands_new(const struct commands_options *options, struct commands **ret);
/* Accepts NULL. Sessions must have been closed; commands that still run end with the calls. */
void commands_free(struct commands *c);
/* Of commands that come from now on. Any thread. */
void commands_set_request_ms(struct commands *c, int64_t request_ms);

/* What one connection says. Its functions are called by one thread at a time. */
struct command_session;

/* The connection is held, the policy copied; the member, which is told who authenticated, is
 * borrowed until command_close. ERR_NO_MEMORY. */
MUST_CHECK enum err command_open(struct commands *commands, struct hub_connection *connection,
                                 struct member *member, const struct listener_policy *policy,
                                 struct command_session **ret);
/* Answers to what still runs go nowhere. Accepts NULL. */
void command_close(struct command_session *s);

/* One message. Blocks for authenticate (on the cache, seldom on users), else on the cache only. */
void command_text(struct command_session *s, const char *text, size_t size);

/* Looks after the session if it is time to, and returns the monotonic time of the next look:
 * INT64_MAX for a guest that need not authenticate. Blocks on the cache. */
int64_t command_tick(struct command_session *s, int64_t now_ms);

#endif
