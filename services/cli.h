/*
 * The command line: what every command of the binary gets, and the commands themselves. A command
 * prints what it was asked for on stdout, problems on stderr, and returns the exit status.
 */
#ifndef SERVICES_CLI_H
#define SERVICES_CLI_H

#include "base/config.h"
#include "base/part.h"

#define CLI_OVERRIDES_MAX 256
#define CLI_EXIT_NONE     (-1)
#define CLI_EXIT_FAILED   1
#define CLI_EXIT_USAGE    2

struct cli {
    const char *target, *config_file;
    const char *overrides[CLI_OVERRIDES_MAX + 1]; /* of --set, NULL-terminated */
    bool check_config, dump_config;
    char **arguments; /* after the command's name, NULL-terminated */
    struct config_key *schema;
    struct config *config;
};

struct cli_command {
    const char *name, *arguments, *summary;
    int (*run)(struct cli *cli);
};

extern const struct part_ops *const cli_parts[]; /* in the order of their start, NULL-terminated */

/* Joins the parts' keys and loads file, environment and flags. Errors: config_load's. */
MUST_CHECK enum err cli_load_config(struct cli *cli, struct err_detail *detail);
/* Loads them again, as they are now; the caller frees, before cli's schema. */
MUST_CHECK enum err cli_read_config(const struct cli *cli, struct config **ret,
                                    struct err_detail *detail);

/* "tradepost: ..." on stderr; returns status. */
int cli_fail(int status, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * Connects to a running part as a service (whoever can read the principal key may): by the first
 * tcp URL of its .rpc or .listen. Says what is wrong and returns false.
 */
bool cli_connect(const struct cli *cli, const char *part, struct part_env **ret_env,
                 struct rpc_client **ret);

int run_command(struct cli *cli);
int admin_command(struct cli *cli);
int call_command(struct cli *cli);
int health_command(struct cli *cli);

#endif
