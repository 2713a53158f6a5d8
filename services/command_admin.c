/* `tradepost admin create`: the first administrator, and any later one. */
#include "cli.h"

#include "users.pb-c.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define PASSWORD_LINE_MAX 256

/* The first line of a file, or of stdin; false: there is none. */
static bool read_password(const char *file, char ret[static PASSWORD_LINE_MAX])
{
    FILE *f = file ? fopen(file, "re") : stdin;
    if (!f) return false;
    bool read = fgets(ret, PASSWORD_LINE_MAX, f) != NULL;
    if (file) (void)fclose(f);
    ret[strcspn(ret, "\n")] = 0;
    return read;
}

static int create(struct cli *cli, Users__CreateAdminRequest *request)
{
    struct part_env *env = NULL;
    struct rpc_client *client = NULL;
    if (!cli_connect(cli, "users", &env, &client)) return CLI_EXIT_FAILED;

    struct principal principal = principal_service("cli");
    struct rpc_options options = {.principal = &principal};
    struct rpc_status status = {0};
    ProtobufCMessage *reply = NULL;
    enum err e =
        rpc_call(client, "users.Users/CreateAdmin", &request->base, &options, &reply, &status);
    if (e)
        (void)cli_fail(0, "%s%s%s", status.error_count ? status.errors[0].field : "",
                       status.error_count ? ": " : "", status.message);
    else
        (void)printf("%s\n", ((Users__User *)reply)->user_id);
    protobuf_c_message_free_unpacked(reply, NULL);
    rpc_client_free(client);
    part_env_close(env);
    return e ? CLI_EXIT_FAILED : 0;
}

int admin_command(struct cli *cli)
{
    static const struct option options[] = {
        {"email", required_argument, NULL, 'e'},
        {"username", required_argument, NULL, 'u'},
        {"password-file", required_argument, NULL, 'p'},
        {0},
    };
    const char *file = NULL;
    char password[PASSWORD_LINE_MAX] = "";
    Users__CreateAdminRequest request = USERS__CREATE_ADMIN_REQUEST__INIT;
    int count = 0;
    while (cli->arguments[count])
        count++;
    if (count == 0 || strcmp(cli->arguments[0], "create") != 0)
        return cli_fail(CLI_EXIT_USAGE, "usage: tradepost admin create --email=E --username=U");

    optind = 0; /* a new scan, of the command's own arguments */
    for (int option; (option = getopt_long(count, cli->arguments, "", options, NULL)) != -1;) {
        if (option == 'e') request.email = optarg;
        if (option == 'u') request.username = optarg;
        if (option == 'p') file = optarg;
        if (option == '?') return CLI_EXIT_USAGE;
    }
    if (!request.email[0] || !request.username[0])
        return cli_fail(CLI_EXIT_USAGE, "both --email and --username are needed");
    if (!read_password(file, password))
        return cli_fail(CLI_EXIT_FAILED, "no password in %s", file ? file : "stdin");
    request.password = password;
    int status = create(cli, &request);
    explicit_bzero(password, sizeof password);
    return status;
}
