/* The gateway, as services/main.c sees it. */
#ifndef GATEWAY_GATEWAY_PART_H
#define GATEWAY_GATEWAY_PART_H

#include "base/part.h"

extern const struct part_ops gateway_part;

#endif
