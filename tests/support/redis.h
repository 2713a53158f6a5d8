/* A redis-server of the test's own, in a temporary folder, on a port nobody else has. */
#ifndef TESTS_REDIS_H
#define TESTS_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid;  /* 0: not running */
    int output; /* its standard output */
    int port;
    char folder[64];
    const char *password; /* NULL: none */
};

/* Start returns when the server accepts connections; false: it could not be started. */
bool redis_server_start(struct redis_server *s, const char *password);
bool redis_server_restart(struct redis_server *s); /* after a kill, on the same port */
void redis_server_kill(struct redis_server *s);    /* SIGKILL, and waits for its end */
void redis_server_freeze(struct redis_server *s);
void redis_server_thaw(struct redis_server *s);
void redis_server_stop(struct redis_server *s); /* kills it and removes the folder */

#endif
