/* The wallet, for the table of parts in services/. */
#ifndef SERVICES_WALLET_PART_H
#define SERVICES_WALLET_PART_H

#include "base/part.h"

extern const struct part_ops wallet_part;

#endif
