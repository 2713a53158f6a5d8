/* The house's RPC: bench_rpc SECONDS IN_FLIGHT... */
#include "base/rpc/client.h"
#include "base/rpc/server.h"

#include "echo_bench.h"
#include "users.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static void echo(Users__Users_Service *self, const Users__RefreshRequest *request,
                 Users__Tokens_Closure reply, void *call)
{
    (void)self;
    Users__Tokens tokens = USERS__TOKENS__INIT;
    tokens.access_token = request->refresh_token;
    reply(&tokens, call);
}

static void serve(int port_fd)
{
    struct err_detail detail = {""};
    const char *listen = "tcp://127.0.0.1:0";
    struct rpc_server_options options = {.name = "bench", .listen = &listen, .listen_count = 1};
    struct rpc_server *server;
    Users__Users_Service users;
    users__users__init(&users, NULL);
    users.refresh = echo;
    CHECK(rpc_server_new(&options, &server, &detail) == OK);
    CHECK(rpc_server_add(server, &users.base, NULL) == OK);
    CHECK(rpc_server_start(server, &detail) == OK);
    echo_say_port(port_fd, rpc_server_port(server, 0));
    for (;;)
        pause();
}

static struct rpc_client *client;
static char text[ECHO_SIZE + 1];
static int64_t from_ns, until_ns;
static uint32_t *samples;
static _Atomic uint32_t sample_count, running;

struct loop {
    int64_t started_ns;
};

static void next(struct loop *loop);

static void done(void *arg, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    struct loop *loop = arg;
    CHECK(status->err == OK);
    protobuf_c_message_free_unpacked(own_reply, NULL);
    int64_t now_ns = echo_now_ns();
    if (loop->started_ns >= from_ns && now_ns < until_ns) {
        uint32_t at = atomic_fetch_add(&sample_count, 1);
        if (at < ECHO_SAMPLES_MAX) samples[at] = (uint32_t)(now_ns - loop->started_ns);
    }
    if (now_ns < until_ns)
        next(loop);
    else
        atomic_fetch_sub(&running, 1);
}

static void next(struct loop *loop)
{
    Users__RefreshRequest request = USERS__REFRESH_REQUEST__INIT;
    request.refresh_token = text;
    loop->started_ns = echo_now_ns();
    rpc_call_async(client, "users.Users/Refresh", &request.base, NULL, done, loop);
}

static void measure(unsigned inflight, int64_t took_ns)
{
    struct loop *loops = calloc(inflight, sizeof *loops);
    from_ns = echo_now_ns() + ECHO_WARM_UP_NS;
    until_ns = from_ns + took_ns;
    sample_count = 0;
    running = inflight;
    for (unsigned i = 0; i < inflight; i++)
        next(&loops[i]);
    while (atomic_load(&running))
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    echo_report(inflight, samples, sample_count, took_ns);
    free(loops);
}

int main(int argc, char **argv)
{
    pid_t server;
    unsigned port = echo_start_server(serve, &server);
    char url[64];
    const char *urls[] = {url};
    struct err_detail detail = {""};
    (void)snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
    struct rpc_client_options options = {.name = "bench", .urls = urls, .url_count = 1};
    CHECK(rpc_client_new(&options, &client, &detail) == OK);
    memset(text, 'x', ECHO_SIZE);
    samples = calloc(ECHO_SAMPLES_MAX, sizeof *samples);
    for (int i = 2; i < argc; i++)
        measure((unsigned)strtoul(argv[i], NULL, 10), (int64_t)(strtod(argv[1], NULL) * 1e9));
    rpc_client_free(client);
    free(samples);
    kill(server, SIGKILL);
    return 0;
}
