/*
 * What server and client do to nng alike: errors, mutual TLS, and closing with a limit. Private to
 * base/rpc.
 */
#ifndef BASE_RPC_SOCKET_H
#define BASE_RPC_SOCKET_H

#include "base/rpc/rpc.h"

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <stdbool.h>
#include <stdint.h>

#define SOCKET_URL_MAX      256
#define SOCKET_CLOSE_MAX_MS 5000 /* nng 1.5 may hang in a close: nng issues 1543, 1813, 1827 */
#define SOCKET_SEND_MAX_MS  5000 /* a peer that takes a reply more slowly is cut off */

enum err socket_err(int nng_error);

bool socket_url_is_tls(const char *url);
bool socket_url_is_known(const char *url); /* inproc, tcp or tls+tcp: ipc goes deaf (issue 1518) */

/*
 * A configuration that demands and checks the peer's certificate. server_name NULL: for a listener.
 * ERR_INVALID: a file cannot be read or is not what it should be (detail names it). The caller
 * frees with nng_tls_config_free, also right after it has been given to a dialer or listener.
 */
MUST_CHECK enum err socket_tls(const struct rpc_tls *tls, const char *server_name,
                               nng_tls_config **ret, struct err_detail *detail);

/*
 * Runs work(arg) on a thread of its own and waits for it, at most timeout_ms. False: it is still
 * running, and what it works on must be left to it. Without memory or a thread for that it runs
 * work here, however long that takes.
 */
bool socket_run_bounded(void (*work)(void *arg), void *arg, int64_t timeout_ms);

#endif
