/* Starts and ends a redis-server for a test. */
#include "support/redis.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTEMPTS 5 /* another program may take the port between finding and using it */

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 0;
    if (!bind(s, (struct sockaddr *)&address, size) &&
        !getsockname(s, (struct sockaddr *)&address, &size))
        port = ntohs(address.sin_port);
    (void)close(s);
    return port;
}

static void become_server(const struct redis_server *s, int output)
{
    char port[16];
    (void)snprintf(port, sizeof port, "%d", s->port);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir",
                 s->folder, "--save", "", "--appendonly", "no",
                 s->password ? "--requirepass" : NULL, s->password, (char *)NULL);
    _exit(127);
}

/* Reads the server's log until it is ready; false: it ended before. */
static bool wait_until_ready(struct redis_server *s)
{
    char text[16 * 1024];
    size_t size = 0;
    while (size < sizeof text - 1) {
        ssize_t got = read(s->output, text + size, sizeof text - 1 - size);
        if (got <= 0) return false;
        size += (size_t)got;
        text[size] = 0;
        if (strstr(text, "Ready to accept connections")) return true;
    }
    return false;
}

bool redis_server_restart(struct redis_server *s)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return false;
    s->pid = fork();
    if (s->pid == 0) become_server(s, ends[1]);
    (void)close(ends[1]);
    s->output = ends[0];
    if (s->pid > 0 && wait_until_ready(s)) return true;
    redis_server_kill(s);
    return false;
}

bool redis_server_start(struct redis_server *s, const char *password)
{
    *s = (struct redis_server){.password = password};
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/tradepost-redis-XXXXXX");
    if (!mkdtemp(s->folder)) return false;
    for (int i = 0; i < ATTEMPTS; i++) {
        s->port = free_port();
        if (redis_server_restart(s)) return true;
    }
    redis_server_stop(s);
    return false;
}

void redis_server_kill(struct redis_server *s)
{
    if (s->pid <= 0) return;
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    (void)close(s->output);
    s->pid = 0;
}

void redis_server_freeze(struct redis_server *s)
{
    (void)kill(s->pid, SIGSTOP);
}

void redis_server_thaw(struct redis_server *s)
{
    (void)kill(s->pid, SIGCONT);
}

void redis_server_stop(struct redis_server *s)
{
    redis_server_kill(s);
    if (*s->folder) (void)rmdir(s->folder);
}
