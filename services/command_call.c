/*
 * `tradepost call METHOD JSON`: any method of a running part. The descriptors come from the part
 * itself, by reflection, so that a newer part's methods can be called too.
 */
#include "cli.h"

#include "base/json.h"
#include "base/rpc/dynamic.h"
#include "proto/contract.h"
#include "rpc.pb-c.h"

#include <stdio.h>
#include <string.h>

#define REPLY_TEXT_MAX (16 * 1024 * 1024)

static enum err report(const char *what, enum err e, const struct rpc_status *status)
{
    if (!e) return OK;
    (void)cli_fail(0, "%s: %s%s%s", what, status->message, status->reason[0] ? " " : "",
                   status->reason);
    for (size_t i = 0; i < status->error_count; i++)
        (void)cli_fail(0, "  %s: %s", status->errors[i].field, status->errors[i].reason);
    return e;
}

/* Fills the pool with the file that has the service, and what it imports. */
static enum err reflect(struct rpc_client *client, const char *method,
                        const struct rpc_options *options, struct dynamic_pool *pool)
{
    char service[RPC_METHOD_MAX];
    struct err_detail detail = {0};
    struct rpc_status status = {0};
    ProtobufCMessage *reply = NULL;
    (void)snprintf(service, sizeof service, "%.*s", (int)strcspn(method, "/"), method);
    Rpc__FileRequest request = RPC__FILE_REQUEST__INIT;
    request.symbol = service;
    enum err e = rpc_call(client, "rpc.Reflection/FileContainingSymbol", &request.base, options,
                          &reply, &status);
    if (e) return report(service, e, &status);

    const Rpc__FileResponse *files = (const Rpc__FileResponse *)reply;
    e = dynamic_pool_add(pool, files->files, files->n_files, &detail);
    if (e) (void)cli_fail(0, "its descriptors: %s", detail.text);
    protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

static enum err print(const ProtobufCMessage *reply)
{
    AUTO_BUF struct buf text;
    buf_init(&text, REPLY_TEXT_MAX);
    enum err e = json_write(reply, &text);
    if (!e) (void)printf("%s\n", text.data);
    return e;
}

static enum err call(struct rpc_client *client, const char *method, const char *json)
{
    struct principal principal = principal_service("cli");
    struct rpc_options options = {.principal = &principal};
    struct rpc_status status = {0};
    struct err_detail detail = {0};
    ProtobufCMessage *request = NULL, *reply = NULL;
    AUTO(auto_dynamic_pool_free) struct dynamic_pool *pool = NULL;
    enum err e = dynamic_pool_new(&pool);
    if (!e) e = reflect(client, method, &options, pool);
    if (e) return e;

    struct contract_method described = {.name = method};
    if (dynamic_pool_method(pool, method, &described.input, &described.output)) {
        (void)cli_fail(0, "there is no method %s; a method is package.Service/Method", method);
        return ERR_NOT_FOUND;
    }
    e = json_read(json, strlen(json), described.input, &request, &detail);
    if (e) {
        (void)cli_fail(0, "the request: %s", detail.text);
        return e;
    }
    e = report(method, rpc_call_method(client, &described, request, &options, &reply, &status),
               &status);
    if (!e) e = print(reply);
    protobuf_c_message_free_unpacked(request, NULL);
    protobuf_c_message_free_unpacked(reply, NULL);
    return e;
}

int call_command(struct cli *cli)
{
    const char *method = cli->arguments[0], *json = method ? cli->arguments[1] : NULL;
    char part[64];
    if (!method || strlen(method) >= RPC_METHOD_MAX)
        return cli_fail(CLI_EXIT_USAGE, "usage: tradepost call METHOD [JSON]");
    /* A part's package has its name. */
    (void)snprintf(part, sizeof part, "%.*s", (int)strcspn(method, "."), method);

    struct part_env *env = NULL;
    struct rpc_client *client = NULL;
    if (!cli_connect(cli, part, &env, &client)) return CLI_EXIT_FAILED;
    enum err e = call(client, method, json ? json : "{}");
    rpc_client_free(client);
    part_env_close(env);
    return e ? CLI_EXIT_FAILED : 0;
}
