#include "support/unit.h"

#include "support/rpc/fixture.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/*
 * nng 1.5 leaks the message that is handed to a connection in the moment in which it closes (nng
 * issue 1713), and the connection that is made in the moment in which its dialer closes. These
 * tests provoke both; nothing outside of nng can see or prevent it. What leaks steadily,
 * test_rpc_hostile measures.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libnng.so\n";
}

/* ---- server and client ---- */

void fixture_init(struct fixture *f, void *context)
{
    memset(f, 0, sizeof *f);
    f->context = context;
    for (size_t i = 0; i < sizeof f->key.bytes; i++)
        f->key.bytes[i] = (uint8_t)(i * 7 + 1);
    users__users__init(&f->users, NULL);
    users__api_keys__init(&f->api_keys, NULL);
    f->users.refresh = fixture_echo;
}

void fixture_url(const struct rpc_server *s, const char *listen, char ret[static FIXTURE_TEXT_SIZE])
{
    const char *colon = strrchr(listen, ':');
    unsigned port = rpc_server_port(s, 0);
    if (port)
        (void)snprintf(ret, FIXTURE_TEXT_SIZE, "%.*s:%u", (int)(colon - listen), listen, port);
    else
        (void)snprintf(ret, FIXTURE_TEXT_SIZE, "%s", listen);
}

void fixture_start(struct fixture *f, const char *listen, const struct rpc_server_options *options)
{
    struct err_detail detail = {""};
    struct rpc_server_options o = options ? *options : (struct rpc_server_options){0};
    o.name = "users";
    o.listen = &listen;
    o.listen_count = 1;
    o.principal_key = &f->key;
    assert_ok(rpc_server_new(&o, &f->server, &detail));
    assert_ok(rpc_server_add(f->server, &f->users.base, f->context));
    if (f->api_keys.resolve_api_key)
        assert_ok(rpc_server_add(f->server, &f->api_keys.base, f->context));
    if (f->ready) rpc_server_set_ready(f->server, f->ready, f->ready_arg);
    enum err e = rpc_server_start(f->server, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
    fixture_url(f->server, listen, f->url);
}

void fixture_connect(struct fixture *f, const struct rpc_tls *tls)
{
    struct err_detail detail = {""};
    const char *url = f->url;
    struct rpc_client_options o = {
        .name = "test", .urls = &url, .url_count = 1, .tls = tls, .principal_key = &f->key};
    enum err e = rpc_client_new(&o, &f->client, &detail);
    if (e) fail_msg("%s: %s", err_name(e), detail.text);
}

void fixture_stop(struct fixture *f)
{
    rpc_client_free(f->client);
    rpc_server_free(f->server);
    f->client = NULL;
    f->server = NULL;
}

void fixture_echo(Users__Users_Service *self, const Users__RefreshRequest *request,
                  Users__Tokens_Closure reply, void *call)
{
    (void)self;
    Users__Tokens tokens = USERS__TOKENS__INIT;
    tokens.access_token = request->refresh_token;
    reply(&tokens, call);
}

enum err fixture_call_echo(struct rpc_client *c, const char *text,
                           const struct rpc_options *options, struct rpc_status *status)
{
    Users__RefreshRequest request = USERS__REFRESH_REQUEST__INIT;
    request.refresh_token = (char *)text;
    ProtobufCMessage *reply = NULL;
    enum err e = rpc_call(c, GUEST_METHOD, &request.base, options, &reply, status);
    if (e) return e;
    assert_string_equal(((Users__Tokens *)reply)->access_token, text);
    protobuf_c_message_free_unpacked(reply, NULL);
    return OK;
}

/* ---- gates and results ---- */

void gate_init(struct gate *g)
{
    memset(g, 0, sizeof *g);
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->changed, NULL);
}

void gate_fini(struct gate *g)
{
    (void)pthread_cond_destroy(&g->changed);
    (void)pthread_mutex_destroy(&g->lock);
}

void gate_pass(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->waiting++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    g->waiting--;
    g->passed++;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void gate_await(struct gate *g, unsigned count)
{
    pthread_mutex_lock(&g->lock);
    while (g->waiting + g->passed < count)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

void result_init(struct result *r)
{
    memset(r, 0, sizeof *r);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
}

void result_fini(struct result *r)
{
    if (r->reply) protobuf_c_message_free_unpacked(r->reply, NULL);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
}

void result_done(void *result, ProtobufCMessage *own_reply, const struct rpc_status *status)
{
    struct result *r = result;
    pthread_mutex_lock(&r->lock);
    r->done++;
    r->err = status->err;
    r->reply = own_reply;
    r->status = *status;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

enum err result_await(struct result *r)
{
    pthread_mutex_lock(&r->lock);
    while (!r->done)
        pthread_cond_wait(&r->changed, &r->lock);
    assert_int_equal(r->done, 1);
    enum err e = r->err;
    pthread_mutex_unlock(&r->lock);
    return e;
}

/* ---- certificates ---- */

static void run(char *const argv[])
{
    pid_t pid;
    int status;
    posix_spawn_file_actions_t quiet;
    assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", 1, 0), 0);
    assert_int_equal(posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)posix_spawn_file_actions_destroy(&quiet);
}

/* One self-signed certificate that is its own authority, for `name`. */
static void make_self_signed(char *cert, char *key, const char *name)
{
    char subject[64], names[64];
    (void)snprintf(subject, sizeof subject, "/CN=%s", name);
    (void)snprintf(names, sizeof names, "subjectAltName=DNS:%s", name);
    char *argv[] = {"openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-keyout",
                    key,
                    "-out",
                    cert,
                    "-days",
                    "2",
                    "-subj",
                    subject,
                    "-addext",
                    names,
                    NULL};
    run(argv);
}

void certificates_make(struct certificates *c)
{
    (void)snprintf(c->directory, sizeof c->directory, "/tmp/tradepost-rpc-XXXXXX");
    assert_non_null(mkdtemp(c->directory));
    (void)snprintf(c->cert, sizeof c->cert, "%s/cert.pem", c->directory);
    (void)snprintf(c->key, sizeof c->key, "%s/key.pem", c->directory);
    (void)snprintf(c->ca, sizeof c->ca, "%s", c->cert);
    (void)snprintf(c->other_cert, sizeof c->other_cert, "%s/other.pem", c->directory);
    (void)snprintf(c->other_key, sizeof c->other_key, "%s/other-key.pem", c->directory);
    (void)snprintf(c->other_ca, sizeof c->other_ca, "%s", c->other_cert);
    make_self_signed(c->cert, c->key, "localhost");
    make_self_signed(c->other_cert, c->other_key, "localhost");
}

void certificates_remove(struct certificates *c)
{
    (void)unlink(c->cert);
    (void)unlink(c->key);
    (void)unlink(c->other_cert);
    (void)unlink(c->other_key);
    (void)rmdir(c->directory);
}
