/* A subscriber that keeps what it hears as JSON strings. */
#include "presence.h"

#include "gateway.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct bus_subscriber *subscriber;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf heard; /* under the lock */

static void on_event(void *arg, const struct bus_event *event)
{
    (void)arg;
    bool connected = strcmp(event->type, "presence.connected") == 0;
    CHECK(connected || strcmp(event->type, "presence.disconnected") == 0);
    Gateway__Presence *p = gateway__presence__unpack(NULL, event->payload_size, event->payload);
    CHECK(p && strcmp(p->user_id, event->key) == 0 && p->connections == connected);
    CHECK(strcmp(p->gateway, "gateway") == 0);
    (void)pthread_mutex_lock(&lock);
    (void)buf_add_format(&heard, "%s\"%c%s\"", heard.size ? "," : "", connected ? '+' : '-',
                         p->user_id);
    (void)pthread_mutex_unlock(&lock);
    gateway__presence__free_unpacked(p, NULL);
}

static void on_resync(void *arg, const char *topic, uint64_t epoch, uint64_t seq)
{
    (void)arg, (void)topic, (void)epoch, (void)seq;
}

void presence_follow(const struct part_env *env, struct calls *calls)
{
    static const char *const topics[] = {"gateway.presence", NULL};
    struct err_detail detail = {""};
    buf_init(&heard, (size_t)1024 * 1024);
    struct bus_subscriber_options options = {.replay = calls_client(calls, "gateway"),
                                             .topics = topics,
                                             .on_event = on_event,
                                             .on_resync = on_resync};
    CHECK(part_subscriber(env, "gateway", &options, &subscriber, &detail) == OK);
}

void presence_print(void)
{
    (void)pthread_mutex_lock(&lock);
    (void)printf("{\"events\":[%s]}\n", heard.data);
    (void)pthread_mutex_unlock(&lock);
}

void presence_forget(void)
{
    bus_subscriber_free(subscriber);
    buf_release(&heard);
}
