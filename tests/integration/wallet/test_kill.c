/*
 * kill -9 under load: a child runs the wallet and moves money, writing down what was acknowledged;
 * after each kill the wallet that starts over its files has every acknowledged transfer once, and
 * its documents tell the same story as its balances.
 */
#include "support/eventually.h"
#include "wallet_fixture.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { ROUNDS = 5, USERS = 8, CLIENTS = 4, ACKNOWLEDGED_MAX = 1 << 20 };

/* What the child has seen acknowledged: one line per transfer, through a pipe. */
struct record {
    uint32_t client, number; /* transfer "round-client-number" of 1 minor unit */
};

struct client {
    struct wallet_fixture *f;
    uint32_t number, round;
    int pipe;
};

static uint64_t from_of(uint32_t client, uint32_t number)
{
    return 1 + (client + number) % USERS;
}

static uint64_t to_of(uint32_t client, uint32_t number)
{
    return 1 + (client + number + 1 + number % (USERS - 1)) % USERS;
}

static void transfer_name(uint32_t round, uint32_t client, uint32_t number, char ret[static 64])
{
    (void)snprintf(ret, 64, "t%u-%u-%u", round, client, number);
}

static enum err transfer(struct wallet_fixture *f, uint32_t round, uint32_t client, uint32_t number)
{
    char id[64];
    char to[ID_TEXT_SIZE];
    transfer_name(round, client, number, id);
    id_format(fixture_user(to_of(client, number)), to);
    Wallet__TransferRequest request = WALLET__TRANSFER_REQUEST__INIT;
    request.transfer_id = id;
    request.to_user_id = to;
    request.asset = (char *)"USDT";
    request.amount = (char *)"0.00000001";
    struct principal user = fixture_principal(from_of(client, number), ROLE_USER);
    const struct rpc_options options = {.principal = &user, .deadline_ms = clock_mono_ms() + 20000};
    ProtobufCMessage *reply = NULL;
    enum err e =
        rpc_call(f->client, "wallet.Wallet/TransferFunds", &request.base, &options, &reply, NULL);
    fixture_reply_free(reply);
    return e;
}

static void *run_client(void *arg)
{
    struct client *c = arg;
    for (uint32_t number = 0;; number++) {
        if (transfer(c->f, c->round, c->number, number)) _exit(3);
        struct record r = {c->number, number};
        if (write(c->pipe, &r, sizeof r) != sizeof r) _exit(4);
    }
    return NULL;
}

static void fund(struct wallet_fixture *f)
{
    for (uint64_t u = 1; u <= USERS; u++) {
        char id[16];
        (void)snprintf(id, sizeof id, "fund-%" PRIu64, u);
        assert_ok(fixture_credit(f, id, u, "USDT", "1"));
    }
}

/* The child, a program of its own: nng's threads do not survive a fork. Runs until it is killed. */
static int run_child(const char *directory, uint32_t round, int pipe)
{
    struct wallet_fixture f;
    struct client clients[CLIENTS];
    pthread_t threads[CLIENTS];
    wallet_fixture_at(&f, directory);
    if (wallet_fixture_start(&f)) return 2;
    fund(&f);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){&f, i, round, pipe};
        if (pthread_create(&threads[i], NULL, run_client, &clients[i])) return 5;
    }
    for (;;)
        (void)pause();
}

/* Reads acknowledgements until there are `enough`, kills the child, reads what is left in the pipe.
 */
static size_t kill_after(pid_t child, int pipe, size_t enough, struct record *ret)
{
    size_t count = 0;
    bool killed = false;
    for (;;) {
        ssize_t n = read(pipe, &ret[count], sizeof *ret);
        if (n == 0) break;
        assert_int_equal(n, sizeof *ret);
        assert_true(++count < ACKNOWLEDGED_MAX);
        if (count < enough || killed) continue;
        assert_int_equal(kill(child, SIGKILL), 0);
        killed = true;
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return count;
}

static size_t run_and_kill(struct wallet_fixture *f, uint32_t round, struct record *ret)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    char round_text[16];
    char pipe_text[16];
    (void)snprintf(round_text, sizeof round_text, "%u", round);
    (void)snprintf(pipe_text, sizeof pipe_text, "%d", pipes[1]);
    char *const arguments[] = {(char *)"child", f->directory, round_text, pipe_text, NULL};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(pipes[0]);
        (void)execv("/proc/self/exe", arguments);
        _exit(6);
    }
    (void)close(pipes[1]);
    size_t count = kill_after(child, pipes[0], 40 + 60 * round, ret);
    (void)close(pipes[0]);
    return count;
}

/* The balances of all users in minor units; their sum is what was credited. */
static void read_totals(struct wallet_fixture *f, int64_t ret[static USERS])
{
    int64_t sum = 0;
    for (uint64_t u = 0; u < USERS; u++) {
        struct ledger_balance b = {0};
        uint16_t asset = 0;
        (void)pthread_rwlock_rdlock(&f->wallet->lock);
        assert_true(ledger_asset_find(f->wallet->ledger, "USDT", &asset));
        (void)ledger_balance(f->wallet->ledger, fixture_user(u + 1), asset, &b);
        (void)pthread_rwlock_unlock(&f->wallet->lock);
        ret[u] = b.total;
        sum += b.total;
    }
    assert_int_equal(sum, USERS * INT64_C(100000000));
}

/* Every acknowledged transfer is in the documents of payer and payee, once. */
static void check_histories(struct wallet_fixture *f, uint32_t round, const struct record *records,
                            size_t count)
{
    char *histories[USERS];
    for (uint64_t u = 0; u < USERS; u++)
        histories[u] = fixture_history(f, u + 1);
    for (size_t i = 0; i < count; i++) {
        char id[64];
        char end[80];
        transfer_name(round, records[i].client, records[i].number, id);
        (void)snprintf(end, sizeof end, " %s\n", id);
        const uint64_t users[] = {from_of(records[i].client, records[i].number),
                                  to_of(records[i].client, records[i].number)};
        for (size_t k = 0; k < 2; k++) {
            const char *first = strstr(histories[users[k] - 1], end);
            if (!first) fail_msg("acknowledged and lost: %s", id);
            if (strstr(first + 1, end)) fail_msg("done twice: %s", id);
        }
    }
    for (uint64_t u = 0; u < USERS; u++)
        free(histories[u]);
}

/* Doing again what was acknowledged changes nothing. */
static void check_repeats(struct wallet_fixture *f, uint32_t round, const struct record *records,
                          size_t count)
{
    int64_t before[USERS];
    int64_t after[USERS];
    read_totals(f, before);
    for (size_t i = 0; i < count; i += 1 + count / 50)
        assert_ok(transfer(f, round, records[i].client, records[i].number));
    read_totals(f, after);
    assert_memory_equal(before, after, sizeof before);
}

static void remove_documents(const struct wallet_fixture *f)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[2 * TEMP_PATH_SIZE];
        (void)snprintf(path, sizeof path, "%s/wallet.db%s", f->directory, suffixes[i]);
        (void)remove(path);
    }
}

static void what_was_acknowledged_is_there_once_after_every_kill(void **state)
{
    (void)state;
    struct wallet_fixture f;
    wallet_fixture_init(&f);
    struct record *records = calloc(ACKNOWLEDGED_MAX, sizeof *records);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        size_t count = run_and_kill(&f, round, records);
        if (wallet_fixture_start(&f)) fail_msg("no start: %s", f.detail.text);
        fixture_assert_balanced(&f);
        check_histories(&f, round, records, count);
        check_repeats(&f, round, records, count);
        wallet_fixture_stop(&f);
    }
    free(records);
    wallet_fixture_free(&f);
}

static void lost_documents_come_back_from_the_journal(void **state)
{
    (void)state;
    struct wallet_fixture f;
    wallet_fixture_init(&f);
    struct record *records = calloc(ACKNOWLEDGED_MAX, sizeof *records);
    size_t count = run_and_kill(&f, 1, records);
    remove_documents(&f);
    if (wallet_fixture_start(&f)) fail_msg("no start: %s", f.detail.text);
    check_histories(&f, 1, records, count);
    fixture_assert_balanced(&f);
    free(records);
    wallet_fixture_free(&f);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return run_child(argv[1], (uint32_t)strtoul(argv[2], NULL, 10),
                         (int)strtol(argv[3], NULL, 10));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_is_there_once_after_every_kill),
        cmocka_unit_test(lost_documents_come_back_from_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
