/*
 * Who is connected to a listener: how many, how many of them wait for an answer, and at the end
 * their sockets, to end what is idle. Thread-safe; only the waits block.
 */
#ifndef GATEWAY_VISITS_H
#define GATEWAY_VISITS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* One connection, of the thread that serves it. */
struct visit {
    int socket; /* -1: not known */
    bool busy;
    struct visit *previous, *next;
};

struct visits {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct visit *first;
    unsigned open, busy;
};

void visits_init(struct visits *v);
void visits_release(struct visits *v); /* nobody may be connected */

void visits_open(struct visits *v, struct visit *visit);
/* A request begins, which the visit's socket is for; returns how many are connected. */
unsigned visits_enter(struct visits *v, struct visit *visit, int socket);
void visits_leave(struct visits *v, struct visit *visit);  /* it has been answered */
void visits_forget(struct visits *v, struct visit *visit); /* the socket is about to be closed */
void visits_close(struct visits *v, struct visit *visit);

/* Waits for the answers, or the closed connections, until the monotonic time. */
void visits_wait_answered(struct visits *v, int64_t until_ms);
void visits_wait_closed(struct visits *v, int64_t until_ms);

/* Ends connections: those that are idle, once what they have sent is answered; or all, now. */
enum visits_cut { VISITS_IDLE, VISITS_ALL };
void visits_cut(struct visits *v, enum visits_cut which);

#endif
