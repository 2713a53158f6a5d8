/*
 * civetweb's connection keeps its number, but not its socket: the number is made to mean a socket
 * whose other end is closed, so that all that civetweb still does to it (shutdown, linger, close)
 * ends at once and touches nobody.
 */
#include "exchange.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* Taken sockets get high numbers, so that descriptor.c finds civetweb's among few. */
#define TAKEN_FROM 1024

static int dead_end = -1;

static void make_dead_end(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return;
    (void)close(ends[1]);
    dead_end = ends[0];
}

int http_take_over(struct http_exchange *x)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_dead_end);
    mg_disable_connection_keep_alive(x->connection);
    x->close = true;
    if (x->socket < 0 || dead_end < 0) return -1;
    int own = fcntl(x->socket, F_DUPFD_CLOEXEC, TAKEN_FROM);
    if (own < 0) own = fcntl(x->socket, F_DUPFD_CLOEXEC, 0);
    if (own < 0) return -1;
    int flags = fcntl(own, F_GETFL);
    if (flags >= 0 && fcntl(own, F_SETFL, flags | O_NONBLOCK) == 0 &&
        dup3(dead_end, x->socket, O_CLOEXEC) >= 0)
        return own;
    (void)close(own);
    return -1;
}
