/* What a part that follows the gateway's presence hears; one follower in a process. */
#ifndef TESTS_SUPPORT_GATEWAY_PRESENCE_H
#define TESTS_SUPPORT_GATEWAY_PRESENCE_H

#include "base/part.h"
#include "calls.h"

/* Borrows both until presence_forget. */
void presence_follow(const struct part_env *env, struct calls *calls);
void presence_print(void); /* {"events":["+ann","-ann"]} on stdout: all so far */
void presence_forget(void);

#endif
