/* balance.updated: after the answer is durable, one per user and asset of a batch, with the new
 * totals. */
#include "support/eventually.h"
#include "wallet_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { EVENTS_MAX = 64, LINE_SIZE = 160, WARMING = 9 /* the user whose events only say hello */ };

struct events {
    pthread_mutex_t lock;
    bool warm;
    size_t count;
    char lines[EVENTS_MAX][LINE_SIZE]; /* "type asset total available held" of others */
};

static void on_event(void *arg, const struct bus_event *event)
{
    struct events *e = arg;
    char warming[ID_TEXT_SIZE];
    id_format(fixture_user(WARMING), warming);
    Wallet__BalanceEvent *m =
        wallet__balance_event__unpack(NULL, event->payload_size, event->payload);
    (void)pthread_mutex_lock(&e->lock);
    if (strcmp(event->key, warming) == 0)
        e->warm = true;
    else if (m && e->count < EVENTS_MAX)
        (void)snprintf(e->lines[e->count++], LINE_SIZE, "%s %s %s %s %s %s", event->key,
                       event->type, m->balance->asset, m->balance->total, m->balance->available,
                       m->balance->held);
    (void)pthread_mutex_unlock(&e->lock);
    wallet__balance_event__free_unpacked(m, NULL);
}

static void on_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq)
{
    (void)arg;
    (void)topic;
    (void)epoch;
    (void)seq;
}

static size_t count(struct events *e)
{
    (void)pthread_mutex_lock(&e->lock);
    size_t n = e->count;
    (void)pthread_mutex_unlock(&e->lock);
    return n;
}

/* Makes events of no interest until one arrives: then the subscriber is there. */
static bool warm(struct wallet_fixture *f, struct events *e)
{
    static unsigned number;
    char id[16];
    (void)snprintf(id, sizeof id, "w%u", number++);
    assert_ok(fixture_credit(f, id, WARMING, "BTC", "1"));
    (void)pthread_mutex_lock(&e->lock);
    bool is = e->warm;
    (void)pthread_mutex_unlock(&e->lock);
    return is;
}

static void every_change_of_a_balance_is_told(void **state)
{
    struct wallet_fixture *f = *state;
    static struct events events = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static const char *const topics[] = {"wallet.user", NULL};
    struct bus_subscriber_options options = {.replay = f->client,
                                             .topics = topics,
                                             .on_event = on_event,
                                             .on_resync = on_resync,
                                             .arg = &events};
    struct bus_subscriber *subscriber = NULL;
    assert_ok(part_subscriber(f->env, "wallet", &options, &subscriber, &f->detail));
    assert_eventually(warm(f, &events));
    assert_ok(fixture_credit(f, "a", 1, "USDT", "10"));
    assert_err(fixture_transfer(f, "b", 1, 2, "USDT", "11"), ERR_PRECONDITION); /* tells nothing */
    assert_ok(fixture_transfer(f, "b", 1, 2, "USDT", "4"));
    assert_ok(fixture_transfer(f, "b", 1, 2, "USDT", "4")); /* nor does a repeat */
    assert_ok(fixture_credit(f, "c", 3, "ETH", "1"));
    assert_eventually(count(&events) == 4);
    static const char *const expected[] = {
        "balance.updated USDT 10.00000000 10.00000000 0.00000000",
        "balance.updated USDT 6.00000000 6.00000000 0.00000000",
        "balance.updated USDT 4.00000000 4.00000000 0.00000000",
        "balance.updated ETH 1.00000000 1.00000000 0.00000000",
    };
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(strchr(events.lines[i], ' ') + 1, expected[i]);
    bus_subscriber_free(subscriber);
}

int main(void)
{
    const struct CMUnitTest tests[] = {wallet_test(every_change_of_a_balance_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
