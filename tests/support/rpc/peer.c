#include "support/unit.h"

#include "support/rpc/peer.h"

#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a client ---- */

Rpc__Request raw_request(const char *method)
{
    Rpc__Request request = RPC__REQUEST__INIT;
    request.version = 1;
    request.method = (char *)method;
    request.timeout_ms = 5000;
    return request;
}

Rpc__Response *raw_call_bytes(const char *url, const void *data, size_t size)
{
    nng_socket socket;
    void *reply;
    size_t reply_size;
    Rpc__Response *response = NULL;
    assert_int_equal(nng_req0_open(&socket), 0);
    assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 5000), 0);
    assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
    assert_int_equal(nng_send(socket, (void *)data, size, 0), 0);
    if (nng_recv(socket, &reply, &reply_size, NNG_FLAG_ALLOC) == 0) {
        response = rpc__response__unpack(NULL, reply_size, reply);
        assert_non_null(response);
        nng_free(reply, reply_size);
    }
    assert_int_equal(nng_close(socket), 0);
    return response;
}

Rpc__Response *raw_call(const char *url, const Rpc__Request *request)
{
    size_t size = rpc__request__get_packed_size(request);
    uint8_t *data = malloc(size + 1);
    assert_non_null(data);
    rpc__request__pack(request, data);
    Rpc__Response *response = raw_call_bytes(url, data, size);
    free(data);
    return response;
}

/* ---- a server ---- */

static void note_request(struct peer *p, const Rpc__Request *request)
{
    if (p->count < PEER_REQUESTS_MAX) {
        p->requests[p->count].attempt = request->attempt;
        p->requests[p->count].has_key = request->idempotency_key[0] != 0;
        (void)snprintf(p->requests[p->count].method, sizeof p->requests[0].method, "%s",
                       request->method);
    }
    p->count++;
    pthread_cond_broadcast(&p->changed);
}

static void send_response(struct peer *p, Rpc__Response *response)
{
    uint8_t data[512];
    size_t size = rpc__response__pack(response, data);
    (void)nng_send(p->socket, data, size, 0);
}

static void answer_with(struct peer *p, enum peer_answer answer)
{
    Rpc__Response response = RPC__RESPONSE__INIT;
    Rpc__Metadata refused = RPC__METADATA__INIT, pushback = RPC__METADATA__INIT;
    Rpc__Metadata *metadata[] = {&refused, &pushback};
    refused.key = "x-refused";
    refused.value = (ProtobufCBinaryData){1, (uint8_t *)"1"};
    response.message = "as the test says";
    if (answer == PEER_FAILS || answer == PEER_REFUSES) response.code = 14;
    if (answer == PEER_IS_FULL) {
        response.code = 8;
        pushback.key = "retry-pushback-ms";
        pushback.value.data = (uint8_t *)p->pushback_ms;
        pushback.value.len = strlen(p->pushback_ms);
        response.n_metadata = 2;
    }
    if (answer == PEER_REFUSES) response.n_metadata = 1;
    response.metadata = metadata;
    send_response(p, &response);
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    nng_msg *message;
    while (nng_recvmsg(p->socket, &message, 0) == 0) {
        Rpc__Request *request =
            rpc__request__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
        assert_non_null(request);
        pthread_mutex_lock(&p->lock);
        note_request(p, request);
        enum peer_answer answer = p->answer;
        pthread_mutex_unlock(&p->lock);
        rpc__request__free_unpacked(request, NULL);
        if (answer == PEER_VANISHES)
            (void)nng_pipe_close(nng_msg_get_pipe(message));
        else if (answer == PEER_GARBLES)
            (void)nng_send(p->socket, "\xff\xff\xff", 3, 0);
        else if (answer != PEER_IS_SILENT)
            answer_with(p, answer);
        nng_msg_free(message);
    }
    return NULL;
}

void peer_start(struct peer *p, enum peer_answer answer)
{
    nng_listener listener;
    int port;
    memset(p, 0, sizeof *p);
    p->answer = answer;
    p->pushback_ms = "1";
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->changed, NULL);
    assert_int_equal(nng_rep0_open(&p->socket), 0);
    assert_int_equal(nng_listen(p->socket, "tcp://127.0.0.1:0", &listener, 0), 0);
    assert_int_equal(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), 0);
    (void)snprintf(p->url, sizeof p->url, "tcp://127.0.0.1:%d", port);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

void peer_set(struct peer *p, enum peer_answer answer)
{
    pthread_mutex_lock(&p->lock);
    p->answer = answer;
    pthread_mutex_unlock(&p->lock);
}

unsigned peer_count(struct peer *p)
{
    pthread_mutex_lock(&p->lock);
    unsigned count = p->count;
    pthread_mutex_unlock(&p->lock);
    return count;
}

void peer_await(struct peer *p, unsigned count)
{
    pthread_mutex_lock(&p->lock);
    while (p->count < count)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void peer_stop(struct peer *p)
{
    assert_int_equal(nng_close(p->socket), 0);
    assert_int_equal(pthread_join(p->thread, NULL), 0);
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->lock);
}
