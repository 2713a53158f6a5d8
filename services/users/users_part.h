/* Users, as services/main.c sees it. */
#ifndef USERS_USERS_PART_H
#define USERS_USERS_PART_H

#include "base/part.h"

extern const struct part_ops users_part;

#endif
