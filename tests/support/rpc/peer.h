/*
 * The other side of a test, without the house's code: a bare nng client that sends any envelope,
 * and a bare nng server that answers as it is told.
 */
#ifndef TESTS_SUPPORT_RPC_PEER_H
#define TESTS_SUPPORT_RPC_PEER_H

#include "rpc.pb-c.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdbool.h>

/* A valid request for the method, without payload; the caller changes what it likes. */
Rpc__Request raw_request(const char *method);
/* One request, one reply, freed with rpc__response__free_unpacked. NULL: none within 5 s. */
Rpc__Response *raw_call(const char *url, const Rpc__Request *request);
Rpc__Response *raw_call_bytes(const char *url, const void *data, size_t size);

#define PEER_REQUESTS_MAX 64 /* the first ones are kept */

enum peer_answer {
    PEER_ECHOES,    /* a reply with an empty payload */
    PEER_VANISHES,  /* closes the connection that the request came by */
    PEER_FAILS,     /* UNAVAILABLE, from a handler */
    PEER_REFUSES,   /* UNAVAILABLE, and no handler has seen it */
    PEER_IS_FULL,   /* RESOURCE_EXHAUSTED, refused, retry-pushback-ms */
    PEER_IS_SILENT, /* no reply */
    PEER_GARBLES,   /* a reply that is no envelope */
};

struct peer {
    nng_socket socket;
    pthread_t thread;
    char url[64];
    const char *pushback_ms; /* with PEER_IS_FULL */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum peer_answer answer;
    unsigned count; /* requests received */
    struct {
        unsigned attempt;
        char method[128];
        bool has_key;
    } requests[PEER_REQUESTS_MAX];
};

void peer_start(struct peer *p, enum peer_answer answer);
void peer_set(struct peer *p, enum peer_answer answer);
unsigned peer_count(struct peer *p);
void peer_await(struct peer *p, unsigned count); /* until it has received so many */
void peer_stop(struct peer *p);

#endif
