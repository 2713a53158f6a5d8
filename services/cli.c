/* What the commands share: the table of parts, the configuration, a connection to a running part.
 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/gateway_part.h"
#include "services/trading/trading_part.h"
#include "services/users/users_part.h"
#include "services/wallet/wallet_part.h"

#define DEFAULT_CONFIG "config/tradepost.yml"

extern char **environ;

/* Adding a service is adding a row: those that others call come first. */
const struct part_ops *const cli_parts[] = {&users_part, &wallet_part, &trading_part, &gateway_part,
                                            NULL};

int cli_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("tradepost: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return status;
}

static size_t count_keys(const struct config_key *keys)
{
    size_t n = 0;
    while (keys[n].key)
        n++;
    return n;
}

/* One table of all keys, so that every process knows every part's address. */
static struct config_key *join_schema(void)
{
    size_t total = count_keys(part_common_keys), at = total;
    for (size_t i = 0; cli_parts[i]; i++)
        total += count_keys(cli_parts[i]->config);
    struct config_key *schema = calloc(total + 1, sizeof *schema);
    if (!schema) return NULL;
    memcpy(schema, part_common_keys, at * sizeof *schema);
    for (size_t i = 0; cli_parts[i]; i++) {
        size_t n = count_keys(cli_parts[i]->config);
        memcpy(schema + at, cli_parts[i]->config, n * sizeof *schema);
        at += n;
    }
    return schema;
}

enum err cli_read_config(const struct cli *cli, struct config **ret, struct err_detail *detail)
{
    struct config_sources sources = {cli->config_file, environ, cli->overrides};
    return config_load(cli->schema, &sources, ret, detail);
}

enum err cli_load_config(struct cli *cli, struct err_detail *detail)
{
    if (!cli->config_file && access(DEFAULT_CONFIG, R_OK) == 0) cli->config_file = DEFAULT_CONFIG;
    cli->schema = join_schema();
    if (!cli->schema) return err_set(detail, ERR_NO_MEMORY, "out of memory");
    enum err e = cli_read_config(cli, &cli->config, detail);
    if (e) {
        free(cli->schema);
        cli->schema = NULL;
    }
    return e;
}

/* The first tcp:// or tls+tcp:// URL of a comma-separated list; false: there is none. */
static bool find_tcp(const char *urls, char *ret, size_t ret_size)
{
    for (const char *at = urls; *at;) {
        at += strspn(at, ", ");
        size_t size = strcspn(at, ", ");
        if ((strncmp(at, "tcp://", 6) == 0 || strncmp(at, "tls+tcp://", 10) == 0) &&
            size < ret_size) {
            memcpy(ret, at, size);
            ret[size] = 0;
            return true;
        }
        at += size;
    }
    return false;
}

static bool part_url(const struct cli *cli, const char *part, char *ret, size_t ret_size)
{
    static const char *const names[] = {"rpc", "listen"};
    for (size_t i = 0; cli_parts[i]; i++) {
        if (strcmp(cli_parts[i]->name, part) != 0) continue;
        for (size_t n = 0; n < 2; n++) {
            char key[64];
            (void)snprintf(key, sizeof key, "%s.%s", part, names[n]);
            if (find_tcp(config_string(cli->config, key), ret, ret_size)) return true;
        }
    }
    return false;
}

bool cli_connect(const struct cli *cli, const char *part, struct part_env **ret_env,
                 struct rpc_client **ret)
{
    char url[512];
    struct err_detail detail = {0};
    if (!part_url(cli, part, url, sizeof url)) {
        (void)cli_fail(0, "there is no part \"%s\" with a tcp:// URL in %s.rpc or %s.listen", part,
                       part, part);
        return false;
    }
    struct part_env *env = NULL;
    enum err e = part_env_open(cli->config, &env, &detail);
    if (!e) {
        const char *const urls[] = {url};
        struct rpc_client_options options = {
            .name = "cli",
            .urls = urls,
            .url_count = 1,
            .tls = env->tls,
            .principal_key = env->principal_key,
        };
        e = rpc_client_new(&options, ret, &detail);
    }
    if (e) {
        (void)cli_fail(0, "%s", detail.text[0] ? detail.text : err_text(e));
        part_env_close(env);
        return false;
    }
    *ret_env = env;
    return true;
}
