/* Wiring: configuration, start, stop, and the sweeper of expired sessions. */
#include "users_service.h"
#include "users_store.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_EVERY_MS 60000
#define SWEEP_MAX      1000 /* sessions of one sweep */

static const struct config_key keys[] = {
    PART_KEYS("users", "3341"),
    {"users.bcrypt_cost", CONFIG_INT, "12", HASHING_COST_MIN, HASHING_COST_MAX,
     "bcrypt's cost: each step doubles the time of a login", false},
    {"users.wrong_passwords_max", CONFIG_INT, "50", 1, CACHE_LIMIT_MAX,
     "wrong passwords of an account in an hour; beyond, only devices that know it are let try", 0},
    {"users.password_threads", CONFIG_INT, "1", 1, 64, "threads that hash passwords", false},
    {"users.password_queue_max", CONFIG_INT, "64", 1, 4096,
     "logins and registrations that wait for them; beyond: refused", false},
    {0},
};

/* All that have expired, in pieces; a store that is away is swept the next time. */
static void sweep_all(struct users *users)
{
    uint64_t deleted = SWEEP_MAX;
    while (deleted == SWEEP_MAX && !atomic_load(&users->stopping))
        if (sessions_store_sweep(users->store, clock_wall_ms(), SWEEP_MAX, &deleted)) return;
}

/*
 * The deny list may be gone: a cache in this process ended with the one before. Sessions that were
 * ended are told to it again, before anybody is let in. One that is away has lost nothing by our
 * start, and is told later.
 */
static enum err deny_revoked(struct users *users)
{
    int64_t now_ms = clock_wall_ms();
    struct session page[SESSIONS_PAGE];
    char after[USER_ID_SIZE] = "";
    size_t count = SESSIONS_PAGE;
    while (count == SESSIONS_PAGE) {
        enum err e = sessions_store_revoked(users->store, now_ms, after, page, &count);
        for (size_t i = 0; i < count && !e; i++)
            e = cache_deny(users->cache, DENY_LIST, page[i].session_id,
                           page[i].expires_ms - now_ms);
        if (e) return e;
        if (count) memcpy(after, page[count - 1].session_id, sizeof after);
    }
    return OK;
}

static void *sweep(void *arg)
{
    struct users *users = arg;
    thread_name("users-sweep");
    while (!atomic_load(&users->stopping)) {
        int64_t wake_ms = clock_mono_ms() + SWEEP_EVERY_MS;
        struct timespec at = {.tv_sec = wake_ms / 1000, .tv_nsec = wake_ms % 1000 * 1000000};
        (void)pthread_mutex_lock(&users->lock);
        while (!atomic_load(&users->stopping) &&
               pthread_cond_timedwait(&users->wake, &users->lock, &at) != ETIMEDOUT) {
        }
        (void)pthread_mutex_unlock(&users->lock);
        if (!atomic_load(&users->denied)) atomic_store(&users->denied, !deny_revoked(users));
        sweep_all(users);
    }
    return NULL;
}

/* A first piece now, the rest in a while: a start does not wait for years of sessions. */
static enum err start_sweeper(struct users *users)
{
    uint64_t deleted = 0;
    (void)!sessions_store_sweep(users->store, clock_wall_ms(), SWEEP_MAX, &deleted);
    atomic_store(&users->denied, !deny_revoked(users));
    users->sweeping = pthread_create(&users->sweeper, NULL, sweep, users) == 0;
    return users->sweeping ? OK : ERR_NO_MEMORY;
}

static void stop_sweeper(struct users *users)
{
    (void)pthread_mutex_lock(&users->lock);
    atomic_store(&users->stopping, true);
    (void)pthread_cond_signal(&users->wake);
    (void)pthread_mutex_unlock(&users->lock);
    if (users->sweeping) (void)pthread_join(users->sweeper, NULL);
}

/* What waits to be hashed when the grace is over is refused; a handler that comes later finds the
 * pool stopped. Only then may the server's threads end. */
static void users_stop(void *part, int64_t grace_ms)
{
    struct users *users = part;
    if (!users) return;
    if (users->server) (void)rpc_server_drain(users->server, grace_ms);
    stop_sweeper(users);
    hashing_pool_stop(users->hashing);
    rpc_server_free(users->server);
    hashing_pool_free(users->hashing);
    token_keys_free(users->keys);
    cache_close(users->cache);
    store_close(users->store);
    (void)pthread_cond_destroy(&users->wake);
    (void)pthread_mutex_destroy(&users->lock);
    free(users);
}

static enum err open_stores(struct users *users, const struct part_env *env,
                            struct err_detail *detail)
{
    char directory[1024];
    if (snprintf(directory, sizeof directory, "%s/token-keys", env->data_dir) >=
        (int)sizeof directory)
        return err_set(detail, ERR_INVALID, "data_dir is too long");
    enum err e = part_store(env, "users", users_collections, &users->store, detail);
    if (!e) e = part_cache(env, &users->cache, detail);
    if (!e) e = token_keys_load(directory, &users->keys, detail);
    return e;
}

static enum err users_ready(void *part, struct err_detail *detail)
{
    struct users *users = part;
    enum err e = store_ping(users->store);
    if (e) return err_set(detail, e, "users: the store: %s", err_text(e));
    if (!atomic_load(&users->denied))
        return err_set(detail, ERR_UNAVAILABLE, "users: ended sessions are not denied yet");
    e = cache_ping(users->cache);
    if (e) return err_set(detail, e, "users: the cache: %s", err_text(e));
    return OK;
}

static enum err start_threads(struct users *users, const struct part_env *env,
                              struct err_detail *detail)
{
    const struct config *c = env->config;
    users->wrong_passwords_max = config_int(c, "users.wrong_passwords_max");
    users->bcrypt_cost = (unsigned)config_int(c, "users.bcrypt_cost");
    users->principal_key = env->principal_key;
    hashing_make_dummy(users->bcrypt_cost, users->dummy_hash);
    enum err e =
        hashing_pool_new((unsigned)config_int(c, "users.password_threads"),
                         (unsigned)config_int(c, "users.password_queue_max"), &users->hashing);
    if (!e) e = start_sweeper(users);
    if (!e) e = part_server(env, "users", &users->server, detail);
    if (!e) rpc_server_set_ready(users->server, users_ready, users);
    if (!e) e = rpc_server_add(users->server, &users_rpc_service.base, users);
    if (!e) e = rpc_server_add(users->server, &api_keys_rpc_service.base, users);
    if (!e) e = rpc_server_start(users->server, detail);
    return e;
}

static enum err users_start(const struct part_env *env, void **ret, struct err_detail *detail)
{
    struct users *users = calloc(1, sizeof *users);
    if (!users) return ERR_NO_MEMORY;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&users->lock, NULL);
    (void)pthread_cond_init(&users->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);

    enum err e = open_stores(users, env, detail);
    if (!e) e = start_threads(users, env, detail);
    if (e) {
        users_stop(users, 0);
        return e;
    }
    *ret = users;
    return OK;
}

const struct part_ops users_part = {.name = "users",
                                    .config = keys,
                                    .start = users_start,
                                    .ready = users_ready,
                                    .stop = users_stop};
