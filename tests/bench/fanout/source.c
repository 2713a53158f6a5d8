#include "source.h"

#include "base/part.h"
#include "clients.h"
#include "trading.pb-c.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct source {
    /* the bus */
    struct config *config;
    struct part_env *env;
    struct rpc_server *server;
    struct bus_publisher *publisher;
    /* a peer */
    pid_t pid;
    FILE *lines;
};

#define MUST(expression)                                                                           \
    do {                                                                                           \
        if (expression) {                                                                          \
            (void)fprintf(stderr, "fanout: %s: %s\n", #expression, detail.text);                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct source *source_bus(const char *const *settings)
{
    static const struct config_key own[] = {PART_KEYS("trading", "0"), {0}};
    static const char *const topics[] = {"trading.market", "trading.user", NULL};
    static struct config_key schema[64];
    struct err_detail detail = {""};
    size_t count = 0;
    struct source *s = calloc(1, sizeof *s);
    if (!s) die_of("memory");
    for (const struct config_key *k = part_common_keys; k->key; k++)
        schema[count++] = *k;
    for (const struct config_key *k = own; k->key; k++)
        schema[count++] = *k;
    MUST(config_load(schema, &(struct config_sources){.overrides = settings}, &s->config, &detail));
    MUST(part_env_open(s->config, &s->env, &detail));
    MUST(part_server(s->env, "trading", &s->server, &detail));
    MUST(part_publisher(s->env, "trading", topics, s->server, &s->publisher, &detail));
    MUST(rpc_server_start(s->server, &detail));
    return s;
}

struct source *source_peer(const char *program, const char *port)
{
    int to[2], from[2];
    char ready[16];
    struct source *s = calloc(1, sizeof *s);
    if (!s || pipe(to) || pipe(from)) die_of("pipe");
    s->pid = fork();
    if (s->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(to[0], 0) < 0 || dup2(from[1], 1) < 0) _exit(1);
        (void)execlp("node", "node", program, port, (char *)NULL);
        _exit(1);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    if (s->pid < 0 || read(from[0], ready, sizeof ready) <= 0) die_of(program);
    (void)close(from[0]);
    s->lines = fdopen(to[1], "w");
    return s;
}

pid_t source_pid(const struct source *s)
{
    return s->pid;
}

static void publish_on_bus(struct source *s, const char *market, char *id, char *at)
{
    uint8_t packed[256];
    Trading__Trade trade = TRADING__TRADE__INIT;
    Trading__TradeEvent event = TRADING__TRADE_EVENT__INIT;
    trade.symbol = (char *)market;
    trade.trade_id = id;
    trade.price = (char *)"60000.00000000";
    trade.quantity = at;
    event.trade = &trade;
    size_t size = trading__trade_event__pack(&event, packed);
    bus_publish(s->publisher, "trading.market", market, "market.trade", packed, size);
}

/* The text that the gateway makes of it. */
static void publish_to_peer(struct source *s, const char *market, const char *id, const char *at)
{
    (void)fprintf(s->lines,
                  "trades:%s {\"type\":\"market.trade\",\"channel\":\"trades:%s\",\"epoch\":"
                  "\"4580348314861461\",\"seq\":\"%s\",\"timestamp\":\"2026-01-31T23:59:59.123Z\","
                  "\"data\":{\"trade\":{\"tradeId\":\"%s\",\"symbol\":\"%s\",\"price\":"
                  "\"60000.00000000\",\"quantity\":\"%s\"}}}\n",
                  market, market, id, id, market, at);
    if (fflush(s->lines)) die_of("the peer has gone");
}

void source_publish(struct source *s, const char *market, uint64_t number, int64_t at_us)
{
    char id[24], at[24];
    (void)snprintf(id, sizeof id, "%" PRIu64, number);
    (void)snprintf(at, sizeof at, "%" PRId64, at_us);
    if (s->publisher)
        publish_on_bus(s, market, id, at);
    else
        publish_to_peer(s, market, id, at);
}

void source_free(struct source *s)
{
    if (s->pid) {
        (void)kill(s->pid, SIGKILL);
        (void)waitpid(s->pid, NULL, 0);
        (void)fclose(s->lines);
    }
    rpc_server_free(s->server);
    bus_publisher_free(s->publisher);
    part_env_close(s->env);
    config_free(s->config);
    free(s);
}
