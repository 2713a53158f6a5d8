/*
 * The door of a civetweb listener, which civetweb can neither shut before it stops (and then it
 * answers nothing any more), nor watch without falling asleep for two seconds. Shut, connections
 * are refused while requests go on, and civetweb can be woken up.
 *
 * How: its listening descriptor is found, and replaced by a socket that only we can reach. One
 * thread; does not block.
 */
#ifndef GATEWAY_DOOR_H
#define GATEWAY_DOOR_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct door {
    int listening; /* civetweb's; -1: not known, then nothing happens */
    int own;       /* what takes its place; -1: none */
    struct sockaddr_un name;
    socklen_t name_size;
};

/* ERR_IO and what err_from_errno says: no socket. */
MUST_CHECK enum err door_init(struct door *d);
void door_release(struct door *d); /* after civetweb has stopped */

void door_find(struct door *d, unsigned port); /* civetweb listens there */
void door_shut(struct door *d);
void door_wake(struct door *d); /* once it is shut: for good, so mg_stop must follow at once */

#endif
