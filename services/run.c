/*
 * `tradepost run`: starts the parts of the target in order, waits for signals, stops the parts in
 * reverse. SIGHUP: reload. SIGTERM and SIGINT: say not ready, for as long as a part asks for; then
 * stop accepting, finish, exit 0 within STOP_MS. A part that hangs is cut off then, and a second
 * SIGTERM or SIGINT ends the process at once.
 */
#include "cli.h"
#include "reload.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STOP_MS  10000 /* from the signal to the exit */
#define GRACE_MS 5000  /* of that, for calls in flight */

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

/* ---- signals: blocked in every thread, and taken here ---- */

static sigset_t set_of(const int *numbers)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (; *numbers; numbers++)
        (void)sigaddset(&set, *numbers);
    return set;
}

static const int stop_signals[] = {SIGTERM, SIGINT, 0};
static const int all_signals[] = {SIGTERM, SIGINT, SIGHUP, 0};

/* Whatever still runs is cut off: a kill loses nothing that was acknowledged. */
_Noreturn static void end_at_once(const char *why)
{
    LOG_LINE(LOG_ERROR, "tradepost", "ended at once; what was acknowledged is durable",
             LOG_TEXT("detail", why));
    _exit(CLI_EXIT_FAILED);
}

/* Waits so long; ends the process if it is told to stop meanwhile, which it has been before. */
static void wait_or_end(int64_t wait_ms)
{
    const sigset_t set = set_of(stop_signals);
    int64_t until_ms = clock_mono_ms() + wait_ms;
    for (int64_t left_ms; (left_ms = until_ms - clock_mono_ms()) > 0;) {
        struct timespec wait = {.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
        if (sigtimedwait(&set, NULL, &wait) > 0) end_at_once("told twice to stop");
    }
}

/* nng's close has been seen to hang: whatever happens, the process ends. */
static void *watchdog(void *arg)
{
    (void)arg;
    wait_or_end(STOP_MS);
    end_at_once("a part did not stop in time");
}

/* The configuration that counts: the one of the start, or one that was reloaded since. What parts
 * borrowed is the first one's. */
struct effective {
    struct cli *cli;
    struct config *reloaded; /* owned; NULL: still the first */
};

static void reload_config(const struct running *r, struct effective *c)
{
    struct err_detail detail = {0};
    struct config *next = NULL;
    AUTO_BUF struct buf changed;
    buf_init(&changed, CONFIG_FILE_SIZE_MAX);
    enum err e = cli_read_config(c->cli, &next, &detail);
    if (!e) e = reload(r, c->reloaded ? c->reloaded : c->cli->config, next, &changed, &detail);
    if (e) {
        config_free(next);
        LOG_LINE(LOG_ERROR, "tradepost", "reload refused, nothing has changed",
                 LOG_TEXT("error", err_word(e)),
                 LOG_TEXT("detail", detail.text[0] ? detail.text : err_text(e)));
        return;
    }
    config_free(c->reloaded);
    c->reloaded = next;
    LOG_LINE(log_enabled(LOG_INFO) ? LOG_INFO : LOG_WARN, "tradepost", "reloaded",
             LOG_TEXT("changed", changed.data)); /* who asked for it wants to know */
}

/* Until a signal to stop. */
static void wait_for_stop(const struct running *r, struct cli *cli)
{
    const sigset_t set = set_of(all_signals);
    struct effective config = {.cli = cli};
    int number = 0;
    while (number != SIGTERM && number != SIGINT)
        if (!sigwait(&set, &number) && number == SIGHUP) reload_config(r, &config);
    config_free(config.reloaded);
    LOG_LINE(LOG_INFO, "tradepost", "stopping", LOG_TEXT("signal", strsignal(number)));
}

/* Not ready from now on, and still serving, as long as the part that asks for the longest. */
static void drain(const struct running *r)
{
    int64_t longest_ms = 0;
    for (size_t i = 0; i < r->count; i++) {
        int64_t wait_ms = r->ops[i]->drain ? r->ops[i]->drain(r->part[i]) : 0;
        if (wait_ms > longest_ms) longest_ms = wait_ms;
    }
    wait_or_end(longest_ms);
}

static int serve(struct running *r, struct cli *cli, const struct part_env *env)
{
    size_t started = 0;
    enum err e = start_all(r, env, &started);
    if (!e) {
        LOG_LINE(LOG_INFO, "tradepost", "serving", LOG_TEXT("version", TRADEPOST_VERSION));
        wait_for_stop(r, cli);
        drain(r);
        pthread_t thread;
        if (pthread_create(&thread, NULL, watchdog, NULL) == 0) (void)pthread_detach(thread);
    }
    stop_all(r, started);
    return e ? CLI_EXIT_FAILED : 0;
}

/* As many descriptors as the system lets us have: each connection is one. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files)) return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
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
    if (reload_log_level(cli->config, &level, &detail))
        return cli_fail(CLI_EXIT_USAGE, "%s", detail.text);
    log_set_level(level);
    const sigset_t signals = set_of(all_signals);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* inherited by every thread from here on */
    (void)signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    if (part_env_open(cli->config, &env, &detail))
        return cli_fail(CLI_EXIT_FAILED, "%s", detail.text);
    int status = serve(&r, cli, env);
    part_env_close(env);
    return status;
}
