/* Trading, for the table of parts in services/. */
#ifndef SERVICES_TRADING_PART_H
#define SERVICES_TRADING_PART_H

#include "base/part.h"

extern const struct part_ops trading_part;

#endif
