/*
 * The roster for others: operators see it page by page (gateway.Connections/List), and parts that
 * want to know who is connected (messaging) read the users who are (ListPresent), and then the
 * events on the bus topic "gateway.presence": presence.connected and presence.disconnected, with
 * Gateway__Presence. A gateway that is not the only one has a name of its own (gateway.name), and
 * the topic begins with that.
 *
 * It is the gateway's RPC server and publisher. Thread-safe.
 */
#ifndef GATEWAY_ROSTER_RPC_H
#define GATEWAY_ROSTER_RPC_H

#include "base/part.h"
#include "roster.h"

#define ROSTER_NAME_MAX (BUS_TOPIC_MAX - 9) /* bytes of gateway.name; ".presence" comes behind */

struct roster_rpc;
/* Makes the roster, and listens as gateway.listen and gateway.events_listen say. Errors as
 * part_server and part_publisher. */
MUST_CHECK enum err roster_rpc_new(const struct part_env *env, const char *name,
                                   const struct roster_options *options, struct roster_rpc **ret,
                                   struct err_detail *detail);
struct roster *roster_rpc_roster(struct roster_rpc *r);
/* Accepts NULL. All members must have left. Blocks until its calls are answered. */
void roster_rpc_free(struct roster_rpc *r);

#endif
