/* A MongoDB server of the tests' own. */
#include "server.h"

#include "support/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pid_t server_pid(const struct server *s)
{
    char path[96];
    long pid = 0;

    (void)snprintf(path, sizeof path, "%s/pid", s->directory);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s: no server", path);
    int got = fscanf(file, "%ld", &pid);
    (void)fclose(file);
    assert_int_equal(got, 1);
    return (pid_t)pid;
}

void server_start(struct server *s)
{
    if (!s->directory[0]) {
        (void)snprintf(s->directory, sizeof s->directory, "/tmp/tradepost-mongo-XXXXXX");
        assert_non_null(mkdtemp(s->directory));
        (void)snprintf(s->port, sizeof s->port, "0");
    }
    char *const args[] = {
        "../scripts/mongo", "--with-parent", "--port", s->port, "--dir", s->directory, NULL};
    posix_spawn_file_actions_t actions;
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&s->script, args[0], &actions, NULL, args, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(out[1]);
    FILE *answer = fdopen(out[0], "r");
    assert_non_null(answer);
    if (!fgets(s->url, sizeof s->url, answer)) fail_msg("scripts/mongo did not start a server");
    (void)fclose(answer);
    s->url[strcspn(s->url, "\n")] = 0;
    (void)snprintf(s->port, sizeof s->port, "%.5s", strrchr(s->url, ':') + 1);
    s->port[strcspn(s->port, "/")] = 0;
}

void server_signal(const struct server *s, int number)
{
    assert_int_equal(kill(server_pid(s), number), 0);
}

void server_kill(struct server *s)
{
    int status;
    server_signal(s, SIGKILL);
    assert_int_equal(waitpid(s->script, &status, 0), s->script); /* it waits for the server */
    s->script = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

void directory_remove(const char *path)
{
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void server_remove(struct server *s)
{
    if (s->script) server_kill(s);
    directory_remove(s->directory);
}
