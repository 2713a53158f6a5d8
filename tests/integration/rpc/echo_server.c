/* A server for clients that are other programs: says its URL on stdout, serves until stdin ends. */
#include "base/rpc/server.h"

#include "users.pb-c.h"

#include <stdio.h>
#include <unistd.h>

static void echo(Users__Users_Service *self, const Users__RefreshRequest *request,
                 Users__Tokens_Closure reply, void *call)
{
    (void)self;
    Users__Tokens tokens = USERS__TOKENS__INIT;
    tokens.access_token = request->refresh_token;
    reply(&tokens, call);
}

int main(void)
{
    struct err_detail detail = {""};
    const char *listen = "tcp://127.0.0.1:0";
    struct rpc_server_options options = {.name = "echo", .listen = &listen, .listen_count = 1};
    struct rpc_server *server;
    Users__Users_Service users;
    char byte;
    users__users__init(&users, NULL);
    users.refresh = echo;
    CHECK(rpc_server_new(&options, &server, &detail) == OK);
    CHECK(rpc_server_add(server, &users.base, NULL) == OK);
    CHECK(rpc_server_start(server, &detail) == OK);
    printf("tcp://127.0.0.1:%u\n", rpc_server_port(server, 0));
    (void)fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    rpc_server_free(server);
    return 0;
}
