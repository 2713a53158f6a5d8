/*
 * A real server and a real client for tests: users.Users and users.ApiKeys with the handlers that a
 * test gives them, over the URL that a test names. Everything ends in fixture_stop.
 */
#ifndef TESTS_SUPPORT_RPC_FIXTURE_H
#define TESTS_SUPPORT_RPC_FIXTURE_H

#include "base/rpc/client.h"
#include "base/rpc/server.h"

#include "users.pb-c.h"

#include <pthread.h>

#define FIXTURE_TEXT_SIZE 256

/* Methods that tests use, by what the contract says of them. */
#define GUEST_METHOD      "users.Users/Refresh" /* echoes; not idempotent */
#define IDEMPOTENT_METHOD "users.Users/Jwks"    /* guests, idempotent */
#define USER_METHOD       "users.Users/WhoAmI"  /* permission READ, idempotent */
#define SESSION_METHOD    "users.Users/Logout"  /* users; not for API keys */
#define ADMIN_METHOD      "users.Users/GetUser"
#define SERVICE_METHOD    "users.Users/CreateAdmin"

struct fixture {
    struct rpc_server *server;
    struct rpc_client *client;
    struct principal_key key;
    Users__Users_Service users;
    Users__ApiKeys_Service api_keys; /* added to the server if it resolves keys */
    char url[FIXTURE_TEXT_SIZE];     /* where the server is, port filled in */
    void *context;                   /* of the handlers */
    enum err (*ready)(void *arg, struct err_detail *detail); /* NULL: nobody is asked */
    void *ready_arg;
};

/* Before fixture_start a test sets slots of both; those left NULL are not implemented. */
void fixture_init(struct fixture *f, void *context);
/* Starts a server on `listen` ("inproc://x", "tcp://127.0.0.1:0") with the options given (or NULL).
 */
void fixture_start(struct fixture *f, const char *listen, const struct rpc_server_options *options);
/* Connects f->client to f->url, or to `urls`. */
void fixture_connect(struct fixture *f, const struct rpc_tls *tls);
void fixture_stop(struct fixture *f);

/* The server's address with the port that it got. */
void fixture_url(const struct rpc_server *s, const char *listen,
                 char ret[static FIXTURE_TEXT_SIZE]);

/* Echoes refresh_token as access_token. */
void fixture_echo(Users__Users_Service *self, const Users__RefreshRequest *request,
                  Users__Tokens_Closure reply, void *call);

/* Calls GUEST_METHOD with text; on OK the reply's text must be the same. */
enum err fixture_call_echo(struct rpc_client *c, const char *text,
                           const struct rpc_options *options, struct rpc_status *status);

/* A gate that handlers wait at and tests open; and how many wait. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waiting, passed;
    bool open;
};
void gate_init(struct gate *g);
void gate_fini(struct gate *g);
void gate_pass(struct gate *g); /* waits until it is open */
void gate_open(struct gate *g);
void gate_await(struct gate *g, unsigned count); /* until so many wait or have passed */

/* The outcome of an asynchronous call, waited for. */
struct result {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned done;
    enum err err;
    ProtobufCMessage *reply;
    struct rpc_status status;
};
void result_init(struct result *r);
void result_fini(struct result *r); /* frees the reply */
void result_done(void *result, ProtobufCMessage *own_reply, const struct rpc_status *status);
enum err result_await(struct result *r);

/* Certificates for tls+tcp://localhost, made with openssl's command in a new temporary directory.
 */
struct certificates {
    char directory[64];
    char ca[96], cert[96], key[96];
    char other_ca[96], other_cert[96], other_key[96]; /* of somebody that nobody here trusts */
};
void certificates_make(struct certificates *c);
void certificates_remove(struct certificates *c);

#endif
