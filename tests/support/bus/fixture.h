/*
 * A real publisher with its RPC server, and a reader: a real subscriber that checks the order of
 * all it is told, as it is told. A wrong order is kept and fails the test in reader_stop.
 */
#ifndef TESTS_SUPPORT_BUS_FIXTURE_H
#define TESTS_SUPPORT_BUS_FIXTURE_H

#include "base/bus/bus.h"

#include <pthread.h>

#define TOPIC "test.topic"
#define OTHER "test.other" /* a second topic of the same publisher */

struct node {
    struct rpc_server *server;
    struct bus_publisher *publisher;
    char rpc_url[64], event_url[64]; /* where they really are */
    uint64_t published;              /* by node_publish */
};

/* New inproc addresses that no other test has. */
void node_addresses(struct node *n);
/* Starts at rpc_url and event_url ("tcp://127.0.0.1:0" becomes its port). ring_size 0: the default.
 */
void node_start(struct node *n, size_t ring_size, const struct rpc_tls *tls);
void node_stop(struct node *n);
/* Publishes count events to TOPIC, key "even" or "odd" by turns, payload their number from 0. */
void node_publish(struct node *n, unsigned count);

struct reader {
    struct bus_subscriber *subscriber;
    struct rpc_client *client;

    pthread_mutex_t lock; /* for all below, of TOPIC */
    pthread_cond_t changed;
    uint64_t epoch, seq; /* where it stands */
    uint64_t resyncs, events;
    uint64_t resync_seq;  /* of the last resync */
    uint64_t last_number; /* the last payload that was a number */
    char wrong[128];      /* what should not have been; "": nothing */
    bool closed;          /* events wait at the gate */
    unsigned waiting;
};

void reader_start(struct reader *r, const struct node *n, const struct rpc_tls *tls);
void reader_stop(struct reader *r); /* fails the test if anything was wrong */
void reader_close_gate(struct reader *r, bool closed);
/* Waits until the reader stands at seq (in any epoch), or has had so many resyncs. */
void reader_await(struct reader *r, uint64_t seq);
void reader_await_resyncs(struct reader *r, uint64_t resyncs);
void reader_await_waiting(struct reader *r); /* until an event waits at the gate */

#endif
