/* Bare civetweb that answers everything with a constant of as many bytes as a ticker:
 * bench_civetweb PORT */
#include <civetweb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char body[] =
    "{\"symbol\":\"BTC-USDT\",\"last\":\"60000.00000000\",\"bid\":\"59999.00000000\",\"ask\":"
    "\"60001.00000000\",\"open24h\":\"60000.00000000\",\"high24h\":\"60000.00000000\",\"low24h\":"
    "\"60000.00000000\",\"volume24h\":\"0.00000000\",\"quoteVolume24h\":\"0.00000000\"}";

static int answer(struct mg_connection *connection, void *data)
{
    (void)data;
    (void)mg_printf(connection,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                    "%zu\r\nConnection: keep-alive\r\n\r\n%s",
                    sizeof body - 1, body);
    return 200;
}

int main(int argc, char **argv)
{
    const char *options[] = {"listening_ports",       NULL,    "num_threads", "32",
                             "enable_keep_alive",     "yes",   "tcp_nodelay", "1",
                             "keep_alive_timeout_ms", "15000", NULL};
    char port[32];
    if (argc != 2) return 2;
    (void)snprintf(port, sizeof port, "127.0.0.1:%s", argv[1]);
    options[1] = port;
    (void)signal(SIGPIPE, SIG_IGN);
    struct mg_context *context = mg_start(NULL, NULL, options);
    if (!context) return 1;
    mg_set_request_handler(context, "/", answer, NULL);
    (void)pause();
    return 0;
}
