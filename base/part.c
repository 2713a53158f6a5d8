/* From configuration to connections: what every part would otherwise do by itself. */
#include "base/part.h"

#include "base/crypt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 1024
#define URLS_MAX  RPC_REPLICAS_MAX

const struct config_key part_common_keys[] = {
    {"data_dir", CONFIG_STRING, "data", 1, 512, "directory of journals, SQLite files and keys", 0},
    {"log.level", CONFIG_STRING, "info", 4, 5, "debug, info, warn or error", CONFIG_RELOAD},
    {"store.url", CONFIG_STRING, "sqlite:{data}/{part}.db", 1, 1024,
     "documents: sqlite:FILE or mongodb://...; {data} and {part} are filled in", CONFIG_SECRET},
    {"store.pool_max", CONFIG_INT, "8", 1, 256, "connections of each part", 0},
    {"store.timeout_ms", CONFIG_INT, "5000", 100, 60000, "milliseconds a call may take", 0},
    {"cache.url", CONFIG_STRING, "memory:", 1, 1024,
     "memory: or redis://[:password@]host:port[/db]", CONFIG_SECRET},
    {"cache.timeout_ms", CONFIG_INT, "1000", 10, 60000, "milliseconds a call may take", 0},
    {"rpc.principal_key", CONFIG_STRING, "", 0, 64,
     "64 hex digits that sign who calls, the same in every process; empty: made in data_dir",
     CONFIG_SECRET},
    {"rpc.tls_ca", CONFIG_STRING, "", 0, 512, "PEM file: who signs the certificates of tls+tcp://",
     0},
    {"rpc.tls_cert", CONFIG_STRING, "", 0, 512, "PEM file: this process's certificate", 0},
    {"rpc.tls_key", CONFIG_STRING, "", 0, 512, "PEM file: its private key", 0},
    {0},
};

/* ---- the environment ---- */

struct part_env_owned {
    struct part_env env; /* first: what callers see */
    struct principal_key key;
    struct rpc_tls tls;
};

static enum err make_key_file(const char *path, struct err_detail *detail)
{
    struct principal_key key;
    char text[2 * PRINCIPAL_KEY_SIZE + 2], temporary[PATH_SIZE + 16];
    crypt_random(key.bytes, sizeof key.bytes);
    hex_encode(key.bytes, sizeof key.bytes, text);
    text[2 * PRINCIPAL_KEY_SIZE] = '\n';

    /* Under a name of its own first, then linked: several processes may start at once, one key
     * wins. */
    (void)snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return err_set(detail, err_from_errno(errno), "cannot write %s", temporary);
    bool written = write(fd, text, sizeof text - 1) == (ssize_t)(sizeof text - 1) && fsync(fd) == 0;
    int failure = errno;
    (void)close(fd);
    if (written && link(temporary, path) && errno != EEXIST) {
        written = false;
        failure = errno;
    }
    (void)unlink(temporary);
    if (!written) return err_set(detail, err_from_errno(failure), "cannot write %s", path);
    return OK;
}

static enum err read_key_file(const char *path, struct principal_key *ret,
                              struct err_detail *detail)
{
    char text[2 * PRINCIPAL_KEY_SIZE + 3] = ""; /* a newline may follow, and nothing else */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(detail, err_from_errno(errno), "cannot read %s", path);
    ssize_t size = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (size > 0 && text[size - 1] == '\n') text[--size] = 0;
    if (size != 2 * PRINCIPAL_KEY_SIZE || hex_decode(text, ret->bytes, sizeof ret->bytes))
        return err_set(detail, ERR_INVALID, "%s must hold %d hex digits", path,
                       2 * PRINCIPAL_KEY_SIZE);
    return OK;
}

static enum err load_key(const struct config *config, struct principal_key *ret,
                         struct err_detail *detail)
{
    const char *hex = config_string(config, "rpc.principal_key");
    if (hex[0] && hex_decode(hex, ret->bytes, sizeof ret->bytes))
        return err_set(detail, ERR_INVALID, "rpc.principal_key must be %d hex digits",
                       2 * PRINCIPAL_KEY_SIZE);
    if (hex[0]) return OK;

    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/principal.key", config_string(config, "data_dir"));
    enum err e = read_key_file(path, ret, detail);
    if (e != ERR_NOT_FOUND) return e;
    e = make_key_file(path, detail);
    if (e) return e;
    return read_key_file(path, ret, detail);
}

static enum err load_tls(const struct config *config, struct rpc_tls *ret,
                         struct err_detail *detail)
{
    *ret =
        (struct rpc_tls){config_string(config, "rpc.tls_ca"), config_string(config, "rpc.tls_cert"),
                         config_string(config, "rpc.tls_key")};
    int given = !!ret->ca_file[0] + !!ret->cert_file[0] + !!ret->key_file[0];
    if (given == 0 || given == 3) return OK;
    return err_set(detail, ERR_INVALID,
                   "rpc.tls_ca, rpc.tls_cert and rpc.tls_key go together: give all or none");
}

enum err part_env_open(const struct config *config, struct part_env **ret,
                       struct err_detail *detail)
{
    const char *data_dir = config_string(config, "data_dir");
    if (mkdir(data_dir, 0700) && errno != EEXIST)
        return err_set(detail, err_from_errno(errno), "cannot create data_dir %s", data_dir);

    struct part_env_owned *owned = calloc(1, sizeof *owned);
    if (!owned) return ERR_NO_MEMORY;
    enum err e = load_key(config, &owned->key, detail);
    if (!e) e = load_tls(config, &owned->tls, detail);
    if (e) {
        free(owned);
        return e;
    }
    owned->env = (struct part_env){config, data_dir, &owned->key,
                                   owned->tls.ca_file[0] ? &owned->tls : NULL};
    *ret = &owned->env;
    return OK;
}

void part_env_close(struct part_env *env)
{
    if (!env) return;
    struct part_env_owned *owned = (struct part_env_owned *)env;
    explicit_bzero(&owned->key, sizeof owned->key);
    free(owned);
}

/* ---- URLs ---- */

/* A key's comma-separated URLs, cut apart in place. */
struct urls {
    char text[1025];
    const char *url[URLS_MAX];
    size_t count;
};

static const char *part_string(const struct part_env *env, const char *part, const char *name)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s.%s", part, name);
    return config_string(env->config, key);
}

static int64_t part_int(const struct part_env *env, const char *part, const char *name)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s.%s", part, name);
    return config_int(env->config, key);
}

/* Cuts the spaces off both ends of [at, end), which ends with a NUL. */
static char *trim(char *at, char *end)
{
    while (at < end && end[-1] == ' ')
        *--end = 0;
    while (*at == ' ')
        at++;
    return at;
}

static enum err read_urls(const struct part_env *env, const char *part, const char *name,
                          struct urls *ret, struct err_detail *detail)
{
    (void)snprintf(ret->text, sizeof ret->text, "%s", part_string(env, part, name));
    ret->count = 0;
    for (char *at = ret->text; at;) {
        char *comma = strchr(at, ',');
        if (comma) *comma = 0;
        const char *url = trim(at, at + strlen(at));
        if (!*url)
            return err_set(detail, ERR_INVALID, "%s.%s: a URL is missing before or after a comma",
                           part, name);
        if (ret->count == URLS_MAX)
            return err_set(detail, ERR_INVALID, "%s.%s has more than %d URLs", part, name,
                           URLS_MAX);
        ret->url[ret->count++] = url;
        at = comma ? comma + 1 : NULL;
    }
    return OK;
}

enum err part_server(const struct part_env *env, const char *part, struct rpc_server **ret,
                     struct err_detail *detail)
{
    struct urls urls;
    enum err e = read_urls(env, part, "listen", &urls, detail);
    if (e) return e;
    struct rpc_server_options options = {
        .name = part,
        .listen = urls.url,
        .listen_count = urls.count,
        .workers = (unsigned)part_int(env, part, "workers"),
        .inflight_max = (unsigned)part_int(env, part, "inflight_max"),
        .tls = env->tls,
        .principal_key = env->principal_key,
    };
    return rpc_server_new(&options, ret, detail);
}

enum err part_client(const struct part_env *env, const char *caller, const char *callee,
                     struct rpc_client **ret, struct err_detail *detail)
{
    struct urls urls;
    enum err e = read_urls(env, callee, "rpc", &urls, detail);
    if (e) return e;
    struct rpc_client_options options = {
        .name = caller,
        .urls = urls.url,
        .url_count = urls.count,
        .tls = env->tls,
        .principal_key = env->principal_key,
    };
    return rpc_client_new(&options, ret, detail);
}

enum err part_publisher(const struct part_env *env, const char *part, const char *const *topics,
                        struct rpc_server *server, struct bus_publisher **ret,
                        struct err_detail *detail)
{
    struct urls urls;
    enum err e = read_urls(env, part, "events_listen", &urls, detail);
    if (e) return e;
    struct bus_publisher_options options = {
        .listen = urls.url, .listen_count = urls.count, .tls = env->tls, .topics = topics};
    return bus_publisher_new(&options, server, ret, detail);
}

enum err part_subscriber(const struct part_env *env, const char *publisher,
                         struct bus_subscriber_options *options, struct bus_subscriber **ret,
                         struct err_detail *detail)
{
    struct urls urls;
    enum err e = read_urls(env, publisher, "events", &urls, detail);
    if (e) return e;
    options->urls = urls.url;
    options->url_count = urls.count;
    options->tls = env->tls;
    return bus_subscriber_new(options, ret, detail);
}

/* ---- stores ---- */

/* Replaces every "{name}" of text in place; false: it would be longer than size. */
static bool fill_in(char *text, size_t size, const char *name, const char *value)
{
    size_t name_size = strlen(name), value_size = strlen(value);
    for (char *at = text; (at = strstr(at, name)); at += value_size) {
        size_t rest = strlen(at + name_size) + 1;
        if ((size_t)(at - text) + value_size + rest > size) return false;
        memmove(at + value_size, at + name_size, rest);
        memcpy(at, value, value_size);
    }
    return true;
}

enum err part_store(const struct part_env *env, const char *part,
                    const struct store_collection *collections, struct store **ret,
                    struct err_detail *detail)
{
    char url[2048];
    (void)snprintf(url, sizeof url, "%s", config_string(env->config, "store.url"));
    if (!fill_in(url, sizeof url, "{data}", env->data_dir) ||
        !fill_in(url, sizeof url, "{part}", part))
        return err_set(detail, ERR_INVALID, "store.url is too long once filled in");
    struct store_options options = {
        .url = url,
        .pool_max = (unsigned)config_int(env->config, "store.pool_max"),
        .timeout_ms = config_int(env->config, "store.timeout_ms"),
    };
    return store_open(&options, collections, ret, detail);
}

enum err part_cache(const struct part_env *env, struct cache **ret, struct err_detail *detail)
{
    struct cache_options options = {
        .url = config_string(env->config, "cache.url"),
        .timeout_ms = config_int(env->config, "cache.timeout_ms"),
    };
    return cache_open(&options, ret, detail);
}
