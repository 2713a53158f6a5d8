/* `tradepost health`: for people, scripts and container health checks. */
#include "cli.h"

#include "base/clock.h"
#include "rpc.pb-c.h"

#include <stdio.h>
#include <string.h>

/* A part asks its store before it answers, which may take store.timeout_ms, for one who asked
 * before us and then for us: it is to say that itself. */
#define HEALTH_TIMEOUT_MS 12000

static bool ask(const struct cli *cli, const char *part)
{
    struct part_env *env = NULL;
    struct rpc_client *client = NULL;
    if (!cli_connect(cli, part, &env, &client)) return false;

    Rpc__HealthCheckRequest request = RPC__HEALTH_CHECK_REQUEST__INIT;
    struct rpc_options options = {.deadline_ms = clock_mono_ms() + HEALTH_TIMEOUT_MS};
    struct rpc_status status = {0};
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(client, "rpc.Health/Check", &request.base, &options, &reply, &status);
    bool serving = !e && ((Rpc__HealthCheckResponse *)reply)->status ==
                             RPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    const char *why = e ? "" : ((Rpc__HealthCheckResponse *)reply)->detail;
    (void)printf("%s: %s%s%s\n", part,
                 e         ? status.message
                 : serving ? "serving"
                           : "not serving",
                 *why ? ": " : "", why);
    protobuf_c_message_free_unpacked(reply, NULL);
    rpc_client_free(client);
    part_env_close(env);
    return serving;
}

int health_command(struct cli *cli)
{
    bool good = true;
    for (size_t i = 0; cli->arguments[i]; i++)
        good = ask(cli, cli->arguments[i]) && good;
    for (size_t i = 0; !cli->arguments[0] && cli_parts[i]; i++)
        if (strcmp(cli_parts[i]->name, "gateway") != 0) good = ask(cli, cli_parts[i]->name) && good;
    return good ? 0 : CLI_EXIT_FAILED;
}
