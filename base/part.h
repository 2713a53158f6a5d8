/*
 * A part: what --target starts. Every service and the gateway is one `const struct part_ops`, its
 * only exported symbol; services/main.c has the table of them. A part cannot tell whether the
 * others run in its process: it knows them by URL only.
 */
#ifndef BASE_PART_H
#define BASE_PART_H

#include "base/bus/bus.h"
#include "base/cache/cache.h"
#include "base/config.h"
#include "base/err.h"
#include "base/rpc/client.h"
#include "base/rpc/server.h"
#include "base/store/store.h"

#define PARTS_MAX 16

/* What every part gets; valid until the last part has stopped. */
struct part_env {
    const struct config *config; /* the keys of all parts, whatever runs here */
    const char *data_dir;        /* exists; for journals, SQLite files and keys */
    const struct principal_key *principal_key;
    const struct rpc_tls *tls; /* NULL: not configured */
};

struct part_ops {
    const char *name;                /* "wallet": the target, and the prefix of its keys */
    const struct config_key *config; /* its keys, ends with a NULL key */
    /* Starts everything; what it needs of other parts may still be missing. Blocks while it
     * recovers. */
    enum err (*start)(const struct part_env *env, void **ret, struct err_detail *detail);
    /* Ready to serve: dependencies included. detail says what is missing. */
    enum err (*ready)(void *part, struct err_detail *detail);
    /* Stops accepting, finishes what runs (at most grace_ms), releases everything. Accepts NULL. */
    void (*stop)(void *part, int64_t grace_ms);
    /*
     * Reload, in two steps so that all parts change or none does; one thread calls them, beside all
     * that runs. NULL both: none of the part's keys is CONFIG_RELOAD. Only those can differ from
     * what start saw; what was borrowed from env->config stays as it is until the last part stops.
     *
     * prepare judges `next` and makes what the change needs; nothing changes yet, and it blocks for
     * no more than memory. An error refuses the whole reload: detail names the key and what would
     * be right. `next` is valid for this call only: copy. finish, later, puts *ret_change into
     * place (accept), which cannot fail, or throws it away; it frees the change either way.
     */
    enum err (*reload_prepare)(void *part, const struct config *next, void **ret_change,
                               struct err_detail *detail);
    void (*reload_finish)(void *part, void *change, bool accept);
    /* From now on ready says no, and everything goes on: whoever sends work here is to notice.
     * Returns how many milliseconds that takes, before stop is called. NULL: none. */
    int64_t (*drain)(void *part);
};

/*
 * The keys that every part has; PART_KEYS("wallet", "3342") in its table:
 *   wallet.rpc            where its RPC is reached: one or more URLs, separated by commas
 *   wallet.listen         where it listens; by default in process and on a loopback port, for
 *                         `tradepost call` (who cannot read the principal key is a guest there)
 *   wallet.events         where its events are published: what subscribers dial
 *   wallet.events_listen  where it listens for them
 *   wallet.workers, wallet.inflight_max  of its RPC server
 */
#define PART_KEYS(part, port)                                                                      \
    {part ".rpc", CONFIG_STRING, "inproc://" part, 1, 1024, "RPC URLs of " part, 0},               \
        {part ".listen",                                                                           \
         CONFIG_STRING,                                                                            \
         "inproc://" part ",tcp://127.0.0.1:" port,                                                \
         1,                                                                                        \
         1024,                                                                                     \
         "RPC URLs that " part " listens on",                                                      \
         0},                                                                                       \
        {part ".events",                                                                           \
         CONFIG_STRING,                                                                            \
         "inproc://" part ".events",                                                               \
         1,                                                                                        \
         1024,                                                                                     \
         "event URLs of " part,                                                                    \
         0},                                                                                       \
        {part ".events_listen",                                                                    \
         CONFIG_STRING,                                                                            \
         "inproc://" part ".events",                                                               \
         1,                                                                                        \
         1024,                                                                                     \
         "event URLs that " part " listens on",                                                    \
         0},                                                                                       \
        {part ".workers", CONFIG_INT, "4", 1, 256, "threads that run RPC handlers", 0},            \
    {                                                                                              \
        part ".inflight_max", CONFIG_INT, "512", 1, RPC_INFLIGHT_MAX,                              \
            "RPC calls in flight; beyond that they are refused", 0                                 \
    }

/* The keys of the whole platform (data directory, store, cache, TLS, log level); main.c's first
 * table. */
extern const struct config_key part_common_keys[];

/*
 * From the loaded configuration: makes data_dir if it is missing, reads (or, in a data_dir of its
 * own, makes) the platform's principal key. ERR_INVALID: a key of the wrong form, TLS files given
 * by halves.
 */
MUST_CHECK enum err part_env_open(const struct config *config, struct part_env **ret,
                                  struct err_detail *detail);
void part_env_close(struct part_env *env); /* accepts NULL; the config stays the caller's */

/* By configuration, for the part of that name. The caller frees. */
MUST_CHECK enum err part_server(const struct part_env *env, const char *part,
                                struct rpc_server **ret, struct err_detail *detail);
MUST_CHECK enum err part_client(const struct part_env *env, const char *caller, const char *callee,
                                struct rpc_client **ret, struct err_detail *detail);
MUST_CHECK enum err part_publisher(const struct part_env *env, const char *part,
                                   const char *const *topics, struct rpc_server *server,
                                   struct bus_publisher **ret, struct err_detail *detail);
/* Takes options with callbacks, topics and replay set; fills in where to connect. */
MUST_CHECK enum err part_subscriber(const struct part_env *env, const char *publisher,
                                    struct bus_subscriber_options *options,
                                    struct bus_subscriber **ret, struct err_detail *detail);
/* "store.url" with the part's name in place of "{part}": sqlite:{data}/{part}.db */
MUST_CHECK enum err part_store(const struct part_env *env, const char *part,
                               const struct store_collection *collections, struct store **ret,
                               struct err_detail *detail);
/* In one process all parts share one in-process cache: the URL "memory:" opens the same one. */
MUST_CHECK enum err part_cache(const struct part_env *env, struct cache **ret,
                               struct err_detail *detail);

#endif
