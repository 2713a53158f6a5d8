/* Bare nng REQ/REP, as fast as its own interface allows: bench_nng SECONDS IN_FLIGHT... */
#include "echo_bench.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <stdatomic.h>
#include <string.h>

#define CONTEXTS 256

#define MUST(expression)                                                                           \
    do {                                                                                           \
        int must_ = (expression);                                                                  \
        if (must_) {                                                                               \
            fprintf(stderr, "%s: %s\n", #expression, nng_strerror(must_));                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct context {
    nng_ctx ctx;
    nng_aio *aio;
    int sending;
    int64_t started_ns;
};

/* ---- server: sends back what came, in nng's own callback ---- */

static void server_event(void *arg)
{
    struct context *c = arg;
    MUST(nng_aio_result(c->aio));
    c->sending = !c->sending;
    if (c->sending)
        nng_ctx_send(c->ctx, c->aio); /* the message is still in the aio */
    else
        nng_ctx_recv(c->ctx, c->aio);
}

static void serve(int port_fd)
{
    nng_socket socket;
    nng_listener listener;
    int port;
    static struct context contexts[CONTEXTS];
    MUST(nng_rep0_open(&socket));
    for (size_t i = 0; i < CONTEXTS; i++) {
        MUST(nng_aio_alloc(&contexts[i].aio, server_event, &contexts[i]));
        MUST(nng_ctx_open(&contexts[i].ctx, socket));
        nng_ctx_recv(contexts[i].ctx, contexts[i].aio);
    }
    MUST(nng_listen(socket, "tcp://127.0.0.1:0", &listener, 0));
    MUST(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port));
    echo_say_port(port_fd, (unsigned)port);
    for (;;)
        pause();
}

/* ---- client ---- */

static int64_t from_ns, until_ns;
static uint32_t *samples;
static _Atomic uint32_t sample_count, running;

static void next(struct context *c)
{
    nng_msg *message;
    MUST(nng_msg_alloc(&message, ECHO_SIZE));
    memset(nng_msg_body(message), 'x', ECHO_SIZE);
    c->started_ns = echo_now_ns();
    c->sending = 1;
    nng_aio_set_msg(c->aio, message);
    nng_ctx_send(c->ctx, c->aio);
}

static void client_event(void *arg)
{
    struct context *c = arg;
    MUST(nng_aio_result(c->aio));
    if (c->sending) {
        c->sending = 0;
        nng_ctx_recv(c->ctx, c->aio);
        return;
    }
    nng_msg *message = nng_aio_get_msg(c->aio);
    if (nng_msg_len(message) != ECHO_SIZE) abort();
    nng_msg_free(message);
    int64_t now_ns = echo_now_ns();
    if (c->started_ns >= from_ns && now_ns < until_ns) {
        uint32_t at = atomic_fetch_add(&sample_count, 1);
        if (at < ECHO_SAMPLES_MAX) samples[at] = (uint32_t)(now_ns - c->started_ns);
    }
    if (now_ns < until_ns)
        next(c);
    else
        atomic_fetch_sub(&running, 1);
}

static void measure(nng_socket socket, unsigned inflight, int64_t took_ns)
{
    struct context *contexts = calloc(inflight, sizeof *contexts);
    from_ns = echo_now_ns() + ECHO_WARM_UP_NS;
    until_ns = from_ns + took_ns;
    sample_count = 0;
    running = inflight;
    for (unsigned i = 0; i < inflight; i++) {
        MUST(nng_aio_alloc(&contexts[i].aio, client_event, &contexts[i]));
        MUST(nng_ctx_open(&contexts[i].ctx, socket));
    }
    for (unsigned i = 0; i < inflight; i++)
        next(&contexts[i]);
    while (atomic_load(&running))
        nng_msleep(10);
    echo_report(inflight, samples, sample_count, took_ns);
    for (unsigned i = 0; i < inflight; i++)
        nng_aio_stop(contexts[i].aio);
    for (unsigned i = 0; i < inflight; i++) {
        nng_aio_free(contexts[i].aio);
        MUST(nng_ctx_close(contexts[i].ctx));
    }
    free(contexts);
}

int main(int argc, char **argv)
{
    pid_t server;
    unsigned port = echo_start_server(serve, &server);
    char url[64];
    nng_socket socket;
    (void)snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
    MUST(nng_req0_open(&socket));
    MUST(nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE));
    MUST(nng_dial(socket, url, NULL, 0));
    samples = calloc(ECHO_SAMPLES_MAX, sizeof *samples);
    for (int i = 2; i < argc; i++)
        measure(socket, (unsigned)strtoul(argv[i], NULL, 10),
                (int64_t)(strtod(argv[1], NULL) * 1e9));
    MUST(nng_close(socket));
    free(samples);
    kill(server, SIGKILL);
    return 0;
}
