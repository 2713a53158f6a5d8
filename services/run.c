/*
 * `tradepost run`: starts the parts of the target in order, waits for a signal, stops them in
 * reverse. SIGTERM and SIGINT: stop accepting, finish, exit 0 within STOP_MS; a part that hangs is
 * cut off then.
 */
#include "cli.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS  10000 /* from the signal to the exit */
#define GRACE_MS 5000  /* of that, for calls in flight */

struct running {
    const struct part_ops *ops[PARTS_MAX];
    void *part[PARTS_MAX];
    size_t count;
};

static bool in_list(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; *at;) {
        size_t item = strcspn(at, ",");
        if (item == size && strncmp(at, name, size) == 0) return true;
        at += item + (at[item] == ',');
    }
    return false;
}

/* The parts that --target names; false: it names one that there is not. */
static bool pick(const char *target, struct running *ret)
{
    size_t named = 1;
    for (const char *c = target; *c; c++)
        named += *c == ',';
    bool all = strcmp(target, "all") == 0;
    for (size_t i = 0; cli_parts[i]; i++)
        if (all || in_list(target, cli_parts[i]->name)) ret->ops[ret->count++] = cli_parts[i];
    return all || ret->count == named;
}

static void stop_all(struct running *r, size_t started)
{
    while (started-- > 0) {
        r->ops[started]->stop(r->part[started], GRACE_MS);
        LOG_LINE(LOG_INFO, r->ops[started]->name, "stopped");
    }
}

static enum err start_all(struct running *r, const struct part_env *env, size_t *ret_started)
{
    for (size_t i = 0; i < r->count; i++) {
        int64_t from_us = clock_mono_us();
        struct err_detail detail = {0};
        enum err e = r->ops[i]->start(env, &r->part[i], &detail);
        if (e) {
            LOG_LINE(LOG_ERROR, r->ops[i]->name, "could not start", LOG_TEXT("error", err_word(e)),
                     LOG_TEXT("detail", detail.text));
            *ret_started = i;
            return e;
        }
        LOG_LINE(LOG_INFO, r->ops[i]->name, "started",
                 LOG_INT("duration_us", clock_mono_us() - from_us));
    }
    *ret_started = r->count;
    return OK;
}

/* nng's close has been seen to hang: whatever happens, the process ends. */
static void *watchdog(void *arg)
{
    (void)arg;
    int64_t end_ms = clock_mono_ms() + STOP_MS;
    for (int64_t left; (left = end_ms - clock_mono_ms()) > 0;) {
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        (void)nanosleep(&wait, NULL);
    }
    static const char line[] = "tradepost: a part did not stop in time; what was acknowledged is "
                               "durable\n";
    (void)!write(STDERR_FILENO, line, sizeof line - 1);
    _exit(CLI_EXIT_FAILED);
}

static void wait_for_signal(const sigset_t *signals)
{
    int number = 0;
    while (sigwait(signals, &number))
        continue;
    LOG_LINE(LOG_INFO, "tradepost", "stopping", LOG_TEXT("signal", strsignal(number)));
    pthread_t thread;
    if (pthread_create(&thread, NULL, watchdog, NULL) == 0) (void)pthread_detach(thread);
}

static int serve(struct running *r, const struct part_env *env)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* inherited by every thread from here on */
    (void)signal(SIGPIPE, SIG_IGN);

    size_t started = 0;
    enum err e = start_all(r, env, &started);
    if (!e) {
        LOG_LINE(LOG_INFO, "tradepost", "serving", LOG_TEXT("version", TRADEPOST_VERSION));
        wait_for_signal(&signals);
    }
    stop_all(r, started);
    return e ? CLI_EXIT_FAILED : 0;
}

int run_command(struct cli *cli)
{
    struct running r = {0};
    struct part_env *env = NULL;
    struct err_detail detail = {0};
    enum log_level level = LOG_INFO;
    if (!pick(cli->target, &r))
        return cli_fail(CLI_EXIT_USAGE, "--target=%s names a part that there is not; see --help",
                        cli->target);
    if (log_level_parse(config_string(cli->config, "log.level"), &level))
        return cli_fail(CLI_EXIT_USAGE, "log.level must be debug, info, warn or error");
    log_set_level(level);
    if (part_env_open(cli->config, &env, &detail))
        return cli_fail(CLI_EXIT_FAILED, "%s", detail.text);
    int status = serve(&r, env);
    part_env_close(env);
    return status;
}
