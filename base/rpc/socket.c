/* nng, tamed: see socket.h. */
#include "base/rpc/socket.h"

#include "base/auto.h"
#include "base/clock.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEM_SIZE_MAX (256 * 1024) /* a long chain of certificates */

enum err socket_err(int nng_error)
{
    switch (nng_error) {
    case 0:
        return OK;
    case NNG_ENOMEM:
        return ERR_NO_MEMORY;
    case NNG_ETIMEDOUT:
        return ERR_TIMEOUT;
    case NNG_ECANCELED:
    case NNG_ECLOSED:
        return ERR_CANCELLED;
    case NNG_EINVAL:
    case NNG_ENOTSUP:
    case NNG_EADDRINVAL:
        return ERR_INVALID;
    default:
        return ERR_UNAVAILABLE;
    }
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool socket_url_is_tls(const char *url)
{
    return starts_with(url, "tls+tcp://");
}

bool socket_url_is_known(const char *url)
{
    return strlen(url) < SOCKET_URL_MAX &&
           (starts_with(url, "inproc://") || starts_with(url, "tcp://") || socket_url_is_tls(url));
}

static enum err read_pem(const char *path, char **ret, struct err_detail *detail)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) return err_set(detail, ERR_INVALID, "%s: cannot be read", path ? path : "(no file)");
    AUTO_FREE char *text = malloc(PEM_SIZE_MAX + 1);
    size_t size = text ? fread(text, 1, PEM_SIZE_MAX, file) : 0;
    bool whole = text && !ferror(file) && feof(file);
    (void)fclose(file);
    if (!text) return ERR_NO_MEMORY;
    if (!whole || !size || memchr(text, 0, size))
        return err_set(detail, ERR_INVALID, "%s: not a PEM file of at most %d bytes", path,
                       PEM_SIZE_MAX);
    text[size] = 0;
    *ret = TAKE(text);
    return OK;
}

/* nng's TLS (mbedtls) takes any key with any certificate, and then fails in every handshake. */
static bool is_key_of(const char *cert_text, const char *key_text)
{
    BIO *cert_bio = BIO_new_mem_buf(cert_text, -1), *key_bio = BIO_new_mem_buf(key_text, -1);
    X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL) : NULL;
    bool fits = cert && key && X509_check_private_key(cert, key) == 1;
    EVP_PKEY_free(key);
    X509_free(cert);
    (void)BIO_free(key_bio);
    (void)BIO_free(cert_bio);
    ERR_clear_error();
    return fits;
}

static void free_config(nng_tls_config *config)
{
    if (config) nng_tls_config_free(config); /* it does not accept NULL */
}
AUTO_DEFINE(nng_tls_config, free_config)

enum err socket_tls(const struct rpc_tls *tls, const char *server_name, nng_tls_config **ret,
                    struct err_detail *detail)
{
    AUTO_FREE char *ca = NULL;
    AUTO_FREE char *cert = NULL;
    AUTO_FREE char *key = NULL;
    enum err e = read_pem(tls->ca_file, &ca, detail);
    if (!e) e = read_pem(tls->cert_file, &cert, detail);
    if (!e) e = read_pem(tls->key_file, &key, detail);
    if (e) return e;

    AUTO(auto_free_config) nng_tls_config *config = NULL;
    if (nng_tls_config_alloc(&config, server_name ? NNG_TLS_MODE_CLIENT : NNG_TLS_MODE_SERVER))
        return ERR_NO_MEMORY;
    if (nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED))
        return err_set(detail, ERR_INVALID, "this nng has no TLS");
    if (nng_tls_config_ca_chain(config, ca, NULL))
        return err_set(detail, ERR_INVALID, "%s: not a certificate", tls->ca_file);
    if (!is_key_of(cert, key) || nng_tls_config_own_cert(config, cert, key, NULL))
        return err_set(detail, ERR_INVALID, "%s and %s: not a certificate and its key",
                       tls->cert_file, tls->key_file);
    if (server_name && nng_tls_config_server_name(config, server_name)) return ERR_NO_MEMORY;
    *ret = TAKE(config);
    return OK;
}

/* ---- a wait with an end ---- */

struct bounded {
    pthread_mutex_t lock;
    pthread_cond_t done_changed;
    bool done, abandoned;
    void (*work)(void *arg);
    void *arg;
};

static void free_bounded(struct bounded *b)
{
    (void)pthread_cond_destroy(&b->done_changed);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

static void *run_bounded(void *arg)
{
    struct bounded *b = arg;
    b->work(b->arg);
    pthread_mutex_lock(&b->lock);
    bool abandoned = b->abandoned;
    b->done = true;
    pthread_cond_signal(&b->done_changed);
    pthread_mutex_unlock(&b->lock);
    if (abandoned) free_bounded(b);
    return NULL;
}

static struct bounded *new_bounded(void (*work)(void *arg), void *arg)
{
    struct bounded *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->work = work;
    b->arg = arg;
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&b->done_changed, &attributes) == 0);
    CHECK(pthread_mutex_init(&b->lock, NULL) == 0);
    (void)pthread_condattr_destroy(&attributes);
    return b;
}

bool socket_run_bounded(void (*work)(void *arg), void *arg, int64_t timeout_ms)
{
    struct bounded *b = new_bounded(work, arg);
    pthread_t thread;
    if (!b || pthread_create(&thread, NULL, run_bounded, b)) {
        if (b) free_bounded(b);
        work(arg);
        return true;
    }
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&b->lock);
    int result = 0;
    while (!b->done && result == 0)
        result = pthread_cond_timedwait(&b->done_changed, &b->lock, &until);
    bool done = b->done;
    b->abandoned = !done;
    pthread_mutex_unlock(&b->lock);
    if (!done) {
        (void)pthread_detach(thread);
        return false;
    }
    (void)pthread_join(thread, NULL);
    free_bounded(b);
    return true;
}
