/*
 * Messages that this program was not compiled with: protobuf-c descriptors built at run time from
 * the FileDescriptorProtos that a server's reflection answers, for tools. What base/json.h does
 * with generated descriptors it does with these.
 *
 * A pool is filled once and then only read (thread-safe); descriptors live as long as their pool.
 */
#ifndef BASE_RPC_DYNAMIC_H
#define BASE_RPC_DYNAMIC_H

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#define DYNAMIC_MESSAGES_MAX 1024
#define DYNAMIC_FIELDS_MAX   JSON_FIELDS_MAX /* of one message */

struct dynamic_pool;

MUST_CHECK enum err dynamic_pool_new(struct dynamic_pool **ret);
void dynamic_pool_free(struct dynamic_pool *p); /* accepts NULL */

/*
 * Adds every message, enum and method of packed FileDescriptorProtos, in any order that has imports
 * first. ERR_INVALID: not such files, a name is missing or a type (detail names it).
 * ERR_EXHAUSTED: a limit. They come from a peer, so nothing of them is believed; but the peer is
 * one of the configured parts: how deep its types nest is not limited.
 */
MUST_CHECK enum err dynamic_pool_add(struct dynamic_pool *p, const ProtobufCBinaryData *files,
                                     size_t count, struct err_detail *detail);

/* "trading.Order"; NULL: not in the pool. */
const ProtobufCMessageDescriptor *dynamic_pool_message(const struct dynamic_pool *p,
                                                       const char *name);
/* "trading.Trading/PlaceOrder" to its request and reply. ERR_NOT_FOUND. */
MUST_CHECK enum err dynamic_pool_method(const struct dynamic_pool *p, const char *method,
                                        const ProtobufCMessageDescriptor **ret_input,
                                        const ProtobufCMessageDescriptor **ret_output);

AUTO_DEFINE(struct dynamic_pool, dynamic_pool_free)

#endif
