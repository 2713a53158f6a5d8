/*
 * tradepost: the one binary. Reads the command line, picks a command from the table, runs it.
 * What a part does is in services/ and gateway/; what a command does is in its own file.
 */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef TRADEPOST_VERSION
#error "the build sets TRADEPOST_VERSION"
#endif

static const struct cli_command commands[] = {
    {"run", "", "start the parts of --target and serve until SIGTERM (the default)", run_command},
    {"admin", "create --email=E --username=U [--password-file=F]",
     "create an administrator; the password is read from F or stdin", admin_command},
    {"call", "METHOD [JSON]", "call any RPC method of a running platform, found by reflection",
     call_command},
    {"health", "[PART...]", "ask running parts whether they serve; exit 1 if one does not",
     health_command},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    (void)printf("Usage: tradepost [OPTION]... [COMMAND] [ARGUMENT]...\n\n"
                 "A self-hosted backend for trading communities.\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        (void)printf("  %s %s\n      %s\n", commands[i].name, commands[i].arguments,
                     commands[i].summary);
    (void)printf("\nOptions:\n"
                 "  --target=PART[,PART]  what to start: all");
    for (size_t i = 0; cli_parts[i]; i++)
        (void)printf(", %s", cli_parts[i]->name);
    (void)printf(
        " (default: all)\n"
        "  --config=FILE         YAML; default: config/tradepost.yml if it is there\n"
        "  --set KEY=VALUE       one configuration key; may be repeated; the last word wins\n"
        "  --check-config        say whether the configuration is good, and exit\n"
        "  --dump-config         print the effective configuration, secrets hidden, and exit\n"
        "  --version             print the version and exit\n"
        "  --help                print this and exit\n\n"
        "Every key can also be set by the environment: TRADEPOST_WALLET_WORKERS=8 is\n"
        "wallet.workers; TRADEPOST_CACHE_URL_FILE=F reads the value from a file.\n"
        "SIGHUP makes a running platform read all of that again: it takes what changed, or keeps\n"
        "what it has and logs why. Keys marked (reload) by --dump-config can change so; the "
        "others\n"
        "need a restart. SIGTERM stops it: requests are finished, exit within 10 seconds.\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage or configuration.\n");
}

enum { OPTION_TARGET = 256, OPTION_CONFIG, OPTION_SET, OPTION_CHECK, OPTION_DUMP, OPTION_VERSION };

static const struct option long_options[] = {
    {"target", required_argument, NULL, OPTION_TARGET},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"set", required_argument, NULL, OPTION_SET},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"dump-config", no_argument, NULL, OPTION_DUMP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* CLI_EXIT_NONE: go on with a command. */
static int parse(int argc, char **argv, struct cli *cli)
{
    size_t overrides = 0;
    for (int option; (option = getopt_long(argc, argv, "+h", long_options, NULL)) != -1;) {
        switch (option) {
        case OPTION_TARGET:
            cli->target = optarg;
            break;
        case OPTION_CONFIG:
            cli->config_file = optarg;
            break;
        case OPTION_SET:
            if (overrides == CLI_OVERRIDES_MAX)
                return cli_fail(CLI_EXIT_USAGE, "--set: at most %d", CLI_OVERRIDES_MAX);
            cli->overrides[overrides++] = optarg;
            break;
        case OPTION_CHECK:
            cli->check_config = true;
            break;
        case OPTION_DUMP:
            cli->dump_config = true;
            break;
        case OPTION_VERSION:
            (void)printf("tradepost %s\n", TRADEPOST_VERSION);
            return 0;
        case 'h':
            print_help();
            return 0;
        default:
            (void)fprintf(stderr, "try: tradepost --help\n");
            return CLI_EXIT_USAGE;
        }
    }
    cli->arguments = argv + optind;
    return CLI_EXIT_NONE;
}

static int show_config(const struct cli *cli)
{
    AUTO_BUF struct buf out;
    buf_init(&out, CONFIG_FILE_SIZE_MAX);
    if (!cli->dump_config) {
        (void)printf("the configuration is good\n");
        return 0;
    }
    if (config_dump(cli->config, &out)) return cli_fail(CLI_EXIT_FAILED, "out of memory");
    (void)fwrite(out.data, 1, out.size, stdout);
    return 0;
}

static int dispatch(struct cli *cli)
{
    if (cli->check_config || cli->dump_config) return show_config(cli);
    const char *name = cli->arguments[0] ? *cli->arguments++ : "run";
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return commands[i].run(cli);
    return cli_fail(CLI_EXIT_USAGE, "there is no command \"%s\"; try: tradepost --help", name);
}

int main(int argc, char **argv)
{
    (void)umask(077); /* documents and journals are the platform's alone */
    struct cli cli = {.target = "all"};
    int status = parse(argc, argv, &cli);
    if (status != CLI_EXIT_NONE) return status;

    struct err_detail detail = {0};
    if (cli_load_config(&cli, &detail)) return cli_fail(CLI_EXIT_USAGE, "%s", detail.text);
    status = dispatch(&cli);
    config_free(cli.config);
    free(cli.schema);
    return status;
}
