/*
 * Calls to the parts: which client serves which method. A part's name is its package in the
 * contract, so nothing here names a service. Thread-safe after calls_new.
 */
#ifndef GATEWAY_CALLS_H
#define GATEWAY_CALLS_H

#include "base/part.h"
#include "proto/contract.h"

struct calls;

/* A client for every package that has a public method. */
MUST_CHECK enum err calls_new(const struct part_env *env, struct calls **ret,
                              struct err_detail *detail);
void calls_free(struct calls *c); /* accepts NULL; blocks */

/* The client of a method's, or a topic's ("trading.market") part; NULL: the contract has no such
 * part. */
struct rpc_client *calls_client(const struct calls *c, const char *name);

/* Every part in turn, for health: "wallet" and whether it is connected. */
size_t calls_count(const struct calls *c);
const char *calls_part(const struct calls *c, size_t index, struct rpc_client **ret);

/*
 * May this principal call this method here? OK, ERR_UNAUTHENTICATED (a guest), ERR_DENIED (not an
 * administrator, or a key without the permission), or ERR_NOT_FOUND for what is not public. The
 * server checks again; this spares it the asking.
 */
/* It changes nothing: a GET, on REST. */
bool calls_only_reads(const struct contract_method *method);

MUST_CHECK enum err calls_allowed(const struct contract_method *method,
                                  const struct principal *principal);
/* The same for a channel, whose events a key must be allowed to read. */
MUST_CHECK enum err calls_channel_allowed(enum caller caller, const struct principal *principal);
/* Why ERR_DENIED, for people. */
const char *calls_denied_text(const struct principal *principal);

#endif
