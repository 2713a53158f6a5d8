/*
 * The exchange is killed between any two steps of an order's way, while the wallet lives on.
 * Afterwards the same request is sent again: the order is there once, its trade is there once,
 * balances are right to the last digit, and nothing stays held.
 *
 * The exchange runs in a process of its own: this program, started again with "exchange" as its
 * first word. The calls at which it dies are wrapped by the linker.
 */
#include "fixture.h"

#include "support/eventually.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "base/journal/journal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_URL_SIZE 64

extern const struct part_ops trading_part;

/* ---- in the exchange's process ---- */

static const char *crash_at; /* "before Settle": the step at which to die; NULL: live */
static atomic_bool armed;    /* an order is on its way */

static void pass(const char *when, const char *step)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s %s", when, step);
    if (crash_at && atomic_load(&armed) && strcmp(crash_at, name) == 0) (void)raise(SIGKILL);
}

enum err __real_rpc_call(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                         const struct rpc_options *options, ProtobufCMessage **ret,
                         struct rpc_status *status);
enum err __wrap_rpc_call(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                         const struct rpc_options *options, ProtobufCMessage **ret,
                         struct rpc_status *status);
enum err __real_journal_append(struct journal *j, const struct iovec *entries, size_t count,
                               struct err_detail *detail);
enum err __wrap_journal_append(struct journal *j, const struct iovec *entries, size_t count,
                               struct err_detail *detail);
enum err __real_store_put_many(struct store *s, const char *collection,
                               const bson_t *const *documents, size_t count);
enum err __wrap_store_put_many(struct store *s, const char *collection,
                               const bson_t *const *documents, size_t count);

enum err __wrap_rpc_call(struct rpc_client *c, const char *method, const ProtobufCMessage *request,
                         const struct rpc_options *options, ProtobufCMessage **ret,
                         struct rpc_status *status)
{
    const char *step = strchr(method, '/') + 1;
    if (strcmp(step, "HoldFunds") == 0) atomic_store(&armed, true);
    if (crash_at && strstr(crash_at, "Reconcile")) atomic_store(&armed, true);
    pass("before", step);
    enum err e = __real_rpc_call(c, method, request, options, ret, status);
    pass("after", step);
    return e;
}

enum err __wrap_journal_append(struct journal *j, const struct iovec *entries, size_t count,
                               struct err_detail *detail)
{
    pass("before", "append");
    enum err e = __real_journal_append(j, entries, count, detail);
    pass("after", "append");
    return e;
}

enum err __wrap_store_put_many(struct store *s, const char *collection,
                               const bson_t *const *documents, size_t count)
{
    pass("before", collection);
    enum err e = __real_store_put_many(s, collection, documents, count);
    pass("after", collection);
    return e;
}

/* exchange DIRECTORY WALLET_URL OWN_URL STEP: says "r" on stdout when it is ready, then waits to be
 * killed. */
static int run_exchange(char **argv)
{
    static const char *const overrides[] = {"trading.snapshot_size=4096", NULL};
    struct house *h = calloc(1, sizeof *h);
    crash_at = argv[3][0] ? argv[3] : NULL;
    (void)snprintf(h->wallet_url, sizeof h->wallet_url, "%s", argv[1]);
    (void)snprintf(h->trading_url, sizeof h->trading_url, "%s", argv[2]);
    house_reopen(h, argv[0], overrides);
    house_start_trading(h);
    while (trading_part.ready(h->trading, NULL))
        (void)poll(NULL, 0, 1);
    if (write(STDOUT_FILENO, "r", 1) != 1) return 1;
    for (;;)
        (void)pause();
}

/* ---- in the test's process ---- */

struct exchange {
    pid_t pid;
    char url[PORT_URL_SIZE];
};

static struct house *house;
static const char *program;

/* A port that was free a moment ago. */
static void free_url(char ret[static PORT_URL_SIZE])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    (void)snprintf(ret, PORT_URL_SIZE, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
}

static void connect_to(const char *url)
{
    struct rpc_client_options options = {
        .name = "test", .urls = &url, .url_count = 1, .principal_key = house->env->principal_key};
    rpc_client_free(house->to_trading);
    house->to_trading = NULL;
    assert_ok(rpc_client_new(&options, &house->to_trading, NULL));
}

/* false: it died before it was ready. */
static bool start_exchange(struct exchange *x, const char *step)
{
    int ends[2];
    char said = 0;
    free_url(x->url);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    x->pid = fork();
    assert_true(x->pid >= 0);
    if (x->pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        char *const argv[] = {(char *)(uintptr_t)program,
                              (char *)(uintptr_t) "exchange",
                              house->directory,
                              house->wallet_url,
                              x->url,
                              (char *)(uintptr_t)step,
                              NULL};
        (void)execv(program, argv);
        _exit(127);
    }
    (void)close(ends[1]);
    bool ready = read(ends[0], &said, 1) == 1;
    (void)close(ends[0]);
    if (ready) connect_to(x->url);
    return ready;
}

static void wait_for_death(struct exchange *x)
{
    int status = 0;
    assert_eventually(waitpid(x->pid, &status, WNOHANG) == x->pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void kill_exchange(struct exchange *x)
{
    (void)kill(x->pid, SIGKILL);
    wait_for_death(x);
}

static unsigned count_my_trades(const char *user)
{
    Trading__ListMyTradesRequest q = TRADING__LIST_MY_TRADES_REQUEST__INIT;
    Trading__ListMyTradesResponse *r = NULL;
    q.limit = 200;
    assert_ok(house_call(house->to_trading, "trading.Trading/ListMyTrades",
                         (struct caller){.user = user}, &q.base, (ProtobufCMessage **)&r, NULL));
    unsigned count = (unsigned)r->n_items;
    protobuf_c_message_free_unpacked(&r->base, NULL);
    return count;
}

/* Every step of a buyer's order that trades with what Bob has in the book. */
static const char *const steps[] = {
    "",
    "before HoldFunds",
    "after HoldFunds",
    "before append",
    "after append",
    "before Settle",
    "after Settle",
    "before trades",
    "after trades",
    "before orders",
    "after orders",
    "before watermarks",
    "after watermarks",
    "before Reconcile",
    "after Reconcile",
};
#define STEPS (sizeof steps / sizeof *steps)

static void order_at_step(const char *step, unsigned number)
{
    struct exchange x;
    struct ticket t = BUY("0.01", "50000");
    char name[16];
    Trading__Order *order = NULL;
    (void)snprintf(name, sizeof name, "ann-%u", number);
    t.client_id = name;

    if (start_exchange(&x, step)) {
        /* Whatever the answer is, it may get lost: the client does not know. */
        (void)try_place(house, ANN, t, &order, NULL);
        free_order(order);
        if (!step[0]) kill_exchange(&x);
    }
    if (step[0]) wait_for_death(&x);

    if (!start_exchange(&x, "")) fail_msg("it does not start again after it died %s", step);
    order = place(house, ANN, t);
    assert_int_equal(order->status, TRADING__ORDER_STATUS__FILLED);
    assert_string_equal(order->filled, "0.01000000");
    free_order(order);
    if (count_my_trades(ANN) != number) fail_msg("not %u trades after it died %s", number, step);
    kill_exchange(&x);
}

static void assert_money(unsigned trades)
{
    char usdt[DECIMAL_TEXT_SIZE], btc[DECIMAL_TEXT_SIZE], left[DECIMAL_TEXT_SIZE];
    decimal_format((100000 - 500 * (int64_t)trades) * 100000000, 8, usdt);
    decimal_format(998000 * (int64_t)trades, 8, btc); /* less a fee of 0.2% */
    decimal_format(100000000 - 1000000 * (int64_t)trades, 8, left);
    assert_balance(house, ANN, "USDT", usdt, "0.00000000");
    assert_balance(house, ANN, "BTC", btc, "0.00000000");
    assert_balance(house, BOB, "BTC", "0.00000000", left);
    assert_balanced(house);
}

static void a_kill_at_any_step_loses_nothing_and_doubles_nothing(void **state)
{
    (void)state;
    struct exchange x;
    credit(house, ANN, "USDT", "100000");
    credit(house, BOB, "BTC", "1");
    assert_true(start_exchange(&x, ""));
    free_order(place(house, BOB, SELL("1", "50000")));
    kill_exchange(&x);
    for (unsigned i = 0; i < STEPS; i++) {
        order_at_step(steps[i], i + 1);
        assert_money(i + 1);
    }
}

static int open_house(void **state)
{
    (void)state;
    house = calloc(1, sizeof *house);
    assert_non_null(house);
    free_url(house->wallet_url);
    free_url(house->trading_url);
    house_open(house, NULL);
    house_start_wallet(house);
    assert_eventually(rpc_client_ready(house->to_wallet));
    return 0;
}

static int close_house(void **state)
{
    (void)state;
    house_remove(house);
    free(house);
    return 0;
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 6 && strcmp(argv[1], "exchange") == 0) return run_exchange(argv + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kill_at_any_step_loses_nothing_and_doubles_nothing,
                                        open_house, close_house),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
