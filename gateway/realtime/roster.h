/*
 * The roster: everyone who stays connected, by WebSocket or SSE. It keeps the limits per address
 * and per user, says when a user's first connection came and the last one went, and shows operators
 * who is there. It knows no sockets.
 *
 * Thread-safe; nothing blocks.
 */
#ifndef GATEWAY_ROSTER_H
#define GATEWAY_ROSTER_H

#include "base/err.h"
#include "base/trace.h"
#include "hub.h"
#include "tally.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROSTER_ADDRESS_MAX 200 /* default: connections of one address */
#define ROSTER_USER_MAX    20  /* default: of one user */

struct roster;
struct roster_options {
    size_t address_max, user_max; /* 0: the defaults */
    /* Under the roster's lock, so in order: connected or not any more. Must not block nor call the
     * roster. NULL: nobody wants to know. */
    void (*presence)(void *arg, const char *user_id, bool connected);
    void *arg;
};
MUST_CHECK enum err roster_new(const struct roster_options *options, struct roster **ret);
void roster_free(struct roster *r); /* accepts NULL; all must have left */
/* From now on; who is connected stays. 0: the defaults. Any thread. */
void roster_set_limits(struct roster *r, size_t address_max, size_t user_max);

/* Embedded in a connection; zeroed before roster_enter. */
struct member {
    struct roster *roster; /* NULL: has not entered, or has left */
    struct member *newer, *older;
    uint64_t id;
    const char *kind, *listener; /* "websocket", "sse"; both outlive the roster */
    char address[TALLY_NAME_MAX + 1];
    char user_id[40]; /* under the roster's lock; "": a guest */
    struct trace trace;
    int64_t since_ms;              /* wall clock */
    int64_t since_us;              /* monotonic */
    struct hub_connection *hub;    /* borrowed: left after the member has */
    atomic_size_t sent;            /* bytes, kept by the connection, as is the next */
    atomic_int_least64_t heard_ms; /* wall clock: when something came from the client */
};

/* kind, listener, address, trace and hub are set. ERR_EXHAUSTED: the address has its share. */
MUST_CHECK enum err roster_enter(struct roster *r, struct member *m);
/* The member turned out to be that user; a second time changes nothing. ERR_EXHAUSTED: the user has
 * their share of connections. */
MUST_CHECK enum err roster_name(struct member *m, const char *user_id);
/* Writes the log line of the connection; code as closed by us, or 0: the client went. Accepts who
 * has not entered. */
void roster_leave(struct member *m, int code);

/* The oldest first: up to count members with ids above after. Returns how many; *ret_more: there
 * are others behind. */
struct roster_entry {
    uint64_t id;
    const char *kind, *listener;
    char address[TALLY_NAME_MAX + 1], user_id[40];
    int64_t since_ms, heard_ms;
    size_t channels, queued_bytes, sent;
};
size_t roster_page(struct roster *r, uint64_t after, size_t count, struct roster_entry *ret,
                   bool *ret_more);

/* The users who are connected, by id: up to count of those above after ("": all). ERR_NO_MEMORY. */
struct roster_user {
    char user_id[40];
};
MUST_CHECK enum err roster_users(struct roster *r, const char *after, size_t count,
                                 struct roster_user *ret, size_t *ret_count, bool *ret_more);

#endif
