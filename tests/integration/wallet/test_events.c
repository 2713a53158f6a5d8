/* balance.updated: after the answer is durable, one per user and asset of a batch, with the new
 * totals. */
#include "support/eventually.h"
#include "wallet_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { EVENTS_MAX = 64 };

struct events {
    pthread_mutex_t lock;
    size_t count;
    char lines[EVENTS_MAX][160]; /* "key type asset total available held" */
};

static void on_event(void *arg, const struct bus_event *event)
{
    struct events *e = arg;
    Wallet__BalanceEvent *m =
        wallet__balance_event__unpack(NULL, event->payload_size, event->payload);
    (void)pthread_mutex_lock(&e->lock);
    if (m && e->count < EVENTS_MAX)
        (void)snprintf(e->lines[e->count++], sizeof e->lines[0], "%s %s %s %s %s %s", event->key,
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
    assert_ok(fixture_credit(f, "before", 9, "BTC", "1")); /* seen or resynced: either is right */
    assert_ok(part_subscriber(f->env, "wallet", &options, &subscriber, &f->detail));
    uint64_t epoch = 0;
    uint64_t seq = 0;
    /* Ready when it has come to know the topic. */
    assert_eventually(
        !bus_replay(subscriber, "wallet.user", NULL, 0, 0, NULL, NULL, &epoch, &seq) ||
        epoch != 0 || count(&events) > 0);
    size_t first = count(&events);
    assert_ok(fixture_credit(f, "a", 1, "USDT", "10"));
    assert_ok(fixture_transfer(f, "b", 1, 2, "USDT", "4"));
    assert_eventually(count(&events) >= first + 3);
    char user1[ID_TEXT_SIZE];
    id_format(fixture_user(1), user1);
    char expected[160];
    (void)snprintf(expected, sizeof expected,
                   "%s balance.updated USDT 10.00000000 10.00000000 0.00000000", user1);
    assert_string_equal(events.lines[first], expected);
    (void)snprintf(expected, sizeof expected,
                   "%s balance.updated USDT 6.00000000 6.00000000 0.00000000", user1);
    assert_string_equal(events.lines[first + 1], expected);
    bus_subscriber_free(subscriber);
}

int main(void)
{
    const struct CMUnitTest tests[] = {wallet_test(every_change_of_a_balance_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
