/* A MongoDB server of the tests' own: scripts/mongo with a port and a directory of its own. */
#ifndef TESTS_INTEGRATION_STORE_SERVER_H
#define TESTS_INTEGRATION_STORE_SERVER_H

#include <sys/types.h>

struct server {
    char directory[64]; /* temporary; removed by server_remove */
    char port[8];       /* of the first start, kept by the next ones */
    char url[64];       /* "mongodb://127.0.0.1:port/" */
    pid_t script;       /* dies with us, and the server with it */
};

/* Starts (again) and returns when it answers. Fails the test otherwise. */
void server_start(struct server *s);
void server_kill(struct server *s); /* SIGKILL; returns when it is gone */
void server_signal(const struct server *s, int number);
void server_remove(struct server *s); /* kills and removes */

void directory_remove(const char *path);

#endif
