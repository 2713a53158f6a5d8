/*
 * The router: verb and path to a contract method, with the values of its path parameters. Built
 * from the contract's table, once. Pure; thread-safe; nothing blocks.
 */
#ifndef GATEWAY_ROUTER_H
#define GATEWAY_ROUTER_H

#include "base/err.h"
#include "proto/contract.h"

#include <stddef.h>

#define ROUTER_PARAMETERS_MAX 8
#define ROUTER_VALUE_MAX      256 /* bytes of a path parameter */
#define ROUTER_VERBS_SIZE     64  /* "GET, HEAD, POST, OPTIONS" */

struct route {
    const struct contract_method *method;
    size_t parameter_count;
    struct {
        char name[64];                    /* "orderId" */
        char value[ROUTER_VALUE_MAX + 1]; /* decoded */
    } parameters[ROUTER_PARAMETERS_MAX];
};

/*
 * path is decoded and starts with '/'. Literal segments win over parameters ("/orders/open" over
 * "/orders/{orderId}"). ERR_NOT_FOUND: nothing has this path. ERR_UNIMPLEMENTED: it exists, but not
 * with this verb; ret_verbs is the Allow header.
 */
MUST_CHECK enum err router_find(const char *verb, const char *path, struct route *ret,
                                char ret_verbs[static ROUTER_VERBS_SIZE]);

#endif
