/*
 * The gateway's realtime rooms with real neighbours, for clients in other languages: RPC servers
 * and publishers of users, trading and wallet, listeners of every kind. Commands come on stdin, one
 * per line; each is answered with one line:
 *
 *   ports                              {"main":1,"nervous":2,"login":3,"guest":4,"rest":5}
 *   token USER SESSION SECONDS         an access token
 *   revoke SESSION                     ok: the session is on the deny list
 *   publish TOPIC KEY TYPE JSON        ok
 *   trades SYMBOL FIRST COUNT          ok: so many market.trade, numbered from FIRST
 *   both FIRST COUNT                   ok: so many of A-USDT and of B-USDT, in turns
 *   restart                            ok: trading is another process now, with a new epoch
 *   gate open|shut                     ok: GetDepth waits while the gate is shut
 *   held                               how many wait at the gate
 *   presence                           {"events":["+ann","-ann"]}: what came on the bus so far
 *   stats                              the hub's, as JSON
 *   closed CODE                        how many WebSockets we closed with it
 *   drain                              how many ms it took until all clients were gone
 *
 * "nervous" is a main listener with short clocks. It ends when stdin does.
 */
#include "auth.h"
#include "calls.h"
#include "command.h"
#include "feed.h"
#include "http.h"
#include "hub.h"
#include "listener.h"
#include "presence.h"
#include "reactor.h"
#include "roster_rpc.h"
#include "sse.h"
#include "workers.h"
#include "ws.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/token.h"
#include "trading.pb-c.h"
#include "users.pb-c.h"
#include "wallet.pb-c.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MARKETS         600 /* in ListMarkets: more than a whole answer holds */
#define RING_SIZE       65536
#define QUEUE_BYTES     262144
#define CONNECTIONS_MAX 12000
#define ADDRESS_MAX     11000
#define USER_MAX        4
#define LINE_MAX_       65536

enum { MAIN, NERVOUS, LOGIN, GUEST, REST, LISTENERS };
static const char *const names[LISTENERS] = {"main", "nervous", "login", "guest", "rest"};

/* A part: its server and its publisher. */
struct neighbour {
    struct rpc_server *server;
    struct bus_publisher *publisher;
};

static struct host {
    const struct part_env *env;
    struct token_keys *keys;
    struct neighbour users, trading, wallet;
    struct cache *cache;
    struct calls *calls;
    struct auth *auth;
    struct limits *limits; /* none for clients of this machine */
    struct hub *hub;
    struct feed *feed;
    struct commands *commands, *nervous_commands;
    struct roster_rpc *roster;
    struct reactor *reactor;
    struct workers *workers;
    struct ws_front *ws, *nervous_ws;
    struct sse *sse;
    struct listener *listeners[LISTENERS];
    struct shared_slot settings;

    pthread_mutex_t gate_lock;
    pthread_cond_t gate_changed;
    bool gate_shut;
    atomic_uint held;
} host;

#define MUST(expression)                                                                           \
    do {                                                                                           \
        enum err must_ = (expression);                                                             \
        if (must_) {                                                                               \
            (void)fprintf(stderr, "%s: %s: %s\n", #expression, err_name(must_), detail.text);      \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- what the parts answer ---- */

static void rpc_jwks(Users__Users_Service *self, const Users__JwksRequest *request,
                     Users__JwksResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    const struct token_jwk *jwk = token_keys_jwk(host.keys, 0);
    Users__JwksResponse response = USERS__JWKS_RESPONSE__INIT;
    Users__Jwk key = USERS__JWK__INIT, *keys = &key;
    key.kid = (char *)jwk->kid;
    key.x = (char *)jwk->x;
    key.y = (char *)jwk->y;
    response.n_keys = 1;
    response.keys = &keys;
    reply(&response, call);
}

static void rpc_login(Users__Users_Service *self, const Users__LoginRequest *request,
                      Users__Tokens_Closure reply, void *call)
{
    (void)self;
    if (strcmp(request->password, "correct horse") != 0)
        return rpc_fail(call, ERR_UNAUTHENTICATED, "wrong e-mail or password");
    Users__Tokens tokens = USERS__TOKENS__INIT;
    tokens.access_token = "access";
    tokens.refresh_token = "refresh";
    reply(&tokens, call);
}

static void rpc_who_am_i(Users__Users_Service *self, const Users__WhoAmIRequest *request,
                         Users__User_Closure reply, void *call)
{
    (void)self;
    (void)request;
    Users__User user = USERS__USER__INIT;
    user.user_id = (char *)rpc_call_principal(call)->user_id;
    reply(&user, call);
}

static void rpc_list_markets(Trading__Trading_Service *self,
                             const Trading__ListMarketsRequest *request,
                             Trading__ListMarketsResponse_Closure reply, void *call)
{
    (void)self;
    (void)request;
    static Trading__Market market = TRADING__MARKET__INIT, *markets[MARKETS];
    Trading__ListMarketsResponse response = TRADING__LIST_MARKETS_RESPONSE__INIT;
    for (size_t i = 0; i < MARKETS; i++)
        markets[i] = &market;
    response.n_items = MARKETS;
    response.items = markets;
    reply(&response, call);
}

static void rpc_get_depth(Trading__Trading_Service *self, const Trading__DepthRequest *request,
                          Trading__Depth_Closure reply, void *call)
{
    (void)self;
    Trading__Depth depth = TRADING__DEPTH__INIT;
    depth.symbol = request->symbol;
    atomic_fetch_add(&host.held, 1);
    (void)pthread_mutex_lock(&host.gate_lock);
    while (host.gate_shut)
        (void)pthread_cond_wait(&host.gate_changed, &host.gate_lock);
    (void)pthread_mutex_unlock(&host.gate_lock);
    atomic_fetch_sub(&host.held, 1);
    reply(&depth, call);
}

static void rpc_get_ticker(Trading__Trading_Service *self, const Trading__TickerRequest *request,
                           Trading__Ticker_Closure reply, void *call)
{
    (void)self;
    Trading__Ticker ticker = TRADING__TICKER__INIT;
    ticker.symbol = request->symbol;
    reply(&ticker, call);
}

static void rpc_place_order(Trading__Trading_Service *self,
                            const Trading__PlaceOrderRequest *request, Trading__Order_Closure reply,
                            void *call)
{
    (void)self;
    (void)request;
    (void)reply;
    rpc_fail_reason(call, ERR_PRECONDITION, "insufficient_funds", "not enough USDT");
}

/* ---- neighbours ---- */

static void start_neighbour(struct neighbour *n, const char *name, ProtobufCService *service,
                            const char *const *topics)
{
    struct err_detail detail = {""};
    char rpc[64], events[64];
    (void)snprintf(rpc, sizeof rpc, "inproc://%s", name);
    (void)snprintf(events, sizeof events, "inproc://%s.events", name);
    const char *rpc_url = rpc, *events_url = events;
    struct rpc_server_options server = {.name = name,
                                        .listen = &rpc_url,
                                        .listen_count = 1,
                                        .workers = COMMANDS_IN_FLIGHT + 4,
                                        .principal_key = host.env->principal_key};
    struct bus_publisher_options publisher = {
        .listen = &events_url, .listen_count = 1, .topics = topics, .ring_size = RING_SIZE};
    MUST(rpc_server_new(&server, &n->server, &detail));
    if (service) MUST(rpc_server_add(n->server, service, NULL));
    if (topics) MUST(bus_publisher_new(&publisher, n->server, &n->publisher, &detail));
    MUST(rpc_server_start(n->server, &detail));
}

static void stop_neighbour(struct neighbour *n)
{
    rpc_server_free(n->server);
    bus_publisher_free(n->publisher);
    *n = (struct neighbour){0};
}

static void start_trading(void)
{
    static Trading__Trading_Service service; /* what is not set is not implemented */
    static const char *const topics[] = {"trading.market", "trading.user", NULL};
    trading__trading__init(&service, NULL);
    service.list_markets = rpc_list_markets;
    service.get_depth = rpc_get_depth;
    service.get_ticker = rpc_get_ticker;
    service.place_order = rpc_place_order;
    start_neighbour(&host.trading, "trading", &service.base, topics);
}

static void start_neighbours(void)
{
    static Users__Users_Service users;
    static const char *const topics[] = {"wallet.user", NULL};
    users__users__init(&users, NULL);
    users.jwks = rpc_jwks;
    users.login = rpc_login;
    users.who_am_i = rpc_who_am_i;
    start_neighbour(&host.users, "users", &users.base, NULL);
    start_neighbour(&host.wallet, "wallet", NULL, topics);
    start_trading();
}

/* ---- the gateway's rooms ---- */

static void handle_request(void *context, struct http_exchange *x)
{
    (void)context;
    struct principal principal;
    struct rpc_status status;
    AUTO_BUF struct buf body;
    buf_init(&body, 1);
    enum err e = auth_request(host.auth, x, &body, &principal, &status);
    if (e)
        http_problem(x, &status);
    else if (strcmp(http_path(x), "/api/v1/stream") == 0)
        sse_handle(host.sse, x, &principal);
    else
        http_problem_text(x, ERR_NOT_FOUND, "nothing here");
}

static void start_listener(unsigned i)
{
    static const struct listener_policy policies[LISTENERS] = {
        {"main", CALLER_ADMIN, NULL, false},
        {"nervous", CALLER_ADMIN, NULL, true},
        {"login", CALLER_USER, "auth.*,authenticate,help,ping", false},
        {"guest", CALLER_GUEST, NULL, false},
        {"rest", CALLER_ADMIN, NULL, false},
    };
    struct err_detail detail = {""};
    struct ws_front *const fronts[] = {host.ws, host.nervous_ws, host.ws, host.ws, NULL};
    struct listener_options options = {.policy = policies[i],
                                       .address = "127.0.0.1",
                                       .threads = 8,
                                       .handler = handle_request,
                                       .settings = &host.settings,
                                       .ws = fronts[i]};
    MUST(listener_start(&options, &host.listeners[i], &detail));
}

static void start_fronts(void)
{
    struct err_detail detail = {""};
    struct commands_options commands = {.calls = host.calls,
                                        .auth = host.auth,
                                        .limits = host.limits,
                                        .hub = host.hub,
                                        .feed = host.feed,
                                        .request_ms = 10000};
    MUST(commands_new(&commands, &host.commands));
    commands.auth_ms = 2000;
    commands.tick_ms = 50;
    MUST(commands_new(&commands, &host.nervous_commands));
    struct roster_options limits = {.address_max = ADDRESS_MAX, .user_max = USER_MAX};
    MUST(roster_rpc_new(host.env, "gateway", &limits, &host.roster, &detail));
    MUST(reactor_new(2, &host.reactor));
    MUST(workers_new(4, &host.workers));
    struct ws_options ws = {.hub = host.hub,
                            .commands = host.commands,
                            .roster = roster_rpc_roster(host.roster),
                            .reactor = host.reactor,
                            .workers = host.workers,
                            .queue_bytes = QUEUE_BYTES};
    MUST(ws_front_new(&ws, &host.ws));
    ws.commands = host.nervous_commands;
    ws.ping_ms = 100;
    ws.dead_ms = 3000;
    MUST(ws_front_new(&ws, &host.nervous_ws));
    struct sse_options sse = {.hub = host.hub,
                              .feed = host.feed,
                              .auth = host.auth,
                              .roster = roster_rpc_roster(host.roster),
                              .reactor = host.reactor,
                              .workers = host.workers,
                              .queue_bytes = QUEUE_BYTES,
                              .heartbeat_ms = 200};
    MUST(sse_new(&sse, &host.sse));
}

static void start_gateway(void)
{
    struct err_detail detail = {""};
    MUST(part_cache(host.env, &host.cache, &detail));
    MUST(calls_new(host.env, &host.calls, &detail));
    MUST(auth_new(calls_client(host.calls, "users"), host.cache, &host.auth));
    struct limits_rules rules = {0};
    MUST(networks_parse("127.0.0.1", &rules.exempt, &detail));
    MUST(limits_new(&rules, host.cache, &host.limits));
    MUST(hub_new(CONNECTIONS_MAX, &host.hub));
    struct feed_options feed = {
        .env = host.env, .calls = host.calls, .hub = host.hub, .queue_bytes = QUEUE_BYTES};
    MUST(feed_new(&feed, &host.feed, &detail));
    start_fronts();
    struct http_settings *http = shared_alloc(sizeof *http);
    MUST(http ? OK : ERR_NO_MEMORY);
    (void)snprintf(http->origins, sizeof http->origins, "https://app.example");
    http->request_ms = 5000;
    shared_init(&host.settings, http);
    for (unsigned i = 0; i < LISTENERS; i++)
        start_listener(i);
    presence_follow(host.env, host.calls);
    for (unsigned i = 0; i < feed_topic_count(); i++)
        while (feed_position(host.feed, i).epoch == 0)
            (void)poll(NULL, 0, 1);
}

static void set_gate(bool shut)
{
    (void)pthread_mutex_lock(&host.gate_lock);
    host.gate_shut = shut;
    (void)pthread_cond_broadcast(&host.gate_changed);
    (void)pthread_mutex_unlock(&host.gate_lock);
}

static void drain(void)
{
    struct hub_stats stats = {0};
    hub_close_all(host.hub, HUB_CLOSE_GOING_AWAY);
    do {
        (void)poll(NULL, 0, 1);
        hub_stats(host.hub, &stats);
    } while (stats.connections);
}

static void stop_gateway(void)
{
    drain();
    for (unsigned i = 0; i < LISTENERS; i++)
        listener_begin_stop(host.listeners[i], 5000);
    for (unsigned i = 0; i < LISTENERS; i++)
        listener_stop(host.listeners[i]);
    shared_release(&host.settings);
    presence_forget();
    reactor_free(host.reactor);
    workers_free(host.workers);
    roster_rpc_free(host.roster);
    ws_front_free(host.ws);
    ws_front_free(host.nervous_ws);
    sse_free(host.sse);
    commands_free(host.commands);
    commands_free(host.nervous_commands);
    feed_free(host.feed);
    auth_free(host.auth);
    limits_free(host.limits);
    calls_free(host.calls);
    hub_free(host.hub);
    cache_close(host.cache);
}

/* ---- commands ---- */

static void on_ports(void)
{
    for (unsigned i = 0; i < LISTENERS; i++)
        (void)printf("%s\"%s\":%u", i ? "," : "{", names[i], listener_port(host.listeners[i]));
    (void)printf("}\n");
}

static void on_token(char *line)
{
    char text[TOKEN_TEXT_MAX];
    int seconds = 0;
    struct err_detail detail = {""};
    struct token_claims claims = {.role = ROLE_USER, .issued_s = clock_wall_ms() / 1000};
    /* NOLINTNEXTLINE(cert-err34-c): the tests' own numbers */
    CHECK(sscanf(line, "%39s %39s %d", claims.user_id, claims.session_id, &seconds) == 3);
    claims.expires_s = claims.issued_s + seconds;
    MUST(token_issue(host.keys, &claims, text));
    (void)printf("%s\n", text);
}

static void on_publish(char *line)
{
    char topic[64], key[64], type[64];
    int at = 0;
    struct err_detail detail = {""};
    CHECK(sscanf(line, "%63s %63s %63s %n", topic, key, type, &at) == 3);
    const struct contract_event *e = contract_events;
    while (e < contract_events + contract_event_count && strcmp(e->type, type) != 0)
        e++;
    ProtobufCMessage *message = NULL;
    uint8_t packed[LINE_MAX_] = "not a message of the contract";
    size_t size = 8;
    if (e < contract_events + contract_event_count && line[at] == '{') {
        MUST(json_read(line + at, strlen(line + at), e->payload, &message, &detail));
        size = protobuf_c_message_pack(message, packed);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    bus_publish(strncmp(topic, "wallet", 6) ? host.trading.publisher : host.wallet.publisher, topic,
                key, type, packed, size);
    (void)printf("ok\n");
}

static void publish_trade(const char *symbol, unsigned number)
{
    char id[24];
    uint8_t packed[256];
    Trading__Trade trade = TRADING__TRADE__INIT;
    Trading__TradeEvent event = TRADING__TRADE_EVENT__INIT;
    (void)snprintf(id, sizeof id, "%u", number);
    trade.symbol = (char *)symbol;
    trade.trade_id = id;
    event.trade = &trade;
    size_t size = trading__trade_event__pack(&event, packed);
    bus_publish(host.trading.publisher, "trading.market", symbol, "market.trade", packed, size);
}

static void on_trades(char *line)
{
    char symbol[64];
    unsigned first = 0, count = 0;
    /* NOLINTNEXTLINE(cert-err34-c): the tests' own numbers */
    CHECK(sscanf(line, "%63s %u %u", symbol, &first, &count) == 3);
    for (unsigned i = first; i < first + count; i++)
        publish_trade(symbol, i);
    (void)printf("ok\n");
}

static void on_both(const char *line)
{
    unsigned first = 0, count = 0;
    /* NOLINTNEXTLINE(cert-err34-c): the tests' own numbers */
    CHECK(sscanf(line, "%u %u", &first, &count) == 2);
    for (unsigned i = first; i < first + count; i++) {
        publish_trade("A-USDT", i);
        publish_trade("B-USDT", i);
    }
    (void)printf("ok\n");
}

static void on_stats(void)
{
    struct hub_stats s;
    hub_stats(host.hub, &s);
    (void)printf("{\"connections\":%zu,\"channels\":%zu,\"subscriptions\":%zu,\"queued\":%zu,"
                 "\"delivered\":%" PRIu64 ",\"conflated\":%" PRIu64 ",\"slow\":%" PRIu64 "}\n",
                 s.connections, s.channels, s.subscriptions, s.queued_bytes, s.delivered,
                 s.conflated, s.closed_slow);
}

/* How many WebSockets we closed with that code. */
static void on_closed(const char *code)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "kind=\"websocket\",code=\"%.8s\"", code);
    struct counter *closed =
        metrics_counter("tradepost_gateway_connections_closed_total", "", labels);
    (void)printf("%" PRIu64 "\n", counter_value(closed));
}

static void obey(char *line)
{
    struct err_detail detail = {""};
    if (strcmp(line, "ports") == 0) return on_ports();
    if (strcmp(line, "stats") == 0) return on_stats();
    if (strncmp(line, "token ", 6) == 0) return on_token(line + 6);
    if (strncmp(line, "publish ", 8) == 0) return on_publish(line + 8);
    if (strncmp(line, "trades ", 7) == 0) return on_trades(line + 7);
    if (strncmp(line, "both ", 5) == 0) return on_both(line + 5);
    if (strncmp(line, "closed ", 7) == 0) return on_closed(line + 7);
    if (strcmp(line, "presence") == 0) return presence_print();
    if (strcmp(line, "held") == 0) {
        (void)printf("%u\n", atomic_load(&host.held));
        return;
    }
    if (strcmp(line, "drain") == 0) {
        int64_t begin_ms = clock_mono_ms();
        drain();
        (void)printf("%" PRId64 "\n", clock_mono_ms() - begin_ms);
        return;
    }
    if (strncmp(line, "revoke ", 7) == 0)
        MUST(cache_deny(host.cache, "session", line + 7, 60000));
    else if (strncmp(line, "gate ", 5) == 0)
        set_gate(strcmp(line + 5, "shut") == 0);
    else if (strcmp(line, "restart") == 0) {
        stop_neighbour(&host.trading);
        start_trading();
    } else {
        CHECK(strcmp(line, "a known command") == 0);
    }
    (void)printf("ok\n");
}

/* The keys of the parts that clients find. */
static const struct config_key own_keys[] = {PART_KEYS("users", "0"),
                                             PART_KEYS("wallet", "0"),
                                             PART_KEYS("trading", "0"),
                                             PART_KEYS("gateway", "0"),
                                             {0}};

static struct config *load_config(const char *directory)
{
    static struct config_key schema[64];
    size_t count = 0;
    struct err_detail detail = {""};
    char data[512];
    (void)snprintf(data, sizeof data, "data_dir=%s", directory);
    const char *const overrides[] = {data, NULL};
    struct config *config = NULL;
    for (const struct config_key *k = part_common_keys; k->key; k++)
        schema[count++] = *k;
    for (const struct config_key *k = own_keys; k->key; k++)
        schema[count++] = *k;
    MUST(config_load(schema, &(struct config_sources){.overrides = overrides}, &config, &detail));
    return config;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2); /* an empty directory */
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    struct err_detail detail = {""};
    struct part_env *env = NULL;
    struct config *config = load_config(argv[1]);
    char keys[512];
    (void)snprintf(keys, sizeof keys, "%s/keys", argv[1]);
    log_set_level(LOG_ERROR);
    (void)pthread_mutex_init(&host.gate_lock, NULL);
    (void)pthread_cond_init(&host.gate_changed, NULL);
    MUST(part_env_open(config, &env, &detail));
    MUST(token_keys_load(keys, &host.keys, &detail));
    host.env = env;
    start_neighbours();
    start_gateway();

    static char line[LINE_MAX_];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
        (void)fflush(stdout);
    }
    set_gate(false);
    stop_gateway();
    stop_neighbour(&host.trading);
    stop_neighbour(&host.wallet);
    stop_neighbour(&host.users);
    token_keys_free(host.keys);
    part_env_close(env);
    config_free(config);
    return 0;
}
