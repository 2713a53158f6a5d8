/*
 * RPC: gRPC's semantics on nng REQ/REP, one protobuf message (rpc.Request, rpc.Response;
 * proto/rpc.proto) per request and per reply and nothing else on the wire. This header: what client
 * and server share.
 */
#ifndef BASE_RPC_RPC_H
#define BASE_RPC_RPC_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define RPC_MESSAGE_SIZE_MAX   (4 * 1024 * 1024) /* larger things travel in pieces or over HTTP */
#define RPC_METHOD_MAX         128               /* "package.Service/Method" */
#define RPC_METADATA_SIZE_MAX  8192              /* all keys and values */
#define RPC_METADATA_MAX       32                /* pairs */
#define RPC_METADATA_KEY_MAX   64                /* of [0-9a-z_.-] in what this client sends */
#define RPC_TIMEOUT_DEFAULT_MS 5000
#define RPC_TIMEOUT_MAX_MS     60000
#define RPC_ERRORS_MAX         16 /* field errors in one reply */
#define RPC_NAME_MAX           64

/* Mutual TLS for tls+tcp:// URLs: all PEM files, all required. Borrowed by who takes the options.
 */
struct rpc_tls {
    const char *ca_file, *cert_file, *key_file;
};

/*
 * Who is calling. The gateway (or a service acting for itself) makes it from verified credentials;
 * it travels signed (HMAC-SHA256 with the platform's key, valid PRINCIPAL_VALID_MS) and is verified
 * by the server before a handler runs. No principal: a guest.
 */
enum role { ROLE_GUEST, ROLE_USER, ROLE_SUPPORT, ROLE_ADMIN, ROLE_SERVICE };

#define PRINCIPAL_KEY_SIZE 32
#define PRINCIPAL_VALID_MS 60000
#define PRINCIPAL_TEXT_MAX 512

struct principal {
    enum role role;
    char user_id[40]; /* 32 hex digits; for ROLE_SERVICE the part's name; "" for a guest */
    char
        session_id[40]; /* "" for none; of an API key: its grant, which is denied as a session is */
    uint64_t permissions; /* of an API key: bits of enum permission; all bits for a session */
    char key_id[40];      /* of an API key; "" for a session */
    char tier[16];        /* of an API key: which rate limit of orders it has; "": the usual one */
};

struct principal_key {
    uint8_t bytes[PRINCIPAL_KEY_SIZE];
};

struct principal principal_guest(void);
struct principal principal_service(const char *part);

void principal_sign(const struct principal *p, const struct principal_key *key, int64_t wall_ms,
                    char ret[static PRINCIPAL_TEXT_MAX]);
/* ERR_UNAUTHENTICATED: malformed, forged or expired. */
MUST_CHECK enum err principal_verify(const char *text, const struct principal_key *key,
                                     int64_t wall_ms, struct principal *ret);

/* One wrong field of a request: its JSON path and what would be right. */
struct rpc_field_error {
    char field[RPC_NAME_MAX];
    char reason[128];
};

/* How a call ended. `reason` is the domain's stable word ("insufficient_funds"), or "". */
struct rpc_status {
    enum err err;
    char message[ERR_DETAIL_MAX];
    char reason[RPC_NAME_MAX];
    struct rpc_field_error errors[RPC_ERRORS_MAX];
    size_t error_count;
};

#endif
